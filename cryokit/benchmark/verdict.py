"""The verdict on a result, in sentences: which method is first, which are as good, and where a method loses.

The same rules apply to wins and losses. Two methods count as distinguishable if the paired test over micrographs gives
a p below 0.05, corrected for all pairs of methods on the dataset, and the bootstrap interval of their difference
excludes 0 (`cryokit.evaluate.paired`). Where so few micrographs cannot distinguish any two of so many methods, nothing
is said about it: differences then stand with their intervals alone. Methods are set in italics of Markdown.
"""

from typing import Any

import pandas as pd

from cryokit._util.wording import plural
from cryokit.benchmark import reported, summary
from cryokit.benchmark.methods import PROGRAMS
from cryokit.benchmark.result_file import DONE
from cryokit.benchmark.summary import Result
from cryokit.evaluate import paired

DEFAULT = "auto"  # the package's own default method
# Methods that the paper compares DeepCryoPicker with, and finds behind it (its table 7).
COMPARED = ("deepem", "deeppicker", "pixer", "relion_template")
KINDS = {False: "Without labels", True: "With labels"}
LISTED = 4  # methods in a list of those that are not distinguishable


def run(result: Result) -> list[str]:
    """Return what to know about a whole result before reading its numbers."""
    sentences = []
    if missing := summary.not_run(result):
        sentences.append(f"**Not run**: {'; '.join(missing)}.")
    if result["config"].get("give_diameter") is False:
        sentences.append("No method was given the particle's diameter.")
    sentences.append(seeds(result))
    return sentences


def seeds(result: Result) -> str:
    """Say what the intervals cover: micrographs, and seeds if there are several, and which of them matters more."""
    if len({cell["seed"] for cell in result["cells"]}) == 1:
        return "One training of each method: the intervals do not include the spread between trainings."
    parts = [summary.scored(result, name)[["by_micrographs", "by_seeds"]] for name in summary.dataset_names(result)]
    parts = pd.concat([part for part in parts if len(part)]).dropna() if any(map(len, parts)) else pd.DataFrame()
    covered = "Intervals cover other micrographs of the same kind, and other seeds of methods that draw random numbers"
    if not len(parts):
        return f"{covered}."
    by_seeds = (parts["by_seeds"] ** 2).sum() / (parts**2).sum().sum() if parts.to_numpy().any() else 0.0
    due = f"{100 * by_seeds:.0f} % of the variance of F1 is due to seeds, the rest to micrographs"
    return f"{covered}; for these, {due}."


def dataset(result: Result, name: str) -> list[str]:
    """Return the sentences on a dataset that is no point of a sweep.

    Returns
    -------
    list of str
        What the test can show; the first of the methods without labels and of those with labels, and which are not
        distinguishable from it (with very few micrographs: which are inside its interval); picks as given; `auto`, and
        its comparison with other programs; the paper's claim on KLH; shifted picks; missing scores.
    """
    table = summary.scores(result, name)
    sentences = [
        _test(result, name),
        *(_first(result, name, labels) for labels in KINDS),
        *(_given(result, name, method) for method in result["methods"] if summary.given(result, method)),
        _default(result, name),
        *(_programs(result, name, method) for method in (DEFAULT, "auto_labels")),
        _claim(result, name),
        _shifted(table),
        *_missing(table),
    ]
    return [sentence for sentence in sentences if sentence]


def sweep(result: Result) -> list[str]:
    """Return which methods are first at how many points of every sweep, one sentence each."""
    sentences = []
    for (axis, protein), part in summary.sweep(result).groupby(["axis", "protein"], sort=False):
        for labels, kind in KINDS.items():
            group = part[part["labels"] == labels]
            about = f"{kind}, {axis} of {protein}"
            scored = group[group["seeds"] > 0]
            tops = scored.groupby("value")["f1"].transform("max")
            # If no method finds anything, none is first.
            firsts = scored[(scored["f1"] >= tops - summary.TIE) & (tops > 0)]
            if not len(firsts):
                continue
            shared = int((firsts["value"].value_counts() > 1).sum())
            sentences.append(
                f"{about}: of {part['value'].nunique()} points and {plural(scored['method'].nunique(), 'method')}, the "
                f"first is {_listed(firsts['title'])}{f' ({shared} shared)' if shared else ''}."
            )
            failed = group.loc[group["seeds"] == 0, "title"]
            if len(failed):
                sentences.append(f"{about}: no scores of {_listed(failed)}.")
    return sentences


