"""Clusterings against hand-worked cases, exhaustive search and scikit-learn; the choice of the particles' clusters."""

import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cryokit.errors import ArgumentError, ArgumentTypeError, MicrographError
from cryokit.segmentation import (
    Clustering,
    agreement,
    dice,
    fuzzy_cmeans,
    ibc,
    kmeans,
    particle_cluster,
    particle_mask,
    super_kmeans,
    superpixel_count,
    superpixels,
)

METHODS = [ibc, kmeans, fuzzy_cmeans, super_kmeans]
BY_INTENSITY = [ibc, kmeans, fuzzy_cmeans]
# Grey values as multiples of 1/256: sums and products of them are exact, so that ties stay ties.
PICTURES = arrays(np.int16, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 256)).map(
    lambda picture: picture / 256
)


def picture(rng, shape=(60, 50)):
    """Three populations of grey values."""
    kind = rng.integers(0, 3, shape)
    return np.array([0.2, 0.5, 0.85])[kind] + rng.normal(0, [0.03, 0.05, 0.04], (*shape, 3))[..., 0]


def squares(values, labels):
    """Sum of squared distances from the means of the groups."""
    groups = (values[labels == label] for label in np.unique(labels))
    return sum(((group - group.mean()) ** 2).sum() for group in groups)


# --- intensity-based clustering --------------------------------------------------------------------------------------


def test_ibc_by_hand():
    # range 10 ... 18, four steps of 2: centres 12, 14, 16, 18; limits midway, 13, 15 and 17
    image = np.array([[10, 12, 13, 13.1], [14.9, 15, 15.1, 17], [17.1, 18, 10, 18]])
    clustering = ibc(image, 4)
    assert clustering.centres.tolist() == [12, 14, 16, 18]
    assert clustering.labels.tolist() == [[0, 0, 0, 1], [1, 1, 2, 2], [3, 3, 0, 3]]
    assert clustering.labels.dtype == np.uint8
    assert clustering.k == 4
    assert clustering.shares.tolist() == pytest.approx([4 / 12, 3 / 12, 2 / 12, 3 / 12])


def test_ibc_of_a_picture_from_0_to_1_has_the_published_centres_and_may_have_empty_clusters():
    clustering = ibc(np.array([[0.0, 1.0]]), 5)
    assert clustering.centres.tolist() == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert clustering.labels.tolist() == [[0, 4]]


@settings(max_examples=60, deadline=None)
@given(image=PICTURES, k=st.integers(2, 6))
def test_ibc_takes_the_nearest_of_centres_above_the_darkest_value(image, k):
    clustering = ibc(image, k)
    step = (image.max() - image.min()) / k
    assert clustering.centres == pytest.approx(image.min() + step * np.arange(1, k + 1))
    distance = np.abs(image[..., None] - clustering.centres)
    own = np.take_along_axis(distance, clustering.labels[..., None].astype(int), axis=-1)[..., 0]
    assert (own <= distance.min(axis=-1) + 1e-12).all()


@settings(max_examples=60, deadline=None)
@given(image=PICTURES, k=st.sampled_from([2, 4, 8]), factor=st.sampled_from([0.5, 2, 64]), shift=st.integers(-40, 40))
def test_ibc_does_not_depend_on_brightness_and_contrast(image, k, factor, shift):
    assert np.array_equal(ibc(factor * image + shift, k).labels, ibc(image, k).labels)


def test_ibc_treats_dark_and_bright_unequally():
    # By its definition: the darkest cluster is 1.5 steps wide, the brightest half a step.
    ramp = np.linspace(0, 1, 801)[None, :]
    assert ibc(ramp, 4).shares == pytest.approx([0.375, 0.25, 0.25, 0.125], abs=0.002)


# --- k-means ---------------------------------------------------------------------------------------------------------


def least_squares(values, k):
    """The smallest sum of squares of all partitions of increasing values: the best clusters are intervals."""
    return min(
        squares(values, np.searchsorted(cuts, np.arange(len(values)), side="right"))
        for cuts in itertools.combinations(range(1, len(values)), k - 1)
    )


