# %% [markdown]
# # Exercises 06: the comparison
#
# These exercises belong to lesson 06, *The comparison: many pickers, one table*. Afterwards you can
#
# - match picks and labels one to one, with as many pairs as possible
# - choose a threshold on the right micrographs, and show what choosing it on the test does
# - find the faults in a published comparison
# - write a picker and enter it in the table
# - label a micrograph, and say how far people agree
#
# In each task, replace `raise NotImplementedError()` by your answer and run the cell, then the check below it. A check
# says what to look at if the answer is not right yet. Allow 75 minutes for 26 points; the picker takes a third of them.
#
# First write your name: your data are drawn from it and differ from everybody else's.

# %%
STUDENT = "Ada Lovelace"  # your name

# %% nbgrader={"grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown, display
from scipy.ndimage import gaussian_filter
from scipy.optimize import linear_sum_assignment
from scipy.signal import fftconvolve
from skimage.feature import peak_local_max
from skimage.filters import threshold_otsu

from cryokit import coordinates, evaluate, explore, pickers, plot
from cryokit.cli.exercises import check, drawn_pictures, drawn_tables, published_comparison, quiz
from cryokit.cli.exercises.entered import in_table
from cryokit.simulate import seed_from_name

seed = seed_from_name(STUDENT, "exercises 06")
print(f"Data drawn for {STUDENT}.")

# %% [markdown]
# ## Task 1: as many pairs as possible (3 points)
#
# A pick and a label may be paired if they are at most `tolerance` apart. Every pick is in one pair at most, and so is
# every label. In crowded places it matters who is paired with whom: if each pick grabs its nearest label, another pick
# that has no other choice goes without. A fair score counts the **largest possible number of pairs** (lesson 06, *What
# makes a comparison fair*).
#
# Return that number. `picks` and `labels` are arrays of shape (n, 2). `linear_sum_assignment(cost)` pairs rows and
# columns so that the sum of the costs is smallest: which costs make it count pairs?

# %% nbgrader={"grade": false, "grade_id": "crowd", "locked": true, "schema_version": 3, "solution": false, "task": false}
picks, labels = drawn_tables.crowd(seed)
plt.figure(figsize=(5, 3.6))
plt.plot(*labels.T, "o", markersize=9, markerfacecolor="none", color="0.3", label="labels")
plt.plot(*picks.T, "x", color="#0072B2", label="picks")
plt.legend(fontsize=10, loc="upper left", bbox_to_anchor=(1, 1))
plt.axis("equal")
plt.show()


