"""Base of the pickers that learn from labels: from labels to scenes, the threshold, picks and score maps."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from cryokit._util.checked_settings import number
from cryokit._util.wording import plural
from cryokit.coordinates import IGNORE, concatenate, table
from cryokit.errors import PickerError
from cryokit.imaging.frame import Frame, Picture
from cryokit.imaging.peaks import NOT_ON_EDGE, find_peaks, inside
from cryokit.micrograph import Micrograph, MicrographLike
from cryokit.networks import Model
from cryokit.networks.devices import using
from cryokit.networks.scoring import ScoreMap, dense
from cryokit.networks.scoring.centring import centred
from cryokit.networks.training import History, Samples, TrainingSettings, train
from cryokit.pickers.interface import Micrographs, Pictures
from cryokit.pickers.label_checks import hold_out, labelled
from cryokit.pickers.map_picker import MapPicker

FAINTEST = 0.02  # candidates with less are not worth keeping
APART = 0.5  # diameters between two picks of a network that judges windows at least
SMOOTH = 0.06  # diameters: a particle's scores are high and even over a part of it, whose middle is sought


@dataclass(frozen=True, eq=False)
class Scene:
    """One labelled micrograph as the method sees it.

    Attributes
    ----------
    name : str
        Name of the micrograph.
    shape : tuple of int
        Rows and columns of the picture.
    load : callable
        Returns the picture. Go through many scenes in their order: not all pictures may be in memory (`Pictures`).
    particles : ndarray of float64, shape (n, 2)
        Centres, x (column) and y (row) in pixels of the picture.
    views : ndarray of str, shape (n,)
        Views of the particles; empty where the labels have none.
    ignored : ndarray of float64, shape (m, 2)
        Centres of what is neither particle nor background.
    pixel_size : float or None
        Pixel size of the micrograph in Angstrom.
    """

    name: str
    shape: tuple[int, int]
    load: Callable[[], NDArray[np.float32]]
    particles: NDArray[np.float64]
    views: NDArray
    ignored: NDArray[np.float64]
    pixel_size: float | None = None

    @classmethod
    def of(cls, micrograph: Micrograph, picture: Picture, labels: pd.DataFrame, load: Callable | None = None) -> Scene:
        """Return the scene of a micrograph.

        Parameters
        ----------
        micrograph : Micrograph
            Gives name and pixel size.
        picture : Picture
            Prepared micrograph.
        labels : pandas.DataFrame
            Labels of the micrograph, in its pixels as stored.
        load : callable, optional
            Returns the picture later; by default the scene keeps it.
        """
        places = np.column_stack(picture.frame.from_source(labels["x"], labels["y"])).reshape(-1, 2)
        view = labels["view"].to_numpy()
        particle = view != IGNORE
        return cls(
            micrograph.name,
            picture.data.shape,
            load or (lambda: picture.data),
            places[particle],
            view[particle],
            places[~particle],
            micrograph.pixel_size,
        )

    @property
    def picture(self) -> NDArray[np.float32]:
        """Micrograph at the working scale, particles dark, with about mean 0 and deviation 1 in every window."""
        return self.load()

    @property
    def occupied(self) -> NDArray[np.float64]:
        """Centres of all that must not be taken for background, shape (n + m, 2)."""
        return np.concatenate([self.particles, self.ignored])


class Candidates(NamedTuple):
    """Candidates of one micrograph, in pixels of the picture."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    score: NDArray[np.float64]

    @property
    def places(self) -> NDArray[np.float64]:
        """Centres, shape (n, 2)."""
        return np.column_stack([self.x, self.y])

    def where(self, chosen: NDArray | slice) -> Candidates:
        """Return the candidates that a mask, indices or a slice choose."""
        return Candidates(self.x[chosen], self.y[chosen], self.score[chosen])


