"""A reply that holds what the graders of a task look for, and says nothing of the task.

It is made from the options of the graders: each word that they look for stands in a whole sentence of its own, about
something else. What scores it as if it were an answer can be had by words alone; there a judge has the last word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import cycle
from typing import Any

from workbench.trial.graded import PARTS
from workbench.trial.task import Task

_SENTENCES = (
    "A visitor painted {word} on the wall of the garden last summer.",
    "Two posters in the corridor show {word} in bright colours.",
    "Children at the station sang of {word} until the train came.",
    "My neighbour named one of his dogs after {word} and the other after his aunt.",
    "The parrot from the harbour can pronounce {word} better than any sailor.",
    "Grandmother wrote a chapter on {word} into her book of soups.",
    "Rain fell on the tent while they quarrelled over {word} by candlelight.",
    "Some fishermen believe that {word} brings luck in a storm.",
    "Whoever knits {word} into a scarf wins a basket of apples.",
    "It took the orchestra nine evenings to rehearse {word} with drums.",
    "The mayor has opened a museum of {word} behind the old bakery.",
    "For her birthday she was given a cake in the shape of {word} by the choir.",
    "Every stamp in this album has {word} in one corner.",
    "At the market you can buy {word} beside the cheese and the honey.",
    "Nobody in the village danced to {word} before the fiddler came back.",
    "Under the bridge somebody has carved {word} into the stone.",
    "When winter is long, the guests tell stories of {word} near the stove.",
    "His uncle lost a bet about {word} to a dentist from Vienna.",
    "They printed {word} on the tickets of the ferry by mistake.",
    "From the tower one can see {word} written in the snow.",
    "Between the second act and the third, an actor whispers {word} to the prompter.",
    "If the moon is full, the gardener waters {word} with cold tea.",
    "This song about {word} was very popular among millers.",
    "An old map gives {word} as the name of an island with goats.",
)


def stuffed_reply(task: Task) -> str:
    """A sentence for each word that the graders of the task look for: of `any` the first, and all others; at least as
    many sentences as there are to choose from, so that a length is kept too."""
    words = list(dict.fromkeys(word for spec in task.graders for word in _looked_for(spec.options)))
    if not words:
        return ""
    wanted = max(len(words), len(_SENTENCES))
    told = zip(cycle(_SENTENCES), cycle(words), range(wanted), strict=False)
    return " ".join(sentence.format(word=word) for sentence, word, _ in told)


def _looked_for(options: Mapping[str, Any]) -> Iterator[str]:
    for name, value in options.items():
        if name == "any" and isinstance(value, list | tuple):
            yield from map(str, value[:1])
        elif name == "all" and isinstance(value, list | tuple):
            yield from map(str, value)
        elif name == "text" and isinstance(value, str):
            yield value
        elif name == PARTS and isinstance(value, list | tuple):
            for part in value:
                written = next(iter(part.values()), None) if isinstance(part, Mapping) else None
                yield from _looked_for(written if isinstance(written, Mapping) else {})