def few(micrographs: int, comparisons: int = 1) -> str:
    """Return what a number of micrographs is too small for; an empty string if it is large enough for the test.

    Examples
    --------
    >>> few(3)
    'With 3 micrographs p is at least 0.25: too few to distinguish any two methods, so differences stand alone.'
    >>> few(20)
    ''
    """
    if micrographs == 1:
        return "A single micrograph gives no interval and no test: too few to distinguish any two methods."
    least = paired.least_p(micrographs, comparisons)
    if least < paired.LEVEL:
        return ""
    among = f" and {comparisons} comparisons" if comparisons > 1 else ""
    return (
        f"With {micrographs} micrographs{among} p is at least {least:.2g}: too few to distinguish any two methods, so "
        "differences stand alone."
    )


def probability(p: float) -> str:
    """Return a p as it is written.

    Examples
    --------
    >>> probability(0.25), probability(0.0312), probability(0.0001)
    ('p = 0.25', 'p = 0.031', 'p < 0.001')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def _test(result: Result, name: str) -> str:
    """Say that the test can show nothing with so few micrographs, if so."""
    number = len(summary.scored(result, name))
    return few(len(result["datasets"][name]["micrographs"]["test"]), max(1, number * (number - 1) // 2))


def _first(result: Result, name: str, labels: bool) -> str:
    table = summary.standing(result, name, labels=labels)
    if not len(table):
        return ""
    tied = table["f1"] >= table["f1"].iloc[0] - summary.TIE
    firsts, rest, first = table[tied], table[~tied], table.iloc[0]
    if len(firsts) > 1:
        sentence = f"{_joined(firsts['title'])} share the first place with an F1 of {first['f1']:.3f}"
        name_of_first = f"*{first['title']}*"
    else:
        sentence = f"*{first['title']}* is first with an F1 of {first['f1']:.3f}{_interval(first)}"
        name_of_first = "it"
    if len(rest):
        sentence += f"; {_tested(rest, name_of_first)}"
    elif len(firsts) == 1:
        sentence += "; there is no other method to compare it with"
    # F1 has seen the labels of the validation micrographs, the methods' own thresholds have not.
    own = table.dropna(subset=["own_f1"])
    if not labels and _validated(result, name) and len(own) > 1:
        best = own["own_f1"].max()
        titles = _joined(own.loc[own["own_f1"] >= best - summary.TIE, "title"])
        sentence += f". Without the labels of the validation micrographs the best is {titles} with {best:.3f}"
    return f"{KINDS[labels]}: {sentence}."


def _tested(rest: pd.DataFrame, first: str) -> str:
    """Say which methods are not distinguishable from the first, and which is the first that is."""
    phrases = []
    near = rest[~rest["distinguishable"]] if rest["testable"].any() else rest.iloc[:0]
    if len(near):
        listed = ", ".join(f"*{row.title}* ({_behind(row)})" for row in near.head(LISTED).itertuples())
        more = f" and {len(near) - LISTED} more" if len(near) > LISTED else ""
        phrases.append(f"not distinguishable from {first}: {listed}{more}")
    far = rest.drop(near.index)
    if len(far):
        row = next(far.itertuples())
        among = "the next is" if not len(near) else "the first that is distinguishable is"
        phrases.append(f"{among} *{row.title}* ({_behind(row)})")
    return "; ".join(phrases)


def _behind(row: Any) -> str:
    """Return how far a method is behind the first: the effect, its interval, and p if the test can show anything."""
    low, high = row.interval
    words = [f"{row.f1:.3f}, behind by {row.difference:.3f}"]
    words += [] if pd.isna(low) else [f"{low:.3f} to {high:.3f}"]
    words += [probability(row.corrected)] if row.testable else []
    return ", ".join(words)


def _validated(result: Result, name: str) -> bool:
    return bool(result["datasets"][name]["micrographs"]["validation"])


def _default(result: Result, name: str) -> str:
    """Say where the default method stands among those without labels, and against the best with labels."""
    table = summary.standing(result, name, labels=False)
    if DEFAULT not in set(table["method"]):
        return ""
    own, first = table.set_index("method").loc[DEFAULT], table.iloc[0]
    rank = 1 + int((table["f1"] > own["f1"] + summary.TIE).sum())
    against = summary.against(result, name, DEFAULT)
    sentences = []
    if rank > 1:
        threshold = f" ({own['own_f1']:.3f} at its own threshold)" if _validated(result, name) else ""
        pair = _pair(against, first["method"])
        sentences.append(f"*{own['title']}* ranks {rank} of {len(table)} without labels{threshold}, {pair}.")
    with_labels = against.loc[against["labels"].eq(True), "method"]
    if len(with_labels):
        pair = _pair(against, with_labels.iloc[0])
        sentences.append(f"Compared with the best with labels, *{own['title']}* is {pair}.")
    return " ".join(sentences)


def _given(result: Result, name: str, method: str) -> str:
    """Say where picks as given stand, and what to mind about them."""
    scored = summary.scored(result, name).set_index("method")
    if method not in scored.index:
        return ""
    row = scored.loc[method]
    against = summary.against(result, name, method)
    best = [against.loc[against["labels"].eq(labels), "method"].head(1) for labels in KINDS]
    phrases = [f"F1 {row['f1']:.3f}{_interval(row)}"]
    phrases += [_pair(against, other) for others in best for other in others]
    phrases += [remark for cell in summary.finished(result, name, method) for remark in cell["decisions"]]
    return f"*{row['title']}* (picks as given): {'; '.join(phrases)}."


def _programs(result: Result, name: str, method: str) -> str:
    """Compare one of the package's methods with other programs that were given at least as many labels."""
    against = summary.against(result, name, method)
    pairs = [
        _pair(against, row.method)
        for row in against.itertuples()
        if result["methods"][row.method]["picker"] in PROGRAMS
        and not (summary.is_ranked(result, method, True) and summary.is_ranked(result, row.method, False))
    ]
    return f"*{summary.title(result, method)}* and other programs: {'; '.join(pairs)}." if pairs else ""


