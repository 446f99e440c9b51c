"""Picks against labels: the numbers of a picker."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from cryokit._util.wording import plural, some
from cryokit.coordinates.table import IGNORE, validate
from cryokit.errors import CoordinateError
from cryokit.evaluate import matching, metrics
from cryokit.evaluate.result import Evaluation

logger = logging.getLogger(__name__)

# The columns of a sweep.
SWEPT = (
    *("tolerance", "tp", "fp", "fn", "precision", "recall", "f1"),
    *("average_precision", "recall_ceiling", "best_f1", "centre_error"),
)


def evaluate(
    picks: pd.DataFrame,
    labels: pd.DataFrame,
    *,
    micrographs: Iterable[str] | None = None,
    tolerance: float | None = None,
    criterion: str = "distance",
    threshold: float | None = None,
    diameter: float | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
) -> Evaluation:
    """Score picks against labels.

    Parameters
    ----------
    picks : pandas.DataFrame
        A table of picks (`cryokit.coordinates.table`). Either all picks have a score or none has; without scores all
        are equal. Rows of the view ``ignore`` are left out.
    labels : pandas.DataFrame
        The particles there are, as a table of picks. Rows of the view ``ignore`` mark what is neither particle nor
        background: a pick within half a diameter of one that matches no particle counts neither as true nor as false.
    micrographs : iterable of str, optional
        The micrographs to score, those without picks or labels included; nothing outside them counts. By default all
        that the labels name, so a micrograph without picks counts as missed.
    tolerance : float, optional
        With the criterion ``distance`` (default 0.25) how far a pick may lie from the label's centre, as a fraction of
        the label's diameter; with ``iou`` (default 0.6) the least intersection over union of the two boxes. The limit
        itself matches.
    criterion : {"distance", "iou"}
        ``iou`` takes squares with the diameters as sides; a pick without a diameter gets the label's.
    threshold : float, optional
        Counts are of the picks with at least this score; by default of all. The curve always takes all.
    diameter : float, optional
        Of every particle in pixels; takes the place of the diameters in both tables. Labels of the view ``ignore`` keep
        theirs, where they have one: a tube is larger than the particle.
    bootstrap : int
        Replicates for the intervals, 0 for none.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    Evaluation

    Raises
    ------
    CoordinateError
        When a table is not a table of picks, the labels lack diameters, only some picks have scores, no micrograph of
        the picks is among the labelled ones, or an argument is out of range.

    Notes
    -----
    Matching is one to one with as many pairs as possible; of these matchings, one that prefers picks with higher scores
    and, that done, the smallest total distance (`cryokit.evaluate.matching`). A pick is then true or false once and for
    all: the curve's counts at any threshold are those of a maximum matching of the picks above it.

    Examples
    --------
    >>> from cryokit.coordinates.table import table
    >>> labels = table("a", x=[100, 300], y=[100, 300], diameter=80)
    >>> picks = table("a", x=[104, 108, 600], y=[103, 100, 50], score=[0.8, 0.9, 0.3])
    >>> result = evaluate(picks, labels)
    >>> result.tp, result.fp, result.fn, result.f1
    (1, 2, 1, 0.4)
    >>> result.picks.outcome.tolist()
    ['false', 'true', 'false']
    """
    tolerance = check_settings(tolerance, criterion, diameter=diameter, seed=seed)
    picks, labels = validate(picks), validate(labels, "the labels")
    picks = picks[picks["view"] != IGNORE].reset_index(drop=True)
    names, unlabelled = _micrographs(picks, labels, micrographs)
    picks = picks[picks["micrograph"].isin(names)].reset_index(drop=True)
    labels = labels[labels["micrograph"].isin(names)].reset_index(drop=True)
    if diameter is not None:
        picks = picks.assign(diameter=float(diameter))
        own = (labels["view"] == IGNORE) & labels["diameter"].notna()
        labels = labels.assign(diameter=labels["diameter"].where(own, float(diameter)))
    check_diameters(labels)
    scored = _score(picks, threshold)
    if criterion == "iou":
        _warn_of_sizes(picks["diameter"].median(), labels["diameter"].median(), tolerance)

    everything = _outcomes(picks, labels, names, tolerance, criterion)
    chosen = picks
    at_point = everything
    if threshold is not None:
        chosen = picks[picks["score"] >= threshold].reset_index(drop=True)
        at_point = _outcomes(chosen, labels, names, tolerance, criterion)
    chosen, labels = at_point

    particles = int((labels["outcome"] != "ignore").sum())
    counted = everything[0][everything[0]["outcome"] != "ignored"]
    score, true = counted["score"].to_numpy(), (counted["outcome"] == "true").to_numpy()
    curve = metrics.curve(score, true, particles)
    best = int(curve["f1"].argmax()) if len(curve) else None
    per_micrograph = _per_micrograph(chosen, labels, names)
    position = {name: index for index, name in enumerate(names)}
    return Evaluation(
        criterion=criterion,
        tolerance=tolerance,
        threshold=None if threshold is None else float(threshold),
        **{name: int(per_micrograph[name].sum()) for name in ("tp", "fp", "fn", "ignored")},
        centre_error=float(chosen["distance"].mean()),
        average_precision=metrics.average_precision(curve),
        recall_ceiling=float(curve["recall"].iloc[-1]) if len(curve) else 0.0,
        best_f1=0.0 if best is None else float(curve["f1"].iloc[best]),
        best_threshold=math.nan if best is None else float(curve["threshold"].iloc[best]),
        scored=scored,
        curve=curve,
        per_micrograph=per_micrograph,
        per_view=_per_view(chosen, labels),
        intervals=metrics.bootstrap(
            per_micrograph[["tp", "fp", "fn"]].to_numpy(),
            score,
            true,
            counted["micrograph"].map(position).to_numpy(np.intp),
            replicates=bootstrap,
            seed=seed,
        ),
        picks=chosen,
        labels=labels,
        unlabelled=unlabelled,
    )


def by_view(picks: pd.DataFrame, labels: pd.DataFrame, **settings) -> dict[str, Evaluation]:
    """Score the picks of each view by itself, as figure 4 of Al-Azzawi et al. 2020 does.

    For one view the particles of all others count as ``ignore``: picks on them are neither true nor false. A pick that
    names a view is a pick of this view only; one that names none, a pick of every view. So what a picker that does not
    tell views apart picks on nothing is false for each of them.

    Parameters
    ----------
    picks, labels : pandas.DataFrame
        As in `evaluate`.
    **settings
        Passed on to `evaluate`. Without `micrographs` all that the labels name are scored, for every view.

    Returns
    -------
    dict of str to Evaluation
        For each view that the labels name, in alphabetical order.

    Examples
    --------
    >>> from cryokit.coordinates.table import table
    >>> labels = table("a", [100, 300, 500], [100, 100, 100], diameter=80, view=["top", "top", "side"])
    >>> found = by_view(table("a", [100, 500, 700], [100, 100, 100], 0.9), labels, bootstrap=0)
    >>> [(view, result.tp, result.fp, result.fn) for view, result in found.items()]
    [('side', 1, 1, 0), ('top', 1, 1, 1)]
    """
    picks, labels = validate(picks), validate(labels, "the labels")
    if settings.get("micrographs") is None:
        settings = {**settings, "micrographs": list(dict.fromkeys(labels["micrograph"]))}
    own, claimed = labels["view"], picks["view"]
    return {
        view: evaluate(
            picks[(claimed == view) | (claimed == "")],
            labels.assign(view=own.where(own == view, IGNORE)),
            **settings,
        )
        for view in sorted(set(own) - {IGNORE, ""})
    }


def sweep(
    picks: pd.DataFrame,
    labels: pd.DataFrame,
    tolerances: Sequence[float] = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5),
    **settings,
) -> pd.DataFrame:
    """Score the same picks at several tolerances: how much of a result hangs on the choice.

    Parameters
    ----------
    picks, labels : pandas.DataFrame
        As in `evaluate`.
    tolerances : sequence of float
        Fractions of the diameter, or values of IoU with ``criterion="iou"``.
    **settings
        Passed on to `evaluate`.

    Returns
    -------
    pandas.DataFrame
        One row per tolerance: `tolerance`, `tp`, `fp`, `fn`, `precision`, `recall`, `f1`, `average_precision`,
        `recall_ceiling`, `best_f1`, `centre_error`.
    """
    settings = {"bootstrap": 0, **settings}
    results = [evaluate(picks, labels, tolerance=tolerance, **settings) for tolerance in tolerances]
    return pd.DataFrame({name: [getattr(result, name) for result in results] for name in SWEPT})


def check_settings(
    tolerance: float | None = None, criterion: str = "distance", *, diameter: float | None = None, seed: int = 0
) -> float:
    """Refuse settings of `evaluate` that are wrong whatever the tables hold; return the tolerance to use.

    Raises
    ------
    CoordinateError
    """
    if criterion not in matching.TOLERANCES:
        raise CoordinateError(f"criterion {criterion!r} is not known; use one of {', '.join(matching.TOLERANCES)}")
    tolerance = matching.TOLERANCES[criterion] if tolerance is None else float(tolerance)
    if not 0 < tolerance < math.inf or (criterion == "iou" and tolerance > 1):
        limit = "over 0 and at most 1" if criterion == "iou" else "over 0"
        raise CoordinateError(
            f"a tolerance (tolerance=, --tolerance) of {tolerance:g} makes no sense with the criterion {criterion}; "
            f"give one {limit}"
        )
    if diameter is not None and not 0 < diameter < math.inf:
        raise CoordinateError(
            f"the diameter (diameter=, --diameter) has to be a positive number of pixels, not {diameter:g}"
        )
    if seed < 0:
        raise CoordinateError(f"the seed (seed=, --seed) has to be 0 or more, not {seed}")
    return tolerance


def _micrographs(
    picks: pd.DataFrame, labels: pd.DataFrame, micrographs: Iterable[str] | None
) -> tuple[list[str], tuple[str, ...]]:
    """Return the names of the micrographs to score, and those that have picks but are not among them."""
    if isinstance(micrographs, str):
        micrographs = [micrographs]
    given = sorted(labels["micrograph"].unique()) if micrographs is None else micrographs
    names = list(dict.fromkeys(map(str, given)))
    if not names:
        raise CoordinateError("there is nothing to score: the labels name no micrograph, and no micrographs were given")
    picked = list(picks["micrograph"].unique())
    unlabelled = tuple(name for name in picked if name not in set(names))
    # Picks that are all elsewhere are a picker's business; picks with names that nobody knows are a mistake.
    if picked and not set(picked) & {*names, *labels["micrograph"]}:
        raise CoordinateError(
            f"no micrograph of the picks ({some(picked)}) has the name of a labelled one ({some(names)}); names are "
            "compared whole: rename the files, or take off what was added to their names (--strip, endings=)"
        )
    if unlabelled:
        level = logging.WARNING if micrographs is None else logging.INFO
        message = "picks on %s, which is not scored, do not count: %s"
        if len(unlabelled) > 1:
            message = "picks on %s, which are not scored, do not count: %s"
        logger.log(level, message, plural(len(unlabelled), "micrograph"), some(unlabelled))
    return names, unlabelled


def check_diameters(labels: pd.DataFrame) -> None:
    """Refuse labels without a positive diameter.

    Raises
    ------
    CoordinateError
    """
    bad = labels[~(labels["diameter"] > 0) | np.isinf(labels["diameter"])]
    if len(bad):
        row = bad.iloc[0]
        verb = "has" if len(bad) == 1 else "have"
        raise CoordinateError(
            f"{len(bad)} of {plural(len(labels), 'label')} {verb} no usable diameter (first: {row['micrograph']} at x "
            f"{row['x']:g}, y {row['y']:g}, diameter {row['diameter']:g}); give the particle's diameter in pixels "
            "(diameter=, --diameter)"
        )


def _warn_of_sizes(pick: float, label: float, tolerance: float) -> None:
    """Tell when boxes of such sizes cannot match even at one centre (a NaN tells nothing)."""
    if (min(pick, label) / max(pick, label)) ** 2 < tolerance:
        logger.warning(
            "the picks' boxes (%g px) and the labels' (%g px) differ so much that an IoU of %g is out of reach; "
            "give one diameter for both (diameter=, --diameter)",
            *(pick, label, tolerance),
        )


def _score(picks: pd.DataFrame, threshold: float | None) -> bool:
    """Say whether the picks have scores; where none has, all get a score of 1 in place."""
    without = picks["score"].isna()
    if not without.any():
        return True
    if not without.all():
        row = picks[without].iloc[0]
        raise CoordinateError(
            f"{without.sum()} of {len(picks)} picks have no score (first: {row['micrograph']} at x {row['x']:g}, "
            f"y {row['y']:g}): give all a score, or set the column score to NaN for all"
        )
    if threshold is not None:
        raise CoordinateError("the picks have no scores, so no threshold can be applied; leave the threshold out")
    picks["score"] = 1.0
    return False


def _outcomes(
    picks: pd.DataFrame, labels: pd.DataFrame, names: Sequence[str], tolerance: float, criterion: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Match micrograph by micrograph; return both tables with what became of each row."""
    xy, label_xy = picks[["x", "y"]].to_numpy(), labels[["x", "y"]].to_numpy()
    diameters, pick_diameters = labels["diameter"].to_numpy(), picks["diameter"].to_numpy()
    rank = np.unique(picks["score"].to_numpy(), return_inverse=True)[1]
    label_of = np.full(len(picks), -1, np.intp)
    distance = np.full(len(picks), np.nan)
    on_ignore = np.zeros(len(picks), bool)
    ignore = (labels["view"] == IGNORE).to_numpy()
    rows = picks.groupby("micrograph", sort=False).indices
    label_rows = labels.groupby("micrograph", sort=False).indices
    for name in names:
        mine, theirs = rows.get(name), label_rows.get(name)
        if mine is None or theirs is None:
            continue
        dropped = theirs[ignore[theirs]]
        theirs = theirs[~ignore[theirs]]
        on_ignore[mine] = matching.near_any(xy[mine], label_xy[dropped], diameters[dropped] / 2)
        pairs = matching.candidates(
            xy[mine],
            label_xy[theirs],
            diameters[theirs],
            tolerance=tolerance,
            criterion=criterion,
            pick_diameters=pick_diameters[mine],
        )
        # Of picks with equal scores, one on an ignore label steps back: unmatched, it does no harm.
        found = matching.match(pairs, 2 * rank[mine] + ~on_ignore[mine])
        label_of[mine[found.pick]] = theirs[found.label]
        distance[mine[found.pick]] = found.distance
    matched = label_of >= 0
    outcome = np.where(matched, "true", np.where(on_ignore, "ignored", "false")).astype(object)
    label_outcome = np.where(ignore, "ignore", "missed").astype(object)
    label_outcome[label_of[matched]] = "found"
    return picks.assign(outcome=outcome, label=label_of, distance=distance), labels.assign(outcome=label_outcome)


