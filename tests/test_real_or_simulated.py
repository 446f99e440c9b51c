"""Lessons take real micrographs where they are at hand, else simulated ones, and say which."""

import numpy as np
import pytest
from PIL import Image

from cryokit import coordinates, datasets, micrograph, simulate
from cryokit.errors import ArgumentError, DatasetError

SMALL = {"shape": (96, 96), "n_particles": 2}


@pytest.fixture
def folder(tmp_path):
    """A folder with five micrographs of apoferritin, four of them labelled."""
    for number in range(5):
        path = tmp_path / "apoferritin_10146" / "micrographs" / f"m{number}.mrc"
        path.parent.mkdir(parents=True, exist_ok=True)
        micrograph.write_mrc(path, np.eye(64, dtype=np.float32) + number)
        if number != 3:
            labels = path.parent.parent / "labels" / f"m{number}.csv"
            labels.parent.mkdir(exist_ok=True)
            coordinates.write(coordinates.table(path.stem, [number + 1], [20], diameter=30), labels)
    return tmp_path


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CRYOKIT_DATA", str(tmp_path / "cache"))


def test_simulated_where_nothing_has_been_fetched():
    sample = simulate.real_or_simulated("apoferritin", 2, seed=3, **SMALL)
    assert not sample.real
    assert "imulated" in sample.origin
    assert [image.name for image in sample.images] == list(dict.fromkeys(sample.truth["micrograph"]))
    expected = [image.data for image, _ in simulate.simulate_set("apoferritin", 2, seed=3, **SMALL)]
    assert all(np.array_equal(image.data, data) for image, data in zip(sample.images, expected, strict=True))


def test_folder_gives_every_second_labelled_micrograph(folder):
    sample = simulate.real_or_simulated("apoferritin", 9, data=str(folder))
    assert sample.real
    assert "imulated" not in sample.origin
    assert [image.name for image in sample.images] == ["m1"]  # of m1 and m3, the one with labels
    assert sample.truth["x"].tolist() == [2]
    assert sample.images[0].pixel_size == datasets.load("apoferritin_10146").manifest.pixel_size


def test_cache_is_used_unless_simulated_ones_are_asked_for(folder, monkeypatch):
    monkeypatch.setenv("CRYOKIT_DATA", str(folder))
    manifest = datasets.load("apoferritin_10146").manifest
    test = {file.path: file.micrograph for file in manifest.select("micrograph", "test")}
    labels = {file.micrograph: file for file in manifest.select("label-coordinates")}
    labels |= {file.micrograph: file for file in manifest.select("label-discs")}
    path, name = next((path, name) for path, name in test.items() if name in labels)
    Image.fromarray(np.eye(64, dtype=np.uint8) * 200).save(folder / "apoferritin_10146" / path)
    painted = folder / "apoferritin_10146" / labels[name].path
    painted.parent.mkdir(parents=True, exist_ok=True)
    discs = np.zeros((64, 64), np.uint8)
    row, column = np.indices(discs.shape)
    discs[np.hypot(row - 30, column - 40) < 10] = 255
    Image.fromarray(discs).save(painted)
    sample = simulate.real_or_simulated("apoferritin", 2, data="auto", **SMALL)
    assert sample.real
    assert [image.name for image in sample.images] == [name]
    assert not simulate.real_or_simulated("apoferritin", 1, data="simulated", **SMALL).real


def test_folder_without_the_protein(folder):
    with pytest.raises(DatasetError, match="betagal_10017"):
        simulate.real_or_simulated("betagal", 1, data=str(folder))


def test_no_such_folder(tmp_path):
    with pytest.raises(DatasetError, match="nowhere"):
        simulate.real_or_simulated("betagal", 1, data=str(tmp_path / "nowhere"))


def test_unknown_protein():
    with pytest.raises(ArgumentError, match="protein"):
        simulate.real_or_simulated("haemoglobin", 1)


def test_overview_says_what_fetching_brings(folder):
    table = datasets.overview(["apoferritin_10146", "klh"])
    assert list(table.index) == ["cryokit data fetch apoferritin_10146", "cryokit data fetch klh"]
    assert (table["micrographs"] >= 20).all()
    assert 50 < int(table["MB"].iloc[0]) < 200
    assert table["MB"].iloc[1].startswith("more than")
    assert table["in the cache"].tolist() == [0, 0]
