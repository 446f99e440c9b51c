"""The scale at which a network with a fixed window sees particles: section 2.2 of DeepCryoPicker.

Al-Azzawi et al., BMC Bioinformatics 21:509 (2020), resize each micrograph by a factor in steps of 0.125 so that the
particle's box is "slightly smaller than the sliding window" of 227 pixels, and pad it with zeros to even sides. Their
table 4:

====================== ============== ======= ============
protein                box            factor  scaled box
====================== ============== ======= ============
apoferritin            94             2.375   224
KLH, top and side view 187 and 221    1       187 and 221
ribosome               320            0.625   200
beta-galactosidase     188            1.125   212
====================== ============== ======= ============

The largest multiple of 0.125 that leaves the box smaller than the window gives each row, if the views of one protein
are taken together: they are in the same micrographs, so their largest box decides. KLH's top views alone would be
scaled by 1.125, as the hardly larger beta-galactosidase is; its side views would then be 249 pixels, more than the
window. Sides of scaled boxes are rounded up.

The micrographs' sizes in that table do not all follow from its factors. 4096 x 1.125 = 4608 (beta-galactosidase) does,
and KLH stays as it is; but apoferritin's 1240 x 1200 times 2.375 are 2945 x 2850, not the 3373 x 3373 (padded: 3374)
given there, and the ribosome's 4096 x 0.625 are 2560, not 4030. The text has 212 pixels for the ribosome's scaled box,
the table 200. What is done here follows the factors, and pads nothing.
"""

import math

from cryokit._util.validation import check_number
from cryokit.errors import ArgumentError


def scale_factor(box: float, window: int = 227, step: float = 0.125) -> float:
    """Return the factor by which micrographs are resized, so that a box is slightly smaller than the window.

    Parameters
    ----------
    box : float
        Side of the particle's box in pixels, the largest one if its views differ.
    window : int
        Side of the network's window in pixels.
    step : float
        Number that the factor is a multiple of.

    Returns
    -------
    float
        Largest multiple of `step` that makes the box smaller than the window.

    Raises
    ------
    ArgumentError
        If a box, the window or the step is not a positive number, or the box is too large for one step.

    Examples
    --------
    >>> scale_factor(94), scale_factor(max(187, 221)), scale_factor(320), scale_factor(188)
    (2.375, 1.0, 0.625, 1.125)
    """
    for name, value in (("box", box), ("window", window), ("step", step)):
        check_number(name, value, 0, above=True)
    # One less than the first multiple that does not fit; rounding errors must not make that one fit.
    steps = math.ceil(window / (box * step) - 1e-9) - 1
    if steps < 1:
        raise ArgumentError(
            f"a box of {box:g} pixels does not fit a window of {window} even at a scale of {step:g}; "
            "bin the micrographs first or take a smaller step"
        )
    return steps * step