@settings(max_examples=80, deadline=None)
@given(values=st.lists(st.integers(0, 60), min_size=4, max_size=12), k=st.integers(2, 4))
@example(values=[0, 0, 42, 46, 48, 50, 50, 52, 56], k=4)  # all ten starts end in a local optimum: 18.7, not 16
def test_kmeans_is_an_optimum_though_perhaps_a_local_one(values, k):
    values = np.sort(np.array(values, dtype=float))
    labels = kmeans(values[None, :], k).labels[0]
    means = np.array([values[labels == label].mean() for label in np.unique(labels)])
    own = np.array([values[labels == label].mean() for label in labels])
    assert (abs(values - own) <= abs(values[:, None] - means).min(axis=1) + 1e-9).all()
    assert squares(values, labels) >= least_squares(values, k) - 1e-9


def test_kmeans_is_nearly_always_the_best_of_all_partitions():
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(300):
        values, k = np.sort(rng.integers(0, 61, rng.integers(4, 13))).astype(float), int(rng.integers(2, 5))
        found += squares(values, kmeans(values[None, :], k).labels[0]) <= least_squares(values, k) + 1e-9
    assert found >= 0.97 * 300  # of 1500 other draws 99.1 %


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("k", [2, 3, 4, 6])
def test_kmeans_agrees_with_scikit_learn(seed, k):
    from sklearn.cluster import KMeans

    image = picture(np.random.default_rng(seed))
    reference = KMeans(k, n_init=20, random_state=0, tol=0).fit(image.reshape(-1, 1))
    clustering = kmeans(image, k)
    # No more than the bins' width worse than the other's optimum.
    assert squares(image, clustering.labels) <= reference.inertia_ * 1.002
    if k == 3:  # three populations: one optimum, far better than any other
        assert clustering.centres == pytest.approx(
            np.sort(reference.cluster_centers_.ravel()), abs=np.ptp(image) / 1024
        )
        order = np.argsort(np.argsort(reference.cluster_centers_.ravel()))
        assert (clustering.labels.ravel() == order[reference.labels_]).mean() > 0.999


def test_kmeans_centres_are_the_means_of_their_pixels():
    image = picture(np.random.default_rng(5), (200, 300))
    clustering = kmeans(image, 4)
    means = [image[clustering.labels == label].mean() for label in range(4)]
    assert clustering.centres == pytest.approx(means, abs=np.ptp(image) / 1024)


# --- fuzzy c-means ---------------------------------------------------------------------------------------------------


def test_fuzzy_cmeans_by_hand():
    # Values -3, -1, 1, 3, two centres at -c and c. With m = 2 the membership of x in the centre at c is
    # (x + c)^2 / (2 (x^2 + c^2)); for c^2 = s the fixed point sum(u^2 x) = c sum(u^2) becomes
    # sum over x = 1, 3 of 2 x^2 (x^2 + s) / (x^2 + s)^2 = sum of ((x^2 + s)^2 + 4 x^2 s) / (2 (x^2 + s)^2),
    # that is 2/(1 + s) + 18/(9 + s) = 1 + 2 s/(1 + s)^2 + 18 s/(9 + s)^2; its positive root, by bisection:
    def gap(s):
        return 2 / (1 + s) + 18 / (9 + s) - 1 - 2 * s / (1 + s) ** 2 - 18 * s / (9 + s) ** 2

    low, high = 0.5, 20.0
    assert gap(low) > 0 > gap(high)
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if gap(middle) > 0 else (low, middle)
    clustering = fuzzy_cmeans(np.array([[-3.0, -1.0], [1.0, 3.0]]), 2)
    assert clustering.centres == pytest.approx([-np.sqrt(low), np.sqrt(low)], abs=1e-4)
    assert clustering.labels.tolist() == [[0, 0], [1, 1]]


