"""YAML files that people write: reading one, and checking its values, so that errors name the key."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryokit._util.files import read_bytes
from cryokit._util.validation import check_number
from cryokit._util.wording import shortened, shown
from cryokit.errors import ArgumentError, CryokitError

if TYPE_CHECKING:
    import yaml

LARGEST = 1 << 26  # bytes of a file
DEEPEST = 50  # lists or mappings within each other
MOST_REPEATED = 100_000  # values that aliases stand for, all together


def read_yaml(path: str | os.PathLike, error: type[CryokitError]) -> Any:
    """Return the content of a YAML file.

    A few bytes of aliases can stand for gigabytes, so that they are limited, and so is nesting.

    Parameters
    ----------
    path : path-like
        File to read.
    error : type
        Class of the error to raise.

    Raises
    ------
    CryokitError
        If the file cannot be read, is not YAML, is larger than `LARGEST`, nested deeper than `DEEPEST`, or has
        aliases for more than `MOST_REPEATED` values; of the class `error`.
    """
    import yaml

    data = read_bytes(path, error, "a YAML file", LARGEST)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        too_much = _too_much(yaml.parse(data, Loader=loader))
        content = None if too_much else yaml.load(data, Loader=loader)
    except yaml.YAMLError as problem:
        raise error(f"{path}: not valid YAML: {shortened(' '.join(str(problem).split()), 300)}") from None
    except Exception as problem:  # of many kinds, from what PyYAML takes for dates or numbers: 2001-99-99, !!int x
        reason = f"a value is not what YAML takes it for ({shortened(str(problem))}); put it in quotes"
        raise error(f"{path}: {reason}") from None
    if too_much:
        raise error(f"{path}: {too_much}")
    return content


def _too_much(events: Iterable[yaml.Event]) -> str | None:
    """Say where a YAML file is nested too deep or repeats too much by aliases; None if it does not."""
    from yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, ScalarEvent

    sizes: dict[str, int] = {}  # of the values with an anchor
    open_values: list[tuple[str | None, int]] = []  # anchor, and values before it
    values = repeated = 0
    for event in events:
        line = event.start_mark.line + 1
        if isinstance(event, AliasEvent):
            if event.anchor not in sizes:
                return f"line {line}: the alias *{shortened(event.anchor)} stands for what it is in, or for nothing"
            values += sizes[event.anchor]
            repeated += sizes[event.anchor]
        elif isinstance(event, ScalarEvent | CollectionStartEvent):
            values += 1
            if isinstance(event, CollectionStartEvent):
                open_values.append((event.anchor, values - 1))
            elif event.anchor:
                sizes[event.anchor] = 1
        elif isinstance(event, CollectionEndEvent):
            anchor, before = open_values.pop()
            if anchor:
                sizes[anchor] = values - before
        if repeated > MOST_REPEATED:
            return f"line {line}: aliases stand for more than {MOST_REPEATED} values; write out what is needed"
        if len(open_values) > DEEPEST:
            return f"line {line}: lists within lists, more than {DEEPEST} deep"
    return None


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
            raise self.error(f"expected {expected}, found {shortened(shown(self.value), 60)}")

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
            raise self.error(f"unknown key {shown(unknown[0])}; known are {', '.join(known)}")
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
