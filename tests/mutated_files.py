"""Damaged files for every reader: seeded mutations of small right files, and what comes of reading them.

The outcome of each has to be an error of cryokit's that names the file in one line, or a result that is whole.
``python benchmarks/fuzzing.py`` reads more than the tests do, and writes down how many.
"""

import bz2
import gzip
import io
import json
import math
import resource
import struct
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import imageio.v3 as iio
import mrcfile
import numpy as np
import tifffile

from cryokit import coordinates, micrograph, networks, pickers
from cryokit.benchmark import configuration, result_file, tables
from cryokit.datasets import manifest
from cryokit.errors import CryokitError
from cryokit.imaging.frame import Frame, Picture
from cryokit.imaging.framed_files import read_framed, write_framed

LARGEST = 700  # MB that reading damaged files of a few kB may take in addition
LONGEST = 3000  # characters of a message
_NUMBERS = (0, 1, -1, 2, 7, 127, 128, 255, 256, 32767, 65535, 65536, 2**24, 2**31 - 1, -(2**31), 2**32 - 1)
_WORDS = (
    *(
        "nan",
        "inf",
        "-inf",
        "1e400",
        "-1",
        "0",
        "9" * 400,
        "1e308",
        "-1e308",
        "0x10",
        "1_0",
        "<NA>",
        "",
        "null",
        "true",
    ),
    *(
        "[",
        "]",
        "{",
        "}",
        "[[[[[[[[",
        '"',
        "'",
        "#",
        ",",
        "\t",
        ";",
        " ",
        "\n",
        "\r",
        "\n\n",
        "..",
        "/",
        "../../x",
        "~",
    ),
    *("data_", "loop_", "_rlnCoordinateX", "data_optics", "&a ", "*a", "!!int ", "!!binary ", "2001-99-99", "1:2:3"),
    *("? ", "\ufeff", "\u0660", "\x00", "é", "=1+1", "- ", ": ", "|", ">", "%", "x" * 5000, "1e5", "0.5", "1e15", "-0"),
)


@dataclass(frozen=True)
class Reader:
    """A reader, right files for it, and the name that a damaged one gets; `cost` is its time relative to cheap ones."""

    file: str
    right: tuple[bytes, ...]
    read: Callable[[Path], None]
    text: bool = False
    cost: int = 1


def mutated(rng: np.random.Generator, right: tuple[bytes, ...], text: bool) -> bytes:
    """Return one of several files with one to four random changes."""
    data = bytearray(right[rng.integers(len(right))])
    for _ in range(1 + rng.integers(4)):
        at, end = sorted(rng.integers(0, len(data) + 1, 2).tolist())
        match int(rng.integers(10)):
            case 0 | 1 if data:
                data[min(at, len(data) - 1)] ^= 1 << rng.integers(8)
            case 2:
                data[at : at + 1] = bytes([rng.integers(256)])
            case 3:
                del data[at : min(end, at + 1 + int(rng.integers(64)))]
            case 4:
                data[at:at] = data[at : min(end, at + 1 + int(rng.integers(200)))]
            case 5 if rng.random() < 0.3:
                del data[at:]
            case 6 if not text:
                width = int(rng.choice([1, 2, 4, 8]))
                number = _NUMBERS[rng.integers(len(_NUMBERS))] % 256**width
                # Headers are where the promises are.
                at = at if rng.random() < 0.5 else int(rng.integers(min(len(data), 256) + 1))
                data[at : at + width] = number.to_bytes(width, "little" if rng.random() < 0.7 else "big")
            case 7:
                other = right[rng.integers(len(right))]
                data[at:end] = other[at:end]
            case _:
                word = _WORDS[rng.integers(len(_WORDS))].encode()
                if text and rng.random() < 0.6:  # in place of a word
                    spans = [len(part) for part in bytes(data).split()]
                    if spans:
                        words = bytes(data).split()
                        old = words[rng.integers(len(words))]
                        at = bytes(data).find(old)
                        data[at : at + len(old)] = word
                else:
                    data[at:at] = word
    return bytes(data)


def outcomes(
    name: str, number: int, seed: int, folder: Path, *, first: int = 0, seconds: float = math.inf
) -> Counter[str]:
    """Read damaged files, and count errors and results; anything else raises an AssertionError that says how to repeat.

    Parameters
    ----------
    name : str
        Reader, out of `readers()`.
    number : int
        Number of files.
    seed : int
        Random seed.
    folder : pathlib.Path
        Folder for the file.
    first : int
        Number of the first file: those of one seed can be read in several goes.
    seconds : float
        Most processor time that a file may take; what it takes in fact depends on the machine, so tests give none.
    """
    reader = readers()[name]
    path = folder / reader.file
    path.parent.mkdir(parents=True, exist_ok=True)
    counts: Counter[str] = Counter()
    before = _peak()
    for index in range(first, first + number):
        data = mutated(np.random.default_rng([seed, index]), reader.right, reader.text)
        path.write_bytes(data)
        began = time.process_time()
        try:
            reader.read(path)
            counts["result"] += 1
        except CryokitError as error:
            message = str(error)
            fault = "" if path.name in message or path.parent.name in message else "names no file"
            fault = fault or ("" if len(message) <= LONGEST else f"is {len(message)} characters long")
            assert not fault, f"{name}, seed {seed}, file {index}: the message {fault}: {message[:300]}"
            counts["error"] += 1
        except Exception as error:
            raise AssertionError(f"{name}, seed {seed}, file {index}: {type(error).__name__}: {error}") from error
        taken = time.process_time() - began
        assert taken <= seconds, f"{name}, seed {seed}, file {index}: {taken:.0f} s of processor time"
        more = _peak() - before
        assert more < LARGEST, f"{name}, seed {seed}, file {index}: {more} MB"
    return counts


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _micrograph(path: Path) -> None:
    read = micrograph.read(path, sum_frames=True)
    assert read.data.ndim == 2
    assert read.data.dtype == np.float32
    assert read.data.shape == micrograph.shape(path)
    assert read.pixel_size is None or 0 < read.pixel_size < 1e4


