"""Operations on pictures: frames, binning, preparation, contrast, peaks, and the enhancement chain of DeepCryoPicker.

Every operation that changes the geometry of a picture returns a `Picture`: the pixels and their `Frame`.
"""

from cryokit.imaging.binning import bin_fourier, bin_integer, resize
from cryokit.imaging.contrast import common_contrast, contrast_score, detect_contrast
from cryokit.imaging.enhancement import STAGES, SUPER_OPENING, Preprocessing
from cryokit.imaging.frame import Frame, Picture
from cryokit.imaging.matlab import (
    adapthisteq,
    histeq,
    imadjust,
    imguidedfilter,
    imopen,
    mat2gray,
    stretchlim,
    wiener2,
)
from cryokit.imaging.preparation import recorded
from cryokit.imaging.quality import quality, snr

__all__ = [
    "STAGES",
    "SUPER_OPENING",
    "Frame",
    "Picture",
    "Preprocessing",
    "adapthisteq",
    "bin_fourier",
    "bin_integer",
    "common_contrast",
    "contrast_score",
    "detect_contrast",
    "histeq",
    "imadjust",
    "imguidedfilter",
    "imopen",
    "mat2gray",
    "quality",
    "recorded",
    "resize",
    "snr",
    "stretchlim",
    "wiener2",
]
