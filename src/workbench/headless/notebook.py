"""A notebook without a browser: run by papermill, left as a notebook and a page fit to be handed on.

What is left carries no key, no widget state and no folder of this machine.
"""

from __future__ import annotations

import copy
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import papermill
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, NotebookExecutionManager, papermill_engines
from papermill.exceptions import PapermillExecutionError
from traitlets import default

from workbench.definition.project import project_folder
from workbench.errors import FileError, NotebookFailed, ParameterError
from workbench.headless.page import html_page
from workbench.headless.parameters import check_parameters, declared_parameters
from workbench.headless.secrets import without_keys

HEADLESS = "WORKBENCH_HEADLESS"
"""Set to "1" in the kernel of a notebook that runs here, so that views show tables instead of widgets."""

_WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
_RECORD_FILE = "run.json"


@dataclass(frozen=True, kw_only=True)
class NotebookRun:
    """What running a notebook left behind."""

    notebook: Path
    """The executed notebook, without widget state."""
    page: Path
    """The same as one HTML file that needs nothing else."""
    record: Path | None
    """The folder with the recorded run; `None` where the notebook recorded none."""
    verdict: str | None
    """What the cell tagged `verdict` printed; `None` where there is no such cell."""
    seconds: float


def run_notebook(
    notebook: str | Path,
    *,
    out: str | Path,
    parameters: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> NotebookRun:
    """Run a notebook from top to bottom and leave `<name>.ipynb` and `<name>.html` in the folder `out`.

    The kernel is this very Python, started in the project folder of the working directory (see
    `project_folder`), with WORKBENCH_HEADLESS=1. A notebook that declares a parameter `out` is given the
    folder, so that its record lies there too. `progress` draws a bar on a terminal, one step a cell.

    Raises:
        ParameterError: A parameter is unknown, of the wrong type, or looks like a key. Nothing was started.
        NotebookFailed: A cell raised or the kernel died. What ran is saved in `out`.
        FileError: The notebook cannot be read, or the folder not written.
    """
    source, folder = Path(notebook), Path(out)
    document = load_notebook(source)
    declared = declared_parameters(document)
    values = check_parameters(declared, parameters or {}, notebook=source)
    if "out" in values:
        raise ParameterError(f"{source}: give the folder as `out`, not as a parameter: {values['out']!r}")
    project = project_folder()
    if "out" in declared:
        values["out"] = _seen_from(project, folder)

    started = time.monotonic()
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f"{source.stem}.partial.ipynb"
        try:
            _execute(document, partial, values, project=project, progress=progress)
        except (PapermillExecutionError, DeadKernelError) as error:
            _publish(partial, folder, source.stem, project=project)
            raise NotebookFailed(
                f"{source}: {without_keys(_reason(error))}\n"
                f"What ran before it is saved in {folder / f'{source.stem}.ipynb'}"
            ) from error
        except KeyboardInterrupt:
            _publish(partial, folder, source.stem, project=project)
            raise
        executed = _publish(partial, folder, source.stem, project=project)
    return NotebookRun(
        notebook=folder / f"{source.stem}.ipynb",
        page=folder / f"{source.stem}.html",
        record=folder if "out" in declared and (folder / _RECORD_FILE).exists() else None,
        verdict=_printed_by(executed, tag="verdict"),
        seconds=time.monotonic() - started,
    )


def load_notebook(path: str | Path) -> NotebookNode:
    """A notebook file, upgraded to format 4, for a kernel of this Python whatever kernel it names.

    Raises:
        FileError: There is no such file, or it is not a notebook.
    """
    try:
        document: NotebookNode = nbformat.read(path, as_version=4)
    except OSError as error:
        raise FileError(f"cannot be read: {error.strerror}", path=path) from error
    except (ValueError, TypeError, KeyError, AttributeError, nbformat.ValidationError) as error:
        raise FileError("is not a Jupyter notebook (.ipynb)", path=path) from error
    document.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
    }
    document.metadata["language_info"] = {"name": "python"}
    return document


class _Kernel(AsyncKernelManager):
    """Starts the interpreter that runs this code, even where no or another "python3" kernel is installed."""

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(resource_dir="", env={HEADLESS: "1"}, **get_kernel_dict())

    @default("transport_encryption")
    def _encrypt(self) -> str:
        return "auto"  # in the clear, the kernel would print a warning at each start


class _Client(PapermillNotebookClient):  # type: ignore[misc]  # papermill has no types
    """Shows behind the bar what a cell updates in place, such as how far its trials are."""

    def process_message(self, msg: Mapping[str, Any], cell: NotebookNode, cell_index: int) -> Any:
        bar = self.nb_man.pbar
        if bar and msg["msg_type"] == "execute_input":
            bar.set_postfix_str("")
        elif bar and msg["msg_type"] == "update_display_data":
            bar.set_postfix_str(msg["content"]["data"].get("text/plain", "").partition("\n")[0])
        return super().process_message(msg, cell, cell_index)


