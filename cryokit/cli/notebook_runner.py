"""Run the notebooks with other parameters, keep what they measured, and keep their two forms equal.

Every notebook exists twice in the folder `notebooks`: ``NAME.py`` is the source (jupytext's percent format: it can be
read, compared and linted like any other code), ``NAME.ipynb`` is generated from it by `sync` and never edited by hand.
Both are without outputs.

What a notebook has to keep to:

- One cell is tagged ``parameters`` and assigns plain values to names. `run` puts a cell with other values behind it. A
  name that this cell does not assign is an error: papermill alone would only warn, and run the notebook as it is.
- The parameter ``profile`` is ``"quick"`` (a minute, for tests and a first look) or ``"full"``.
- Files go to the folder of the parameter ``output_dir``, if there is one; `run` sets it to its own output folder.
- Results that a test or a report needs are given to `record`, and read from the executed notebook by `recorded`.

The kernel runs under the Python that calls `run`, in the working folder of the caller, so relative paths among the
parameters mean what they mean on the command line.
"""

from __future__ import annotations

import ast
import contextlib
import difflib
import hashlib
import json
import logging
import math
import os
import tempfile
from collections.abc import Iterable, Mapping
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryokit._util.files import replacing, write_text
from cryokit._util.resources import folder
from cryokit.errors import NotebookError

if TYPE_CHECKING:
    from nbformat import NotebookNode
    from papermill import PapermillExecutionError

logger = logging.getLogger(__name__)

PROFILES = ("quick", "full")
RECORD_TYPE = "application/vnd.cryokit.record+json"


def available() -> tuple[str, ...]:
    """Return the names of the notebooks, in their order of reading.

    Examples
    --------
    >>> available()[0]
    '00_micrographs_and_picks'
    """
    return tuple(sorted(path.stem for path in folder("notebooks").glob("*.py")))


def find(name: str | os.PathLike) -> Path:
    """Return the file of a notebook.

    Parameters
    ----------
    name : str or path-like
        One of `available`, a beginning that only one of them has (``"00"``), or the path of a ``.py`` (percent format)
        or ``.ipynb`` file.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    NotebookError
        When nothing, or more than one notebook, has this name.
    """
    path = Path(name)
    if path.suffix in (".py", ".ipynb") and path.is_file():
        return path
    known = available()
    matches = [other for other in known if other == str(name)] or [
        other for other in known if other.startswith(str(name))
    ]
    if len(matches) == 1:
        return folder("notebooks") / f"{matches[0]}.py"
    if matches:
        raise NotebookError(f"{name} is the beginning of several notebooks: {', '.join(matches)}")
    raise NotebookError(
        f"there is no notebook {str(name)!r}{_close(str(name), known)}; notebooks: {', '.join(known) or 'none'}"
    )


