"""Names of picks and names of micrographs that are one, though a program has added something to either.

What was added is said by the user (endings, and patterns of beginnings) or known: cryoSPARC puts the 21 digits of its
identifier in front of the name of every micrograph that it imports.
"""

import logging
import re
from collections.abc import Collection, Iterable, Mapping

import pandas as pd

from cryokit._util.wording import plural
from cryokit.errors import ArgumentError, CoordinateError

logger = logging.getLogger(__name__)

_UID = re.compile(r"(?:^|(?<=/))(\d{21})_(?=[^/]+$)")  # a name may have sub-folders


def uid(name: str) -> int | None:
    """Return cryoSPARC's identifier in front of a name; None if there is none.

    Examples
    --------
    >>> uid("000000000000000000042_mic_a"), uid("042_mic_a")
    (42, None)
    """
    match = _UID.search(name)
    return int(match[1]) if match else None


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
        """Return a name without what was added to its last part; at least one character is left."""
        folder, slash, name = name.rpartition("/")
        ending = next((ending for ending in self.endings if name.endswith(ending) and name != ending), "")
        name = name.removesuffix(ending)
        matches = (pattern.match(name) for pattern in self.prefixes)
        end = next((match.end() for match in matches if match and 0 < match.end() < len(name)), 0)
        return f"{folder}{slash}{name[end:]}"


def renamed(
    picks: pd.DataFrame, names: Iterable[str], new: Mapping[str, str], source: object
) -> tuple[pd.DataFrame, list[str]]:
    """Return picks and names of micrographs under new names.

    Parameters
    ----------
    picks : pandas.DataFrame
        Table of picks.
    names : iterable of str
        Names of the micrographs.
    new : mapping of str to str
        New names; those that are not in it stay.
    source : object
        Origin of the picks, for the message.

    Raises
    ------
    CoordinateError
        If two micrographs would get one name.
    """
    before: dict[str, str] = {}
    for name in names:
        other = before.setdefault(new.get(name, name), name)
        if other != name:
            raise CoordinateError(
                f"{source}: micrographs {other} and {name} would both be called {new.get(name, name)}; rename one, or "
                "leave one out"
            )
    return picks.assign(micrograph=[new.get(name, name) for name in picks["micrograph"]]), list(before)


def under_known_names(
    picks: pd.DataFrame, names: Collection[str], known: Iterable[str], source: object
) -> tuple[pd.DataFrame, list[str]]:
    """Return picks and names with cryoSPARC's identifier as the known names have it, or have it not.

    Parameters
    ----------
    picks : pandas.DataFrame
        Table of picks.
    names : collection of str
        Names of its micrographs, also of those without picks.
    known : iterable of str
        Names that they are compared with. A name that is among them stays, and so does one that could be several.
    source : object
        Origin of the picks, for messages.

    Raises
    ------
    CoordinateError
        If two names of picks would be one.

    Examples
    --------
    >>> from cryokit.coordinates import table
    >>> under_known_names(table("a", [1], [2]), ["a"], ["000000000000000000042_a"], "picks")[1]
    ['000000000000000000042_a']
    """
    known = set(known)
    candidates: dict[str, list[str]] = {}
    for name in known - set(names):
        candidates.setdefault(_UID.sub("", name, count=1), []).append(name)
    new = {}
    for name in names:
        same = candidates.get(_UID.sub("", name, count=1), []) if name not in known else []
        if len(same) == 1:
            new[name] = same[0]
    if not new:
        return picks, list(names)
    first = next(iter(new))
    logger.info(
        "%s: cryoSPARC's 21 digits in front of a name do not count: %s is taken for %s (%s)",
        source,
        first,
        new[first],
        plural(len(new), "micrograph"),
    )
    return renamed(picks, names, new, source)
