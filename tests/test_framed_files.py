"""Pictures in files that say where they lie in their micrograph: what comes back, and what other programs are told."""

import mrcfile
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from cryokit.errors import ArgumentError, MicrographError
from cryokit.imaging import Frame, Picture, bin_fourier
from cryokit.imaging.framed_files import read_framed, write_framed
from cryokit.micrograph import labels, write_mrc

numbers = st.floats(allow_nan=False, allow_infinity=False)
SHAPE = (6, 9)
DATA = np.random.default_rng(0).random(SHAPE).astype(np.float32)
FRAME = Frame(SHAPE, (64, 96), 3.5, -2.25, 10.1, 9.75)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(x0=numbers, y0=numbers, steps=st.tuples(*2 * [numbers.filter(lambda step: step > 0)]))
def test_the_same_frame_comes_back(tmp_path, x0, y0, steps):
    frame = Frame(SHAPE, (98765, 123456), x0, y0, *steps)
    write_framed(tmp_path / "a.mrc", Picture(DATA, frame))
    picture = read_framed(tmp_path / "a.mrc", (98765, 123456))
    assert picture.frame == frame
    assert np.array_equal(picture.data, DATA)


@pytest.mark.parametrize("suffix", [".mrc", ".mrc.gz"])
def test_other_programs_are_told_in_angstrom(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    write_framed(path, Picture(DATA, FRAME), 2.0)
    assert read_framed(path, (64, 96)).frame == FRAME
    with mrcfile.open(path) as mrc:
        assert (mrc.voxel_size.x, mrc.voxel_size.y) == pytest.approx((20.2, 19.5))
        assert (mrc.header.origin.x, mrc.header.origin.y) == pytest.approx((7.0, -4.5))
        assert len(mrc.get_labels()) == 4
    assert mrcfile.validate(path)


def test_a_blob_is_where_it_was(tmp_path):
    """A blob between the pixels, in a picture that is cropped and binned by a factor that is no whole number."""
    x, y = 431.3, 288.7
    rows, columns = np.mgrid[:600, :700]
    micrograph = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * 30**2)).astype(np.float32)
    cropped = Frame.whole(micrograph.shape).crop(slice(21, 580), slice(13, 690))
    binned = bin_fourier(micrograph[21:580, 13:690], 7.3)
    write_framed(tmp_path / "a.mrc", Picture(binned.data, cropped.then(binned.frame)), 1.77)
    picture = read_framed(tmp_path / "a.mrc", micrograph.shape)
    row, column = ndimage.center_of_mass(np.where(picture.data > 0.05, picture.data, 0))
    assert picture.frame.to_source(column, row) == pytest.approx((x, y), abs=0.1)


def test_a_map_that_is_the_same_everywhere(tmp_path):
    write_framed(tmp_path / "a.mrc", Picture(np.zeros(SHAPE), FRAME))
    assert not read_framed(tmp_path / "a.mrc", (64, 96)).data.any()


def test_without_a_frame_it_is_the_whole(tmp_path, caplog):
    write_mrc(tmp_path / "a.mrc", np.zeros((32, 49)))
    frame = read_framed(tmp_path / "a.mrc", (64, 97)).frame
    assert (frame.x0, frame.y0) == ((97 / 49 - 1) / 2, 0.5)
    assert (frame.step_x, frame.step_y) == (97 / 49, 2)
    assert [record.levelname for record in caplog.records if "a.mrc" in record.getMessage()] == ["WARNING"]


@pytest.mark.parametrize("shape", [(32, 45), (27, 48), (5, 12)])
def test_without_a_frame_it_has_to_have_the_proportions(tmp_path, shape):
    write_mrc(tmp_path / "a.mrc", np.zeros(shape))
    with pytest.raises(MicrographError, match=r"a\.mrc.*64 x 96"):
        read_framed(tmp_path / "a.mrc", (64, 96))


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        (("x = 3.5", "x = nan"), "incomplete"),
        (("+ 10.1", "+ -0.1"), "impossible"),
        (("+ 10.1", "+ 1e999"), "impossible"),
        (("frame y", "frame z"), "incomplete"),
        (("of 6 x 9", "of 6 x 8"), "6 x 9 .* 6 x 8"),
        (("of 64 x 96", "of 64 x 95"), "64 x 95 .* 64 x 96"),
    ],
)
def test_a_frame_that_does_not_fit(tmp_path, changed, match):
    path = tmp_path / "a.mrc"
    write_framed(path, Picture(DATA, FRAME))
    changes = [line.replace(*changed) for line in labels(path)[1:]]
    assert changes != labels(path)[1:]
    write_mrc(path, DATA, notes=changes)
    with pytest.raises(MicrographError, match=rf"a\.mrc.*{match}"):
        read_framed(path, (64, 96))


def test_notes_that_do_not_fit(tmp_path):
    for notes in (["a"] * 10, ["a" * 81]):
        with pytest.raises(ArgumentError, match=r"a\.mrc"):
            write_mrc(tmp_path / "a.mrc", DATA, notes=notes)
    write_mrc(tmp_path / "a.mrc", DATA, notes=["a" * 80] * 9)
    assert labels(tmp_path / "a.mrc") == ["written by cryokit", *["a" * 80] * 9]
