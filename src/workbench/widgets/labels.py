"""`LabelPanel` and `ChoicePanel`: replies to be labelled, or chosen between, by a person: blind, by keyboard alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.judging.choosing import Choosing
from workbench.judging.labelling import Labelling
from workbench.markup import counted, html, markdown_text
from workbench.widgets.frame import bundle, frame

if TYPE_CHECKING:
    import ipywidgets

_PAGE = "<p>{{ line }}</p>"


class _Panel(Labelling):
    """A person at replies, in a notebook; without a kernel, how far it came is left as a line."""

    _view: ipywidgets.Widget | None = None

    def _title(self) -> str:
        return f"Label replies: {self.rubric.name}"

    def _open_view(self) -> ipywidgets.Widget:
        from workbench.widgets.label_view import LabelView

        if self._view is None:
            self._view = frame(self._title(), LabelView(self))
        return self._view

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, Any]:
        line = repr(self)
        return bundle(page=str(html(_PAGE, line=line)), markdown=markdown_text(line), text=line, view=self._open_view)


class LabelPanel(_Panel):
    """Replies of a run to be labelled by a rubric, in a notebook. What a key does is a method of `Labelling`.

    Number keys give a level of the criterion that has the focus, 0 says "cannot tell", the arrows and U (undo) do the
    rest; each label is on disk before the next reply is shown. Without a kernel, how far it came is left as a line.
    """

    def __repr__(self) -> str:
        done = f"{self.done} of {counted(len(self.items), 'reply', 'replies')} labelled by {self.labeller}"
        return f"{done} ({self.rubric.name}), in {self.path.name}"


class ChoicePanel(_Panel, Choosing):
    """Two replies to the same task side by side, in a notebook, for a person to choose between, blind.

    The key 1 takes the first, 2 the second, 0 says that neither is better; the arrows and U (take back) do the rest.
    Each choice is on disk before the next pair is shown. `result()` says what came of it.
    """

    def _title(self) -> str:
        return "Choose between two replies"

    def __repr__(self) -> str:
        return (
            f"{self.done} of {counted(len(self.items), 'pair')} chosen between by {self.labeller}, in {self.path.name}"
        )
