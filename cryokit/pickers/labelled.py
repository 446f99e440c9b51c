"""What pickers that learn from labels have in common: labels to scenes, a threshold, picks, and their files."""

from __future__ import annotations

import contextlib
import logging
import os
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from cryokit._util.wording import plural
from cryokit.coordinates.table import IGNORE, concatenate, table
from cryokit.errors import PickerError
from cryokit.evaluate.thresholds import UNDECIDED, best_threshold, threshold_from_scores
from cryokit.imaging import windows
from cryokit.imaging.peaks import NOT_ON_EDGE, find_peaks, inside
from cryokit.micrograph import Micrograph
from cryokit.networks import Model
from cryokit.networks.devices import using
from cryokit.pickers import saving as storage
from cryokit.pickers.interface import Picker, check_settings, check_whole, names_of, opened, require_fitted
from cryokit.pickers.label_checks import labelled

logger = logging.getLogger(__name__)

FAINTEST = 0.02  # candidates with less are not worth keeping
SLACK = 0.005  # of F1: so little on a few micrographs is chance
APART = 0.5  # diameters between two picks of a network that judges windows at least
SMOOTH = 0.06  # diameters: a particle's scores are high and even over a part of it, whose middle is looked for
LEARNED = ("diameter_", "contrast_", "threshold_", "decisions_")


@dataclass(frozen=True, eq=False)
class Scene:
    """One labelled micrograph as the method sees it.

    Attributes
    ----------
    name : str
        Of the micrograph.
    picture : ndarray of float32, shape (rows, columns)
        At the working scale, particles dark (as `contrast` says), levelled: about mean 0 and deviation 1 in every
        window (`cryokit.imaging.windows.prepare`).
    particles : ndarray of float64, shape (n, 2)
        Centres, x (column) and y (row) in pixels of `picture`.
    views : ndarray of str, shape (n,)
        Of the particles; empty where the labels say none.
    ignored : ndarray of float64, shape (m, 2)
        Centres of what is neither particle nor background.
    """

    name: str
    picture: NDArray[np.float32]
    particles: NDArray[np.float64]
    views: NDArray
    ignored: NDArray[np.float64]

    @property
    def occupied(self) -> NDArray[np.float64]:
        """Centres of all that must not be taken for background, shape (n + m, 2)."""
        return np.concatenate([self.particles, self.ignored])