@pytest.mark.parametrize("m", [1.3, 2.0, 2.5])
def test_the_update_equations_hold_at_the_result(m):
    image = picture(np.random.default_rng(7), (70, 80))
    clustering = fuzzy_cmeans(image, 3, m=m)
    pixels = image.ravel()
    distance = np.abs(pixels[None, :] - clustering.centres[:, None])
    ratio = (distance[:, None, :] / distance[None, :, :]) ** (2 / (m - 1))
    membership = 1 / ratio.sum(axis=1)
    assert membership.sum(axis=0) == pytest.approx(1)
    updated = (membership**m * pixels).sum(axis=1) / (membership**m).sum(axis=1)
    assert clustering.centres == pytest.approx(updated, abs=np.ptp(image) / 1024)
    assert np.array_equal(clustering.labels.ravel(), membership.argmax(axis=0))


def test_nearly_crisp_fuzzy_cmeans_is_kmeans():
    image = picture(np.random.default_rng(3))
    assert fuzzy_cmeans(image, 3, m=1.01).centres == pytest.approx(kmeans(image, 3).centres, abs=1e-4)


# --- what holds for all of them --------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(image=PICTURES, k=st.integers(2, 6), method=st.sampled_from(METHODS))
def test_labels_are_ordered_as_grey_values(image, k, method):
    clustering = method(image, k)
    assert clustering.labels.shape == image.shape
    assert clustering.labels.dtype == np.uint8
    assert clustering.labels.max() < k
    assert clustering.centres.shape == (k,)
    assert (np.diff(clustering.centres) >= 0).all()
    assert image.min() - 1e-9 <= clustering.centres[0]
    assert clustering.centres[-1] <= image.max() + 1e-9
    if method in BY_INTENSITY:
        order = np.argsort(image.ravel(), kind="stable")
        assert (np.diff(clustering.labels.ravel()[order].astype(int)) >= 0).all()
    assert clustering.shares.sum() == pytest.approx(1)


@settings(max_examples=40, deadline=None)
@given(image=PICTURES, k=st.integers(2, 5), seed=st.integers(0, 99), method=st.sampled_from(BY_INTENSITY))
def test_grey_values_are_clustered_wherever_they_lie(image, k, seed, method):
    order = np.random.default_rng(seed).permutation(image.size)
    shuffled = image.ravel()[order].reshape(image.shape)
    assert np.array_equal(method(shuffled, k).labels.ravel(), method(image, k).labels.ravel()[order])


@pytest.mark.parametrize("method", [kmeans, fuzzy_cmeans, super_kmeans])
def test_same_seed_same_result(method):
    image = picture(np.random.default_rng(0))
    first, second = (method(image, 5, seed=3) for _ in range(2))
    assert np.array_equal(first.labels, second.labels)
    assert np.array_equal(first.centres, second.centres)


@pytest.mark.parametrize("method", [kmeans, fuzzy_cmeans])
def test_seed_does_not_matter_where_there_is_one_good_answer(method):
    image = picture(np.random.default_rng(1))
    centres = [method(image, 3, seed=seed).centres for seed in range(8)]
    assert np.ptp(centres, axis=0).max() < 1e-3


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("k", [2, 4, 16, 255])
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (3, 5), (16, 16)])
def test_constant_pictures_and_tiny_ones(method, k, shape):
    constant = method(np.full(shape, 0.3, dtype=np.float32), k)
    assert not constant.labels.any()
    assert len(constant.centres) == k
    noise = np.random.default_rng(0).random(shape)
    assert method(noise, k).labels.shape == shape
    two = np.zeros(shape, dtype=np.float32)
    two.flat[-1] = 1
    assert np.isfinite(method(two, k).centres).all()
    if method in (kmeans, fuzzy_cmeans) and two.size > 1:
        assert method(two, k).labels.ravel().tolist() == [0] * (two.size - 1) + [1]
        assert method(two, k).centres[[0, 1]].tolist() == [0, 1]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32, np.float64, bool])
