"""Reading and writing micrographs: every format and mode, every error."""

import bz2
import gzip
import io
import logging
import os
import resource
import shutil
import struct
import warnings
import zlib

import imageio.v3
import mrcfile
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cryokit.errors import ArgumentError, MicrographError
from cryokit.micrograph import Micrograph, find, read, shape, write_mrc

PATTERN = np.arange(5 * 7, dtype=np.float32).reshape(5, 7)


def mrc_file(path, data, **header):
    with mrcfile.new(path, overwrite=True) as mrc:
        mrc.set_data(data)
        for field, value in header.items():
            mrc.header[field] = value
    return path


@pytest.mark.parametrize(("dtype", "mode"), [("int8", 0), ("int16", 1), ("float32", 2), ("uint16", 6), ("float16", 12)])
def test_mrc_modes(tmp_path, dtype, mode):
    data = PATTERN.astype(dtype)
    path = mrc_file(tmp_path / "a.b.mrc", data)
    with mrcfile.open(path, header_only=True) as mrc:
        assert mrc.header.mode == mode
    micrograph = read(path)
    assert micrograph.data.dtype == np.float32
    assert micrograph.data.flags.c_contiguous
    assert micrograph.data.dtype.isnative
    assert np.array_equal(micrograph.data, PATTERN)
    assert (micrograph.name, micrograph.path, micrograph.pixel_size) == ("a.b", path, None)


def test_mrc_extremes_of_integers_survive(tmp_path):
    for dtype in ("int8", "int16", "uint16"):
        limits = np.iinfo(dtype)
        data = np.array([[limits.min, limits.max, 0]], dtype=dtype)
        assert read(mrc_file(tmp_path / "a.mrc", data)).data.tolist() == [[limits.min, limits.max, 0]]


@pytest.mark.parametrize("dtype", [">f4", ">i2", ">u2"])
def test_big_endian_mrc(tmp_path, dtype):
    path = mrc_file(tmp_path / "a.mrc", PATTERN.astype(dtype))
    assert bytes(path.read_bytes()[212:214]) == b"\x11\x11"  # the machine stamp: this really is a big-endian file
    micrograph = read(path)
    assert np.array_equal(micrograph.data, PATTERN)
    assert micrograph.data.dtype.isnative


def test_rows_keep_the_order_of_the_file(tmp_path):
    raw = mrc_file(tmp_path / "a.mrc", PATTERN).read_bytes()[1024:]
    stored = np.frombuffer(raw, dtype="<f4").reshape(5, 7)
    assert np.array_equal(read(tmp_path / "a.mrc").data, stored)
    assert stored[0, 1] == 1


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress])
def test_compressed_mrc_is_recognised_by_its_content(tmp_path, compress):
    plain = mrc_file(tmp_path / "plain.mrc", PATTERN).read_bytes()
    for name in ("a.mrc.gz", "a.mrc.bz2", "b.mrc"):
        (tmp_path / name).write_bytes(compress(plain))
        assert np.array_equal(read(tmp_path / name).data, PATTERN)


def test_mrc_with_one_image_in_a_stack_is_a_micrograph(tmp_path):
    assert np.array_equal(read(mrc_file(tmp_path / "a.mrcs", PATTERN[None])).data, PATTERN)


def test_mrc_with_an_extended_header(tmp_path):
    with mrcfile.new(tmp_path / "a.mrc") as mrc:
        mrc.set_data(PATTERN)
        mrc.set_extended_header(np.frombuffer(b"x" * 160, dtype="V160"))
    assert np.array_equal(read(tmp_path / "a.mrc").data, PATTERN)


def test_imod_bytes_are_unsigned_unless_flagged(tmp_path):
    values = np.array([[0, 100, 200, 255]], dtype=np.uint8)
    path = mrc_file(tmp_path / "a.mrc", values.view(np.int8))
    raw = bytearray(path.read_bytes())
    raw[152:160] = np.array([1146047817, 0], "<i4").tobytes()
    path.write_bytes(raw)
    assert read(path).data.tolist() == [[0, 100, 200, 255]]
    raw[156] = 1
    path.write_bytes(raw)
    assert read(path).data.tolist() == [[0, 100, -56, -1]]


