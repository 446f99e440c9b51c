"""What an evaluation found, and how it is told."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pandas as pd

from cryokit._util.wording import plural, some
from cryokit.evaluate import metrics

# The rows of a summary.
ROWS = {
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "accuracy": "accuracy (Jaccard)",
    "false_positive_rate": "FPR, FP / picks",
    "false_negative_rate": "FNR, FN / particles",
    "average_precision": "average precision",
    "recall_ceiling": "recall ceiling",
}

# The single values of the dictionary.
TOLD = (
    *("criterion", "tolerance", "threshold", "scored", "tp", "fp", "fn", "ignored"),
    *("precision", "recall", "f1", "accuracy", "false_positive_rate", "false_negative_rate", "centre_error"),
    *("average_precision", "recall_ceiling", "best_f1", "best_threshold", "macro", "intervals"),
)


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """What `evaluate` found.

    All counts and what follows from them are at the operating point (the picks at or above `threshold`, all picks when
    it is None) and pooled over the micrographs; the curve and what follows from it use all picks.

    Attributes
    ----------
    criterion, tolerance, threshold
        How it was done; `threshold` is None when all picks given count.
    tp, fp, fn : int
        Matched picks, picks that match nothing, particles without a pick.
    ignored : int
        Picks that match nothing but lie on an ignore label: neither true nor false.
    centre_error : float
        Mean distance between matched centres in pixels; NaN without matches.
    average_precision : float
        Sum of precision times gain in recall, see `cryokit.evaluate.metrics.average_precision`.
    recall_ceiling : float
        Recall of all picks: what no threshold can exceed.
    best_f1, best_threshold : float
        The largest F1 on the curve and the threshold it needs. Chosen on the labels at hand, it flatters. The threshold
        is NaN without counted picks.
    scored : bool
        Whether the picks have scores. If not, all count as equal with a score of 1, and the curve is one point.
    curve : pandas.DataFrame
        `threshold` (falling), `precision`, `recall`, `tp`, `fp`, `f1`; one row per distinct score.
    per_micrograph : pandas.DataFrame
        One row per micrograph: `micrograph`, `particles`, `picks`, `tp`, `fp`, `fn`, `ignored`, `precision`, `recall`,
        `f1`, `accuracy`, `centre_error`. NaN where there is nothing to score: recall without particles, the others
        without particles and picks.
    per_view : pandas.DataFrame
        One row per view: `view`, `particles`, `tp`, `fn`, `recall`, and, where the picks name views (NaN otherwise),
        `fp` and `precision` (a false pick belongs to the view that it claims) and `agreement`, the share of the
        view's matched particles whose pick names the same view.
    intervals : dict
        95 % bootstrap intervals over micrographs of `precision`, `recall`, `f1`, `average_precision`; empty with one
        micrograph.
    picks : pandas.DataFrame
        The picks at the operating point with `outcome` (``true``, ``false`` or ``ignored``), `label` (the matched row
        of `labels`, -1 without) and `distance` (pixels, NaN without).
    labels : pandas.DataFrame
        The labels with `outcome` (``found``, ``missed`` or ``ignore``).
    unlabelled : tuple of str
        Micrographs that have picks but are not among those evaluated; their picks count nowhere.
    """

    criterion: str
    tolerance: float
    threshold: float | None
    tp: int
    fp: int
    fn: int
    ignored: int
    centre_error: float
    average_precision: float
    recall_ceiling: float
    best_f1: float
    best_threshold: float
    scored: bool
    curve: pd.DataFrame
    per_micrograph: pd.DataFrame
    per_view: pd.DataFrame
    intervals: dict[str, tuple[float, float]]
    picks: pd.DataFrame
    labels: pd.DataFrame
    unlabelled: tuple[str, ...]

    @property
    def precision(self) -> float:
        """TP / (TP + FP): the share of the picks that are particles; 0 without picks."""
        return float(metrics.ratio(self.tp, self.tp + self.fp))

    @property
    def recall(self) -> float:
        """TP / (TP + FN): the share of the particles that were picked; 0 without particles."""
        return float(metrics.ratio(self.tp, self.tp + self.fn))

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN): the harmonic mean of precision and recall."""
        return float(metrics.ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn))

    @property
    def accuracy(self) -> float:
        """TP / (TP + FP + FN), the Jaccard index: true negatives do not exist for picks, so they cannot be counted."""
        return float(metrics.ratio(self.tp, self.tp + self.fp + self.fn))

    @property
    def false_positive_rate(self) -> float:
        """FP / (TP + FP), as the KLH bake-off (Zhu et al., J. Struct. Biol. 145:3-14, 2004) is said to use the word.

        It is 1 - precision, not the FP / (FP + TN) of statistics. The definition was not checked against the paper.
        """
        return float(metrics.ratio(self.fp, self.tp + self.fp))

    @property
    def false_negative_rate(self) -> float:
        """FN / (TP + FN), 1 - recall; see `false_positive_rate` for the source."""
        return float(metrics.ratio(self.fn, self.tp + self.fn))

    @property
    def macro(self) -> dict[str, float]:
        """Means over the micrographs of precision, recall, F1 and accuracy, where there is something to score."""
        means = self.per_micrograph[["precision", "recall", "f1", "accuracy"]].mean()
        return {name: 0.0 if math.isnan(value) else float(value) for name, value in means.items()}

    def to_dict(self) -> dict:
        """Return everything but the tables of picks and labels as JSON-safe values; NaN and infinity become None."""
        values = {name: getattr(self, name) for name in TOLD}
        values["per_micrograph"] = self.per_micrograph.to_dict(orient="records")
        values["per_view"] = self.per_view.to_dict(orient="records")
        values["curve"] = self.curve.to_dict(orient="list")
        values["unlabelled"] = list(self.unlabelled)
        return _plain(values)

    def summary(self, *, per_micrograph: bool = False) -> str:
        """Return the numbers as a few lines of text.

        Parameters
        ----------
        per_micrograph : bool
            Whether to add the table of micrographs.
        """
        within = (
            "centres within {:g} x diameter" if self.criterion == "distance" else "boxes with an IoU of at least {:g}"
        )
        lines = [
            f"{plural(len(self.per_micrograph), 'micrograph')}, {plural(self.tp + self.fn, 'particle')}, "
            f"{plural(len(self.picks), 'pick')}"
            + ("" if self.threshold is None else f" with score >= {self.threshold:g}"),
            f"matched one to one, {within.format(self.tolerance)}: {self.tp} true, {self.fp} false, {self.fn} missed"
            + (f", {self.ignored} not counted (on ignore labels)" if self.ignored else ""),
            "",
            f"{'':<19}{'pooled':>7}  {'95 % interval':>15}  {'mean of micrographs':>19}",
        ]
        macro = self.macro
        for name, title in ROWS.items():
            low, high = self.intervals.get(name, (math.nan, math.nan))
            interval = "" if math.isnan(low) else f"{low:.3f} - {high:.3f}"
            mean = f"{macro[name]:.3f}" if name in macro else ""
            lines.append(f"{title:<19}{getattr(self, name):>7.3f}  {interval:>15}  {mean:>19}".rstrip())
        if self.scored and not math.isnan(self.best_threshold):
            lines.append(
                f"{'best F1':<19}{self.best_f1:>7.3f}  at score >= {self.best_threshold:.4g}, chosen on these labels"
            )
        if self.tp:
            lines.append(f"{'centre error':<19}{self.centre_error:>7.2f}  px, mean over the true picks")
        if len(self.per_view) > 1:
            lines += ["", _text(self.per_view.replace({"view": {"": "(unknown)"}}).dropna(axis="columns", how="all"))]
        if per_micrograph:
            lines += ["", _text(self.per_micrograph)]
        if self.unlabelled:
            elsewhere = f"picks elsewhere, not counted ({plural(len(self.unlabelled), 'micrograph')}): "
            lines += ["", elsewhere + some(self.unlabelled, 5)]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.summary()


def _text(table: pd.DataFrame) -> str:
    return table.to_string(index=False, float_format="{:.3f}".format, na_rep="-")


def _plain(value):
    """Turn `value` into what JSON has words for."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