# %% nbgrader={"grade": false, "grade_id": "pairs", "locked": false, "schema_version": 3, "solution": true, "task": false}
def count_pairs(picks, labels, tolerance):
    """Return the largest number of one-to-one pairs of picks and labels at most `tolerance` apart."""
    ### BEGIN SOLUTION
    distance = np.hypot(*(picks[:, None] - labels[None]).transpose(2, 0, 1))
    near = distance <= tolerance
    row, column = linear_sum_assignment(~near)
    return int(near[row, column].sum())
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "pairs-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["raises-exception"]
with check("Task 1"):
    two = np.array([[0.0, 0.0], [2.0, 0.0]])
    given = count_pairs(two, two[:1], 10)
    assert given != 2, "two picks near one label make one pair: a label may be used only once"
    assert given == 1, f"two picks near one label make one pair, not {given}"
    assert count_pairs(two, two + 50, 10) == 0, "what is further apart than the tolerance must not be paired"
    assert count_pairs(two[:1], np.array([[8.0, 8.0]]), 10) == 0, (
        "a pick and a label that differ by 8 in x and by 8 in y are 11.3 apart, too far for a tolerance of 10"
    )
    lonely = np.array([[0.0, 0.0], [2.0, 0.0], [40.0, 0.0]]), np.array([[1.0, 0.0], [39.0, 0.0], [41.0, 0.0]])
    assert count_pairs(*lonely, 10) == 2, (
        "two picks near one label, and one pick near two labels, make two pairs: who has a neighbour is not yet paired"
    )
    # Pick 1 lies on label 0, but can also have label 1; pick 0 has no other choice than label 0.
    narrow = np.array([[0.0, 0.0], [9.0, 0.0]]), np.array([[9.0, 0.0], [12.0, 8.0]])
    assert count_pairs(*narrow, 10) == 2, (
        "picks at (0, 0) and (9, 0) and labels at (9, 0) and (12, 8) make two pairs, if the second pick leaves the label "
        "that it lies on to the first. With true distances as costs, or the nearest first, it does not: use a cost of 0 "
        "for what is near enough and 1 for all else"
    )
    given = count_pairs(picks, labels, 10)
    assert given <= len(labels), "there are more pairs than labels: a label may be used only once"
    assert given == len(picks), (
        f"you find {given} pairs, but {len(picks)} are possible. A pick took the nearest label although another pick had "
        "no other choice. With a cost of 0 for pairs that are near enough and 1 for others, the smallest sum of costs "
        "leaves as few as possible unpaired; true distances as costs do not"
    )
    assert count_pairs(np.array([[0.0, 0.0]]), np.array([[6.0, 8.0]]), 10) == 1, (
        "exactly at the tolerance is near enough"
    )
    ### BEGIN HIDDEN TESTS
    for number in range(3):
        others, there = drawn_tables.crowd(seed_from_name(f"hidden {number}"))
        assert count_pairs(others, there[:-3], 10) <= len(there) - 3, "a label may be used only once"
        assert count_pairs(others, there, 10) == len(others), "in other crowds you find fewer pairs than are possible"
    ### END HIDDEN TESTS

# %% [markdown]
# ## Task 2: whose threshold? (4 points)
#
# `validation` and `test` are candidates of one picker on two sets of micrographs: their scores, which of them are true,
# and how many particles there are. `f1_at(candidates, threshold)` returns the F1 of those with at least that score.
#
# A published F1 has to be measured on the test micrographs, with a threshold that was chosen without looking at them
# (lesson 06, *Whose threshold?*). Return two numbers, each an F1 **on the test**:
#
# 1. with the threshold of `thresholds` that is best on the validation micrographs
# 2. with the threshold of `thresholds` that is best on the test micrographs: the one that flatters

# %% nbgrader={"grade": false, "grade_id": "candidates", "locked": true, "schema_version": 3, "solution": false, "task": false}
validation, test = (drawn_tables.candidates(seed_from_name(STUDENT, part), particles=24) for part in ("val", "test"))
thresholds = np.linspace(0.02, 0.98, 97)


def f1_at(candidates, threshold):
    """Return the F1 of the candidates with at least this score."""
    taken = candidates.score >= threshold
    true = (taken & candidates.true).sum()
    return 2 * true / (taken.sum() + candidates.particles)


plt.figure(figsize=(5, 3))
for drawn, label, line in ((validation, "validation", "--"), (test, "test", "-")):
    plt.plot(thresholds, [f1_at(drawn, threshold) for threshold in thresholds], line, label=label)
plt.xlabel("threshold")
plt.ylabel("F1")
plt.legend(fontsize=10)
plt.show()


# %% nbgrader={"grade": false, "grade_id": "threshold", "locked": false, "schema_version": 3, "solution": true, "task": false}
def honest_and_flattering(validation, test, thresholds):
    """Return the F1 on the test with the threshold chosen on the validation, and with that chosen on the test."""
    ### BEGIN SOLUTION
    on_validation = [f1_at(validation, threshold) for threshold in thresholds]
    on_test = [f1_at(test, threshold) for threshold in thresholds]
    return on_test[int(np.argmax(on_validation))], max(on_test)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "threshold-test", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false} tags=["raises-exception"]
