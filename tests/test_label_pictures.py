"""Discs in label pictures: drawn ones with known centres, and the published ones."""

import imageio.v3 as iio
import numpy as np
import pytest
from scipy.spatial import cKDTree, distance

from cryokit.coordinates import read, read_folder, table, write
from cryokit.coordinates.label_pictures import estimate_diameter
from cryokit.errors import ArgumentError, CoordinateError


def draw(shape, centres, diameter, squeeze=1.0):
    """Draw filled circles, or ellipses of the same area with axes in the ratio `squeeze` squared."""
    rows, columns = np.indices(shape)
    mask = np.zeros(shape, dtype=bool)
    for x, y in centres:
        mask |= ((columns - x) * squeeze) ** 2 + ((rows - y) / squeeze) ** 2 <= (diameter / 2) ** 2
    return mask


def scattered(shape, count, nearest, seed, margin=0):
    """Return centres at least `nearest` apart."""
    random = np.random.default_rng(seed)
    centres = []
    while len(centres) < count:
        centre = random.uniform([margin, margin], [shape[1] - margin, shape[0] - margin])
        if all(np.hypot(*(centre - other)) >= nearest for other in centres):
            centres.append(centre)
    return np.array(centres)


def one_to_one(picks, truth, limit):
    """Return how many of the picks and of the true centres find each other as nearest within `limit`."""
    distances = distance.cdist(picks[["x", "y"]], truth)
    pairs = np.flatnonzero(distances.min(axis=1) <= limit)
    return len(set(distances[pairs].argmin(axis=1)))


def save(folder, name, picture, **options):
    iio.imwrite(folder / name, picture, **options)
    return folder / name


@pytest.mark.parametrize("diameter", [12, 30, 47, 90, 161])
@pytest.mark.parametrize("given", [True, False])
def test_discs_apart_are_found_to_half_a_pixel_at_any_size(tmp_path, diameter, given):
    shape = (7 * diameter, 9 * diameter)
    truth = scattered(shape, 12, 1.2 * diameter, seed=diameter, margin=0.6 * diameter)
    path = save(tmp_path, "a.b.png", draw(shape, truth, diameter).astype(np.uint8) * 255)
    picks = read(path, diameter=diameter if given else None)
    assert len(picks) == 12
    assert cKDTree(truth).query(picks[["x", "y"]])[0].max() < max(1.0, 0.02 * diameter)
    assert np.abs(picks[["x", "y"]].mean() - truth.mean(axis=0)).max() < 0.35, "no shift in common"
    assert picks["diameter"].to_numpy() == pytest.approx(diameter, abs=1.5)
    assert (picks["micrograph"] == "a.b").all()


@pytest.mark.parametrize("seed", range(3))
def test_overlapping_and_cut_discs_are_separated(tmp_path, seed):
    shape, diameter = (900, 1100), 60
    truth = scattered(shape, 150, 0.55 * diameter, seed)
    mask = draw(shape, truth, diameter)
    # Those that others hide but for a sliver cannot be found by anybody: leave them out of what is asked for.
    angles = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    circle = truth[:, None] + (diameter / 2 + 1) * np.column_stack([np.cos(angles), np.sin(angles)])
    x, y = np.rint(circle).astype(int).transpose(2, 0, 1)
    within = (x >= 0) & (y >= 0) & (x < shape[1]) & (y < shape[0])
    seen = within & ~mask[np.clip(y, 0, shape[0] - 1), np.clip(x, 0, shape[1] - 1)]
    visible = truth[seen.mean(axis=1) > 0.15]
    assert len(visible) > 110
    picks = read(save(tmp_path, "a.jpg", mask.astype(np.uint8) * 255, quality=80))
    assert one_to_one(picks, visible, 4) >= 0.97 * len(visible)
    assert one_to_one(picks, truth, 6) >= 0.97 * len(picks)


