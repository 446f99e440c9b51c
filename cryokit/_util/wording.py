"""Wording shared by messages: numbers with nouns, and shortened lists."""

import difflib
import reprlib
from collections.abc import Iterable, Sequence


class _Repr(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother, self.maxlong = 3, 80, 120, 40

    def repr_int(self, value: int, level: int) -> str:
        # Python refuses to write more than 4300 digits.
        if value.bit_length() > 14000:
            return f"a whole number of about {round(value.bit_length() * 0.30103)} digits"
        return super().repr_int(value, level)


_REPR = _Repr()


def plural(number: int, noun: str) -> str:
    """Return a number with its noun.

    Examples
    --------
    >>> plural(1, "micrograph"), plural(0, "pick")
    ('1 micrograph', '0 picks')
    """
    return f"{number} {noun}" + ("" if number == 1 else "s")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a question for the known names that are most like an unknown one; an empty string if none is.

    Examples
    --------
    >>> did_you_mean("deepme", ["auto", "deepem", "topaz"])
    ' (did you mean deepem?)'
    """
    close = difflib.get_close_matches(name, known)
    return f" (did you mean {' or '.join(close)}?)" if close else ""


def shortened(value: object, limit: int = 80) -> str:
    """Return a value as text of at most `limit` characters: what a file holds can be of any length.

    Examples
    --------
    >>> shortened("a" * 100, 10), shortened([1] * 100)
    ('aaaaaaa...', '[1, 1, 1, 1, 1, 1, ...]')
    """
    text = value[: limit + 1] if isinstance(value, str) else shown(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def shown(value: object) -> str:
    """Return the `repr` of a value in little time and space, however long or nested the value is.

    Examples
    --------
    >>> shown("ab"), shown([1] * 100), shown(10**5000)
    ("'ab'", '[1, 1, 1, 1, 1, 1, ...]', 'a whole number of about 5000 digits')
    """
    text = _REPR.repr(value)
    return text if len(text) <= 200 else f"{text[:197]}..."


def some(names: Sequence[str], limit: int = 3) -> str:
    """Return the first `limit` names, and the number of names if that is not all.

    Examples
    --------
    >>> some(["a", "b"]), some(["a", "b", "c", "d"])
    ('a, b', 'a, b, c, ... (4 in all)')
    """
    return ", ".join(names[:limit]) + (f", ... ({len(names)} in all)" if len(names) > limit else "")
