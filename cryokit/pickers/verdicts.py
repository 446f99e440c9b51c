"""Which micrographs are worth picking: what their pixels, the general network and their neighbours say."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from cryokit._util.csv_text import csv_text
from cryokit._util.files import write_text
from cryokit._util.names import micrograph_names
from cryokit._util.prefetch import ahead
from cryokit.errors import MicrographError
from cryokit.imaging.contrast import Contrast, contrast_score
from cryokit.imaging.preparation import recorded, unusable_regions
from cryokit.imaging.thon_rings import thon_rings
from cryokit.micrograph import Micrograph
from cryokit.pickers.auto import AutoPicker
from cryokit.pickers.interface import Assessment
from cryokit.pickers.one_of_many import problem_of, read_named

logger = logging.getLogger(__name__)

Verdict: TypeAlias = Literal["good", "poor", "empty"]
VERDICTS: tuple[Verdict, ...] = ("good", "poor", "empty")
MASKED = 0.5  # share that is no usable ice from which on a micrograph is poor
CLEAR = 0.28  # evidence below which particles are few or faint
PLAIN = 0.45  # evidence at another micrograph's diameter that needs no second look
NEIGHBOURS = 4  # micrographs that a comparison of numbers needs
FEW = 0.25  # picks relative to the median of the good micrographs, below which one is poor
BRIGHTEST = 0.98  # quantile of the micrographs' levels that stands for the thinnest ice
COARSE = 512  # pixels along the shorter side that tell the median grey value


@dataclass(frozen=True)
class Quality:
    """Record of one micrograph: a row of ``micrographs.csv``.

    Attributes
    ----------
    micrograph : str
        Name.
    verdict : {"good", "poor", "empty"}
        Worth picking, of little use, or without particles.
    reason : str
        Why it is not good.
    picks : int
        Number of picks.
    relative_picks : float
        The same relative to the median of the micrographs looked at together; NaN if that is 0.
    evidence : float
        How sure the network is of what it sees, from 0 to 1; NaN for methods that do not tell.
    diameter : float
        Particle diameter in pixels.
    masked : float
        Share of the recorded area that is no usable ice.
    contrast : float
        How far particles are darker (negative) or brighter than their surroundings
        (`cryokit.imaging.contrast_score`).
    rings : float
        Resolution to which Thon rings are seen, in pixels (2 is the Nyquist limit); NaN if there are none.
    resolution : float
        The same in Angstrom; NaN also if the pixel size is not known.
    ice : float
        Thickness of the ice relative to the thinnest of the micrographs, in mean free paths of the electrons: the
        logarithm of the ratio of their median grey values. NaN where grey values are no electron counts.
    level : float
        Median grey value; NaN for pictures of 8 bits, which are stretched.
    """

    micrograph: str
    verdict: Verdict
    reason: str
    picks: int
    relative_picks: float
    evidence: float
    diameter: float
    masked: float
    contrast: float
    rings: float
    resolution: float
    ice: float
    level: float

    @property
    def title(self) -> str:
        """Name, verdict and reason in one line."""
        return f"{self.micrograph}: {self.verdict}" + (f", {self.reason}" if self.reason else "")


def measured(micrograph: Micrograph, diameter: float | None = None) -> Quality:
    """Measure what the pixels of a micrograph say; everything about picks and neighbours is left open.

    Parameters
    ----------
    micrograph : Micrograph
        Micrograph.
    diameter : float, optional
        Particle diameter in pixels, where it is known.

    Returns
    -------
    Quality
        Of a micrograph that cannot be measured, since it is constant or has pixels that are NaN or infinite, the
        verdict is "poor" and the reason says so.
    """
    try:
        return _measured(micrograph, diameter)
    except MicrographError as error:
        unknown = dict.fromkeys(("relative_picks", "evidence", "diameter", "masked", "contrast"), math.nan)
        unknown |= dict.fromkeys(("rings", "resolution", "ice", "level"), math.nan)
        return Quality(micrograph=micrograph.name, verdict="poor", reason=str(error), picks=0, **unknown)


def _measured(micrograph: Micrograph, diameter: float | None) -> Quality:
    picture, mask = recorded(micrograph), unusable_regions(micrograph)
    rings = thon_rings(picture, mask)
    step = max(1, min(picture.data.shape) // COARSE)
    return Quality(
        micrograph=micrograph.name,
        verdict="good",
        reason="",
        picks=0,
        relative_picks=math.nan,
        evidence=math.nan,
        diameter=math.nan if diameter is None else float(diameter),
        masked=float(mask.data.mean()),
        contrast=contrast_score(picture.data, diameter),
        rings=rings.resolution(1.0),
        resolution=rings.resolution(micrograph.pixel_size or math.nan),
        ice=math.nan,
        # Bytes have been stretched; they do not count electrons.
        level=float(np.median(picture.data[::step, ::step])) if micrograph.data.dtype.itemsize > 1 else math.nan,
    )


def judged(quality: Quality, assessment: Assessment) -> Quality:
    """Add what a picker says of a micrograph, and a verdict that needs no neighbours.

    Parameters
    ----------
    quality : Quality
        Output of `measured`.
    assessment : Assessment
        What the picker found, and how sure it is.
    """
    quality = dataclasses.replace(quality, picks=len(assessment.picks), evidence=assessment.evidence)
    if math.isnan(quality.masked):
        return quality
    if assessment.empty:
        return dataclasses.replace(quality, verdict="empty", reason="nothing on it looks like a particle")
    if quality.masked > MASKED:
        reason = f"{quality.masked:.0%} of it is no usable ice"
        return dataclasses.replace(quality, verdict="poor", reason=reason)
    if not quality.picks:
        return dataclasses.replace(quality, verdict="empty", reason="no picks")
    if quality.evidence < CLEAR:
        reason = f"particles are few or faint (evidence {quality.evidence:.2f})"
        return dataclasses.replace(quality, verdict="poor", reason=reason)
    return quality


def compared(qualities: Sequence[Quality]) -> pd.DataFrame:
    """Compare micrographs with each other, and return all records as a table.

    Parameters
    ----------
    qualities : sequence of Quality
        Outputs of `judged`, of micrographs of one session.

    Returns
    -------
    pandas.DataFrame
        A row for each, in their order; the columns are the attributes of `Quality`.
    """
    good = [quality.picks for quality in qualities if quality.verdict == "good"]
    usual = float(np.median(good)) if good else 0.0
    levels = [quality.level for quality in qualities]
    # Counts are positive; what has been normalised is not.
    counts = len(levels) > 0 and all(level > 0 for level in levels)
    brightest = float(np.quantile(levels, BRIGHTEST)) if counts else math.nan
    rows = []
    for quality in qualities:
        relative = quality.picks / usual if usual else math.nan
        ice = math.log(brightest / quality.level) if counts else math.nan
        quality = dataclasses.replace(quality, relative_picks=relative, ice=ice)
        if quality.verdict == "good" and relative < FEW and len(qualities) >= NEIGHBOURS:
            reason = f"{quality.picks} picks where others have {usual:.0f}"
            quality = dataclasses.replace(quality, verdict="poor", reason=reason)
        rows.append(dataclasses.asdict(quality))
    return pd.DataFrame(rows, columns=[field.name for field in dataclasses.fields(Quality)])


def write(table: pd.DataFrame, path: Path) -> None:
    """Write the output of `compared` as a CSV file."""
    write_text(path, csv_text(table, float_format="%.4g"))


class Triage:
    """Judges micrographs one after the other with the general network, without training.

    The diameter of the last good micrograph is tried first; only where the network sees little at that, all others are.
    So a session takes little longer than picking, and a folder of different proteins is judged all the same.

    Parameters
    ----------
    diameter : float, optional
        Particle diameter in pixels; found on each micrograph by default.
    contrast : {"dark", "bright"}, optional
        Whether particles are darker or brighter than their surroundings; detected by default.
    """

    def __init__(self, diameter: float | None = None, contrast: Contrast | None = None) -> None:
        self.diameter, self.contrast = diameter, contrast
        self._picker: AutoPicker | None = None

    def __call__(self, micrograph: Micrograph) -> tuple[Quality, pd.DataFrame]:
        """Return the quality of a micrograph without regard to others, and its picks.

        Parameters
        ----------
        micrograph : Micrograph

        Raises
        ------
        CryokitError
            If it cannot be judged: too small, constant, or with pixels that are NaN or infinite.
        """
        picker = self._picker
        if picker is not None:
            found = picker.assess(micrograph)
        if picker is None or (found.evidence < PLAIN and self.diameter is None):
            picker = AutoPicker(self.diameter, self.contrast, pretrained=True).fit([micrograph])
            found = picker.assess(micrograph)
        quality = judged(measured(micrograph, picker.diameter_), found)
        if self._picker is None or quality.verdict == "good":
            self._picker = picker
        return quality, found.picks


@dataclass(frozen=True)
class Judged:
    """One file that has been judged, and what was drawn of it."""

    path: Path
    quality: Quality
    drawn: bytes | None = None


def judge_files(
    paths: Sequence[Path],
    diameter: float | None = None,
    contrast: Contrast | None = None,
    *,
    sum_frames: bool = False,
    draw: Callable[[Micrograph, pd.DataFrame], bytes] | None = None,
) -> tuple[list[Judged], dict[str, str]]:
    """Judge micrograph files, one after the other; one that fails does not stop the others.

    Parameters
    ----------
    paths : sequence of path-like
        Micrographs.
    diameter, contrast
        As for `Triage`.
    sum_frames : bool
        Whether to sum the frames of movies.
    draw : callable, optional
        Draws a micrograph with its picks, as `cryokit.plot.triage_sheet.thumbnail` does.

    Returns
    -------
    list of Judged, dict of str to str
        Files that were judged, in their order, and what went wrong with the others, by their paths.
    """
    from tqdm import tqdm

    triage, judged, problems = Triage(diameter, contrast), [], {}
    names = dict(zip(paths, micrograph_names(paths), strict=True))

    def load(path: Path) -> Micrograph:
        return read_named(path, names[path], sum_frames=sum_frames)

    with contextlib.closing(ahead(paths, load, depth=1)) as waiting:
        for path, micrograph in tqdm(waiting, total=len(paths), desc="triage", unit="micrograph", disable=None):
            try:
                if isinstance(micrograph, Exception):
                    raise micrograph
                quality, picks = triage(micrograph)
                judged.append(Judged(path, quality, draw(micrograph, picks) if draw else None))
            except Exception as error:  # of any kind, it is of this micrograph only
                problems[os.fspath(path)] = problem_of(path, error)
                logger.error("%s", problems[os.fspath(path)])
    return judged, problems
