"""Topaz, with its pretrained networks or trained on labels."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryokit._util.files import write_text
from cryokit._util.wording import plural, some
from cryokit.coordinates import IGNORE, concatenate, read_named, table
from cryokit.errors import PickerError
from cryokit.evaluate.thresholds import best_threshold
from cryokit.micrograph import Micrograph
from cryokit.pickers.external.program import BATCH, Copy, ExternalPicker, run
from cryokit.pickers.interface import check_whole, names_of, opened

MODELS = ("resnet8", "resnet8_u32", "resnet8_u64", "resnet16", "resnet16_u32", "resnet16_u64")
# Pixels across a particle at the scale at which Topaz sees the micrographs. Its pretrained networks do best at 17 to
# 25; which it is differs from protein to protein.
WORKING_DIAMETER = 22.0
LEAST = -6.0  # log-likelihood ratio of the weakest candidates, Topaz's default: a probability of 0.0025


class TopazPicker(ExternalPicker):
    """Topaz by its command line: ``topaz preprocess``, ``train`` and ``extract``.

    Without labels, or with `pretrained`, one of the networks that come with Topaz picks. With labels the network is
    trained on from there. Micrographs are downsampled by a whole factor, by Topaz itself, so that a particle is about
    22 pixels across; picks are at least half a diameter apart. Its scores, log-likelihood ratios, become probabilities
    by the logistic function.

    Parameters
    ----------
    diameter, contrast, command
        See `ExternalPicker`.
    model : str
        Of `MODELS`. Where the name says no units, Topaz takes 64 for its pretrained networks and 32 when it trains.
    scale : int, optional
        Downsampling; chosen by the diameter when not given.
    pretrained : bool
        Use Topaz's network as it is, labels or not: these then say the diameter only.
    expected : float, optional
        Particles per micrograph (``-n``), where not all are labelled: Topaz then learns from positives and unlabelled
        places. When not given, all particles count as labelled, and the rest is background.
    epochs, minibatches, minibatch_size : int
        Of the training: its epochs, the minibatches of each, and the windows of each of these. Topaz's own defaults,
        10, 1000 and 256, take half a day on two cores; these, from its pretrained network on, three minutes. On two
        validation micrographs of apoferritin the best F1 was 0.908 after 4 x 50 minibatches of 64, 0.959 after 10 x
        100, and 0.964 after 10 x 300.
    validation : float
        Share of the labelled micrographs (at least one, of three or more) that is held out to choose the threshold on;
        0 for none: then it is 0.5, as for the pretrained networks.
    seed : int
        Of the choice of these. Topaz itself has no seed: two trainings differ.

    Attributes
    ----------
    scale_ : int
    model_ : bytes or None
        The trained network's file; None for a pretrained one. It is a pickle of PyTorch, which can run code when Topaz
        opens it: load pickers from people you trust.

    Notes
    -----
    Bepler et al. 2019, Nature Methods 16:1153. Topaz normalises a micrograph by a random tenth of its pixels, so that
    scores differ a little from run to run. Labels with the view ``ignore`` cannot be told to Topaz; they count as
    background where all particles are labelled.
    """

    name: ClassVar[str] = "topaz"
    program: ClassVar[str] = "topaz"
    variable: ClassVar[str] = "CRYOKIT_TOPAZ"
    install: ClassVar[str] = (
        "Install Topaz in an environment of its own (python -m venv topaz; topaz/bin/pip install topaz-em)."
    )
    learned: ClassVar[tuple[str, ...]] = (*ExternalPicker.learned, "scale_")

    def __init__(
        self,
        diameter: float | None = None,
        contrast: Literal["dark", "bright"] | None = None,
        command: str | None = None,
        model: str = "resnet8",
        scale: int | None = None,
        pretrained: bool = False,
        expected: float | None = None,
        epochs: int = 10,
        minibatches: int = 100,
        minibatch_size: int = 64,
        validation: float = 0.2,
        seed: int = 0,
    ) -> None:
        super().__init__(diameter, contrast, command)
        if model not in MODELS:
            raise PickerError(f"model {model!r}: Topaz's networks are {', '.join(MODELS)}")
        if scale is not None:
            check_whole("scale", scale, 1)
        if expected is not None and not expected > 0:
            raise PickerError(f"expected {expected!r}: give the number of particles per micrograph, above 0")
        check_whole("epochs", epochs, 1)
        check_whole("minibatches", minibatches, 1)
        check_whole("minibatch_size", minibatch_size, 2)
        check_whole("seed", seed, 0)
        if not 0 <= validation <= 0.5:
            raise PickerError(f"validation {validation!r}: give a share of the micrographs, from 0 to 0.5")
        self.model = model
        self.scale = scale
        self.pretrained = pretrained
        self.expected = expected
        self.epochs = epochs
        self.minibatches = minibatches
        self.minibatch_size = minibatch_size
        self.validation = validation
        self.seed = seed
        self.scale_: int | None = None
        self.model_: bytes | None = None

    def fit(
        self, micrographs: Iterable[Micrograph | str | os.PathLike], labels: pd.DataFrame | None = None
    ) -> TopazPicker:
        """Train on labelled micrographs; without labels, or with `pretrained`, record the diameter.

        Parameters
        ----------
        micrographs : iterable of Micrograph or path
        labels : pandas.DataFrame, optional
            Table of picks of these micrographs.

        Returns
        -------
        TopazPicker
            Itself.

        Raises
        ------
        PickerError
            When the diameter is not known, none of the labels is of these micrographs, or Topaz is not there or fails.
        """
        micrographs = list(micrographs)
        super().fit(micrographs, labels)
        self.scale_ = self.scale or max(1, round(self.diameter_ / WORKING_DIAMETER))
        self.model_ = None
        self._decide(f"downsampled by {self.scale_}, to {self.diameter_ / self.scale_:.0f} pixels across a particle")
        if labels is None or self.pretrained:
            self._decide(f"Topaz's pretrained network {self.model}")
            return self
        names = names_of(micrographs)
        labels = labels[labels["micrograph"].isin(names) & (labels["view"].fillna("").astype(str) != IGNORE)]
        learned, held_out = self._divided(micrographs, set(labels["micrograph"]))
        self._train(self.found(), learned, labels)
        if held_out:
            names = names_of(held_out)
            picks = self.pick_many(held_out, threshold=0)
            truth = labels[labels["micrograph"].isin(names)]
            try:
                self.threshold_ = best_threshold(picks, truth, micrographs=names, diameter=self.diameter_)
            except PickerError:  # no pick is where a particle is
                return self
            self._decide(f"threshold {self.threshold_:.2f}, the best for {plural(len(names), 'micrograph')} held out")
        return self

    def _divided(self, micrographs: Sequence, labelled: set[str]) -> tuple[list, list]:
        """Divide the labelled micrographs into those to learn from and those held out; different ones at each seed."""
        names = names_of(micrographs)
        usable = [each for each, name in zip(micrographs, names, strict=True) if name in labelled]
        if not usable:
            raise PickerError(
                f"no label is of these micrographs ({some(names)}); file names without their suffixes have to agree"
            )
        if not self.validation or len(usable) < 3:
            return usable, []
        number = max(1, round(self.validation * len(usable)))
        order = np.random.default_rng(self.seed).permutation(len(usable)).tolist()
        return [usable[k] for k in sorted(order[number:])], [usable[k] for k in sorted(order[:number])]

    def _train(self, command: Sequence[str], micrographs: Sequence, labels: pd.DataFrame) -> None:
        with tempfile.TemporaryDirectory(prefix=f"cryokit-{self.name}-") as name:
            folder = Path(name)
            copies = []
            for first in range(0, len(micrographs), BATCH):
                part = opened(micrographs[first : first + BATCH])
                new = [self._copied(each, folder, first + k) for k, each in enumerate(part)]
                self._downsample(command, new, folder)
                for copy in new:
                    copy.path.unlink()
                copies += new
            targets = []
            for copy in copies:
                here = labels[labels["micrograph"] == copy.name]
                down, across = self._factors(copy.shape)
                rows, columns = (size // self.scale_ for size in copy.shape)
                # Topaz drops fractions: round them.
                x = np.clip(np.rint(here["x"] / across), 0, columns - 1)
                y = np.clip(np.rint(here["y"] / down), 0, rows - 1)
                targets.append(table(copy.path.stem, x, y))
            targets = concatenate(targets)
            write_text(
                folder / "images.txt",
                "image_name\tpath\n" + "".join(f"{copy.path.stem}\t{_reduced(folder, copy)}\n" for copy in copies),
            )
            text = targets.astype({"x": int, "y": int})[["micrograph", "x", "y"]].to_csv(
                sep="\t", header=["image_name", "x_coord", "y_coord"], index=False, lineterminator="\n"
            )
            write_text(folder / "targets.txt", text)
            number = len(targets) / len(copies)
            architecture, _, units = self.model.partition("_u")
            run(
                [
                    *command, "train",
                    "--train-images", folder / "images.txt",
                    "--train-targets", folder / "targets.txt",
                    "-n", f"{self.expected or number:.6g}",
                    "-m", architecture,
                    *(["--units", units] if units else []),
                    "--num-epochs", self.epochs,
                    "--epoch-size", self.minibatches,
                    "--minibatch-size", self.minibatch_size,
                    "--save-prefix", folder / "model",
                    "-o", folder / "training.txt",
                ],
                folder,
            )  # fmt: skip
            saved = {
                int(found[1]): path
                for path in folder.glob("model_epoch*.sav")
                if (found := re.fullmatch(r"model_epoch(\d+)", path.stem))
            }
            if not saved:
                raise PickerError(f"{command[0]}: ended without an error, but wrote no network")
            self.model_ = saved[max(saved)].read_bytes()
        self._decide(
            f"{self.model} trained on {plural(len(targets), 'particle')} in {plural(len(copies), 'micrograph')}, "
            f"{self.epochs} x {self.minibatches} minibatches of {self.minibatch_size}"
        )

    def _picks(self, command: Sequence[str], copies: Sequence[Copy], folder: Path) -> list[pd.DataFrame]:
        model = self.model
        if self.model_ is not None:
            model = folder / "trained.sav"
            model.write_bytes(self.model_)
        self._downsample(command, copies, folder)
        radius = max(1, round(self.diameter_ / self.scale_ / 2))
        run(
            [
                *command, "extract", "-m", model, "-r", radius, "-t", LEAST, "-o", folder / "picks.txt",
                *(_reduced(folder, copy) for copy in copies),
            ],
            folder,
        )  # fmt: skip
        if not (folder / "picks.txt").is_file():
            raise PickerError(f"{command[0]}: ended without an error, but wrote no picks")
        picks, _ = read_named(folder / "picks.txt", "topaz")
        tables = []
        for copy in copies:
            down, across = self._factors(copy.shape)
            here = picks[picks["micrograph"] == copy.path.stem]
            tables.append(here.assign(x=here["x"] * across, y=here["y"] * down))
        return tables

    def _downsample(self, command: Sequence[str], copies: Sequence[Copy], folder: Path) -> None:
        run(
            [*command, "preprocess", "-s", self.scale_, "-o", folder / "reduced", *(copy.path for copy in copies)],
            folder,
        )

    def _factors(self, shape: tuple[int, int]) -> tuple[float, float]:
        """Pixels of the micrograph to one of the reduced copy, down and across: Topaz drops what does not divide.

        Its downsampling cuts off high frequencies, so the first pixels' centres coincide.
        """
        rows, columns = (size // self.scale_ for size in shape)
        return shape[0] / rows, shape[1] / columns

    def _arrays(self) -> dict[str, NDArray]:
        return {} if self.model_ is None else {"model": np.frombuffer(self.model_, np.uint8)}

    def _restore(self, arrays: dict[str, NDArray]) -> None:
        self.model_ = arrays["model"].tobytes() if "model" in arrays else None


def _reduced(folder: Path, copy: Copy) -> Path:
    return folder / "reduced" / copy.path.name