def _claim(result: Result, name: str) -> str:
    """Say whether DeepCryoPicker is ahead of the methods that the paper has it ahead of."""
    methods = {key: reported.compared(method) for key, method in result["methods"].items()}
    own = next((key for key, paper in methods.items() if paper == "deepcryopicker"), None)
    if own is None or reported.protein(result["datasets"][name]["protein"]) != "klh":
        return ""
    against = summary.against(result, name, own)
    pairs = "; ".join(_pair(against, key) for key in against["method"] if methods[key] in COMPARED)
    claim = "The paper has DeepCryoPicker ahead of its competitors on KLH"
    return f"{claim}; here *{summary.title(result, own)}* is {pairs}." if pairs else ""


def _shifted(table: pd.DataFrame) -> str:
    """Name the methods whose picks are shifted as a whole."""
    rows = table[table["shifted"]].itertuples()
    listed = ", ".join(
        f"*{row.title}* ({100 * row.dx_share:+.1f} % in x, {100 * row.dy_share:+.1f} % in y)" for row in rows
    )
    return f"Picks shifted significantly, by more than 1 % of the diameter: {listed}." if listed else ""


def _missing(table: pd.DataFrame) -> list[str]:
    """Name the methods without scores, or with scores of some seeds only."""
    if not len(table):
        return ["No method was run on it."]
    unfinished = table[table["status"] != DONE]
    listed = pd.Series([f"*{row.title}* ({row.status})" for row in unfinished.itertuples()], unfinished.index)
    missing = unfinished["seeds"].gt(0).map({False: "No scores", True: "Scores of some seeds only"})
    return [f"{what}: {', '.join(methods)}." for what, methods in listed.groupby(missing)]


def _pair(against: pd.DataFrame, method: str) -> str:
    """Say how the method that `against` is of compares with another one: the effect, its interval, and p."""
    row = against.set_index("method").loc[method]
    low, high = row["interval"]
    direction = "ahead of" if row["difference"] > 0 else "behind"
    if row["difference"] < 0:
        low, high = -high, -low
    phrase = f"{direction} *{row['title']}* by {abs(row['difference']):.3f}"
    if abs(row["difference"]) < summary.TIE:
        phrase = f"level with *{row['title']}*"
    words = [] if pd.isna(low) else [f"{low:.3f} to {high:.3f}"]
    if row["testable"]:
        words += [probability(row["corrected"])] + ([] if row["distinguishable"] else ["not distinguishable"])
    return f"{phrase} ({', '.join(words)})" if words else phrase


def _interval(row: pd.Series) -> str:
    if pd.isna(row["f1_low"]):
        return ""
    return f" (95 % interval {row['f1_low']:.3f} to {row['f1_high']:.3f})"


def _joined(titles: pd.Series) -> str:
    *most, last = [f"*{title}*" for title in titles]
    return f"{', '.join(most)} and {last}" if most else last


def _listed(titles: pd.Series) -> str:
    return ", ".join(f"*{title}* at {number}" for title, number in titles.value_counts().items())
