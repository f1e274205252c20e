"""The workbench under papermill's own command: `papermill --engine workbench in.ipynb out.ipynb -p name value`.

The entry point `workbench` of the group `papermill.engine`. Papermill loads it whenever it is imported, in whatever
module it is imported first, so nothing of papermill or of ours is loaded before a notebook runs.
"""

from __future__ import annotations

from typing import Any


class WorkbenchEngine:
    """What papermill asks of an engine."""

    @classmethod
    def execute_notebook(cls, nb: Any, kernel_name: str, **options: Any) -> Any:
        """See `workbench.headless.execution.execute_for_papermill`; the kernel is always this very Python."""
        from workbench.headless.execution import execute_for_papermill

        return execute_for_papermill(nb, **options)

    @classmethod
    def nb_kernel_name(cls, nb: Any, name: str | None = None) -> str:
        return "python3"

    @classmethod
    def nb_language(cls, nb: Any, language: str | None = None) -> str:
        return "python"
