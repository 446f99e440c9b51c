# %% [markdown]
# # Exercises 02: clustering, masks and shapes
#
# These exercises belong to lesson 02, *Clustering, masks and shapes*. Afterwards you can
#
# - write intensity-based clustering (IBC) in three lines
# - clean a mask with nothing but the size of a particle
# - measure how round an object is, and how long compared with its width, whatever its direction
#
# In each task, replace `raise NotImplementedError()` by your answer and run the cell, then the check below it. A check
# says what to look at if the answer is not right yet. Allow 30 minutes for 11 points.
#
# First write your name: your data are drawn from it and differ from everybody else's.

# %%
STUDENT = "Ada Lovelace"  # your name

# %% nbgrader={"grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import matplotlib.pyplot as plt
import numpy as np
from scipy import ndimage

from cryokit import segmentation
from cryokit.cli.exercises import check, drawn_pictures, quiz
from cryokit.simulate import seed_from_name

seed = seed_from_name(STUDENT, "exercises 02")
print(f"Data drawn for {STUDENT}.")

# %% [markdown]
# ## Task 1: IBC in three lines (3 points)
#
# IBC puts the centres of its `k` clusters at equal steps over the grey values: with the darkest value $a$ and the
# brightest $b$ of the picture they are $a + i\,(b - a)/k$ for $i = 1 \ldots k$. Every pixel joins the **nearest** centre;
# clusters are numbered from 0, the darkest (lesson 02, *Intensity-based clustering (IBC)*).
#
# Return an array of the picture's shape with the number of each pixel's cluster. `np.abs(picture[..., None] - centres)`
# holds the distances of all pixels from all centres.

# %% nbgrader={"grade": false, "grade_id": "picture", "locked": true, "schema_version": 3, "solution": false, "task": false}
micrograph, _ = drawn_pictures.particles(seed, side=256)
picture = ndimage.gaussian_filter(micrograph.data, 4)


