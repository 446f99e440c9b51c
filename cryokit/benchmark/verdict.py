"""What a result says, in sentences: who is first, who might as well be, and where a method loses.

Wins and losses are told by the same rules. Two methods count as distinguishable when the paired test over micrographs
gives a p below 0.05 and the bootstrap interval of the difference leaves out 0 (`cryokit.evaluate.paired`).
"""

from __future__ import annotations

import pandas as pd

from cryokit._util.wording import plural
from cryokit.benchmark import reported, summary
from cryokit.benchmark.methods import PROGRAMS
from cryokit.benchmark.summary import Result
from cryokit.evaluate import paired

DEFAULT = "auto"  # the package's own default method
OWN = (DEFAULT, "auto_labels")
# What the paper compares DeepCryoPicker with, and finds all of them behind it (its table 7).
COMPARED = ("deepem", "deeppicker", "pixer", "relion_template")
KINDS = {False: "Without labels", True: "With labels"}


def run(result: Result) -> list[str]:
    """Return what is to be known about a whole result before its numbers are read: sentences in Markdown."""
    said = []
    if lacking := summary.not_run(result):
        said.append(f"**Not run**: {'; '.join(lacking)}.")
    if (result.get("config") or {}).get("give_diameter") is False:
        said.append("No method was told the particle's diameter.")
    if len({cell["seed"] for cell in result["cells"]}) == 1:
        said.append("One training of each method: the spread between trainings is not in the intervals.")
    return said


def dataset(result: Result, name: str) -> list[str]:
    """Return what is to be said about a dataset that is no point of a sweep.

    Returns
    -------
    list of str
        Sentences, methods in italics of Markdown (`plain` takes them out): what the test can tell at all; the first of
        the methods without labels and of those with labels, and who is not distinguishable from it (with very few
        micrographs: who is inside its interval); how picks as given stand, and `auto`; the paper's claim on KLH; what
        has no scores.
    """
    said = [_test(result, name)]
    said += [_first(result, name, labels) for labels in KINDS]
    said += [_given(result, name, method) for method in result["methods"] if summary.given(result, method)]
    said += [_default(result, name), *(_programs(result, name, own) for own in OWN)]
    said += [_claim(result, name), _missing(result, name), _in_part(result, name)]
    return [sentence for sentence in said if sentence]


def sweep(result: Result) -> list[str]:
    """Return who is first at how many points of every sweep, a sentence each."""
    table = summary.sweep(result)
    said = []
    for (axis, protein), part in table.groupby(["axis", "protein"], sort=False):
        points = part["value"].nunique()
        for labels, kind in KINDS.items():
            group = part[(part["labels"] == labels) & (part["seeds"] > 0)]
            tops = group.groupby("value")["f1"].transform("max")
            # Where no method finds anything nobody is first.
            firsts = group[(group["f1"] >= tops - summary.TIE) & (tops > 0)]
            if not len(firsts):
                continue
            told = ", ".join(f"*{title}* at {number}" for title, number in firsts["title"].value_counts().items())
            shared = int((firsts["value"].value_counts() > 1).sum())
            ties = f" ({shared} shared)" if shared else ""
            number = plural(group["method"].nunique(), "method")
            said.append(f"{kind}, {axis} of {protein}: of {points} points and {number} the first is {told}{ties}.")
            failed = part[(part["labels"] == labels) & (part["seeds"] == 0)]["title"].value_counts()
            if len(failed):
                lost = ", ".join(f"*{title}* at {number}" for title, number in failed.items())
                said.append(f"{kind}, {axis} of {protein}: no scores of {lost}.")
    return said


def plain(sentence: str) -> str:
    """Return a sentence without the marks of Markdown, for the command line.

    Examples
    --------
    >>> plain("*auto* is first.")
    'auto is first.'
    """
    return sentence.replace("*", "")


def few(micrographs: int) -> str:
    """Return what so few micrographs cannot show; an empty string where they are enough for the test.

    Examples
    --------
    >>> few(3)
    'With 3 micrographs no two methods can be told apart: the least p of the test is 0.25.'
    >>> few(20)
    ''
    """
    if micrographs == 1:
        return "With a single micrograph there is no interval and no test: no two methods can be told apart."
    if paired.least_p(micrographs) < paired.LEVEL:
        return ""
    least = f"{paired.least_p(micrographs):.2g}"
    return f"With {micrographs} micrographs no two methods can be told apart: the least p of the test is {least}."


