"""Topaz, with its pretrained networks or trained on labels."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryokit._util.checked_settings import choice, number
from cryokit._util.files import write_text
from cryokit._util.wording import plural
from cryokit.coordinates import IGNORE, concatenate, read, table
from cryokit.errors import PickerError
from cryokit.evaluate.thresholds import best_threshold
from cryokit.micrograph import MicrographLike
from cryokit.pickers.external.program import BATCH, Copy, ExternalPicker, run
from cryokit.pickers.interface import Micrographs
from cryokit.pickers.label_checks import hold_out, labelled

# Pixels across a particle after downsampling. Topaz's pretrained networks do best at 17 to 25, which differs from
# protein to protein.
WORKING_DIAMETER = 22.0
LEAST = -6.0  # log-likelihood ratio of the weakest candidates, Topaz's default: a probability of 0.0025


@dataclass(eq=False)
class TopazPicker(ExternalPicker):
    """Topaz by its command line: ``topaz preprocess``, ``train`` and ``extract``.

    Without labels, or with `pretrained`, one of the networks that come with Topaz picks. With labels, the network is
    trained on from there. Topaz downsamples the micrographs by a whole factor, so that a particle is about 22 pixels
    across; picks are at least half a diameter apart. Its scores, log-likelihood ratios, become probabilities by the
    logistic function.

    Parameters
    ----------
    diameter, contrast, command
        See `ExternalPicker`.
    model : str
        One of `MODELS`. Where the name says no units, Topaz takes 64 for its pretrained networks and 32 in training.
    scale : int, optional
        Downsampling factor; chosen by the diameter by default.
    pretrained : bool
        Whether to use Topaz's network as it is. Labels then only give the diameter.
    expected : float, optional
        Number of particles per micrograph (``-n``), where not all are labelled: Topaz then learns from positives and
        unlabelled places. By default all particles count as labelled, and the rest is background.
    epochs, minibatches, minibatch_size : int
        Epochs of the training, minibatches of an epoch, and windows of a minibatch. Topaz's own defaults, 10, 1000 and
        256, take half a day on two cores; these, from its pretrained network on, three minutes. On two validation
        micrographs of apoferritin the best F1 was 0.908 after 4 x 50 minibatches of 64, 0.959 after 10 x 100, and
        0.964 after 10 x 300.
    validation : float
        Share of the labelled micrographs (at least one, of three or more) held out to choose the threshold on. With 0
        the threshold is 0.5, as for the pretrained networks.
    seed : int
        Random seed of the choice of these. Topaz itself has no seed: two trainings differ.

    Attributes
    ----------
    scale_ : int
        Downsampling factor.
    network_ : ndarray of uint8, shape (bytes,), or None
        File of the trained network; None for a pretrained one. It is a pickle of PyTorch, which can run code when Topaz
        opens it: load pickers from people you trust.

    Notes
    -----
    Bepler et al. 2019, Nature Methods 16:1153. Topaz normalises a micrograph by a random tenth of its pixels, so that
    scores differ a little from run to run. Topaz knows no labels to ignore: those of the view ``ignore`` count as
    background where all particles are labelled.
    """

    program: ClassVar[str] = "topaz"
    variable: ClassVar[str] = "CRYOKIT_TOPAZ"
    install: ClassVar[str] = (
        "Install Topaz in an environment of its own (python -m venv topaz; topaz/bin/pip install topaz-em)."
    )

    model: str = choice("resnet8", "resnet8", "resnet8_u32", "resnet8_u64", "resnet16", "resnet16_u32", "resnet16_u64")
    scale: int | None = number(None, 1, whole=True, optional=True)
    pretrained: bool = False
    expected: float | None = number(None, 0, above=True, optional=True)
    epochs: int = number(10, 1, whole=True)
    minibatches: int = number(100, 1, whole=True)
    minibatch_size: int = number(64, 2, whole=True)
    validation: float = number(0.2, 0, 0.5)
    seed: int = number(0, 0, whole=True)
    scale_: int | None = field(default=None, init=False, repr=False)
    network_: NDArray[np.uint8] | None = field(default=None, init=False, repr=False)

    def fit(self, micrographs: Iterable[MicrographLike], labels: pd.DataFrame | None = None) -> TopazPicker:
        """Train on labelled micrographs; without labels, or with `pretrained`, record the diameter.

        Parameters
        ----------
        micrographs : iterable of Micrograph or path
        labels : pandas.DataFrame, optional
            Table of picks of these micrographs.

        Returns
        -------
        TopazPicker
            The picker itself.

        Raises
        ------
        PickerError
            If the diameter is unknown, the labels are of other micrographs, or Topaz is missing or fails.
        """
        micrographs = Micrographs(micrographs)
        super().fit(micrographs, labels)
        self.scale_ = self.scale or max(1, round(self.diameter_ / WORKING_DIAMETER))
        self.network_ = None
        self._decide(f"downsampled by {self.scale_}, to {self.diameter_ / self.scale_:.0f} pixels across a particle")
        if labels is None or self.pretrained:
            self._decide(f"Topaz's pretrained network {self.model}")
            return self
        labels = labels[labels["view"].fillna("").astype(str) != IGNORE]
        micrographs, labels, *_ = labelled(micrographs, labels, self.diameter_)
        training, held_out = hold_out(micrographs, self.validation, self.seed)
        self._train(self.command_line(), training, labels)
        if held_out:
            picks = self.pick_many(held_out, threshold=0)
            truth = labels[labels["micrograph"].isin(held_out.names)]
            # No pick may be where a particle is.
            with contextlib.suppress(PickerError):
                self.threshold_ = best_threshold(picks, truth, micrographs=held_out.names, diameter=self.diameter_)
                self._decide(
                    f"threshold {self.threshold_:.2f}, the best for {plural(len(held_out), 'micrograph')} held out"
                )
        return self

    def _train(self, command: Sequence[str], micrographs: Micrographs, labels: pd.DataFrame) -> None:
        with tempfile.TemporaryDirectory(prefix=f"cryokit-{self.name}-") as name:
            folder = Path(name)
            copies = []
            for index, micrograph in enumerate(micrographs):
                copies.append(self._copied(micrograph, folder, index))
                # The copies at full size of one batch only lie on the disk at a time.
                if len(copies) % BATCH == 0 or len(copies) == len(micrographs):
                    batch = [copy for copy in copies if copy.path.exists()]
                    self._downsample(command, batch, folder)
                    for copy in batch:
                        copy.path.unlink()
            targets = concatenate(self._targets(copy, labels[labels["micrograph"] == copy.name]) for copy in copies)
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
            saved = sorted(folder.glob("model_epoch*.sav"), key=lambda path: (len(path.name), path.name))
            if not saved:
                raise PickerError(f"{command[0]}: ended without an error, but wrote no network")
            self.network_ = np.fromfile(saved[-1], np.uint8)
        self._decide(
            f"{self.model} trained on {plural(len(targets), 'particle')} in {plural(len(copies), 'micrograph')}, "
            f"{self.epochs} x {self.minibatches} minibatches of {self.minibatch_size}"
        )

    def _picks(self, command: Sequence[str], copies: Sequence[Copy], folder: Path) -> list[pd.DataFrame]:
        model = self.model
        if self.network_ is not None:
            model = folder / "trained.sav"
            self.network_.tofile(model)
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
        picks = read(folder / "picks.txt", "topaz")
        tables = []
        for copy in copies:
            down, across = self._factors(copy.shape)
            reduced = picks[picks["micrograph"] == copy.path.stem]
            tables.append(reduced.assign(x=reduced["x"] * across, y=reduced["y"] * down))
        return tables

    def _downsample(self, command: Sequence[str], copies: Sequence[Copy], folder: Path) -> None:
        run(
            [*command, "preprocess", "-s", self.scale_, "-o", folder / "reduced", *(copy.path for copy in copies)],
            folder,
        )

    def _targets(self, copy: Copy, labels: pd.DataFrame) -> pd.DataFrame:
        """Return the labels of a micrograph in pixels of its reduced copy, rounded: Topaz drops fractions."""
        down, across = self._factors(copy.shape)
        rows, columns = (size // self.scale_ for size in copy.shape)
        x = np.clip(np.rint(labels["x"] / across), 0, columns - 1)
        y = np.clip(np.rint(labels["y"] / down), 0, rows - 1)
        return table(copy.path.stem, x, y)

    def _factors(self, shape: tuple[int, int]) -> tuple[float, float]:
        """Return the pixels of the micrograph per pixel of the reduced copy, down and across.

        Topaz drops what does not divide. It downsamples by cutting off high frequencies, so that the centres of the
        first pixels coincide.
        """
        rows, columns = (size // self.scale_ for size in shape)
        return shape[0] / rows, shape[1] / columns


def _reduced(folder: Path, copy: Copy) -> Path:
    return folder / "reduced" / copy.path.name