# %% nbgrader={"grade": false, "grade_id": "ibc", "locked": false, "schema_version": 3, "solution": true, "task": false}
def ibc(picture, k):
    """Return the cluster of each pixel, 0 to k - 1."""
    ### BEGIN SOLUTION
    a, b = picture.min(), picture.max()
    centres = a + (b - a) * np.arange(1, k + 1) / k
    return np.abs(picture[..., None] - centres).argmin(axis=-1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ibc-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["raises-exception"]
with check("Task 1"):
    line = np.linspace(10, 50, 81)[None]  # steps of half a grey value; the centres for k = 4 are 20, 30, 40, 50
    given = np.asarray(ibc(line, 4))
    assert given.shape == line.shape, "return one number for each pixel, in an array of the picture's shape"
    assert given.min() >= 0, "clusters are numbered from 0"
    assert given.max() <= 3, "with k = 4 the brightest cluster has the number 3"
    equal = np.floor((line - 10) / 10).clip(0, 3)
    assert (given != equal).mean() > 0.05, (
        "these are k equal slices of the range. In IBC a pixel joins the nearest centre, and the darkest centre lies one "
        "step above the darkest value: the darkest cluster is one and a half steps wide, the brightest half a step"
    )
    from_zero = np.abs(line[..., None] - 50 * np.arange(1, 5) / 4).argmin(axis=-1)
    assert (given != from_zero).mean() > 0.05, "count the steps from the darkest grey value of the picture, not from 0"
    expected = np.abs(line[..., None] - [20, 30, 40, 50]).argmin(axis=-1)
    assert (given != expected).mean() < 0.05, (
        "for grey values from 10 to 50 and k = 4 the centres are 20, 30, 40 and 50, and each value joins the nearest"
    )
    ### BEGIN HIDDEN TESTS
    for k in (2, 4, 7):
        assert (np.asarray(ibc(picture, k)) == segmentation.ibc(picture, k).labels).mean() > 0.999, (
            f"with k = {k} the clusters of a micrograph are not those of IBC"
        )
    ### END HIDDEN TESTS

# %%
# Your clusters, once the function works:
try:
    plt.imshow(ibc(picture, 4), cmap="gray")
    plt.axis("off")
    plt.show()
except NotImplementedError:
    print("Solve task 1 to see the clusters of a micrograph here.")

# %% [markdown]
# ## Task 2: clean a mask (3 points)
#
# `mask` has particles of about `diameter` pixels, small speckles and large patches. Return a mask with only those
# connected objects whose **area** is between half and twice that of a disc of this diameter (lesson 02, *Cleaning the
# mask*). `ndimage.label(mask)` numbers the objects from 1 and returns the numbered picture and how many there are;
# `np.bincount(numbered.ravel())` counts the pixels of each number, 0 (the background) included.

# %% nbgrader={"grade": false, "grade_id": "mask", "locked": true, "schema_version": 3, "solution": false, "task": false}
mask, particles = drawn_pictures.speckled_mask(seed, diameter=30)
plt.imshow(mask, cmap="gray")
plt.axis("off")
plt.show()


# %% nbgrader={"grade": false, "grade_id": "clean", "locked": false, "schema_version": 3, "solution": true, "task": false}
def clean(mask, diameter):
    """Return the mask without objects that are much smaller or larger than a particle."""
    ### BEGIN SOLUTION
    numbered, _ = ndimage.label(mask)
    area = np.bincount(numbered.ravel())
    disc = np.pi / 4 * diameter**2
    kept = (area >= disc / 2) & (area <= 2 * disc)
    kept[0] = False
    return kept[numbered]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "clean-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["raises-exception"]
with check("Task 2"):
    given = np.asarray(clean(mask, 30))
    assert given.shape == mask.shape, "return a mask of the same shape"
    assert given.dtype == bool, "return a mask of True and False, such as `numbered > 0`"
    assert not given[~mask].any(), "the background is in your mask: the number 0 is no object"
    disc = np.pi / 4 * 30**2
    numbered, count = ndimage.label(given)
    area = np.bincount(numbered.ravel())[1:]
    assert count, "nothing is left. The area of a disc is pi / 4 times the square of its diameter"
    assert area.min() >= disc / 2, f"an object of {area.min()} pixels is left; a disc of 30 pixels has {disc:.0f}"
    assert area.max() <= 2 * disc, f"an object of {area.max()} pixels is left; a disc of 30 pixels has {disc:.0f}"
    two = np.zeros((60, 120), bool)
    two[5:25, 5:25], two[5:47, 60:98] = True, True
    areas = sorted(np.bincount(ndimage.label(clean(two, 30))[0].ravel())[1:])
    assert areas == [400], (
        "of two objects of 400 and 1,596 pixels the first has to stay and the second to go, because a disc of 30 pixels "
        f"has {disc:.0f}: do you take the area of a disc, pi / 4 times the square of its diameter, or that of a square?"
    )
    assert (given == particles).all(), (
        "some particles are missing, or cut: did you take the diameter for the radius, or change the shape of objects?"
    )
    ### BEGIN HIDDEN TESTS
    for number, diameter in enumerate((18, 44)):
        dirty, only = drawn_pictures.speckled_mask(seed_from_name(f"hidden {number}"), diameter=diameter)
        assert (np.asarray(clean(dirty, diameter)) == only).all(), (
            f"with particles of {diameter} pixels the mask is wrong: use the argument `diameter`"
        )
    ### END HIDDEN TESTS

# %% [markdown]
# ## Task 3: circularity (2 points)
#
# The circularity of an object with the area $A$ and the perimeter $P$ is $P^2 / (4 \pi A)$ (lesson 02, *Circularity*).
# Write it as a function of area and perimeter; it should also work for arrays of them. (Beware when you compare numbers:
# in many programs *circularity* means the reciprocal.)


# %% nbgrader={"grade": false, "grade_id": "circularity", "locked": false, "schema_version": 3, "solution": true, "task": false}
def circularity(area, perimeter):
    """Return the circularity: 1 for a circle, more for everything else."""
    ### BEGIN SOLUTION
    return perimeter**2 / (4 * np.pi * area)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "circularity-test", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["raises-exception"]
with check("Task 3"):
    radius = np.array([1.0, 5.0, 20.0])
    given = circularity(np.pi * radius**2, 2 * np.pi * radius)
    assert np.shape(given) == (3,), "for arrays of three areas and perimeters return three numbers"
    assert np.allclose(given, given[0]), "large and small circles have to get the same number: square the perimeter"
    assert np.allclose(given, 1), f"circles have to get 1, not {given[0]:g}"
    square = circularity(4.0, 8.0)
    assert square > 1, "everything but a circle has to get more than 1: is your fraction upside down?"
    assert np.isclose(square, 4 / np.pi), f"a square has 4 / pi = 1.273, not {square:g}"
    ### BEGIN HIDDEN TESTS
    for ratio in (2, 3, 10):
        expected = (1 + ratio) ** 2 / (np.pi * ratio)
        assert np.isclose(circularity(ratio * 9, 6 * (1 + ratio)), expected), f"wrong for a {ratio}:1 rectangle"
    ### END HIDDEN TESTS

# %% [markdown]
# ## Task 4: long or square, in any direction (3 points)
#
# A side view of KLH is a rectangle at any angle. Its *Feret diameter* along a direction is the distance between two
# parallel lines that just touch it: project the object's pixels onto the direction, and take largest minus smallest.
# Try directions of 0, 1, 2 ... 179 degrees (`np.cos` wants radians: `np.radians` converts). The smallest Feret diameter
# is the object's width, and the one at 90 degrees to that direction is its length. Return length / width (lesson 02,
# *Rectangles: Feret diameters*).


# %% nbgrader={"grade": false, "grade_id": "feret", "locked": false, "schema_version": 3, "solution": true, "task": false}
def length_to_width(mask):
    """Return the ratio of an object's length to its width, whatever its direction."""
    ### BEGIN SOLUTION
    row, column = np.nonzero(mask)
    angle = np.radians(np.arange(180))
    projected = np.outer(np.cos(angle), column) + np.outer(np.sin(angle), row)
    diameter = np.ptp(projected, axis=1)
    across = int(diameter.argmin())
    return diameter[(across + 90) % 180] / diameter[across]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "feret-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["raises-exception"]
with check("Task 4"):
    rectangle, ratio = drawn_pictures.turned_rectangle(seed)
    row, column = np.nonzero(rectangle)
    given = length_to_width(rectangle)
    upright = np.zeros((64, 64), bool)
    upright[10:50, 20:50] = True
    straight = length_to_width(upright)
    assert not np.isclose(straight, 5 / 3, rtol=0.03), (
        "the largest Feret diameter of a rectangle is its diagonal; the length is the one at 90 degrees to the width. (If "
        "that is what you take: np.cos wants radians.)"
    )
    assert straight > 1, "that is width / length, or something else below 1: divide the length by the width"
    assert np.isclose(straight, 4 / 3, rtol=0.05), (
        f"an upright rectangle of 40 x 30 pixels has a ratio of 1.33, not {straight:.2f}"
    )
    assert not np.isclose(given, max(np.ptp(row) / np.ptp(column), np.ptp(column) / np.ptp(row)), rtol=0.02), (
        "rows and columns alone are not enough: this rectangle lies at a slant. Project onto many directions"
    )
    assert np.isclose(given, ratio, rtol=0.1), (
        f"the sides of this rectangle have a ratio of {ratio:.2f}, not {given:.2f}. The width is the smallest Feret "
        "diameter; the length is the one at 90 degrees to it"
    )
    ### BEGIN HIDDEN TESTS
    for number in range(4):
        other, ratio = drawn_pictures.turned_rectangle(seed_from_name(f"hidden {number}"))
        assert np.isclose(length_to_width(other), ratio, rtol=0.1), (
            "wrong for a rectangle of another size and direction"
        )
    ### END HIDDEN TESTS

# %% [markdown]
# ## Quiz
#
# Five questions on the lesson, without points.

# %% nbgrader={"grade": false, "grade_id": "quiz", "locked": true, "schema_version": 3, "solution": false, "task": false}
quiz("02")
