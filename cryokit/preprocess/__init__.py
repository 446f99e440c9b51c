"""From a raw micrograph to a picture in which particles stand out dark: the chain of DeepCryoPicker, stage by stage.

`matlab` has the single operations with MATLAB's documented behaviour, `chain` puts them in order as `Preprocessing`,
`quality` measures what a stage changed.
"""

from cryokit.preprocess.chain import STAGES, SUPER_OPENING, Preprocessing
from cryokit.preprocess.matlab import (
    adapthisteq,
    disk,
    histeq,
    imadjust,
    imguidedfilter,
    imopen,
    mat2gray,
    stretchlim,
    wiener2,
)
from cryokit.preprocess.quality import mse, psnr, quality, snr

__all__ = [
    "STAGES",
    "SUPER_OPENING",
    "Preprocessing",
    "adapthisteq",
    "disk",
    "histeq",
    "imadjust",
    "imguidedfilter",
    "imopen",
    "mat2gray",
    "mse",
    "psnr",
    "quality",
    "snr",
    "stretchlim",
    "wiener2",
]
