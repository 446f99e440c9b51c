# %% [markdown]
# # Exercises 03: good particle selection
#
# These exercises belong to lesson 03, *Good particle selection*. Afterwards you can
#
# - decide by circularity whether an object is a top view
# - find the usual size among objects, some of which are far from it
# - say what a selection gains and what it costs
#
# In each task, replace `raise NotImplementedError()` by your answer and run the cell, then the check below it. A check
# says what to look at if the answer is not right yet. Allow 30 minutes for 9 points.
#
# First write your name: your data are drawn from it and differ from everybody else's.

# %%
STUDENT = "Ada Lovelace"  # your name

# %% nbgrader={"grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import matplotlib.pyplot as plt
import numpy as np
from skimage.measure import regionprops

from cryokit.cli.exercises import check, drawn_pictures, drawn_tables, quiz
from cryokit.simulate import seed_from_name

seed = seed_from_name(STUDENT, "exercises 03")
print(f"Data drawn for {STUDENT}.")

# %% [markdown]
# ## Task 1: good or bad? (3 points)
#
# `masks` are 40 objects from a cleaned mask. An expert says of each whether it is `good`: a single, whole top view. The
# others are two particles that touch, particles that were cut, and long objects. They differ in size, so their area
# says nothing.
#
# Write a function that decides for one mask. The circularity $P^2 / (4 \pi A)$ tells them apart (lesson 03, *Top views:
# does a perfect disc fit?*; lesson 02, *Circularity*). `measure(mask)` returns area and perimeter. Look at the values
# for good and bad objects before you choose a limit.

# %% nbgrader={"grade": false, "grade_id": "objects", "locked": true, "schema_version": 3, "solution": false, "task": false}
masks, good = drawn_pictures.outlines(seed)


def measure(mask):
    """Return the area and the perimeter of the object in a mask."""
    (found,) = regionprops(mask.astype(int))
    return found.area, found.perimeter


figure, axes = plt.subplots(2, 8, figsize=(10, 3))
for ax, mask, label in zip(axes.flat, masks, good, strict=False):
    ax.imshow(mask, cmap="gray")
    ax.set_title("good" if label else "bad", fontsize=10)
    ax.axis("off")
plt.show()


# %% nbgrader={"grade": false, "grade_id": "good", "locked": false, "schema_version": 3, "solution": true, "task": false}
def is_good(mask):
    """Return True for a single, whole top view and False for everything else."""
    ### BEGIN SOLUTION
    area, perimeter = measure(mask)
    return perimeter**2 / (4 * np.pi * area) < 1.16
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "good-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["raises-exception"]
with check("Task 1"):
    given = np.array([bool(is_good(mask)) for mask in masks])
    right = (given == good).mean()
    assert not given.all(), "you keep everything; look at the circularity of the objects labelled bad, and set a limit"
    assert given.any(), "you keep nothing: is the limit below the circularity of every object?"
    assert (given != good).mean() < 0.9, "nearly all decisions are the wrong way round: good ones are the rounder ones"
    assert right >= 0.9, (
        f"{right:.0%} of the decisions are right: you keep {(given & ~good).sum()} bad objects and lose "
        f"{(~given & good).sum()} good ones. Print circularity and label side by side and move the limit; area or "
        "perimeter alone will not do"
    )
    ### BEGIN HIDDEN TESTS
    for number in range(2):
        others, labels = drawn_pictures.outlines(seed_from_name(f"hidden {number}"))
        decided = np.array([bool(is_good(mask)) for mask in others])
        assert (decided == labels).mean() >= 0.9, "with other objects fewer than 90 % of the decisions are right"
    ### END HIDDEN TESTS

# %% [markdown]
# ## Task 2: the usual size (2 points)
#
# `area` holds the areas of 60 objects. Most are single particles; the others are clumps and crystals of ice, some of
# them thirty times as large. Nobody tells you the particle's size.
#
# Return, for each object, whether its area is usual: within three *scaled median absolute deviations* (MAD) of the
# median. The scaled MAD is 1.4826 times the median of the distances from the median; for normally distributed values it
# equals the standard deviation (lesson 03, *Irregular particles: is the area the usual one?*).

# %% nbgrader={"grade": false, "grade_id": "areas", "locked": true, "schema_version": 3, "solution": false, "task": false}
area, single = drawn_tables.areas(seed)
plt.figure(figsize=(6, 2.5))
plt.semilogx(area, np.zeros(len(area)), "|", markersize=20)
plt.xlabel("area (pixels)")
plt.yticks([])
plt.show()


