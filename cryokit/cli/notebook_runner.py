"""Run notebooks with other parameters, read what they recorded, and generate them from their sources.

The folder `notebooks` holds every notebook twice: ``NAME.py`` is the source (jupytext's percent format, which can be
read, compared and linted like other code), and `sync` generates ``NAME.ipynb`` from it. Both are without outputs.

Rules for a notebook:

- Exactly one cell is tagged ``parameters`` and assigns plain values to names. `run` inserts a cell with other values
  after it. A parameter that this cell does not assign is an error; papermill alone would only warn.
- The parameter ``profile`` is ``"quick"`` (a minute: tests and a first look) or ``"full"``.
- Files go to the folder in the parameter ``output_dir``, which `run` sets to a folder beside the executed notebook.
- Results for tests and reports are passed to `record`, which shows nothing; `recorded` reads them from the executed
  notebook.

The kernel runs with the Python and in the working folder of the caller, so relative paths among the parameters mean
the same as on the command line.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Collection, Mapping
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryokit._util.files import replacing, write_text
from cryokit._util.plain import plain
from cryokit._util.resources import folder
from cryokit._util.validation import check_choice
from cryokit._util.wording import did_you_mean
from cryokit.errors import ArgumentError, NotebookError

if TYPE_CHECKING:
    from nbformat import NotebookNode
    from papermill import PapermillExecutionError

PROFILES = ("quick", "full")
RECORD_TYPE = "application/vnd.cryokit.record+json"  # as in cryokit.plot.notebook_html, which hides such outputs


def available() -> tuple[str, ...]:
    """Return the names of the notebooks in reading order.

    Examples
    --------
    >>> available()[0]
    '00_micrographs_and_picks'
    """
    return tuple(sorted(path.stem for path in folder("notebooks").glob("*.py")))


def find(name: str | os.PathLike) -> Path:
    """Return the source file of a notebook.

    Parameters
    ----------
    name : str or path-like
        Name from `available`, an unambiguous beginning of one (``"00"``), or the path of a ``.py`` (percent format) or
        ``.ipynb`` file.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    ArgumentError
        If no notebook, or more than one, matches.
    """
    path = Path(name)
    if path.suffix in (".py", ".ipynb") and path.is_file():
        return path
    names = available()
    matches = [name] if name in names else [known for known in names if known.startswith(str(name))]
    if len(matches) == 1:
        return folder("notebooks") / f"{matches[0]}.py"
    if matches:
        raise ArgumentError(f"{name} is the beginning of several notebooks: {', '.join(matches)}")
    raise ArgumentError(f"no notebook {str(name)!r}{did_you_mean(str(name), names)}; notebooks: {', '.join(names)}")


def load(path: str | os.PathLike) -> NotebookNode:
    """Read a notebook without its outputs.

    Cell identifiers are made from the cells' text: the same source always gives the same notebook, and adding a cell
    leaves the identifiers of the others as they are.

    Parameters
    ----------
    path : path-like
        ``.py`` file in jupytext's percent format, or ``.ipynb`` file.

    Returns
    -------
    nbformat.NotebookNode
        Notebook in format 4.5.

    Raises
    ------
    NotebookError
        If the file cannot be read as a notebook.
    """
    import jupytext

    path = Path(path)
    try:
        notebook = jupytext.read(path, fmt="py:percent" if path.suffix == ".py" else None)
    except (OSError, ValueError) as error:
        raise NotebookError(f"{path}: cannot be read as a notebook ({error})") from error
    copies = Counter()
    for cell in notebook.cells:
        text = (cell.cell_type, cell.source)
        cell.id = hashlib.sha256(f"{cell.cell_type} {copies[text]} {cell.source}".encode()).hexdigest()[:8]
        copies[text] += 1
    return bare(notebook)


def bare(notebook: NotebookNode, kept: Collection[str] = ("tags",)) -> NotebookNode:
    """Strip a notebook, in place, of what running it adds: outputs, numbers of cells, the kernel's own metadata.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        Notebook in format 4.
    kept : collection of str
        Keys of the cells' metadata to keep.

    Returns
    -------
    nbformat.NotebookNode
        The notebook, in format 4.5, for the kernel that every installation has.
    """
    for cell in notebook.cells:
        cell.metadata = {key: value for key, value in cell.metadata.items() if key in kept}
        if cell.cell_type == "code":
            cell.update(outputs=[], execution_count=None)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    notebook.nbformat_minor = 5
    return notebook


def title(notebook: NotebookNode) -> str:
    """Return the first heading of the notebook, or an empty string."""
    for cell in notebook.cells:
        for line in cell.source.splitlines() if cell.cell_type == "markdown" else ():
            if line.startswith("#"):
                return line.lstrip("#").strip()
    return ""


def parameters(notebook: NotebookNode) -> dict[str, Any]:
    """Return the parameters of a notebook and their defaults.

    Parameters
    ----------
    notebook : nbformat.NotebookNode

    Returns
    -------
    dict
        Default by name, in the order of the cell tagged ``parameters``; ``...`` (Ellipsis) stands for a default that is
        an expression rather than a plain value.

    Raises
    ------
    NotebookError
        If not exactly one cell has that tag, or its code does not parse.
    """
    sources = [cell.source for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ())]
    if len(sources) != 1:
        raise NotebookError(f"exactly one cell must be tagged 'parameters', not {len(sources)}")
    try:
        statements = ast.parse(sources[0]).body
    except SyntaxError as error:
        raise NotebookError(f"the cell tagged 'parameters' does not parse: {error}") from error
    defaults = {}
    for statement in statements:
        if isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is not None:
            try:
                default = ast.literal_eval(statement.value)
            except ValueError:
                default = ...
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            defaults |= {target.id: default for target in targets if isinstance(target, ast.Name)}
    return defaults


def check(
    name: str | os.PathLike, given: Mapping[str, Any] | None = None, profile: str = "quick"
) -> tuple[NotebookNode, dict[str, Any]]:
    """Check the values a notebook is to be run with, without running it.

    Parameters
    ----------
    name : str or path-like
        Notebook, as in `find`.
    given : mapping, optional
        Value by parameter. A string for a parameter whose default is not a string is read as YAML, so that words of a
        command line can be passed on. A whole number may stand for a float and the other way round where nothing is
        lost; otherwise the type must be that of the default.
    profile : {"quick", "full"}
        Extent of the run.

    Returns
    -------
    notebook : nbformat.NotebookNode
        Notebook as read from its source.
    values : dict
        Value by parameter, ``profile`` included.

    Raises
    ------
    ArgumentError
        If the notebook, the profile or a parameter is unknown, or a value has the wrong type.
    NotebookError
        If the notebook's cell of parameters breaks the rules.
    """
    path = find(name)
    check_choice("profile", profile, PROFILES)
    notebook = load(path)
    try:
        defaults = parameters(notebook)
    except NotebookError as error:
        raise NotebookError(f"{path}: {error}") from error
    if "profile" not in defaults:
        raise NotebookError(f"{path}: the cell tagged 'parameters' lacks profile = {PROFILES[0]!r}")
    values = {"profile": profile}
    for key, value in (given or {}).items():
        where = f"notebook {path.stem}, parameter {key}"
        if key == "profile":
            raise ArgumentError(f"{where}: set it with profile= or --profile instead")
        if key not in defaults:
            raise ArgumentError(f"{where}: unknown{did_you_mean(key, defaults)}; parameters: {', '.join(defaults)}")
        values[key] = _value(where, value, defaults[key])
    return notebook, values


def run(
    name: str | os.PathLike,
    given: Mapping[str, Any] | None = None,
    *,
    profile: str = "quick",
    out: str | os.PathLike = "out/notebooks",
    progress: bool = False,
) -> Path:
    """Execute a notebook from the first cell to the last.

    Writes ``OUT/NAME.ipynb`` and ``OUT/NAME.html``, with outputs; the page needs no network. Files that the notebook
    itself writes go to ``OUT/NAME`` (its parameter ``output_dir``, if it has one).

    Parameters
    ----------
    name : str or path-like
        Notebook, as in `find`.
    given : mapping, optional
        Value by parameter, as in `check`.
    profile : {"quick", "full"}
        Extent of the run.
    out : path-like
        Output folder, created if missing.
    progress : bool
        Whether to show a progress bar on standard error, if that is a terminal.

    Returns
    -------
    pathlib.Path
        Executed ``.ipynb`` file.

    Raises
    ------
    ArgumentError
        If the name, the profile or a parameter is wrong, as in `check`.
    NotebookError
        If a cell fails, with its number, source and traceback. Both files are written as far as the notebook got.
    """
    import nbformat
    import papermill

    from cryokit.cli import notebook_progress

    path = find(name)
    notebook, values = check(path, given, profile)
    executed = Path(out) / f"{path.stem}.ipynb"
    if "output_dir" in parameters(notebook):
        values.setdefault("output_dir", str(executed.with_suffix("")))
    # Papermill writes while it runs and expands braces in paths, so it works in a folder of its own.
    with tempfile.TemporaryDirectory(prefix="cryokit-notebook-") as temporary:
        source, target = Path(temporary, "source.ipynb"), Path(temporary, "executed.ipynb")
        nbformat.write(notebook, source)
        try:
            papermill.execute_notebook(
                source,
                target,
                values,
                kernel_name="python3",
                language="python",
                engine_name=notebook_progress.ENGINE,
                progress_bar=notebook_progress.bar(path.stem) if progress else False,
                kernel_manager_class=_kernel_manager(),
                # Keeps the kernel from reporting each time that it talks over the loopback interface in plain text.
                extra_arguments=["--log-level=ERROR"],
            )
        except papermill.PapermillExecutionError as error:
            raise NotebookError(_failure(path, error, executed)) from error
        except RuntimeError as error:  # nbclient: the kernel did not start, or died.
            raise NotebookError(
                f"{path}: {error} (out of memory, or ended by its own code); results so far: {executed}"
            ) from error
        finally:
            if target.is_file():
                _keep(target, executed, path)
    return executed


def generate(source: str | os.PathLike) -> str:
    """Return the text of the ``.ipynb`` file, without outputs, that belongs to a source.

    Parameters
    ----------
    source : path-like
        ``.py`` file in jupytext's percent format.

    Raises
    ------
    NotebookError
        If the source cannot be read.
    """
    import jupytext

    return jupytext.writes(load(source), fmt="ipynb").rstrip("\n") + "\n"


def sync(*, check: bool = False, where: str | os.PathLike | None = None) -> list[Path]:
    """Generate every ``.ipynb`` from its ``.py``, or find those that differ from what would be generated.

    Parameters
    ----------
    check : bool
        Whether to leave all files as they are.
    where : path-like, optional
        Folder with the sources; by default the notebooks and the benchmarks' reports. Python files without a cell
        marker are scripts and left alone.

    Returns
    -------
    list of pathlib.Path
        ``.ipynb`` files written (with `check`: to be written), and those without a source.

    Raises
    ------
    NotebookError
        If a source cannot be read or, without `check`, if an ``.ipynb`` has no source: it may be the only copy, so it
        is not deleted.
    """
    folders = [folder("notebooks"), folder("benchmarks")] if where is None else [Path(where)]
    scripts = [path for place in folders for path in sorted(place.glob("*.py"))]
    sources = [path for path in scripts if re.search(r"^# %%", path.read_text(encoding="utf-8"), re.MULTILINE)]
    changed = []
    for source in sources:
        generated = source.with_suffix(".ipynb")
        text = generate(source)
        if not generated.is_file() or generated.read_text(encoding="utf-8") != text:
            changed.append(generated)
            if not check:
                write_text(generated, text)
    existing = {path for place in folders for path in place.glob("*.ipynb")}
    orphans = sorted(existing - {source.with_suffix(".ipynb") for source in sources})
    if orphans and not check:
        raise NotebookError(
            f"{', '.join(map(str, orphans))}: no source (.py) beside it; make one with "
            f"'jupytext --to py:percent {orphans[0]}', or delete the file"
        )
    return changed + orphans


def record(name: str, value: Any) -> None:
    """Keep a result in the notebook, unseen by its readers, for `recorded`.

    Parameters
    ----------
    name : str
        Name of the result.
    value : number, str, bool, None, or lists and dicts of them
        Result. NumPy's numbers and arrays are converted; NaN and infinity, which JSON lacks, become None.

    Raises
    ------
    ArgumentError
        If JSON cannot hold the value.
    """
    from IPython.display import display

    value = plain(value)
    try:
        json.dumps(value)
    except TypeError as error:
        raise ArgumentError(f"result {name!r} cannot be recorded: {error}") from error
    # An output of a type that nothing displays, as in scrapbook. What readers should know, the lesson says in words.
    display({RECORD_TYPE: {name: value}}, raw=True)


def recorded(path: str | os.PathLike) -> dict[str, Any]:
    """Return the results that an executed notebook passed to `record`.

    Parameters
    ----------
    path : path-like
        Executed ``.ipynb`` file.

    Returns
    -------
    dict
        Value by name; of a name recorded twice, the last value.
    """
    import nbformat

    results = {}
    for cell in nbformat.read(path, 4).cells:
        for output in cell.get("outputs", ()):
            results.update(output.get("data", {}).get(RECORD_TYPE, {}))
    return results


def _value(where: str, given: Any, default: Any) -> Any:
    """Return `given` as a value of the type of `default`."""
    import yaml

    value = given
    if isinstance(given, str) and not isinstance(default, str):
        with contextlib.suppress(yaml.YAMLError):
            value = yaml.safe_load(given)
    if default is None or default is ...:
        return value
    if isinstance(default, (int, float)) and not isinstance(default, bool):
        if isinstance(value, str):  # YAML 1.1 reads 1e-3, which has no dot, as text.
            with contextlib.suppress(ValueError):
                value = float(value)
        number = isinstance(value, Real) and not isinstance(value, bool)
        if number and (isinstance(default, float) or float(value).is_integer()):
            return type(default)(value)
    elif isinstance(default, (list, tuple)):
        if isinstance(value, (list, tuple)):
            return list(value)
    elif isinstance(value, type(default)):
        return value
    kind = type(default).__name__
    raise ArgumentError(f"{where} must be of the type {kind}, as its default {default!r} is, not {given!r}")


def _failure(path: Path, error: PapermillExecutionError, executed: Path) -> str:
    """Describe which cell failed and how."""
    from papermill.exceptions import strip_color

    source = "\n".join(f"    {line}" for line in error.source.splitlines())
    traceback = strip_color("\n".join(error.traceback)).rstrip()
    return (
        f"{path}: cell In [{error.exec_count}] failed with {error.ename}: {strip_color(error.evalue)}\n\n"
        f"{source}\n\n{traceback}\n\nResults so far: {executed}"
    )


def _keep(target: Path, executed: Path, path: Path) -> None:
    """Move the executed notebook to its place, and write it as HTML as well."""
    import nbformat

    from cryokit.plot.notebook_html import to_html

    notebook = nbformat.read(target, 4)
    notebook.metadata.get("papermill", {}).update(input_path=str(path), output_path=str(executed))
    with replacing(executed) as temporary:
        nbformat.write(notebook, temporary)
    write_text(executed.with_suffix(".html"), to_html(notebook, name=path.stem))


def _kernel_manager() -> type:
    """Make a kernel manager that runs this Python, whatever else is registered under the name ``python3``."""
    from jupyter_client import AsyncKernelManager
    from jupyter_client.kernelspec import KernelSpecManager
    from traitlets import default

    class ThisPython(AsyncKernelManager):
        @default("kernel_spec_manager")
        def _no_registered_kernels(self):
            # Without folders to search, only ipykernel's own description of `sys.executable` is left.
            return KernelSpecManager(kernel_dirs=[])

        async def start_kernel(self, **kwargs):
            # A backend set for scripts (often Agg, on servers) would leave the notebook without pictures.
            environment = {key: value for key, value in os.environ.items() if key != "MPLBACKEND"}
            await super().start_kernel(**{"env": environment, **kwargs})

    return ThisPython
