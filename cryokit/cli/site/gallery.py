"""The gallery: every picture of the lessons, small, with a link to where it is made."""

from __future__ import annotations

import html
import io
from collections.abc import Iterable
from pathlib import Path

from cryokit._util.files import make_folder
from cryokit.cli.site.lesson_pages import Picture

_SIZE = (480, 360)  # pixels: twice as large as shown, for screens with fine pixels


def page(pictures: Iterable[Picture], titles: dict[str, str], thumbnails: Path) -> str:
    """Write small copies of pictures and return the page that shows them.

    Parameters
    ----------
    pictures : iterable of Picture
        Pictures in reading order.
    titles : dict
        Title of each lesson by its name.
    thumbnails : pathlib.Path
        Folder for the small copies, below the folder of the site's static files.

    Returns
    -------
    str
        Markdown.
    """
    from PIL import Image

    make_folder(thumbnails)
    by_lesson: dict[str, dict[str, Picture]] = {}
    for picture in pictures:
        by_lesson.setdefault(picture.lesson, {}).setdefault(picture.name, picture)
    parts = [
        "# Gallery",
        "Every picture that the lessons draw. Each leads to the place in its lesson where it is made.",
    ]
    for lesson, shown in by_lesson.items():
        parts += [f"## {titles[lesson]}", '```{raw} html\n<div class="cryokit-gallery">']
        for picture in shown.values():
            with Image.open(io.BytesIO(picture.data)) as opened:
                small = opened.convert("RGBA")
            white = Image.new("RGBA", small.size, "white")
            white.alpha_composite(small)
            white = white.convert("RGB")
            white.thumbnail(_SIZE)
            white.save(thumbnails / f"{picture.name[:16]}.jpg", quality=85)
            address = f"lessons/{lesson}.html#{anchor(picture.name)}"
            source = f"_static/{thumbnails.name}/{picture.name[:16]}.jpg"
            text, section = html.escape(picture.described), html.escape(picture.section)
            parts[-1] += (
                f'\n<a href="{address}"><img src="{source}" alt="{text}" width="{white.width // 2}" '
                f'height="{white.height // 2}" loading="lazy"><span>{section}</span></a>'
            )
        parts[-1] += "\n</div>\n```"
    if not by_lesson:
        parts.append("None of the lessons has been executed.")
    return "\n\n".join(parts) + "\n"


def anchor(name: str) -> str:
    """Return the identifier, within its page, of a picture with this hash."""
    return f"picture-{name[:16]}"
