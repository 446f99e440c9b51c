"""A published comparison of pickers with five faults, drawn from a seed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# What a fault concerns -> how a paper would put it.
FAULTS = {
    "the threshold": "For each method we report the threshold with the highest F1 on the test micrographs.",
    "the split": "All particles of the 40 micrographs were pooled, and a random fifth of them was kept for the test.",
    "the effort": "Our method was tuned in a grid search; all other programs were run once with default settings.",
    "the number of micrographs": "All numbers are from one test micrograph, chosen because its particles stand out.",
    "the arithmetic": "On apoferritin, our method has a precision of 0.89 and a recall of 0.85, and so an F1 of 0.93.",
    "the matching": "Each label counts as found if a pick lies within half a diameter; all picks that close are true.",
    "the labels": "The labels of the test micrographs are the picks of our method, checked by eye and corrected.",
    "the selection": "Micrographs on which our method found fewer than ten particles were left out of the test set.",
}
# What is sound -> the fault that it would contradict, "" for none: no paper says both.
SOUND = {
    "Micrographs were split into training, validation and test sets before any method was run.": "the split",
    "A pick is true if it lies within a quarter of a diameter of a label; picks and labels are matched one to one.": (
        "the matching"
    ),
    "Thresholds were chosen for each method on the ten validation micrographs.": "the threshold",
    "Confidence intervals are from 1,000 bootstrap samples of whole micrographs.": "the number of micrographs",
    "Three people labelled the test micrographs independently; the labels are what two or more of them marked.": (
        "the labels"
    ),
    "Every method was given the same particle diameter.": "",
    "Broken particles and those at the border are labelled 'ignore'; picks on them count neither way.": "",
    "On KLH, our method has a precision of 0.80 and a recall of 0.90, and so an F1 of 0.85.": "",
    "Methods that were trained on labels are marked as such in the table.": "",
    "Running times include reading the micrographs, and are medians of five runs on one machine.": "",
    "The versions and settings of all programs are listed in the supplement.": "",
    "A method that stopped with an error on a micrograph counts as having found nothing there.": "",
}


class Statement(NamedTuple):
    """A statement of the paper, its letter, and what is wrong with it ("" if nothing is)."""

    letter: str
    text: str
    fault: str


def statements(seed: int, faults: int = 5, sound: int = 7) -> list[Statement]:
    """Draw the statements of a paper that compares pickers.

    Parameters
    ----------
    seed : int
        Random seed.
    faults, sound : int
        Number of statements with a fault, and of those without.

    Returns
    -------
    list of Statement
        In random order, lettered from A.
    """
    rng = np.random.default_rng(seed)
    kinds = list(FAULTS)
    wrong = [kinds[i] for i in rng.choice(len(kinds), faults, replace=False)]
    right = [text for text, contradicted in SOUND.items() if contradicted not in wrong]
    drawn = [(FAULTS[kind], kind) for kind in wrong]
    drawn += [(right[i], "") for i in rng.choice(len(right), sound, replace=False)]
    order = rng.permutation(len(drawn))
    return [Statement(chr(ord("A") + place), *drawn[i]) for place, i in enumerate(order)]