def test_old_mrc_without_map_mark_reads_quietly(tmp_path, capfd):
    path = mrc_file(tmp_path / "a.mrc", PATTERN)
    raw = bytearray(path.read_bytes())
    raw[208:216] = bytes(8)  # neither map ID nor machine stamp
    path.write_bytes(raw + b"some more")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(read(path).data, PATTERN)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("cell", "expected"),
    [((7 * 1.5, 5 * 1.5), 1.5), ((0, 0), None), ((-7, -5), None), ((7e6, 5e6), None), ((np.nan, np.nan), None)],
)
def test_mrc_pixel_size(tmp_path, cell, expected):
    path = mrc_file(tmp_path / "a.mrc", PATTERN)
    with mrcfile.open(path, mode="r+") as mrc:
        mrc.header.cella.x, mrc.header.cella.y = cell
    assert read(path).pixel_size == pytest.approx(expected) if expected else read(path).pixel_size is None
    assert read(path, pixel_size=2.25).pixel_size == 2.25


def test_mrc_without_sampling_has_no_pixel_size(tmp_path):
    assert read(mrc_file(tmp_path / "a.mrc", PATTERN, mx=0, my=0)).pixel_size is None


def test_different_pixel_sizes_in_x_and_y_are_not_guessed(tmp_path, caplog):
    path = mrc_file(tmp_path / "a.mrc", PATTERN)
    with mrcfile.open(path, mode="r+") as mrc:
        mrc.voxel_size = (1.0, 2.0, 1.0)
    assert read(path).pixel_size is None
    assert "a.mrc" in caplog.text
    assert "1 x 2 A" in caplog.text
    caplog.clear()
    assert read(path, pixel_size=1.0).pixel_size == 1.0
    assert not caplog.text


@pytest.mark.parametrize("suffix", ["mrc", "mrcs", "mrc.gz", "tif"])
@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_movies_are_refused_or_summed(tmp_path, suffix, dtype):
    frames = np.stack([PATTERN, 2 * PATTERN, 60_000 + PATTERN]).astype(dtype)
    path = tmp_path / f"movie.{suffix}"
    if suffix == "tif":
        tifffile.imwrite(path, frames, photometric="minisblack", metadata=None)
    else:
        with mrcfile.new(path, compression="gzip" if suffix.endswith("gz") else None) as mrc:
            mrc.set_data(frames)
            mrc.set_image_stack()
    with pytest.raises(MicrographError, match=r"movie\..* 3 frames.*--sum-frames"):
        read(path)
    assert np.array_equal(read(path, sum_frames=True).data, 4 * PATTERN + 60_000)


@pytest.mark.parametrize("kind", ["volume", "stack of volumes"])
def test_volumes_are_no_movies(tmp_path, caplog, kind):
    volume = np.stack([PATTERN, 2 * PATTERN]).astype(np.float32)
    with mrcfile.new(tmp_path / "tomogram.mrc") as mrc:
        if kind == "volume":
            mrc.set_data(volume)
            mrc.set_volume()
        else:
            mrc.set_data(np.stack([volume, volume]))
    shutil.copy(tmp_path / "tomogram.mrc", tmp_path / "movie.mrcs")
    with pytest.raises(MicrographError, match=r"tomogram\.mrc: a volume") as caught:
        read(tmp_path / "tomogram.mrc")
    assert "--sum-frames" not in str(caught.value)
    with pytest.raises(MicrographError, match=r"movie\.mrcs: a movie"):
        read(tmp_path / "movie.mrcs")
    # Whoever asks for the sum has it, with a warning.
    read(tmp_path / "tomogram.mrc", sum_frames=True)
    assert "tomogram.mrc: a volume" in caplog.text