def load(path: str | os.PathLike) -> NotebookNode:
    """Read a notebook, without its outputs.

    The same source gives the same notebook, cell identifiers included: an identifier is made from the cell's text,
    so adding a cell leaves those of the others as they are.

    Parameters
    ----------
    path : path-like
        ``.py`` in jupytext's percent format, or ``.ipynb``.

    Returns
    -------
    nbformat.NotebookNode
        Format 4.5.

    Raises
    ------
    NotebookError
        When the file cannot be read as a notebook.
    """
    import jupytext
    import nbformat

    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        source = nbformat.reads(text, 4) if path.suffix == ".ipynb" else jupytext.reads(text, fmt="py:percent")
    except (OSError, ValueError, nbformat.reader.NotJSONError) as error:
        raise NotebookError(f"{path}: not a notebook that can be read ({error})") from error
    makers = {
        "code": nbformat.v4.new_code_cell,
        "markdown": nbformat.v4.new_markdown_cell,
        "raw": nbformat.v4.new_raw_cell,
    }
    cells, seen = [], set()
    for cell in source.cells:
        identifier, repeat = "", 0
        while not identifier or identifier in seen:
            text = f"{cell.cell_type} {repeat} {cell.source}"
            identifier = hashlib.sha256(text.encode()).hexdigest()[:8]
            repeat += 1
        seen.add(identifier)
        tags = cell.metadata.get("tags")
        metadata = {"tags": list(tags)} if tags else {}
        cells.append(makers[cell.cell_type](cell.source, id=identifier, metadata=metadata))
    notebook = nbformat.v4.new_notebook(
        cells=cells,
        metadata={
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
    )
    notebook.nbformat_minor = 5
    return notebook


def title(notebook: NotebookNode) -> str:
    """Return the text of the notebook's first heading, or an empty string."""
    for cell in notebook.cells:
        for line in cell.source.splitlines() if cell.cell_type == "markdown" else ():
            if line.startswith("#"):
                return line.lstrip("#").strip()
    return ""


def parameters(notebook: NotebookNode) -> dict[str, Any]:
    """Return the parameters of a notebook with their defaults.

    Parameters
    ----------
    notebook : nbformat.NotebookNode

    Returns
    -------
    dict
        Name to default, in the order of the cell tagged ``parameters``. ``...`` (Ellipsis) stands for a default that is
        an expression, not a plain value.

    Raises
    ------
    NotebookError
        When there is not exactly one cell with that tag, or its code does not parse.
    """
    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ())]
    if len(cells) != 1:
        raise NotebookError(f"a notebook needs exactly one cell tagged 'parameters'; this one has {len(cells)}")
    try:
        statements = ast.parse(cells[0].source).body
    except SyntaxError as error:
        raise NotebookError(f"the cell tagged 'parameters' does not parse: {error}") from error
    found = {}
    for statement in statements:
        if isinstance(statement, ast.Assign):
            targets = statement.targets
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets = [statement.target]
        else:
            continue
        for target in targets:
            if isinstance(target, ast.Name):
                try:
                    found[target.id] = ast.literal_eval(statement.value)
                except ValueError:
                    found[target.id] = ...
    return found


def check(
    name: str | os.PathLike, given: Mapping[str, Any] | None = None, profile: str = "quick"
) -> tuple[NotebookNode, dict[str, Any]]:
    """Find a notebook and make the values that it is to be run with, without running it.

    Parameters
    ----------
    name : str or path-like
        As for `find`.
    given : mapping, optional
        Parameter to value. A string for a parameter whose default is not a string is read as YAML, so the words of a
        command line can be passed as they are. A whole number may stand for a float, and a float without a fraction for
        a whole number; otherwise the type is that of the default.
    profile : {"quick", "full"}

    Returns
    -------
    notebook : nbformat.NotebookNode
    values : dict
        `profile` included.

    Raises
    ------
    NotebookError
        For an unknown notebook, profile or parameter (with the known ones and the nearest), or a value of another type.
    """
    path = find(name)
    notebook = load(path)
    if profile not in PROFILES:
        raise NotebookError(f"there is no profile {profile!r}; profiles: {', '.join(PROFILES)}")
    try:
        known = parameters(notebook)
    except NotebookError as error:
        raise NotebookError(f"{path}: {error}") from error
    if "profile" not in known:
        raise NotebookError(f"{path}: the cell tagged 'parameters' has no profile = {PROFILES[0]!r}")
    given = dict(given or {})
    unknown = [key for key in given if key not in known]
    if unknown:
        raise NotebookError(
            f"notebook {path.stem} has no parameter {', '.join(map(repr, unknown))}{_close(unknown[0], known)};"
            f" parameters: {', '.join(known)}"
        )
    if "profile" in given:
        raise NotebookError("the profile is not given among the parameters: choose it with profile= or --profile")
    values = {key: _value(f"notebook {path.stem}, parameter {key}", value, known[key]) for key, value in given.items()}
    return notebook, {"profile": profile, **values}


