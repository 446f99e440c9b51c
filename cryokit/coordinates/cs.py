"""cryoSPARC's ``.cs`` files: NumPy arrays of records, one for each pick or particle.

The fields ``location/center_x_frac`` and ``center_y_frac`` are centres as fractions of the micrograph, whose rows and
columns are in ``location/micrograph_shape``; so a file needs no scale. ``location/micrograph_path`` names the
micrograph, as a rule with cryoSPARC's identifier of 21 digits in front. The y axis is that of the micrograph as stored;
files that were written for another one need ``flip_y``. The score is ``pick_stats/ncc_score``, or else
``pick_stats/power``, whatever its scale. Files with Python objects are refused, because reading them could run code.

Written: these fields, an identifier of each pick, and ``location/micrograph_uid`` if all the micrographs' names have
cryoSPARC's identifier; fractions have 7 digits. Diameters and views are not kept.
"""

import hashlib
import os

import numpy as np
import pandas as pd

from cryokit._util.files import replacing
from cryokit._util.names import located_name, uid
from cryokit.coordinates.formats import WriteOptions
from cryokit.coordinates.picks import require_columns, table, validate
from cryokit.errors import CoordinateError

_X, _Y = "location/center_x_frac", "location/center_y_frac"
_PATH, _SHAPE, _UID = "location/micrograph_path", "location/micrograph_shape", "location/micrograph_uid"
_SCORES = ("pick_stats/ncc_score", "pick_stats/power")
_STREAM = b"\x94CSDAT"  # how files begin that cryosparc-tools saved in its other format


def recognises(text: str) -> bool:
    """Return False: the files are not text, and their suffix identifies them."""
    return False


def read(path: str | os.PathLike, micrograph: str, diameter: float | None = None) -> tuple[pd.DataFrame, list[str]]:
    """Read a .cs file (see `cryokit.coordinates.formats`); `micrograph` is not used, as the file names its own."""
    records = _load(path)
    fields = records.dtype.names
    if "micrograph_blob/path" in fields and _X not in fields:
        raise CoordinateError(f"{path}: a list of micrographs of cryoSPARC, without picks; give the file of the picks")
    require_columns(fields, (_PATH, _SHAPE, _X, _Y), path)
    shape = _numbers(records, _SHAPE, path, (len(records), 2))
    if not (shape > 0).all():
        raise CoordinateError(f"{path}: {_SHAPE} is not positive, so the fractions mean nothing; export it again")
    x, y = (_numbers(records, name, path, (len(records),)) for name in (_X, _Y))
    score_field = next((name for name in _SCORES if name in fields), None)
    score = np.nan if score_field is None else _numbers(records, score_field, path, (len(records),))
    names = [located_name(_text(name, path)) for name in records[_PATH].tolist()]
    picks = table(names, x=x * shape[:, 1], y=y * shape[:, 0], score=score)
    return validate(picks, path), list(dict.fromkeys(names))


def _load(path: str | os.PathLike) -> np.ndarray:
    """Return the records in a file; only what is used of them is read."""
    try:
        with open(path, "rb") as file:
            start = file.read(len(_STREAM))
    except OSError as error:
        raise CoordinateError(f"{path}: cannot be read ({error.strerror or error})") from None
    if start == _STREAM:
        raise CoordinateError(
            f"{path}: in cryoSPARC's format CSDAT, which only its own tools read; save it with them as a NumPy array: "
            'Dataset.load(...).save(..., format="numpy")'
        )
    try:
        # Mapped, so that a header that promises more than the file holds is an error before anything is allocated.
        records = np.load(path, mmap_mode="r", allow_pickle=False, max_header_size=100_000)
    except Exception:  # of many kinds; what NumPy advises in them, to load the file unsafely, leads astray
        raise CoordinateError(
            f"{path}: cannot be read as a .cs file of cryoSPARC; it is damaged, or holds Python objects, which are not "
            "loaded; export it again"
        ) from None
    if isinstance(records, np.lib.npyio.NpzFile):
        records.close()
    if not isinstance(records, np.ndarray) or records.dtype.names is None or records.ndim != 1:
        raise CoordinateError(f"{path}: not a .cs file of cryoSPARC (no array of records); export it again")
    return records


def _numbers(records: np.ndarray, name: str, path: str | os.PathLike, shape: tuple[int, ...]) -> np.ndarray:
    values = records[name]
    if values.dtype.kind not in "iuf" or values.shape != shape:
        raise CoordinateError(f"{path}: field {name} does not hold {' x '.join(map(str, shape))} numbers")
    return values.astype(np.float64)


def _text(name: bytes | str, path: str | os.PathLike) -> str:
    text = os.fsdecode(name) if isinstance(name, bytes) else name
    if not isinstance(text, str) or not text.strip(">"):
        raise CoordinateError(f"{path}: field {_PATH} does not name the micrograph of each pick")
    return text.removeprefix(">")  # of paths that are relative to the file


def write(path: str | os.PathLike, picks: pd.DataFrame, options: WriteOptions) -> None:
    """Write a .cs file; it always names the micrographs (see `cryokit.coordinates.formats`).

    A micrograph without a path in ``options.micrographs`` is written as its name and ``.mrc``.
    """
    names = picks["micrograph"].unique().tolist()
    unknown = [name for name in names if name not in options.shapes]
    if unknown:
        raise CoordinateError(
            f"{path}: a .cs file needs the shape of micrograph {unknown[0]} (shape=, --micrographs), as it holds "
            "fractions of it"
        )
    known = options.micrographs or {}
    paths = {name: os.fsencode(known.get(name, f"{name}.mrc")) for name in names}
    longest = max(map(len, paths.values()), default=1)
    fields = [("uid", "<u8"), (_PATH, f"S{longest}"), (_SHAPE, "<u4", (2,)), (_X, "<f4"), (_Y, "<f4")]
    scored = picks["score"].notna().any()
    uids = {name: uid(name) for name in names}
    if scored:
        fields.append((_SCORES[0], "<f4"))
    if None not in uids.values():
        fields.append((_UID, "<u8"))
    records = np.zeros(len(picks), fields)
    shapes = np.array([options.shapes[name] for name in picks["micrograph"]], dtype=np.float64).reshape(-1, 2)
    records[_PATH] = [paths[name] for name in picks["micrograph"]]
    records[_SHAPE] = shapes
    records[_X], records[_Y] = picks["x"] / shapes[:, 1], picks["y"] / shapes[:, 0]
    if scored:
        records[_SCORES[0]] = picks["score"]
    if _UID in records.dtype.names:
        records[_UID] = [uids[name] for name in picks["micrograph"]]
    places = zip(picks["micrograph"], picks["x"], picks["y"], strict=True)
    # The same picks get the same identifiers at every run.
    records["uid"] = [
        int.from_bytes(hashlib.sha256(repr((row, *place)).encode()).digest()[:8], "little")
        for row, place in enumerate(places)
    ]
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.lib.format.write_array(file, records, allow_pickle=False)
