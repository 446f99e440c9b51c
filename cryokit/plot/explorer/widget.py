"""The explorer in JupyterLab."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import pandas as pd
import traitlets

from cryokit import micrograph as micrograph_files
from cryokit._util.names import micrograph_names
from cryokit._util.wording import plural
from cryokit.coordinates import SUFFIXES, concatenate, write, write_folder
from cryokit.errors import ArgumentError, CryokitError
from cryokit.micrograph import Micrograph, MicrographLike
from cryokit.plot.explorer.contents import SCRIPT, STYLE, Shown, Tables, described, map_files, pictures

if TYPE_CHECKING:
    from cryokit.plot.explorer.contents import Scores

logger = logging.getLogger(__name__)

_KEPT = 2  # micrographs that are kept in memory, to come back to


class Explorer(anywidget.AnyWidget):
    """Micrographs with their picks, to look at and to edit, in JupyterLab; see `explore`, whose parameters it has.

    Attributes
    ----------
    threshold : float or None
        Lowest score that is shown and saved; None for all. Setting it moves the slider.
    """

    _esm = SCRIPT
    _css = STYLE
    threshold = traitlets.Float(None, allow_none=True).tag(sync=True)

    def __init__(
        self,
        micrographs: MicrographLike | Iterable[MicrographLike],
        picks: pd.DataFrame | None = None,
        labels: pd.DataFrame | None = None,
        scores: Mapping[str, Scores] | str | os.PathLike | None = None,
        *,
        diameter: float | None = None,
    ) -> None:
        self._micrographs = _listed(micrographs)
        self._shown = _all_shown(self._micrographs)
        names = [shown.name for shown in self._shown]
        if not names or len(set(names)) < len(names):
            raise ArgumentError(f"micrographs: {'there are none' if not names else 'two have the same name'}")
        self._tables = Tables(names, picks, labels, diameter=diameter)
        if isinstance(scores, (str, os.PathLike)):
            scores = map_files(scores, {shown.name: shown.path or shown.name for shown in self._shown})
        self._scores = dict(scores or {})
        self._open = functools.lru_cache(_KEPT)(self._read)
        super().__init__()
        self.on_msg(self._received)

    def __repr__(self) -> str:
        micrographs, picks = plural(len(self._shown), "micrograph"), plural(len(self._tables.picks), "pick")
        return f"Explorer of {micrographs} with {picks}, shown by JupyterLab while the kernel runs"

    @property
    def all_picks(self) -> pd.DataFrame:
        """Table of all picks as edited, in the order of the micrographs."""
        rows = self._tables.picks
        return concatenate(rows[rows["micrograph"] == shown.name] for shown in self._shown)

    @property
    def picks(self) -> pd.DataFrame:
        """Table of the picks as edited, those at or above the threshold."""
        picks = self.all_picks
        if self.threshold is None or not self._tables.scored:
            return picks
        return picks[picks["score"] >= self.threshold].reset_index(drop=True)

    def save(self, path: str | os.PathLike) -> str:
        """Write the picks at or above the threshold.

        Parameters
        ----------
        path : path-like
            File with the suffix of a coordinate format, such as ``picks.star``, ``mic.box`` or ``picks.csv``. Anything
            else is a folder, which gets a STAR file for each micrograph.

        Returns
        -------
        str
            What was written.

        Raises
        ------
        CryokitError
            If it cannot be written.
        """
        picks, path = self.picks, Path(path)
        if path.name.lower().endswith(SUFFIXES):
            files = {shown.name: shown.path for shown in self._shown if shown.path is not None}
            write(picks, path, micrographs=files)
        else:
            write_folder(picks, path, "star", micrographs=[shown.name for shown in self._shown])
        return f"{path}: {plural(len(picks), 'pick')}"

    def _read(self, index: int) -> Micrograph:
        micrograph = self._micrographs[index]
        if isinstance(micrograph, Micrograph):
            return micrograph
        return micrograph_files.read(micrograph, name=self._shown[index].name)

    def _received(self, _: anywidget.AnyWidget, message: dict[str, Any], __: list[memoryview]) -> None:
        if message["kind"] == "contents":
            self.send({"kind": "contents", "contents": described(self._shown, self._tables, self.threshold)})
        elif message["kind"] == "pictures":
            self._send_pictures(message["index"], message["kinds"])
        elif message["kind"] == "picks":
            self._tables.replace(self._shown[message["index"]].name, message["picks"])
        elif message["kind"] == "save":
            try:
                text = self.save(message["path"] or "picks")
            except (CryokitError, OSError) as error:
                text = str(error)
            self.send({"kind": "said", "text": text})

    def _send_pictures(self, index: int, kinds: list[str]) -> None:
        answer: dict[str, Any] = {"kind": "pictures", "index": index, "kinds": kinds}
        try:
            micrograph = self._open(index)
            layers = pictures(micrograph, self._tables.diameter, self._scores.get(micrograph.name), kinds=kinds)
        except (CryokitError, OSError) as error:
            self.send(answer | {"error": str(error)})
            return
        buffers = [tile["data"] for layer in layers.values() if layer for tile in layer["tiles"]]
        number = iter(range(len(buffers)))
        answer["pictures"] = {
            key: layer and layer | {"tiles": [tile | {"data": next(number)} for tile in layer["tiles"]]}
            for key, layer in layers.items()
        }
        self.send(answer, buffers)


def explore(
    micrographs: MicrographLike | Iterable[MicrographLike],
    picks: pd.DataFrame | None = None,
    labels: pd.DataFrame | None = None,
    scores: Mapping[str, Scores] | str | os.PathLike | None = None,
    *,
    diameter: float | None = None,
) -> Explorer:
    """Show micrographs with their picks in JupyterLab, to look at, to move a threshold, and to edit.

    Parameters
    ----------
    micrographs : Micrograph, path-like, or iterable of these
        Micrographs; a path may be a folder. Files are read when they are looked at.
    picks : pandas.DataFrame, optional
        Table of picks (`cryokit.coordinates.picks`). By default there are none, to begin with.
    labels : pandas.DataFrame, optional
        Table of the true particles. Picks are matched to them as `cryokit.evaluate.evaluate` does by default.
    scores : mapping of str to ndarray, Picture, ScoreMap or path-like, or path-like, optional
        Probability of a particle, by the name of the micrograph. An array covers the whole micrograph. A path is a
        folder of maps, such as the output of ``cryokit pick --save-maps``.
    diameter : float, optional
        Particle diameter in pixels, where the tables have none.

    Returns
    -------
    Explorer
        Widget; its `picks` are the table as edited, and `save` writes them.

    Raises
    ------
    ArgumentError
        If there are no micrographs, or two have the same name.
    CoordinateError
        If a table cannot be shown, see `cryokit.plot.explorer.contents.Tables`, or if no score map belongs to a
        micrograph.
    MicrographError
        If there are no files.
    """
    return Explorer(micrographs, picks, labels, scores, diameter=diameter)


def _listed(micrographs: MicrographLike | Iterable[MicrographLike]) -> list[Micrograph | Path]:
    single = isinstance(micrographs, (str, os.PathLike, Micrograph))
    listed: list[Micrograph | Path] = []
    for micrograph in [micrographs] if single else micrographs:
        listed += [micrograph] if isinstance(micrograph, Micrograph) else micrograph_files.find(micrograph)
    return listed


def _all_shown(micrographs: Iterable[Micrograph | Path]) -> list[Shown]:
    paths = [micrograph for micrograph in micrographs if not isinstance(micrograph, Micrograph)]
    called = dict(zip(paths, micrograph_names(paths), strict=True))
    return [
        Shown(micrograph.name, micrograph.data.shape, micrograph.path)
        if isinstance(micrograph, Micrograph)
        else Shown(called[micrograph], micrograph_files.shape(micrograph), micrograph)
        for micrograph in micrographs
    ]