def test_every_kind_of_number(method, kind):
    image = np.zeros((32, 32), dtype=kind)
    image[8:24, 8:24] = 1
    clustering = method(image, 2)
    assert clustering.labels[16, 16] == 1
    assert clustering.labels[2, 2] == 0


@pytest.mark.parametrize("method", BY_INTENSITY)
@pytest.mark.parametrize(("scale", "shift"), [(1e-30, 0), (1e30, 0), (1e-3, 1e3), (1e-45, 0)])
def test_grey_values_of_any_size(method, scale, shift):
    image = (np.random.default_rng(0).random((20, 20)) * scale + shift).astype(np.float32)
    clustering = method(image, 4)
    assert np.isfinite(clustering.centres).all()
    assert clustering.labels.max() >= min(1, np.unique(image).size - 1)


@pytest.mark.parametrize("method", METHODS)
def test_bad_input_is_refused(method):
    image = np.random.default_rng(0).random((20, 20))
    for k in (0, 1, 256, -4, 2.5):
        with pytest.raises(ArgumentError, match=rf"clusters k .* {k}$"):
            method(image, k)
    for k in ("4", None, True):
        with pytest.raises(ArgumentTypeError, match=rf"clusters k .* {k!r}$"):
            method(image, k)
    for wrong in (np.zeros(5), np.zeros((4, 4, 3)), np.zeros((0, 4)), image.astype(complex), np.array([["a"]])):
        with pytest.raises(ArgumentError, match="picture"):
            method(wrong, 4)
    for value in (np.nan, np.inf):
        spoilt = image.copy()
        spoilt[3, 3] = value
        with pytest.raises(MicrographError):
            method(spoilt, 4)


@pytest.mark.parametrize("m", [1, 0.5, np.nan, np.inf, -2])
def test_fuzziness_has_to_be_above_1(m):
    with pytest.raises(ArgumentError, match=f"fuzziness m .* {m}$"):
        fuzzy_cmeans(np.eye(4), 2, m=m)


# --- superpixels -----------------------------------------------------------------------------------------------------


def test_superpixels_are_connected_patches_with_their_means():
    from scipy import ndimage

    rng = np.random.default_rng(0)
    image = ndimage.gaussian_filter(rng.normal(size=(120, 150)), 4).astype(np.float32)
    segments, means = superpixels(image, n=200)
    assert segments.dtype == np.int32
    assert 100 <= len(means) <= 260
    assert np.array_equal(np.unique(segments), np.arange(len(means)))
    for label in range(0, len(means), 7):
        assert means[label] == pytest.approx(image[segments == label].mean(), rel=1e-5, abs=1e-7)
        assert ndimage.label(segments == label)[1] == 1
    # Patches of one grey value explain far more of the picture than squares of their size do.
    rows, columns = np.indices(image.shape) // 9
    assert squares(image, segments) < 0.7 * squares(image, rows * 100 + columns)


def test_super_kmeans_gives_a_superpixel_one_label_and_drops_lone_pixels():
    rng = np.random.default_rng(1)
    truth = np.zeros((120, 120), dtype=int)
    truth[30:90, 30:90] = 1
    image = truth * 0.4 + rng.normal(0, 0.2, truth.shape)
    segments, _ = superpixels(image, n=150)
    clustering = super_kmeans(image, 2, n=150)
    for label in range(segments.max() + 1):
        assert np.ptp(clustering.labels[segments == label]) == 0
    assert (clustering.labels == truth).mean() > 0.95 > (kmeans(image, 2).labels == truth).mean()


def test_superpixel_count_follows_the_particle():
    # A disc of diameter 20 covers 314.16 pixels: 31.83 such areas in 100 x 100.
    assert superpixel_count((100, 100), 20, per_particle=1) == 32
    assert superpixel_count((100, 100), 20, per_particle=10) == 318
    assert superpixel_count((200, 100), 40) == superpixel_count((100, 50), 20)
    assert superpixel_count((5, 5), 1000) == 1
    for diameter, per_particle in ((0, 1), (-3, 1), (np.nan, 1), (20, 0), (20, np.inf)):
        with pytest.raises(ArgumentError):
            superpixel_count((100, 100), diameter, per_particle)


