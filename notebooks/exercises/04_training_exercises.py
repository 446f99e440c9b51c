# %% [markdown]
# # Exercises 04: training a network
#
# These exercises belong to lesson 04, *Training a network*. Afterwards you can
#
# - count the parameters of a network
# - find out whether the test has leaked into the training
# - read a confusion matrix
# - augment patches without changing their class
#
# In each task, replace `raise NotImplementedError()` by your answer and run the cell, then the check below it. A check
# says what to look at if the answer is not right yet. Allow 35 minutes for 11 points.
#
# First write your name: your data are drawn from it and differ from everybody else's.

# %%
STUDENT = "Ada Lovelace"  # your name

# %% nbgrader={"grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import numpy as np
from IPython.display import display

from cryokit.cli.exercises import check, drawn_tables, quiz
from cryokit.simulate import seed_from_name

seed = seed_from_name(STUDENT, "exercises 04")
print(f"Data drawn for {STUDENT}.")

# %% [markdown]
# ## Task 1: how many numbers does it learn? (2 points)
#
# A convolution with `filters` kernels of `kernel` x `kernel` pixels sees all channels of its input at once. Each of its
# filters has a weight for every pixel of the kernel **in every input channel**, and one bias (lesson 04, *The network,
# layer by layer*). The filters of a layer are the input channels of the next.
#
# Return the number of parameters of a chain of convolutions. `layers` is a list of pairs `(filters, kernel)`; the
# picture has `channels` channels.


# %% nbgrader={"grade": false, "grade_id": "parameters", "locked": false, "schema_version": 3, "solution": true, "task": false}
def count_parameters(layers, channels=1):
    """Return the number of weights and biases of a chain of convolutions."""
    ### BEGIN SOLUTION
    total = 0
    for filters, kernel in layers:
        total += filters * (kernel**2 * channels + 1)
        channels = filters
    return total
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "parameters-test", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["raises-exception"]
with check("Task 1"):
    given = count_parameters([(8, 5)])
    assert given != 200, "each filter has a bias, too: one more number"
    assert given == 208, f"8 filters of 5 x 5 on one channel have 8 x (25 + 1) = 208 parameters, not {given}"
    given = count_parameters([(8, 5), (16, 3)])
    assert given != 208 + 16 * 10, "the second layer sees the 8 channels that the first one makes, not the picture"
    assert given == 208 + 16 * (9 * 8 + 1), (
        f"a second layer of 16 filters of 3 x 3 sees 8 channels: 16 x (9 x 8 + 1) more parameters, {208 + 16 * 73} in "
        f"all, not {given}"
    )
    given = count_parameters([(4, 3), (6, 3)], channels=3)
    assert given != 4 * 10 + 6 * 37, "in a picture with three channels the first layer has three times the weights"
    assert given == 4 * 28 + 6 * 37, (
        "4 filters of 3 x 3 on three channels have 4 x (9 x 3 + 1) parameters, and 6 filters of 3 x 3 on what those make "
        f"6 x (9 x 4 + 1): {4 * 28 + 6 * 37} in all, not {given}"
    )
    ### BEGIN HIDDEN TESTS
    assert count_parameters([(4, 3)], channels=3) == 4 * 28, "wrong for a picture with three channels"
    assert count_parameters([]) == 0, "no layers have no parameters"
    assert count_parameters([(32, 9), (32, 3), (2, 1)]) == 32 * 82 + 32 * (9 * 32 + 1) + 2 * 33, (
        "wrong for three layers"
    )
    ### END HIDDEN TESTS

# %% [markdown]
# ## Task 2: find the leak (3 points)
#
# Somebody reports an F1 of 0.99. `split` lists the micrographs: the square of the grid and the hole in it where each was
# taken (holes are numbered from 1 **in every square**), a checksum of its pixels, and which part it belongs to.
#
# A test micrograph *leaks* if a **training** micrograph shows the same particles: because the file is the same under
# another name (same checksum), or because it is another exposure of the same hole (same square and same hole). The
# places of some renamed files are wrong; the checksums are right. What validation micrographs share with the test is
# another question.
#
# Return the set of names of the test micrographs that leak (lesson 04, *A training set without a single label*;
# lesson 06, *What makes a comparison fair*).

