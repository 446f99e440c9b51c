"""Scoring a whole image in few passes of a fully convolutional network, tile by tile."""

from __future__ import annotations

import bisect
import itertools
import weakref
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

    from cryokit.networks.geometry import Geometry
    from cryokit.networks.model import Model

TILE_BYTES = 256 << 20  # of the activations that a tile keeps at a time, when its size is not given

_converted: weakref.WeakKeyDictionary[keras.Model, dict[int, keras.Model]] = weakref.WeakKeyDictionary()


def dense(
    image: NDArray,
    network: keras.Model | Model,
    *,
    stride: int | None = None,
    tile: int | None = None,
    pad: bool = True,
    classes: Sequence[str] | None = None,
) -> ScoreMap:
    """Score every window of an image at once.

    The image goes through the fully convolutional form of the network in overlapping tiles, so that the memory is
    bounded by the tile, however large the image. Tiles are all of one shape, for which the backend compiles once, and
    what a score sees is complete in each: the result does not depend on the tile's size but for rounding.

    Parameters
    ----------
    image : ndarray, shape (rows, columns)
        Prepared as the network's training patches were. A network of three channels gets it three times.
    network : keras.Model or Model
        Judges windows (it is converted, `cryokit.networks.fully_convolutional.fully_convolutional`, once), or is fully
        convolutional itself.
    stride : int, optional
        Pixels between scores; the network's own by default. A network that judges windows takes divisors of it.
    tile : int, optional
        Longest side of a tile in pixels, what it shares with its neighbours included. By default as large as keeps
        the activations of two layers in a row within 256 MB.
    pad : bool
        Mirror the image at its borders, so that positions cover all of it; else windows stay inside.
    classes : sequence of str, optional
        Names of the outputs, where `network` does not know them.

    Returns
    -------
    ScoreMap
        Positions agree with those of `sliding` at the same stride. The scores do, too, if the network pads nothing
        (`NetworkConfig.valid`); else they are an approximation, in which the image around a window takes the place of
        the zeros that the network pads with.

    Raises
    ------
    PickerError
        When a setting makes no sense, or the network or the image cannot be scored with.
    """
    network, classes = network_and_classes(network, classes)
    image = as_image(image)
    network, sight, window = _prepared(network, stride)
    channels = network.input_shape[-1]
    if tile is None:
        tile = _largest_tile(network, sight)
    else:
        check_number("tile", tile, sight.field, whole=True)
    # A window that pads inside sees less than the field of its map; both have the same centre.
    # One whose poolings drop the last rows sees less than its window, and begins where it begins.
    before = max(0, (sight.field - window) // 2)
    lines = [positions(size, window, sight.stride, pad) for size in image.shape]
    axes = [_Axis(line.first - before, line.number, sight, tile) for line in lines]
    run = runner(network)
    shape = (axes[0].length, axes[1].length)
    scores = np.empty((lines[0].number, lines[1].number, len(classes)), np.float32)
    for i in axes[0].parts:
        for j in axes[1].parts:
            area = mirrored(image, (axes[0].start(i), axes[1].start(j)), shape)
            batch = np.broadcast_to(area[None, ..., None], (1, *shape, channels))
            found = run(np.ascontiguousarray(batch))[0]
            skipped, rows, columns = axes[0].skipped, axes[0].number, axes[1].number
            if found.shape[0] < skipped + rows or found.shape[1] < skipped + columns:
                raise PickerError(f"network {network.name!r}: gives a map of another size than its layers tell")
            scores[i : i + rows, j : j + columns] = found[skipped : skipped + rows, skipped : skipped + columns]
    return ScoreMap(scores, classes, lattice(image.shape, lines, sight.stride))


class _Axis:
    """The tiles along one axis.

    Attributes
    ----------
    parts : list of int
        First position of each tile; the last ones overlap where positions do not divide evenly.
    number : int
        Positions of a tile.
    length : int
        Pixels of a tile.
    skipped : int
        Outputs of the network before those positions: what they see is made up where the network pads.
    """

    def __init__(self, first: int, number: int, sight: Geometry, tile: int) -> None:
        self.skipped = -(sight.low // sight.stride)
        lead = sight.stride * self.skipped + sight.low  # pixels before what the first position sees
        most = max(1, (tile - lead - sight.field) // sight.stride + 1)
        tiles = -(-number // most)
        self.number = -(-number // tiles)
        self.parts = [min(index * self.number, number - self.number) for index in range(tiles)]
        self.length = lead + (self.number - 1) * sight.stride + sight.field
        if sight.low < 0:  # where padding falls depends on the size: it is known for multiples of the stride
            self.length = -(-self.length // sight.stride) * sight.stride
        self._first, self._stride = first - lead, sight.stride

    def start(self, part: int) -> int:
        """Return the first pixel of the tile whose first position is `part`."""
        return self._first + self._stride * part


def _prepared(network: keras.Model, stride: int | None) -> tuple[keras.Model, Geometry, int]:
    """Return the fully convolutional network, where it looks, and the window of one score."""
    from cryokit.networks.geometry import geometry

    maps = len(network.output_shape) == 4
    if maps and network.input_shape[1:3] == (None, None):
        sight = geometry(network)
        if stride is None or stride == sight.stride:
            # Not kept: a cache that held the network itself would keep it for ever.
            return network, sight, sight.field
    known = _converted.setdefault(network, {})
    if stride not in known:
        from cryokit.networks.fully_convolutional import fully_convolutional

        known[stride] = fully_convolutional(network, stride=stride)
    sight = geometry(known[stride])
    return known[stride], sight, sight.field if maps else network.input_shape[1]


def _largest_tile(network: keras.Model, sight: Geometry) -> int:
    """Return the side of the largest tile for which two layers in a row take no more than `TILE_BYTES`."""
    from cryokit.networks.geometry import outputs

    layers = outputs(network)

    def side(number: int) -> int:
        return (number - 1) * sight.stride + sight.field

    def kept(number: int) -> float:
        sizes = [4 * channels * max(1, (side(number) - s.field) // s.stride + 1) ** 2 for s, channels in layers]
        return max(a + b for a, b in itertools.pairwise(sizes))

    # How many scores along a side; one at least, whatever the network.
    return side(max(1, bisect.bisect_right(range(1, 1 << 14), TILE_BYTES, key=kept)))
