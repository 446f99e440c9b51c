"""What the explorer shows: tables as JSON, and 8-bit pictures that are small enough to be sent or embedded."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryokit import micrograph as micrograph_files
from cryokit._util.names import located_name, matched
from cryokit._util.plain import plain
from cryokit._util.validation import check_picture
from cryokit._util.wording import plural, some
from cryokit.coordinates import concatenate, coordinate_path, table, validate, without_repeats
from cryokit.coordinates.renaming import Additions
from cryokit.errors import CoordinateError, MicrographError
from cryokit.evaluate.against_labels import check_diameters, check_scores
from cryokit.evaluate.matching import TOLERANCES
from cryokit.imaging.frame import Frame, Picture
from cryokit.imaging.framed_files import covering, read_framed
from cryokit.imaging.preparation import check_values, flattened, recorded, unusable_regions
from cryokit.plot.drawing import CURVE_COLOURS, MASK_COLOUR
from cryokit.plot.pictures import STYLES

if TYPE_CHECKING:
    from cryokit.micrograph import Micrograph
    from cryokit.networks.scoring.scoremap import ScoreMap

    Scores = NDArray | Picture | ScoreMap | str | os.PathLike  # probability of a particle, in a file or not

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
    scores: Scores | None = None,
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
    scores : ndarray of float, shape (rows, columns), Picture, ScoreMap or path-like, optional
        Probability of a particle. An array covers the whole micrograph, whatever its number of rows and columns; a file
        is one that `cryokit pick --save-maps` has written (`cryokit.imaging.framed_files.read_framed`).
    kinds : iterable of str
        Pictures to make, of `KINDS`.

    Returns
    -------
    dict of str to dict or None
        Pictures by kind, None where there is nothing to show. Each has `width`, `height`,
        the frame in the micrograph (`x0`, `y0`, `stepX`, `stepY`), the grey values that are black and white at first
        (`low`, `high`), and compressed `tiles` (`x`, `y`, `type`, `data`).

    Raises
    ------
    ArgumentError
        If the scores are no picture.
    MicrographError
        If the file of the scores cannot be read, or is of a micrograph of another shape.
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


def map_files(
    folder: str | os.PathLike,
    files: Mapping[str, str | os.PathLike],
    *,
    endings: Iterable[str] = (),
    prefixes: Iterable[str] = (),
) -> dict[str, Path]:
    """Return the score maps in a folder by the names of their micrographs.

    Parameters
    ----------
    folder : path-like
        Folder of maps that are called like their micrographs, such as ``maps`` in the output of ``cryokit pick
        --save-maps``, or a single map.
    files : mapping of str to path-like
        Paths of the micrographs by name; a name where there is no file.
    endings, prefixes : iterable of str
        What to take off the names of the maps, as in `cryokit.coordinates.read_folder`.

    Raises
    ------
    CoordinateError
        If none of the maps is called like one of the micrographs.
    MicrographError
        If there are no maps.
    """
    place = Path(folder)
    place = place / "maps" if (place / "maps").is_dir() else place
    found = {_located(file, place): file for file in _pictures_in(place)}
    stripped = Additions(endings, prefixes).removed_from(found, place)
    called = matched(stripped.values(), files)
    maps = {called[name]: found[own] for own, name in stripped.items() if called[name] in files}
    if not maps:
        raise CoordinateError(
            f"{place}: no score map ({some(list(called.values()))}) has the name of a shown micrograph "
            f"({some(list(files))}); rename the files, or strip what was added to their names (--strip)"
        )
    if len(maps) < len(files):
        without = [name for name in files if name not in maps]
        logger.warning("%s: no score map of %s: %s", place, plural(len(without), "micrograph"), some(without))
    return maps


def _pictures_in(place: Path) -> list[Path]:
    """Return the pictures in a folder; if there are none, those in folders inside, as for files of the same name."""
    try:
        return micrograph_files.find(place)
    except MicrographError:
        inside = sorted(path for path in place.rglob("*") if path.is_dir()) if place.is_dir() else []
        if not inside:
            raise
    return micrograph_files.find(inside)


def _located(file: Path, place: Path) -> str:
    return located_name(file.relative_to(place) if place.is_dir() else file.name)


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


def _score_layer(scores: Scores, shape: tuple[int, int]) -> dict:
    if isinstance(scores, (str, os.PathLike)):
        scores = read_framed(scores, shape)
    if isinstance(scores, Picture):
        data, frame = scores
    elif isinstance(scores, np.ndarray):
        data = check_picture("score map", scores)
        frame = covering(data.shape, shape)
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