@pytest.mark.parametrize("wrong", [{"n": 0}, {"n": -1}, {"n": 2.5}])
def test_superpixels_refuse_wrong_settings(wrong):
    ((name, value),) = wrong.items()
    for function in (superpixels, super_kmeans):
        with pytest.raises(ArgumentError, match=rf"{name} .* {value}$"):
            function(np.eye(20), **wrong)


def test_more_superpixels_than_pixels_is_no_error():
    segments, means = superpixels(np.random.default_rng(0).random((16, 16)), n=10_000)
    assert segments.max() + 1 == len(means) <= 256


# --- the choice ------------------------------------------------------------------------------------------------------

DIAMETER = 20


def layered(rng, contrast, shape=(400, 400), noise=0.35, ice=True):
    """Discs of 20 pixels 40 apart, an ice crystal of 140, and grain finer than particles; the picture and the discs."""
    from scipy import ndimage

    rows, columns = np.indices(shape)
    discs = np.hypot((rows % 40) - 20, (columns % 40) - 20) <= DIAMETER / 2
    crystal = np.hypot(rows - 300, columns - 100) < 70 if ice else np.zeros(shape, dtype=bool)
    image = -1.0 * (discs & ~crystal) - 1.8 * crystal
    grain = ndimage.gaussian_filter(rng.normal(size=shape), 1.0)
    image = image + noise * grain / grain.std()
    sign = 1 if contrast == "dark" else -1
    return (sign * image).astype(np.float32), discs & ~crystal, crystal


def contrast_of_masks(mask, discs, crystal):
    """How much more of the particles than of the background a mask covers."""
    return mask[discs].mean() - mask[~discs & ~crystal].mean()