def expected_f1(validation, test):
    """Return the honest F1, one for each of the equally good thresholds, and the flattering one."""
    on_validation, on_test = (np.array([f1_at(part, t) for t in thresholds]) for part in (validation, test))
    return on_test[np.isclose(on_validation, on_validation.max())], on_test.max()


with check("Task 2"):
    # Two small sets on which the two numbers differ much.
    few = drawn_tables.Candidates(np.array([0.9, 0.6, 0.55]), np.array([True, False, False]), 2)
    easy = drawn_tables.Candidates(np.array([0.9, 0.7, 0.5, 0.3]), np.array([True, True, True, False]), 3)
    given = honest_and_flattering(few, easy, thresholds)
    assert np.shape(given) == (2,), "return two numbers: the honest F1 and the flattering one"
    honest, best = expected_f1(few, easy)
    assert not np.isin(given, thresholds).all(), (
        "these are thresholds: return the F1 on the test that each of them gives"
    )
    assert not (np.isclose(given[0], best) and np.isclose(given[1], honest).any()), (
        "the two are swapped: the honest number is the first"
    )
    assert not np.allclose(given, best), (
        "both numbers are the best that is possible on the test: the first threshold has to be chosen on the validation "
        "micrographs alone"
    )
    assert not np.isclose(given[0], max(f1_at(few, t) for t in thresholds)), (
        "the first is the F1 on the validation micrographs: choose the threshold there, but measure on the test"
    )
    assert np.isclose(given[0], honest).any(), (
        "the first is wrong: find the best threshold on the validation micrographs alone, then use it on the test"
    )
    assert np.isclose(given[1], best), "the second is the largest F1 that any of the thresholds gives on the test"
    honest, best = expected_f1(validation, test)
    given = honest_and_flattering(validation, test, thresholds)
    assert np.isclose(given[0], honest).any(), "the first is wrong: choose on the validation micrographs alone"
    assert np.isclose(given[1], best), "the second is the largest F1 that any of the thresholds gives on the test"
    ### BEGIN HIDDEN TESTS
    for number in range(20):
        drawn = [drawn_tables.candidates(seed_from_name(f"hidden {number} {part}"), 24) for part in range(2)]
        honest, best = expected_f1(*drawn)
        given = honest_and_flattering(*drawn, thresholds)
        assert np.isclose(given[0], honest).any(), "wrong for other micrographs: the first number"
        assert np.isclose(given[1], best), "wrong for other micrographs: the second number"
    ### END HIDDEN TESTS

# %%
# What choosing on the test does, over 200 pairs of sets, once your function works:
try:
    drawn = [[drawn_tables.candidates(2 * number + part, 24) for part in range(2)] for number in range(200)]
    honest, flattering = np.mean([honest_and_flattering(*pair, thresholds[::4]) for pair in drawn], axis=0)
    print(f"mean F1 with thresholds from the validation {honest:.3f}, from the test itself {flattering:.3f}")
except NotImplementedError:
    print("Solve task 2 to see by how much choosing on the test flatters.")

# %% [markdown]
# ## Task 3: five faults (5 points)
#
# Below is what a paper says about its comparison. Five of the statements describe a **fault**: something that makes the
# numbers wrong, or not comparable. The others are sound (lesson 06, *What makes a comparison fair*). Return the set of
# their five letters. One point for each.

# %% nbgrader={"grade": false, "grade_id": "paper", "locked": true, "schema_version": 3, "solution": false, "task": false}
paper = published_comparison.statements(seed)
display(Markdown("\n".join(f"- **{statement.letter}**: {statement.text}" for statement in paper)))