def test_one_section_is_a_micrograph(tmp_path):
    with mrcfile.new(tmp_path / "a.mrc") as mrc:
        mrc.set_data(PATTERN[None].astype(np.float32))
        mrc.set_volume()
    assert read(tmp_path / "a.mrc").data.shape == PATTERN.shape


def test_imagej_stack_is_a_movie_with_pixel_size(tmp_path):
    frames = np.stack([PATTERN, PATTERN])
    tifffile.imwrite(tmp_path / "a.tif", frames, imagej=True, resolution=(5, 5), metadata={"unit": "nm", "axes": "TYX"})
    with pytest.raises(MicrographError, match="2 frames"):
        read(tmp_path / "a.tif")
    summed = read(tmp_path / "a.tif", sum_frames=True)
    assert np.array_equal(summed.data, 2 * PATTERN)
    assert summed.pixel_size == pytest.approx(2.0)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64", ">u2"])
@pytest.mark.parametrize("suffix", [".tif", ".TIFF"])
def test_tiff_types(tmp_path, dtype, suffix):
    path = tmp_path / f"a{suffix}"
    tifffile.imwrite(path, PATTERN.astype(dtype), byteorder=">" if dtype.startswith(">") else "<")
    micrograph = read(path)
    assert micrograph.data.dtype == np.float32
    assert np.array_equal(micrograph.data, PATTERN)
    assert (micrograph.name, micrograph.pixel_size) == ("a", None)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_tiff_compressions(tmp_path, compression):
    data = (1000 * PATTERN).astype(np.uint16)
    imageio.v3.imwrite(tmp_path / "a.tif", data, plugin="pillow", compression=compression)
    assert np.array_equal(read(tmp_path / "a.tif").data, data)


@pytest.mark.parametrize(
    ("resolution", "unit", "expected"),
    [
        (((200_000_000, 3),) * 2, "CENTIMETER", 1.5),
        (((508_000_000, 3),) * 2, "INCH", 1.5),
        ((72, 72), "INCH", None),
        ((300, 300), "INCH", None),
        (((200_000_000, 3),) * 2, "NONE", None),
    ],
)
def test_tiff_resolution(tmp_path, resolution, unit, expected):
    tifffile.imwrite(tmp_path / "a.tif", PATTERN, resolution=resolution, resolutionunit=unit)
    assert read(tmp_path / "a.tif").pixel_size == (None if expected is None else pytest.approx(expected, rel=1e-6))


@pytest.mark.parametrize(("unit", "angstrom"), [("nm", 10), ("micron", 1e4), ("\\u00B5m", 1e4), ("A", 1)])
def test_tiff_units_of_imagej(tmp_path, unit, angstrom):
    per_unit = angstrom / 2.0
    tifffile.imwrite(tmp_path / "a.tif", PATTERN, imagej=True, resolution=(per_unit, per_unit), metadata={"unit": unit})
    assert read(tmp_path / "a.tif").pixel_size == pytest.approx(2.0, rel=1e-6)