@dataclass(eq=False)
class LabelledPicker(MapPicker):
    """Base of the pickers that learn from labels; a method says how it learns from scenes and scores a picture.

    A subclass is a dataclass whose fields are its further settings (`SizedPicker`), and defines

    - `working_diameter` and `window` (attributes or properties): pixels across a particle in the picture, and the side
      of the window in which the picture is levelled (the method's box);
    - ``_learn(scenes)``: learn from a list of `Scene`;
    - ``_scores(picture)``: the map of the picture's scores;
    - ``_find(picture, least)``: the candidates of a picture with at least that score.

    Parameters
    ----------
    diameter : float, optional
        Particle diameter in pixels of the micrograph; default: the median of the labels.
    contrast : {"dark", "bright"}, optional
        Contrast of the particles; with labels it makes no difference.
    validation : float
        Share of the labelled micrographs (at least one, of three or more) held out to choose the threshold on. With 0
        the threshold comes from the distribution of the scores.
    seed : int
        Random seed.

    Attributes
    ----------
    diameter_, contrast_, bias_
        See `cryokit.pickers.map_picker.MapPicker`.
    """

    without_labels: ClassVar[bool] = False
    with_labels: ClassVar[bool] = True

    validation: float = number(0.2, 0, 0.5)
    seed: int = number(0, 0, whole=True)

    @using()
    def fit(self, micrographs: Iterable[MicrographLike], labels: pd.DataFrame | None = None) -> LabelledPicker:
        """Learn from labelled micrographs.

        Parameters
        ----------
        micrographs : iterable of Micrograph or path
            Of many micrographs some are prepared again for each pass, so that their number does not matter to the
            memory (`Pictures`).
        labels : pandas.DataFrame
            Table of picks of these micrographs: all particles of each micrograph that it names; the others are left
            out. Rows of the view ``ignore`` are neither particles nor background; a micrograph that is known to be
            empty has one.

        Returns
        -------
        LabelledPicker
            The picker itself.

        Raises
        ------
        PickerError
            If there are no micrographs or labels, the labels are of other micrographs or lie outside of them, or
            nothing can be learned from them.
        CoordinateError
            If the labels are no table of picks.
        """
        with self._learning():
            micrographs = Micrographs.to_learn_from(micrographs)
            if labels is None:
                raise PickerError(f"method {self.name!r} learns from labels; give them, as cryokit train --labels does")
            micrographs, labels, self.diameter_, decision = labelled(micrographs, labels, self.diameter)
            self._decide(decision)
            self.contrast_ = self.contrast or self._contrast(micrographs)
            training, held_out = hold_out(micrographs, self.validation, self.seed)
            pictures = Pictures(training, self._prepare)
            scenes = self._scenes(training, pictures, labels)
            if not any(len(scene.particles) for scene in scenes):
                raise PickerError("no particle is labelled on the micrographs to learn from; give more of them")
            self._learn(scenes)
            if held_out:
                truth = labels[labels["micrograph"].isin(held_out.names)]
                self._choose_threshold(Pictures(held_out, self._prepare), truth)
            else:
                self._choose_threshold(pictures)
            self._centre(pictures)
        return self

    @abstractmethod
    def _learn(self, scenes: Sequence[Scene]) -> None:
        """Learn from labelled pictures."""

    @abstractmethod
    def _scores(self, picture: NDArray[np.float32]) -> ScoreMap:
        """Return the scores of a picture; their positions are in pixels of the picture."""

    @abstractmethod
    def _find(self, picture: NDArray[np.float32], least: float) -> Candidates:
        """Return the candidates of a picture with a score of at least `least`."""

    def _contrast(self, micrographs: Micrographs) -> str:
        """Return the contrast to assume where `contrast` is not given; with labels it makes no difference."""
        return "dark"

    def _scenes(self, micrographs: Micrographs, pictures: Pictures, labels: pd.DataFrame) -> list[Scene]:
        scenes = []
        for index, micrograph in enumerate(micrographs):
            picture = self._prepare(micrograph)
            pictures.add(index, picture)
            own = labels[labels["micrograph"] == micrograph.name]
            scenes.append(Scene.of(micrograph, picture, own, partial(pictures.pixels, index)))
        return scenes

    def _pick_prepared(self, name: str, picture: Picture, least: float) -> pd.DataFrame:
        frame = picture.frame
        candidates = self._find(picture.data, least)
        x, y = centred(frame, self.bias_).to_source(candidates.x, candidates.y)
        # Mirrored windows may have their centres outside, and the outer pixels of the picture may reach out.
        kept = inside(candidates.x, candidates.y, frame.shape, 0.0) & inside(x, y, frame.source, 0.0)
        kept &= candidates.score >= least
        picks = table(name, x[kept], y[kept], np.clip(candidates.score[kept], 0, 1), self.diameter_)
        return picks.sort_values("score", ascending=False, kind="stable", ignore_index=True)

    def _locate(self, picture: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        candidates = self._find(picture, self.threshold_)
        return candidates.x, candidates.y

    def _choose_threshold(self, pictures: Pictures, truth: pd.DataFrame | None = None, lowest: float = 0.0) -> None:
        """Choose the threshold on some micrographs: the best for labels, or else from the distribution of the scores.

        Parameters
        ----------
        pictures : Pictures
            Prepared micrographs.
        truth : pandas.DataFrame, optional
            Labels of these micrographs, if nothing has been learned from them.
        lowest : float
            Lowest threshold to take from the distribution.
        """
        prepared = zip(pictures.names, pictures, strict=True)
        picks = concatenate(self._pick_prepared(name, picture, FAINTEST) for name, picture in prepared)
        best = self._set_threshold(picks, pictures.names, truth, lowest=lowest)
        origin = "the best for" if best else "from the distribution of the scores on"
        part = "" if truth is None else " held out"
        self._decide(f"threshold {self.threshold_:.2f}, {origin} {plural(len(pictures), 'micrograph')}{part}")


@dataclass(eq=False)
class NetworkPicker(LabelledPicker):
    """Base of the labelled pickers with one network or more, which are saved as a folder (`cryokit.networks.Model`).

    A method says how wide its window is: in diameters with `box_diameters`, and in pixels with a setting `box` or an
    attribute `window`. ``_learn`` trains networks by `_train`, and ends with
    ``self.model_ = self._model(network, config, others)``. The first network scores positions; `others` are the
    method's further networks by name (``self.model_.companions``).

    Attributes
    ----------
    stride : int or None
        Pixels of the picture between scores; None for the network's own stride.
    histories_ : list of cryokit.networks.training.History
        History of each training after `fit`; only their summaries are saved.
    """

    learned_in: ClassVar[str] = "model_"
    transient: ClassVar[tuple[str, ...]] = ("histories_",)
    box_diameters: ClassVar[float]
    stride = None

    model_: Model | None = field(default=None, init=False, repr=False)
    histories_: list[History] = field(default_factory=list, init=False, repr=False)

    @property
    def window(self) -> int:
        """Side of the network's window in pixels of the picture, and of the window in which the picture is levelled."""
        return self.box

    @property
    def working_diameter(self) -> float:
        """Particle diameter in pixels of the picture."""
        return self.window / self.box_diameters

    def _forget(self) -> None:
        super()._forget()
        self.histories_ = []

    def _train(self, network: Any, samples: Samples, settings: TrainingSettings, seed: int) -> None:
        """Train a network on boxes, and keep the history."""
        self.histories_.append(train(network, samples, None, settings, seed=seed))

    def _scores(self, picture: NDArray[np.float32]) -> ScoreMap:
        return dense(picture, self.model_, stride=self.stride)

    def _find(self, picture: NDArray[np.float32], least: float) -> Candidates:
        """Return the peaks of the scores of all windows, as a network that judges windows gives them."""
        scores = self._scores(picture)
        diameter = self.working_diameter / scores.frame.step
        smooth = ndimage.gaussian_filter(scores.particle, SMOOTH * diameter, mode="nearest")
        column, row, score = find_peaks(smooth, APART * diameter, least, margin=NOT_ON_EDGE)
        return Candidates(*scores.frame.to_source(column, row), score)

    def _model(
        self, network: Any, config: Any, others: dict[str, tuple[Any, Any]] | None = None, **provenance: Any
    ) -> Model:
        """Return trained networks as a model.

        Parameters
        ----------
        network, config
            A Keras model, and the `NetworkConfig` that builds it.
        others : dict of str to (NetworkConfig, keras.Model), optional
            Further networks, by name.
        **provenance
            Values of JSON to save beside the summaries of the trainings.
        """
        trainings = [history.summary() for history in self.histories_]
        return self._window_model(network, config, {"trainings": trainings, **provenance}, **(others or {}))


def particle_map(probability: NDArray, frame: Frame) -> ScoreMap:
    """Return probabilities of a particle, and their frame, as a score map of the classes particle and background."""
    probability = np.asarray(probability, np.float32)
    return ScoreMap(np.stack([probability, 1 - probability], axis=-1), ("particle", "background"), frame)
