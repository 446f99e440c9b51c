"""Operations on pictures: binning, contrast, filters, peaks, MATLAB's functions and the enhancement chain of DeepCryoPicker."""

from cryokit.imaging.binning import bin_coordinates, bin_fourier, bin_integer, binned_shape, unbin_coordinates
from cryokit.imaging.contrast import common_contrast, contrast_score, detect_contrast
from cryokit.imaging.enhancement import STAGES, SUPER_OPENING, Preprocessing
from cryokit.imaging.matlab import (
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
from cryokit.imaging.quality import mse, psnr, quality, snr

__all__ = [
    "STAGES",
    "SUPER_OPENING",
    "Preprocessing",
    "adapthisteq",
    "bin_coordinates",
    "bin_fourier",
    "bin_integer",
    "binned_shape",
    "common_contrast",
    "contrast_score",
    "detect_contrast",
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
    "unbin_coordinates",
    "wiener2",
]
