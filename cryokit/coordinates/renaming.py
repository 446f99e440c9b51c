"""Names of picks and names of micrographs that are one, though a program has added something to either."""

import posixpath
import re
from collections.abc import Iterable, Mapping

import pandas as pd

from cryokit.errors import ArgumentError, CoordinateError


def renamed(picks: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Return a table of picks in which micrographs are called otherwise.

    Parameters
    ----------
    picks : pandas.DataFrame
        Table of picks.
    names : mapping of str to str
        New name of each micrograph by the old one.
    """
    # pandas 3 would make strings of its own of an array.
    new = pd.Series([names[name] for name in picks["micrograph"]], index=picks.index, dtype=object)
    return picks.assign(micrograph=new)


class Additions:
    """What to take off names of picks to get those of the micrographs.

    Parameters
    ----------
    endings : iterable of str
        Endings, such as ``_mask``; the first that a name has is removed.
    prefixes : iterable of str
        Patterns of beginnings (regular expressions); what the first that fits matches is removed.

    Raises
    ------
    ArgumentError
        If a pattern is not a regular expression.
    """

    def __init__(self, endings: Iterable[str], prefixes: Iterable[str]) -> None:
        self.endings = tuple(endings)
        self.prefixes = []
        for pattern in prefixes:
            try:
                self.prefixes.append(re.compile(pattern))
            except re.error as error:
                raise ArgumentError(f"prefix {pattern!r} is not a regular expression: {error}") from None

    def removed(self, name: str) -> str:
        """Return a name, which may have folders, without what was added; at least one character is left."""
        folder, name = posixpath.split(name)
        ending = next((ending for ending in self.endings if name.endswith(ending) and name != ending), "")
        name = name.removesuffix(ending)
        matches = (pattern.match(name) for pattern in self.prefixes)
        end = next((match.end() for match in matches if match and 0 < match.end() < len(name)), 0)
        return posixpath.join(folder, name[end:])

    def removed_from(self, names: Iterable[str], source: object) -> dict[str, str]:
        """Return the names of micrographs without what was added, by the names as they are.

        Raises
        ------
        CoordinateError
            If two micrographs of the source would get one name.
        """
        result: dict[str, str] = {}
        before: dict[str, str] = {}
        for name in names:
            result[name] = self.removed(name)
            other = before.setdefault(result[name], name)
            if other != name:
                raise CoordinateError(
                    f"{source}: micrographs {other} and {name} would both be called {result[name]}; rename one, or "
                    "leave one out"
                )
        return result
