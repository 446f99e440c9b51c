# %% [markdown]
# # Exercises 00: micrographs and picks
#
# These exercises belong to lesson 00, *Micrographs and picks*. Afterwards you can
#
# - measure how noisy a picture of a particle is
# - take coordinates from a micrograph to a binned copy of it
# - read the astigmatism of a lens from a power spectrum
# - say how good a list of picks is
#
# In each task, replace `raise NotImplementedError()` by your answer and run the cell, then the check below it. A check
# says what to look at if the answer is not right yet. Allow 30 minutes for 12 points.
#
# First write your name: your data are drawn from it and differ from everybody else's.

# %%
STUDENT = "Ada Lovelace"  # your name

# %% nbgrader={"grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import matplotlib.pyplot as plt
import numpy as np

from cryokit import imaging
from cryokit.cli.exercises import check, drawn_pictures, quiz
from cryokit.simulate import seed_from_name

seed = seed_from_name(STUDENT, "exercises 00")
print(f"Data drawn for {STUDENT}.")

# %% [markdown]
# ## Task 1: the signal-to-noise ratio of a crop (3 points)
#
# `crop.pixels` shows one particle in noise; `crop.inside` is a mask of the pixels that the particle covers. The
# signal-to-noise ratio (SNR) is the variance of the particle's own contrast divided by the variance of the noise
# (lesson 00, *Contrast and noise*).
#
# Nobody shows you the particle without noise. But noise is everywhere, and outside the particle there is nothing else;
# and the variance of a sum of two independent things is the sum of their variances.
#
# Write a function that returns the SNR of such a crop.

# %% nbgrader={"grade": false, "grade_id": "crop", "locked": true, "schema_version": 3, "solution": false, "task": false}
crop = drawn_pictures.noisy_crop(seed)
figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.5))
left.imshow(crop.pixels, cmap="gray")
left.set(title="crop.pixels", xticks=[], yticks=[])
right.imshow(crop.inside, cmap="gray")
right.set(title="crop.inside", xticks=[], yticks=[])
plt.show()


# %% nbgrader={"grade": false, "grade_id": "snr", "locked": false, "schema_version": 3, "solution": true, "task": false}
def snr(pixels, inside):
    """Return the signal-to-noise ratio of a particle; `inside` is True where the particle is."""
    ### BEGIN SOLUTION
    noise = pixels[~inside].var()
    return (pixels[inside].var() - noise) / noise
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "snr-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["raises-exception"]
with check("Task 1"):
    given = snr(crop.pixels, crop.inside)
    spread = crop.pixels[crop.inside].std() / crop.pixels[~crop.inside].std()
    assert np.ndim(given) == 0, "return one number, not an array: the variance of all pixels of a region is one number"
    assert not np.isclose(given, spread**2, rtol=0.003), (
        "inside the particle the variance is that of signal and noise together; subtract the noise's to be left with "
        "the signal's"
    )
    assert not np.isclose(given, [spread, spread - 1], rtol=0.003).any(), (
        "that is a ratio of standard deviations; the SNR is a ratio of variances"
    )
    step = crop.pixels[crop.inside].mean() - crop.pixels[~crop.inside].mean()
    assert not np.isclose(given, step**2 / crop.pixels[~crop.inside].var(), rtol=0.003), (
        "that compares the means inside and outside; the SNR is a ratio of variances, and a particle has light and dark "
        "parts of its own"
    )
    assert np.isclose(given, crop.snr, rtol=0.2, atol=0.06), (
        f"your {given:.3f} is not the SNR of this crop. Which pixels tell you the variance of the noise alone, and "
        "which that of signal and noise together?"
    )
    ### BEGIN HIDDEN TESTS
    for number in range(5):
        other = drawn_pictures.noisy_crop(seed_from_name(f"hidden {number}"), side=200)
        given = snr(other.pixels, other.inside)
        assert np.isclose(given, other.snr, rtol=0.2, atol=0.06), (
            f"on another crop the result is {given:.3f} instead of {other.snr:.3f}: use nothing but the function's "
            "two arguments"
        )
    ### END HIDDEN TESTS

# %% [markdown]
# ## Task 2: where did my particle go? (2 points)
#
# A micrograph is binned by averaging blocks of `factor` x `factor` pixels. A particle's centre was at (`x`, `y`) before;
# where is it in the binned picture? (Lesson 00, *Binning*.)
#
# Coordinates count from the **centre** of the first pixel, which is 0. Draw a row of four pixels that become one: what
# were the coordinates of the four centres, and what is the mean of these? That place must become 0.


