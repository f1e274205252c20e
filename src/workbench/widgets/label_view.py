"""`LabelView`: the traits of the label panel, and the calls that its keys and buttons make."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from workbench.errors import WorkbenchError
from workbench.markup import visible_as_written
from workbench.widgets.frame import sendable

if TYPE_CHECKING:
    from workbench.judging.labelling import Labelling

_FRONT = Path(__file__).parent / "front"


class LabelView(anywidget.AnyWidget):
    """One reply, or two side by side, and the criteria that it is to be labelled by.

    The page sends `{"event": "give", "criterion": name, "level": level}`, `"note"` with a criterion and a text,
    `"undo"`, `"move"` with steps, and `"next"`. `state` is set whole after each, once what was said is on disk.
    """

    _esm = _FRONT / "labels.js"
    _css = _FRONT / "labels.css"

    rubric: Any = traitlets.Dict().tag(sync=True)
    """Its name, what it is about, and the criteria with their levels; the key 0 gives the last of them."""
    state: Any = traitlets.Dict().tag(sync=True)
    """The reply that is shown, the labels that it has, how far the person is, and what went wrong."""

    def __init__(self, labelling: Labelling) -> None:
        super().__init__()
        self._labelling = labelling
        self.rubric = {
            "name": sendable(labelling.rubric.name),
            "side_by_side": any(item.beside for item in labelling.items),
            "about": sendable(labelling.rubric.about),
            "criteria": [
                {
                    "name": each.name,
                    "asks": sendable(each.asks),
                    "levels": [sendable(level) for level in labelling.levels_of(each.name)],
                }
                for each in labelling.rubric.criteria
            ],
        }
        self._turn = 0
        self._show()
        self.on_msg(self._heard)

    def _heard(self, _widget: Any, content: Any, _buffers: Any) -> None:
        labelling, trouble, said = self._labelling, "", ""
        all_done = "All pairs are chosen between." if self.rubric["side_by_side"] else "All replies are labelled."
        try:
            match content:
                case {"event": "give", "criterion": str(criterion), "level": str(level)}:
                    labelling.give(criterion, level, note=labelling.note_of(criterion))
                    said = f"{criterion}: {level}"
                    if not labelling.open_criteria and not labelling.go_on():
                        said = all_done
                case {"event": "note", "criterion": str(criterion), "text": str(text)}:
                    labelling.annotate(criterion, text)
                case {"event": "undo"}:
                    said = "Taken back." if labelling.undo() else "There is no label of this sitting to take back."
                case {"event": "move", "steps": int(steps)}:
                    labelling.move(steps)
                case {"event": "next"}:
                    said = "" if labelling.go_on() else all_done
        except WorkbenchError as error:
            trouble = str(error)
        self._show(trouble=trouble, said=said)

    def _show(self, *, trouble: str = "", said: str = "") -> None:
        labelling = self._labelling
        item = labelling.item
        # The page waits for an answer to each key: a state that is as it was has to arrive, too.
        self._turn += 1
        self.state = {
            "turn": self._turn,
            "position": labelling.position,
            "total": len(labelling.items),
            "done": labelling.done,
            "asked": sendable(visible_as_written(item.asked)),
            "reply": sendable(visible_as_written(item.reply)),
            "beside": sendable(visible_as_written(item.beside)),
            "levels": {each.name: labelling.level_of(each.name) for each in labelling.rubric.criteria},
            "notes": {each.name: sendable(labelling.note_of(each.name)) for each in labelling.rubric.criteria},
            "labeller": sendable(labelling.labeller),
            "trouble": sendable(trouble),
            "said": sendable(said),
        }