def run(
    name: str | os.PathLike,
    given: Mapping[str, Any] | None = None,
    *,
    profile: str = "quick",
    out: str | os.PathLike = "out/notebooks",
    progress: bool = False,
) -> Path:
    """Execute a notebook from its first cell to its last.

    Written are ``OUT/NAME.ipynb`` and ``OUT/NAME.html``, with outputs; the second needs no network to be looked at.
    Files that the notebook itself writes go to ``OUT/NAME`` (its parameter ``output_dir``, where it has one).

    Parameters
    ----------
    name : str or path-like
        As for `find`.
    given : mapping, optional
        Parameter to value, as for `check`.
    profile : {"quick", "full"}
    out : path-like
        The folder to write to; it is made.
    progress : bool
        Show a progress bar.

    Returns
    -------
    pathlib.Path
        The executed ``.ipynb``.

    Raises
    ------
    NotebookError
        As `check`; or when a cell fails, with its number, its source and its traceback. Both files are written then,
        too, as far as the notebook got.
    """
    import nbformat
    import papermill

    path = find(name)
    notebook, values = check(path, given, profile)
    out = Path(out)
    executed = out / f"{path.stem}.ipynb"
    if "output_dir" in parameters(notebook):
        values.setdefault("output_dir", str(out / path.stem))
    # Papermill writes while it runs and would fill in braces in a path: it gets a folder of its own.
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
                progress_bar=progress,
                kernel_manager_class=_kernel_manager(),
                # It would say each time that it talks to us over the loopback interface in plain text.
                extra_arguments=["--log-level=ERROR"],
            )
        except papermill.PapermillExecutionError as error:
            raise NotebookError(_failure(path, error, executed)) from error
        except RuntimeError as error:  # nbclient's: the kernel did not start, or died.
            raise NotebookError(
                f"{path}: {error} (out of memory, or ended by its own code?). The notebook as far as it got: {executed}"
            ) from error
        finally:
            # Whatever happened: what has been computed is kept.
            if target.is_file():
                _keep(target, executed, path)
    return executed


def sync(*, check: bool = False, where: str | os.PathLike | None = None) -> list[Path]:
    """Generate every ``.ipynb`` from its ``.py``, or say which ones are not what would be generated.

    Parameters
    ----------
    check : bool
        Change nothing.
    where : path-like, optional
        The folder; when not given, that of the notebooks and that of the benchmarks' reports. Python files without a
        cell marker are scripts, and left alone.

    Returns
    -------
    list of pathlib.Path
        The ``.ipynb`` files that were (with `check`: have to be) written, or that have no source.

    Raises
    ------
    NotebookError
        When a source cannot be read, or (without `check`) when an ``.ipynb`` has no source: it is not deleted, because
        it may be somebody's only copy.
    """
    import nbformat

    places = [folder("notebooks"), folder("benchmarks")] if where is None else [Path(where)]
    sources = [path for place in places for path in sorted(place.glob("*.py")) if _has_cells(path)]
    changed = []
    for source in sources:
        generated = source.with_suffix(".ipynb")
        text = nbformat.writes(load(source), version=4).rstrip("\n") + "\n"
        if generated.is_file() and generated.read_text(encoding="utf-8") == text:
            continue
        changed.append(generated)
        if not check:
            write_text(generated, text)
    found = {path for place in places for path in place.glob("*.ipynb")}
    orphans = sorted(found - {source.with_suffix(".ipynb") for source in sources})
    if orphans and not check:
        raise NotebookError(
            f"{', '.join(map(str, orphans))}: no source (.py) beside it; make it with "
            f"'jupytext --to py:percent {orphans[0]}', or delete the file"
        )
    return changed + orphans


def _has_cells(source: Path) -> bool:
    return any(line.startswith("# %%") for line in source.read_text(encoding="utf-8").splitlines())


def record(name: str, value: Any) -> None:
    """Keep a result in the notebook, where `recorded` finds it; it is shown as ``name = value``.

    Parameters
    ----------
    name : str
    value : number, str, bool, None, or lists and dicts of them
        NumPy scalars are fine. NaN and infinity, which JSON does not have, become None.

    Raises
    ------
    NotebookError
        When `value` is something else.
    """
    from IPython.display import display

    value = getattr(value, "item", lambda: value)() if getattr(value, "ndim", 0) == 0 else value
    if isinstance(value, float) and not math.isfinite(value):
        value = None
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise NotebookError(f"result {name!r} cannot be kept in a notebook: {error}") from error
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    display({RECORD_TYPE: {name: value}, "text/plain": f"{name} = {text}"}, raw=True)


