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


RELION = """
# version 30001

data_optics

loop_
_rlnOpticsGroupName #1
_rlnOpticsGroup #2
opticsGroup1 1


# version 30001

data_micrographs

loop_
_rlnMicrographName #1
_rlnOpticsGroup #2
"""


@pytest.fixture
def project(tmp_path):
    """A RELION project with two motion-corrected micrographs."""
    place = tmp_path / "project"
    (place / "MotionCorr/job002/Movies").mkdir(parents=True)
    (place / "CtfFind/job003").mkdir(parents=True)
    for name in ("001.mrc", "002.mrc", "003.mrcs"):
        (place / "MotionCorr/job002/Movies" / name).touch()
    return place


@pytest.mark.parametrize("prefix", ["", "@"])
@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("header", [RELION, RELION.partition("# version 30001\n\ndata_micrographs")[2], "bare"])
def test_relions_lists(project, tmp_path, monkeypatch, prefix, elsewhere, header):
    monkeypatch.chdir(tmp_path if elsewhere else project)
    if header == "bare":  # RELION 3.0
        header = "data_\nloop_\n_rlnMicrographName\n_rlnOpticsGroup\n"
    elif not header.startswith("\n#"):
        header = f"data_micrographs{header}"
    rows = "MotionCorr/job002/Movies/001.mrc 1\nMotionCorr/job002/Movies/002.mrc 1 \n"
    listing = project / "CtfFind/job003/micrographs_ctf.star"
    listing.write_text(header + rows)
    assert [path.name for path in find(f"{prefix}{listing}")] == ["001.mrc", "002.mrc"]
    listing.write_text(header + rows.replace("Moti", "000007@Moti") + "2@MotionCorr/job002/Movies/001.mrc 1\n")
    assert [path.name for path in find([f"{prefix}{listing}"])] == ["001.mrc", "002.mrc"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (RELION + "MotionCorr/job002/Movies/009.mrc 1\n", "009.mrc"),
        (RELION.replace("rlnMicrographName", "rlnMicrographMovieName") + "Movies/1.tif 1\n", "movies"),
        (RELION.replace("rlnMicrographName", "rlnTomoName") + "TS_1 1\n", "tomograms"),
        ("data_\nloop_\n_rlnCoordinateX\n_rlnCoordinateY\n1 2\n", "rlnMicrographName"),
        (RELION + "a b c\n", "damaged"),
        ("no star\n", "list.star"),
    ],
)
def test_star_files_that_list_no_micrographs(project, text, told):
    (project / "list.star").write_text(text)
    with pytest.raises(MicrographError, match=told) as caught:
        find(project / "list.star")
    assert "list.star" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "image_name\tpath\na\t{folder}/a.tif\nb\tdata/b.mrc\n",
        "\timage_name\tpath\n0\ta\t{folder}/a.tif\n1\tb\tdata/b.mrc\n",
        "source\timage_name\tpath\r\n0\ta\t{folder}/a.tif\r\n0\tb\tdata/b.mrc\r\n",
        "image_name,path\na,{folder}/a.tif\nb,data/b.mrc\n",
    ],
)
def test_lists_of_images_of_topaz(folder, tmp_path, text):
    (tmp_path / "image_list_train.txt").write_text(text.format(folder=folder))
    assert find(f"@{tmp_path / 'image_list_train.txt'}") == [folder / "a.tif", tmp_path / "data" / "b.mrc"]


def test_particle_tables_of_topaz_name_micrographs_beside_them(folder):
    (folder / "particles_train.txt").write_text("image_name\tx_coord\ty_coord\nd\t1\t2\nd\t3\t4\na\t1\t2\n")
    assert find(f"@{folder / 'particles_train.txt'}") == [folder / "a.tif", folder / "d.mrc.gz"]
    (folder / "particles_train.txt").write_text("image_name\tx_coord\ty_coord\nz\t1\t2\n")
    with pytest.raises(MicrographError, match=r"particles_train\.txt, .* z "):
        find(f"@{folder / 'particles_train.txt'}")


def test_two_files_of_one_name_are_refused(folder):
    (folder / "inner" / "b.mrc").touch()
    assert folder / "inner" / "b.mrc" in find([folder, folder / "inner"]), "the folder tells them apart"
    (folder / "b.png").touch()
    with pytest.raises(MicrographError, match="'b'") as caught:
        find(folder)
    assert str(folder / "b.mrc") in str(caught.value)
    assert str(folder / "b.png") in str(caught.value)


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
