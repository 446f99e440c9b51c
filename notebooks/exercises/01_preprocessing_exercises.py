# %% [markdown]
# # Exercises 01: preprocessing
#
# These exercises belong to lesson 01, *Preprocessing*. Afterwards you can
#
# - stretch and equalise grey values, and say how the two differ
# - measure how well particles stand out, and find the blur that suits them
# - tell which operations depend on the camera's gain and which do not
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
from scipy.ndimage import gaussian_filter

from cryokit import imaging
from cryokit.cli.exercises import check, drawn_pictures, quiz
from cryokit.coordinates import IGNORE
from cryokit.simulate import seed_from_name

seed = seed_from_name(STUDENT, "exercises 01")
micrograph, truth = drawn_pictures.particles(seed)
truth = truth[truth["view"] != IGNORE]
picture = micrograph.data
inside = drawn_pictures.discs(picture.shape, truth)
print(f"Data drawn for {STUDENT}: a simulated micrograph with {len(truth)} whole particles.")

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 4))
left.imshow(picture, cmap="gray")
left.set(title="picture", xticks=[], yticks=[])
right.imshow(inside, cmap="gray")
right.set(title="inside: where the particles are", xticks=[], yticks=[])
plt.show()

# %% [markdown]
# ## Task 1: stretch the contrast (2 points)
#
# A few extreme pixels must not decide what the others look like. Write a function that maps the grey value at the
# percentile `low` to 0 and that at the percentile `high` to 1, everything between in proportion, and clips what lies
# outside (lesson 01, *Normalise and stretch*).