def recorded(path: str | os.PathLike) -> dict[str, Any]:
    """Return what an executed notebook gave to `record`; of a name recorded twice, the last value.

    Parameters
    ----------
    path : path-like
        An executed ``.ipynb``.

    Returns
    -------
    dict
        Name to value.
    """
    import nbformat

    results = {}
    for cell in nbformat.read(path, 4).cells:
        for output in cell.get("outputs", ()):
            results.update(output.get("data", {}).get(RECORD_TYPE, {}))
    return results


def _value(what: str, given: Any, default: Any) -> Any:
    """Return `given` with the type of `default`."""
    import yaml

    value = given
    if isinstance(value, str) and not isinstance(default, str):
        try:
            value = yaml.safe_load(value)
        except yaml.YAMLError:
            raise NotebookError(f"{what}: {given!r} is not a value (as YAML)") from None
    if default is None or default is ...:
        return value
    if isinstance(default, bool):
        wanted, fits = "true or false", isinstance(value, bool)
    elif isinstance(default, (int, float)):
        if isinstance(value, str):  # YAML 1.1 takes 1e-3, having no dot, for text.
            with contextlib.suppress(ValueError):
                value = float(value)
        fits = isinstance(value, Real) and not isinstance(value, bool)  # Real: NumPy's numbers, too
        if isinstance(default, int):
            wanted, fits = "a whole number", fits and math.isfinite(value) and value == int(value)
        else:
            wanted = "a number"
        value = type(default)(value) if fits else value
    elif isinstance(default, (list, tuple)):
        wanted, fits = "a list, such as [1, 2]", isinstance(value, (list, tuple))
        value = list(value) if fits else value
    elif isinstance(default, dict):
        wanted, fits = "a mapping, such as {a: 1}", isinstance(value, dict)
    else:
        wanted, fits = "text", isinstance(value, str)
    if not fits:
        raise NotebookError(f"{what} wants {wanted} (default {default!r}), not {given!r}")
    return value


def _close(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=3)
    return f" (did you mean {' or '.join(close)}?)" if close else ""


def _failure(path: Path, error: PapermillExecutionError, executed: Path) -> str:
    """Tell what failed and where."""
    from papermill.exceptions import strip_color

    source = "\n".join(f"    {line}" for line in error.source.splitlines())
    traceback = strip_color("\n".join(error.traceback)).rstrip()
    return (
        f"{path}: cell In [{error.exec_count}] failed with {error.ename}: {strip_color(error.evalue)}\n\n"
        f"{source}\n\n{traceback}\n\nThe notebook as far as it got: {executed}"
    )


def _keep(target: Path, executed: Path, path: Path) -> None:
    """Move the executed notebook to its place, and write it as HTML, too."""
    import nbformat

    from cryokit.plot.notebook_html import to_html

    notebook = nbformat.read(target, 4)
    notebook.metadata.get("papermill", {}).update(input_path=str(path), output_path=str(executed))
    with replacing(executed) as temporary:
        nbformat.write(notebook, temporary)
    write_text(executed.with_suffix(".html"), to_html(notebook, name=path.stem))


def _kernel_manager() -> type:
    """Make a manager of kernels that run under this Python, whatever else is registered under the name ``python3``."""
    from jupyter_client import AsyncKernelManager
    from jupyter_client.kernelspec import KernelSpecManager
    from traitlets import default

    class ThisPython(AsyncKernelManager):
        @default("kernel_spec_manager")
        def _no_registered_kernels(self):
            # Without folders to look into, ipykernel's own description of `sys.executable` is what is left.
            return KernelSpecManager(kernel_dirs=[])

        async def start_kernel(self, **kwargs):
            # A backend chosen for scripts (often Agg, on servers) would leave the notebook without pictures.
            environment = {key: value for key, value in os.environ.items() if key != "MPLBACKEND"}
            await super().start_kernel(**{"env": environment, **kwargs})

    return ThisPython