# %% nbgrader={"grade": false, "grade_id": "binned", "locked": false, "schema_version": 3, "solution": true, "task": false}
def to_binned(x, y, factor):
    """Return the coordinates in a picture that was binned by averaging blocks of pixels."""
    ### BEGIN SOLUTION
    shift = (factor - 1) / 2
    return (x - shift) / factor, (y - shift) / factor
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "binned-test", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["raises-exception"]
with check("Task 2"):
    picture = np.exp(-0.5 * ((np.arange(96) - 41.3) ** 2 + (np.arange(96)[:, None] - 62.8) ** 2) / 5**2)
    row, column = np.indices((24, 24))
    small = imaging.bin_integer(picture, 4).data
    seen = [(small * axis).sum() / small.sum() for axis in (column, row)]
    given = to_binned(41.3, 62.8, 4)
    assert np.shape(given) == (2,), "return two numbers: x, y"
    assert not np.allclose(given, seen[::-1], atol=0.1), "x and y are swapped"
    assert not np.allclose(given, [41.3 / 4, 62.8 / 4], atol=0.01), (
        "nearly: dividing by the factor keeps the centre of the first pixel in place, but in averaging blocks it is the "
        "outer corner of the picture that stays. By how much does the centre of the first pixel move?"
    )
    assert np.allclose(given, seen, atol=0.05), (
        f"a blob at (41.3, 62.8), binned by 4, appears at ({seen[0]:.2f}, {seen[1]:.2f}), not at {given}"
    )
    ### BEGIN HIDDEN TESTS
    for factor in (2, 3, 8):
        middle = (factor - 1) / 2
        assert np.allclose(to_binned(middle, factor + middle, factor), (0, 1)), (
            f"binned by {factor}, the middle of the first block has to be at 0 and that of the second at 1"
        )
    ### END HIDDEN TESTS

# %% [markdown]
# ## Task 3: find the astigmatism (2 points)
#
# A perfect lens makes round Thon rings. An astigmatic one has more underfocus along one direction than along the other,
# and its rings are ellipses. `angles` are directions in degrees (0 along x, 90 along y), and `zeros` is the spatial
# frequency, in 1/Å, of the innermost dark ring along each of them.
#
# Which direction has the **most underfocus**? Remember what more underfocus does to the rings (lesson 00, *Defocus and
# the power spectrum*).

# %% nbgrader={"grade": false, "grade_id": "rings", "locked": true, "schema_version": 3, "solution": false, "task": false}
spectrum = drawn_pictures.thon_rings(seed)
angles = np.arange(0, 180, 10)
zeros = np.array([drawn_pictures.first_zero(spectrum, angle) for angle in angles])

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6))
left.imshow(np.log(spectrum.power), cmap="gray", origin="upper")
left.set(title="power spectrum (logarithm)", xticks=[], yticks=[])
right.plot(angles, zeros, "o-")
right.set(xlabel="direction (degrees)", ylabel="first dark ring (1/Å)")
figure.tight_layout()
plt.show()


# %% nbgrader={"grade": false, "grade_id": "direction", "locked": false, "schema_version": 3, "solution": true, "task": false}
def most_underfocus(angles, zeros):
    """Return the direction, among `angles`, along which the underfocus is largest."""
    ### BEGIN SOLUTION
    return angles[np.argmin(zeros)]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "direction-test", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["raises-exception"]
with check("Task 3"):
    given = most_underfocus(angles, zeros)
    assert np.ndim(given) == 0, "return one direction"
    assert given in angles, f"return one of `angles`, not {given}: not its place in the list, and not a frequency"
    away = abs((given - spectrum.angle + 90) % 180 - 90)
    assert away < 70, "that is the direction of least underfocus. More underfocus moves the rings inwards"
    assert away <= 15, (
        f"at {given} degrees the ring is at {np.interp(given, angles, zeros):.4f} 1/Å; look at the right-hand plot: "
        "along some other direction it lies further in"
    )
    ### BEGIN HIDDEN TESTS
    for number in range(3):
        other = drawn_pictures.thon_rings(seed_from_name(f"hidden {number}"))
        measured = np.array([drawn_pictures.first_zero(other, angle) for angle in angles])
        away = abs((most_underfocus(angles, measured) - other.angle + 90) % 180 - 90)
        assert away <= 15, "with another spectrum the direction is wrong: use nothing but the function's two arguments"
    ### END HIDDEN TESTS

