"""Files written whole or not at all, and the names of micrographs."""

import csv
import io
import logging
import os
import stat
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryokit._util.csv_text import csv_text, without_apostrophe
from cryokit._util.files import inside, make_folder, read_bytes, replacing, unreadable, write_text
from cryokit._util.names import (
    COORDINATE_ENDINGS,
    MICROGRAPH_SUFFIXES,
    coordinate_file_micrograph,
    matched,
    micrograph_name,
    micrograph_names,
    same_micrograph,
)
from cryokit._util.wording import shortened, shown
from cryokit.coordinates import SUFFIXES
from cryokit.errors import CryokitError

# --- files ---------------------------------------------------------------------------------------------------------


def everything_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_file_appears_whole_and_nothing_else_stays(tmp_path):
    target = tmp_path / "new" / "folders" / "a.b.mrc.gz"
    with replacing(target) as temporary:
        assert temporary.name.endswith(".mrc.gz")
        assert not temporary.exists()
        temporary.write_bytes(b"half")
        assert not target.exists()
        temporary.write_bytes(b"whole")
    assert target.read_bytes() == b"whole"
    assert everything_in(tmp_path) == ["new", "new/folders", "new/folders/a.b.mrc.gz"]


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt])
def test_a_failed_write_leaves_the_older_file_and_no_traces(tmp_path, error):
    target = tmp_path / "a.txt"
    target.write_text("old")

    def write():
        with replacing(target) as temporary:
            temporary.write_text("half of the n")
            raise error

    with pytest.raises(error):
        write()
    assert target.read_text() == "old"
    assert everything_in(tmp_path) == ["a.txt"]


def test_a_failed_first_write_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="before anything"), replacing(tmp_path / "a.txt"):
        raise ValueError("before anything was written")
    assert everything_in(tmp_path) == []


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(FileNotFoundError), replacing(target):
        pass
    assert target.read_text() == "old"
    assert everything_in(tmp_path) == ["a.txt"]


