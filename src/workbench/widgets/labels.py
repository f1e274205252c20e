"""`LabelPanel` and `ChoicePanel`: replies to be labelled, or chosen between, by a person: blind, by keyboard alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.judging.choosing import Choosing
from workbench.judging.labelling import Labelling
from workbench.markup import counted, html, markdown_text
from workbench.widgets.frame import bundle, frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    import ipywidgets

    from workbench.trial.rubric import Rubric
    from workbench.trial.trial import Run

_PAGE = "<p>{{ line }}</p>"


class LabelPanel(Labelling):
    """Replies of a run to be labelled by a rubric, in a notebook. What a key does is a method of `Labelling`.

    Number keys give a level of the criterion that has the focus, 0 says "cannot tell", the arrows and U (undo) do the
    rest; each label is on disk before the next reply is shown. Without a kernel, how far it came is left as a line.
    """

    def __init__(
        self,
        run: Run,
        rubric: Rubric,
        *,
        path: str | Path,
        labeller: str,
        seed: int = 0,
        next_of: str | None = None,
    ) -> None:
        """As `Labelling`."""
        super().__init__(run, rubric, path=path, labeller=labeller, seed=seed, next_of=next_of)
        self._view: ipywidgets.Widget | None = None

    def _open_view(self) -> ipywidgets.Widget:
        from workbench.widgets.label_view import LabelView

        if self._view is None:
            self._view = frame(f"Label replies: {self.rubric.name}", LabelView(self))
        return self._view

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, Any]:
        line = repr(self)
        return bundle(page=str(html(_PAGE, line=line)), markdown=markdown_text(line), text=line, view=self._open_view)

    def __repr__(self) -> str:
        done = f"{self.done} of {counted(len(self.items), 'reply', 'replies')} labelled by {self.labeller}"
        return f"{done} ({self.rubric.name}), in {self.path.name}"


class ChoicePanel(Choosing):
    """Two replies to the same task side by side, in a notebook, for a person to choose between, blind.

    The key 1 takes the first, 2 the second, 0 says that neither is better; the arrows and U (take back) do the rest.
    Each choice is on disk before the next pair is shown. `result()` says what came of it.
    """

    def __init__(
        self, run: Run, *, path: str | Path, labeller: str, variants: Sequence[str] | None = None, seed: int = 0
    ) -> None:
        """As `Choosing`."""
        super().__init__(run, path=path, labeller=labeller, variants=variants, seed=seed)
        self._view: ipywidgets.Widget | None = None

    def _open_view(self) -> ipywidgets.Widget:
        from workbench.widgets.label_view import LabelView

        if self._view is None:
            self._view = frame("Choose between two replies", LabelView(self))
        return self._view

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, Any]:
        line = repr(self)
        return bundle(page=str(html(_PAGE, line=line)), markdown=markdown_text(line), text=line, view=self._open_view)

    def __repr__(self) -> str:
        return (
            f"{self.done} of {counted(len(self.items), 'pair')} chosen between by {self.labeller}, in {self.path.name}"
        )
