"""cryoSPARC's .cs files: fractions of the micrographs, names with identifiers, and what is refused."""

import io

import numpy as np
import pytest

from cryokit.coordinates import read, read_folder, table, write
from cryokit.errors import CoordinateError

UID = "001234567890123456789"
FIELDS = [
    ("uid", "<u8"),
    ("location/micrograph_uid", "<u8"),
    ("location/exp_group_id", "<u4"),
    ("location/micrograph_path", "S80"),
    ("location/micrograph_shape", "<u4", (2,)),
    ("location/center_x_frac", "<f4"),
    ("location/center_y_frac", "<f4"),
    ("pick_stats/ncc_score", "<f4"),
    ("pick_stats/power", "<f4"),
]


def made(fields=FIELDS, rows=2):
    """Records as cryoSPARC's template picker writes them: two micrographs of 400 rows and 600 columns."""
    records = np.zeros(rows, fields)
    paths = [f"J2/motioncorrected/{UID}_a.b_patch.mrc", "J2/motioncorrected/c.mrc"][:rows]
    values = {
        "uid": [1, 2],
        "location/micrograph_path": paths,
        "location/micrograph_shape": [[400, 600]] * rows,
        "location/center_x_frac": [0.25, 0.5],
        "location/center_y_frac": [0.125, 0.75],
        "pick_stats/ncc_score": [0.5, 0.25],
        "pick_stats/power": [300, 200],
    }
    for name in set(values) & set(records.dtype.names):
        if records[name].dtype.kind == "i":
            continue
        records[name] = values[name][:rows]
    return records


def saved(folder, records, name="picks.cs"):
    with open(folder / name, "wb") as file:
        np.save(file, records)
    return folder / name


def without(*names):
    return [field for field in FIELDS if field[0] not in names]


def test_fractions_become_pixels(tmp_path):
    picks, names = read_folder(saved(tmp_path, made()))
    assert names == [f"{UID}_a.b_patch", "c"]
    assert picks[["x", "y", "score"]].to_numpy().tolist() == [[150, 50, 0.5], [300, 300, 0.25]]
    assert picks["diameter"].isna().all()


@pytest.mark.parametrize(
    ("fields", "score"),
    [
        (without("pick_stats/ncc_score"), [300, 200]),
        (without("pick_stats/ncc_score", "pick_stats/power"), [np.nan, np.nan]),
        (without("uid", "location/micrograph_uid", "location/exp_group_id"), [0.5, 0.25]),
        ([*FIELDS, ("location/micrograph_psize_A", "<f4"), ("ctf/anisomag", "<f4", (4,))], [0.5, 0.25]),
        ([(name, "U80" if "path" in name else kind, *shape) for name, kind, *shape in FIELDS], [0.5, 0.25]),
        ([(name, kind.replace("<f4", ">f8"), *shape) for name, kind, *shape in FIELDS], [0.5, 0.25]),
    ],
)
def test_other_fields_do_not_matter(tmp_path, fields, score):
    picks = read(saved(tmp_path, made(fields)))
    assert picks[["x", "y"]].to_numpy().tolist() == [[150, 50], [300, 300]]
    np.testing.assert_array_equal(picks["score"], score)


def test_marks_of_relative_paths_are_no_part_of_names(tmp_path):
    records = made()
    records["location/micrograph_path"] = [b">a.mrc", b">J1/b.mrc"]
    assert read(saved(tmp_path, records))["micrograph"].tolist() == ["a", "b"]


def test_paths_that_are_no_text_are_refused(tmp_path):
    records = made()
    records["location/micrograph_path"][1] = b"J2/n_\xff.mrc"
    with pytest.raises(CoordinateError) as error:
        read(saved(tmp_path, records))
    assert "picks.cs" in str(error.value)


def test_many_fields_do_not_matter(tmp_path):
    fields = [*FIELDS, *((f"alignments3D/some_long_name_of_a_parameter_{number}", "<f4") for number in range(300))]
    assert len(read(saved(tmp_path, made(fields)))) == 2