# %% nbgrader={"grade": false, "grade_id": "split", "locked": true, "schema_version": 3, "solution": false, "task": false}
split, leaking = drawn_tables.split(seed)
display(split)


# %% nbgrader={"grade": false, "grade_id": "leak", "locked": false, "schema_version": 3, "solution": true, "task": false}
def leaks(split):
    """Return the names of the test micrographs that show what a training micrograph shows."""
    ### BEGIN SOLUTION
    train, test = split[split["part"] == "train"], split[split["part"] == "test"]
    same_file = test["checksum"].isin(train["checksum"])
    places = set(zip(train["square"], train["hole"], strict=True))
    same_hole = [place in places for place in zip(test["square"], test["hole"], strict=True)]
    return set(test.loc[same_file | np.array(same_hole), "micrograph"])
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "leak-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["raises-exception"]
with check("Task 2"):
    given = set(leaks(split))
    parts = split.set_index("micrograph")["part"]
    assert given <= set(parts.index), "return the names of micrographs, such as those in the column `micrograph`"
    assert all(parts[name] == "test" for name in given), "return test micrographs only"
    train = split[split["part"] == "train"]
    by_checksum = set(split.loc[(split["part"] == "test") & split["checksum"].isin(train["checksum"]), "micrograph"])
    assert given, "nothing found: there are test micrographs with the checksum or the place of a training micrograph"
    assert given != by_checksum, (
        "these are the renamed copies. Two exposures of the same hole are different files that show the same particles"
    )
    assert by_checksum <= given, "a renamed copy is missing: compare the checksums, not only the places"
    assert not given - leaking, (
        f"{len(given - leaking)} of yours do not leak. Hole 3 of square A is not hole 3 of square B; and only training "
        "micrographs count, not those for validation"
    )
    assert given == leaking, f"{len(leaking - given)} more leak"
    ### BEGIN HIDDEN TESTS
    for number in range(4):
        other, expected = drawn_tables.split(seed_from_name(f"hidden {number}"))
        assert set(leaks(other)) == expected, "wrong for another list of micrographs"
    ### END HIDDEN TESTS

# %% [markdown]
# ## Task 3: read a confusion matrix (2 points)
#
# Rows of `matrix` are true classes, columns what the network said (lesson 04, *What it confuses, and who is wrong*).
# Return the **precision** and the **recall** of one class.

# %% nbgrader={"grade": false, "grade_id": "matrix", "locked": true, "schema_version": 3, "solution": false, "task": false}
matrix = drawn_tables.confusion(seed)
display(matrix)


# %% nbgrader={"grade": false, "grade_id": "class", "locked": false, "schema_version": 3, "solution": true, "task": false}
def precision_and_recall(matrix, name):
    """Return precision and recall of the class `name`; rows are true, columns predicted classes."""
    ### BEGIN SOLUTION
    right = matrix.loc[name, name]
    return right / matrix[name].sum(), right / matrix.loc[name].sum()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "class-test", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["raises-exception"]
with check("Task 3"):
    for name in matrix.index:
        given = precision_and_recall(matrix, name)
        assert np.shape(given) == (2,), "return two numbers: precision, recall"
        right, row, column = matrix.loc[name, name], matrix.loc[name].sum(), matrix[name].sum()
        assert row == column or not np.allclose(given, (right / row, right / column)), (
            "the two are swapped: precision is the share that is right of all that the network called so, a column"
        )
        assert not np.allclose(given, right / matrix.to_numpy().sum()), (
            "divide by what belongs to this class: its column for the precision, its row for the recall"
        )
        assert np.allclose(given, (right / column, right / row)), (
            f"there are {row} patches of the class {name!r}; the network gave this name to {column}, and {right} of them are "
            "right"
        )
    ### BEGIN HIDDEN TESTS
    for number in range(3):
        other = drawn_tables.confusion(seed_from_name(f"hidden {number}"))
        for name in other.index:
            right = other.loc[name, name]
            expected = right / other[name].sum(), right / other.loc[name].sum()
            assert np.allclose(precision_and_recall(other, name), expected), "wrong for another matrix"
    ### END HIDDEN TESTS