def probability(p: float) -> str:
    """Return a p as it is written.

    Examples
    --------
    >>> probability(0.25), probability(0.0312), probability(0.0001)
    ('p = 0.25', 'p = 0.031', 'p < 0.001')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def _test(result: Result, name: str) -> str:
    """Say what the test cannot show on so few micrographs, and that it is made many times."""
    scored = summary.scores(result, name).query("seeds > 0")
    micrographs = len(result["datasets"][name]["micrographs"]["test"])
    if len(scored) < 2 or few(micrographs):
        return few(micrographs)
    least = paired.least_p(micrographs)
    # Worth a word where it is near to what so many comparisons would find by chance.
    words = (
        f"{micrographs} micrographs cannot give a p below {least:.2g}, and it" if least > 0.001 else "The p of a pair"
    )
    return f"{words} is not corrected for the {plural(len(scored) - 1, 'comparison')} of each method."


def _first(result: Result, name: str, labels: bool) -> str:
    table = summary.standing(result, name, labels=labels)
    if not len(table):
        return ""
    level = table["f1"] >= table["f1"].iloc[0] - summary.TIE
    firsts, rest, first = table[level], table[~level], table.iloc[0]
    said = f"{KINDS[labels]}: {_names(firsts['title'])}"
    if len(firsts) > 1:
        said += f" share the first place with an F1 of {first['f1']:.3f}"
        it, its = f"*{first['title']}*", f"the interval of *{first['title']}*"
    else:
        said += f" is first with an F1 of {first['f1']:.3f}{_interval(first)}"
        it, its = "it", "its interval"
    if len(rest):
        said += (
            f"; {_behind(rest, first, it, its, tested=not few(len(result['datasets'][name]['micrographs']['test'])))}"
        )
    elif len(firsts) == 1:
        said += "; there is no other method to compare it with"
    # F1 has seen the labels of the validation micrographs, the methods' own thresholds have not.
    own = pd.DataFrame() if labels or not _validated(result, name) else table.dropna(subset=["own_f1"])
    if len(own) > 1:
        best = own["own_f1"].max()
        titles = _names(own.loc[own["own_f1"] >= best - summary.TIE, "title"])
        said += f". Without the labels of the validation micrographs the best is {titles} with {best:.3f}"
    return f"{said}."


def _behind(rest: pd.DataFrame, first: pd.Series, it: str, its: str, *, tested: bool) -> str:
    """Say who might as well be first, or who is next."""
    following = f"the next is *{rest['title'].iloc[0]}* ({rest['f1'].iloc[0]:.3f}"
    if not tested:
        # The test cannot say anything; the interval, too narrow as it is, still says something.
        near = rest[rest["f1"] >= first["f1_low"]]
        told = ", ".join(f"*{row.title}* ({row.f1:.3f})" for row in near.itertuples())
        return f"inside {its}: {told}" if told else f"{following})"
    near = rest[~rest["distinguishable"]]
    told = ", ".join(f"*{row.title}* ({row.f1:.3f}, {probability(row.p)})" for row in near.itertuples())
    if told:
        return f"not distinguishable from {it}: {told}"
    return f"every other one is distinguishable from {it}, {following}, {probability(rest['p'].iloc[0])})"


def _validated(result: Result, name: str) -> bool:
    return bool(result["datasets"][name]["micrographs"]["validation"])


def _default(result: Result, name: str) -> str:
    table = summary.standing(result, name, labels=False)
    if DEFAULT not in set(table["method"]):
        return ""
    own = table[table["method"] == DEFAULT].iloc[0]
    place = 1 + int((table["f1"] > own["f1"] + summary.TIE).sum())
    against = summary.against(result, name, DEFAULT)
    said = []
    if place > 1:
        first = table.iloc[0]
        where = "inside" if own["f1"] >= first["f1_low"] else "outside"
        interval = "" if pd.isna(first["f1_low"]) else f", {where} its interval"
        threshold = f" ({own['own_f1']:.3f} at its own threshold)" if _validated(result, name) else ""
        said.append(
            f"*{own['title']}* is number {place} of {len(table)} without labels{threshold}: "
            f"{_pair(against, first['method'])}{interval}"
        )
    learned = against[against["labels"].eq(True)]
    if len(learned):
        said.append(f"{'It' if said else f'*{summary.title(result, DEFAULT)}*'} is, against the best with labels, "
                    f"{_pair(against, learned['method'].iloc[0])}")  # fmt: skip
    return ". ".join(said) + "." if said else ""


def _given(result: Result, name: str, method: str) -> str:
    """Say how picks that somebody else has made stand, and what is to be minded about them."""
    against = summary.against(result, name, method)
    own = summary.scores(result, name).query("method == @method and seeds > 0")
    if not len(own):
        return ""
    row = own.iloc[0]
    firsts = [against[against["labels"].eq(labels)]["method"].head(1) for labels in KINDS]
    told = [f"F1 {row['f1']:.3f}{_interval(row)}"]
    told += [_pair(against, first.iloc[0]) for first in firsts if len(first)]
    minded = [word for cell in summary.finished(result, name, method) for word in cell.get("decisions") or ()]
    return f"*{row['title']}* (picks as given): {'; '.join([*told, *minded])}."


def _programs(result: Result, name: str, own: str) -> str:
    """Compare a method of the package with the programs of others that were given at least as many labels."""
    against = summary.against(result, name, own) if own in result["methods"] else pd.DataFrame()
    if not len(against):
        return ""
    programs = against[[result["methods"][method].get("picker") in PROGRAMS for method in against["method"]]]
    fair = programs[programs["labels"] >= summary.learns(result, own)]
    told = "; ".join(_pair(against, method) for method in fair["method"])
    return f"*{summary.title(result, own)}* and other programs: {told}." if told else ""


def _claim(result: Result, name: str) -> str:
    """Say whether DeepCryoPicker is ahead of what the paper has it ahead of."""
    if reported.protein(result["datasets"][name]["protein"]) != "klh":
        return ""
    own = next(
        (key for key, method in result["methods"].items() if reported.compared(method) == "deepcryopicker"), None
    )
    against = summary.against(result, name, own) if own else None
    if against is None or not len(against):
        return ""
    rivals = [key for key in against["method"] if reported.compared(result["methods"][key]) in COMPARED]
    told = "; ".join(_pair(against, method) for method in rivals)
    said = f"The paper has DeepCryoPicker ahead of its competitors on KLH. Here *{summary.title(result, own)}* is"
    return f"{said} {told}." if told else ""


def _missing(result: Result, name: str) -> str:
    table = summary.scores(result, name)
    if not len(table):
        return "No method was run on it."
    told = [f"*{row.title}* ({row.status})" for row in table[table["seeds"] == 0].itertuples()]
    return f"No scores: {', '.join(told)}." if told else ""


def _in_part(result: Result, name: str) -> str:
    table = summary.scores(result, name)
    part = table[(table["seeds"] > 0) & (table["status"] != summary.DONE)]
    told = ", ".join(f"*{row.title}* ({row.status})" for row in part.itertuples())
    return f"Scores of some seeds only, those that came to their end: {told}." if told else ""


def _names(titles: pd.Series) -> str:
    *some, last = [f"*{title}*" for title in titles]
    return f"{', '.join(some)} and {last}" if some else last


def _pair(against: pd.DataFrame, method: str) -> str:
    """Say how the method that `against` is about stands to another one; with p, where the test can show anything."""
    row = against[against["method"] == method].iloc[0]
    words = "ahead of" if row["difference"] > 0 else "behind"
    level = abs(row["difference"]) < summary.TIE
    said = f"level with *{row['title']}*" if level else f"{words} *{row['title']}* by {abs(row['difference']):.3f}"
    sure = "" if row["distinguishable"] else ", not distinguishable"
    return said if few(row["micrographs"]) else f"{said} ({probability(row['p'])}{sure})"


def _interval(row: pd.Series) -> str:
    if pd.isna(row["f1_low"]):
        return ""
    return f" (95 % interval {row['f1_low']:.3f} to {row['f1_high']:.3f})"
