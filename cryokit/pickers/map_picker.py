"""Base of the pickers that prepare a micrograph and give each of its positions a score."""

import contextlib
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pandas as pd

from cryokit.coordinates import IGNORE
from cryokit.errors import PickerError
from cryokit.evaluate.thresholds import SLACK, UNDECIDED, best_threshold, threshold_from_scores
from cryokit.imaging.frame import Picture
from cryokit.imaging.preparation import DETAIL, levelled
from cryokit.micrograph import Micrograph, MicrographLike
from cryokit.networks import Model
from cryokit.networks.devices import using
from cryokit.networks.scoring import ScoreMap
from cryokit.networks.scoring.centring import MICROGRAPHS, centred, turn_bias
from cryokit.pickers.interface import SizedPicker, as_micrograph, spread


@dataclass(eq=False)
class MapPicker(SizedPicker):
    """Base of the pickers that make score maps.

    A method defines ``_scores(picture)``, the score map of a prepared micrograph with its positions in pixels of that
    (or all of ``_map``), ``_pick_prepared`` and, if it calls ``_centre``, ``_locate(picture)``: where the
    candidates of a prepared micrograph are, x and y in its pixels.

    Parameters
    ----------
    diameter, contrast
        See `SizedPicker`.

    Attributes
    ----------
    diameter_, contrast_
        See `SizedPicker`.
    working_diameter, window
        Particle diameter, and side of the window that levels a prepared micrograph, in pixels of that.
    bias_ : (float, float)
        Displacement of the candidates in pixels of a prepared micrograph, which `pick` takes back
        (`cryokit.networks.scoring.turn_bias`).
    """

    working_diameter: ClassVar[float]
    window: ClassVar[int]

    bias_: tuple[float, float] = field(default=(0.0, 0.0), init=False, repr=False)

    @using()
    def pick(self, micrograph: MicrographLike, *, threshold: float | None = None) -> pd.DataFrame:
        """Find the particles of one micrograph; see `Picker.pick`."""
        self._require_fitted()
        micrograph = as_micrograph(micrograph)
        threshold = self.threshold_ if threshold is None else threshold
        return self._on_ice(micrograph, self._pick_prepared(micrograph.name, self._prepare(micrograph), threshold))

    @using()
    def score_map(self, micrograph: MicrographLike) -> ScoreMap:
        """Return the scores of every position of one micrograph; see `Picker.score_map`."""
        self._require_fitted()
        return self._map(self._prepare(as_micrograph(micrograph)))

    @contextlib.contextmanager
    def _learning(self) -> Iterator[None]:
        """Forget what an earlier `fit` found out, and, if this one fails, all that it has."""
        self._forget()
        try:
            yield
        except BaseException:
            self._forget()
            raise

    def _forget(self) -> None:
        self.decisions_ = []
        self.bias_ = (0.0, 0.0)
        setattr(self, self.learned_in, None)

    @property
    def _factor(self) -> float:
        """Size of a prepared micrograph relative to the one as stored."""
        return self.working_diameter / self.diameter_

    def _prepare(self, micrograph: Micrograph) -> Picture:
        return levelled(
            micrograph, self.diameter_, self.contrast_, self._factor, self.window, fill=not self.keep_masked
        )

    def _map(self, picture: Picture) -> ScoreMap:
        """Return the score map of a prepared micrograph; its positions are in pixels of the micrograph as stored."""
        return self._scores(picture.data).within(centred(picture.frame, self.bias_))

    @abstractmethod
    def _pick_prepared(self, name: str, picture: Picture, least: float) -> pd.DataFrame:
        """Return the picks of a prepared micrograph with a score of at least `least`."""

    def _centre(self, pictures: Sequence[Picture]) -> None:
        """Measure by how much the candidates lie beside the particles."""
        chosen = (pictures[index].data for index in spread(range(len(pictures)), MICROGRAPHS))
        self.bias_ = turn_bias(self._locate, chosen, self.working_diameter)

    def _set_threshold(
        self,
        picks: pd.DataFrame,
        names: Sequence[str],
        truth: pd.DataFrame | None,
        *,
        slack: float = SLACK,
        lowest: float = 0.0,
    ) -> bool:
        """Choose the threshold: the best for labels, or else from the distribution of the scores.

        Parameters
        ----------
        picks : pandas.DataFrame
            All candidates of some micrographs.
        names : sequence of str
            Names of these micrographs.
        truth : pandas.DataFrame or None
            Labels of these micrographs, if there are any that nothing has been learned from.
        slack : float
            Argument of `cryokit.evaluate.thresholds.best_threshold`.
        lowest : float
            Lowest threshold to take from the distribution.

        Returns
        -------
        bool
            Whether it is the best for the labels.
        """
        if truth is not None and (truth["view"] != IGNORE).any():
            with contextlib.suppress(PickerError):  # no pick is where a particle is
                self.threshold_ = best_threshold(picks, truth, micrographs=names, diameter=self.diameter_, slack=slack)
                return True
        self.threshold_ = max(lowest, threshold_from_scores(picks["score"]))
        return False

    def _window_model(self, network: Any, config: Any, provenance: dict[str, Any], **companions: Any) -> Model:
        """Return the model of a network that judges windows of prepared micrographs.

        Parameters
        ----------
        network, config
            Network and its settings.
        provenance : dict
            What the network was trained with.
        **companions
            Settings and network of each further network, by name.
        """
        return Model(
            network=network,
            config=config,
            working_diameter=self.working_diameter,
            threshold=UNDECIDED,
            diameter=self.diameter_,
            preprocessing={
                "kind": "windows",
                "factor": self._factor,
                "contrast": self.contrast_,
                "detail": DETAIL,
                "levelled": self.window,
            },
            provenance=provenance,
            method=self.name,
            companions=companions,
        )
