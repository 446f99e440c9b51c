"""Scoring picks against labels: all together, view by view, and at several tolerances."""

import logging
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from cryokit._util.validation import check_choice, check_number
from cryokit._util.wording import plural, some
from cryokit.coordinates import IGNORE, validate, without_repeats
from cryokit.errors import CoordinateError
from cryokit.evaluate import matching, metrics
from cryokit.evaluate.evaluation import Evaluation
from cryokit.evaluate.localisation import localise

logger = logging.getLogger(__name__)

_COUNTS = ["tp", "fp", "fn"]
_RATES = ["precision", "recall", "f1", "average_precision", "recall_ceiling", "best_f1", "centre_error"]


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
        Table of picks (`cryokit.coordinates.picks`). Either all picks have a score or none has; without scores all are
        equal. Rows of the view ``ignore`` are left out.
    labels : pandas.DataFrame
        Table of picks that holds the true particles. Rows of the view ``ignore`` mark what is neither particle nor
        background: a pick within half a diameter of one that matches no particle counts neither as true nor as false.
        A particle that is labelled twice at the same place counts once, with a warning.
    micrographs : iterable of str, optional
        Micrographs to score, including those without picks or labels; picks and labels elsewhere do not count. Default:
        all that the labels name, so a micrograph without picks counts as missed.
    tolerance : float, optional
        With the criterion ``distance`` the largest distance between pick and label, as a fraction of the label's
        diameter (default 0.25); with ``iou`` the smallest intersection over union of the two boxes (default 0.6). A
        pair exactly at the limit matches.
    criterion : {"distance", "iou"}
        Matching criterion; ``iou`` compares squares with the diameters as sides, and gives a pick without a diameter
        that of the label.
    threshold : float, optional
        Lowest score that counts; default: all picks count. The curve always uses all picks.
    diameter : float, optional
        Particle diameter in pixels, replacing the diameters in both tables. Labels of the view ``ignore`` keep theirs
        if they have one, because a tube, say, is larger than the particle.
    bootstrap : int
        Number of replicates for the intervals; 0 for no intervals.
    seed : int
        Random seed of the bootstrap.

    Returns
    -------
    Evaluation

    Raises
    ------
    ArgumentError
        If an argument is out of range.
    CoordinateError
        If a table is not a table of picks, the labels lack diameters, only some picks have scores, or no micrograph of
        the picks is among the labelled ones.

    Notes
    -----
    Matching is one to one with as many pairs as possible; among these matchings it prefers picks with higher scores,
    then the smallest total distance (`cryokit.evaluate.matching`). Each pick is therefore true or false once and for
    all: the curve's counts at any threshold are those of a maximum matching of the picks above it.

    Examples
    --------
    >>> from cryokit.coordinates import table
    >>> labels = table("a", x=[100, 300], y=[100, 300], diameter=80)
    >>> picks = table("a", x=[104, 108, 600], y=[103, 100, 50], score=[0.8, 0.9, 0.3])
    >>> result = evaluate(picks, labels)
    >>> result.tp, result.fp, result.fn, result.f1
    (1, 2, 1, 0.4)
    >>> result.picks.outcome.tolist()
    ['false', 'true', 'false']
    """
    check_number("bootstrap", bootstrap, 0, whole=True)
    check_number("seed", seed, 0, whole=True)
    tolerance = check_matching(tolerance, criterion, diameter)
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
    labels = without_repeats(labels)
    scored = check_scores(picks)
    if threshold is not None and not scored:
        raise CoordinateError("the picks have no scores, so no threshold can be applied; leave the threshold out")
    if not scored:
        picks["score"] = 1.0
    if criterion == "iou":
        _warn_of_sizes(picks["diameter"].median(), labels["diameter"].median(), tolerance)

    matched, matched_labels = _match(picks, labels, tolerance, criterion)
    counted = matched[matched["outcome"] != "ignored"]
    if threshold is not None:
        chosen = picks[picks["score"] >= threshold].reset_index(drop=True)
        matched, matched_labels = _match(chosen, labels, tolerance, criterion)
    score, true = counted["score"].to_numpy(), (counted["outcome"] == "true").to_numpy()
    curve = metrics.curve(score, true, int((labels["view"] != IGNORE).sum()))
    best = curve.iloc[curve["f1"].argmax()] if len(curve) else {"f1": 0.0, "threshold": math.nan}
    per_micrograph = _per_micrograph(matched, matched_labels, names)
    tp, fp, fn = (int(per_micrograph[name].sum()) for name in _COUNTS)
    true_picks = matched[matched["outcome"] == "true"]
    found = labels.iloc[true_picks["label"]]
    offsets = true_picks[["x", "y"]].to_numpy() - found[["x", "y"]].to_numpy()
    return Evaluation(
        criterion=criterion,
        tolerance=tolerance,
        threshold=None if threshold is None else float(threshold),
        tp=tp,
        fp=fp,
        fn=fn,
        ignored=int(per_micrograph["ignored"].sum()),
        **{name: float(value) for name, value in metrics.rates(tp, fp, fn).items()},
        false_positive_rate=float(metrics.ratio(fp, tp + fp)),
        false_negative_rate=float(metrics.ratio(fn, tp + fn)),
        centre_error=float(matched["distance"].mean()),
        localisation=localise(offsets, true_picks["micrograph"].to_numpy(str), found["diameter"].to_numpy()),
        average_precision=metrics.average_precision(curve),
        recall_ceiling=float(curve["recall"].iloc[-1]) if len(curve) else 0.0,
        best_f1=float(best["f1"]),
        best_threshold=float(best["threshold"]),
        scored=scored,
        curve=curve,
        per_micrograph=per_micrograph,
        per_view=_per_view(matched, matched_labels),
        intervals=metrics.bootstrap(
            per_micrograph[_COUNTS].to_numpy(),
            score,
            true,
            pd.Index(names).get_indexer(counted["micrograph"]),
            replicates=bootstrap,
            seed=seed,
        ),
        picks=matched,
        labels=matched_labels,
        unlabelled=unlabelled,
    )


def by_view(picks: pd.DataFrame, labels: pd.DataFrame, **settings: Any) -> dict[str, Evaluation]:
    """Score the picks of each view separately, as figure 4 of Al-Azzawi et al. 2020 does.

    For one view the particles of all others count as ``ignore``: picks on them are neither true nor false. A pick that
    names a view is a pick of that view only; a pick that names none, of every view. The false picks of a picker that
    does not tell views apart are therefore false for each view.

    Parameters
    ----------
    picks, labels : pandas.DataFrame
        As for `evaluate`.
    **settings
        Arguments of `evaluate`. Without `micrographs`, all that the labels name are scored for every view.

    Returns
    -------
    dict of str to Evaluation
        Evaluation of each view that the labels name, in alphabetical order.

    Examples
    --------
    >>> from cryokit.coordinates import table
    >>> labels = table("a", [100, 300, 500], [100, 100, 100], diameter=80, view=["top", "top", "side"])
    >>> views = by_view(table("a", [100, 500, 700], [100, 100, 100], 0.9), labels, bootstrap=0)
    >>> [(view, result.tp, result.fp, result.fn) for view, result in views.items()]
    [('side', 1, 1, 0), ('top', 1, 1, 1)]
    """
    picks, labels = validate(picks), validate(labels, "the labels")
    if settings.get("micrographs") is None:
        settings = {**settings, "micrographs": list(dict.fromkeys(labels["micrograph"]))}
    label_view, pick_view = labels["view"], picks["view"]
    return {
        view: evaluate(
            picks[(pick_view == view) | (pick_view == "")],
            labels.assign(view=label_view.where(label_view == view, IGNORE)),
            **settings,
        )
        for view in sorted(set(label_view) - {IGNORE, ""})
    }


def sweep(
    picks: pd.DataFrame,
    labels: pd.DataFrame,
    tolerances: Sequence[float] = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5),
    **settings: Any,
) -> pd.DataFrame:
    """Score the same picks at several tolerances, to see how much a result depends on the choice.

    Parameters
    ----------
    picks, labels : pandas.DataFrame
        As for `evaluate`.
    tolerances : sequence of float
        Fractions of the diameter, or values of IoU with ``criterion="iou"``.
    **settings
        Arguments of `evaluate`.

    Returns
    -------
    pandas.DataFrame
        One row per tolerance: `tolerance`, `tp`, `fp`, `fn`, `precision`, `recall`, `f1`, `average_precision`,
        `recall_ceiling`, `best_f1`, `centre_error`.
    """
    settings = {"bootstrap": 0, **settings}
    results = [evaluate(picks, labels, tolerance=tolerance, **settings) for tolerance in tolerances]
    columns = ["tolerance", *_COUNTS, *_RATES]
    return pd.DataFrame({name: [getattr(result, name) for result in results] for name in columns})


def check_matching(tolerance: float | None, criterion: str, diameter: float | None = None) -> float:
    """Check the settings of the matching, and return the tolerance to use.

    Raises
    ------
    ArgumentError
        If the criterion is unknown, or the tolerance or the diameter is out of range.
    """
    check_choice("criterion", criterion, matching.TOLERANCES)
    tolerance = matching.TOLERANCES[criterion] if tolerance is None else tolerance
    check_number("tolerance", tolerance, 0, 1 if criterion == "iou" else math.inf, above=True)
    if diameter is not None:
        check_number("diameter", diameter, 0, above=True)
    return float(tolerance)


def check_diameters(labels: pd.DataFrame) -> None:
    """Check that every label has a positive diameter.

    Raises
    ------
    CoordinateError
        If one has not.
    """
    bad = labels[~(labels["diameter"] > 0) | np.isinf(labels["diameter"])]
    if len(bad):
        first = bad.iloc[0]
        raise CoordinateError(
            f"{len(bad)} of {plural(len(labels), 'label')} without a usable diameter (first: {first['micrograph']} at "
            f"x {first['x']:g}, y {first['y']:g}, diameter {first['diameter']:g}); give the particle's diameter in "
            "pixels (diameter=, --diameter)"
        )


def _micrographs(
    picks: pd.DataFrame, labels: pd.DataFrame, micrographs: Iterable[str] | None
) -> tuple[list[str], tuple[str, ...]]:
    """Return the names of the micrographs to score, and those that have picks but are not among them."""
    if isinstance(micrographs, str):
        micrographs = [micrographs]
    wanted = sorted(labels["micrograph"].unique()) if micrographs is None else micrographs
    names = list(dict.fromkeys(map(str, wanted)))
    if not names:
        raise CoordinateError("nothing to score: the labels name no micrograph, and no micrographs were given")
    picked = list(picks["micrograph"].unique())
    unlabelled = tuple(name for name in picked if name not in set(names))
    # A picker may find nothing on the scored micrographs; names that match no label at all are a mistake.
    if picked and not set(picked) & {*names, *labels["micrograph"]}:
        raise CoordinateError(
            f"no micrograph of the picks ({some(picked)}) has the name of a labelled one ({some(names)}); names are "
            "compared whole: rename the files, or strip what was added to their names (--strip, --strip-prefix; "
            "endings=, prefixes=)"
        )
    if unlabelled:
        level = logging.WARNING if micrographs is None else logging.INFO
        count = plural(len(unlabelled), "unscored micrograph")
        logger.log(level, "picks on %s do not count: %s", count, some(unlabelled))
    return names, unlabelled


def _warn_of_sizes(pick: float, label: float, tolerance: float) -> None:
    """Warn if boxes of these sizes cannot match even when concentric (NaN never warns)."""
    if (min(pick, label) / max(pick, label)) ** 2 < tolerance:
        message = "boxes of %g px (picks) and %g px (labels) cannot reach an IoU of %g; give one diameter for both"
        logger.warning(f"{message} (diameter=, --diameter)", pick, label, tolerance)


def check_scores(picks: pd.DataFrame) -> bool:
    """Return whether the picks have scores.

    Raises
    ------
    CoordinateError
        If only some of them have.
    """
    without = picks["score"].isna()
    if without.any() and not without.all():
        first = picks[without].iloc[0]
        raise CoordinateError(
            f"{without.sum()} of {len(picks)} picks have no score (first: {first['micrograph']} at x {first['x']:g}, "
            f"y {first['y']:g}): give all a score, or set the column score to NaN for all"
        )
    return not without.any()


def _match(
    picks: pd.DataFrame, labels: pd.DataFrame, tolerance: float, criterion: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Match micrograph by micrograph; return both tables with the outcome of each row."""
    pick_xy, label_xy = picks[["x", "y"]].to_numpy(), labels[["x", "y"]].to_numpy()
    diameters, pick_diameters = labels["diameter"].to_numpy(), picks["diameter"].to_numpy()
    rank = np.unique(picks["score"].to_numpy(), return_inverse=True)[1]
    label_of = np.full(len(picks), -1, np.intp)
    distance = np.full(len(picks), np.nan)
    on_ignore = np.zeros(len(picks), bool)
    ignore = (labels["view"] == IGNORE).to_numpy()
    label_rows = labels.groupby("micrograph", sort=False).indices
    for name, rows in picks.groupby("micrograph", sort=False).indices.items():
        if name not in label_rows:
            continue
        ignored = label_rows[name][ignore[label_rows[name]]]
        particles = label_rows[name][~ignore[label_rows[name]]]
        on_ignore[rows] = matching.near_any(pick_xy[rows], label_xy[ignored], diameters[ignored] / 2)
        candidates = matching.candidates(
            pick_xy[rows],
            label_xy[particles],
            diameters[particles],
            tolerance=tolerance,
            criterion=criterion,
            pick_diameters=pick_diameters[rows],
        )
        # Of picks with equal scores, one on an ignore label steps back: unmatched, it does no harm.
        pairs = matching.match(candidates, 2 * rank[rows] + ~on_ignore[rows])
        label_of[rows[pairs.pick]] = particles[pairs.label]
        distance[rows[pairs.pick]] = pairs.distance
    matched = label_of >= 0
    outcome = np.where(matched, "true", np.where(on_ignore, "ignored", "false")).astype(object)
    label_outcome = np.where(ignore, "ignore", "missed").astype(object)
    label_outcome[label_of[matched]] = "found"
    return picks.assign(outcome=outcome, label=label_of, distance=distance), labels.assign(outcome=label_outcome)