def test_tiff_thumbnail_is_no_frame(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(PATTERN)
        tiff.write(PATTERN[::2, ::2], subfiletype=1)
    assert np.array_equal(read(tmp_path / "a.tif").data, PATTERN)


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_tiff_colours(tmp_path, planar, caplog):
    # Planes of more than 8 bits are frames, see test_frames_that_tifffile_calls_colours.
    axis, dtype = (2, np.uint16) if planar == "contig" else (0, np.uint8)
    grey = np.stack([PATTERN.astype(dtype)] * 3, axis)
    tifffile.imwrite(tmp_path / "a.tif", grey, photometric="rgb", planarconfig=planar)
    assert np.array_equal(read(tmp_path / "a.tif").data, PATTERN)
    assert not caplog.text


@pytest.mark.filterwarnings("ignore::DeprecationWarning:tifffile")  # of writing without `photometric`
@pytest.mark.parametrize("dtype", ["uint16", "float32"])
@pytest.mark.parametrize("count", [3, 4])
def test_frames_that_tifffile_calls_colours(tmp_path, dtype, count):
    frames = np.stack([PATTERN, 2 * PATTERN, 7 - PATTERN % 7, 3 * PATTERN][:count]).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", frames, photometric="rgb", planarconfig="separate")
    with pytest.raises(MicrographError, match=f"{count} frames"):
        read(tmp_path / "a.tif")
    assert np.array_equal(read(tmp_path / "a.tif", sum_frames=True).data, frames.sum(axis=0))
    tifffile.imwrite(tmp_path / "b.tif", frames)  # whatever this version makes of it
    with pytest.raises(MicrographError, match=f"{count} frames"):
        read(tmp_path / "b.tif")


def test_tiff_palette(tmp_path):
    palette = np.repeat((np.arange(256, dtype=np.uint16) * 257)[None, ::-1], 3, axis=0)
    tifffile.imwrite(tmp_path / "a.tif", PATTERN.astype(np.uint8), photometric="palette", colormap=palette)
    assert np.array_equal(read(tmp_path / "a.tif").data, 257 * (255 - PATTERN))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_png_grey(tmp_path, dtype):
    data = (np.iinfo(dtype).max - PATTERN).astype(dtype)
    imageio.v3.imwrite(tmp_path / "a.png", data)
    micrograph = read(tmp_path / "a.png")
    assert micrograph.data.dtype == np.float32
    assert np.array_equal(micrograph.data, data)
    assert micrograph.pixel_size is None


@pytest.mark.parametrize("channels", ["LA", "RGB", "RGBA", "P", "1"])
def test_png_grey_stored_otherwise(tmp_path, channels, caplog):
    grey = (255 * (PATTERN > 12)).astype(np.uint8) if channels == "1" else PATTERN.astype(np.uint8)
    opacity = grey[::-1]
    if channels == "LA":
        pixels, mode = np.stack([grey, opacity], -1), None
    elif channels == "RGBA":
        pixels, mode = np.stack([grey, grey, grey, opacity], -1), None
    elif channels == "RGB":
        pixels, mode = np.stack([grey] * 3, -1), None
    else:
        pixels, mode = grey, channels
    from PIL import Image

    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(tmp_path / "a.png")
    data = read(tmp_path / "a.png").data
    assert np.array_equal(data > 0, grey > 0) if channels == "1" else np.array_equal(data, grey)
    assert not caplog.text


def test_colours_become_luminance_with_a_warning(tmp_path, caplog):
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[:, 0:2, 0], pixels[:, 2:4, 1], pixels[:, 4:6, 2] = 200, 200, 200
    imageio.v3.imwrite(tmp_path / "a.png", pixels)
    data = read(tmp_path / "a.png").data
    assert data[0, ::2] == pytest.approx([200 * 0.299, 200 * 0.587, 200 * 0.114])
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "a.png" in caplog.text


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg"])
@pytest.mark.parametrize("colour", [False, True])
def test_jpeg(tmp_path, suffix, colour, caplog):
    y, x = np.mgrid[:64, :48]
    grey = (2 * x + y).astype(np.uint8)
    pixels = np.stack([grey] * 3, -1) if colour else grey
    imageio.v3.imwrite(tmp_path / f"a{suffix}", pixels, quality=98)
    data = read(tmp_path / f"a{suffix}").data
    assert data.shape == grey.shape
    assert np.abs(data - grey).max() <= 3  # JPEG loses a little
    assert not caplog.text


def test_sixteen_bit_colour_png_warns_of_what_is_lost(tmp_path, caplog):
    import struct
    import zlib

    pixels = np.stack([1000 * PATTERN] * 3, -1).astype(">u2")
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 7, 5, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in pixels))),
        (b"IEND", b""),
    ]
    body = b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    assert np.abs(read(tmp_path / "a.png").data - 1000 * PATTERN / 257).max() <= 1
    assert "a.png: 16 bits" in caplog.text