# %% nbgrader={"grade": false, "grade_id": "usual", "locked": false, "schema_version": 3, "solution": true, "task": false}
def is_usual(area):
    """Return, for each area, whether it is within three scaled MADs of the median."""
    ### BEGIN SOLUTION
    middle = np.median(area)
    mad = 1.4826 * np.median(np.abs(area - middle))
    return np.abs(area - middle) <= 3 * mad
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "usual-test", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["raises-exception"]
with check("Task 2"):
    given = np.asarray(is_usual(area))
    assert given.shape == area.shape, "return True or False for each area"
    by_mean = np.abs(area - area.mean()) <= 3 * area.std()
    assert not (given == by_mean).all(), (
        "mean and standard deviation are themselves spoilt by the few large objects, so that clumps pass for usual. "
        "Medians do not mind"
    )
    assert (given & single).sum() >= 0.9 * single.sum(), (
        f"only {(given & single).sum()} of {single.sum()} single particles are kept: three times the scaled MAD, to "
        "either side of the median?"
    )
    assert (given & ~single).sum() <= 0.35 * (~single).sum(), (
        f"{(given & ~single).sum()} of {(~single).sum()} clumps are kept: objects that are too large have to go as well"
    )
    few = np.array([76, 82, 95, 98, 100, 102, 105, 118, 124])
    kept = few[np.asarray(is_usual(few))].tolist()
    assert kept not in (few[1:].tolist(), few[:-1].tolist()), (
        "an area may be too small or too large: look to both sides"
    )
    assert kept != few[2:-2].tolist(), "do you leave out the factor 1.4826, which turns the MAD into the scaled one?"
    assert kept == few[1:-1].tolist(), (
        f"of {few.tolist()} those from 82 to 118 are usual: the median is 100, the median distance from it is 5, and three "
        f"scaled MADs are 22.2. You keep {kept}"
    )
    ### BEGIN HIDDEN TESTS
    for number in range(3):
        other, _ = drawn_tables.areas(seed_from_name(f"hidden {number}"))
        away = np.abs(other - np.median(other))
        assert (np.asarray(is_usual(other)) == (away <= 3 * 1.4826 * np.median(away))).all(), "wrong for other areas"
        spread = np.random.default_rng(number).lognormal(6, 0.6, 200)
        away = np.abs(spread - np.median(spread))
        assert (np.asarray(is_usual(spread)) == (away <= 3 * 1.4826 * np.median(away))).all(), "wrong for other areas"
    ### END HIDDEN TESTS

# %% [markdown]
# ## Task 3: what a selection gains and costs (2 points)
#
# `good` says what each object is, `kept` what a selection kept (arrays of True and False). Return two numbers: the
# **purity**, the share of the kept objects that are good, and the **yield**, the share of the good objects that are kept
# (lesson 03, *Against the truth: what selection gains and costs*, which calls them *clean* and *kept*). If nothing is
# kept, the purity is 0; if nothing is good, the yield is 0.


# %% nbgrader={"grade": false, "grade_id": "purity", "locked": false, "schema_version": 3, "solution": true, "task": false}
def purity_and_yield(good, kept):
    """Return the share of the kept that are good, and the share of the good that are kept."""
    ### BEGIN SOLUTION
    both = (good & kept).sum()
    return both / max(kept.sum(), 1), both / max(good.sum(), 1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "purity-test", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["raises-exception"]
with check("Task 3"):
    there = np.array([True] * 8 + [False] * 12)
    chosen = np.array([True] * 4 + [False] * 4 + [True] + [False] * 11)
    given = purity_and_yield(there, chosen)
    assert np.shape(given) == (2,), "return two numbers: purity, yield"
    assert not np.allclose(given, (0.5, 0.8)), "the two are swapped: purity is a share of the kept objects"
    assert not np.isclose(given[0], 0.75), "that is the share of right decisions; purity looks at the kept objects only"
    assert np.allclose(given, (0.8, 0.5)), (
        "five objects are kept, four of them good, and eight are good in all: expected 0.8 and 0.5, not "
        f"{given[0]:.3g} and {given[1]:.3g}"
    )
    nothing = np.zeros(20, bool)
    assert np.allclose(purity_and_yield(there, nothing), 0), "if nothing is kept, both have to be 0, without an error"
    ### BEGIN HIDDEN TESTS
    assert np.allclose(purity_and_yield(nothing, chosen), 0), "if nothing is good, both have to be 0"
    rng = np.random.default_rng(5)
    for _ in range(10):
        a, b = rng.random((2, 50)) < rng.uniform(0.2, 0.8, (2, 1))
        expected = (a & b).sum() / b.sum(), (a & b).sum() / a.sum()
        assert np.allclose(purity_and_yield(a, b), expected), "wrong for other objects"
    ### END HIDDEN TESTS

# %% [markdown]
# ## Task 4: how clean will the labels be? (2 points)
#
# On a micrograph, a fraction `share` of the objects is good. A selection keeps a good object with probability `hit`, and
# a bad one with probability `slip`. What share of the kept objects is good?
#
# Before you compute it, guess for share 0.1, hit 0.9, slip 0.1. (Lesson 03, *Why the labels have to be clean*.)


# %% nbgrader={"grade": false, "grade_id": "clean", "locked": false, "schema_version": 3, "solution": true, "task": false}
def purity_after(share, hit, slip):
    """Return the expected share of good objects among those that a selection keeps."""
    ### BEGIN SOLUTION
    return share * hit / (share * hit + (1 - share) * slip)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "clean-test", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["raises-exception"]
with check("Task 4"):
    given = purity_after(0.1, 0.9, 0.1)
    assert not np.isclose(given, 0.9), (
        "only if as many objects were good as bad. Count: of 1,000 objects 100 are good; how many good and how many bad "
        "ones are kept?"
    )
    assert not np.isclose(given, 0.09), (
        "that is the share of all objects that are good and kept; divide by all the kept"
    )
    assert np.isclose(given, 0.5), (
        f"of 1,000 objects 100 are good, and 90 of these are kept; of the 900 bad ones 90 are kept. So 0.5, not {given:g}"
    )
    ### BEGIN HIDDEN TESTS
    for share, hit, slip in ((0.5, 0.8, 0.2), (0.9, 0.6, 0.3), (0.02, 0.99, 0.01)):
        expected = share * hit / (share * hit + (1 - share) * slip)
        assert np.isclose(purity_after(share, hit, slip), expected), f"wrong for {share}, {hit}, {slip}"
    ### END HIDDEN TESTS

# %% [markdown]
# ## Quiz
#
# Five questions on the lesson, without points.

# %% nbgrader={"grade": false, "grade_id": "quiz", "locked": true, "schema_version": 3, "solution": false, "task": false}
quiz("03")
