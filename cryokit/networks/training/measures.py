"""How well a network classifies: accuracy, confusion matrix, and the paper's table 3 again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cryokit.errors import PickerError
from cryokit.networks.devices import import_keras
from cryokit.networks.patches.training_set import CLASS_SETTINGS, SPLITS, TrainingSet
from cryokit.networks.training.loop import train
from cryokit.networks.training.samples import Samples, check_fit
from cryokit.networks.training.settings import PAPER, PAPER_EPOCHS, TrainingSettings

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)

# Table 3 of the paper, in per cent: accuracy by class setting and epochs.
PUBLISHED = {
    "4 + background": {20: 99.83, 32: 99.89, 64: 99.72},
    "4 + negative": {20: 97.83, 32: 97.78, 64: 97.83},
    "five classes": {20: 96.62, 32: 95.96, 64: 95.91},
}


def probabilities(network: keras.Model, pictures: ArrayLike, *, batch_size: int = 64) -> NDArray[np.float32]:
    """Return the class probabilities of pictures, batch by batch.

    Parameters
    ----------
    network : keras.Model
    pictures : ndarray of float32, shape (n, rows, columns, channels)
    batch_size : int

    Returns
    -------
    ndarray of float32, shape (n, classes) or (n, h, w, classes)
    """
    keras = import_keras()

    # As in training: XLA only costs time on TensorFlow's processor.
    network.jit_compile = keras.backend.backend() == "jax"
    return network.predict(np.asarray(pictures, np.float32), batch_size=batch_size, verbose=0)


def confusion_matrix(
    network: keras.Model, samples: Samples, *, classes: Sequence[str] | None = None, batch_size: int = 64
) -> pd.DataFrame:
    """Return how many samples of each class (rows) the network takes for which class (columns).

    Parameters
    ----------
    network : keras.Model
    samples : Samples
        With weights, these are added up in place of the samples. Each position of a map counts.
    classes : sequence of str, optional
        Names; by default numbers.
    batch_size : int

    Returns
    -------
    pandas.DataFrame
        Index ``true``, columns ``predicted``; int64, with weights float64.

    Raises
    ------
    PickerError
        When the samples do not fit the network, or the names its classes.

    Examples
    --------
    >>> import keras
    >>> half = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(2, "softmax")])
    >>> half.set_weights([np.zeros((16, 2)), np.array([1.0, 0.0])])
    >>> confusion_matrix(half, Samples(np.zeros((3, 4, 4, 1)), [0, 1, 1]), classes=("top", "background"))
    predicted   top  background
    true
    top           1           0
    background    2           0
    """
    number = check_fit(network, samples)
    if classes is None:
        classes = [str(k) for k in range(number)]
    if len(classes) != number:
        raise PickerError(f"classes {tuple(classes)!r}: give {number} names, as many as the network has outputs")
    counted = np.zeros(number * number, np.int64 if samples.weights is None else np.float64)
    # Maps of many positions would fill the memory at once.
    for start in range(0, len(samples), 16 * batch_size):
        chosen = slice(start, start + 16 * batch_size)
        found = probabilities(network, samples.x[chosen], batch_size=batch_size).argmax(axis=-1)
        weights = None if samples.weights is None else samples.weights[chosen].ravel()
        counted += np.bincount((samples.y[chosen] * number + found).ravel(), weights, minlength=number * number)
    names = list(classes)
    return pd.DataFrame(
        counted.reshape(number, number), index=pd.Index(names, name="true"), columns=pd.Index(names, name="predicted")
    )


def accuracy(network: keras.Model, samples: Samples, *, batch_size: int = 64) -> float:
    """Return the share of samples (of their weight) whose most probable class is the right one.

    This is the "accuracy" of the paper's table 3, of patches. Of picked particles there is none, since detection has
    no true negatives.
    """
    matrix = confusion_matrix(network, samples, batch_size=batch_size).to_numpy()
    return float(np.trace(matrix) / matrix.sum())


def without(training_set: TrainingSet, classes: Sequence[str]) -> TrainingSet:
    """Return the part of a training set that has these classes, in this order.

    Raises
    ------
    PickerError
        When it lacks one of them.
    """
    missing = [name for name in classes if name not in training_set.classes]
    if missing:
        raise PickerError(
            f"the training set has no class {', '.join(missing)} (it has {', '.join(training_set.classes)})"
        )
    chosen = training_set.table["class"].isin(list(classes)).to_numpy()
    table = training_set.table[chosen].reset_index(drop=True)
    return TrainingSet(training_set.patches[chosen], tuple(classes), table, training_set.provenance)


def classification_table(
    training_set: TrainingSet,
    build: Callable[[tuple[str, ...]], keras.Model],
    *,
    epochs: Sequence[int] = PAPER_EPOCHS,
    settings: TrainingSettings = PAPER,
    class_settings: Mapping[str, Sequence[str]] = CLASS_SETTINGS,
    seed: int = 0,
    progress: bool = True,
) -> pd.DataFrame:
    """Compute the paper's table 3 anew: accuracy of patches by class setting and epochs.

    Of each setting the classes that the training set does not have are left out (a protein with one view has no
    others), and of settings that then are the same, all but the first. Networks are trained on the split ``train``,
    chosen by ``validation`` and measured on ``test``, which lies in other micrographs than the rest.

    Parameters
    ----------
    training_set : TrainingSet
        With the splits ``train`` and ``test``; without ``validation`` the last weights count, as in the paper.
    build : callable
        Takes the classes and returns a new network for the set's patches, the same at each call, such as
        ``lambda classes: DeepCryoPickerConfig(classes).build()``.
    epochs : sequence of int
    settings : TrainingSettings
        At a constant rate and without patience each training goes on where that of fewer epochs stopped.
    class_settings : mapping of str to sequence of str
    seed : int
    progress : bool
        Whether to show bars.

    Returns
    -------
    pandas.DataFrame
        Columns ``setting``, ``classes``, ``epochs`` (asked for), ``epochs_trained``, ``best_epoch``, ``train``,
        ``validation``, ``test`` (accuracies, 0 to 1), ``published`` (of the same setting and epochs in the paper, on
        other patches; NaN where it has none) and ``seconds`` of training, all that went before included.

    Raises
    ------
    PickerError
        When no setting has two classes here, or a network does not fit the patches.

    Notes
    -----
    Al-Azzawi et al. 2020, BMC Bioinformatics 21:509, table 3. Its accuracies are of patches that come from the
    micrographs it trained on.
    """
    import tempfile

    rows = []
    for name, classes in distinct_settings(class_settings, training_set.classes).items():
        part = without(training_set, classes)
        there = [split for split in SPLITS if (part.table["split"] == split).any()]
        samples = {split: Samples(*part.arrays(split)) for split in there}
        with tempfile.TemporaryDirectory() as folder:
            for number in sorted(epochs):
                network = build(classes)
                history = train(
                    network,
                    samples["train"],
                    samples.get("validation"),
                    replace(settings, epochs=number),
                    seed=seed,
                    # The weights of the shorter training are where the longer one goes on.
                    folder=folder if settings.schedule == "constant" else None,
                    progress=progress,
                )
                found = {split: accuracy(network, samples[split]) for split in there}
                rows.append(
                    {
                        "setting": name,
                        "classes": ", ".join(classes),
                        "epochs": number,
                        "epochs_trained": len(history.table),
                        "best_epoch": history.best_epoch,
                        **{split: found.get(split, np.nan) for split in SPLITS},
                        "published": PUBLISHED.get(name, {}).get(number, np.nan) / 100,
                        "seconds": float(history.table["seconds"].sum()),
                    }
                )
                logger.info("%s, %d epochs: %s", name, number, found)
    return pd.DataFrame(rows)


def distinct_settings(
    class_settings: Mapping[str, Sequence[str]], classes: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Return the settings without the classes that are not there, each combination once.

    Raises
    ------
    PickerError
        When none has two classes.

    Examples
    --------
    >>> distinct_settings(CLASS_SETTINGS, ("top", "negative", "background"))
    {'4 + background': ('top', 'background'), '4 + negative': ('top', 'negative'), 'five classes': ...}
    """
    found: dict[str, tuple[str, ...]] = {}
    for name, wanted in class_settings.items():
        those = tuple(each for each in wanted if each in classes)
        if len(those) > 1 and those not in found.values():
            found[name] = those
    if not found:
        raise PickerError(f"the classes {', '.join(classes)} are too few to tell any apart; give two of a setting")
    return found
