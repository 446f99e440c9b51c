"""Results in words, with n and intervals, for lessons and reports."""

from __future__ import annotations

from cryokit._util.wording import plural
from cryokit.evaluate import Evaluation
from cryokit.evaluate.paired import Comparison, distinguishable, least_p


def f1_words(evaluation: Evaluation) -> str:
    """Return the F1 of an evaluation with its interval, such as ``F1 0.912 (95 % interval 0.880 to 0.941)``."""
    low, high = evaluation.intervals.get("f1", (float("nan"),) * 2)
    interval = f"95 % interval {low:.3f} to {high:.3f}" if low == low else "one micrograph, no interval"
    return f"F1 {evaluation.f1:.3f} ({interval})"


def compared_words(comparison: Comparison, first: str, second: str) -> str:
    """Return the outcome of a paired comparison in words, with the smallest p that there could be.

    Parameters
    ----------
    comparison : Comparison
        Result of `cryokit.evaluate.paired.compare`.
    first, second : str
        Names of the two that were compared.

    Examples
    --------
    >>> words = compared_words(Comparison(0.1, (0.05, 0.15), 0.03125, 6), "this", "that")
    >>> words.endswith("**this is ahead.**")
    True
    """
    n = comparison.micrographs
    verdict = f"**These {plural(n, 'micrograph')} do not tell the two apart.**"
    if distinguishable(comparison.p, comparison.interval):
        verdict = f"**{first if comparison.difference > 0 else second} is ahead.**"
    low, high = comparison.interval
    return (
        f"F1 of {first} minus that of {second}: {comparison.difference:+.3f} (95 % interval {low:+.3f} to {high:+.3f}, "
        f"{plural(n, 'micrograph')}, p = {comparison.p:.2g}; with so many, p is at least {least_p(n):.2g}). {verdict}"
    )
