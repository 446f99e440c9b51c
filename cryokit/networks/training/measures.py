"""How well a network classifies: accuracy, confusion matrix, and the paper's table 3 measured anew."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cryokit.errors import ArgumentError
from cryokit.networks.devices import import_keras
from cryokit.networks.patches.training_set import CLASS_SETTINGS, SPLITS, TrainingSet
from cryokit.networks.training.loop import History, train
from cryokit.networks.training.samples import Samples, check_fit
from cryokit.networks.training.settings import PAPER, PAPER_EPOCHS, TrainingSettings

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)

# Table 3 of the paper: accuracy in per cent, by class setting and epochs.
PUBLISHED = {
    "4 + background": {20: 99.83, 32: 99.89, 64: 99.72},
    "4 + negative": {20: 97.83, 32: 97.78, 64: 97.83},
    "five classes": {20: 96.62, 32: 95.96, 64: 95.91},
}


def probabilities(network: keras.Model, pictures: ArrayLike, *, batch_size: int = 64) -> NDArray[np.float32]:
    """Return the class probabilities of pictures, computed in batches.

    Parameters
    ----------
    network : keras.Model
        Network with class probabilities as output.
    pictures : ndarray of float32, shape (n, rows, columns, channels)
        Pictures as the network takes them.
    batch_size : int
        Pictures of a batch.

    Returns
    -------
    ndarray of float32, shape (n, classes) or (n, h, w, classes)
    """
    keras = import_keras()

    pictures = np.asarray(pictures, np.float32)
    if not len(pictures):  # Keras' `predict` fails without a batch
        return np.zeros(network.compute_output_shape(pictures.shape), np.float32)
    # As in training: XLA only costs time with TensorFlow on the processor.
    network.jit_compile = keras.backend.backend() == "jax"
    return network.predict(pictures, batch_size=batch_size, verbose=0)


def confusion_matrix(
    network: keras.Model, samples: Samples, *, classes: Sequence[str] | None = None, batch_size: int = 64
) -> pd.DataFrame:
    """Return how many samples of each class (rows) the network assigns to each class (columns).

    Parameters
    ----------
    network : keras.Model
        Network with class probabilities as output.
    samples : Samples
        Samples to classify; every position of a map counts. If they have weights, these are added up instead of counts.
    classes : sequence of str, optional
        Names of the classes; by default their numbers.
    batch_size : int
        Samples of a batch.

    Returns
    -------
    pandas.DataFrame
        Index ``true``, columns ``predicted``; int64, with weights float64.

    Raises
    ------
    ArgumentError
        If the samples do not fit the network, or the names do not fit its classes.

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
    names = [str(index) for index in range(number)] if classes is None else list(classes)
    if len(names) != number:
        raise ArgumentError(f"classes must be {number} names, as many as the network has outputs, not {names}")
    counts = np.zeros(number * number, np.int64 if samples.weights is None else np.float64)
    # Maps of many positions would fill the memory at once.
    for start in range(0, len(samples), 16 * batch_size):
        part = slice(start, start + 16 * batch_size)
        predicted = probabilities(network, samples.x[part], batch_size=batch_size).argmax(axis=-1)
        weights = None if samples.weights is None else samples.weights[part].ravel()
        counts += np.bincount((samples.y[part] * number + predicted).ravel(), weights, minlength=number * number)
    index, columns = pd.Index(names, name="true"), pd.Index(names, name="predicted")
    return pd.DataFrame(counts.reshape(number, number), index=index, columns=columns)


def accuracy(network: keras.Model, samples: Samples, *, batch_size: int = 64) -> float:
    """Return the share of the samples (of their weight) whose most probable class is the true one.

    This is the "accuracy" of patches in the paper's table 3. Picked particles have none, since detection has no true
    negatives.
    """
    matrix = confusion_matrix(network, samples, batch_size=batch_size).to_numpy()
    return float(np.trace(matrix) / matrix.sum())


def only_classes(training_set: TrainingSet, classes: Sequence[str]) -> TrainingSet:
    """Return the part of a training set that has these classes, in this order.

    Raises
    ------
    ArgumentError
        If the set lacks one of them.
    """
    missing = [name for name in classes if name not in training_set.classes]
    if missing:
        raise ArgumentError(
            f"classes must be among those of the training set ({', '.join(training_set.classes)}), not "
            f"{', '.join(missing)}"
        )
    chosen = training_set.table["class"].isin(list(classes)).to_numpy()
    return training_set.where(chosen, tuple(classes))