def test_a_killed_write_leaves_the_older_file(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    program = (
        "import os, sys\n"
        "from cryokit._util.files import replacing\n"
        "with replacing(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half')\n"
        "    os._exit(9)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(target)], check=False)
    assert done.returncode == 9
    assert target.read_text() == "old"
    # What is left over is hidden, so that no reader takes it for a file of its own.
    assert all(name.startswith(".") for name in everything_in(tmp_path) if name != "a.txt")


def test_two_writers_do_not_meet(tmp_path):
    target = tmp_path / "a.txt"
    with replacing(target) as one:
        one.write_text("one")
        with replacing(target) as other:
            other.write_text("other")
        assert target.read_text() == "other"
    assert target.read_text() == "one"
    assert everything_in(tmp_path) == ["a.txt"]


def test_text_is_utf8_on_every_system(tmp_path):
    write_text(tmp_path / "a.txt", "2.2 Å\n")
    assert (tmp_path / "a.txt").read_bytes() == "2.2 Å".encode() + b"\n"


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX systems")
def test_files_have_the_usual_permissions(tmp_path):
    plain = tmp_path / "plain.txt"
    plain.write_text("")
    write_text(tmp_path / "a.txt", "")
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "a.txt", tmp_path / "folder"):
        with pytest.raises(CryokitError) as caught:
            write_text(path, "new")
        assert str(path) in str(caught.value)
    assert everything_in(tmp_path) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "kept"


def test_folder_for_results(tmp_path):
    assert make_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    (tmp_path / "a" / "b" / "old.txt").write_text("kept")
    assert make_folder(str(tmp_path / "a" / "b")) == tmp_path / "a" / "b"
    assert everything_in(tmp_path) == ["a", "a/b", "a/b/old.txt"]
    for path in (tmp_path / "a" / "b" / "old.txt", tmp_path / "a" / "b" / "old.txt" / "c"):
        with pytest.raises(CryokitError) as caught:
            make_folder(path)
        assert str(path) in str(caught.value)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(CryokitError, match="Permission"):
            make_folder(tmp_path)
        with pytest.raises(CryokitError, match="Permission"):
            write_text(tmp_path / "a.txt", "")
    finally:
        tmp_path.chmod(0o700)


# --- names ---------------------------------------------------------------------------------------------------------

# What people call micrographs: dots, blanks, digits; no slashes, and not empty.
STEMS = st.text("ab01_-. é", min_size=1, max_size=12).filter(lambda stem: not stem.startswith("."))


@given(
    stem=STEMS,
    suffix=st.sampled_from(MICROGRAPH_SUFFIXES),
    folder=st.sampled_from(["", "a/b.mrc/", "C:\\data\\run.1\\", "/"]),
)
def test_folder_and_suffix_are_taken_off(stem, suffix, folder):
    assert micrograph_name(folder + stem + suffix) == stem
    assert micrograph_name(folder + stem + suffix.upper()) == stem


@given(stem=STEMS)
def test_other_names_stay_whole(stem):
    assert micrograph_name(stem) == stem
    assert micrograph_name(stem + ".dm4") == stem + ".dm4"


@given(
    stem=STEMS,
    suffix=st.sampled_from(SUFFIXES),
    ending=st.sampled_from(["", *COORDINATE_ENDINGS]),
)
def test_coordinate_files_belong_to_their_micrograph(stem, suffix, ending):
    assert coordinate_file_micrograph(f"picks/{stem}{ending}{suffix}") == stem
    assert coordinate_file_micrograph(f"picks/{stem}.mrc{ending}{suffix}") == stem


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("May08_03.05.02.png", "May08_03.05.02"),
        ("01nov26b.001.002.001.002.mrc", "01nov26b.001.002.001.002"),
        ("a.mrcs", "a"),
        ("a.mrc.bz2", "a"),
        ("a.TIFF", "a"),
        ("a.mrc.mrc", "a.mrc"),
        (".mrc", ".mrc"),
        (Path("x") / "b.jpg", "b"),
    ],
)
def test_names_of_real_files(path, name):
    assert micrograph_name(path) == name


def test_names_are_compared_whole():
    assert not set(MICROGRAPH_SUFFIXES) & set(SUFFIXES)
    assert coordinate_file_micrograph("a_1.star") != coordinate_file_micrograph("a_10.star")
    assert coordinate_file_micrograph("_autopick.star") == "_autopick"


FOLDERS = st.lists(st.sampled_from(["A", "B", "job 1"]), max_size=3).map("/".join)
PLACES = st.tuples(FOLDERS, st.sampled_from(["001", "002", "a.b"])).map(lambda parts: "/".join(filter(None, parts)))


@given(
    places=st.lists(PLACES, unique=True, min_size=1, max_size=6), root=st.sampled_from(["", "/data/x", "MotionCorr"])
)
def test_different_micrographs_have_different_names_that_find_them_again(places, root):
    paths = [f"{root}/{place}.mrc".lstrip("/" if not root else "") for place in places]
    names = micrograph_names(paths)
    assert len(set(names)) == len(names)
    assert all(same_micrograph(name, path.removesuffix(".mrc")) for name, path in zip(names, paths, strict=True))
    stems = {place.rpartition("/")[2] for place in places}
    assert all("/" not in name for name in names) or len(stems) < len(places)
    found = matched([path.removesuffix(".mrc") for path in paths], dict(zip(names, paths, strict=True)))
    assert list(found.values()) == names


def test_names_of_two_sets_are_matched_by_folders_and_never_guessed():
    known = {"A/001": "A/001.mrc", "B/001": "B/001.mrc", "2": "B/2.mrc"}
    assert matched(["job/B/001", "job/A/001"], known) == {"job/B/001": "B/001", "job/A/001": "A/001"}
    assert matched(["2"], known) == {"2": "2"}
    assert matched(["001"], known)["001"] not in known
    assert matched(["C/001"], known)["C/001"] not in known
    assert matched(["C/2"], known)["C/2"] != "2"
    assert matched(["C/001", "D/2"], {"2": "B/2.mrc", "3": "B/3.mrc"}) == {"C/001": "001", "D/2": "2"}, "no collision"


