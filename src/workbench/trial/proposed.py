"""A task that somebody or something proposes, with what its reader has to know before it is kept."""

from __future__ import annotations

from dataclasses import dataclass, replace

from workbench.trial.task import Task


@dataclass(frozen=True, kw_only=True)
class ProposedTask:
    """One task to keep, to edit or to leave out."""

    task: Task
    remark: str = ""
    """Where it is from and what was left out of it; stands above it as a comment in a task file."""
    is_draft: bool = False
    """Whether nobody has said it like this, and somebody has to edit it."""

    def with_id(self, task_id: str) -> ProposedTask:
        return replace(self, task=replace(self.task, id=task_id))
