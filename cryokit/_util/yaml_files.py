"""YAML files that people write: reading one, and checking its values, so that errors name the key."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryokit._util.validation import check_number
from cryokit.errors import ArgumentError, CryokitError


def read_yaml(path: str | os.PathLike, error: type[CryokitError]) -> Any:
    """Return the content of a YAML file.

    Parameters
    ----------
    path : path-like
        File to read.
    error : type
        Class of the error to raise.

    Raises
    ------
    CryokitError
        If the file cannot be read or is not YAML; of the class `error`.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(Path(path).read_bytes(), Loader=loader)
    except OSError as problem:
        raise error(f"{path}: cannot be read ({problem.strerror or problem})") from None
    except yaml.YAMLError as problem:
        raise error(f"{path}: not valid YAML: {' '.join(str(problem).split())}") from None


@dataclass(frozen=True)
class Node:
    """A value in a YAML file and its place there.

    Every method raises an `ArgumentError` or `ArgumentTypeError` that names the key if the value is not as expected.

    Attributes
    ----------
    value : object
        Value; None stands for a key that is not there, too.
    key : str
        Place of the value, such as ``files[0].path``; empty for the whole file.
    """

    value: Any
    key: str = ""

    def check(self, valid: bool, expected: str) -> None:
        """Raise an error unless the value is valid."""
        if not valid:
            text = repr(self.value)
            raise self.error(f"expected {expected}, found {text if len(text) <= 60 else f'{text[:57]}...'}")

    def error(self, problem: str) -> ArgumentError:
        """Return an error that names the key."""
        return ArgumentError(f"{self.key}: {problem}" if self.key else problem)

    def mapping(self, required: Sequence[str] = (), optional: Sequence[str] = ()) -> dict[str, Node]:
        """Return the values of a mapping by key, also of optional keys that it does not have."""
        known = (*required, *optional)
        self.check(isinstance(self.value, dict), f"a mapping with the keys {', '.join(known)}")
        if missing := [key for key in required if key not in self.value]:
            raise self.error(f"key {missing[0]!r} is missing")
        if unknown := [key for key in self.value if key not in known]:
            raise self.error(f"unknown key {unknown[0]!r}; known are {', '.join(known)}")
        prefix = f"{self.key}." if self.key else ""
        return {key: Node(self.value.get(key), prefix + key) for key in known}

    def items(self, expected: str = "a list") -> list[Node]:
        """Return the values of a list; none if there is no list."""
        if self.value is None:
            return []
        self.check(isinstance(self.value, list), expected)
        return [Node(value, f"{self.key}[{index}]") for index, value in enumerate(self.value)]

    def text(self, expected: str = "a text", accept: Callable[[str], object] = bool) -> str:
        """Return a text that is accepted, without space around it."""
        self.check(isinstance(self.value, str) and bool(accept(self.value.strip())), expected)
        return self.value.strip()

    def optional_text(self, expected: str = "a text, or null", accept: Callable[[str], object] = bool) -> str | None:
        """Return a text that is accepted, or None."""
        return None if self.value is None else self.text(expected, accept)

    def choice(self, choices: Sequence[str]) -> str:
        """Return one of a few texts."""
        return self.text(f"one of {', '.join(choices)}", tuple(choices).__contains__)

    def flag(self, default: bool | None = None) -> bool:
        """Return true or false, the default if there is one and the key is not there."""
        value = default if self.value is None else self.value
        self.check(isinstance(value, bool), "true or false")
        return value

    def number(self, low: float = -math.inf, *, whole: bool = False, above: bool = False) -> Any:
        """Return a number within a range (see `check_number`), or None."""
        if self.value is None:
            return None
        check_number(self.key, self.value, low, whole=whole, above=above)
        return int(self.value) if whole else float(self.value)