@pytest.mark.parametrize("contrast", ["dark", "bright"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("k", [3, 4, 5, 6])
def test_the_mask_shows_the_particles_whatever_their_contrast(contrast, method, k):
    image, discs, crystal = layered(np.random.default_rng(0), contrast)
    clustering = method(image, k)
    gain = contrast_of_masks(particle_mask(clustering, DIAMETER, contrast=contrast), discs, crystal)
    # Whatever sets of neighbouring clusters there are, none is much better: not the ice, not the background.
    sets = [(clustering.labels >= a) & (clustering.labels <= b) for a in range(k) for b in range(a, k)]
    assert gain > max(contrast_of_masks(mask, discs, crystal) for mask in sets) - 0.12
    assert gain > 0.3


@pytest.mark.parametrize("contrast", ["dark", "bright"])
@pytest.mark.parametrize("method", [kmeans, fuzzy_cmeans, super_kmeans])
@pytest.mark.parametrize("k", [3, 4, 5, 6])
def test_the_contrast_is_found_when_not_given(contrast, method, k):
    for seed in range(2):
        # Of three clusters ice takes one, and particles share theirs with half of the grain: no eye would tell.
        image, _, _ = layered(np.random.default_rng(seed), contrast, shape=(320, 320), ice=k > 3)
        clustering = method(image, k)
        known = particle_cluster(clustering, DIAMETER, contrast=contrast)
        assert particle_cluster(clustering, DIAMETER, contrast=None) == known


def test_flanks_of_particles_belong_to_them_but_contours_and_background_do_not():
    rows, columns = np.indices((160, 160))
    distance = np.hypot(rows % 40 - 20, columns % 40 - 20)
    # core, flank, a contour where the grey value passes, and the background around
    labels = np.digitize(distance, [6, 10, 15]).astype(np.uint8)
    clustering = Clustering(labels, np.arange(4.0))
    assert particle_cluster(clustering, 20) == (0, 1)
    assert particle_cluster(clustering, 11) == (0,)  # smaller particles: the cores
    inverted = Clustering(3 - labels, np.arange(4.0))
    assert particle_cluster(inverted, 20, contrast="bright") == (2, 3)
    assert particle_cluster(clustering, 20, contrast=None) == (0, 1)
    assert particle_cluster(inverted, 20, contrast=None) == (2, 3)


def test_rings_are_particles_and_what_they_enclose_is_not():
    rows, columns = np.indices((240, 240))
    distance = np.hypot(rows % 48 - 24, columns % 48 - 24)
    rings = (distance < 20) & (distance > 11)
    for contrast, labels in (("dark", ~rings), ("bright", rings)):
        clustering = Clustering(labels.astype(np.uint8), np.array([0.2, 0.8]))
        assert np.array_equal(particle_mask(clustering, 40, contrast=None), rings), contrast


def test_empty_clusters_are_not_chosen():
    labels = np.where(np.indices((64, 64)).sum(axis=0) % 32 < 8, 1, 3).astype(np.uint8)
    clustering = Clustering(labels, np.arange(6.0))
    assert particle_cluster(clustering, 12) == (1,)
    assert particle_cluster(clustering, 12, contrast="bright") == (3,)


@pytest.mark.parametrize("contrast", ["dark", "bright", None])
@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (16, 16), (5, 200)])
@pytest.mark.parametrize("diameter", [0.5, 8, 40, 1e9])
def test_the_choice_never_fails(contrast, shape, diameter):
    noise = np.random.default_rng(0).random(shape)
    for image in (np.zeros(shape), noise, np.where(noise > 0.9, 1.0, 0.0)):
        clustering = kmeans(image, 4)
        chosen = particle_cluster(clustering, diameter, contrast=contrast)
        mask = particle_mask(clustering, diameter, contrast=contrast)
        assert np.array_equal(mask, np.isin(clustering.labels, chosen))
        assert set(chosen) <= set(clustering.labels.ravel().tolist())
        assert not mask.all()
        assert mask.any() == (np.unique(clustering.labels).size > 1)


def test_the_choice_refuses_wrong_settings():
    clustering = kmeans(np.eye(8), 2)
    for diameter in (0, -1, np.nan, np.inf):
        with pytest.raises(ArgumentError, match=f"diameter .* {diameter}$"):
            particle_cluster(clustering, diameter)
    for diameter in ("20", None):
        with pytest.raises(ArgumentTypeError, match=f"diameter .* {diameter!r}$"):
            particle_cluster(clustering, diameter)
    with pytest.raises(ArgumentError, match=r"contrast .*'grey'"):
        particle_mask(clustering, 20, contrast="grey")


@pytest.mark.parametrize(
    ("protein", "gain"), [("klh", 0.15), ("apoferritin", 0.3), ("ribosome", 0.3), ("betagal", 0.15)]
)
def test_simulated_particles_are_covered(protein, gain):
    from cryokit.imaging import Preprocessing
    from cryokit.simulate import simulate

    micrograph, truth = simulate(protein, shape=(1024, 1024), seed=11, carbon=False)
    covered_by_all(micrograph.data, truth, Preprocessing(), gain)


@pytest.mark.real
@pytest.mark.parametrize(
    ("folder", "name", "gain"),
    [
        ("apoferritin_10146", "May08_05.24.39.png", 0.3),
        pytest.param("betagal_10017", "Falcon_2012_06_12-16_48_06_0.jpg", 0.1, marks=pytest.mark.slow),
        ("klh", "01nov26b.008.001.001.002.png", 0.15),
        ("ribosome_10028", "ribosome.png", 0.25),
    ],
)
def test_real_particles_are_covered(real_data, folder, name, gain):
    import pandas as pd

    from cryokit.imaging import Preprocessing
    from cryokit.imaging.preparation import recorded
    from cryokit.micrograph import read

    path = real_data(folder) / "micrographs" / name
    truth = pd.read_csv(real_data(folder) / "labels" / f"{path.stem}.csv")
    data, frame = recorded(read(path))
    x, y = frame.from_source(truth.x, truth.y)
    # A quarter of the large ones is enough.
    covered_by_all(data[:2048, :2048], truth.assign(x=x, y=y), Preprocessing(), gain)


