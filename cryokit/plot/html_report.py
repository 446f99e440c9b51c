"""Reports: an HTML file that contains its pictures and needs no network."""

from __future__ import annotations

import base64
import html
import io
import os
import platform
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pandas as pd

from cryokit._util.files import write_text
from cryokit._util.versions import versions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; } h2 { font-size: 1.25rem; margin-top: 2.2rem; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .8rem; text-align: right; border-bottom: 1px solid #ddd; } th { border-bottom-color: #555; }
th:first-child, td:first-child { text-align: left; }
figure { margin: 1rem 0; } img { max-width: 100%; height: auto; } figcaption { color: #555; font-size: .9rem; }
.wide { overflow-x: auto; }
.gallery { display: flex; flex-wrap: wrap; gap: .8rem; } .gallery figure { margin: 0; width: 15rem; }
.gallery img { width: 100%; } .gallery figcaption { overflow-wrap: anywhere; }
pre { background: #f4f4f4; padding: .7rem 1rem; overflow-x: auto; } footer { color: #555; margin-top: 3rem; }
"""


class Report:
    """A page to which parts are added from top to bottom before it is written.

    Parameters
    ----------
    title : str
        Title of the page.

    Examples
    --------
    >>> report = Report("Picks")
    >>> report.text("All of them.")
    >>> "<h1>Picks</h1>" in report.to_html()
    True
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self._parts: list[str] = []

    def heading(self, text: str) -> None:
        """Add a heading."""
        self._parts.append(f"<h2>{html.escape(text)}</h2>")

    def text(self, text: str) -> None:
        """Add a paragraph of plain text."""
        self._parts.append(f"<p>{html.escape(text)}</p>")

    def link(self, file: str, words: str, text: str) -> None:
        """Add a paragraph of plain text that begins with a link to a file beside the page."""
        address = html.escape(quote(file), quote=True)
        self._parts.append(f'<p><a href="{address}">{html.escape(words)}</a>{html.escape(text)}</p>')

    def commands(self, text: str) -> None:
        """Add command lines."""
        self._parts.append(f"<pre>{html.escape(text)}</pre>")

    def table(self, table: pd.DataFrame, *, digits: int = 3) -> None:
        """Add a table, with `digits` decimals for floats and a dash for NaN."""
        with pd.option_context("display.max_colwidth", None):
            html_table = table.to_html(index=False, border=0, na_rep="-", float_format=f"{{:.{digits}f}}".format)
        self._parts.append(f'<div class="wide">{html_table}</div>')

    def figure(self, figure: Figure, caption: str, *, dpi: int = 110) -> None:
        """Add a matplotlib figure, embedded as PNG."""
        data = io.BytesIO()
        figure.savefig(data, format="png", dpi=dpi, bbox_inches="tight")
        source = base64.b64encode(data.getvalue()).decode("ascii")
        caption = html.escape(caption)
        self._parts.append(
            f'<figure><img alt="{caption}" src="data:image/png;base64,{source}">'
            f"<figcaption>{caption}</figcaption></figure>"
        )

    def gallery(self, pictures: Iterable[tuple[bytes, str, str]]) -> None:
        """Add small pictures side by side: each a JPEG, its name and its caption."""
        items = []
        for data, name, caption in pictures:
            source, name = base64.b64encode(data).decode("ascii"), html.escape(name)
            items.append(
                f'<figure><img alt="{name}" loading="lazy" src="data:image/jpeg;base64,{source}">'
                f"<figcaption><b>{name}</b><br>{html.escape(caption)}</figcaption></figure>"
            )
        self._parts.append(f'<div class="gallery">{"".join(items)}</div>')

    def to_html(self) -> str:
        """Return the page as HTML."""
        title = html.escape(self.title)
        made_by = html.escape(", ".join(f"{name} {value}" for name, value in provenance().items()))
        page = (
            f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>\n'
            f"<body><h1>{title}</h1>\n" + "\n".join(self._parts) + f"\n<footer>{made_by}</footer></body></html>\n"
        )
        # Names of files need be no text.
        return page.encode(errors="backslashreplace").decode()

    def write(self, path: str | os.PathLike) -> Path:
        """Write the page, whole or not at all, and return its path."""
        write_text(path, self.to_html())
        return Path(path)


def provenance() -> dict[str, str]:
    """Return versions of cryokit, Python and numerical packages, the system and the time, to go with a result."""
    system, now = f"{platform.system()} {platform.machine()}", datetime.now(timezone.utc)
    return versions() | {"on": system, "at": now.strftime("%Y-%m-%d %H:%M UTC")}