# %% nbgrader={"grade": false, "grade_id": "faults", "locked": false, "schema_version": 3, "solution": true, "task": false}
def faults():
    """Return the letters of the five statements that describe a fault, such as {"A", "B", "C", "D", "E"}."""
    ### BEGIN SOLUTION
    return {statement.letter for statement in paper if statement.fault}
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "faults-test", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false} tags=["raises-exception"]
with check("Task 3", success="marked; the points are below"):
    given = {str(letter).upper() for letter in faults()}
    assert given <= {statement.letter for statement in paper}, "return letters of statements, such as {'A', 'C'}"
    assert len(given) == 5, f"name five statements, not {len(given)}"
    wrong = {statement.letter: statement.fault for statement in paper if statement.fault}
    marks = len(given & set(wrong))
    missed = next((fault for letter, fault in wrong.items() if letter not in given), "")
    if missed:
        print(f"{marks} of your 5 are faults. One that you missed concerns {missed}.")
    assert marks, "none of your five is a fault. Ask of each: could anybody have decided this after seeing the test?"
marks

# %% [markdown]
# ## Task 4: write a picker and enter it in the table (8 points)
#
# Now it is your turn. `training` is a micrograph of apoferritin, particles `DIAMETER` pixels across; `known` are its
# particles. Write a function that finds the particles of any such micrograph and returns a table of picks, made with
# `coordinates.table(micrograph.name, x, y, score, DIAMETER)`; scores are from 0 to 1, the higher the better.
#
# It is marked by its mean F1 on micrographs that you have not seen: nothing at 0.3 or less, 8 points at 0.9 or more, in
# proportion in between. A start: `peak_local_max(picture, min_distance=...)` finds the peaks of a picture (rows, columns),
# `gaussian_filter` blurs, `fftconvolve(picture, reference[::-1, ::-1], mode="same")` correlates with a reference (which
# you could make from the known particles), and `threshold_otsu(values)` separates high values from low ones. Compare
# lesson 06, *A picker of your own*, and lesson 00, *Picking without labels*.

# %% nbgrader={"grade": false, "grade_id": "training", "locked": true, "schema_version": 3, "solution": false, "task": false}
DIAMETER = 38
training, known = drawn_pictures.particles(seed, snr=0.4)
known = known[known["view"] != coordinates.IGNORE]
figure, ax = plt.subplots(figsize=(5, 5))
plot.overlay(ax, training, labels=known)
plt.show()


