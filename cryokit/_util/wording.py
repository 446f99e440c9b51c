"""Wording shared by messages: numbers with nouns, and shortened lists."""

import difflib
import reprlib
from collections.abc import Iterable, Sequence


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

    Of a text only the part that is shown is looked at, and of what is nested as little as `reprlib` does.

    Examples
    --------
    >>> shortened("a" * 100, 10), shortened([1] * 100)
    ('aaaaaaa...', '[1, 1, 1, 1, 1, 1, ...]')
    """
    text = value[: limit + 1] if isinstance(value, str) else reprlib.repr(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def some(names: Sequence[str], limit: int = 3) -> str:
    """Return the first `limit` names, and the number of names if that is not all.

    Examples
    --------
    >>> some(["a", "b"]), some(["a", "b", "c", "d"])
    ('a, b', 'a, b, c, ... (4 in all)')
    """
    return ", ".join(names[:limit]) + (f", ... ({len(names)} in all)" if len(names) > limit else "")