def _per_micrograph(picks: pd.DataFrame, labels: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    rows = pd.concat([picks, labels])
    counts = pd.crosstab(rows["micrograph"], rows["outcome"])
    outcomes = ["true", "false", "missed", "ignored"]
    tp, fp, fn, ignored = counts.reindex(index=names, columns=outcomes, fill_value=0).to_numpy().T
    counts = {"particles": tp + fn, "picks": tp + fp + ignored, "tp": tp, "fp": fp, "fn": fn, "ignored": ignored}
    rates = {
        name: np.where((tp + fn if name == "recall" else tp + fp + fn) > 0, values, np.nan)
        for name, values in metrics.rates(tp, fp, fn).items()
    }
    error = picks.groupby("micrograph")["distance"].mean().reindex(names).to_numpy()
    return pd.DataFrame({"micrograph": pd.Series(names, dtype=object), **counts, **rates, "centre_error": error})


def _per_view(picks: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    particles = labels.loc[labels["outcome"] != "ignore", "view"]
    true, false = picks[picks["outcome"] == "true"], picks.loc[picks["outcome"] == "false", "view"]
    named = bool((picks["view"] != "").any())
    true_view = labels["view"].iloc[true["label"]].reset_index(drop=True)
    views = sorted(particles.unique())
    views += sorted(set(false) - set(views)) if named else []
    total, tp, fp = (column.value_counts().reindex(views, fill_value=0) for column in (particles, true_view, false))
    agreement = (true_view == true["view"].reset_index(drop=True)).groupby(true_view).mean().reindex(views)
    table = pd.DataFrame({"particles": total, "tp": tp, "fn": total - tp, "recall": tp / total, "fp": fp})
    table = table.assign(precision=metrics.ratio(tp, tp + fp), agreement=agreement)
    if not named:
        table[["fp", "precision", "agreement"]] = math.nan
    return table.rename_axis("view").reset_index()
