"""Micrographs found from files, folders and lists."""

import os

import pytest

from cryokit.errors import MicrographError
from cryokit.micrograph import find


@pytest.fixture
def folder(tmp_path):
    data = tmp_path / "data"
    (data / "inner").mkdir(parents=True)
    for name in ("b.mrc", "a.tif", "c.x.PNG", "d.mrc.gz", "notes.txt", "a_autopick.star", "._b.mrc", "inner/e.mrc"):
        (data / name).touch()
    (data / "folder.mrc").mkdir()
    return data


def test_a_folder_gives_its_micrographs(folder):
    expected = [folder / name for name in ("a.tif", "b.mrc", "c.x.PNG", "d.mrc.gz")]
    assert find([folder]) == expected
    assert find(str(folder)) == expected


def test_files_and_folders_together_without_doubles(folder):
    inner = folder / "inner" / "e.mrc"
    assert find([inner, folder / "b.mrc", folder, folder / "inner" / ".." / "a.tif"]) == sorted([*find(folder), inner])


def test_lists(folder, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    (elsewhere / "w.mrc").touch()
    lines = ["# a comment", "", "  b.mrc  ", str(folder / "a.tif"), "w.mrc", "inner"]
    (folder / "list.txt").write_bytes("\r\n".join(lines).encode("utf-8-sig"))
    found = find(f"@{folder / 'list.txt'}")
    assert {os.path.basename(path) for path in found} == {"b.mrc", "a.tif", "w.mrc", "e.mrc"}
    assert all(path.exists() for path in found)


def test_the_folder_of_the_list_goes_before_the_working_folder(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "b.mrc").touch()
    (folder / "list.txt").write_text("b.mrc\n")
    assert find([f"@{folder / 'list.txt'}"]) == [folder / "b.mrc"]


def test_two_files_of_one_name_are_refused(folder):
    (folder / "inner" / "b.png").touch()
    with pytest.raises(MicrographError, match="'b'") as caught:
        find([folder, folder / "inner"])
    assert str(folder / "b.mrc") in str(caught.value)
    assert str(folder / "inner" / "b.png") in str(caught.value)


def test_names_are_compared_whole(folder):
    for name in ("b.x.mrc", "b.x.y.mrc", "bb.mrc"):
        (folder / name).touch()
    assert len(find(folder)) == 7


def test_errors(folder, tmp_path):
    with pytest.raises(MicrographError, match=r"none\.mrc"):
        find([folder, tmp_path / "none.mrc"])
    with pytest.raises(MicrographError, match=r"notes\.txt"):
        find(folder / "notes.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MicrographError, match="empty"):
        find(tmp_path / "empty")
    with pytest.raises(MicrographError, match="no micrographs"):
        find([])
    with pytest.raises(MicrographError, match=r"none\.txt"):
        find("@none.txt")
    (tmp_path / "list.txt").write_text("# nothing\n")
    with pytest.raises(MicrographError, match=r"@.*list\.txt"):
        find(f"@{tmp_path / 'list.txt'}")
    (tmp_path / "list.txt").write_text("\nmissing.mrc\n")
    with pytest.raises(MicrographError, match=r"list\.txt, line 2: missing\.mrc"):
        find(f"@{tmp_path / 'list.txt'}")
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(MicrographError, match=r"list\.txt"):
        find(f"@{tmp_path / 'list.txt'}")