# %% nbgrader={"grade": false, "grade_id": "stretch", "locked": false, "schema_version": 3, "solution": true, "task": false}
def stretch(picture, low=1, high=99):
    """Return the picture with grey values from 0 to 1; `low` and `high` are percentiles."""
    ### BEGIN SOLUTION
    dark, bright = np.percentile(picture, (low, high))
    return np.clip((picture - dark) / (bright - dark), 0, 1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "stretch-test", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["raises-exception"]
with check("Task 1"):
    given = np.asarray(stretch(picture))
    assert given.shape == picture.shape, "return a picture of the same shape"
    for wrong, words in ((given.min() < 0, "below 0"), (given.max() > 1, "above 1")):
        assert not wrong, (
            f"some values are {words}: map the two percentiles to 0 and 1 first, then clip what lies outside the percentiles"
        )
    assert np.isclose((given == 0).mean(), 0.01, atol=0.004), (
        f"a hundredth of the pixels has to be exactly 0, but {(given == 0).mean():.5f} are: is the darkest pixel, rather "
        "than the 1st percentile, mapped to 0?"
    )
    assert np.isclose((given == 1).mean(), 0.01, atol=0.004), "a hundredth of the pixels has to be exactly 1"
    ### BEGIN HIDDEN TESTS
    ramp = np.random.default_rng(2).permutation(np.arange(1001.0)).reshape(77, 13)
    assert np.allclose(stretch(ramp, 10, 60), np.clip((ramp - 100) / 500, 0, 1)), (
        "with low=10 and high=60 the result is wrong: use the arguments, and keep the values between in proportion"
    )
    ### END HIDDEN TESTS

# %% [markdown]
# ## Task 2: equalise the histogram (2 points)
#
# Histogram equalisation gives every pixel its **rank**: the share of pixels that are darker. All grey values are then
# equally frequent (lesson 01, *Equalise the histogram*). Three lines are enough: sort the pixels, find each pixel's place
# among them (`np.searchsorted`), divide by their number. The order of grey values must be kept across the whole picture,
# and equal pixels must stay equal.


# %% nbgrader={"grade": false, "grade_id": "equalise", "locked": false, "schema_version": 3, "solution": true, "task": false}
def equalise(picture):
    """Return, for each pixel, the share of pixels that are darker than it."""
    ### BEGIN SOLUTION
    values = np.sort(picture, axis=None)
    return np.searchsorted(values, picture) / picture.size
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "equalise-test", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["raises-exception"]
with check("Task 2"):
    given = np.asarray(equalise(picture))
    assert given.shape == picture.shape, "return a picture of the same shape"
    assert given.min() >= 0, "no share is below 0"
    assert given.max() <= 1, "no share is above 1: divide each pixel's place by the number of pixels"
    counts, _ = np.histogram(given, 10, (0, 1))
    assert counts.max() < 1.3 * counts.min(), (
        "the histogram of your result is not flat: values in the middle are much more frequent than at the ends. "
        "Stretching moves the ends; equalising needs the rank of each pixel among all pixels"
    )
    order = np.argsort(picture, axis=None)
    assert not (np.diff(given.ravel()[order]) <= 0).all(), "bright and dark are exchanged: count the darker pixels"
    assert (np.diff(given.ravel()[order]) >= 0).all(), (
        "a pixel that was darker than another is now brighter. Do you rank it among the pixels of the whole picture, not "
        "of its row or block? (np.argsort has the places of the pixels in order, which is not the rank of each pixel.)"
    )
    six = np.array([[5, 4, 5], [7, 7, 9]])
    assert np.allclose(equalise(six), np.array([[1, 0, 1], [3, 3, 5]]) / 6), (
        f"of {six.tolist()} the shares of darker pixels are 0 for the 4, 1/6 for both 5s, 3/6 for both 7s and 5/6 for the "
        "9: equal pixels have to stay equal, and a pixel is not darker than itself"
    )
    ### BEGIN HIDDEN TESTS
    coarse = np.array([[3, 1, 3], [2, 2, 9]])
    assert np.allclose(equalise(coarse), np.array([[3, 0, 3], [1, 1, 5]]) / 6), (
        "equal pixels have to stay equal: each gets the share of pixels that are darker"
    )
    ### END HIDDEN TESTS

# %% [markdown]
# ## Task 3: how well do particles stand out? (2 points)
#
# The *contrast-to-noise ratio* is the distance between the mean grey value inside and outside the particles, divided by
# the standard deviation outside. It tells how far the two histograms lie apart (lesson 01, *Numbers*). It is positive
# whether particles are dark or bright.


# %% nbgrader={"grade": false, "grade_id": "contrast", "locked": false, "schema_version": 3, "solution": true, "task": false}
def contrast_to_noise(picture, inside):
    """Return the contrast-to-noise ratio; `inside` is True where particles are."""
    ### BEGIN SOLUTION
    return abs(picture[inside].mean() - picture[~inside].mean()) / picture[~inside].std()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "contrast-test", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["raises-exception"]
with check("Task 3"):
    tiny = np.array([[2.0, 6.0, 0.0, 0.0], [6.0, 2.0, 1.0, 1.0]])
    where = tiny > 1.5
    given = contrast_to_noise(tiny, where)
    assert np.ndim(given) == 0, "return one number"
    assert not np.isclose(given, 3.5), "that is the contrast; divide it by the noise, the standard deviation outside"
    assert not np.isclose(given, 1.75), (
        "you divide by the standard deviation inside the particles; the noise is what varies outside"
    )
    assert np.isclose(given, 7), (
        f"for {tiny.tolist()}, with the values above 1.5 inside, the means differ by 3.5 and the standard deviation "
        f"outside is 0.5, so the result has to be 7, not {given:g}"
    )
    assert np.isclose(contrast_to_noise(-tiny, where), 7), (
        "dark particles count like bright ones: take the absolute value"
    )
    ### BEGIN HIDDEN TESTS
    rng = np.random.default_rng(4)
    for level in (-3, 0.5, 7):
        noise, mask = rng.normal(50, 2, (200, 200)), np.zeros((200, 200), bool)
        mask[:70] = True
        expected = abs(level) / 2
        assert np.isclose(contrast_to_noise(noise + level * mask, mask), expected, atol=0.05), (
            f"particles that differ by {level} from a background with a standard deviation of 2 have a ratio of {expected}"
        )
    ### END HIDDEN TESTS

# %% [markdown]
# ## Task 4: the blur that suits the particles (3 points)
#
# Blurring removes noise, and in the end the particles, too (lesson 01, *Why not simply blur?*). Write a function that
# blurs the picture with each of `sigmas` (`gaussian_filter(picture, sigma)`), measures how well particles stand out and
# returns the best sigma. You may call your function of task 3.


# %% nbgrader={"grade": false, "grade_id": "blur", "locked": false, "schema_version": 3, "solution": true, "task": false}
def best_sigma(picture, inside, sigmas):
    """Return the one of `sigmas` with which the particles stand out most."""
    ### BEGIN SOLUTION
    ratios = [contrast_to_noise(gaussian_filter(picture, sigma), inside) for sigma in sigmas]
    return sigmas[int(np.argmax(ratios))]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "blur-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["raises-exception"]
def ratio(picture, inside, sigma):
    blurred = gaussian_filter(picture, sigma)
    return abs(blurred[inside].mean() - blurred[~inside].mean()) / blurred[~inside].std()


with check("Task 4"):
    sigmas = [0.6, 1.2, 2.4, 4.8, 9.6, 19.2, 38.4]
    given = best_sigma(picture, inside, sigmas)
    assert given in sigmas, f"return one of the sigmas, not {given}: not the ratio, and not its place in the list"
    assert given != max(sigmas), "the strongest blur removes the most noise, but what is left of the particles?"
    assert given != min(sigmas), "the weakest blur keeps the most contrast, but also the noise: divide by it"
    reached, possible = (
        ratio(picture, inside, s) for s in (given, max(sigmas, key=lambda s: ratio(picture, inside, s)))
    )
    assert reached > 0.98 * possible, f"with {given} the ratio is {reached:.2f}; another sigma reaches {possible:.2f}"
    assert best_sigma(picture, inside, sigmas[::-1]) == given, (
        "with the same sigmas in another order the result differs: blur the picture itself each time, not one that has "
        "been blurred already"
    )
    ### BEGIN HIDDEN TESTS
    for number in range(2):
        other, there = drawn_pictures.particles(
            seed_from_name(f"hidden {number}"), side=320, pixel_size=[2.4, 6.4][number]
        )
        mask = drawn_pictures.discs(other.data.shape, there)
        tried = [0.7, 1.4, 2.8, 5.6, 11, 22]
        ratios = [ratio(other.data, mask, sigma) for sigma in tried]
        chosen = best_sigma(other.data, mask, tried)
        assert chosen in tried, "return one of the sigmas"
        assert ratios[tried.index(chosen)] > 0.97 * max(ratios), (
            "with particles of another size another sigma is best: try all that are given"
        )
    ### END HIDDEN TESTS

# %% [markdown]
# ## Task 5: what the camera's gain must not change (2 points)
#
# Another camera counts in other units: every grey value is multiplied by a gain and something is added. Good
# preprocessing does not care. Write a function that tests this: it returns True if `stage(picture)` is the same for the
# picture and for `3 * picture + 100`, up to rounding. `stage` is a function that takes a picture and returns one
# (lesson 01, *Every stage*).


# %% nbgrader={"grade": false, "grade_id": "gain", "locked": false, "schema_version": 3, "solution": true, "task": false}
def ignores_gain(stage, picture):
    """Return whether the result of a stage depends on neither gain nor offset of the camera."""
    ### BEGIN SOLUTION
    return bool(np.allclose(stage(picture), stage(3 * picture + 100), atol=1e-4))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "gain-test", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["raises-exception"]
with check("Task 5"):
    grey = np.sqrt(np.asarray(picture, dtype=float))
    given = ignores_gain(imaging.mat2gray, grey)
    assert np.ndim(given) == 0, "return one answer for the whole picture, not one for each pixel: use np.allclose"
    assert given in (True, False), "return True or False"
    assert ignores_gain(imaging.mat2gray, grey), (
        "`mat2gray` subtracts the minimum and divides by the range, so gain and offset cancel. Do you compare with == ? "
        "Numbers that went another way differ in the last digit: use np.allclose. And compare the results of the stage "
        "with each other, not with the picture"
    )
    assert not ignores_gain(lambda p: gaussian_filter(p, 3), grey), (
        "blurring keeps the gain: of a picture three times as bright the blurred one is three times as bright, too"
    )
    assert not ignores_gain(lambda p: p / p.std(), grey), (
        "dividing by the standard deviation removes the gain but not the offset: try both at once"
    )
    assert not ignores_gain(lambda p: p - p.mean(), grey), "subtracting the mean removes the offset but not the gain"
    ### BEGIN HIDDEN TESTS
    assert not ignores_gain(np.sqrt, grey - grey.min()), "a square root depends on the gain"
    assert ignores_gain(lambda p: (p - p.mean()) / p.std(), grey), "standardised pictures are the same"
    assert ignores_gain(lambda p: p > np.median(p), grey), "ranks are the same"
    ### END HIDDEN TESTS

# %% [markdown]
# ## Quiz
#
# Five questions on the lesson, without points.

# %% nbgrader={"grade": false, "grade_id": "quiz", "locked": true, "schema_version": 3, "solution": false, "task": false}
quiz("01")
