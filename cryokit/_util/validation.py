"""Checks of arguments: one line that names the argument, what it was, and what it may be."""

import math
import numbers
from collections.abc import Iterable
from typing import Any

from cryokit._util.wording import shown
from cryokit.errors import ArgumentError, ArgumentTypeError


def check_number(
    name: str, value: Any, low: float = -math.inf, high: float = math.inf, *, whole: bool = False, above: bool = False
) -> None:
    """Check that an argument is a finite number within a range.

    Parameters
    ----------
    name : str
        Name of the argument, for the message.
    value : object
        Value to check; booleans are not numbers.
    low, high : float
        Smallest and largest allowed value.
    whole : bool
        Whether the number has to be whole (2.0 is).
    above : bool
        Whether the number has to be above `low`, rather than at least `low`.

    Raises
    ------
    ArgumentTypeError
        If the value is not a number.
    ArgumentError
        If it is NaN, infinite, outside the range or not whole.

    Examples
    --------
    >>> check_number("margin", 0.5, 0, 2)
    >>> check_number("seed", -1, 0, whole=True)
    Traceback (most recent call last):
    cryokit.errors.ArgumentError: seed must be a whole number of at least 0, not -1
    """
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise ArgumentTypeError(f"{name} must be {_allowed(low, high, whole, above)}, not {shown(value)}")
    too_low = value <= low if above else value < low
    if not _is_finite(value) or too_low or value > high or (whole and int(value) != value):
        raise ArgumentError(f"{name} must be {_allowed(low, high, whole, above)}, not {shown(value)}")


def check_choice(name: str, value: Any, choices: Iterable[Any]) -> None:
    """Check that an argument is one of a few values.

    Parameters
    ----------
    name : str
        Name of the argument, for the message.
    value : object
        Value to check.
    choices : iterable
        Allowed values.

    Raises
    ------
    ArgumentError
        If the value is none of them.

    Examples
    --------
    >>> check_choice("contrast", "grey", ("dark", "bright"))
    Traceback (most recent call last):
    cryokit.errors.ArgumentError: contrast must be 'dark' or 'bright', not 'grey'
    """
    choices = list(choices)
    if not any(value is choice or (type(value) is type(choice) and value == choice) for choice in choices):
        *most, last = map(repr, choices)
        allowed = f"{', '.join(most)} or {last}" if most else last
        raise ArgumentError(f"{name} must be {allowed}, not {shown(value)}")


def check_picture(name: str, picture: Any, *, empty: bool = False) -> Any:
    """Return an argument as an array of rows and columns of real numbers.

    Parameters
    ----------
    name : str
        Name of the argument, for the message.
    picture : array_like
        Array to check; booleans are real numbers here.
    empty : bool
        Whether it may have no pixel.

    Returns
    -------
    ndarray, shape (rows, columns)

    Raises
    ------
    ArgumentError
        If it has another number of dimensions, no pixel, or pixels that are not real numbers.
    """
    import numpy as np

    array = np.asarray(picture)
    if array.ndim != 2 or not (array.size or empty):
        raise ArgumentError(f"{name} must have rows and columns, not the shape {array.shape}")
    if array.dtype.kind not in "biuf":
        raise ArgumentError(f"{name} must be of real numbers, not of {array.dtype}")
    return array


def _is_finite(value: numbers.Real) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond the range of floats
        return False


def _allowed(low: float, high: float, whole: bool, above: bool) -> str:
    number = "a whole number" if whole else "a number"
    if math.isfinite(low) and math.isfinite(high):
        return f"{number} above {low:g} and at most {high:g}" if above else f"{number} from {low:g} to {high:g}"
    if math.isfinite(low):
        return f"{number} {'above' if above else 'of at least'} {low:g}"
    return f"{number} of at most {high:g}" if math.isfinite(high) else f"a finite {number[2:]}"
