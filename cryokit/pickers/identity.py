"""What a picker's work depends on besides its settings: its code, if it is not cryokit's own, and files it is given."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryokit.datasets.integrity import sha256
from cryokit.pickers.registry import picker_class


def code(method: str | None) -> str | None:
    """Return a hash of the code of a picker of your own; None for a method that has a name: its code has a version."""
    return sha256(Path(inspect.getfile(picker_class(method)))) if ":" in (method or "") else None


def files(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return hashes of the files that settings name, by the names of the settings."""
    texts = {name: value for name, value in settings.items() if isinstance(value, str) and value}
    return {name: sha256(Path(value)) for name, value in texts.items() if Path(value).is_file()}


def saved(path: Path) -> str:
    """Return a hash of a saved picker, a file or a folder."""
    if path.is_file():
        return sha256(path)
    inner = sorted(file for file in path.rglob("*") if file.is_file())
    return " ".join(f"{file.relative_to(path).as_posix()}:{sha256(file)}" for file in inner)