# %% nbgrader={"grade": false, "grade_id": "picker", "locked": false, "schema_version": 3, "solution": true, "task": false}
def pick(micrograph):
    """Return a table of picks for a micrograph; its pixels are `micrograph.data`."""
    ### BEGIN SOLUTION
    # The average of the labelled particles is the reference.
    half = round(0.75 * DIAMETER)
    centres = known[["x", "y"]].round().astype(int).to_numpy()
    rows, columns = training.data.shape
    crops = [
        training.data[y - half : y + half + 1, x - half : x + half + 1]
        for x, y in centres
        if half <= x < columns - half and half <= y < rows - half
    ]
    reference = np.mean(crops, axis=0)
    reference -= reference.mean()
    match = fftconvolve(micrograph.data - micrograph.data.mean(), reference[::-1, ::-1], mode="same")
    y, x = peak_local_max(match, min_distance=DIAMETER // 2, exclude_border=5).T
    height = match[y, x]
    score = np.clip((height - height.min()) / np.ptp(height), 0, 1)
    kept = height >= threshold_otsu(height)
    return coordinates.table(micrograph.name, x[kept], y[kept], score[kept], DIAMETER)
    ### END SOLUTION


# %% nbgrader={"grade": false, "grade_id": "table", "locked": true, "schema_version": 3, "solution": false, "task": false}
# Your picker in the table, beside the method `template` (a quarter of a minute; None until the picker is written):
in_table(pick, "exercise_06_run", seed)


# %% nbgrader={"grade": true, "grade_id": "picker-test", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false} tags=["raises-exception"]
def mean_f1(seeds):
    """Return the mean F1 of the picker on micrographs drawn from seeds."""
    found = []
    for drawn in seeds:
        image, truth = drawn_pictures.particles(drawn, snr=0.4)
        found.append(evaluate.evaluate(pick(image), truth, micrographs=[image.name], bootstrap=0).f1)
    return float(np.mean(found))


with check("Task 4", success="marked; the points are below"):
    given = pick(training)
    assert given is not None, "the function returns nothing: end it with return"
    assert hasattr(given, "columns"), "return a table, made with coordinates.table"
    assert len(given), "no picks at all: is the threshold too high?"
    own = evaluate.evaluate(given, known, micrographs=[training.name], bootstrap=0)
    turned = given.assign(x=given["y"], y=given["x"])
    assert evaluate.evaluate(turned, known, micrographs=[training.name], bootstrap=0).f1 < own.f1 + 0.2, (
        "with x and y exchanged your picks are much better: x is the column, y the row"
    )
    marks = round(8 * min(max((mean_f1([1, 2]) - 0.3) / 0.6, 0), 1), 1)
    ### BEGIN HIDDEN TESTS
    hidden = mean_f1(seed_from_name(f"hidden {number}", STUDENT) for number in range(3))
    marks = round(8 * min(max((hidden - 0.3) / 0.6, 0), 1), 1)
    ### END HIDDEN TESTS
    print(f"On the training micrograph: precision {own.precision:.2f}, recall {own.recall:.2f}, F1 {own.f1:.2f}.")
    assert marks > 0 or own.f1 < 0.5, (
        f"an F1 of {own.f1:.2f} on the training micrograph, but next to nothing on others: the picks have to come from the "
        "function's argument `micrograph`, not from `training` or from the places in `known`"
    )
    assert marks > 0, f"an F1 of {own.f1:.2f} earns no points yet. " + (
        "Most picks are false: blur before you look for peaks, and remember that particles are dark. If you have done "
        "both: a particle is a dark ring, so a blur as wide as a particle has its peaks elsewhere, and slow changes of the "
        "ice are stronger than particles; correlate with an average of the known particles instead"
        if own.precision < 0.3
        else "Most particles are missed: is the smallest distance between peaks, or the threshold, too large?"
    )
    if marks < 8:
        print(
            "There is more to gain. A particle is a dark ring rather than a blob: correlate with an average of the known "
            "particles. Then look at whether false or missed ones cost more, and move the threshold."
        )
marks

# %% [markdown]
# ## Task 5: how far do two people agree? (2 points)
#
# Two people labelled the same micrograph; neither is "the truth". Their agreement is twice the number of particles that
# both marked, divided by the number of labels of both together: the F1 of one if the other were right (lesson 06,
# *Whose truth?*).
#
# `count_pairs` of task 1 may help; here `shared` has been counted for you.


# %% nbgrader={"grade": false, "grade_id": "agreement", "locked": false, "schema_version": 3, "solution": true, "task": false}
def agreement(first, second, shared):
    """Return how far two people agree, from their numbers of labels and the number that both marked."""
    ### BEGIN SOLUTION
    return 2 * shared / (first + second) if first + second else 0.0
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "agreement-test", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["raises-exception"]
with check("Task 5"):
    given = agreement(20, 30, 15)
    assert not np.isclose(given, 0.75), "that is the share of the first one's labels; the second has left its own out"
    assert not np.isclose(given, 0.5), "that is the share of the second one's labels, or half of what it should be"
    assert not np.isclose(given, 15 / 35), "that is intersection over union, a fair measure too; here F1 is asked for"
    assert not np.isclose(given, 0.3), "the shared particles are among the labels of both: count them twice"
    assert np.isclose(given, 0.6), f"20 and 30 labels with 15 in common agree to 0.6, not {given:g}"
    assert np.isclose(agreement(0, 0, 0), 0), "if nobody labels anything, return 0 rather than an error"
    ### BEGIN HIDDEN TESTS
    for first, second, shared in ((10, 10, 10), (7, 3, 2), (0, 5, 0)):
        assert np.isclose(agreement(first, second, shared), 2 * shared / (first + second)), "wrong for other numbers"
        assert np.isclose(agreement(second, first, shared), agreement(first, second, shared)), (
            "the order must not matter"
        )
    ### END HIDDEN TESTS

# %% [markdown]
# ## Task 6: label a micrograph, and compare (4 points)
#
# Label the micrograph below by hand: in the explorer a click adds a particle, Alt-click removes one, and a drag moves
# one. When you are done, write `my_labels.csv` into its box for the file name and save. Hand in this file with the
# notebook. Then return your labels, `coordinates.read("my_labels.csv", micrograph=faint.name)`. Take whole, single
# particles; they are 38 pixels across.
#
# Two others have labelled it already: `cautious` leaves out what she is not sure of, `generous` takes too much. With
# whom do you agree more, and why is that no proof that you are right (lesson 06, *Whose truth?*)? Your mark follows from
# your F1 against the simulation's truth: nothing at 0.4 or less, 4 points at 0.85 or more. In class, let everybody label
# one micrograph, and compare the files: `cryokit consensus anna.csv ben.csv cleo.csv --diameter 38 --out consensus`.

# %% nbgrader={"grade": false, "grade_id": "label-data", "locked": true, "schema_version": 3, "solution": false, "task": false}
faint, cautious, generous, _ = drawn_pictures.labelled_by_three(seed)
explore([faint], diameter=DIAMETER)


# %% nbgrader={"grade": false, "grade_id": "label", "locked": false, "schema_version": 3, "solution": true, "task": false}
def my_labels():
    """Return the table of your labels."""
    ### BEGIN SOLUTION
    # Nobody can click for you. Here the method `template` does: it labels like a careful person.
    return pickers.create("template", diameter=DIAMETER).fit([faint]).pick(faint)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "label-test", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false} tags=["raises-exception"]
