"""Operations on pictures: frames, binning, preparation, contrast, peaks, and the enhancement chain of DeepCryoPicker.

Every operation that changes the geometry of a picture returns a `Picture`: the pixels and their `Frame`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "binning": ["bin_fourier", "bin_integer", "resize"],
        "contrast": ["common_contrast", "contrast_score", "detect_contrast"],
        "enhancement": ["STAGES", "SUPER_OPENING", "Preprocessing"],
        "frame": ["Frame", "Picture"],
        "matlab": [
            "adapthisteq",
            "histeq",
            "imadjust",
            "imguidedfilter",
            "imopen",
            "mat2gray",
            "stretchlim",
            "wiener2",
        ],
        "power_spectrum": ["power_spectrum", "radial_mean"],
        "preparation": ["recorded", "unusable_regions"],
        "stage_quality": ["quality", "snr"],
        "unusable": ["covered"],
    },
)
