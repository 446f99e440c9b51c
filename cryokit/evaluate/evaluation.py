"""The result of an evaluation: its numbers, as text and as JSON."""

import dataclasses
import math
from typing import Any

import numpy as np
import pandas as pd

from cryokit._util.plain import plain
from cryokit._util.wording import plural, some
from cryokit.evaluate.localisation import Localisation

# attribute -> its title in the summary
_ROWS = {
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "accuracy": "accuracy (Jaccard)",
    "false_positive_rate": "FPR, FP / picks",
    "false_negative_rate": "FNR, FN / particles",
    "average_precision": "average precision",
    "recall_ceiling": "recall ceiling",
}


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """Numbers of a set of picks, returned by `cryokit.evaluate.evaluate`.

    Counts, and what follows from them, are those at the operating point (picks at or above `threshold`; all picks if it
    is None), pooled over the micrographs. The curve, and what follows from it, uses all picks.

    Attributes
    ----------
    criterion : {"distance", "iou"}
        Criterion of the matching.
    tolerance : float
        Largest distance as a fraction of the diameter, or smallest intersection over union.
    threshold : float or None
        Lowest score that counts; None if all picks count.
    tp, fp, fn : int
        Matched picks, picks that match no particle, particles without a pick.
    ignored : int
        Picks that match no particle but lie on an ignore label: neither true nor false.
    precision, recall, f1, accuracy : float
        TP / (TP + FP), the share of the picks that are particles; TP / (TP + FN), the share of the particles that were
        picked; 2 TP / (2 TP + FP + FN), the harmonic mean of the two; and TP / (TP + FP + FN), the Jaccard index,
        because picks have no true negatives that could be counted. 0 without a denominator.
    false_positive_rate, false_negative_rate : float
        FP / (TP + FP) and FN / (TP + FN), as the KLH bake-off (Zhu et al., J. Struct. Biol. 145:3-14, 2004) is said to
        use the words. The former is 1 - precision, not the FP / (FP + TN) of statistics. The definitions were not
        checked against the paper.
    centre_error : float
        Mean distance between matched centres in pixels; NaN without matches.
    localisation : Localisation
        Mean shift and scatter of the true picks about their labels.
    average_precision : float
        Sum of precision times gain in recall, see `cryokit.evaluate.metrics.average_precision`.
    recall_ceiling : float
        Recall of all picks, which no threshold can exceed.
    best_f1, best_threshold : float
        Largest F1 on the curve and its threshold. Chosen on the labels at hand, it flatters. The threshold is NaN
        without counted picks.
    scored : bool
        Whether the picks have scores. If not, all count as equal with a score of 1, and the curve is one point.
    curve : pandas.DataFrame
        Columns `threshold` (falling), `precision`, `recall`, `tp`, `fp`, `f1`; one row per distinct score.
    per_micrograph : pandas.DataFrame
        One row per micrograph: `micrograph`, `particles`, `picks`, `tp`, `fp`, `fn`, `ignored`, `precision`, `recall`,
        `f1`, `accuracy`, `centre_error`. NaN where there is nothing to score: recall without particles, the others
        without particles and picks.
    per_view : pandas.DataFrame
        One row per view: `view`, `particles`, `tp`, `fn`, `recall`, and, if the picks name views (NaN otherwise), `fp`
        and `precision` (a false pick belongs to the view that it names) and `agreement`, the share of the view's
        matched particles whose pick names the same view.
    intervals : dict of str to tuple of float
        95 % bootstrap intervals over micrographs of `precision`, `recall`, `f1`, `accuracy` and `average_precision`;
        empty with one micrograph.
    picks : pandas.DataFrame
        Picks at the operating point with `outcome` (``true``, ``false`` or ``ignored``), `label` (row of the matched
        label in `labels`, -1 without one) and `distance` (pixels, NaN without).
    labels : pandas.DataFrame
        Labels with `outcome` (``found``, ``missed`` or ``ignore``).
    unlabelled : tuple of str
        Micrographs that have picks but were not evaluated; their picks count nowhere.
    """

    criterion: str
    tolerance: float
    threshold: float | None
    tp: int
    fp: int
    fn: int
    ignored: int
    precision: float
    recall: float
    f1: float
    accuracy: float
    false_positive_rate: float
    false_negative_rate: float
    centre_error: float
    localisation: Localisation
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
    def macro(self) -> dict[str, float]:
        """Means over the micrographs of precision, recall, F1 and accuracy, where there is something to score."""
        means = self.per_micrograph[["precision", "recall", "f1", "accuracy"]].mean()
        return {name: 0.0 if math.isnan(value) else float(value) for name, value in means.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the tables of picks and labels as values of JSON; NaN and infinity become None."""
        values = {name: value for name, value in vars(self).items() if name not in ("picks", "labels")}
        values["macro"] = self.macro
        values["localisation"] = self.localisation.to_dict()
        values["per_micrograph"] = self.per_micrograph.to_dict(orient="records")
        values["per_view"] = self.per_view.to_dict(orient="records")
        values["curve"] = self.curve.to_dict(orient="list")
        return plain(values)

    def summary(self, *, per_micrograph: bool = False) -> str:
        """Return the numbers as a few lines of text.

        Parameters
        ----------
        per_micrograph : bool
            Whether to add the table of micrographs.
        """
        lines = [*self._counts(), "", f"{'':<19}{'pooled':>7}  {'95 % interval':>15}  {'mean of micrographs':>19}"]
        macro = self.macro
        for name, title in _ROWS.items():
            low, high = self.intervals.get(name, (math.nan, math.nan))
            interval = "" if math.isnan(low) else f"{low:.3f} - {high:.3f}"
            mean = f"{macro[name]:.3f}" if name in macro else ""
            lines.append(f"{title:<19}{getattr(self, name):>7.3f}  {interval:>15}  {mean:>19}".rstrip())
        if self.scored and not math.isnan(self.best_threshold):
            lines.append(
                f"{'best F1':<19}{self.best_f1:>7.3f}  at score >= {self.best_threshold:.4g}, chosen on these labels"
            )
        if self.tp:
            lines += self._distances()
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

    def _counts(self) -> list[str]:
        within = f"centres within {self.tolerance:g} x diameter"
        if self.criterion == "iou":
            within = f"boxes with an IoU of at least {self.tolerance:g}"
        score = "" if self.threshold is None else f" with score >= {self.threshold:g}"
        ignored = f", {self.ignored} not counted (on ignore labels)" if self.ignored else ""
        return [
            f"{plural(len(self.per_micrograph), 'micrograph')}, {plural(self.tp + self.fn, 'particle')}, "
            f"{plural(len(self.picks), 'pick')}{score}",
            f"matched one to one, {within}: {self.tp} true, {self.fp} false, {self.fn} missed{ignored}",
        ]

    def _distances(self) -> list[str]:
        where = self.localisation
        x, y = (
            f"{shift:+.2f}" + ("" if np.isnan(error) else f" ± {error:.2f}")
            for shift, error in ((where.dx, where.dx_error), (where.dy, where.dy_error))
        )
        percent = f"({100 * where.dx_share:+.1f}, {100 * where.dy_share:+.1f} % of the diameter)"
        lines = [
            f"{'centre error':<19}{self.centre_error:>7.2f}  px, mean over the true picks",
            f"{'RMS distance':<19}{where.rms:>7.2f}  px, {100 * where.rms_share:.1f} % of the diameter",
            f"{'mean shift':<19} x {x} px, y {y} px {percent}",
        ]
        return lines + ([f"warning: {where.warning()}"] if where.shifted else [])


def _text(table: pd.DataFrame) -> str:
    return table.to_string(index=False, float_format="{:.3f}".format, na_rep="-")