def classification_table(
    training_set: TrainingSet,
    build: Callable[[tuple[str, ...]], keras.Model],
    *,
    epochs: Sequence[int] = PAPER_EPOCHS,
    settings: TrainingSettings = PAPER,
    class_settings: Mapping[str, Sequence[str]] = CLASS_SETTINGS,
    trained: Sequence[tuple[keras.Model, History]] = (),
    seed: int = 0,
) -> pd.DataFrame:
    """Measure the paper's table 3 anew: accuracy of patches by class setting and epochs.

    Classes of a setting that the training set does not have are left out (a protein with one view has no others); of
    settings that are then the same, only the first is kept. Networks are trained on the split ``train``, chosen by
    ``validation`` and measured on ``test``, whose micrographs are not those of the other splits.

    Parameters
    ----------
    training_set : TrainingSet
        Training set with the splits ``train`` and ``test``; without ``validation`` the last weights count, as in the
        paper.
    build : callable
        Takes the classes and returns a new network for the set's patches, the same at each call, such as
        ``lambda classes: DeepCryoPickerConfig(classes).build()``.
    epochs : sequence of int
        Numbers of epochs.
    settings : TrainingSettings
        Settings of the trainings. At a constant rate and without patience, each training continues the one of fewer
        epochs.
    class_settings : mapping of str to sequence of str
        Classes by the name of the setting.
    trained : sequence of (keras.Model, History)
        Networks that have been trained on the whole set, with all its classes in their order, and how; where settings,
        epochs and seed are those asked for, they are measured instead of new ones.
    seed : int
        Random seed of the trainings.

    Returns
    -------
    pandas.DataFrame
        Columns ``setting``, ``classes``, ``epochs`` (asked for), ``epochs_trained``, ``best_epoch``, ``train``,
        ``validation``, ``test`` (accuracies, 0 to 1), ``published`` (of the same setting and epochs in the paper, on
        other patches; NaN where it has none) and ``seconds`` of training, including the shorter ones it continues.

    Raises
    ------
    ArgumentError
        If no setting has two classes here, or a network does not fit the patches.

    Notes
    -----
    Al-Azzawi et al. 2020, BMC Bioinformatics 21:509, table 3. Its accuracies are of patches that come from the
    micrographs it trained on.
    """
    rows = []
    for setting, classes in distinct_settings(class_settings, training_set.classes).items():
        part = only_classes(training_set, classes)
        splits = [split for split in SPLITS if (part.table["split"] == split).any()]
        samples = {split: Samples(*part.arrays(split)) for split in splits}
        with tempfile.TemporaryDirectory() as folder:
            for number in sorted(epochs):
                wanted = replace(settings, epochs=number)
                known = [
                    (network, history)
                    for network, history in trained
                    if tuple(classes) == training_set.classes and (history.settings, history.seed) == (wanted, seed)
                ]
                if known:
                    network, history = known[0]
                else:
                    network = build(classes)
                    history = train(
                        network,
                        samples["train"],
                        samples.get("validation"),
                        wanted,
                        seed=seed,
                        # A longer training continues with the weights of the shorter one.
                        folder=folder if settings.schedule == "constant" else None,
                    )
                accuracies = {split: accuracy(network, samples[split]) for split in splits}
                rows.append(
                    {
                        "setting": setting,
                        "classes": ", ".join(classes),
                        "epochs": number,
                        "epochs_trained": len(history.table),
                        "best_epoch": history.best_epoch,
                        **{split: accuracies.get(split, np.nan) for split in SPLITS},
                        "published": PUBLISHED.get(setting, {}).get(number, np.nan) / 100,
                        "seconds": float(history.table["seconds"].sum()),
                    }
                )
                logger.info("%s, %d epochs: %s", setting, number, accuracies)
    return pd.DataFrame(rows)


def distinct_settings(
    class_settings: Mapping[str, Sequence[str]], classes: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Return the settings without the classes that are not available, each combination once.

    Raises
    ------
    ArgumentError
        If no setting has two of the classes.

    Examples
    --------
    >>> distinct_settings(CLASS_SETTINGS, ("top", "negative", "background"))
    {'4 + background': ('top', 'background'), '4 + negative': ('top', 'negative'), 'five classes': ...}
    """
    settings: dict[str, tuple[str, ...]] = {}
    for name, members in class_settings.items():
        available = tuple(member for member in members if member in classes)
        if len(available) > 1 and available not in settings.values():
            settings[name] = available
    if not settings:
        raise ArgumentError(f"classes must include two of a setting, not only {', '.join(classes)}")
    return settings
