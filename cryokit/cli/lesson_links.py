"""Links between the files of the repository, which lead elsewhere in copies of the lessons and on the site."""

import re
from collections.abc import Callable

# Code, in which nothing is a link, or a link with its text and its address; after an exclamation mark it is a picture.
_CODE_OR_LINK = re.compile(
    r"(?P<code>^(?P<fence>```+|~~~+).*?^(?P=fence)|(?P<ticks>`+)(?!`).*?(?<!`)(?P=ticks)(?!`))"
    r"|(?<!!)\[(?P<text>(?:[^\[\]]|!?\[[^\[\]]*\](?:\([^()\s]*\))?)*)\]\((?P<address>[^()\s]+)\)",
    re.MULTILINE | re.DOTALL,
)


def rewrite(text: str, target: Callable[[str, str], str | None]) -> str:
    """Return Markdown with other addresses in its relative links.

    Parameters
    ----------
    text : str
        Markdown.
    target : callable
        Returns the new address for a path and a fragment (with its ``#``, or empty), or None to leave the text of the
        link without a link. Not asked about addresses on the web and within the page.

    Returns
    -------
    str

    Examples
    --------
    >>> rewrite("[one](a.py#x), `[b](c)`", lambda path, fragment: f"{path}.html{fragment}")
    '[one](a.py.html#x), `[b](c)`'
    """

    def replaced(match: re.Match) -> str:
        address = match["address"]
        if match["code"] or address.startswith("#") or re.match(r"[a-z][a-z0-9+.-]*:", address, re.IGNORECASE):
            return match[0]
        path, mark, fragment = address.partition("#")
        new = target(path, mark + fragment)
        return match["text"] if new is None else f"[{match['text']}]({new})"

    return _CODE_OR_LINK.sub(replaced, text)


def to_notebooks(text: str) -> str:
    """Return Markdown of the folder `notebooks` for copies of the lessons, which are notebooks without their sources.

    Examples
    --------
    >>> to_notebooks("[first](00_first.py), [map](../cryokit/README.md)")
    '[first](00_first.ipynb), map'
    """

    def target(path: str, fragment: str) -> str | None:
        if path.startswith(("../", "site/")):
            return None
        return (f"{path.removesuffix('.py')}.ipynb" if path.endswith(".py") else path) + fragment

    return rewrite(text, target)
