"""Score a picture as the paper does it: one window after the other."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cryokit._util.validation import check_number
from cryokit.errors import ArgumentError
from cryokit.networks.geometry import geometry
from cryokit.networks.model import Model
from cryokit.networks.scoring.running import runner
from cryokit.networks.scoring.scoremap import ScoreMap, network_and_classes, scorable
from cryokit.networks.scoring.windows import lattice, mirrored

if TYPE_CHECKING:
    import keras


def sliding(
    picture: NDArray,
    network: keras.Model | Model,
    *,
    stride: int,
    batch_size: int = 16,
    pad: bool = True,
    classes: Sequence[str] | None = None,
) -> ScoreMap:
    """Score a picture window by window: each one is cut out and given to the network.

    Simple, and slow: neighbouring windows share nearly all their pixels, and everything is computed again for each.
    `dense` returns the same scores (exactly so if the network pads nothing) in a fraction of the time.

    Parameters
    ----------
    picture : ndarray, shape (rows, columns)
        Picture prepared as the network's training patches were. A network of three channels gets it three times.
    network : keras.Model or Model
        Network that judges windows of one size, or is fully convolutional without padding and is given windows as
        large as its receptive field.
    stride : int
        Pixels between windows.
    batch_size : int
        Number of windows at a time; 16 in the paper.
    pad : bool
        Whether half a window is mirrored at the borders, so that positions cover the whole picture, or windows stay
        inside.
    classes : sequence of str, optional
        Names of the outputs, if `network` does not know them.

    Returns
    -------
    ScoreMap
        Scores at the pixels 0, `stride`, 2 `stride` ... along both axes (half a pixel before for a window of even
        side), or, without `pad`, at the centres of the windows inside.

    Raises
    ------
    ArgumentError
        If an argument is wrong, or the network or the picture cannot be scored with.
    """
    network, classes = network_and_classes(network, classes)
    check_number("stride", stride, 1, whole=True)
    check_number("batch_size", batch_size, 1, whole=True)
    picture = scorable(picture)
    window, channels = _window(network), network.input_shape[-1]
    frame = lattice(picture.shape, window, stride, pad)
    first = int(frame.x0 - (window - 1) / 2)  # pixel of the first window, along both axes
    starts = itertools.product(*(range(first, first + stride * number, stride) for number in frame.shape))
    number = frame.shape[0] * frame.shape[1]
    run = runner(network)
    # One shape for all batches, the last one too: a backend compiles for each shape.
    batch = np.zeros((min(batch_size, number), window, window, channels), np.float32)
    scores = np.empty((number, len(classes)), np.float32)
    for done in range(0, number, len(batch)):
        part = scores[done : done + len(batch)]
        for patch, start in zip(batch, itertools.islice(starts, len(part)), strict=False):
            patch[...] = mirrored(picture, start, (window, window))[..., None]
        part[...] = np.reshape(run(batch), (len(batch), -1))[: len(part)]
    return ScoreMap(scores.reshape(*frame.shape, -1), classes, frame)


def _window(network: keras.Model) -> int:
    """Return the side of the window of one score."""
    rows, columns = network.input_shape[1:3]
    if len(network.output_shape) == 2 and rows is not None and rows == columns:
        return rows
    sight = geometry(network)
    if sight.low < 0:
        raise ArgumentError(
            f"network {network.name!r} pads inside, so single windows do not give what its map does; use dense"
        )
    return sight.field