def _framed(path: Path) -> None:
    data, frame = read_framed(path, (96, 128))
    assert data.shape == frame.shape
    assert np.isfinite([frame.x0, frame.y0, frame.step_x, frame.step_y]).all()
    assert min(frame.step_x, frame.step_y) > 0


def _picks(format: str | None) -> Callable[[Path], None]:
    def read(path: Path) -> None:
        picks = coordinates.read(path, format)
        assert tuple(picks.columns) == coordinates.COLUMNS
        assert np.isfinite(picks[["x", "y"]].to_numpy()).all()

    return read


def _listed(path: Path) -> None:
    (path.parent / "a.mrc").touch()
    assert micrograph.find(f"@{path}")


def _result(path: Path) -> None:
    tables.text(result_file.load(path))


def _picker(path: Path) -> None:
    pickers.load(path)


def _header(path: Path) -> None:
    networks.header(path.parent)


def _pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 200, (24, 32))


def _mrc() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.mrc"
        with mrcfile.new(path, data=_pixels().astype(np.int16)) as file:
            file.set_extended_header(np.zeros(64, "V1"))
        return path.read_bytes()


def _byte_mrc() -> bytes:
    data = bytearray(_mrc()[:1024])
    struct.pack_into("<i", data, 12, 0)
    struct.pack_into("<i", data, 92, 0)
    return bytes(data) + _pixels().astype(np.uint8).tobytes()


def _framed_mrc() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.mrc"
        frame = Frame((24, 32), (96, 128), 1.5, 1.5, 4.0, 4.0)
        write_framed(path, Picture(_pixels().astype(np.float32), frame), 2.0)
        return path.read_bytes()


def _tiff(**settings) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, _pixels().astype(np.uint16), **settings)
    return file.getvalue()


def _encoded(pixels: np.ndarray, extension: str) -> bytes:
    return iio.imwrite("<bytes>", pixels, extension=extension)


def _disc() -> np.ndarray:
    rows, columns = np.mgrid[:48, :48]
    return (((rows - 20) ** 2 + (columns - 25) ** 2 < 100) * 255).astype(np.uint8)


def _written(format: str, suffix: str, **settings) -> bytes:
    picks = coordinates.table(["a", "b"], [10, 20.5], [30, 40.25], [0.9, 0.25], 40)
    if not coordinates.FORMATS[format].many:
        picks = picks[:1]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        coordinates.write(picks, path, format, **settings)
        return path.read_bytes()


_OPTICS = b"""data_optics

loop_
_rlnOpticsGroup #1
_rlnMicrographPixelSize #2
1 1.5

data_particles

loop_
_rlnMicrographName #1
_rlnCoordinateX #2
_rlnCoordinateY #3
_rlnAutopickFigureOfMerit #4
MotionCorr/A/001.mrc 1 2 0.5
MotionCorr/B/001.mrc 3 4 -999
"""
_LIST = b"""data_coordinate_files

loop_
_rlnMicrographName #1
_rlnMicrographCoordinates #2
MotionCorr/A/001.mrc other.star
"""
_MANIFEST = b"""schema: 1
name: m
title: A dataset
citation: ["Somebody (2020)"]
licence: unknown
pixel_size: 1.5
diameter: {pixels: 80, angstrom: null}
views: [top]
verified: true
files:
  - {path: a.mrc, role: micrograph, split: test, urls: ["https://example.org/a.mrc"], bytes: 10, sha256: "%s"}
  - {path: a.csv, role: label-coordinates, micrograph: a, sha256: "%s"}
""" % (b"0" * 64, b"1" * 64)
_CONFIG = b"""name: tiny
title: A comparison
note: a note
methods: [template, {name: wide, picker: deepcryopicker, settings: {width: 0.5}}]
seeds: 2
timeout: 3.5
datasets:
  - {name: apo, simulate: &base {protein: apoferritin, train: 1, validation: 1, test: 1, shape: [512, 512], seed: 3}}
  - {name: mine, micrographs: a, labels: b, diameter: 60, splits: {test: [m1]}}
sweeps:
  - {axis: snr, values: [0.1, 0.2], dataset: {name: s, simulate: *base}}
"""


