"""Intervals of shares, such as precision and recall, from their counts."""

from __future__ import annotations

import math

from cryokit._util.validation import check_number

Z95 = 1.959963984540054  # a normal variable is within this many standard deviations 95 times in 100


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a share.

    Parameters
    ----------
    hits, n : int
        Number of hits, and of trials.

    Returns
    -------
    low, high : float
        Interval; 0 to 1 without trials. It takes the trials as independent, which particles on one micrograph are not
        quite.

    Examples
    --------
    >>> low, high = wilson(15, 18)
    >>> round(low, 2), round(high, 2)
    (0.61, 0.94)
    """
    check_number("hits", hits, 0, n, whole=True)
    if not n:
        return 0.0, 1.0
    share, spread = hits / n, Z95**2 / n
    middle = (share + spread / 2) / (1 + spread)
    half = Z95 * math.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)