UID = "012345678901234567890"


def test_identifiers_of_cryosparc_do_not_count_either_way_and_it_is_said(caplog):
    caplog.set_level(logging.INFO)
    known = {name: f"mics/{name}.mrc" for name in ("a", f"{UID}_b", f"{UID}_c", f"{UID[::-1]}_c", "d")}
    found = matched([f"J2/imported/{UID}_a", "b", "c"], known)
    assert found == {f"J2/imported/{UID}_a": "a", "b": f"{UID}_b", "c": "c"}, "c could be either"
    (said,) = caplog.messages
    assert "2 such micrographs" in said
    with_folders = {"A/a": "A/a.mrc", "B/a": "B/a.mrc"}
    assert matched([f"A/{UID}_a", f"B/{UID[::-1]}_a"], with_folders) == {f"A/{UID}_a": "A/a", f"B/{UID[::-1]}_a": "B/a"}


@pytest.mark.parametrize("name", [f"{UID[:-1]}_a", f"{UID}1_a", f"{UID}a", f"{UID}_"])
def test_other_digits_are_part_of_a_name(name):
    assert matched([name], {"a": "a.mrc"}) == {name: name}


def test_of_two_imports_of_a_micrograph_neither_is_taken_for_it():
    names = [f"{UID}_a", f"{UID[::-1]}_a"]
    assert matched(names, {"a": "a.mrc"}) == dict(zip(names, names, strict=True))
    assert matched([f"{UID}_a", "a"], {"a": "a.mrc"})[f"{UID}_a"] != "a"


@given(texts=st.lists(st.text("'=+-@\t\r\n,\"a é", max_size=5), min_size=1))
def test_no_cell_is_a_formula_and_every_text_comes_back(texts):
    text = csv_text(pd.DataFrame({"name": pd.Series(texts, dtype=object), "x": 1.5}))
    rows = list(csv.reader(io.StringIO(text, newline="")))[1:]
    assert [row[1] for row in rows] == ["1.5"] * len(texts)
    assert not any(row[0].startswith(tuple("=+-@\t\r")) for row in rows)
    assert [without_apostrophe(row[0]) for row in rows] == texts


def test_names_that_are_no_text_are_not_written(tmp_path):
    with pytest.raises(CryokitError, match=r"a\.csv"):
        write_text(tmp_path / "a.csv", os.fsdecode(b"n_\xff.mrc"))
    assert everything_in(tmp_path) == []


def test_outputs_stay_in_their_folder(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "also").symlink_to(tmp_path / "out")
    assert inside(tmp_path / "out", "a/b.star") == tmp_path / "out" / "a" / "b.star"
    assert inside(tmp_path / "also", "a/b.star") == tmp_path / "also" / "a" / "b.star"
    for name in ("link/b.star", "../b.star", "a/../../b.star", "/b.star", ""):
        with pytest.raises(CryokitError):
            inside(tmp_path / "out", name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes of POSIX systems")
def test_what_is_no_file_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").write_bytes(b"abc")
    for name in ("pipe", "dangling", "loop", "missing", ".", "a\0b"):
        assert unreadable(tmp_path / name)
        with pytest.raises(CryokitError, match="a list"):
            read_bytes(tmp_path / name, CryokitError, "a list")
    assert unreadable(tmp_path / "file") is None
    assert read_bytes(tmp_path / "file", CryokitError, "a list") == b"abc"
    with pytest.raises(CryokitError, match="file"):
        read_bytes(tmp_path / "file", CryokitError, "a list", limit=2)


def test_long_values_are_shown_short():
    nested = [0] * 10
    for _ in range(8):
        nested = [nested] * 10
    for value in ("a" * 10**6, nested, 10**5000, {str(key): nested for key in range(1000)}):
        assert len(shown(value)) <= 200
        assert len(shortened(value)) <= 80
