"""Picks in a wrong frame: hardly a match as they are, but many with y reversed, axes exchanged or another scale.

A hint is only given for what chance does not explain. What chance does is measured: the same picks, moved by a few
diameters, keep their density everywhere but lose their particles.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binom

from cryokit._util.wording import plural
from cryokit.coordinates import IGNORE
from cryokit.evaluate import matching

TOLERANCE = matching.TOLERANCES["distance"]
HARDLY = 0.35  # share of matches from which a frame is taken for right
BETTER = 2.0  # matches in another frame to those as they are, from which it is taken for the right one
CHANCE = 3.0  # matches to those of chance, likewise
SIGNIFICANT = 1e-3  # probability that chance gives as many matches in any of the frames that are tried
# Binning; the fractions are those of Fourier cropping, such as super-resolution pixels binned by 1.5.
_BINNED = (4 / 3, 3 / 2, 5 / 3, 2, 5 / 2, 3, 4, 5, 6, 7, 8, 10, 12, 16)
SCALES = (1.0, *map(float, _BINNED), *(1 / number for number in _BINNED))
_MOST_LABELS = 800  # looked at; more of them cost time and tell nothing new
_MOST_ON_ONE = 500  # picks or labels of a micrograph
_MOVES = [
    (far * np.cos(angle), far * np.sin(angle)) for far in (1.3, 2.1, 3.1) for angle in np.arange(4) * np.pi / 2 + 0.4
]


@dataclass(frozen=True)
class Frame:
    """How coordinates of a file become those of the micrographs.

    Attributes
    ----------
    scale : float
        Factor, see `cryokit.coordinates.scale`.
    shift : tuple of float
        What is added to x and y after that, in pixels.
    flip_y : int, mapping of str to int, or None
        Height of the micrographs in pixels, of all or by name, if y is reversed.
    swapped : bool
        Whether x and y are exchanged, before all that.
    """

    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    flip_y: int | Mapping[str, int] | None = None
    swapped: bool = False

    def placed(self, micrograph: str, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return coordinates of a micrograph in this frame; float, shape (n, 2)."""
        return self._turned(micrograph, self._ordered(xy) * self.scale + self.shift)

    def undone(self, micrograph: str, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return coordinates in this frame as they are in the file, the inverse of `placed`."""
        return self._ordered((self._turned(micrograph, xy) - self.shift) / self.scale)

    def _ordered(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return xy[:, ::-1] if self.swapped else xy

    def _turned(self, micrograph: str, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.flip_y is None:
            return xy
        height = self.flip_y[micrograph] if isinstance(self.flip_y, Mapping) else self.flip_y
        return np.column_stack([xy[:, 0], height - 1 - xy[:, 1]])

    def options(self) -> str:
        """Return the options of `cryokit convert` and `evaluate` that read picks in this frame; "" for none."""
        words = ["--swap-xy"] if self.swapped else []
        words += [] if self.scale == 1 else [f"--scale {self.scale:g}"]
        words += [f"--shift {self.shift[0]:g} {self.shift[1]:g}"] if any(self.shift) else []
        if self.flip_y is not None:
            heights = set(self.flip_y.values()) if isinstance(self.flip_y, Mapping) else {self.flip_y}
            words.append(f"--flip-y {heights.pop()}" if len(heights) == 1 else "--flip-y --micrographs ...")
        return " ".join(words)


@dataclass(frozen=True)
class Hint:
    """A frame in which picks match labels that they hardly match otherwise.

    Attributes
    ----------
    frame : Frame
        The frame.
    matches, before : int
        Labels that picks match in it, and as they are, among those that were looked at.
    pairs : int
        Matches that are possible: the smaller number of picks and of labels.
    """

    frame: Frame
    matches: int
    before: int
    pairs: int

    def warning(self, command: str = "", given: str = "") -> str:
        """Return one line that says what is wrong and what mends it.

        Parameters
        ----------
        command : str
            Command to give the options to; none if it is the one in use.
        given : str
            Options in use, which those of the hint replace.
        """
        options = self.frame.options()
        way = f"{command} {options}".strip() if options else f"it without {given}"
        instead = f" instead of {given}" if given and options else ""
        return (
            f"picks and labels hardly match ({self.before} of {plural(self.pairs, 'possible pair')}), but would in "
            f"another frame ({self.matches}): {self._meaning()}; try {way}{instead}"
        )

    def _meaning(self) -> str:
        frame = self.frame
        parts = ["x and y are exchanged"] if frame.swapped else []
        parts += ["the y axis points the other way"] if frame.flip_y is not None else []
        if frame.scale != 1:
            parts.append(f"coordinates are of micrographs {_times(frame.scale)}")
        if any(frame.shift):
            what = "corners of boxes for centres" if frame.shift[0] > 0 else "centres taken for corners of boxes"
            parts.append(
                f"x and y are {abs(frame.shift[0]):g} px too {'small' if frame.shift[0] > 0 else 'large'}, {what}"
            )
        return ", ".join(parts) or "coordinates are right as they are in the file"


def _times(scale: float) -> str:
    return f"binned by {scale:g}" if scale > 1 else f"{1 / scale:g} times as large"


class _Points(NamedTuple):
    """Picks and labels of one micrograph."""

    name: str
    picks: NDArray[np.float64]
    labels: NDArray[np.float64]
    diameters: NDArray[np.float64]


def wrong_frame(
    picks: pd.DataFrame,
    labels: pd.DataFrame,
    *,
    used: Frame | None = None,
    heights: Mapping[str, int] | None = None,
) -> Hint | None:
    """Find the frame in which picks match labels, if they hardly do in the frame that was used.

    Tried are the scales in `SCALES`, each as it is and with y reversed, x and y exchanged, with y reversed and without,
    and constant shifts of both coordinates as between the corners and the centres of boxes.

    Parameters
    ----------
    picks, labels : pandas.DataFrame
        Tables of picks. The labels need diameters; those of the view ``ignore`` are left out. Where there are more
        picks than labels, the best are looked at.
    used : Frame, optional
        Frame in which the picks were read from their file; as they are in it by default. Other frames are tried on the
        picks as they are in the file.
    heights : mapping of str to int, optional
        Rows of the micrographs by name. Otherwise the height is found from the picks and labels.

    Returns
    -------
    Hint or None
        None if the picks match, or nothing else is much better than both the frame in use and chance.

    Examples
    --------
    >>> from cryokit.coordinates import table
    >>> x, y = np.random.default_rng(0).uniform(0, 2000, (2, 50))
    >>> labels = table("a", x, y, diameter=80)
    >>> hint = wrong_frame(table("a", x, 1999 - y), labels)
    >>> hint.frame.options(), hint.matches, hint.pairs
    ('--flip-y 2000', 50, 50)
    >>> wrong_frame(table("a", *np.random.default_rng(1).uniform(0, 2000, (2, 50))), labels) is None
    True
    """
    used = used or Frame()
    points = _points(picks, labels, used)
    pairs = sum(min(len(one.picks), len(one.labels)) for one in points)
    if not pairs:
        return None
    before = _matches(points, used)
    if before >= HARDLY * pairs:
        return None
    frames = list(_frames(points, heights))
    counts = [_matches(points, frame) for frame in frames]
    best = int(np.argmax(counts))
    hint = Hint(frames[best], counts[best], before, pairs)
    if hint.matches < max(HARDLY * pairs, BETTER * before):
        return None
    chance = float(np.mean([_matches(points, hint.frame, move) for move in _MOVES]))
    # At least what picks and labels without any order would give.
    share = max(chance, _least(points)) / pairs
    tries = (len(SCALES) + 1) * _offsets_tried(points)
    if hint.matches < CHANCE * chance or binom.sf(hint.matches - 1, pairs, min(share, 1.0)) * tries > SIGNIFICANT:
        return None
    return hint


def _points(picks: pd.DataFrame, labels: pd.DataFrame, used: Frame) -> list[_Points]:
    """Return the points to compare, micrograph by micrograph, picks as they are in their file."""
    labels = labels[(labels["view"] != IGNORE) & (labels["diameter"] > 0)]
    picks = picks[picks["view"] != IGNORE]
    by_name = dict(tuple(picks.groupby("micrograph")))
    points: list[_Points] = []
    for name, own in labels.groupby("micrograph"):
        if name not in by_name or sum(len(one.labels) for one in points) > _MOST_LABELS:
            continue
        best = by_name[name]
        if best["score"].notna().all():
            best = best.nlargest(len(own), "score")
        own = own.iloc[:: len(own) // _MOST_ON_ONE + 1] if len(own) > _MOST_ON_ONE else own
        xy = used.undone(str(name), best[["x", "y"]].to_numpy())
        points.append(_Points(str(name), xy, own[["x", "y"]].to_numpy(), own["diameter"].to_numpy()))
    return points


def _matches(points: Sequence[_Points], frame: Frame, move: tuple[float, float] = (0.0, 0.0)) -> int:
    """Count the matches in a frame, after a move by some diameters."""
    total = 0
    for one in points:
        placed = frame.placed(one.name, one.picks) + np.asarray(move) * np.median(one.diameters)
        near = matching.candidates(placed, one.labels, one.diameters, tolerance=TOLERANCE)
        total += len(matching.match(near, np.zeros(len(placed), int)).pick)
    return total


def _least(points: Sequence[_Points]) -> float:
    """Return the matches by chance of points without any order."""
    total = 0.0
    for one in points:
        sides = np.ptp(one.labels, axis=0) + one.diameters.mean()
        covered = np.pi * (TOLERANCE * one.diameters) ** 2 / sides.prod()
        total += min(len(one.picks), len(one.labels)) * min(1.0, float(covered.sum()))
    return total


def _offsets_tried(points: Sequence[_Points]) -> float:
    """Return how many heights can be told apart, of which the best is taken."""
    span = max(float(np.ptp(np.concatenate([one.labels[:, 1], one.labels[:, 0]]))) for one in points)
    return 1 + span / (2 * TOLERANCE * min(float(np.median(one.diameters)) for one in points))


def _frames(points: Sequence[_Points], heights: Mapping[str, int] | None) -> Iterator[Frame]:
    """Yield the frames to try."""
    for frame in (*map(Frame, SCALES), Frame(swapped=True)):
        yield frame
        if heights is not None and all(one.name in heights for one in points):
            yield replace(frame, flip_y={one.name: int(heights[one.name]) for one in points})
            continue
        total = _peak(_sums(points, frame), points)
        if total is not None and total >= 0:
            yield replace(frame, flip_y=round(total) + 1)
    shift = _peak(_diagonal_shifts(points), points)
    if shift is not None:
        yield Frame(shift=(float(round(shift)),) * 2)


def _close(one: _Points, frame: Frame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return pick and label minus pick for all pairs of a micrograph, shape (picks, labels, 2)."""
    placed = frame.placed(one.name, one.picks)[:, None]
    return np.broadcast_to(placed, (len(one.picks), len(one.labels), 2)), one.labels[None] - placed


def _sums(points: Sequence[_Points], frame: Frame) -> NDArray[np.float64]:
    """Return y of pick plus y of label for pairs of the same x: where y is reversed, most are the height less 1."""
    sums = []
    for one in points:
        placed, apart = _close(one, frame)
        near = np.abs(apart[..., 0]) <= TOLERANCE * one.diameters
        sums.append((2 * placed[..., 1] + apart[..., 1])[near])
    return np.concatenate(sums)


def _diagonal_shifts(points: Sequence[_Points]) -> NDArray[np.float64]:
    """Return the distances along the diagonal of pairs that lie on one, as the corner and the centre of a box do."""
    shifts = []
    for one in points:
        _, apart = _close(one, Frame())
        along, across = apart.mean(axis=2), apart[..., 0] - apart[..., 1]
        size = np.abs(along) / one.diameters
        near = (np.abs(across) <= TOLERANCE * one.diameters) & (size >= TOLERANCE) & (size <= 2)
        shifts.append(along[near])
    return np.concatenate(shifts)


def _peak(values: NDArray[np.float64], points: Iterable[_Points]) -> float | None:
    """Return the middle of the values that most lie about, within the tolerance; None without any."""
    if not len(values):
        return None
    width = 2 * TOLERANCE * min(float(np.median(one.diameters)) for one in points)
    values = np.sort(values)
    within = np.searchsorted(values, values + width, side="right") - np.arange(len(values))
    first = int(np.argmax(within))
    return float(np.median(values[first : first + within[first]]))
