"""What the explorer shows: tables as JSON, and 8-bit pictures that are small enough to be sent or embedded."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryokit._util.plain import plain
from cryokit._util.validation import check_picture
from cryokit._util.wording import plural, some
from cryokit.coordinates import concatenate, coordinate_path, table, validate, without_repeats
from cryokit.errors import CoordinateError
from cryokit.evaluate.against_labels import check_diameters, check_scores
from cryokit.evaluate.matching import TOLERANCES
from cryokit.imaging.frame import Frame, Picture
from cryokit.imaging.preparation import check_values, flattened, recorded, unusable_regions
from cryokit.plot.drawing import CURVE_COLOURS, MASK_COLOUR
from cryokit.plot.pictures import STYLES

if TYPE_CHECKING:
    from cryokit.micrograph import Micrograph
    from cryokit.networks.scoring.scoremap import ScoreMap

logger = logging.getLogger(__name__)

FOLDER = Path(__file__).parent
SCRIPT, STYLE = FOLDER / "explorer.js", FOLDER / "explorer.css"
# Colours for scores, low to high: matplotlib's plasma without its dark end, which would not show on dark grey.
RAMP = [
    "#7e03a8",
    "#9613a1",
    "#ac2694",
    "#c03a83",
    "#d04d73",
    "#df6263",
    "#eb7655",
    "#f68d45",
    "#fca537",
    "#fec029",
    "#f9dc24",
    "#f0f921",
]
TILE = 2048  # pixels of a tile's side: browsers on phones decode no more than 4096 x 4096 at a time
QUALITY = 90  # of JPEG, at which the grain of a micrograph stays
BAND = 16  # pixels that a particle has across in the band-passed picture
_LOWEST, _HIGHEST = 0.001, 0.999  # quantiles of the grey values that 8 bits begin and end with
_BLACK, _WHITE = 0.01, 0.99  # quantiles that are black and white at first
KINDS = ("grey", "band", "mask", "scores")  # pictures of a micrograph
_PICKS = ["x", "y", "score", "diameter", "view"]


class Shown(NamedTuple):
    """A micrograph to show, without its pixels.

    Attributes
    ----------
    name : str
        Name of the micrograph.
    shape : tuple of int
        Rows and columns.
    path : str or path-like, optional
        File of the micrograph, for the STAR files that name it.
    """

    name: str
    shape: tuple[int, int]
    path: Path | None = None


class Tables:
    """Picks and labels of the micrographs that are shown.

    Parameters
    ----------
    micrographs : iterable of str
        Names of the micrographs.
    picks : pandas.DataFrame, optional
        Table of picks. By default there are none.
    labels : pandas.DataFrame, optional
        Table of the true particles. Its rows of the view ``ignore`` mark what is neither particle nor background.
    labelled : iterable of str, optional
        Names of the labelled micrographs, also of those on which there is nothing to pick. By default those that the
        labels name.
    diameter : float, optional
        Particle diameter in pixels, where the tables have none.

    Attributes
    ----------
    picks, labels : pandas.DataFrame
        Tables of picks, of the shown micrographs only.
    labelled : frozenset of str
        Names of the labelled micrographs.
    diameter : float or None
        Usual diameter in pixels; None if unknown.

    Raises
    ------
    CoordinateError
        If a table is not a table of picks, none of the picks or labels is on a shown micrograph, only some picks have
        scores, or labels have no diameter.
    """

    def __init__(
        self,
        micrographs: Iterable[str],
        picks: pd.DataFrame | None = None,
        labels: pd.DataFrame | None = None,
        *,
        labelled: Iterable[str] | None = None,
        diameter: float | None = None,
    ) -> None:
        names = list(micrographs)
        given = {"picks": validate(table() if picks is None else picks)}
        given["labels"] = validate(table() if labels is None else labels, "the labels")
        for title, rows in given.items():
            elsewhere = [name for name in rows["micrograph"].unique() if name not in names]
            if elsewhere and len(elsewhere) == rows["micrograph"].nunique():
                raise CoordinateError(
                    f"no micrograph of the {title} ({some(elsewhere)}) has the name of a shown one ({some(names)}); "
                    "names are compared whole: rename the files, or strip what was added to their names (--strip, "
                    "endings=)"
                )
            if elsewhere:
                message = "%s on %s that are not shown are left out: %s"
                logger.warning(message, title, plural(len(elsewhere), "micrograph"), some(elsewhere))
            rows = rows[rows["micrograph"].isin(names)]
            given[title] = rows.assign(diameter=rows["diameter"].fillna(np.nan if diameter is None else diameter))
        self.picks, self.labels = given["picks"], given["labels"]
        if labels is not None:
            check_diameters(self.labels)
            self.labels = without_repeats(self.labels)
        named = self.labels["micrograph"].unique() if labelled is None else labelled
        self.labelled = frozenset() if labels is None else frozenset(named) & frozenset(names)
        self.scored = check_scores(self.picks) if len(self.picks) else False
        known = concatenate([self.picks, self.labels])["diameter"].median()
        self.diameter = diameter if np.isnan(known) else float(known)

    def replace(self, micrograph: str, columns: Mapping[str, list]) -> None:
        """Replace the picks of a micrograph by what came back from the explorer."""
        new = table(micrograph, **{name: columns[name] for name in _PICKS})
        self.picks = concatenate([self.picks[self.picks["micrograph"] != micrograph], validate(new)])


def described(shown: Iterable[Shown], tables: Tables, threshold: float | None = None) -> dict[str, Any]:
    """Return everything that the explorer shows but the pictures, as values of JSON.

    Parameters
    ----------
    shown : iterable of Shown
        Micrographs.
    tables : Tables
        Their picks and labels.
    threshold : float, optional
        Lowest score that is shown at first. By default all picks are.
    """
    shown = list(shown)
    picks, labels = (dict(tuple(rows.groupby("micrograph", sort=False))) for rows in (tables.picks, tables.labels))
    empty = table()
    return plain(
        {
            "tolerance": TOLERANCES["distance"],
            "scored": tables.scored,
            "threshold": threshold,
            "diameter": tables.diameter or shown[0].shape[1] / 40,
            "newDiameter": tables.diameter,
            "styles": {
                kind: {"colour": colour, "line": line, "words": words} for kind, (colour, line, words) in STYLES.items()
            },
            "colours": CURVE_COLOURS,
            "ramp": RAMP,
            "maskColour": MASK_COLOUR,
            "micrographs": [
                {
                    "name": name,
                    "path": Path(path or f"{name}.mrc").as_posix(),
                    "files": {format: _file_name(name, format) for format in ("csv", "star")},
                    "height": shape[0],
                    "width": shape[1],
                    "picks": picks.get(name, empty)[_PICKS].to_dict("list"),
                    "labels": labels.get(name, empty)[_PICKS].to_dict("list") if name in tables.labelled else None,
                }
                for name, shape, path in shown
            ],
        }
    )


def pictures(
    micrograph: Micrograph,
    diameter: float | None = None,
    scores: NDArray | ScoreMap | None = None,
    *,
    kinds: Iterable[str] = KINDS,
) -> dict[str, dict | None]:
    """Return the pictures of a micrograph as the explorer takes them: grey values, band-pass, mask and score map.

    Parameters
    ----------
    micrograph : Micrograph
        Micrograph.
    diameter : float, optional
        Particle diameter in pixels, for the band-pass. By default a fortieth of the width.
    scores : ndarray of float, shape (rows, columns), or ScoreMap, optional
        Probability of a particle. An array covers the whole micrograph, whatever its number of rows and columns.
    kinds : iterable of str
        Pictures to make, of `KINDS`.

    Returns
    -------
    dict of str to dict or None
        Pictures by kind, None where there is nothing to show. Each has `width`, `height`,
        the frame in the micrograph (`x0`, `y0`, `stepX`, `stepY`), the grey values that are black and white at first
        (`low`, `high`), and compressed `tiles` (`x`, `y`, `type`, `data`).
    """
    made: dict[str, dict | None] = {}
    check_values(micrograph)
    for kind in kinds:
        if kind == "grey":
            made[kind] = _layer(*_eight_bits(Picture(micrograph.data, Frame.whole(micrograph.data.shape))))
        elif kind == "band":
            particle = diameter or micrograph.data.shape[1] / 40
            made[kind] = _layer(*_eight_bits(flattened(recorded(micrograph), particle, "bright", BAND)))
        elif kind == "mask":
            mask = unusable_regions(micrograph)
            covered = Picture(mask.data * np.uint8(255), mask.frame)
            made[kind] = _layer(covered, 0, 255, "PNG") if mask.data.any() else None
        else:
            made[kind] = None if scores is None else _score_layer(scores, micrograph.data.shape)
    return made


def _file_name(name: str, format: str) -> str | None:
    try:
        return coordinate_path("", name, format).name
    except CoordinateError:
        return None


def _eight_bits(picture: Picture) -> tuple[Picture, int, int]:
    """Return a picture in 8 bits, and what is black and white in it at first."""
    data = picture.data
    sample = data[:: max(1, data.shape[0] // 512), :: max(1, data.shape[1] // 512)]
    least, black, white, most = np.quantile(sample, (_LOWEST, _BLACK, _WHITE, _HIGHEST)).tolist()
    # Some room beyond, for contrast to be lowered.
    least, most = least - 0.1 * (most - least), most + 0.1 * (most - least)
    factor = 255 / (most - least) if most > least else 0.0
    shades = np.clip((data - least) * factor, 0, 255).astype(np.uint8)
    low, high = ((value - least) * factor for value in (black, white))
    return Picture(shades, picture.frame), round(low), max(round(high), round(low) + 1)


def _score_layer(scores: NDArray | ScoreMap, shape: tuple[int, int]) -> dict:
    if isinstance(scores, np.ndarray):
        data = check_picture("score map", scores)
        step_y, step_x = (size / own for size, own in zip(shape, data.shape, strict=True))
        frame = Frame(data.shape, shape, (step_x - 1) / 2, (step_y - 1) / 2, step_x, step_y)
    else:
        data, frame = scores.particle, scores.frame
    shades = np.rint(255 * np.clip(np.nan_to_num(data), 0, 1)).astype(np.uint8)
    return _layer(Picture(shades, frame), 0, 255, "PNG")


def _layer(picture: Picture, low: int, high: int, format: str = "JPEG") -> dict:
    from PIL import Image

    data, frame = picture
    tiles = []
    for y in range(0, data.shape[0], TILE):
        for x in range(0, data.shape[1], TILE):
            file = io.BytesIO()
            Image.fromarray(np.ascontiguousarray(data[y : y + TILE, x : x + TILE])).save(file, format, quality=QUALITY)
            tiles.append({"x": x, "y": y, "type": f"image/{format.lower()}", "data": file.getvalue()})
    return {
        "width": data.shape[1],
        "height": data.shape[0],
        "x0": frame.x0,
        "y0": frame.y0,
        "stepX": frame.step_x,
        "stepY": frame.step_y,
        "low": low,
        "high": high,
        "tiles": tiles,
    }
