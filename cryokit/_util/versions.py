"""Versions of what results are computed with."""

import platform
from importlib.metadata import PackageNotFoundError, version

from cryokit import __version__

PACKAGES = ("numpy", "scipy", "pandas", "scikit-image", "scikit-learn", "keras")


def versions() -> dict[str, str]:
    """Return the versions of cryokit, Python and the installed `PACKAGES`.

    Examples
    --------
    >>> list(versions())[:3]
    ['cryokit', 'python', 'numpy']
    """
    found = {"cryokit": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
