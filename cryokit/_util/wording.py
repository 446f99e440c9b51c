"""Wording shared by messages: numbers with nouns, and shortened lists."""

import difflib
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


def some(names: Sequence[str], limit: int = 3) -> str:
    """Return the first `limit` names, and the number of names if that is not all.

    Examples
    --------
    >>> some(["a", "b"]), some(["a", "b", "c", "d"])
    ('a, b', 'a, b, c, ... (4 in all)')
    """
    return ", ".join(names[:limit]) + (f", ... ({len(names)} in all)" if len(names) > limit else "")
