"""The network of FastParticlePicker: Fast R-CNN with a trunk over the whole picture and pooled regions of interest.

The paper names Fast R-CNN, not the widths, so the layers are those of Fast R-CNN's smallest published network, CaffeNet
 (Girshick 2015, model S; Krizhevsky et al. 2012), for two classes. With a `cell` of 16 and full `width`:

===== ==================================== =============================
layer type                                 output
===== ==================================== =============================
I     picture                              H x W
C1    convolution 96 @ 11 x 11, / 4        H/4 x W/4 x 96
M1    max-pooling 3 x 3, / 2               H/8 x W/8 x 96
C2    convolution 256 @ 5 x 5              H/8 x W/8 x 256
M2    max-pooling 3 x 3, / 2               H/16 x W/16 x 256
C3    convolution 384 @ 3 x 3              H/16 x W/16 x 384
C4    convolution 384 @ 3 x 3              H/16 x W/16 x 384
C5    convolution 256 @ 3 x 3              H/16 x W/16 x 256
R     region-of-interest max-pooling       6 x 6 x 256, of each box
F6    fully connected                      4096
F7    fully connected                      4096
O     classes 2, offsets 2                 4
===== ==================================== =============================

With a `cell` of 8 pixels, C1 is 5 x 5 with a stride of 2: for pictures of half the resolution. Boxes have one fixed
size, so the offsets are those of the centre along x and y, in boxes; Fast R-CNN regresses sizes, too. CaffeNet's
normalisation of responses is left out, as in most networks since.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from cryokit._util.checked_settings import choice, number
from cryokit._util.validation import check_number
from cryokit.networks.architectures.layer_factory import LayerFactory, through
from cryokit.networks.architectures.network_config import NetworkConfig

if TYPE_CHECKING:
    import keras

BINS = 6  # along a side of a pooled region


@dataclass(frozen=True)
class FastParticlePickerConfig(NetworkConfig):
    """Settings of FastParticlePicker's network.

    Attributes
    ----------
    classes, channels, seed
        As in `NetworkConfig`.
    width : float
        Factor on the number of filters and units of every layer but the output; 1 for CaffeNet's.
    cell : {8, 16}
        Spacing of the cells of the feature map in pixels; 16 in CaffeNet.
    box : int
        Side of the candidate boxes in pixels, at least two cells.
    dropout : float
        Fraction of F6's and F7's outputs left out in training, as in Fast R-CNN.

    Notes
    -----
    Xiao and Yang 2017, AIP Conf. Proc. 1836:020080; Girshick 2015, "Fast R-CNN", ICCV.
    """

    kind: ClassVar[str] = "fastparticlepicker"
    valid: ClassVar[bool] = False

    width: float = number(1.0, 0.01, 4)
    cell: int = choice(16, 8, 16)
    box: int = number(120, 16, 1024, whole=True)
    dropout: float = number(0.5, 0, 0.99)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("box", self.box, 2 * self.cell)

    @property
    def stride(self) -> int:
        """Spacing of the cells of the feature map in pixels."""
        return self.cell

    def build(self) -> keras.Model:
        """Return a new network.

        Inputs: pictures (batch, rows, columns, channels), sides multiples of `cell`, and `boxes` (batch, n, 4). Output
        (batch, n, classes + 2): the probability of each class, and the offset of the particle's centre from the box's
        along x and y, in sides of a box. Its layers ``trunk``, ``regions`` and ``head`` can be run one by one.
        """
        from cryokit.networks.custom_layers import RegionPooling

        make = LayerFactory(self, padding="same")
        keras = make.keras
        kernel, stride = (11, 4) if self.cell == 16 else (5, 2)
        trunk_layers = make.alexnet("C1 M1 C2 M2 C3 C4 C5", kernel, stride, first="same", pooling="same")
        trunk = make.network("trunk", "pictures", None, trunk_layers)

        pooled = keras.Input((None, BINS, BINS, make.scaled(256)), name="pooled")
        # Connected layers work on the last axis: each region by itself.
        flatten = keras.layers.Reshape((-1, BINS * BINS * make.scaled(256)), name="flatten")
        regions = through(pooled, [flatten, *make.two_connected("F6 F7", self.dropout)])
        outputs = [make.output("classes", len(self.classes))(regions), make.output("offsets", 2, None)(regions)]
        head = keras.Model(pooled, keras.layers.Concatenate(dtype="float32", name="judged")(outputs), name="head")

        picture = keras.Input((None, None, self.channels), name="picture")
        boxes = keras.Input((None, 4), name="boxes")
        pooling = RegionPooling(BINS, self.box / self.cell, name="regions")
        return keras.Model([picture, boxes], head(pooling([trunk(picture), boxes])), name=self.kind)

    def boxes(self, places: NDArray) -> NDArray[np.float32]:
        """Return the boxes around places, in cells of the feature map of a picture whose sides are multiples of `cell`.

        Parameters
        ----------
        places : ndarray of float, shape (..., 2)
            Centres, x and y in pixels.

        Returns
        -------
        ndarray of float32, shape (..., 4)
            Left, top, right and bottom, the first cell from 0 to 1.
        """
        # The middle of what the first cell sees: padding is uneven, with more of it at the far end.
        middle = 7 if self.cell == 8 else 14
        centre = (np.asarray(places, np.float64) - middle) / self.cell + 0.5
        half = self.box / self.cell / 2
        return np.concatenate([centre - half, centre + half], axis=-1).astype(np.float32)
