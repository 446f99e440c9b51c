"""Random seeds from names, so that everybody in a class has data of their own."""

import hashlib
import unicodedata

from cryokit.errors import ArgumentError, ArgumentTypeError


def seed_from_name(name: str, purpose: str = "") -> int:
    """Return the random seed that belongs to a name, the same on every machine and with every version of Python.

    Parameters
    ----------
    name : str
        Name of a person. Capitals, accents typed in one or two characters, and the amount of white space make no
        difference.
    purpose : str
        What the seed is for; other purposes give other seeds.

    Returns
    -------
    int
        Seed from 0 to 2**32 - 1.

    Raises
    ------
    ArgumentTypeError
        If the name is not a string.
    ArgumentError
        If the name is empty.

    Examples
    --------
    >>> seed_from_name("Ada Lovelace"), seed_from_name(" ada  LOVELACE")
    (30979716, 30979716)
    >>> seed_from_name("Ada Lovelace", "picker") != seed_from_name("Ada Lovelace")
    True
    """
    if not isinstance(name, str):
        raise ArgumentTypeError(f"the name must be text in quotation marks, such as 'Ada Lovelace', not {name!r}")
    words = unicodedata.normalize("NFC", name).casefold().split()
    if not words:
        raise ArgumentError("the name is empty; write your own between the quotation marks")
    digest = hashlib.sha256("\0".join([" ".join(words), purpose]).encode()).digest()
    return int.from_bytes(digest[:4], "big")