def test_written_as_cryosparc_writes(tmp_path):
    picks = table([f"{UID}_a", f"{UID}_a", "000000000000000000042_b"], [10, 30, 5], [20, 40, 6], [0.5, np.nan, 1])
    shapes = {f"{UID}_a": (400, 600), "000000000000000000042_b": (100, 50)}
    write(picks, tmp_path / "out.cs", shape=shapes, micrographs={f"{UID}_a": f"J2/{UID}_a.tif"})
    records = np.load(tmp_path / "out.cs", allow_pickle=False)
    assert records["location/micrograph_path"].tolist() == [f"J2/{UID}_a.tif".encode()] * 2 + [
        b"000000000000000000042_b.mrc"
    ]
    assert records["location/micrograph_shape"].tolist() == [[400, 600]] * 2 + [[100, 50]]
    assert records["location/micrograph_uid"].tolist() == [int(UID)] * 2 + [42]
    np.testing.assert_allclose(records["location/center_x_frac"], [10 / 600, 30 / 600, 5 / 50], rtol=1e-6)
    np.testing.assert_allclose(records["location/center_y_frac"], [20 / 400, 40 / 400, 6 / 100], rtol=1e-6)
    assert len(set(records["uid"].tolist())) == 3
    before = (tmp_path / "out.cs").read_bytes()
    write(picks, tmp_path / "out.cs", shape=shapes, micrographs={f"{UID}_a": f"J2/{UID}_a.tif"})
    assert (tmp_path / "out.cs").read_bytes() == before
    # Without any identifier or score, there is no field for it.
    write(table("a", [1], [2]), tmp_path / "out.cs", shape=(10, 10))
    assert {"location/micrograph_uid", "pick_stats/ncc_score"}.isdisjoint(np.load(tmp_path / "out.cs").dtype.names)


def test_the_shape_of_every_micrograph_is_needed(tmp_path):
    with pytest.raises(CoordinateError, match=r"out\.cs: .* b .*--micrographs"):
        write(table(["a", "b"], [1, 2], [3, 4]), tmp_path / "out.cs", shape={"a": (10, 10)})
    with pytest.raises(CoordinateError, match=r"out\.cs: .* a .*--micrographs"):
        write(table("a", [1], [3]), tmp_path / "out.cs")
    assert not list(tmp_path.iterdir())


class Attack:
    def __reduce__(self):
        return open, ("attacked", "w")


def objects():
    """A file with Python objects, which reading must not make."""
    stream = io.BytesIO()
    np.save(stream, np.array([Attack()], dtype=object), allow_pickle=True)
    return stream.getvalue()


def text(records):
    stream = io.BytesIO()
    np.save(stream, records)
    return stream.getvalue()


def zipped():
    stream = io.BytesIO()
    np.savez(stream, a=np.zeros(3))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "damaged"),
        (b"x,y\n1,2\n", "damaged"),
        (b"\x94CSDAT" + bytes(50), "CSDAT"),
        (text(made())[:-20], "damaged"),
        (text(made()).replace(b"(2,)", b"(9" + b"9" * 15 + b",)"), "damaged"),
        (objects(), "objects"),
        (zipped(), "records"),
        (text(np.zeros((3, 4))), "records"),
        (text(made(without("location/center_x_frac"))), "location/center_x_frac"),
        (text(made(without("location/micrograph_shape"))), "location/micrograph_shape"),
        (text(np.zeros(2, [("uid", "<u8"), ("micrograph_blob/path", "S20")])), "micrographs"),
        (text(np.zeros(2, FIELDS)), "micrograph_shape"),
        (text(made([(name, "<i4" if "path" in name else kind, *shape) for name, kind, *shape in FIELDS])), "path"),
        (
            text(np.zeros(2, [(name, "S4" if "x_frac" in name else kind, *shape) for name, kind, *shape in FIELDS])),
            "micrograph_shape|x_frac",
        ),
    ],
)
def test_what_is_no_cs_file_of_picks_is_one_error(tmp_path, monkeypatch, content, told):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.cs").write_bytes(content)
    with pytest.raises(CoordinateError, match=rf"bad\.cs: .*({told})") as caught:
        read(tmp_path / "bad.cs")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "attacked").exists()


def test_centres_that_are_not_finite_are_refused(tmp_path):
    records = made()
    records["location/center_x_frac"][1] = np.nan
    with pytest.raises(CoordinateError, match=r"picks\.cs: pick 2"):
        read(saved(tmp_path, records))
