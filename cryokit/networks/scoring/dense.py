"""Score a whole picture in few passes of a fully convolutional network, tile by tile."""

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
from cryokit.networks.fully_convolutional import fully_convolutional
from cryokit.networks.geometry import Geometry, geometry, outputs
from cryokit.networks.model import Model
from cryokit.networks.scoring.running import runner
from cryokit.networks.scoring.scoremap import ScoreMap, network_and_classes, scorable
from cryokit.networks.scoring.windows import lattice, mirrored

if TYPE_CHECKING:
    import keras

TILE_BYTES = 256 << 20  # activations of a tile that are kept at a time, where the size of tiles is not given

_converted: weakref.WeakKeyDictionary[keras.Model, dict[int | None, keras.Model]] = weakref.WeakKeyDictionary()


def dense(
    picture: NDArray,
    network: keras.Model | Model,
    *,
    stride: int | None = None,
    tile: int | None = None,
    pad: bool = True,
    classes: Sequence[str] | None = None,
) -> ScoreMap:
    """Score every window of a picture at once.

    The picture goes through the fully convolutional form of the network in overlapping tiles, so that the memory is
    bounded by the tile, however large the picture. Tiles are all of one shape, for which the backend compiles once, and
    each contains all that its scores see: the result does not depend on the size of tiles but for rounding.

    Parameters
    ----------
    picture : ndarray, shape (rows, columns)
        Picture prepared as the network's training patches were. A network of three channels gets it three times.
    network : keras.Model or Model
        Network that judges windows (converted once by `cryokit.networks.fully_convolutional.fully_convolutional`), or
        is fully convolutional itself.
    stride : int, optional
        Pixels between scores; the network's own stride by default. A network that judges windows takes divisors of it.
    tile : int, optional
        Longest side of a tile in pixels, including what it shares with its neighbours. By default as large as keeps
        the activations of two layers in a row within 256 MB.
    pad : bool
        Whether the picture is mirrored at its borders, so that positions cover all of it, or windows stay inside.
    classes : sequence of str, optional
        Names of the outputs, if `network` does not know them.

    Returns
    -------
    ScoreMap
        Scores at the positions of `sliding` with the same stride. They are those of `sliding`, too, if the network
        pads nothing (`NetworkConfig.valid`); else they are an approximation, in which the picture around a window
        takes the place of the zeros that the network pads with.

    Raises
    ------
    ArgumentError
        If an argument is wrong, or the network or the picture cannot be scored with.
    """
    network, classes = network_and_classes(network, classes)
    picture = scorable(picture)
    network, sight, window = _scoring_form(network, stride)
    channels = network.input_shape[-1]
    if tile is None:
        tile = _largest_tile(network, sight)
    else:
        check_number("tile", tile, sight.field, whole=True)
    frame = lattice(picture.shape, window, sight.stride, pad)
    # A window that pads inside sees less than the field of its map; both have the same centre.
    # One whose poolings drop the last rows sees less than its window, and begins where it begins.
    before = (window - 1) / 2 + max(0, (sight.field - window) // 2)
    down, across = (
        _Axis(int(centre - before), number, sight, tile)
        for centre, number in zip((frame.y0, frame.x0), frame.shape, strict=True)
    )
    run = runner(network)
    scores = np.empty((*frame.shape, len(classes)), np.float32)
    for row, column in itertools.product(down.parts, across.parts):
        area = mirrored(picture, (down.start(row), across.start(column)), (down.length, across.length))
        batch = np.broadcast_to(area[None, ..., None], (1, *area.shape, channels))
        part = run(np.ascontiguousarray(batch))[0]
        part = part[down.skipped :, across.skipped :][: down.number, : across.number]
        if part.shape[:2] != (down.number, across.number):
            raise PickerError(f"network {network.name!r}: returns a map of another size than its layers tell")
        scores[row : row + down.number, column : column + across.number] = part
    return ScoreMap(scores, classes, frame)


class _Axis:
    """The tiles along one axis.

    Parameters
    ----------
    first : int
        First pixel that the first position sees.
    positions : int
        Number of positions.
    sight : Geometry
        Stride and field of the network.
    tile : int
        Longest side of a tile in pixels.

    Attributes
    ----------
    parts : list of int
        First position of each tile; the last tiles overlap if positions do not divide evenly.
    number : int
        Positions of a tile.
    length : int
        Pixels of a tile.
    skipped : int
        Outputs of the network before those positions, which see what the network pads with.
    """

    def __init__(self, first: int, positions: int, sight: Geometry, tile: int) -> None:
        self.skipped = -(sight.low // sight.stride)
        lead = sight.stride * self.skipped + sight.low  # pixels before what the first position sees
        most = max(1, (tile - lead - sight.field) // sight.stride + 1)
        tiles = -(-positions // most)
        self.number = -(-positions // tiles)
        self.parts = [min(index * self.number, positions - self.number) for index in range(tiles)]
        self.length = lead + (self.number - 1) * sight.stride + sight.field
        if sight.low < 0:  # where padding falls depends on the size: it is known for multiples of the stride
            self.length = -(-self.length // sight.stride) * sight.stride
        self._first, self._stride = first - lead, sight.stride

    def start(self, position: int) -> int:
        """Return the first pixel of the tile with this first position."""
        return self._first + self._stride * position


def _scoring_form(network: keras.Model, stride: int | None) -> tuple[keras.Model, Geometry, int]:
    """Return the fully convolutional network, its geometry, and the side of the window of one score."""
    returns_maps = len(network.output_shape) == 4
    if returns_maps and network.input_shape[1:3] == (None, None):
        sight = geometry(network)
        if stride is None or stride == sight.stride:
            # Not kept: a cache that held the network itself would keep it for ever.
            return network, sight, sight.field
    converted = _converted.setdefault(network, {})
    if stride not in converted:
        converted[stride] = fully_convolutional(network, stride=stride)
    sight = geometry(converted[stride])
    return converted[stride], sight, sight.field if returns_maps else network.input_shape[1]


def _largest_tile(network: keras.Model, sight: Geometry) -> int:
    """Return the side of the largest tile for which two layers in a row take no more than `TILE_BYTES`."""
    layers = outputs(network)

    def side(positions: int) -> int:
        return (positions - 1) * sight.stride + sight.field

    def kept(positions: int) -> float:
        pixels = side(positions)
        sizes = [4 * channels * max(1, (pixels - seen.field) // seen.stride + 1) ** 2 for seen, channels in layers]
        return max(first + second for first, second in itertools.pairwise(sizes))

    # The number of positions along a side; one at least, whatever the network.
    return side(max(1, bisect.bisect_right(range(1, 1 << 14), TILE_BYTES, key=kept)))
