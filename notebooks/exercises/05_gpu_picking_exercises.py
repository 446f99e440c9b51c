# %% [markdown]
# # Exercises 05: picking with a network
#
# These exercises belong to lesson 05, *Picking with a network*. Afterwards you can
#
# - take a place on a score map back to the micrograph
# - write non-maximum suppression, and say what an overlap of 0.6 means in pixels
# - rescue a coordinate file from another program
#
# In each task, replace `raise NotImplementedError()` by your answer and run the cell, then the check below it. A check
# says what to look at if the answer is not right yet. Allow 35 minutes for 12 points.
#
# First write your name: your data are drawn from it and differ from everybody else's.

# %%
STUDENT = "Ada Lovelace"  # your name

# %% nbgrader={"grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import numpy as np

from cryokit.cli.exercises import check, drawn_tables, quiz
from cryokit.coordinates.suppression import nms_distance
from cryokit.simulate import seed_from_name

seed = seed_from_name(STUDENT, "exercises 05")
print(f"Data drawn for {STUDENT}.")

# %% [markdown]
# ## Task 1: from the score map to the micrograph (2 points)
#
# A window of `window` x `window` pixels slides over the micrograph in steps of `stride` pixels. The score of the first
# window, whose first pixel is the first of the micrograph, is at row 0, column 0 of the score map (lesson 05, *Window by
# window, or all at once*).
#
# Return the place (`x`, `y`) on the micrograph that the score at (`row`, `column`) is about: the **centre** of its
# window. The centre of a pixel has a whole number for its coordinate; the centre of a window of 4 pixels is 1.5.


# %% nbgrader={"grade": false, "grade_id": "place", "locked": false, "schema_version": 3, "solution": true, "task": false}
def to_micrograph(row, column, stride, window):
    """Return x and y, on the micrograph, of the centre of the window that was scored."""
    ### BEGIN SOLUTION
    middle = (window - 1) / 2
    return column * stride + middle, row * stride + middle
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "place-test", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["raises-exception"]
with check("Task 1"):
    given = to_micrograph(0, 0, 8, 5)
    assert np.shape(given) == (2,), "return two numbers: x, y"
    assert not np.allclose(given, 0), "that is the window's first pixel; return its centre"
    assert not np.allclose(given, 2.5), "a window of 5 pixels covers 0 to 4, so its centre is 2: half of (window - 1)"
    assert np.allclose(given, 2), f"the first window of 5 pixels has its centre at (2, 2), not at {given}"
    given = to_micrograph(3, 10, 8, 5)
    assert not np.allclose(given, (26, 82)), "x and y are swapped: x is the column"
    assert np.allclose(given, (82, 26)), f"row 3, column 10 with a stride of 8 is at (82, 26), not at {given}"
    given = to_micrograph(0, 0, 8, 4)
    assert np.allclose(given, 1.5), f"the first window of 4 pixels has its centre at (1.5, 1.5), not at {given}"
    ### BEGIN HIDDEN TESTS
    for row, column, stride, window in ((0, 0, 1, 4), (7, 2, 4, 64), (100, 50, 3, 33)):
        expected = column * stride + (window - 1) / 2, row * stride + (window - 1) / 2
        assert np.allclose(to_micrograph(row, column, stride, window), expected), (
            f"wrong for row {row}, column {column}, stride {stride}, window {window}"
        )
    ### END HIDDEN TESTS

# %% [markdown]
# ## Task 2: intersection over union (2 points)
#
# Two square boxes have the side `side` and centres that differ by `dx` and `dy`. Return their intersection over union
# (IoU): the area that both cover, divided by the area that at least one covers (lesson 05, *Non-maximum suppression,
# step by step*).


# %% nbgrader={"grade": false, "grade_id": "iou", "locked": false, "schema_version": 3, "solution": true, "task": false}
def iou(dx, dy, side):
    """Return the intersection over union of two equal squares whose centres differ by dx and dy."""
    ### BEGIN SOLUTION
    shared = max(side - abs(dx), 0) * max(side - abs(dy), 0)
    return shared / (2 * side**2 - shared)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "iou-test", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["raises-exception"]