# %% [markdown]
# ## Task 4: its favourite mistake (2 points)
#
# Return the pair `(true, predicted)` of **different** classes that the network confuses most often, counted in patches
# (lesson 04, *What it confuses, and who is wrong*). `matrix.to_numpy().copy()` is an array of its numbers that you may
# change.


# %% nbgrader={"grade": false, "grade_id": "mistake", "locked": false, "schema_version": 3, "solution": true, "task": false}
def favourite_mistake(matrix):
    """Return the true and the predicted class of the most frequent mistake."""
    ### BEGIN SOLUTION
    wrong = matrix.to_numpy().copy()
    np.fill_diagonal(wrong, 0)
    row, column = np.unravel_index(wrong.argmax(), wrong.shape)
    return matrix.index[row], matrix.columns[column]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "mistake-test", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["raises-exception"]
with check("Task 4"):
    handed = matrix.copy()
    given = tuple(favourite_mistake(handed))
    assert handed.equals(matrix), "your function changes the matrix that it is given; work on a copy"
    assert len(given) == 2, "return two names of classes: the true one and the predicted one"
    assert set(given) <= set(matrix.index), "return names of classes, not their numbers"
    assert given[0] != given[1], "the diagonal holds what is right; leave it out (in a copy of the matrix)"
    most = max((matrix.loc[a, b], (a, b)) for a in matrix.index for b in matrix.index if a != b)[1]
    assert given != most[::-1], "true and predicted class are swapped: rows are the true classes"
    assert given == most, (
        f"{matrix.loc[given]} times {given[0]!r} was called {given[1]!r}; another mistake is more frequent"
    )
    ### BEGIN HIDDEN TESTS
    for number in range(4):
        other = drawn_tables.confusion(seed_from_name(f"hidden {number}"))
        most = max((other.loc[a, b], (a, b)) for a in other.index for b in other.index if a != b)[1]
        assert tuple(favourite_mistake(other)) == most, "wrong for another matrix"
    ### END HIDDEN TESTS

# %% [markdown]
# ## Task 5: eight for the price of one (2 points)
#
# A particle seen along the beam may lie in any direction, and its mirror image is as likely as itself when particles
# are seen from above and from below. Quarter turns and mirroring lose no pixel (lesson 04, *What augmentation does*).
#
# Return a list of all **different** pictures that can be made from a square patch in this way, the patch itself
# included. `np.rot90(patch, k)` turns, `np.fliplr(patch)` mirrors.


# %% nbgrader={"grade": false, "grade_id": "augment", "locked": false, "schema_version": 3, "solution": true, "task": false}
def orientations(patch):
    """Return the patch in all orientations that quarter turns and mirroring make."""
    ### BEGIN SOLUTION
    return [np.rot90(side, k) for side in (patch, np.fliplr(patch)) for k in range(4)]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "augment-test", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["raises-exception"]
with check("Task 5"):
    patch = np.arange(9.0).reshape(3, 3)
    given = [np.asarray(picture) for picture in orientations(patch)]
    different = {picture.tobytes() for picture in given}
    assert all(picture.shape == patch.shape for picture in given), "every picture has to have the shape of the patch"
    assert all(set(picture.ravel()) == set(patch.ravel()) for picture in given), (
        "turn and mirror only: keep every pixel"
    )
    assert len(different) == len(given), (
        f"of your {len(given)} pictures only {len(different)} are different: mirrored up-down is mirrored left-right, "
        "turned by half"
    )
    assert len(given) >= 8, (
        f"{len(given)} different pictures, but there are more: can a mirrored patch be turned as well?"
    )
    assert len(given) == 8, "there are eight"
    ### BEGIN HIDDEN TESTS
    drawn = np.random.default_rng(3).normal(size=(16, 16))
    expected = {np.rot90(side, k).tobytes() for side in (drawn, drawn.T) for k in range(4)}
    assert {np.ascontiguousarray(picture).tobytes() for picture in orientations(drawn)} == expected, (
        "wrong for another patch"
    )
    ### END HIDDEN TESTS

# %% [markdown]
# ## Quiz
#
# Five questions on the lesson, without points.

# %% nbgrader={"grade": false, "grade_id": "quiz", "locked": true, "schema_version": 3, "solution": false, "task": false}
quiz("04")