class Found(NamedTuple):
    """Candidates of one micrograph, in pixels of the picture."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    score: NDArray[np.float64]


class LabelledPicker(Picker):
    """Base of the pickers that learn from labels; a method says how it learns from scenes and finds in a picture.

    A subclass has its settings as constructor arguments of the same names as its attributes (the four below among
    them), calls ``super().__init__``, and gives

    - `working_diameter` and `window` (attributes or properties): pixels across a particle in the picture, and the side
      of the window in which the picture is levelled (the method's box);
    - ``_learn(scenes)``: learn from a list of `Scene`; what was decided is told by `_decide`;
    - ``_find(picture, least)``: the candidates of a picture with at least that score, as `Found`;
    - `save` and `load`; `NetworkPicker` has them for networks.

    Parameters
    ----------
    diameter : float, optional
        Of the particle, in pixels of the micrograph; the median of the labels when not given.
    contrast : {"dark", "bright"}, optional
        Of the particles in the micrograph; with labels it makes no difference.
    validation : float
        Share of the labelled micrographs (at least one, of three or more) that is held out to choose the threshold on;
        0 for none: then the threshold comes from the distribution of the scores.
    seed : int

    Attributes
    ----------
    diameter_ : float
    contrast_ : {"dark", "bright"}
    threshold_ : float
    decisions_ : list of str
        What was decided, and from what.
    """

    needs_labels: ClassVar[bool] = True
    learned_in: ClassVar[str]  # the attribute that is None until something has been learned
    working_diameter: float
    window: int

    def __init__(
        self,
        diameter: float | None = None,
        contrast: Literal["dark", "bright"] | None = None,
        validation: float = 0.2,
        seed: int = 0,
    ) -> None:
        check_settings(diameter, contrast, 1)
        check_whole("seed", seed, 0)
        if not 0 <= validation <= 0.5:
            raise PickerError(f"validation {validation!r}: give a share of the micrographs, from 0 to 0.5")
        self.diameter = diameter
        self.contrast = contrast
        self.validation = validation
        self.seed = seed
        self.diameter_: float | None = None
        self.contrast_: str | None = None
        self.threshold_ = UNDECIDED
        self.decisions_: list[str] = []

    @using()
    def fit(
        self, micrographs: Iterable[Micrograph | str | os.PathLike], labels: pd.DataFrame | None = None
    ) -> LabelledPicker:
        """Learn from labelled micrographs.

        Parameters
        ----------
        micrographs : iterable of Micrograph or path
            Given as paths, only one is in memory at a time, besides the pictures at the working scale.
        labels : pandas.DataFrame
            Table of picks of these micrographs: of each one that it names all its particles; the others are left out.
            Rows of the view ``ignore`` are neither particles nor background: a micrograph that is known to be empty has
            one.

        Returns
        -------
        LabelledPicker
            Itself.

        Raises
        ------
        PickerError
            When there are no micrographs or labels, none of the labels is of these micrographs, they lie outside of
            them, or nothing can be learned from them.
        CoordinateError
            When the labels are no table of picks.
        """
        self.decisions_ = []
        setattr(self, self.learned_in, None)
        micrographs = list(micrographs)
        if not micrographs:
            raise PickerError("no micrographs to learn from")
        if labels is None:
            raise PickerError(
                f"method {self.name!r} learns from labels: give them, or the picks of a method that needs none"
            )
        micrographs, labels, self.diameter_, told = labelled(micrographs, labels, self.diameter)
        self._decide(told)
        self.contrast_ = self.contrast or self._contrast(micrographs)
        learned, held_out = self._divided(micrographs)
        try:
            self._learn(self._scenes(learned, labels))
        except BaseException:
            setattr(self, self.learned_in, None)
            raise
        self._choose_threshold(held_out, learned, labels)
        return self

    @using()
    def pick(self, micrograph: Micrograph | str | os.PathLike, *, threshold: float | None = None) -> pd.DataFrame:
        """Find the particles of one micrograph; see `Picker.pick`."""
        require_fitted(self, self.learned_in)
        (micrograph,) = opened([micrograph])
        return self._picks(micrograph, self.threshold_ if threshold is None else threshold)

    @abstractmethod
    def _learn(self, scenes: Sequence[Scene]) -> None:
        """Learn from labelled pictures."""

    @abstractmethod
    def _find(self, picture: NDArray[np.float32], least: float) -> Found:
        """Return the candidates of a picture with a score of at least `least`."""

    def _decide(self, what: str) -> None:
        self.decisions_.append(what)
        logger.info("%s: %s", self.name, what)

    def _contrast(self, micrographs: Sequence[Micrograph | str | os.PathLike]) -> str:
        """Return what particles are taken for where `contrast` is not given; labels make it the same."""
        return "dark"

    def _divided(self, micrographs: list) -> tuple[list, list]:
        """Divide the micrographs into those to learn from and those held out; different ones at each seed."""
        if not self.validation or len(micrographs) < 3:
            return micrographs, []
        number = max(1, round(self.validation * len(micrographs)))
        chosen = set(np.random.default_rng(self.seed).permutation(len(micrographs))[:number].tolist())
        return (
            [each for index, each in enumerate(micrographs) if index not in chosen],
            [each for index, each in enumerate(micrographs) if index in chosen],
        )

    def _prepare(self, micrograph: Micrograph) -> tuple[NDArray[np.float32], windows.Frame]:
        return windows.prepare(
            micrograph, self.diameter_, self.contrast_, self.working_diameter / self.diameter_, self.window
        )

    def _scenes(self, micrographs: Iterable[Micrograph | str | os.PathLike], labels: pd.DataFrame) -> list[Scene]:
        scenes = []
        for micrograph in opened(micrographs):
            picture, frame = self._prepare(micrograph)
            here = labels[labels["micrograph"] == micrograph.name]
            places = np.column_stack(frame.from_micrograph(here["x"], here["y"])).reshape(-1, 2)
            view = here["view"].to_numpy()
            particle = view != IGNORE
            scenes.append(Scene(micrograph.name, picture, places[particle], view[particle], places[~particle]))
        return scenes

    def _picks(self, micrograph: Micrograph, least: float) -> pd.DataFrame:
        picture, frame = self._prepare(micrograph)
        found = self._find(picture, least)
        # A picture may have a line of zeros more than the micrograph, and mirrored windows centres outside.
        x, y = frame.to_micrograph(found.x, found.y)
        kept = inside(found.x, found.y, frame.resized, 0.0) & inside(x, y, micrograph.data.shape, 0.0)
        kept &= found.score >= least
        picks = table(micrograph.name, x[kept], y[kept], np.clip(found.score[kept], 0, 1), self.diameter_)
        return picks.sort_values("score", ascending=False, kind="stable", ignore_index=True)

    def _choose_threshold(self, held_out: Sequence, learned: Sequence, labels: pd.DataFrame) -> None:
        chosen = held_out or learned
        picks = concatenate([self._picks(micrograph, FAINTEST) for micrograph in opened(chosen)])
        best = None
        names = names_of(chosen)
        truth = labels[labels["micrograph"].isin(names)]
        if held_out and (truth["view"] != IGNORE).any():
            with contextlib.suppress(PickerError):  # no pick is where a particle is
                best = best_threshold(picks, truth, micrographs=names, diameter=self.diameter_, slack=SLACK)
        self.threshold_ = threshold_from_scores(picks["score"]) if best is None else best
        how = "from the distribution of the scores on" if best is None else "the best for"
        held = " held out" if held_out else ""
        self._decide(f"threshold {self.threshold_:.2f}, {how} {plural(len(chosen), 'micrograph')}{held}")


class NetworkPicker(LabelledPicker):
    """Base of the labelled pickers with one network or more, which are saved as a folder (`cryokit.networks.Model`).

    ``_learn`` ends with ``self.model_ = self._model(network, config, others)``; the first network is the one that
    judges first, `others` are the method's further networks by name (``self.model_.companions``).
    """

    learned_in: ClassVar[str] = "model_"

    def __init__(
        self,
        diameter: float | None = None,
        contrast: Literal["dark", "bright"] | None = None,
        validation: float = 0.2,
        seed: int = 0,
    ) -> None:
        super().__init__(diameter, contrast, validation, seed)
        self.model_: Model | None = None

    def _peaks(self, picture: NDArray[np.float32], stride: int, least: float) -> Found:
        """Return the peaks of the scores of all windows, as a network that judges windows gives them."""
        from cryokit.networks.scoring import dense

        scores = dense(picture, self.model_, stride=stride)
        diameter = self.working_diameter / scores.step
        smooth = ndimage.gaussian_filter(scores.particle, SMOOTH * diameter, mode="nearest")
        column, row, score = find_peaks(smooth, APART * diameter, least, margin=NOT_ON_EDGE)
        return Found(*scores.to_image(row, column), score)

    def _model(self, network: Any, config: Any, others: dict[str, tuple[Any, Any]] | None = None, **told: Any) -> Model:
        """Return trained networks as a model.

        Parameters
        ----------
        network, config
            A Keras model, and the `NetworkConfig` that builds it.
        others : dict of str to (NetworkConfig, keras.Model), optional
        **told
            JSON values for the provenance, such as summaries of the trainings.
        """
        return Model(
            network=network,
            config=config,
            working_diameter=self.working_diameter,
            threshold=UNDECIDED,
            diameter=self.diameter_,
            preprocessing={
                "kind": "windows",
                "factor": self.working_diameter / self.diameter_,
                "contrast": self.contrast_,
                "detail": windows.DETAIL,
                "levelled": self.window,
            },
            provenance=told,
            method=self.name,
            companions=others or {},
        )

    def save(self, path: str | os.PathLike) -> Path:
        """Write the fitted picker to a folder; see `cryokit.networks.Model`."""
        require_fitted(self, "model_")
        self.model_.threshold = self.threshold_
        return storage.save_network(self, LEARNED, path)

    @classmethod
    @using()
    def load(cls, path: str | os.PathLike) -> NetworkPicker:
        """Return the picker that `save` wrote."""
        return storage.load_network(cls, LEARNED, path)