# %% [markdown]
# ## Task 4: how strong is it? (3 points)
#
# At the first dark ring the CTF is zero for the first time. Without spherical aberration and amplitude contrast, which
# matter little there, this means $\pi \lambda \, \Delta z \, f^2 = \pi$ with the wavelength $\lambda$, the underfocus
# $\Delta z$ and the spatial frequency $f$ (lesson 00, *Defocus and the power spectrum*).
#
# The astigmatism is the difference between the largest and the smallest underfocus. Return it in **micrometres**
# (1 µm = 10,000 Å). At 300 kV the wavelength is 0.0197 Å.


# %% nbgrader={"grade": false, "grade_id": "astigmatism", "locked": false, "schema_version": 3, "solution": true, "task": false}
def astigmatism(zeros, wavelength):
    """Return the largest minus the smallest underfocus in micrometres.

    `zeros` are spatial frequencies of the first dark ring along many directions (1/Å); the wavelength is in Å.
    """
    ### BEGIN SOLUTION
    underfocus = 1 / (wavelength * zeros**2)
    return (underfocus.max() - underfocus.min()) / 1e4
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "astigmatism-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["raises-exception"]
with check("Task 4"):
    given = astigmatism(zeros, 0.0197)
    assert np.ndim(given) == 0, "return one number: the largest underfocus minus the smallest"
    assert given > 0, "the difference has to be positive: the largest underfocus minus the smallest"
    assert not np.isclose(given / spectrum.difference, 1e4, rtol=0.2), "that is in Å; 1 µm has 10,000 Å"
    assert not np.isclose(given, np.pi * spectrum.difference, rtol=0.2), (
        "that is about pi times too much: pi stands on both sides of the equation and cancels"
    )
    assert np.isclose(given, spectrum.difference, rtol=0.2), (
        f"your {given:.3g} µm is not the astigmatism of this spectrum. Solve the equation for the underfocus first "
        "(the frequency is squared), then take largest minus smallest, then convert Å to µm"
    )
    ### BEGIN HIDDEN TESTS
    for number in range(3):
        depth = np.random.default_rng(number).uniform(1, 3, 12)
        made = np.sqrt(1 / (0.0251 * depth * 1e4))
        assert np.isclose(astigmatism(made, 0.0251), np.ptp(depth), rtol=0.02), (
            "at 200 kV, with a wavelength of 0.0251 Å, the result is wrong: use the argument `wavelength`"
        )
    ### END HIDDEN TESTS

# %% [markdown]
# ## Task 5: precision, recall and F1 (2 points)
#
# From the numbers of true picks (`tp`), false picks (`fp`) and missed particles (`fn`), return precision, recall and F1
# (lesson 00, *How good are the picks?*). A picker may find nothing, and a micrograph may be empty: then return 0 rather
# than an error for whatever would divide by zero.


# %% nbgrader={"grade": false, "grade_id": "rates", "locked": false, "schema_version": 3, "solution": true, "task": false}
def rates(tp, fp, fn):
    """Return precision, recall and F1."""
    ### BEGIN SOLUTION
    precision = tp / (tp + fp) if tp + fp else 0
    recall = tp / (tp + fn) if tp + fn else 0
    f1 = 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0
    return precision, recall, f1
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "rates-test", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["raises-exception"]
with check("Task 5"):
    given = rates(30, 10, 30)
    assert np.shape(given) == (3,), "return three numbers: precision, recall, F1"
    precision, recall, f1 = given
    assert not np.allclose(given[:2], (0.5, 0.75)), (
        "precision and recall are swapped: precision is the share of the picks that are true"
    )
    assert np.allclose(given[:2], (0.75, 0.5)), "of 40 picks 30 are true, and of 60 particles 30 were found"
    assert not np.isclose(f1, 0.625), "F1 is the harmonic mean of precision and recall, not the ordinary one"
    assert np.isclose(f1, 0.6), "F1 is 2 x precision x recall / (precision + recall)"
    assert np.allclose(rates(0, 0, 12), 0), "without any pick all three have to be 0"
    ### BEGIN HIDDEN TESTS
    assert np.allclose(rates(0, 7, 0), 0), "without any particle all three have to be 0"
    assert np.allclose(rates(0, 0, 0), 0), "without picks and particles all three have to be 0"
    for tp, fp, fn in np.random.default_rng(1).integers(1, 99, (20, 3)):
        expected = tp / (tp + fp), tp / (tp + fn), 2 * tp / (2 * tp + fp + fn)
        assert np.allclose(rates(tp, fp, fn), expected), f"wrong for tp {tp}, fp {fp}, fn {fn}"
    ### END HIDDEN TESTS

# %% [markdown]
# ## Quiz
#
# Five questions on the lesson, without points.

# %% nbgrader={"grade": false, "grade_id": "quiz", "locked": true, "schema_version": 3, "solution": false, "task": false}
quiz("00")