def covered_by_all(data, truth, preprocessing, gain):
    """The masks of all clusterings cover more of the particles' discs than of what is around, by `gain` at least."""
    particles = truth[truth["view"] != "ignore"]
    diameter = float(particles.diameter.median())
    enhanced = preprocessing(data, diameter)
    factor = preprocessing.factor(diameter)
    inside, outside = np.zeros(enhanced.shape, dtype=bool), np.ones(enhanced.shape, dtype=bool)
    rows, columns = np.indices(enhanced.shape)
    for x, y, size, view in zip(truth.x, truth.y, truth.diameter, truth["view"], strict=True):
        distance = np.hypot(rows - y / factor, columns - x / factor)
        outside &= distance > 0.55 * size / factor
        if view != "ignore":
            inside |= distance < 0.45 * size / factor
    count = superpixel_count(enhanced.shape, diameter / factor)
    for k in (4, 5):
        clusterings = [
            ibc(enhanced, k),
            kmeans(enhanced, k),
            fuzzy_cmeans(enhanced, k),
            super_kmeans(enhanced, k, count),
        ]
        inverted = [kmeans(1 - enhanced, k), fuzzy_cmeans(1 - enhanced, k)]
        for contrast, some in (("dark", clusterings), ("bright", inverted)):
            for clustering in some:
                mask = particle_mask(clustering, diameter / factor, contrast=contrast)
                assert mask[inside].mean() - mask[outside].mean() > gain


# --- agreement -------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    first=st.lists(st.integers(0, 3), min_size=1, max_size=40),
    seed=st.integers(0, 99),
    noise=st.sampled_from([0, 0.2, 1]),
)
def test_agreement_is_the_adjusted_rand_index(first, seed, noise):
    from sklearn.metrics import adjusted_rand_score

    rng = np.random.default_rng(seed)
    first = np.array(first, dtype=np.uint8)
    second = np.where(rng.random(first.size) < noise, rng.integers(0, 5, first.size), first).astype(np.uint8)
    one, two = Clustering(first[None], np.arange(4.0)), Clustering(second[None], np.arange(5.0))
    assert agreement(one, two) == pytest.approx(adjusted_rand_score(first, second))
    assert agreement(two, one) == pytest.approx(agreement(one, two))
    assert agreement(one, Clustering(3 - first[None], np.arange(4.0))) == pytest.approx(1)


def test_agreement_of_large_clusterings_is_exact():
    # 5 million pixels: the products of the numbers of pairs exceed 64 bits. Half of each cluster is exchanged: chance.
    first = np.zeros((2000, 2500), dtype=np.uint8)
    second = first.copy()
    first[1000:], second[:, 1250:] = 1, 1
    one, two = (Clustering(labels, np.arange(2.0)) for labels in (first, second))
    assert agreement(one, two) == pytest.approx(0, abs=1e-6)
    assert agreement(one, one) == 1


def test_dice_by_hand():
    first = np.array([[1, 1, 0, 0]], dtype=bool)
    assert dice(first, np.array([[0, 1, 1, 0]], dtype=bool)) == 0.5
    assert dice(first, ~first) == 0
    assert dice(first, first) == 1
    assert dice(first & False, first & False) == 1
    assert dice(first, first & False) == 0


def test_only_clusterings_of_one_picture_are_compared():
    with pytest.raises(ArgumentError, match=r"\(4, 4\) and \(5, 5\)"):
        agreement(kmeans(np.eye(4), 2), kmeans(np.eye(5), 2))
    with pytest.raises(ArgumentError, match=r"\(4, 4\) and \(5, 5\)"):
        dice(np.eye(4, dtype=bool), np.eye(5, dtype=bool))
