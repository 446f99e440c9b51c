"""Scoring as the paper does it: one window after the other."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cryokit._util.validation import check_number
from cryokit.errors import PickerError
from cryokit.networks.scoring.positions import lattice, positions
from cryokit.networks.scoring.running import mirrored, runner
from cryokit.networks.scoring.scoremap import ScoreMap, as_image, network_and_classes

if TYPE_CHECKING:
    import keras

    from cryokit.networks.model import Model


def sliding(
    image: NDArray,
    network: keras.Model | Model,
    *,
    stride: int,
    batch_size: int = 16,
    pad: bool = True,
    classes: Sequence[str] | None = None,
) -> ScoreMap:
    """Score an image window by window: each one is cut out and given to the network.

    Simple, and slow: neighbouring windows share nearly all their pixels, and everything is computed again for each.
    `dense` gives the same scores (exactly so if the network pads nothing) in a fraction of the time.

    Parameters
    ----------
    image : ndarray, shape (rows, columns)
        Prepared as the network's training patches were. A network of three channels gets it three times.
    network : keras.Model or Model
        Judges windows of one size, or is fully convolutional without padding and is given windows as large as its
        receptive field.
    stride : int
        Pixels between windows.
    batch_size : int
        Windows at a time; 16 in the paper.
    pad : bool
        Mirror half a window at the borders, so that positions cover the whole image; else windows stay inside.
    classes : sequence of str, optional
        Names of the outputs, where `network` does not know them.

    Returns
    -------
    ScoreMap
        With `pad`, positions are at the pixels 0, `stride`, 2 `stride` ... along both axes (half a pixel before for a
        window of even side).

    Raises
    ------
    PickerError
        When a setting makes no sense, or the network or the image cannot be scored with.
    """
    network, classes = network_and_classes(network, classes)
    check_number("stride", stride, 1, whole=True)
    check_number("batch_size", batch_size, 1, whole=True)
    image = as_image(image)
    window, channels = _window(network), network.input_shape[-1]
    rows, columns = (positions(size, window, stride, pad) for size in image.shape)
    run = runner(network)
    # One shape for all batches, the last one too: a backend compiles for each shape.
    batch = np.zeros((min(batch_size, rows.number * columns.number), window, window, channels), np.float32)
    scores = np.empty((rows.number * columns.number, len(classes)), np.float32)
    starts = itertools.product(
        range(rows.first, rows.first + stride * rows.number, stride),
        range(columns.first, columns.first + stride * columns.number, stride),
    )
    for done in range(0, len(scores), len(batch)):
        part = scores[done : done + len(batch)]
        for patch, start in zip(batch, itertools.islice(starts, len(part)), strict=False):
            patch[...] = mirrored(image, start, (window, window))[..., None]
        part[...] = np.reshape(run(batch), (len(batch), -1))[: len(part)]
    frame = lattice(image.shape, (rows, columns), stride)
    return ScoreMap(scores.reshape(*frame.shape, -1), classes, frame)


def _window(network: keras.Model) -> int:
    """Return the side of the window that gives one score."""
    from cryokit.networks.geometry import geometry

    rows, columns = network.input_shape[1:3]
    if len(network.output_shape) == 2 and rows is not None and rows == columns:
        return rows
    sight = geometry(network)
    if sight.low < 0:
        raise PickerError(
            f"network {network.name!r} pads inside, so single windows do not give what its map does; use dense"
        )
    return sight.field