def _learned() -> bytes:
    picker = pickers.create("template", diameter=12, contrast="dark")
    rng = np.random.default_rng(0)
    data = rng.normal(size=(128, 128)).astype(np.float32)
    rows, columns = np.mgrid[:128, :128]
    for y, x in rng.integers(12, 116, (20, 2)):
        data -= 3 * ((rows - y) ** 2 + (columns - x) ** 2 < 36)
    picker.fit([micrograph.Micrograph(data, name="a")])
    with tempfile.TemporaryDirectory() as folder:
        return picker.save(Path(folder) / "m.npz").read_bytes()


def _small_result() -> bytes:
    from benchmark_result import METHODS, result

    whole = result()
    kept = {"template", "deepem"} & set(METHODS)
    whole["methods"] = {name: method for name, method in whole["methods"].items() if name in kept}
    whole["cells"] = [cell for cell in whole["cells"] if cell["method"] in kept]
    for cell in whole["cells"]:
        curve = cell["curve"]
        cell["curve"] = {name: value[:3] if isinstance(value, list) else value for name, value in curve.items()}
        cell["view_curves"] = {}
        cell["per_micrograph"] = cell["per_micrograph"][:4]
    return json.dumps(whole).encode()


_READERS: dict[str, Callable[[], Reader]] = {
    "mrc": lambda: Reader("a.mrc", (_mrc(), _byte_mrc()), _micrograph),
    "mrc.gz": lambda: Reader("a.mrc.gz", (gzip.compress(_mrc(), mtime=0), _mrc()), _micrograph),
    "mrc.bz2": lambda: Reader("a.mrc.bz2", (bz2.compress(_mrc()), _mrc()), _micrograph),
    "score map": lambda: Reader("a.mrc", (_framed_mrc(),), _framed),
    "tiff": lambda: Reader(
        "a.tif",
        (
            _tiff(),
            _tiff(compression="zlib", predictor=True),
            _tiff(tile=(16, 16), compression="zlib"),
            _tiff(imagej=True),
            _tiff(bigtiff=True, rowsperstrip=5),
        ),
        _micrograph,
    ),
    "png": lambda: Reader(
        "a.png", tuple(_encoded(_pixels().astype(kind), ".png") for kind in (np.uint8, np.uint16)), _micrograph
    ),
    "jpeg": lambda: Reader("a.jpg", (_encoded(_pixels().astype(np.uint8), ".jpg"),), _micrograph),
    "star": lambda: Reader("a.star", (_written("star", ".star"), _OPTICS), _picks(None), text=True),
    "star list": lambda: Reader("autopick.star", (_LIST, _OPTICS), _picks("star"), text=True),
    "box": lambda: Reader("a.box", (_written("box", ".box"), b"1 2 30 30 -1\n4 5 30 30 -2\n"), _picks(None), text=True),
    "cbox": lambda: Reader("a.cbox", (_written("cbox", ".cbox"), b"1 2 30 30 0.5 28 29\n"), _picks(None), text=True),
    "eman2": lambda: Reader("a_info.json", (_written("eman2", "_info.json"),), _picks(None), text=True),
    "cs": lambda: Reader("a.cs", (_written("cs", ".cs", shape=(96, 128)),), _picks(None)),
    "topaz": lambda: Reader("a.tsv", (_written("topaz", ".tsv"),), _picks("topaz"), text=True),
    "csv": lambda: Reader("a.csv", (_written("csv", ".csv"), b"x,y,view\n1,2,top\n"), _picks("csv"), text=True),
    "any text": lambda: Reader(
        "a.txt", (_written("csv", ".csv"), _OPTICS, _LIST, _written("topaz", ".tsv")), _picks(None), text=True
    ),
    "label png": lambda: Reader("a.png", (_encoded(_disc(), ".png"),), _picks("pictures")),
    "label jpeg": lambda: Reader("a.jpg", (_encoded(_disc(), ".jpg"),), _picks("pictures")),
    "label tiff": lambda: Reader("a.tif", (_encoded(_disc(), ".tif"),), _picks("pictures")),
    "micrograph list": lambda: Reader("list.txt", (b"# a list\na.mrc\n./a.mrc\n\n",), _listed, text=True),
    "manifest": lambda: Reader("m.yaml", (_MANIFEST,), manifest.read, text=True),
    "benchmark": lambda: Reader("c.yaml", (_CONFIG,), configuration.read, text=True),
    "result": lambda: Reader("r.json", (_small_result(),), _result, text=True, cost=20),
    "saved picker": lambda: Reader("m.npz", (_learned(),), _picker),
    "model header": lambda: Reader(
        "network/model.json",
        ((Path(networks.__file__).parent / "shipped/general/model.json").read_bytes(),),
        _header,
        True,
    ),
}
_made: dict[str, Reader] = {}


def names() -> tuple[str, ...]:
    """Return the names of all readers."""
    return tuple(_READERS)


def readers() -> "_Made":
    """Return the readers by name; right files are made when they are asked for."""
    return _Made()


class _Made:
    def __getitem__(self, name: str) -> Reader:
        if name not in _made:
            _made[name] = _READERS[name]()
        return _made[name]