with check("Task 6", success="marked; the points are below"):
    mine = coordinates.validate(my_labels(), "your labels")
    assert len(mine), (
        "there are no labels in your table. Was the file saved after you had labelled, and does its column `micrograph` say "
        f"{faint.name}?"
    )
    *_, truth = drawn_pictures.labelled_by_three(seed)
    known_places = {tuple(place) for theirs in (cautious, generous, truth) for place in theirs[["x", "y"]].to_numpy()}
    copied = [tuple(place) in known_places for place in mine[["x", "y"]].to_numpy()]
    assert np.mean(copied) < 0.5, "these are somebody else's labels, to the last digit: label the micrograph yourself"
    mine = mine.assign(micrograph=faint.name, diameter=float(DIAMETER))
    score = evaluate.evaluate(mine.assign(score=np.nan), truth, bootstrap=0)
    for who, theirs in (("cautious", cautious), ("generous", generous)):
        both = evaluate.evaluate(mine.assign(score=np.nan), theirs, bootstrap=0)
        print(f"agreement with {who}: {both.f1:.2f} ({both.tp} particles in common, of {len(mine)} and {len(theirs)})")
    turned = mine.assign(x=mine["y"], y=mine["x"], score=np.nan)
    assert evaluate.evaluate(turned, truth, bootstrap=0).f1 < score.f1 + 0.2, "x and y are exchanged: x is the column"
    marks = round(4 * min(max((score.f1 - 0.4) / 0.45, 0), 1), 1)
    print(f"{score.tp} particles labelled, {score.fn} left out, {score.fp} labels on nothing.")
    assert marks > 0, (
        "most particles have no label: go over the whole micrograph, a corner at a time, with the band-pass on"
        if score.fp < len(mine) / 2
        else "most labels are on nothing, or too far from the centre (a quarter of a diameter, 9 pixels, is allowed)"
    )
marks

# %% [markdown]
# ## Quiz
#
# Five questions on the lesson, without points.

# %% nbgrader={"grade": false, "grade_id": "quiz", "locked": true, "schema_version": 3, "solution": false, "task": false}
quiz("06")