@pytest.mark.real
@pytest.mark.parametrize(
    ("file", "shape", "highest"),
    [
        ("apoferritin_10146/micrographs/May08_03.05.02.png", (1200, 1240), 2**16),
        ("betagal_10017/micrographs/Falcon_2012_06_12-14_33_35_0.jpg", (4096, 4096), 2**8),
        ("klh/micrographs/01nov26b.008.001.001.002.png", (2048, 2048), 2**8),
        ("klh_preprocessed/micrographs/KLH_001.png", (2048, 2048), 2**8),
        ("ribosome_10028/micrographs/ribosome.png", (1024, 1024), 2**8),
    ],
)
def test_real_micrographs(shared, file, shape, highest, caplog):
    micrograph = read(shared / "data" / file)
    assert micrograph.data.shape == shape
    assert micrograph.data.dtype == np.float32
    assert highest / 2**8 < micrograph.data.max() < highest  # all the bits that the file has
    assert micrograph.pixel_size is None
    assert f"{micrograph.name}{micrograph.path.suffix}" == micrograph.path.name
    assert not caplog.text


def test_shape_needs_no_pixels(tmp_path):
    for name in ("a.mrc", "a.mrc.gz", "a.mrc.bz2"):
        write_mrc(tmp_path / name, PATTERN)
    with mrcfile.new(tmp_path / "movie.mrcs") as mrc:
        mrc.set_data(np.stack([PATTERN] * 3))
    tifffile.imwrite(tmp_path / "a.tif", PATTERN)
    tifffile.imwrite(tmp_path / "planes.tif", np.stack([PATTERN] * 3), photometric="rgb", planarconfig="separate")
    tifffile.imwrite(tmp_path / "colours.tif", np.stack([PATTERN] * 3, -1), photometric="rgb")
    imageio.v3.imwrite(tmp_path / "a.png", PATTERN.astype(np.uint8))
    imageio.v3.imwrite(tmp_path / "a.jpg", np.stack([PATTERN.astype(np.uint8)] * 3, -1))
    files = sorted(tmp_path.iterdir())
    assert {file.name: shape(file) for file in files} == {file.name: (5, 7) for file in files}
    (tmp_path / "a.mrc").write_bytes((tmp_path / "a.mrc").read_bytes()[:1024])
    assert shape(tmp_path / "a.mrc") == (5, 7)