class _Engine(NBClientEngine):  # type: ignore[misc]  # papermill has no types
    @classmethod
    def execute_managed_notebook(
        cls, nb_man: NotebookExecutionManager, kernel_name: str, *, folder: str, **options: Any
    ) -> None:
        _Client(
            nb_man,
            kernel_manager_class=_Kernel,
            kernel_name=kernel_name,
            startup_timeout=options["start_timeout"],
            timeout=None,
            store_widget_state=False,
            resources={"metadata": {"path": folder}},
        ).execute()


def _execute(
    document: NotebookNode, partial: Path, values: Mapping[str, Any], *, project: Path, progress: bool
) -> None:
    """Run the notebook; `partial` holds it as far as it got, after every cell."""
    papermill_engines.register("workbench", _Engine)
    papermill.execute_notebook(
        copy.deepcopy(document),
        str(partial).replace("{", "{{").replace("}", "}}"),  # papermill formats its paths
        parameters=dict(values),
        engine_name="workbench",
        progress_bar={
            "desc": partial.name.removesuffix(".partial.ipynb"),
            "disable": None if progress else True,
        },
        folder=str(project),
    )


def _publish(partial: Path, folder: Path, name: str, *, project: Path) -> NotebookNode:
    """Turn what papermill left into the notebook and the page for others; both appear whole or not at all."""
    executed = _for_others(nbformat.read(partial, as_version=4), _names_of_places(folder, project))
    for target, text in (
        (folder / f"{name}.ipynb", nbformat.writes(executed) + "\n"),
        (folder / f"{name}.html", html_page(executed, title=name)),
    ):
        unfinished = target.with_name(f"{target.name}.unfinished")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(target)
    partial.unlink()
    return executed


def _for_others(document: NotebookNode, names_of_places: Mapping[str, str]) -> NotebookNode:
    """The executed notebook without what belongs to this machine or needs a kernel."""
    parameters = document.metadata.get("papermill", {}).get("parameters", {})
    document.metadata.pop("widgets", None)
    document.metadata["papermill"] = {"parameters": parameters}
    for cell in document.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell["id"] = "injected-parameters"  # the same at every run, so that two runs can be compared by diff
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                output["text"] = _as_a_terminal_ends(output["text"])
            for kind in (_WIDGET_VIEW, "application/javascript"):
                output.get("data", {}).pop(kind, None)
        if "outputs" in cell:
            cell["outputs"] = [output for output in cell.outputs if output.get("data") != {}]
    cleaned: NotebookNode = nbformat.from_dict(_in_texts(document, names_of_places))
    return cleaned


def _in_texts(value: Any, names_of_places: Mapping[str, str]) -> Any:
    """The same value, with keys taken out of every text and the places of this machine given other names."""
    if isinstance(value, Mapping):
        return {key: _in_texts(item, names_of_places) for key, item in value.items()}
    if isinstance(value, list):
        return [_in_texts(item, names_of_places) for item in value]
    if not isinstance(value, str):
        return value
    for place, name in names_of_places.items():
        value = re.sub(rf"{re.escape(place)}(?![\w-])", name.replace("\\", r"\\"), value)
    return without_keys(value)


def _names_of_places(folder: Path, project: Path) -> dict[str, str]:
    """What to call the folders of this machine, the innermost first; a root keeps its name."""
    places = {
        folder.resolve(): _seen_from(project, folder, otherwise=folder.name),
        project: ".",
        Path.home(): "~",
    }
    return {str(place): name for place, name in places.items() if place != Path(place.anchor)}


def _seen_from(project: Path, folder: Path, *, otherwise: str | None = None) -> str:
    absolute = folder.resolve()
    if absolute.is_relative_to(project):
        return absolute.relative_to(project).as_posix()
    return str(absolute) if otherwise is None else otherwise


def _as_a_terminal_ends(text: str) -> str:
    """The text as it stands on a terminal in the end: what a carriage return went back over is gone."""
    return "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n"))


def _printed_by(document: NotebookNode, *, tag: str) -> str | None:
    """What the first cell with this tag printed or showed as text."""
    for cell in document.cells:
        if tag in cell.metadata.get("tags", []):
            texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs]
            return "".join(texts).strip() or None
    return None


def _reason(error: PapermillExecutionError | DeadKernelError) -> str:
    if isinstance(error, DeadKernelError):
        return "the kernel died"
    return f"In [{error.exec_count}] raised {error.ename}: {error.evalue}"


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FileError(f"cannot be written: {error.strerror}", path=error.filename or folder) from error
