"""Where the files that come with cryokit, but are not Python, lie."""

from __future__ import annotations

from pathlib import Path

from cryokit.errors import CryokitError

# name -> what the folder is called inside an installed package (pyproject.toml puts it there).
_INSTALLED = {
    "data_manifests": "data_manifests",
    "notebooks": "notebook_sources",
    "benchmarks": "benchmark_sources",
}


def folder(name: str) -> Path:
    """Return a folder that comes with cryokit.

    An installed package has its own copy; an editable install uses the folder at the root of the repository.

    Parameters
    ----------
    name : {"data_manifests", "notebooks", "benchmarks"}

    Returns
    -------
    pathlib.Path
        A folder that exists.

    Raises
    ------
    CryokitError
        When the name is unknown, or the installation is incomplete.

    Examples
    --------
    >>> (folder("data_manifests") / "klh.yaml").is_file()
    True
    """
    if name not in _INSTALLED:
        raise CryokitError(f"there is no folder {name!r} in cryokit; there are: {', '.join(_INSTALLED)}")
    package = Path(__file__).resolve().parents[1]
    installed = package / _INSTALLED[name]
    if installed.is_dir():
        return installed
    repository = package.parent
    # Without this check a folder of the same name in site-packages could be taken for ours.
    if (repository / "pyproject.toml").is_file() and (repository / name).is_dir():
        return repository / name
    raise CryokitError(f"the folder {name} is missing from this installation ({package}); install cryokit again")
