"""Settings that check themselves: dataclass fields that say which values they allow."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from cryokit._util.plain import plain
from cryokit._util.validation import check_choice, check_number


def checked(default: Any, check: Callable[[str, Any], Any]) -> Any:
    """Return a field of `Checked`.

    Parameters
    ----------
    default : object
        Default value.
    check : callable
        Called with the name of the field and a value; returns the value to store, or raises an error.
    """
    return dataclasses.field(default=default, metadata={"check": check})


def number(
    default: float | None,
    low: float,
    high: float = math.inf,
    *,
    whole: bool = False,
    above: bool = False,
    optional: bool = False,
) -> Any:
    """Return a field for a number within a range; see `cryokit._util.validation.check_number`.

    With `optional`, None is allowed, too.
    """

    def check(name: str, value: Any) -> Any:
        if optional and value is None:
            return None
        check_number(name, value, low, high, whole=whole, above=above)
        return int(value) if whole else value

    return checked(default, check)


def choice(default: Any, *choices: Any) -> Any:
    """Return a field for one of a few values."""

    def check(name: str, value: Any) -> Any:
        check_choice(name, value, choices)
        return value

    return checked(default, check)


class Checked:
    """Base class of dataclasses with fields made by `number`, `choice` or `checked`."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if "check" in field.metadata:
                value = field.metadata["check"](field.name, getattr(self, field.name))
                object.__setattr__(self, field.name, value)


class CheckedSettings(Checked):
    """Base class of frozen dataclasses with such fields that are saved as JSON.

    Examples
    --------
    >>> @dataclasses.dataclass(frozen=True)
    ... class Settings(CheckedSettings):
    ...     epochs: int = number(15, 1, whole=True)
    ...     padding: str = choice("same", "same", "valid")
    >>> Settings(epochs=3).to_dict()
    {'epochs': 3, 'padding': 'same'}
    >>> Settings(epochs=0)
    Traceback (most recent call last):
    cryokit.errors.ArgumentError: epochs must be a whole number of at least 1, not 0
    """

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON values, from which the class can be built again."""
        return plain(dataclasses.asdict(self))
