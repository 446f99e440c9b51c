"""The operations of the preprocessing against arrays worked out by hand, plain loops and MATLAB's documentation."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage.morphology import disk

from cryokit.errors import ArgumentError
from cryokit.imaging import (
    adapthisteq,
    histeq,
    imadjust,
    imguidedfilter,
    imopen,
    mat2gray,
    stretchlim,
    wiener2,
)

pictures = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12),
    elements=st.floats(0, 1, allow_subnormal=False),
)
some = settings(max_examples=60, deadline=None)


def noise(shape, seed=0):
    return np.random.default_rng(seed).random(shape)


def order_is_kept(before, after):
    values = after.ravel()[np.argsort(before, axis=None, kind="stable")]
    return bool((np.diff(values) >= 0).all())


OPERATIONS = {
    "mat2gray": mat2gray,
    "imadjust": imadjust,
    "histeq": histeq,
    "wiener2": wiener2,
    "adapthisteq": adapthisteq,
    "adapthisteq rayleigh": lambda image: adapthisteq(image, clip_limit=0.99, distribution="rayleigh"),
    "adapthisteq exponential": lambda image: adapthisteq(image, (2, 3), distribution="exponential"),
    "imguidedfilter": imguidedfilter,
    "imopen": lambda image: imopen(image, 2),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_grey_values_stay_between_0_and_1(name):
    @some
    @given(image=pictures)
    def check(image):
        image.flags.writeable = False  # nothing may write into its input
        result = OPERATIONS[name](image)
        assert result.shape == image.shape
        assert (result >= -1e-9).all()
        assert (result <= 1 + 1e-9).all()

    check()


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_keep_their_precision(name, dtype):
    image = noise((50, 61))
    result = OPERATIONS[name](image.astype(dtype))
    assert result.dtype == dtype
    # A grey level next to a rounding edge may fall to the other side in single precision.
    assert np.mean(np.abs(result - OPERATIONS[name](image)) > 1e-4) < 0.01


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("image", [np.zeros(5), np.zeros((2, 2, 2)), np.zeros((0, 4))])
def test_what_is_no_picture_is_refused(name, image):
    with pytest.raises(ArgumentError, match=re.escape(str(np.shape(image)))):
        OPERATIONS[name](image)


# mat2gray, stretchlim, imadjust


def test_mat2gray_is_linear_between_minimum_and_maximum():
    assert mat2gray([[10, 20], [30, 50]]).tolist() == [[0, 0.25], [0.5, 1]]


def test_mat2gray_cuts_off_what_lies_outside_the_limits():
    assert mat2gray([[-5, 0], [5, 20]], (0, 10)).tolist() == [[0, 0], [0.5, 1]]


def test_mat2gray_limits_a_constant_picture_to_0_and_1():
    # Octave's manual, "for compatibility with Matlab": mat2gray([-2 0 0.5 0.9 5], [2 2]) is [0 0 0.5 0.9 1].
    assert mat2gray([[-2, 0, 0.5, 0.9, 5]], (2, 2)).tolist() == [[0, 0, 0.5, 0.9, 1]]
    assert mat2gray([[7, 7]]).tolist() == [[1, 1]]


def test_mat2gray_keeps_small_differences_of_large_single_precision_numbers():
    assert mat2gray(np.array([[1e7, 1e7 + 1, 1e7 + 2]], np.float32)).tolist() == [[0, 0.5, 1]]


def test_stretchlim_finds_the_levels_that_leave_out_a_hundredth_at_each_end():
    # 100 pixels, 0 to 99 ninety-ninths. The first value makes up 0.01, which does not exceed 0.01: the second is the
    # limit. The first 99 make up 0.99, which is reached: the last but one is the limit.
    values = np.random.default_rng(1).permutation(np.arange(100)) / 99
    low, high = stretchlim(values.reshape(4, 25))
    assert low == pytest.approx(1 / 99, abs=0.5 / 65535)
    assert high == pytest.approx(98 / 99, abs=0.5 / 65535)


def test_stretchlim_without_tolerance_is_minimum_and_maximum():
    # MATLAB: "If TOL = 0, LOW_HIGH = [min(I(:)); max(I(:))]."
    low, high = stretchlim([[0.25, 0.5], [0.3, 0.75]], (0, 1))
    assert (low, high) == (pytest.approx(0.25, abs=1e-5), pytest.approx(0.75, abs=1e-5))


def test_stretchlim_gives_the_full_range_when_no_pixels_would_be_left():
    assert stretchlim(np.full((5, 5), 0.4)) == (0, 1)


def test_imadjust_saturates_a_hundredth_at_each_end():
    # 1,000 values on levels of the histogram. The eleventh is the first up to which there are more than 10, the 990th
    # the first up to which there are 990: both become the limits.
    values = np.arange(1000) * 65 / 65535
    result = imadjust(values[None, :])[0]
    assert (result[:11] == 0).all()
    assert (result[989:] == 1).all()
    assert (np.diff(result[10:990]) > 0).all()


@some
@given(image=pictures)
def test_imadjust_keeps_the_order_of_grey_values(image):
    assert order_is_kept(image, imadjust(image, (0.1, 0.8)))


# histeq


def test_histeq_puts_four_of_256_grey_levels_on_each_of_64():
    # Four pixels at each level k: c0(k) - h(k) / 2 = 4 k + 2 lies between 16 i and 16 (i + 1) for i = k // 4.
    levels = np.repeat(np.arange(256), 4).reshape(32, 32)
    assert (histeq(levels / 255) == levels // 4 / 63).all()


def test_histeq_counts_the_darkest_and_the_brightest_level_in_full():
    # Two pixels each; 1, 2, 3, 4 pixels wanted up to each of 4 levels. Black: c0 = 2 is reached by the second level,
    # 1/3. White: c0 = 4, the last level.
    assert histeq([[0, 1], [1, 0]], 4) == pytest.approx(np.array([[1 / 3, 1], [1, 1 / 3]]))


def test_histeq_puts_a_constant_grey_at_the_middle():
    # c0 - h / 2 = 3 of 6 pixels; levels reach 1, 2, 3, ...: the third of 6, 0.4.
    assert histeq(np.full((2, 3), 0.7), 6) == pytest.approx(0.4)


@pytest.mark.parametrize("bins", range(2, 257))
def test_histeq_leaves_white_white_whatever_the_rounding(bins):
    # 49 * (1 / 49) is less than 1 in floating point.
    assert histeq([[1.0]], bins).tolist() == [[1]]


@some
@given(image=pictures, bins=st.integers(2, 64))
def test_histeq_minimises_the_error_of_the_cumulative_histogram(image, bins):
    levels = np.floor(image * 255 + 0.5).astype(int)
    expected = np.empty(image.shape)
    for k in np.unique(levels):
        tolerance = np.sum(levels == k) / 2 if 0 < k < 255 else 0
        errors = [image.size * (i + 1) / bins - np.sum(levels <= k) + tolerance for i in range(bins)]
        allowed = [(error, i) for i, error in enumerate(errors) if error >= -image.size * 1.5e-8]
        expected[levels == k] = min(allowed)[1] / (bins - 1)
    assert histeq(image, bins) == pytest.approx(expected)


@some
@given(image=pictures)
def test_histeq_keeps_the_order_of_grey_values(image):
    assert order_is_kept(image, histeq(image))


# wiener2


def loop_windows(image, window, mode, **how):
    """Windows around each pixel, by loops; of an even window one more pixel lies after the centre."""
    before, after = [(size - 1) // 2 for size in window], [size // 2 for size in window]
    padded = np.pad(image, list(zip(before, after, strict=True)), mode, **how)
    return [[padded[i : i + window[0], j : j + window[1]] for j in range(image.shape[1])] for i in range(len(image))]


def loop_mean(image, window, mode="edge", **how):
    return np.array([[each.mean() for each in row] for row in loop_windows(image, window, mode, **how)])


@pytest.mark.parametrize("window", [(3, 3), (5, 5), (1, 3), (2, 4), (7, 7)])
@pytest.mark.parametrize(("border", "mode"), [("zeros", "constant"), ("symmetric", "symmetric")])
def test_wiener2_is_its_formula_at_every_pixel(window, border, mode):
    image = noise((5, 6))
    windows = loop_windows(image, window, mode)
    variances = np.array([[each.var() for each in row] for row in windows])
    level = variances.mean()
    expected = np.empty(image.shape)
    for i, j in np.ndindex(image.shape):
        m, v = windows[i][j].mean(), variances[i, j]
        expected[i, j] = m + (image[i, j] - m) * max(v - level, 0) / max(v, level)
    assert wiener2(image, window, border=border) == pytest.approx(expected)


def test_wiener2_is_the_mean_where_the_noise_is_stronger():
    # Nine pixels 0 or 0.9: around every pixel of the middle the variance is 0.9^2 (1/9)(8/9) = 0.08.
    image = np.zeros((3, 3))
    image[1, 1] = 0.9
    assert wiener2(image, noise=0.08) == pytest.approx(np.full((3, 3), 0.1))


def test_wiener2_keeps_every_pixel_where_there_is_no_noise():
    image = noise((8, 9))
    assert wiener2(image, noise=0) == pytest.approx(image)


def test_wiener2_keeps_a_constant_inside_and_darkens_a_frame():
    # In the corner 4 of 9 pixels are 0.6: m = 4/15, v = 0.36 * 4/9 * 5/9 = 4/45. At an edge 6 of 9: v = 0.08. Of
    # 5 x 5 pixels 4 are corners and 12 edges: noise = (4 * 4/45 + 12 * 0.08) / 25 = 0.0526. What remains at the
    # corner: 4/15 + (4/45 - 0.0526) / (4/45) * (0.6 - 4/15).
    level = (4 * 4 / 45 + 12 * 0.08) / 25
    result = wiener2(np.full((5, 5), 0.6))
    assert result[1:-1, 1:-1] == pytest.approx(0.6)
    assert result[0, 0] == pytest.approx(4 / 15 + (4 / 45 - level) / (4 / 45) * (0.6 - 4 / 15))
    assert result[0, 2] == pytest.approx(0.4 + (0.08 - level) / 0.08 * 0.2)


@pytest.mark.parametrize("grey", [0, 0.3, 1])
def test_wiener2_with_a_mirrored_border_keeps_a_constant_everywhere(grey):
    assert wiener2(np.full((6, 7), grey), (5, 5), border="symmetric") == pytest.approx(np.full((6, 7), grey))


# adapthisteq


def one_tile(counts, bins, shape, **how):
    """Mapping of each grey level that `adapthisteq` makes of one tile with these numbers of pixels."""
    image = np.repeat(np.arange(bins), counts).reshape(shape) / (bins - 1)
    result = adapthisteq(image, (1, 1), bins=bins, **how)
    return {k: float(result[image == k / (bins - 1)][0]) for k in range(bins) if counts[k]}


def test_adapthisteq_with_one_tile_and_no_limit_is_the_cumulative_histogram():
    image = noise((10, 12))
    levels = np.floor(image * 255 + 0.5)
    shares = [[np.mean(levels <= level) for level in row] for row in levels]
    assert adapthisteq(image, (1, 1), clip_limit=1) == pytest.approx(np.array(shares))


def test_adapthisteq_with_clip_limit_0_fills_all_levels_equally():
    # 16 pixels at 4 levels: the lowest limit is 4, which leaves 4 at each level, whatever there was.
    assert one_tile([10, 4, 2, 0], 4, (4, 4), clip_limit=0) == pytest.approx({0: 0.25, 1: 0.5, 2: 0.75})


def test_adapthisteq_hands_the_excess_out_to_the_levels_below_the_limit():
    # Limit 4 + round(0.25 * (16 - 4)) = 7: 3 of the 10 pixels go, one to each other level: 7, 5, 3, 1.
    mapping = one_tile([10, 4, 2, 0], 4, (4, 4), clip_limit=0.25)
    assert mapping == pytest.approx({0: 7 / 16, 1: 12 / 16, 2: 15 / 16})


def test_adapthisteq_spreads_a_small_excess_from_the_first_level_on():
    # 8 levels, limit 2 + round(0.5 * 14) = 9: of 10 pixels at level 3 one goes, to level 0.
    mapping = one_tile([0, 0, 0, 10, 6, 0, 0, 0], 8, (4, 4), clip_limit=0.5)
    assert mapping == pytest.approx({3: 10 / 16, 4: 1})
    # Limit 2 + round(0.43 * 14) = 8: two go, every fourth level: 0 and (level 4 is below the limit) 4.
    mapping = one_tile([0, 0, 0, 10, 6, 0, 0, 0], 8, (4, 4), clip_limit=0.43)
    assert mapping == pytest.approx({3: 9 / 16, 4: 1})


def test_adapthisteq_gives_out_the_even_share_first():
    # Limit 2 + round(0.2 * 14) = 5; 11 too many: one for each of the 7 other levels, and the four left to every second
    # level (8 // 4), 0, 2, 4, 6. Before level 3: 2 + 1 + 2 = 5; with it 10.
    mapping = one_tile([0, 0, 0, 16, 0, 0, 0, 0], 8, (4, 4), clip_limit=0.2)
    assert mapping == pytest.approx({3: 10 / 16})
    # The first level itself keeps 5.
    assert one_tile([16, 0, 0, 0, 0, 0, 0, 0], 8, (4, 4), clip_limit=0.2) == pytest.approx({0: 5 / 16})


def test_adapthisteq_follows_the_rayleigh_distribution():
    # 1 - exp(-x^2 / (2 alpha^2)) with exp(-1 / (2 alpha^2)) = 1/16: at x = 1/2 it is 1 - (1/16)^(1/4) = 1/2, which is
    # 8/15 of its value at 1, 15/16.
    alpha = 1 / math.sqrt(2 * math.log(16))
    mapping = one_tile([32, 28], 2, (6, 10), clip_limit=1, distribution="rayleigh", alpha=alpha)
    assert mapping == pytest.approx({0: 0.5, 1: 1})


def test_adapthisteq_follows_the_exponential_distribution():
    # 1 - exp(-alpha x) with exp(-alpha) = 1/4: at x = 1/2 it is 1/2, which is 2/3 of its value at 1, 3/4.
    mapping = one_tile([40, 20], 2, (6, 10), clip_limit=1, distribution="exponential", alpha=math.log(4))
    assert mapping == pytest.approx({0: 0.5, 1: 1})


@pytest.mark.parametrize("distribution", ["rayleigh", "exponential"])
@pytest.mark.parametrize("alpha", [0.01, 0.1, 1, 10, 100])
def test_adapthisteq_is_a_number_for_every_alpha(distribution, alpha):
    result = adapthisteq(noise((20, 20)), distribution=distribution, alpha=alpha)
    assert ((result >= 0) & (result <= 1)).all()


@pytest.mark.parametrize(
    ("shape", "tiles"), [((8, 12), (2, 3)), ((7, 11), (2, 3)), ((9, 10), (2, 2)), ((13, 5), (3, 1))]
)
def test_adapthisteq_interpolates_between_the_centres_of_tiles(shape, tiles):
    image = noise(shape)
    # The smallest even tiles that cover the picture; the padding is split, the larger half at the end.
    height, width = (2 * -(-size // (2 * n)) for size, n in zip(shape, tiles, strict=True))
    rows, columns = height * tiles[0] - shape[0], width * tiles[1] - shape[1]
    top, left = rows // 2, columns // 2
    levels = np.pad(np.floor(image * 255 + 0.5), ((top, rows - top), (left, columns - left)), "symmetric")

    def share(tile_row, tile_column, level):
        tile_row, tile_column = min(max(tile_row, 0), tiles[0] - 1), min(max(tile_column, 0), tiles[1] - 1)
        tile = levels[tile_row * height : (tile_row + 1) * height, tile_column * width : (tile_column + 1) * width]
        return np.mean(tile <= level)

    expected = np.empty(levels.shape)
    for i, j in np.ndindex(levels.shape):
        (r, down), (c, right) = divmod(i / height - 0.5, 1), divmod(j / width - 0.5, 1)
        r, c = int(r), int(c)
        upper = (1 - right) * share(r, c, levels[i, j]) + right * share(r, c + 1, levels[i, j])
        lower = (1 - right) * share(r + 1, c, levels[i, j]) + right * share(r + 1, c + 1, levels[i, j])
        expected[i, j] = (1 - down) * upper + down * lower
    result = adapthisteq(image, tiles, clip_limit=1)
    assert result == pytest.approx(expected[top : top + shape[0], left : left + shape[1]])


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (3, 5), (15, 17)])
@pytest.mark.parametrize("clip_limit", [0, 0.02, 1])
@pytest.mark.parametrize("distribution", ["uniform", "rayleigh", "exponential"])
def test_adapthisteq_keeps_constants_constant_even_in_pictures_smaller_than_the_tiles(shape, clip_limit, distribution):
    result = adapthisteq(np.full(shape, 0.62), clip_limit=clip_limit, distribution=distribution)
    assert result.shape == shape
    assert np.unique(result).size == 1


# imguidedfilter


@pytest.mark.parametrize("window", [(3, 3), (1, 5), (2, 4), (5, 5)])
def test_imguidedfilter_is_the_mean_of_linear_fits_in_all_windows(window):
    image = noise((6, 7))
    slope, offset = np.empty(image.shape), np.empty(image.shape)
    for i, row in enumerate(loop_windows(image, window, "edge")):
        for j, pixels in enumerate(row):
            slope[i, j] = pixels.var() / (pixels.var() + 0.02)
            offset[i, j] = pixels.mean() - slope[i, j] * pixels.mean()
    expected = loop_mean(slope, window) * image + loop_mean(offset, window)
    assert imguidedfilter(image, window, 0.02) == pytest.approx(expected)


def test_imguidedfilter_smooths_by_a_hundredth_of_the_squared_range_of_floats():
    # MATLAB: the default is 0.01 * diff(getrangefromclass(G)).^2, 0.01 for floats, however little contrast there is.
    image = 0.4 + 0.2 * noise((12, 12))
    assert (imguidedfilter(image) == imguidedfilter(image, (5, 5), 0.01)).all()


@some
@given(image=pictures)
def test_imguidedfilter_without_smoothing_is_the_picture_itself(image):
    assert imguidedfilter(image, smoothing=0) == pytest.approx(image, abs=1e-7)


@some
@given(image=pictures)
def test_imguidedfilter_with_endless_smoothing_is_the_mean_of_means(image):
    assert imguidedfilter(image, window=(3, 5), smoothing=1e12) == pytest.approx(
        loop_mean(loop_mean(image, (3, 5)), (3, 5)), abs=1e-9
    )


# imopen


def test_imopen_removes_what_is_narrower_than_the_disc_and_keeps_the_rest():
    # A bright cross holds the disc of radius 1, the line of 3 pixels and the single one do not.
    image = np.zeros((7, 9))
    image[1, 2] = image[2, 1:4] = image[3, 2] = 0.8
    kept = image.copy()
    image[5, 1:4] = image[3, 7] = 0.6
    assert (imopen(image, 1) == kept).all()


def test_imopen_is_not_stopped_by_the_border():
    # Outside, nothing is darker for the erosion and nothing brighter for the dilation: a bright corner of 2 x 2 pixels
    # is where its own corner keeps the disc's value.
    image = np.zeros((4, 4))
    image[:2, :2] = 1
    opened = np.zeros((4, 4))
    opened[0, 0] = opened[0, 1] = opened[1, 0] = 1
    assert (imopen(image, 1) == opened).all()


@pytest.mark.parametrize("radius", [0, 1, 2, 3, 5, 9])
@pytest.mark.parametrize("shape", [(1, 1), (3, 8), (20, 17)])
def test_imopen_is_erosion_then_dilation(radius, shape):
    image = noise(shape)
    eroded = ndimage.grey_erosion(image, footprint=disk(radius), mode="constant", cval=np.inf)
    expected = ndimage.grey_dilation(eroded, footprint=disk(radius), mode="constant", cval=-np.inf)
    assert (imopen(image, radius) == expected).all()


@some
@given(image=pictures, radius=st.integers(0, 4))
def test_opening_darkens_only_and_opening_again_changes_nothing(image, radius):
    opened = imopen(image, radius)
    assert (opened <= image).all()
    assert (imopen(opened, radius) == opened).all()


# Arguments


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda image: stretchlim(image, (0.5, 0.5)), "tolerance .* 0.5 and 0.5$"),
        (lambda image: stretchlim(image, (-0.1, 0.5)), "tolerance .* -0.1 and 0.5$"),
        (lambda image: imadjust(image, (0.5, 0.5)), "limits .* 0.5 and 0.5$"),
        (lambda image: histeq(image, 1), "bins .* 1$"),
        (lambda image: histeq(image, 2.5), r"bins .* 2\.5$"),
        (lambda image: wiener2(image, (0, 3)), "window .* 0$"),
        (lambda image: wiener2(image, noise=-1), "noise .* -1$"),
        (lambda image: wiener2(image, border="edge"), "border .* 'edge'$"),
        (lambda image: adapthisteq(image, (0, 8)), "tiles .* 0$"),
        (lambda image: adapthisteq(image, clip_limit=1.5), r"clip_limit .* 1\.5$"),
        (lambda image: adapthisteq(image, bins=1), "bins .* 1$"),
        (lambda image: adapthisteq(image, distribution="normal"), "distribution .* 'normal'$"),
        (lambda image: adapthisteq(image, distribution="rayleigh", alpha=0), "alpha .* 0$"),
        (lambda image: imguidedfilter(image, smoothing=-1), "smoothing .* -1$"),
        (lambda image: imguidedfilter(image, window=(3, 2.5)), r"window .* 2\.5$"),
        (lambda image: imopen(image, -1), "radius .* -1$"),
        (lambda image: imopen(image, 0.5), r"radius .* 0\.5$"),
    ],
)
def test_impossible_arguments_are_named(call, words):
    with pytest.raises(ArgumentError, match=words):
        call(noise((5, 5)))