def _per_micrograph(picks: pd.DataFrame, labels: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    def count(table: pd.DataFrame, outcome: str) -> pd.Series:
        return table.loc[table["outcome"] == outcome, "micrograph"].value_counts().reindex(names, fill_value=0)

    tp, fp, ignored = (count(picks, outcome).to_numpy() for outcome in ("true", "false", "ignored"))
    fn = count(labels, "missed").to_numpy()
    something = tp + fp + fn > 0
    return pd.DataFrame(
        {
            "micrograph": pd.Series(names, dtype=object),
            "particles": tp + fn,
            "picks": tp + fp + ignored,
            "tp": tp,
            "fp": fp,
            "fn": fn,
            "ignored": ignored,
            "precision": np.where(something, metrics.ratio(tp, tp + fp), np.nan),
            "recall": np.where(tp + fn > 0, metrics.ratio(tp, tp + fn), np.nan),
            "f1": np.where(something, metrics.ratio(2 * tp, 2 * tp + fp + fn), np.nan),
            "accuracy": np.where(something, metrics.ratio(tp, tp + fp + fn), np.nan),
            "centre_error": picks.groupby("micrograph")["distance"].mean().reindex(names).to_numpy(),
        }
    )


def _per_view(picks: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    particles = labels[labels["outcome"] != "ignore"]
    matched, false = picks[picks["outcome"] == "true"], picks[picks["outcome"] == "false"]
    claimed = bool((picks["view"] != "").any())
    label_view = labels["view"].to_numpy()[matched["label"].to_numpy()]
    same = label_view == matched["view"].to_numpy()
    views = list(
        dict.fromkeys([*sorted(particles["view"].unique()), *(sorted(false["view"].unique()) if claimed else [])])
    )
    rows = []
    for view in views:
        total = int((particles["view"] == view).sum())
        tp, fp = int((label_view == view).sum()), int((false["view"] == view).sum())
        rows.append(
            {
                "view": view,
                "particles": total,
                "tp": tp,
                "fn": total - tp,
                "recall": tp / total if total else math.nan,
                "fp": fp if claimed else math.nan,
                "precision": float(metrics.ratio(tp, tp + fp)) if claimed else math.nan,
                "agreement": float(same[label_view == view].mean()) if claimed and tp else math.nan,
            }
        )
    return pd.DataFrame(rows, columns=["view", "particles", "tp", "fn", "recall", "fp", "precision", "agreement"])