@pytest.mark.parametrize("suffix", ["mrc", "mrc.gz", "tif", "png", "jpg", "txt"])
def test_shape_of_what_is_no_micrograph(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    for content in ("this is not a picture " * 100, "", None):
        path.unlink() if content is None else path.write_text(content)
        with pytest.raises(MicrographError) as caught:
            shape(path)
        assert str(path) in str(caught.value)


# ---- errors: each names the file -----------------------------------------------------------------------------------


def refused(path, match, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(MicrographError, match=match) as caught:
            read(path, **options)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_folder_empty_and_unknown(tmp_path):
    refused(tmp_path / "none.mrc", "No such file")
    (tmp_path / "folder.mrc").mkdir()
    refused(tmp_path / "folder.mrc", "cannot be opened")
    for suffix in ("mrc", "mrc.gz", "tif", "png", "jpg"):
        (tmp_path / f"a.{suffix}").touch()
        refused(tmp_path / f"a.{suffix}", "0 bytes")
    (tmp_path / "a.eer").write_bytes(b"x")
    refused(tmp_path / "a.eer", r"\.mrc")


@pytest.mark.parametrize("suffix", ["mrc", "mrcs", "mrc.gz", "mrc.bz2", "tif", "png", "jpg"])
@pytest.mark.parametrize("length", [3, 3000])
def test_text_with_the_wrong_suffix(tmp_path, suffix, length):
    (tmp_path / f"a.{suffix}").write_text(("this is not a picture " * 200)[:length])
    refused(tmp_path / f"a.{suffix}", "not an? ")


def test_truncated_mrc(tmp_path):
    whole = mrc_file(tmp_path / "a.mrc", np.tile(PATTERN, (20, 20))).read_bytes()
    for length in (len(whole) - 1, 1024 + 8, 1024):
        (tmp_path / "a.mrc").write_bytes(whole[:length])
        refused(tmp_path / "a.mrc", "140 x 100 x 1 ")
    (tmp_path / "a.mrc").write_bytes(whole[:500])
    refused(tmp_path / "a.mrc", "not an MRC file")


def noise(shape=(64, 80)):
    return np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory):
    """Return the bytes and pixels of one good file of each kind, by name."""
    folder = tmp_path_factory.mktemp("whole")
    data = noise()
    write_mrc(folder / "a.mrc", data)
    write_mrc(folder / "a.mrc.gz", data)
    write_mrc(folder / "a.mrc.bz2", data)
    tifffile.imwrite(folder / "a.tif", data)
    tifffile.imwrite(folder / "zip.tif", data, compression="zlib")
    imageio.v3.imwrite(folder / "lzw.tif", data, plugin="pillow", compression="tiff_lzw")
    imageio.v3.imwrite(folder / "a.png", data)
    imageio.v3.imwrite(folder / "a.jpg", data, quality=95)
    return {path.name: (path.read_bytes(), read(path).data) for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("name", ["a.mrc", "a.mrc.gz", "a.mrc.bz2", "a.tif", "zip.tif", "lzw.tif", "a.png", "a.jpg"])
def test_truncated_at_any_place(tmp_path, whole_files, name):
    whole, data = whole_files[name]
    for length in np.linspace(1, len(whole) - 1, 40).astype(int):
        (tmp_path / name).write_bytes(whole[:length])
        try:
            got = read(tmp_path / name).data
        except MicrographError:
            continue
        assert np.array_equal(got, data)  # only a checksum or an end mark was lost


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["a.mrc", "a.tif", "zip.tif", "a.png", "a.jpg"]),
    changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_damaged_bytes_give_pixels_or_our_error(tmp_path, whole_files, name, changes):
    raw = bytearray(whole_files[name][0])
    for place, value in changes:
        raw[place] = value
    (tmp_path / name).write_bytes(raw)
    try:
        data = read(tmp_path / name).data
    except MicrographError:
        return
    assert data.ndim == 2
    assert np.isfinite(data).all()


@pytest.mark.filterwarnings("ignore::RuntimeWarning:mrcfile", "ignore::RuntimeWarning:numpy")  # of writing them
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("suffix", ["mrc", "tif"])
def test_pixels_that_are_no_numbers_are_counted(tmp_path, bad, suffix):
    data = PATTERN.copy()
    data[1, 2] = data[3, 4] = bad
    path = tmp_path / f"a.{suffix}"
    mrc_file(path, data) if suffix == "mrc" else tifffile.imwrite(path, data)
    refused(path, "2 of 35 pixels")


def test_constant_image(tmp_path):
    refused(mrc_file(tmp_path / "a.mrc", np.full((4, 5), 7, np.int16)), "pixel is 7")


@pytest.mark.parametrize("field", ["nx", "ny", "nz"])
@pytest.mark.parametrize("value", [0, -3])
def test_no_pixels(tmp_path, field, value):
    path = mrc_file(tmp_path / "a.mrc", PATTERN)
    raw = bytearray(path.read_bytes())
    offset = 4 * ["nx", "ny", "nz"].index(field)
    raw[offset : offset + 4] = np.int32(value).tobytes()
    path.write_bytes(raw)
    refused(path, "no pixels")


@pytest.mark.parametrize(
    ("mode", "match"), [(3, "complex"), (4, "complex"), (101, "4-bit"), (16, "unknown"), (-1, "mode -1")]
)
def test_unsupported_mrc_modes(tmp_path, mode, match):
    path = mrc_file(tmp_path / "a.mrc", PATTERN.astype(np.complex64))
    raw = bytearray(path.read_bytes())
    raw[12:16] = np.int32(mode).tobytes()
    path.write_bytes(raw)
    refused(path, match)
    refused(path, f"mode {mode}")


def test_complex_tiff(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", PATTERN.astype(np.complex64))
    refused(tmp_path / "a.tif", "complex64")


@pytest.mark.parametrize("size", [0, -1, np.nan, np.inf])
def test_impossible_pixel_size_is_refused(tmp_path, size):
    path = mrc_file(tmp_path / "a.mrc", PATTERN)
    with pytest.raises(ArgumentError, match=f"pixel_size .*{size}"):
        read(path, pixel_size=size)


def test_micrograph_has_to_be_two_dimensional():
    with pytest.raises(ArgumentError, match=r"\(2, 3, 4\)"):
        Micrograph(np.zeros((2, 3, 4)))
    assert Micrograph(np.zeros((3, 4), order="F")).data.flags.c_contiguous


# ---- writing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".mrc", ".mrcs", ".mrc.gz", ".mrc.bz2", ".MRC"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=9),
        elements=st.floats(-(2.0**50), 2.0**50, width=32),
    ),
    size=st.one_of(st.none(), st.floats(0.1, 100)),
)
def test_mrc_round_trip(tmp_path, suffix, data, size):
    data[0, 0] = data[0, 1] + 1 if abs(data[0, 1]) < 1e6 else -data[0, 1]  # never constant
    path = tmp_path / f"a{suffix}"
    write_mrc(path, data, size)
    micrograph = read(path)
    assert np.array_equal(micrograph.data, data)
    assert micrograph.pixel_size == (None if size is None else pytest.approx(size, rel=1e-6))
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    path.unlink()


