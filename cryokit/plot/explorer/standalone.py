"""The explorer as one HTML file that needs neither a kernel nor a network."""

from __future__ import annotations

import base64
import hashlib
import html
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryokit._util.files import write_text
from cryokit._util.plain import json_text
from cryokit.plot.explorer.contents import SCRIPT, STYLE, Shown, Tables, described

if TYPE_CHECKING:
    from cryokit.micrograph import Micrograph

_LAYOUT = """
body { margin: 0; padding: .3rem .8rem .8rem; background: #fff; }
h1 { font: 600 1.05rem/1.4 system-ui, sans-serif; color: #222; margin: .2rem 0; overflow-wrap: anywhere; }
#explorer { --ce-height: max(22rem, calc(100vh - 10.5rem)); }
"""


class Page:
    """A page to which micrographs are added before it is written.

    Parameters
    ----------
    title : str
        Title of the page.

    Examples
    --------
    >>> import numpy as np
    >>> from cryokit.coordinates import table
    >>> from cryokit.micrograph import Micrograph
    >>> from cryokit.plot.explorer.contents import pictures
    >>> page = Page("Picks")
    >>> micrograph = Micrograph(np.random.default_rng(0).normal(size=(64, 64)), name="a")
    >>> page.add(micrograph, pictures(micrograph))
    >>> "<h1>Picks</h1>" in page.to_html(Tables(["a"], table("a", [5], [9], diameter=20)))
    True
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self._shown: list[Shown] = []
        self._pictures: list[str] = []

    @property
    def names(self) -> list[str]:
        """Names of the micrographs."""
        return [shown.name for shown in self._shown]

    def add(self, micrograph: Micrograph, pictures: dict[str, dict | None]) -> None:
        """Add a micrograph.

        Parameters
        ----------
        micrograph : Micrograph
            Micrograph.
        pictures : dict
            Output of `cryokit.plot.explorer.contents.pictures`.
        """
        self._shown.append(Shown(micrograph.name, micrograph.data.shape, micrograph.path))
        index = len(self._shown) - 1
        self._pictures += [_embedded(f"{kind}-{index}", _as_text(layer)) for kind, layer in pictures.items()]

    def to_html(self, tables: Tables, threshold: float | None = None) -> str:
        """Return the page as HTML.

        Parameters
        ----------
        tables : Tables
            Picks and labels of the micrographs.
        threshold : float, optional
            Lowest score that is shown at first. By default all picks are.
        """
        script = (
            f'{SCRIPT.read_text(encoding="utf-8")}\nwindow.explorer = mount(document.getElementById("explorer"));\n'
        )
        # Nothing but this script runs, and nothing is loaded, whatever the files of the picks contain.
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy = f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data: blob:"
        title = html.escape(self.title)
        return (
            f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{policy}"><title>{title}</title>'
            '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
            f"<style>{STYLE.read_text(encoding='utf-8')}{_LAYOUT}</style></head>\n<body><h1>{title}</h1>\n"
            '<div id="explorer"></div><noscript>This page needs JavaScript.</noscript>\n'
            f"{_embedded('contents', described(self._shown, tables, threshold))}{''.join(self._pictures)}"
            f'<script type="module">{script}</script></body></html>\n'
        )

    def write(self, path: str | os.PathLike, tables: Tables, threshold: float | None = None) -> Path:
        """Write the page, whole or not at all, and return its path; see `to_html`."""
        write_text(path, self.to_html(tables, threshold))
        return Path(path)


def _as_text(value: Any) -> Any:
    """Return nested values with bytes in base 64."""
    if isinstance(value, dict):
        return {key: _as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_text(item) for item in value]
    return base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else value


def _embedded(name: str, value: Any) -> str:
    """Return a data block that no text in it can end."""
    text = json_text(value, indent=None).replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return f'<script type="application/json" id="{name}">{text}</script>\n'