with check("Task 2"):
    assert np.isclose(iou(0, 0, 10), 1), "equal boxes have to get 1"
    given = iou(5, 0, 10)
    assert not np.isclose(given, 0.5), (
        "that is the intersection over one box; the union is both boxes less what they share"
    )
    assert not np.isclose(given, 0.25), "in the sum of the two areas what they share counts twice: subtract it once"
    assert np.isclose(given, 1 / 3), f"boxes of 10, 5 apart, share 50 of 150 pixels: 1/3, not {given:g}"
    assert np.isclose(iou(-5, 0, 10), 1 / 3), "a shift to the left overlaps like one to the right: use abs"
    assert np.isclose(iou(30, 0, 10), 0), "boxes far apart share nothing: the overlap must not become negative"
    given = iou(6, -2, 10)
    assert np.isclose(given, 32 / 168), (
        f"boxes of 10 that are 6 apart along x and 2 along y share 4 x 8 of 168 pixels: 0.19, not {given:.2f}"
    )
    assert np.isclose(iou(30, 30, 10), 0), "boxes far apart along both axes share nothing: minus times minus is plus"
    ### BEGIN HIDDEN TESTS
    assert np.isclose(iou(30, 50, 10), 0), "two negative overlaps must not make a positive area"
    assert np.isclose(iou(2, -4, 10), 48 / 152), "wrong for a shift in both directions"
    ### END HIDDEN TESTS

# %% [markdown]
# ## Task 3: why 0.25 diameters is an IoU of 0.6 (2 points)
#
# Papers that come from computer vision call a pick true at an IoU of 0.6 or more; this kit does so within 0.25
# diameters. For a shift along one axis the two are the same. Show it: solve $\mathrm{IoU} = (1 - s)/(1 + s)$, where $s$
# is the shift as a fraction of the side, for $s$ (lesson 05, *Non-maximum suppression, step by step*).


# %% nbgrader={"grade": false, "grade_id": "shift", "locked": false, "schema_version": 3, "solution": true, "task": false}
def shift_at(overlap):
    """Return the shift along one axis, as a fraction of the side, at which two equal boxes have this IoU."""
    ### BEGIN SOLUTION
    return (1 - overlap) / (1 + overlap)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "shift-test", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["raises-exception"]
with check("Task 3"):
    given = shift_at(0.6)
    assert not np.isclose(given, 0.4), "1 - IoU would be right if the union stayed as large as one box"
    assert np.isclose(given, 0.25), (
        f"at an IoU of 0.6 the shift is a quarter of the side, not {given:g}: multiply by (1 + s) and collect s"
    )
    assert np.isclose(shift_at(1.0), 0), "boxes with an IoU of 1 are not shifted"
    assert np.isclose(shift_at(0.0), 1), "boxes that just touch are one side apart"
    ### BEGIN HIDDEN TESTS
    for overlap in np.linspace(0.05, 0.95, 10):
        s = shift_at(overlap)
        assert np.isclose((1 - s) / (1 + s), overlap), f"wrong for an IoU of {overlap:.2f}"
    ### END HIDDEN TESTS

# %% [markdown]
# ## Task 4: non-maximum suppression (3 points)
#
# A network finds every particle several times. Non-maximum suppression (NMS) keeps the best candidate, removes all
# others that are closer to it than `distance`, goes on with the best of **those that are left**, and so on (lesson 05,
# *Non-maximum suppression, step by step*).
#
# Return the list of indices of the candidates that are kept, best first.