@pytest.mark.parametrize(
    ("dtype", "mode"),
    [
        ("int8", 0),
        ("int16", 1),
        ("uint16", 6),
        ("float16", 12),
        ("float32", 2),
        ("float64", 2),
        ("uint8", 2),
        ("bool", 2),
        ("int64", 2),
        (">i2", 1),
        (">f4", 2),
    ],
)
def test_written_modes(tmp_path, dtype, mode):
    write_mrc(tmp_path / "a.mrc", PATTERN.astype(dtype), 1.25)
    with mrcfile.open(tmp_path / "a.mrc") as mrc:
        assert mrc.header.mode == mode
        assert mrc.is_single_image()
        assert np.array_equal(mrc.data, PATTERN.astype(dtype))
        assert mrc.voxel_size.x == mrc.voxel_size.y == pytest.approx(1.25)
    assert mrcfile.validate(tmp_path / "a.mrc")


def test_same_array_same_file(tmp_path):
    write_mrc(tmp_path / "a.mrc", PATTERN)
    write_mrc(tmp_path / "b.mrc", PATTERN)
    assert (tmp_path / "a.mrc").read_bytes() == (tmp_path / "b.mrc").read_bytes()


@pytest.mark.parametrize(
    ("data", "options", "match"),
    [
        (np.array([[1, np.nan]]), {}, r"a\.mrc: .* 1 of 2 pixels"),
        (np.array([[1, 1e300]]), {}, r"a\.mrc: .* 1 of 2 pixels"),
        (np.zeros((2, 3, 4)), {}, r"a\.mrc: .*\(2, 3, 4\)"),
        (np.zeros((0, 4)), {}, r"a\.mrc: .*\(0, 4\)"),
        (np.zeros((2, 2), complex), {}, r"a\.mrc: .*complex"),
        (np.zeros((2, 2)), {"pixel_size": 0}, "pixel_size .*0"),
        (np.zeros((2, 2)), {"pixel_size": np.nan}, "pixel_size .*nan"),
    ],
)
def test_what_is_not_written(tmp_path, data, options, match):
    write_mrc(tmp_path / "a.mrc", PATTERN)
    with pytest.raises((ArgumentError, MicrographError), match=match):
        write_mrc(tmp_path / "a.mrc", data, **options)
    assert np.array_equal(read(tmp_path / "a.mrc").data, PATTERN)  # the older file is as it was


def test_only_mrc_names_are_written(tmp_path):
    with pytest.raises(ArgumentError, match=r"a\.png.*\.mrc"):
        write_mrc(tmp_path / "a.png", PATTERN)
    assert not list(tmp_path.iterdir())


# --- hostile files -------------------------------------------------------------------------------------------------


