"""What a result says, in sentences: who is first, who might as well be, and where a method loses.

Wins and losses are told by the same rules. Two methods count as distinguishable when the paired test over micrographs
gives a p below 0.05 and the bootstrap interval of the difference leaves out 0 (`cryokit.benchmark.paired`).
"""

from __future__ import annotations

import pandas as pd

from cryokit.benchmark import paired, reported, summary
from cryokit.benchmark.summary import Result

DEFAULT = "auto"  # the package's own default method
PROGRAMS = ("topaz", "cryolo", "apple")
# What the paper compares DeepCryoPicker with, and finds all of them behind it (its table 7).
COMPARED = ("deepem", "deeppicker", "pixer", "relion_template")
KINDS = {False: "Without labels", True: "With labels"}


def dataset(result: Result, name: str) -> list[str]:
    """Return what is to be said about a dataset that is no point of a sweep.

    Returns
    -------
    list of str
        Sentences, methods in italics of Markdown: the first of the methods without labels and of those with labels, and
        who is not distinguishable from it (with very few micrographs: who is inside its interval); how `auto` stands;
        the paper's claim on KLH; what has no scores.
    """
    said = [_first(result, name, labels) for labels in (False, True)]
    said.insert(0, few(len(result["datasets"][name]["micrographs"]["test"])))
    said += [_default(result, name), _programs(result, name), _claim(result, name), _missing(result, name)]
    return [sentence for sentence in said if sentence]


def sweep(result: Result) -> list[str]:
    """Return who is first at how many points of every sweep, a sentence each."""
    table = summary.sweep(result)
    table = table[table["seeds"] > 0]
    said = []
    for (axis, protein), part in table.groupby(["axis", "protein"], sort=False):
        values = part["value"].drop_duplicates()
        for labels, kind in KINDS.items():
            group = part[part["labels"] == labels].sort_values("f1", ascending=False, kind="stable")
            wins = group.drop_duplicates("value")["title"].value_counts()
            if len(wins):
                told = ", ".join(f"*{title}* at {number}" for title, number in wins.items())
                said.append(f"{kind}, {axis} of {protein}: of {len(values)} points the first is {told}.")
    return said


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


def _first(result: Result, name: str, labels: bool) -> str:
    table = summary.standing(result, name, labels=labels)
    if not len(table):
        return ""
    first, rest = table.iloc[0], table.iloc[1:]
    said = f"{KINDS[labels]}: *{first['title']}* is first with an F1 of {first['f1']:.3f}{_interval(first)}"
    if not len(rest):
        return f"{said}; there is no other method to compare it with."
    if few(len(result["datasets"][name]["micrographs"]["test"])):
        # The test cannot say anything; the interval, too narrow as it is, still says something.
        level = rest[rest["f1"] >= first["f1_low"]]
        near = ", ".join(f"*{row.title}* ({row.f1:.3f})" for row in level.itertuples())
        near = (
            f"inside its interval: {near}"
            if near
            else f"the next is *{rest['title'].iloc[0]}* ({rest['f1'].iloc[0]:.3f})"
        )
        return f"{said}; {near}."
    level = rest[~rest["distinguishable"]]
    if len(level):
        told = ", ".join(f"*{row.title}* ({row.f1:.3f}, {probability(row.p)})" for row in level.itertuples())
        return f"{said}; not distinguishable from it: {told}."
    behind = rest.iloc[0]
    return (
        f"{said}; every other one is distinguishable from it, the next is *{behind['title']}* ({behind['f1']:.3f}, "
        f"{probability(behind['p'])})."
    )


def _default(result: Result, name: str) -> str:
    table = summary.standing(result, name, labels=False)
    if DEFAULT not in set(table["method"]):
        return ""
    place = table["method"].tolist().index(DEFAULT)
    said = []
    if place:
        first, own = table.iloc[0], table.iloc[place]
        where = "inside" if own["f1"] >= first["f1_low"] else "outside"
        interval = "" if pd.isna(first["f1_low"]) else f", {where} its interval"
        said.append(
            f"*{own['title']}* is number {place + 1} of {len(table)} without labels: "
            f"{_pair(summary.against(result, name, DEFAULT), first['method'])}{interval}"
        )
    against = summary.against(result, name, DEFAULT)
    learned = against[against["labels"]]
    if len(learned):
        said.append(f"{'It' if place else f'*{summary.title(result, DEFAULT)}*'} is, against the best with labels, "
                    f"{_pair(against, learned['method'].iloc[0])}")  # fmt: skip
    return ". ".join(said) + "." if said else ""


def _programs(result: Result, name: str) -> str:
    """Compare the default method with the programs of others."""
    against = summary.against(result, name, DEFAULT) if DEFAULT in result["methods"] else None
    if against is None or not len(against):
        return ""
    others = [method for method in against["method"] if result["methods"][method].get("picker") in (*PROGRAMS, None)]
    told = "; ".join(_pair(against, method) for method in others)
    return f"*{summary.title(result, DEFAULT)}* and other programs: {told}." if told else ""


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


def _pair(against: pd.DataFrame, method: str) -> str:
    """Say how the method that `against` is about stands to another one."""
    row = against[against["method"] == method].iloc[0]
    words = "level with" if abs(row["difference"]) < 0.0005 else "ahead of" if row["difference"] > 0 else "behind"
    by = "" if words == "level with" else f" by {abs(row['difference']):.3f}"
    sure = "" if row["distinguishable"] else ", not distinguishable"
    return f"{words} *{row['title']}*{by} ({probability(row['p'])}{sure})"


def _interval(row: pd.Series) -> str:
    if pd.isna(row["f1_low"]):
        return ""
    return f" (95 % interval {row['f1_low']:.3f} to {row['f1_high']:.3f})"
