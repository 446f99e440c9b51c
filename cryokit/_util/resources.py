"""Folders of files that come with cryokit but are not Python."""

from pathlib import Path

from cryokit._util.validation import check_choice
from cryokit.errors import CryokitError

# What the folders are called inside an installed package (pyproject.toml puts them there).
_INSTALLED = {"data_manifests": "data_manifests", "notebooks": "notebook_sources", "benchmarks": "benchmark_sources"}


def folder(name: str) -> Path:
    """Return a folder that comes with cryokit.

    An installed package has its own copy; an editable install uses the folder at the root of the repository.

    Parameters
    ----------
    name : {"data_manifests", "notebooks", "benchmarks"}
        Name of the folder in the repository.

    Raises
    ------
    ArgumentError
        If there is no such folder.
    CryokitError
        If the installation is incomplete.

    Examples
    --------
    >>> (folder("data_manifests") / "klh.yaml").is_file()
    True
    """
    check_choice("name", name, _INSTALLED)
    package = Path(__file__).resolve().parents[1]
    installed = package / _INSTALLED[name]
    if installed.is_dir():
        return installed
    repository = package.parent
    # Without this check a folder of the same name in site-packages could be taken for ours.
    if (repository / "pyproject.toml").is_file() and (repository / name).is_dir():
        return repository / name
    raise CryokitError(f"the folder {name} is missing from this installation ({package}); install cryokit again")