def patched(content, **fields):
    """An MRC file with other values in its header: offset -> (format, value)."""
    content = bytearray(content)
    for place, (kind, value) in fields.items():
        struct.pack_into(kind, content, int(place.removeprefix("at_")), value)
    return bytes(content)


def png_header(columns, rows):
    body = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    parts = [(b"IHDR", body), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    chunks = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def promising(name):
    """A file of a few kB that promises gigabytes."""
    file = io.BytesIO()
    mrc = np.arange(768, dtype=np.int16).reshape(24, 32)
    header = bytearray(1024)
    struct.pack_into("<4i", header, 0, 32, 24, 1, 1)
    header[208:216] = b"MAP \x44\x44\0\0"
    whole = bytes(header) + mrc.tobytes()
    if name.startswith("extended"):
        whole = patched(whole, at_92=("<i", 2**31 - 1))
    elif name.startswith("rows"):
        whole = patched(whole, at_0=("<i", 2**15), at_4=("<i", 2**15))
    elif name.startswith("images"):
        whole = patched(whole, at_8=("<i", 2**22))
    elif name.endswith(".png"):
        return png_header(65535, 65535)
    else:
        tifffile.imwrite(file, mrc, compression="zlib" if name.startswith("deflated") else None)
        content = bytearray(file.getvalue())
        with tifffile.TiffFile(io.BytesIO(content)) as tiff:
            tag = tiff.pages[0].tags["ImageLength"]
            content[tag.offset + 8 : tag.offset + 12] = struct.pack("<I", 80_000_000)
        return bytes(content)
    return gzip.compress(whole) if name.endswith(".gz") else whole


@pytest.mark.parametrize(
    "name",
    [
        "extended.mrc",
        "extended.mrc.gz",
        "rows.mrc",
        "rows.mrc.gz",
        "images.mrc",
        "deflated.tif",
        "plain.tif",
        "big.png",
    ],
)
def test_memory_is_not_taken_for_promises(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(promising(name))
    assert path.stat().st_size < 3000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(MicrographError, match=name):
        read(path, sum_frames=True)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


@pytest.mark.parametrize(
    ("low", "high", "unsigned"), [(3, 250, True), (-120, 100, False), (0, 0, False), (0, -1, False)]
)
def test_bytes_are_signed_or_not_as_minimum_and_maximum_say(tmp_path, low, high, unsigned):
    pixels = np.arange(3, 251, dtype=np.uint8).reshape(8, 31)
    path = tmp_path / "a.mrc"
    mrc_file(path, pixels.view(np.int8))
    path.write_bytes(patched(path.read_bytes(), at_76=("<f", low), at_80=("<f", high)))
    assert np.array_equal(read(path).data, pixels if unsigned else pixels.view(np.int8))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes of POSIX systems")
def test_what_cannot_be_read_is_found_and_fails(tmp_path):
    write_mrc(tmp_path / "a.mrc", np.arange(12.0).reshape(3, 4))
    (tmp_path / "dangling.mrc").symlink_to(tmp_path / "gone.mrc")
    (tmp_path / "loop.mrc").symlink_to(tmp_path / "loop.mrc")
    (tmp_path / "folder.mrc").mkdir()
    os.mkfifo(tmp_path / "pipe.mrc")
    assert [path.name for path in find(tmp_path)] == ["a.mrc", "dangling.mrc", "loop.mrc", "pipe.mrc"]
    for name in ("dangling.mrc", "loop.mrc", "pipe.mrc"):
        for function in (read, shape):
            with pytest.raises(MicrographError, match=name):
                function(tmp_path / name)


def test_lists_hold_names_that_are_no_text(tmp_path):
    names = [os.fsdecode(b"n_\xff.mrc"), "a b#'.mrc"]
    for name in names:
        write_mrc(tmp_path / name, np.arange(12.0).reshape(3, 4))
    (tmp_path / "list.txt").write_bytes(b"\n".join(map(os.fsencode, names)))
    assert {path.name for path in find(f"@{tmp_path / 'list.txt'}")} == set(names)