def test_painted_discs_that_are_not_round_on_a_noisy_picture(tmp_path):
    shape, diameter = (500, 600), 64
    random = np.random.default_rng(5)
    truth = scattered(shape, 20, 1.1 * diameter, seed=1, margin=20)
    picture = np.repeat(random.normal(128, 50, shape).clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
    picture[draw(shape, truth, diameter, squeeze=1.03)] = (255, 242, 0)
    picks = read(save(tmp_path, "a.png", picture))
    assert len(picks) == 20
    assert one_to_one(picks, truth, 4) == 20


def test_alpha_masks_of_zero_and_one_and_all_black(tmp_path):
    mask = draw((200, 220), [(60, 80), (150, 100)], 40)
    grey = mask.astype(np.uint8)
    rgba = np.dstack([grey * 255] * 3 + [np.full_like(grey, 255)])
    for picture in (grey, grey * 255, rgba, mask.astype(np.uint16) * 65535):
        picks = read(save(tmp_path, "a.png", picture))
        assert one_to_one(picks, np.array([(60, 80), (150, 100)]), 1) == len(picks) == 2
    assert len(read(save(tmp_path, "none.png", np.zeros((50, 60), np.uint8)))) == 0


def test_half_size_picture_in_the_frame_of_the_micrograph(tmp_path):
    path = save(tmp_path, "a.png", draw((300, 300), [(100, 120)], 40).astype(np.uint8) * 255)
    for diameter in (None, 80):
        picks = read(path, scale=2, diameter=diameter)
        assert picks[["x", "y"]].to_numpy()[0] == pytest.approx([200, 240], abs=1)
        assert picks["diameter"][0] == pytest.approx(80, abs=3)


@pytest.mark.parametrize(
    "picture",
    [
        np.random.default_rng(0).normal(120, 30, (100, 100)).clip(0, 255).astype(np.uint8),
        np.full((50, 50), 255, np.uint8),
        np.zeros((4, 50, 50, 3), np.uint8),
    ],
)
def test_pictures_without_labels_are_refused(tmp_path, picture):
    path = save(tmp_path, "a.tif", picture)
    with pytest.raises(CoordinateError, match=r"a\.tif"):
        read(path)


def test_damaged_pictures_and_impossible_sizes_are_refused(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"no picture")
    with pytest.raises(CoordinateError, match=r"a\.png"):
        read(path)
    save(tmp_path, "a.png", draw((100, 100), [(50, 50)], 40).astype(np.uint8) * 255)
    for diameter in (-4, float("nan")):
        with pytest.raises(ArgumentError, match=f"diameter .*{diameter}"):
            read(path, diameter=diameter)
    with pytest.raises(CoordinateError, match=r"a\.png: .* 2 "):
        read(path, diameter=2)


def test_a_wrong_diameter_gives_a_warning(tmp_path, caplog):
    truth = scattered((400, 400), 8, 80, seed=2, margin=40)
    path = save(tmp_path, "a.png", draw((400, 400), truth, 60).astype(np.uint8) * 255)
    read(path, diameter=60)
    assert not caplog.text
    read(path, diameter=30)
    assert "diameter" in caplog.text


def test_diameter_of_discs_that_all_overlap():
    shape = (500, 500)
    chain = [(60 + 40 * k, 250 + 12 * (-1) ** k) for k in range(10)]
    assert estimate_diameter(draw(shape, chain, 60)) == pytest.approx(60, abs=2)


def test_masks_written_are_read_back(tmp_path):
    shape = (400, 500)
    centres = scattered(shape, 25, 60, seed=3, margin=5)
    picks = table("mic.1", x=centres[:, 0], y=centres[:, 1], diameter=50)
    write(picks, tmp_path / "mic.1.png", shape={"mic.1": shape})
    written = iio.imread(tmp_path / "mic.1.png")
    assert written.shape == shape
    assert set(np.unique(written)) == {0, 255}
    assert (written > 0).tolist() == draw(shape, centres, 50).tolist()
    found, names = read_folder(tmp_path)
    assert names == ["mic.1"]
    assert one_to_one(found, centres, 1) == len(found) == 25
    with pytest.raises(CoordinateError, match=r"mic\.1\.png.*diameter"):
        write(table("mic.1", x=[1], y=[1]), tmp_path / "mic.1.png", shape=shape)
    with pytest.raises(CoordinateError, match=r"mic\.1\.png.*shape"):
        write(picks, tmp_path / "mic.1.png")


@pytest.mark.real
@pytest.mark.parametrize("diameter", [None, 108])
def test_published_mask_gives_back_its_published_coordinates(shared, diameter):
    picture = shared / "data" / "label_pictures" / "Falcon_2012_06_12-14_33_35_0_mask.jpg"
    published = read(shared / "data" / "formats" / "cryosegnet_coordinates.star")[["x", "y"]].to_numpy()
    picks = read(picture, diameter=diameter)
    assert one_to_one(picks, published, 10) >= 0.99 * len(published)
    assert one_to_one(picks, published, 10) >= 0.99 * len(picks)
    assert picks["diameter"][0] == pytest.approx(108, abs=2)


@pytest.mark.real
@pytest.mark.parametrize(
    ("picture", "micrograph", "scale"),
    [("May08_03.05.02.bin_avg.png", "May08_03.05.02", 1), ("May08_07.10.35.bin_GT.png", "May08_07.10.35", 2)],
)
def test_published_paintings_give_the_labels(shared, picture, micrograph, scale):
    labels = read(shared / "data" / "apoferritin_10146" / "labels" / f"{micrograph}.csv")[["x", "y"]].to_numpy()
    picks = read(shared / "data" / "label_pictures" / picture, micrograph=micrograph, scale=scale, blocks=True)
    assert one_to_one(picks, labels, 5) >= 0.99 * len(labels)
    assert one_to_one(picks, labels, 5) >= 0.99 * len(picks)
    assert picks["diameter"].between(58, 72).all()