# %% nbgrader={"grade": false, "grade_id": "nms", "locked": false, "schema_version": 3, "solution": true, "task": false}
def nms(x, y, score, distance):
    """Return the indices of the candidates that non-maximum suppression keeps, best first."""
    ### BEGIN SOLUTION
    kept = []
    for index in np.argsort(-score):
        if all(np.hypot(x[index] - x[other], y[index] - y[other]) >= distance for other in kept):
            kept.append(int(index))
    return kept
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "nms-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["raises-exception"]
with check("Task 4"):
    # Three in a row, at a slant, 6 pixels from each other, and one far away.
    x, y, score = np.array([0, 3.6, 7.2, 50]), np.array([0, 4.8, 9.6, 0]), np.array([0.9, 0.8, 0.7, 0.95])
    given = list(nms(x, y, score, 10))
    assert not any(isinstance(index, (bool, np.bool_)) for index in given), "return indices, not True and False"
    assert 1 not in given, "candidate 1 is 6 pixels from candidate 0, which is better, so it has to go"
    assert 2 in given, (
        "candidate 2 is 12 pixels from candidate 0 (7.2 along x, 9.6 along y), and near candidate 1 only, which is itself "
        "removed: what has been removed must not remove others"
    )
    assert set(given) == {0, 2, 3}, f"with a distance of 10 keep candidates 0, 2 and 3, not {given}"
    assert given == [3, 0, 2], f"return the indices by falling score: [3, 0, 2], not {given}"
    backwards = list(nms(x[::-1], y[::-1], score[::-1], 10))
    assert backwards == [0, 3, 1], "with the same candidates in another order others are kept: sort by the score first"
    ### BEGIN HIDDEN TESTS
    for number in range(5):
        rng = np.random.default_rng(seed_from_name(f"hidden {number}"))
        x, y, score = *rng.uniform(0, 200, (2, 80)), rng.permutation(80) / 80
        assert list(nms(x, y, score, 30)) == nms_distance(x, y, score, 30).tolist(), "wrong for 80 random candidates"
    assert list(nms(np.array([]), np.array([]), np.array([]), 10)) == [], "no candidates: return an empty list"
    ### END HIDDEN TESTS

# %% [markdown]
# ## Task 5: a coordinate file from elsewhere (3 points)
#
# `text` is the content of a box file: `corner_x corner_y width height` on each line, separated by tabs. Two things are
# different from what you need (lesson 05, *The STAR file*; lesson 06, *What goes wrong, and how it looks*):
#
# - it has the **corner** with the smallest coordinates; in such files the centre is half a width and half a height
#   further (not half of (width - 1), as for the window of task 1: each format has its own convention)
# - its program counts rows **from the bottom**: its row 0 is the last row of the micrograph, row `rows - 1`
#
# Return an array of shape (n, 2) with x and y of the centres, y counted from the first row.

# %% nbgrader={"grade": false, "grade_id": "boxes-data", "locked": true, "schema_version": 3, "solution": false, "task": false}
text, rows, centres = drawn_tables.flipped_boxes(seed)
print(f"micrograph with {rows} rows; the file begins:\n{text[:60]}...")


# %% nbgrader={"grade": false, "grade_id": "boxes", "locked": false, "schema_version": 3, "solution": true, "task": false}
def read_flipped(text, rows):
    """Return the centres, in a frame that counts from the first row, of boxes that count from the last."""
    ### BEGIN SOLUTION
    x, y, width, height = np.array([line.split() for line in text.splitlines()], float).T
    return np.column_stack([x + width / 2, rows - 1 - (y + height / 2)])
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "boxes-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["raises-exception"]
with check("Task 5"):
    given = np.asarray(read_flipped(text, rows), dtype=float)
    assert given.shape == centres.shape, f"return an array of shape {centres.shape}, not {given.shape}"
    off_x, off_y = np.abs(given - centres).max(axis=0)
    side = float(text.split()[2])
    assert not np.isclose(off_x, side / 2), "x is off by half a box: the file has corners, not centres"
    assert off_x < 0.1, (
        f"x is off by up to {off_x:g} pixels: it is the corner's x plus half the width, and is not flipped"
    )
    unturned = np.abs(rows - 1 - given[:, 1] - centres[:, 1]).max()
    assert unturned > 1, "the centres are right, but y still counts from the bottom"
    assert not np.isclose(off_y, 1), (
        "y is off by one pixel: row 0 of the file is row rows - 1 of the micrograph, not row `rows`"
    )
    assert not np.isclose(off_y, side), (
        "y is off by a whole box: add half the height before you flip y, or subtract it afterwards"
    )
    assert not np.isclose(off_y, side / 2), "y is off by half a box: the file has corners, not centres"
    assert off_y < 0.1, f"y is off by up to {off_y:g} pixels"
    ### BEGIN HIDDEN TESTS
    for number in range(3):
        other, height, expected = drawn_tables.flipped_boxes(seed_from_name(f"hidden {number}"))
        assert np.allclose(read_flipped(other, height), expected), "wrong for another file"
    ### END HIDDEN TESTS

# %% [markdown]
# ## Quiz
#
# Five questions on the lesson, without points.

# %% nbgrader={"grade": false, "grade_id": "quiz", "locked": true, "schema_version": 3, "solution": false, "task": false}
quiz("05")
