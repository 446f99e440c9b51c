"""Coordinate files: the frames and traps of each format, damaged files, folders, and files of other programs."""

import json
import logging
import math
import os

import numpy as np
import pandas as pd
import pytest
import starfile
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching
from scipy.spatial import distance

from cryokit._util.names import matched
from cryokit.coordinates import (
    FORMATS,
    coordinate_path,
    detect,
    read,
    read_folder,
    renamed,
    scale,
    table,
    validate,
    write,
    write_folder,
    write_list,
)
from cryokit.coordinates.renaming import Additions
from cryokit.errors import ArgumentError, CoordinateError

# RELION leaves a blank at the end of every line.
RELION_31 = """
# version 30001

data_optics

loop_
_rlnOpticsGroupName #1
_rlnOpticsGroup #2
_rlnCoordinateX #3
_rlnCoordinateY #4
opticsGroup1            1   -5.0  -6.0


# version 30001

data_particles

loop_
_rlnCoordinateX #1
_rlnCoordinateY #2
_rlnAutopickFigureOfMerit #3
_rlnMicrographName #4
_rlnOpticsGroup #5
  760.500000  1350.000000   -999.00000 job/Movies/mic_1.mrc            1
 1850.000000  1015.250000      0.75000 job/Movies/mic_10.mrc            1

""".replace("\n", " \n")


def centres(picks):
    return picks[["x", "y"]].to_numpy().tolist()


def put(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# --- STAR ------------------------------------------------------------------------------------------------------------


def test_star_optics_block_is_not_taken_for_the_particles(tmp_path):
    picks = read(put(tmp_path, "p.star", RELION_31))
    assert centres(picks) == [[760.5, 1350.0], [1850.0, 1015.25]]
    assert picks["micrograph"].tolist() == ["mic_1", "mic_10"]


def test_star_figure_of_merit_of_minus_999_is_no_score_both_ways(tmp_path):
    picks = read(put(tmp_path, "p.star", RELION_31))
    assert math.isnan(picks["score"][0])
    assert picks["score"][1] == 0.75
    write(picks, tmp_path / "out.star")
    assert starfile.read(tmp_path / "out.star")["rlnAutopickFigureOfMerit"].tolist() == [-999, 0.75]


def test_names_match_whole_not_by_their_beginning(tmp_path):
    path = put(tmp_path, "p.star", RELION_31)
    assert centres(read(path, micrograph="mic_1")) == [[760.5, 1350.0]]
    assert centres(read(path, micrograph="mic")) == []


def test_star_of_one_block_and_one_pick_without_a_loop(tmp_path):
    path = put(tmp_path, "a.b_autopick.star", "data_\n\n_rlnCoordinateX 12.5\n_rlnCoordinateY 3\n")
    picks, names = read_folder(path)
    assert centres(picks) == [[12.5, 3.0]]
    assert names == ["a.b"]


def test_star_numbers_in_micrograph_names_stay_text(tmp_path):
    text = "data_\n\nloop_\n_rlnMicrographName #1\n_rlnCoordinateX #2\n_rlnCoordinateY #3\n001.mrc 1 2\n002 3 4\n"
    assert read(put(tmp_path, "p.star", text))["micrograph"].tolist() == ["001", "002"]
    text = text.replace("001.mrc", "001")
    assert read(put(tmp_path, "p.star", text))["micrograph"].tolist() == ["001", "002"]


def test_star_without_picks_before_a_comment(tmp_path):
    header = "# version 30001\n\ndata_particles\n\nloop_ \n_rlnCoordinateX #1 \n_rlnCoordinateY #2 \n"
    text = f"{header} \n\n# version 30001\n\n"
    picks, names = read_folder(put(tmp_path, "mic.star", text))
    assert len(picks) == 0
    assert names == ["mic"]


def test_star_read_again_after_a_failure_is_not_remembered(tmp_path):
    path = put(tmp_path, "a.star", "data_\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n1 2\n1 2 3\n")
    with pytest.raises(CoordinateError):
        read(path)
    put(tmp_path, "a.star", "data_\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n1 2\n3 4\n")
    assert centres(read(path)) == [[1, 2], [3, 4]]


@pytest.mark.parametrize("count", [0, 3])
def test_star_written_has_the_columns_of_relions_autopicker(tmp_path, count):
    write(table("mic", x=range(count), y=range(count), score=0.5), tmp_path / "mic.star")
    blocks = starfile.read(tmp_path / "mic.star", always_dict=True)
    assert list(blocks) == [""]
    columns = ["CoordinateX", "CoordinateY", "AutopickFigureOfMerit", "ClassNumber", "AnglePsi"]
    assert blocks[""].columns.tolist() == [f"rln{name}" for name in columns]
    assert len(blocks[""]) == count
    assert "loop_" in (tmp_path / "mic.star").read_text()


def test_star_of_many_micrographs_names_them(tmp_path):
    picks = table(["a.b", "c"], x=[1, 2], y=[3, 4])
    write(picks, tmp_path / "all.star", micrographs={"c": "Movies/c.tif"})
    block = starfile.read(tmp_path / "all.star", always_dict=True)["particles"]
    assert block["rlnMicrographName"].tolist() == ["a.b.mrc", "Movies/c.tif"]
    assert read(tmp_path / "all.star")["micrograph"].tolist() == ["a.b", "c"]


def test_files_that_are_not_named_after_their_micrograph_name_it(tmp_path):
    picks = table("mic_1", x=[1], y=[2])
    for name, joined, names in (
        ("mic_1.csv", None, False),
        ("mic_1_autopick.csv", None, False),
        ("mic_10.csv", None, True),
        ("mic_1.csv", True, True),
        ("mic_10.csv", False, False),
    ):
        write(picks, tmp_path / name, joined=joined)
        assert ("micrograph" in (tmp_path / name).read_text()) == names
    write(picks.iloc[:0], tmp_path / "none.csv")
    assert "micrograph" not in (tmp_path / "none.csv").read_text()


def test_formats_given_go_before_suffixes(tmp_path):
    write(table("mic", x=[1], y=[2]), tmp_path / "mic.txt", "star")
    assert detect(tmp_path / "mic.txt") == "star"
    write(table("mic", x=[1], y=[2], score=0.5), tmp_path / "mic.csv", "topaz", scores="log-odds")
    assert read(tmp_path / "mic.csv", scores="raw")["score"].tolist() == [0]


def test_a_folder_of_files_can_go_on_after_an_error(tmp_path):
    picks = table(["c", "a", "b"], x=[1, 2, 3], y=[4] * 3, diameter=[5, math.nan, 7])
    with pytest.raises(CoordinateError, match=r"a\.box"):
        write_folder(picks, tmp_path / "one", "box")
    problems = []
    files = write_folder(picks, tmp_path / "all", "box", micrographs=["empty"], problems=problems)
    assert list(files.items()) == [(name, tmp_path / "all" / f"{name}.box") for name in ("empty", "c", "b")]
    assert len(problems) == 1
    assert "a.box" in problems[0]
    assert (tmp_path / "all" / "empty.box").read_text() == ""


@pytest.mark.parametrize("name", ["two words", "it's", 'a"b', "a#b"])
def test_star_refuses_names_that_would_not_come_back(tmp_path, name):
    with pytest.raises(CoordinateError, match=r"all\.star"):
        write(table(name, x=[1], y=[2]), tmp_path / "all.star")
    assert not list(tmp_path.iterdir())


def test_a_jobs_list_leads_to_its_coordinate_files(tmp_path, monkeypatch):
    job = tmp_path / "project" / "AutoPick" / "job007"
    picks = table(["a.b"] * 2 + ["mic_1"], x=[1, 2, 3], y=[4, 5, 6], score=0.5)
    files = write_folder(picks, job / "Movies", "star", micrographs=["a.b", "mic_1", "mic_10"])
    micrographs = {tmp_path / "project" / "Movies" / f"{name}.mrc": file for name, file in files.items()}
    write_list(job / "autopick.star", micrographs, project=tmp_path / "project")
    listed = starfile.read(job / "autopick.star", always_dict=True)["coordinate_files"]
    assert sorted(listed["rlnMicrographName"]) == ["Movies/a.b.mrc", "Movies/mic_1.mrc", "Movies/mic_10.mrc"]
    assert "AutoPick/job007/Movies/mic_10.star" in listed["rlnMicrographCoordinates"].tolist()
    monkeypatch.chdir(tmp_path)  # the working folder must not matter
    for source in (job, job / "autopick.star"):
        found, names = read_folder(source)
        assert names == ["a.b", "mic_1", "mic_10"]
        assert centres(found) == [[1, 4], [2, 5], [3, 6]]
    (job / "Movies" / "mic_1.star").unlink()
    with pytest.raises(CoordinateError, match=r"autopick\.star.*mic_1\.star"):
        read(job / "autopick.star")


def test_a_list_is_read_after_its_folder_was_renamed(tmp_path):
    files = write_folder(table(["a", "b"], x=[1, 2], y=[3, 4]), tmp_path / "picks", "star")
    micrographs = {f"Movies/{name}.mrc": file for name, file in files.items()}
    write_list(tmp_path / "picks" / "autopick.star", micrographs, project=tmp_path)
    moved = (tmp_path / "picks").rename(tmp_path / "kept")
    found, names = read_folder(moved)
    assert names == ["a", "b"]
    assert centres(found) == [[1, 3], [2, 4]]
    # A file where the list says it is goes before one beside the list.
    write(table("a", x=[9], y=[9]), tmp_path / "picks" / "a.star")
    assert centres(read_folder(moved)[0]) == [[9, 9], [2, 4]]


LOOP = "loop_\n_rlnCoordinateX\n_rlnCoordinateY\n"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (f"data_a\n{LOOP}1 2\n\ndata_b\n{LOOP}3 4\n", "data_a, data_b"),
        ("data_a\nloop_\n_rlnX\n_rlnY\n1 2\n\ndata_b\n_rlnZ 1\n", "data_a: rlnX, rlnY; data_b: rlnZ"),
        ("data_a\nloop_\n_rlnCoordinateX\n_rlnZ\n1 2\n", "rlnCoordinateX and rlnCoordinateY;"),
        (f"data_\n{LOOP}_rlnMicrographName\n1 2 a.mrc\n3 4 <NA>\n", "row 2 "),
        (f"data_picks\n{LOOP}_rlnCoordinateX\n1 2 3\n", "rlnCoordinateX of data_picks "),
        (f"data_a\n{LOOP}1 2\n\ndata_b\nloop_\n_rlnTomoName\nt\n", "data_b has rlnTomoName"),
        ("_rlnCoordinateX 1\n", "data_"),
        ("data_coordinate_files\nloop_\n_rlnMicrographName\na.mrc\n", "rlnMicrographCoordinates; .* rlnMicrographName"),
    ],
)
def test_errors_of_star_files_say_where(tmp_path, text, place):
    path = put(tmp_path, "p.star", text)
    with pytest.raises(CoordinateError, match=place) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_star_particles_go_before_other_blocks(tmp_path):
    text = f"data_a\n{LOOP}1 2\n\ndata_particles\n{LOOP}_rlnDiameter\n3 4 50\n\ndata_b\n{LOOP}5 6\n"
    picks = read(put(tmp_path, "p.star", text))
    assert picks[["micrograph", "x", "y", "diameter"]].to_numpy().tolist() == [["p", 3, 4, 50]]
    picks = read(put(tmp_path, "p.star", f"data_a\n_rlnX 1\n\ndata_b\n{LOOP}5 6\n"))
    assert centres(picks) == [[5, 6]]


def test_star_of_one_stack_is_named_after_the_file(tmp_path):
    text = f"data_\n{LOOP}_rlnImageName\n1 2 1@s/a.mrcs\n3 4 2@s/{{}}.mrcs\n"
    assert read(put(tmp_path, "p.star", text.format("a")))["micrograph"].tolist() == ["p", "p"]
    assert read(put(tmp_path, "p.star", text.format("b_particles")))["micrograph"].tolist() == ["a", "b"]


def test_star_has_nine_digits_and_relions_dummies(tmp_path):
    write(table("a", x=[1 / 3, 7], y=[2, 12345.67891], score=[math.nan, 0.25]), tmp_path / "a.star")
    first, *lines = (tmp_path / "a.star").read_text().splitlines()
    assert first == "# version 30001"
    rows = [line.split() for line in lines if line[:1].isdigit()]
    assert rows == [["0.333333333", "2", "-999", "0", "0"], ["7", "12345.6789", "0.25", "0", "0"]]


def test_a_list_has_paths_below_the_project_and_others_whole(tmp_path, monkeypatch):
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    files = {"Movies/a.mrc": "job/a.star", tmp_path / "b.mrc": tmp_path / "b.star", "_c.mrc": "data_c.star"}
    write_list("autopick.star", files)
    listed = starfile.read("autopick.star", always_dict=True)["coordinate_files"]
    b = tmp_path.as_posix()
    assert listed["rlnMicrographName"].tolist() == ["Movies/a.mrc", f"{b}/b.mrc", "./_c.mrc"]
    assert listed["rlnMicrographCoordinates"].tolist() == ["job/a.star", f"{b}/b.star", "./data_c.star"]
    assert (tmp_path / "project" / "autopick.star").read_text().startswith("# version 30001\n")


def test_a_list_leaves_out_what_it_cannot_hold(tmp_path):
    files = {tmp_path / "a b.mrc": tmp_path / "a.star", tmp_path / "c.mrc": tmp_path / "c.star"}
    with pytest.raises(CoordinateError, match=r"^list\.star: .*a b"):
        write_list("list.star", files, project=tmp_path)
    problems = []
    write_list(tmp_path / "list.star", files, project=tmp_path, problems=problems)
    assert len(problems) == 1
    assert "a b.mrc" in problems[0]
    (listed,) = starfile.read(tmp_path / "list.star", always_dict=True).values()
    assert listed["rlnMicrographName"].tolist() == ["c.mrc"]


def test_a_list_names_all_files_that_cannot_be_read(tmp_path):
    listing = "data_coordinate_files\nloop_\n_rlnMicrographName\n_rlnMicrographCoordinates\n"
    put(tmp_path, "box.box", "1 2 10 10\n")
    put(tmp_path, "bad.star", "data_\n_rlnX 1\n")
    path = put(tmp_path, "autopick.star", f"{listing}a.mrc gone.star\nb.mrc box.box\nc.mrc bad.star\nd.mrc <NA>\n")
    with pytest.raises(CoordinateError, match=r"3 of 4 .*gone.*; .*bad.*; .*rlnMicrographCoordinates") as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")
    picks, names = read_folder(put(tmp_path, "two.star", f"{listing}b.mrc box.box\na.mrc box.box\nb.mrc box.box\n"))
    assert names == ["a", "b"]
    assert picks[["micrograph", "x", "y"]].to_numpy().tolist() == [["a", 6, 7], ["b", 6, 7], ["b", 6, 7]]


def test_files_that_a_list_cannot_hold_are_read_beside_it(tmp_path):
    names = ["a", "S/f", "b c", "S/d e", "=x y", "old"]
    files = write_folder(table(names, x=range(6), y=9), tmp_path, "star")
    listed = {f"Movies/{name}.mrc": files[name] for name in ("a", "S/f")}
    write_list(tmp_path / "autopick.star", listed, project=tmp_path.parent)
    assert read_folder(tmp_path)[1] == ["a", "f"]
    # Those of an earlier run stay out.
    put(tmp_path, "micrographs.csv", "micrograph,n\na,1\nS/f,1\nb c,1\nS/d e,1\n'=x y,1\n../z,1\ngone,1\n")
    for format in (None, "star"):
        picks, found = read_folder(tmp_path, format)
        assert found == ["=x y", "a", "b c", "d e", "f"]
        assert sorted(picks["x"]) == [0, 1, 2, 3, 4]
    with pytest.raises(CoordinateError, match="box"):
        read_folder(tmp_path, "box")


# --- box -------------------------------------------------------------------------------------------------------------


def test_box_corners_are_not_centres(tmp_path):
    picks = read(put(tmp_path, "a.box", "100\t200\t60\t80\t0.25\n-10 -20 61 61 0.5 \r\n"))
    assert centres(picks) == [[130, 240], [20, 10]]
    assert picks["score"].tolist() == [0.25, 0.5]
    assert picks["diameter"].tolist() == [70, 61]


@pytest.mark.parametrize(("size", "corner"), [(60, 70), (61, 70), (59, 71)])
def test_box_is_written_so_that_whole_number_maths_finds_the_centre(tmp_path, size, corner):
    write(table("a", x=[100], y=[100]), tmp_path / "a.box", box_size=size)
    x, y, width, height = map(int, (tmp_path / "a.box").read_text().split())
    assert (x, y, width, height) == (corner, corner, size, size)
    assert x + width // 2 == 100  # RELION's and EMAN2's reckoning


def test_box_fifth_column_is_helix_code_or_score(tmp_path):
    text = "0 0 10 10 -1\n50 0 10 10 -2\n9 9 10 10 -3\n"
    picks = read(put(tmp_path, "a.box", text))
    assert picks["view"].tolist() == ["helix start", "helix end", ""]
    assert picks["score"].isna().all()
    write(picks, tmp_path / "b.box")
    assert (tmp_path / "b.box").read_text().split() == text.split()
    scored = read(put(tmp_path, "c.box", "0 0 10 10 -1\n50 0 10 10 -2.5\n"))
    assert scored["score"].tolist() == [-1, -2.5]


def test_box_holds_whole_numbers_unless_fractions_are_asked_for(tmp_path):
    picks = table("a", x=[10.25], y=[20.5], score=0.5, diameter=7.5)
    write(picks, tmp_path / "a.box")
    assert (tmp_path / "a.box").read_text().split() == ["6", "16", "8", "8", "0.5"]
    write_folder(picks, tmp_path, "box", integers=False)
    assert (tmp_path / "a.box").read_text().split() == ["6.5", "16.75", "7.5", "7.5", "0.5"]
    write(picks, tmp_path / "a.box", box_size=0.5, integers=False)
    assert (tmp_path / "a.box").read_text().split() == ["10", "20.25", "0.5", "0.5", "0.5"]


@pytest.mark.parametrize("name", [".a", "A/.b", "", "A/"])
def test_no_file_is_hidden(tmp_path, name):
    with pytest.raises(CoordinateError):
        coordinate_path(tmp_path, name, "star")


def test_box_without_any_size_asks_for_one(tmp_path):
    picks = table("a", x=[1], y=[2])
    for format in ("box", "cbox"):
        with pytest.raises(CoordinateError, match=rf"a\.{format}.*box_size"):
            write(picks, tmp_path / f"a.{format}")
        write(picks, tmp_path / f"a.{format}", box_size=30)
        assert read(tmp_path / f"a.{format}")["diameter"].tolist() == [30]


# --- CBOX ------------------------------------------------------------------------------------------------------------

CBOX = """
data_global

_cbox_format_version 1.0

data_cryolo

loop_
_CoordinateX #1
_CoordinateY #2
_CoordinateZ #3
_Width #4
_Height #5
_Depth #6
_EstWidth #7
_EstHeight #8
_Confidence #9
_NumBoxes #10
_Angle #11
100.5 200 <NA> 60 60 <NA> 50 54 0.9 <NA> <NA>
0 0 <NA> 61 61 <NA> <NA> <NA> 0.05 1 <NA>

data_cryolo_include

loop_
_slice_index #1

"""


def test_cbox_corners_are_not_centres(tmp_path):
    picks = read(put(tmp_path, "a.b.cbox", CBOX))
    assert centres(picks) == [[130.5, 230], [30.5, 30.5]]
    assert picks["score"].tolist() == [0.9, 0.05]
    assert picks["diameter"].tolist() == [52, 61]
    assert picks["micrograph"].tolist() == ["a.b", "a.b"]


def test_cbox_of_older_versions_has_bare_columns(tmp_path):
    picks = read(put(tmp_path, "a.cbox", "100.5 200 60 60 0.9 50 54\n0 0 61 61 0.05\n"))
    assert centres(picks) == [[130.5, 230], [30.5, 30.5]]
    assert picks["score"].tolist() == [0.9, 0.05]
    assert picks["diameter"].tolist() == [52, 61]


def test_cbox_without_picks_keeps_its_columns(tmp_path):
    write(table(), tmp_path / "a.cbox")
    blocks = starfile.read(tmp_path / "a.cbox", always_dict=True)
    assert list(blocks) == ["global", "cryolo", "cryolo_include"]
    assert {"CoordinateX", "CoordinateY", "CoordinateZ", "Width", "Height", "Confidence"} <= set(
        blocks["cryolo"].columns
    )
    picks, names = read_folder(tmp_path / "a.cbox")
    assert len(picks) == 0
    assert names == ["a"]


def test_cbox_of_a_tomogram_is_refused(tmp_path):
    text = CBOX.replace("<NA> 60 60", "1 60 60").replace("<NA> 61 61", "2 61 61")
    with pytest.raises(CoordinateError, match=r"a\.cbox: .*tomogram"):
        read(put(tmp_path, "a.cbox", text))


# --- EMAN2, Topaz, CSV -----------------------------------------------------------------------------------------------


def test_eman2_boxes_are_centres_and_other_keys_stay(tmp_path):
    info = {"ctf": [1, 2], "boxes": [[1, 2, "manual"], [3.5, -4, "auto_local", 0.5]], "quality": 5}
    path = put(tmp_path, "a.b_info.json", json.dumps(info))
    picks = read(path)
    assert centres(picks) == [[1, 2], [3.5, -4]]
    assert picks["micrograph"].tolist() == ["a.b", "a.b"]
    assert picks["score"].isna().tolist() == [True, False]
    write(picks.iloc[:1], path)
    after = json.loads(path.read_text())
    assert after == {"ctf": [1, 2], "boxes": [[1, 2, "manual"]], "quality": 5}
    del after["boxes"]
    assert len(read(put(tmp_path, "a.b_info.json", json.dumps(after)))) == 0


def test_eman2_file_that_is_something_else_is_not_overwritten(tmp_path):
    path = put(tmp_path, "a_info.json", "[1, 2]")
    with pytest.raises(CoordinateError, match=r"a_info\.json"):
        write(table("a", x=[1], y=[2]), path)
    assert path.read_text() == "[1, 2]"


TOPAZ = "image_name\tx_coord\ty_coord\tscore\nmic.1\t12\t30\t0\nmic.10\t3\t4\t-6\n"


def test_topaz_scores_become_probabilities(tmp_path):
    picks = read(put(tmp_path, "all.tsv", TOPAZ))
    assert picks["micrograph"].tolist() == ["mic.1", "mic.10"]
    assert picks["score"].tolist() == pytest.approx([0.5, 1 / (1 + math.exp(6))])
    assert read(tmp_path / "all.tsv", scores="raw")["score"].tolist() == [0, -6]


def test_topaz_downsampled_coordinates(tmp_path):
    path = put(tmp_path, "all.tsv", TOPAZ)
    assert centres(read(path, scale=8)) == [[96, 240], [24, 32]]
    assert centres(read(path, scale=8, blocks=True)) == [[99.5, 243.5], [27.5, 35.5]]
    # The y axis is turned around in the micrograph's own pixels.
    assert centres(read(path, scale=8, flip_y=1000)) == [[96, 759], [24, 967]]


def test_topaz_written_for_topaz(tmp_path):
    write(table(["a.b", "c"], x=[1, 2.5], y=[3, 4], score=[0.5, math.nan]), tmp_path / "all.tsv")
    written = pd.read_csv(tmp_path / "all.tsv", sep="\t")
    assert list(written.columns) == ["image_name", "x_coord", "y_coord", "score"]
    assert written["score"].tolist() == pytest.approx([0, math.nan], nan_ok=True)
    write(table("a", x=[1], y=[2]), tmp_path / "none.tsv")
    assert list(pd.read_csv(tmp_path / "none.tsv", sep="\t").columns) == ["image_name", "x_coord", "y_coord"]


def test_topaz_certain_scores_stay_finite(tmp_path):
    write(table("a", x=[1, 2], y=[3, 4], score=[0, 1]), tmp_path / "all.tsv")
    assert np.isfinite(pd.read_csv(tmp_path / "all.tsv", sep="\t")["score"]).all()
    assert read(tmp_path / "all.tsv")["score"].tolist() == pytest.approx([0, 1])


def test_scores_other_than_probabilities_are_not_converted_to_log_odds(tmp_path):
    picks = table("a", x=[1], y=[2], score=6.2)
    with pytest.raises(CoordinateError, match=r"6\.2"):
        write(picks, tmp_path / "all.tsv")
    write(picks, tmp_path / "all.tsv", scores="raw")
    assert read(tmp_path / "all.tsv", scores="raw")["score"].tolist() == [6.2]


def test_scores_of_topaz_in_boxes(tmp_path):
    path = put(tmp_path, "a.box", "0 0 10 10 0\n0 0 10 10 7.2\n")
    assert read(path)["score"].tolist() == [0, 7.2]
    assert read(path, scores="log-odds")["score"].tolist() == pytest.approx([0.5, 1 / (1 + math.exp(-7.2))])


def test_csv_of_labels_takes_the_micrograph_from_its_name(tmp_path):
    picks = read(put(tmp_path, "May08_03.05.02.csv", "x,y,diameter,view\n918.3,513.7,76,top\n1,2,,ignore\n"))
    assert picks["micrograph"].unique().tolist() == ["May08_03.05.02"]
    assert picks["view"].tolist() == ["top", "ignore"]
    assert read(tmp_path / "May08_03.05.02.csv", micrograph="a.b")["micrograph"].tolist() == ["a.b", "a.b"]
    assert picks["diameter"].tolist() == pytest.approx([76, math.nan], nan_ok=True)


def test_csv_columns_in_any_order_with_others_between(tmp_path):
    path = put(tmp_path, "p.csv", "\ufeffY, note ,X,micrograph\r\n2,hm,1,dir/001.mrc\r\n")
    assert centres(read(path)) == [[1, 2]]
    assert read(path)["micrograph"].tolist() == ["001"]


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("X-Coordinate,Y-Coordinate,Diameter", "1,2,80"),
        ("Micrographs Filename,X-Coordinate,Y-Coordinate,Diameter,Class Number", "dir/m.1.mrc,1,2,80,5"),
        ("Y_Coord,x_coord,particle diameter,image_name", "2,1,80,m.1.jpg"),
        ("coordinateX,coordinateY,Diameter [px]", "1,2,80"),
        ("X (px),Y (px),Diameter (pixels)", "1,2,80"),
        ("Center X,Center Y,DIAMETER,Micrograph Name", "1,2,80,m.1"),
        ("rlnMicrographName,_rlnCoordinateX,_rlnCoordinateY,diameter", "m.1.mrc,1,2,80"),
        ("x,y,diameter,X-Coordinate", "1,2,80,7"),  # the plain name goes before
    ],
)
def test_csv_columns_under_their_usual_names(tmp_path, caplog, header, row):
    for name in ("m.1.csv", "m.2.csv"):
        put(tmp_path, name, f"{header}\n{row}\n")
    with caplog.at_level(logging.INFO):
        picks = read(tmp_path / "m.1.csv")
        read(tmp_path / "m.2.csv")
    assert picks[["micrograph", "x", "y", "diameter"]].to_numpy().tolist() == [["m.1", 1, 2, 80]]
    said = [message for message in caplog.messages if header.split(",")[0].lower() in message]
    assert len(said) == (0 if header.startswith("x,y") else 1), "what was taken for what is said once"


def test_csv_lengths_in_other_units_are_not_pixels(tmp_path):
    assert math.isnan(read(put(tmp_path, "a.csv", "x,y,Diameter (A)\n1,2,80\n"))["diameter"][0])


def test_csv_of_boxes_asks_whether_these_are_corners(tmp_path, caplog):
    path = put(tmp_path, "a.csv", "x,y,width,height\n10,20,60,60\n")
    assert centres(read(path, shift=(30, 30))) == [[40, 50]]
    assert "--shift" in caplog.text


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("a.box", "1 2 10 10\n\n# note\n1 2 x 10\n", "'x' .* 3 of line 4 "),
        ("a.box", "1 2 10 10\n1 2 10 10 0.5 7\n", "line 2 .* 6 .* 4 to 5"),
        ("a.cbox", "1 2 10 10 0.5\n1 2 10\n", "line 2 .* 3 .* 5 to 7"),
        ("a.csv", "x,y\n1,2\n3,four\n", "'four' .*'y' of pick 2 "),
        ("a.csv", "x,y\n\n1,2,3\n", "line 3 .* 3 .* 2"),
        ("a.csv", "x,y\n1,2\n1\n", "line 3 .* 1 .* 2"),
        ("a.csv", f"x,y\n1,{'9' * 200_000}\n", "line 2: "),
        ("a.csv", "x,y,note,x,note\n1,2,3,4,5\n", " x "),
        ("a.csv", "x,y,score\n1,2,high\n", "'high' .*'score' of pick 1 "),
        ("a.csv", "x;y\n1;2\n", "';' .*','"),
        ("a.tsv", "image_name,x_coord,y_coord\na,1,2\n", r"',' .*'\\t'"),
        ("a.tsv", "image_name\tx_coord\ty_coord\na\t1\t2\na\tone\t2\n", "'one' .*'x_coord' of pick 2 "),
        ("a.tsv", "image_name\tx_coord\ty_coord\tscore\na\t1\t2\tlow\n", "'low' .*'score' of pick 1 "),
        ("a.tsv", "image_name\tx_coord\ty_coord\tz_coord\na\t1\t2\tdeep\n", "'deep' .*'z_coord' of pick 1 "),
    ],
)
def test_errors_of_text_files_say_where(tmp_path, name, text, place):
    path = put(tmp_path, name, text)
    with pytest.raises(CoordinateError, match=place) as caught:
        read(path, {"a.tsv": "topaz"}.get(name))
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value)) < len(str(path)) + 200


def test_lines_without_numbers_and_missing_numbers(tmp_path):
    picks = read(put(tmp_path, "a.box", "# x y w h\n\n1 2 10 10 <NA>\n  \n  # 7 7 7 7\n3 4 10 10 0.5\n"))
    assert centres(picks) == [[6, 7], [8, 9]]
    assert picks["score"].tolist() == pytest.approx([math.nan, 0.5], nan_ok=True)
    picks = read(put(tmp_path, "a.csv", "x,y,score\n , ,\n1,2, \n3,4,0.5\n"))
    assert picks["score"].tolist() == pytest.approx([math.nan, 0.5], nan_ok=True)


def test_tables_may_have_a_thousand_columns(tmp_path):
    header, row = ["x", "y", *(f"c{number}" for number in range(998))], ["1"] * 1000
    assert len(read(put(tmp_path, "a.csv", f"{','.join(header)}\n{','.join(row)}\n"))) == 1
    with pytest.raises(CoordinateError, match="1000"):
        read(put(tmp_path, "a.csv", f"{','.join(header)},more\n{','.join(row)},1\n"))


def test_columns_without_a_name_may_repeat(tmp_path):
    assert centres(read(put(tmp_path, "a.csv", "x,,y,\n1,7,2,7\n"))) == [[1, 2]]


def test_quoted_fields_are_texts_of_any_kind(tmp_path):
    path = put(tmp_path, "a.txt", '\n \n" X" ,"y","micrograph"\n"1","2","a,b"\n3,4,"c\nd"\n')
    assert detect(path) == "csv"
    picks = read(path)
    assert centres(picks) == [[1, 2], [3, 4]]
    assert picks["micrograph"].tolist() == ["a,b", "c\nd"]


def test_text_with_a_mark_at_its_beginning(tmp_path):
    for format, text in GOOD.items():
        path = put(tmp_path, f"a{SUFFIX[format]}", f"\ufeff{text}")
        assert centres(read(path, format)) == centres(read(put(tmp_path, f"b{SUFFIX[format]}", text), format))


# --- tomograms -------------------------------------------------------------------------------------------------------

STAR_3D = "data_\n\nloop_\n_rlnMicrographName #1\n_rlnCoordinateX #2\n_rlnCoordinateY #3\n_rlnCoordinateZ #4\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.star", STAR_3D + "a.mrc 1 2 3\na.mrc 1 2 4\n"),
        ("a.star", "data_particles\n\nloop_\n_rlnTomoName #1\n_rlnCoordinateX #2\n_rlnCoordinateY #3\nTS_1 1 2\n"),
        (
            "a.star",
            "data_particles\nloop_\n_rlnTomoName\n_rlnCenteredCoordinateXAngst\n_rlnCenteredCoordinateYAngst\nT 1 2\n",
        ),
        ("a.star", "data_global\nloop_\n_rlnTomoName\n_rlnTomoTiltSeriesStarFile\nTS_1 tilt/TS_1.star\n"),
        ("a.star", "data_\n_rlnTomoParticlesFile particles.star\n_rlnTomoTomogramsFile tomograms.star\n"),
        ("a_info.json", '{"boxes_3d": [[1, 2, 3, "tm", 1, 0]], "class_list": {}}'),
        ("a_info.json", '{"boxes": [], "boxes_3d": []}'),
        ("a_info.json", '{"boxes": [[1, 2, 3.5]]}'),
        ("a.star", STAR_3D + "a.mrc 1 2 33\n"),
        ("a.csv", "x,y,z\n1,2,3\n1,2,4\n"),
        ("a.csv", "x,y,z\n1,2,33\n3,4,33\n"),
        ("a.csv", "X-Coordinate,Y-Coordinate,Z-Coordinate\n1,2,3\n1,2,4\n"),
        ("a.tsv", "image_name\tx_coord\ty_coord\tz_coord\na\t1\t2\t3\na\t1\t2\t4\n"),
        ("a.box", "1 2 3\n4 5 6\n"),
        ("a.box", "1 2 3 10 10 10\n"),
    ],
)
def test_tomograms_are_called_so(tmp_path, name, text):
    path = put(tmp_path, name, text)
    with pytest.raises(CoordinateError, match="tomogram") as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_z_for_all_is_a_dummy(tmp_path):
    assert centres(read(put(tmp_path, "a.star", STAR_3D + "a.mrc 1 2 0\na.mrc 3 4 0\n"))) == [[1, 2], [3, 4]]
    assert centres(read(put(tmp_path, "a.csv", "x,y,z\n1,2,0\n3,4,0\n"))) == [[1, 2], [3, 4]]
    assert len(read(put(tmp_path, "a_info.json", '{"boxes": [[1, 2, "manual"]], "boxes_3d": []}'))) == 1


# --- names -----------------------------------------------------------------------------------------------------------

UID = "001234567890123456789"
EXPORTED = f"""
data_optics

loop_
_rlnOpticsGroup #1
1

data_particles

loop_
_rlnImageName #1
_rlnMicrographName #2
_rlnCoordinateX #3
_rlnCoordinateY #4
000001@J10/extract/{UID}_a_particles.mrc J2/motioncorrected/{UID}_a.mrc 10 20
000002@J10/extract/{UID}_a_particles.mrc J2/motioncorrected/{UID}_a.mrc 30 40
000001@J10/extract/{UID}_b_particles.mrc J2/motioncorrected/{UID}_b.mrc 50 60
"""


def test_star_exported_from_cryosparc(tmp_path):
    names = [f"{UID}_a"] * 2 + [f"{UID}_b"]
    assert read(put(tmp_path, "p.star", EXPORTED))["micrograph"].tolist() == names
    # Without the micrographs, the stacks of images that are called after them.
    unnamed = EXPORTED.replace("_rlnMicrographName", "_rlnGroupName")
    assert read(put(tmp_path, "p.star", unnamed))["micrograph"].tolist() == names
    picks, found = read_folder(tmp_path / "p.star", located=True)
    picks = renamed(picks, matched(found, {name: f"mics/{name}.mrc" for name in "abc"}))
    assert picks["micrograph"].tolist() == ["a", "a", "b"]


def test_images_in_a_stack_belong_to_the_stack(tmp_path):
    text = "data_\nloop_\n_rlnMicrographName\n_rlnCoordinateX\n_rlnCoordinateY\n000001@m.mrcs 1 2\n000002@m.mrcs 3 4\n"
    assert read(put(tmp_path, "p.star", text))["micrograph"].tolist() == ["m", "m"]


def test_what_was_added_is_in_the_last_part_of_names_with_folders():
    assert Additions(["_x"], ["J1_"]).removed("J1_A/J1_a_x") == "J1_A/a"
    assert Additions([], ["J"]).removed("J_A/J_a") == "J_A/_a"


@pytest.mark.parametrize(
    ("name", "left"),
    [("_mask", "_"), ("A/a_mask_mask", "A/a_mask"), ("J1_a", "a"), ("J1_", "_"), ("J1", "J1"), ("xx", "xx"), ("", "")],
)
def test_something_is_left_of_every_name(name, left):
    # The first pattern fits every name, and mostly matches nothing.
    assert Additions(["_mask", "mask"], ["x*", "J1_", "J1"]).removed(name) == left


def test_renamed_micrographs_stay_objects():
    picks = table(["a", "b", "a"], x=[1, 2, 3], y=[4, 5, 6])
    for rows in (picks, picks.iloc[:0]):
        found = renamed(rows, {"a": "A/a", "b": "b", "c": "d"})
        assert found["micrograph"].dtype == object
        assert found["x"].tolist() == rows["x"].tolist()
    assert renamed(picks, {"a": "A/a", "b": "b"})["micrograph"].tolist() == ["A/a", "b", "A/a"]
    assert renamed(picks.iloc[[2, 1]], {"a": "A/a", "b": "c"})["micrograph"].to_dict() == {2: "A/a", 1: "c"}


def test_tables_that_are_read_have_the_types_of_a_table_of_picks(tmp_path):
    path = put(tmp_path, "p.star", RELION_31)
    for picks in (read(path), read(path, micrograph="mic_1"), read(path, micrograph="none"), read_folder(path)[0]):
        assert picks.dtypes.to_dict() == table().dtypes.to_dict()
        assert picks.index.tolist() == list(range(len(picks)))


def test_two_micrographs_do_not_become_one(tmp_path):
    path = put(tmp_path, "p.csv", "micrograph,x,y\nJ1_a,1,2\nJ2_a,1,2\n")
    with pytest.raises(CoordinateError, match=r"p\.csv: .*J1_a and J2_a"):
        read_folder(path, prefixes=["J[0-9]_"])


def test_endings_and_prefixes_come_off_names_of_files_and_in_files(tmp_path):
    put(tmp_path, "J1_a_mask.csv", GOOD["csv"])
    put(tmp_path, "all.csv", "micrograph,x,y\nJ12_b_mask.mrc,1,2\nJ_c,3,4\n")
    assert read_folder(tmp_path, endings=["_mask"], prefixes=["J[0-9]+_"])[1] == ["J_c", "a", "b"]
    assert read_folder(tmp_path, prefixes=["J1", "J12_"])[1] == ["2_b_mask", "J_c", "_a_mask"], "the first that fits"
    assert read_folder(tmp_path, prefixes=[".*"])[1] == ["J12_b_mask", "J1_a_mask", "J_c"], "something is left"
    with pytest.raises(ArgumentError, match=r"\(J"):
        read_folder(tmp_path, prefixes=["(J"])


# --- every format ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", [name for name in FORMATS if name != "pictures"])
def test_no_picks_are_valid_both_ways(tmp_path, format):
    files = write_folder(table(), tmp_path, format, micrographs=["mic_1", "mic_10"])
    assert sorted(files) == ["mic_1", "mic_10"]
    picks, names = read_folder(tmp_path)
    assert len(picks) == 0
    assert names == ["mic_1", "mic_10"]
    validate(picks)


GOOD = {
    "star": "data_\n\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n1 2\n3 4\n",
    "box": "1 2 10 10 0.5\n3 4 10 10 0.6\n",
    "cbox": CBOX,
    "eman2": '{"boxes": [[1, 2, "manual"], [3, 4, "manual"]]}',
    "topaz": TOPAZ,
    "csv": "x,y,score\n1,2,0.5\n3,4,0.6\n",
}
BAD = {
    "empty": {name: "" for name in GOOD if name != "box"},
    "binary": {name: bytes(range(256)) * 4 for name in GOOD},
    "text in numbers": {
        "star": GOOD["star"].replace("3 4", "3 four"),
        "box": GOOD["box"].replace("3 4", "3 four"),
        "cbox": CBOX.replace("100.5", "hundred"),
        "eman2": GOOD["eman2"].replace("3", '"three"'),
        "topaz": TOPAZ.replace("\t4\t", "\tfour\t"),
        "csv": GOOD["csv"].replace("3", "three"),
    },
    "columns missing": {
        "star": "data_\n\nloop_\n_rlnCoordinateX #1\n1\n",
        "box": "1 2 10\n3 4 10\n",
        "cbox": CBOX.replace("_Width", "_Wide"),
        "eman2": '{"other": 1}',
        "topaz": "image_name\tx\ty\na\t1\t2\n",
        "csv": "x,score\n1,0.5\n",
    },
    "ragged": {
        "star": GOOD["star"] + "5 6 7\n",
        "box": GOOD["box"] + "1 2 3 4 5 6\n",
        "cbox": CBOX.replace(" 0.9 <NA> <NA>", " 0.9 <NA> <NA> 1 2"),
        "eman2": '{"boxes": [[1, 2, "manual"], [3]]}',
        "topaz": TOPAZ + "mic.1\t1\n",
        "csv": GOOD["csv"] + "1,2,3,4\n",
    },
    "no centre": {
        "star": GOOD["star"] + "nan 6\n",
        "box": "nan 2 10 10\n",
        "cbox": CBOX.replace("100.5", "<NA>"),
        "eman2": '{"boxes": [[NaN, 2, "manual"]]}',
        "topaz": TOPAZ + "mic.1\t\t3\t1\n",
        "csv": GOOD["csv"] + ",2,1\n",
    },
    "another kind": {
        "star": "data_job\n\n_rlnJobTypeLabel relion.autopick\n",
        "box": "1 2 -10 10\n",
        "cbox": GOOD["star"],
        "eman2": '{"boxes": 5}',
        "topaz": GOOD["csv"],
        "csv": TOPAZ,
    },
}
SUFFIX = {**{name: FORMATS[name].ending for name in GOOD}, "eman2": ".json"}


@pytest.mark.parametrize(("kind", "format"), [(kind, format) for kind in BAD for format in BAD[kind]])
def test_damaged_files_are_one_error_that_names_the_file(tmp_path, kind, format):
    assert len(read(put(tmp_path, f"good{SUFFIX[format]}", GOOD[format]), format)) == 2
    path = put(tmp_path, f"bad{SUFFIX[format]}", BAD[kind][format])
    with pytest.raises(CoordinateError) as caught:
        read(path, format)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", ["absent.star", "absent.png", "."])
def test_files_that_are_not_there(tmp_path, path):
    with pytest.raises(CoordinateError) as caught:
        read(tmp_path / path)
    assert str(tmp_path / path) in str(caught.value)


def test_formats_are_recognised_by_content_where_the_suffix_says_nothing(tmp_path):
    for format, text in GOOD.items():
        assert detect(put(tmp_path, "x.txt", text)) == format
    assert detect(put(tmp_path, "x.star", CBOX)) == "cbox"
    assert detect(put(tmp_path, "x.csv", TOPAZ)) == "topaz"
    with pytest.raises(CoordinateError, match=r"x\.txt"):
        detect(put(tmp_path, "x.txt", "Dear reader,\n"))


def test_shift_comes_between_scale_and_flip(tmp_path):
    path = put(tmp_path, "a.csv", GOOD["csv"])
    assert centres(read(path, scale=10, shift=(3, -1), flip_y=100)) == [[13, 80], [33, 60]]
    assert centres(read(path, scale=10, shift=(3, -1), flip_y={"a": 100, "b": 5})) == [[13, 80], [33, 60]]
    assert centres(read(path, shift=(0, 2), swap_xy=True)) == [[2, 3], [4, 5]]
    assert centres(read(path, shift=(2, 0), scale=0.5, blocks=True)) == [[2.25, 0.75], [3.25, 1.75]]


def test_options_out_of_range_are_refused(tmp_path):
    path = put(tmp_path, "a.box", GOOD["box"])
    with pytest.raises(ArgumentError, match=r"format .*'boxes'"):
        read(path, "boxes")
    with pytest.raises(ArgumentError, match=r"scores .*'percent'"):
        read(path, scores="percent")
    with pytest.raises(CoordinateError, match=r"a\.xyz"):
        write(table("a"), tmp_path / "a.xyz")
    with pytest.raises(ArgumentError, match=r"scale .*0"):
        read(path, scale=0)
    for shift in (1, (1, 2, 3), (1, "two"), (1, math.inf)):
        with pytest.raises(ArgumentError, match="shift"):
            read(path, shift=shift)
    for height in (0, 1.5):
        with pytest.raises(ArgumentError, match=rf"^flip_y .*{height}"):
            read(path, flip_y=height)
    assert read(path, flip_y=1)["y"].tolist() == [-7, -9]
    for size in (-3, 0, math.nan):
        with pytest.raises(ArgumentError, match=rf"^box_size .*{size}"):
            write(table("a"), path, box_size=size)
    with pytest.raises(ArgumentError, match=r"^scores .*'percent'"):
        write(table("a"), path, scores="percent")
    with pytest.raises(CoordinateError, match="micrograph a "):
        read(path, flip_y={"a.b": 100})


def test_one_micrograph_formats_do_not_take_several(tmp_path):
    picks = table(["a", "b"], x=[1, 2], y=[3, 4], diameter=10)
    for format in ("box", "cbox", "eman2", "pictures"):
        with pytest.raises(CoordinateError, match=f"a{FORMATS[format].ending}: .* 2;"):
            write(picks, tmp_path / f"a{FORMATS[format].ending}")
    assert not list(tmp_path.iterdir())


def test_scale_moves_diameters_too_and_diameter_overrides(tmp_path):
    path = put(tmp_path, "a.box", "0 0 10 10\n")
    assert read(path, scale=2)["diameter"].tolist() == [20]
    assert read(path, scale=2, diameter=7)["diameter"].tolist() == [7]
    assert math.isnan(scale(table("a", x=[1], y=[1]), 2)["diameter"][0])


# --- folders ---------------------------------------------------------------------------------------------------------


def test_folder_with_the_same_picks_in_several_formats_counts_them_once(tmp_path):
    picks = table(["a", "a", "b"], x=[1, 2, 3], y=[4, 5, 6], score=0.5, diameter=10)
    for format in ("csv", "box", "star"):
        write_folder(picks, tmp_path, format, micrographs=["a", "b", "empty"])
    write(picks, tmp_path / "picks.tsv")
    found, names = read_folder(tmp_path)
    assert names == ["a", "b", "empty"]
    assert centres(found) == [[1, 4], [2, 5], [3, 6]]
    assert found["diameter"].isna().all(), "the STAR files are read"
    assert read_folder(tmp_path, "csv")[0]["diameter"].tolist() == [10, 10, 10]


def test_folder_with_two_files_of_one_micrograph_is_an_error_that_names_both(tmp_path):
    put(tmp_path, "a.star", GOOD["star"])
    put(tmp_path, "a_autopick.star", GOOD["star"])
    with pytest.raises(CoordinateError, match=r"a\.star and .*a_autopick\.star"):
        read_folder(tmp_path)


def test_folder_names_every_bad_file_and_can_go_on(tmp_path):
    put(tmp_path, "a.box", GOOD["box"])
    put(tmp_path, "b.box", "x\n")
    put(tmp_path, "c.box", b"\0\1")
    with pytest.raises(CoordinateError) as caught:
        read_folder(tmp_path)
    assert "b.box" in str(caught.value)
    assert "c.box" in str(caught.value)
    problems = []
    picks, names = read_folder(tmp_path, problems=problems)
    assert len(picks) == 2
    assert names == ["a"]
    assert len(problems) == 2


def test_folder_skips_other_files(tmp_path, caplog):
    put(tmp_path, "a.csv", GOOD["csv"])
    read_folder(tmp_path)
    assert not caplog.messages
    put(tmp_path, "notes.txt", "Dear reader,\n")
    put(tmp_path, "settings.json", "{}")
    put(tmp_path, ".hidden.csv", GOOD["csv"])
    put(tmp_path, "inside/b.csv", GOOD["csv"])
    with caplog.at_level(logging.WARNING):
        assert read_folder(tmp_path)[1] == ["a"]
    assert "notes.txt" in caplog.text


def test_several_sources_are_read_together(tmp_path):
    one, two = put(tmp_path, "1/a.csv", GOOD["csv"]), put(tmp_path, "2/b.csv", GOOD["csv"])
    assert read_folder([one, two.parent])[1] == ["a", "b"]
    assert read_folder(path for path in (one, str(two)))[1] == ["a", "b"]
    problems = []
    assert read_folder([tmp_path / "gone", one], problems=problems)[1] == ["a"]
    assert len(problems) == 1
    assert str(tmp_path / "gone") in problems[0]
    with pytest.raises(CoordinateError, match=r"1/a\.csv and .*3/a\.csv"):
        read_folder([one, put(tmp_path, "3/a.csv", GOOD["csv"])])


def test_formats_given_go_before_what_files_look_like(tmp_path):
    path = put(tmp_path, "a.csv", TOPAZ)
    assert read_folder(path)[1] == ["mic.1", "mic.10"]
    with pytest.raises(CoordinateError, match=r"a\.csv"):
        read_folder(path, "csv")
    assert read_folder(put(tmp_path, "b.csv", TOPAZ.splitlines()[0]))[1] == []


def test_it_is_said_when_a_folder_has_several_formats(tmp_path, caplog):
    put(tmp_path, "a.csv", GOOD["csv"])
    with caplog.at_level(logging.INFO):
        read_folder(tmp_path)
        assert not caplog.messages
        put(tmp_path, "b.box", GOOD["box"])
        assert read_folder(tmp_path)[1] == ["a", "b"]
    (message,) = caplog.messages
    assert message.startswith(f"{tmp_path}: box, csv ")


def test_folders_inside_are_read_if_there_is_nothing_above(tmp_path):
    put(tmp_path, "A/a.csv", GOOD["csv"])
    put(tmp_path, "B/C/b.box", GOOD["box"])
    put(tmp_path, ".hidden/c.csv", GOOD["csv"])
    assert read_folder(tmp_path)[1] == ["a", "b"]
    assert read_folder(tmp_path, "box")[1] == ["b"]
    assert read_folder(tmp_path, "csv", located=True)[1] == ["A/a"]


def test_label_pictures_are_read_if_there_is_nothing_else(tmp_path):
    write(table("a", x=[20], y=[30], diameter=12), tmp_path / "in" / "a.png", shape=(60, 50))
    assert read_folder(tmp_path / "in")[1] == ["a"]
    with pytest.raises(CoordinateError, match=tmp_path.name):
        read_folder(tmp_path)
    assert read_folder(tmp_path, "pictures")[1] == ["a"]
    put(tmp_path, "in/b.csv", GOOD["csv"])
    assert read_folder(tmp_path / "in")[1] == ["b"]
    assert read_folder(tmp_path / "in", "pictures")[1] == ["a"]


def test_a_name_that_is_there_whole_goes_before_one_with_a_folder(tmp_path):
    path = put(tmp_path, "p.csv", "micrograph,x,y\nA/001,1,2\n001,3,4\nB/002,5,6\n")
    assert centres(read(path, micrograph="001")) == [[3, 4]]
    assert read(path, micrograph="002")[["micrograph", "x"]].to_numpy().tolist() == [["002", 5]]


def test_folder_without_coordinates_is_an_error(tmp_path):
    with pytest.raises(CoordinateError, match=tmp_path.name):
        read_folder(tmp_path)
    put(tmp_path, "a.box", GOOD["box"])
    with pytest.raises(CoordinateError, match="csv"):
        read_folder(tmp_path, "csv")
    with pytest.raises(CoordinateError, match="absent"):
        read_folder(tmp_path / "absent")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("left,top\n1,2\n", "x, y.*left, top"),
        ("X_center,top\n1,2\n", "y.*x_center, top"),
        ("x;y\n1,5;2,5\n", "';'.*','"),
        ("x\ty\n1\t2\n", r"'\\t'.*','"),
        ("", "empty"),
    ],
)
def test_the_error_says_how_a_csv_file_differs(tmp_path, text, words):
    path = put(tmp_path, "a.csv", text)
    with pytest.raises(CoordinateError, match=rf"a\.csv: .*{words}"):
        read(path)
    with pytest.raises(CoordinateError, match=r"a\.csv") as caught:
        read_folder(tmp_path)
    assert ("a.csv (empty)" in str(caught.value)) == (not text)
    with pytest.raises(CoordinateError, match=words):
        read_folder(tmp_path, "csv")
    put(tmp_path, "b.csv", GOOD["csv"])
    assert read_folder(tmp_path)[1] == ["b"]


@pytest.mark.parametrize("option", [{"scale": 0}, {"flip_y": 0}, {"diameter": -1}, {"scores": "percent"}])
def test_a_wrong_option_is_one_error_for_a_folder(tmp_path, option):
    for name in "abc":
        put(tmp_path, f"{name}.csv", GOOD["csv"])
    problems = []
    with pytest.raises(ArgumentError, match=next(iter(option))) as caught:
        read_folder(tmp_path, problems=problems, **option)
    assert "\n" not in str(caught.value)
    assert not problems


def test_endings_come_off_file_names_only_at_their_end(tmp_path):
    put(tmp_path, "a_mask_1_mask.csv", GOOD["csv"])
    assert read_folder(tmp_path, endings=["_mask"])[1] == ["a_mask_1"]


# --- files that other programs wrote ---------------------------------------------------------------------------------


def f1(picks, labels, limit):
    """F1 of a maximum one-to-one matching within `limit` pixels, pooled over micrographs."""
    matched = 0
    for name, truth in labels.groupby("micrograph"):
        own = picks[picks["micrograph"] == name]
        near = distance.cdist(own[["x", "y"]], truth[["x", "y"]]) <= limit
        matched += np.count_nonzero(maximum_bipartite_matching(csr_matrix(near)) >= 0)
    return 2 * matched / (len(picks) + len(labels))


# Published by others over 12 micrographs; four of them are here, so the bands are wide.
@pytest.mark.real
@pytest.mark.parametrize(
    ("picker", "score", "unturned"), [("cryolo", 0.881, 0.12), ("topaz", 0.745, 0.11), ("deeppicker", 0.302, 0.07)]
)
def test_real_boxes_have_their_published_f1_after_flipping_y(shared, picker, score, unturned):
    folder = shared / "data" / "formats" / picker
    picks, names = read_folder(folder, flip_y=4096)
    assert len(names) == 4
    labels, _ = read_folder([shared / "data" / "betagal_10017" / "labels" / f"{name}.csv" for name in names])
    assert f1(picks, labels, 0.25 * 108) == pytest.approx(score, abs=0.05)
    assert f1(read_folder(folder)[0], labels, 0.25 * 108) == pytest.approx(unturned, abs=0.05)
    assert (picks["diameter"] == 180).all()


@pytest.mark.real
def test_real_boxes_keep_their_score_through_every_format(shared, tmp_path):
    picks, names = read_folder(shared / "data" / "formats" / "cryolo", flip_y=4096)
    labels, _ = read_folder([shared / "data" / "betagal_10017" / "labels" / f"{name}.csv" for name in names])
    before = f1(picks, labels, 0.25 * 108)
    for format in ("star", "cbox", "topaz", "eman2", "box", "csv"):
        write_folder(picks, tmp_path / format, format)
        found, found_names = read_folder(tmp_path / format)
        assert found_names == names
        assert f1(found, labels, 0.25 * 108) == pytest.approx(before, abs=0.002)
        np.testing.assert_allclose(found["score"], picks["score"], rtol=1e-8)


@pytest.mark.real
def test_real_star_and_table_files(shared):
    formats = shared / "data" / "formats"
    particles, names = read_folder(formats / "relion31_particles.star")
    assert names == ["example_micrograph"]
    assert centres(particles)[0] == [760, 1350]
    assert particles["score"].isna().all()

    manual = read(formats / "manual_14_57_34.star", micrograph="Falcon_2012_06_12-14_57_34_0", flip_y=4096)
    assert manual["score"].isna().all()
    labels = read(shared / "data" / "betagal_10017" / "labels" / "Falcon_2012_06_12-14_57_34_0.csv")
    assert f1(manual, labels, 0.25 * 108) > 0.5
    assert f1(manual.assign(y=4095 - manual["y"]), labels, 0.25 * 108) < 0.2

    published, names = read_folder(formats / "cryosegnet_coordinates.star")
    assert names == ["Falcon_2012_06_12-14_33_35_0"]
    labels = read(shared / "data" / "betagal_10017" / "labels" / f"{names[0]}.csv")
    assert f1(published, labels, 10) > 0.98

    integer = read(formats / "manual_integer.box")
    assert centres(integer)[0] == [1346 + 108, 2081 + 108]
    assert integer["score"].isna().all()


@pytest.mark.real
def test_real_topaz_scores_become_probabilities_and_rank_alike(shared):
    path = shared / "data" / "formats" / "topaz_scores.tsv"
    picks, raw = read(path), read(path, scores="raw")
    assert picks["score"].between(0, 1).all()
    assert ((picks["score"] < 0.5) == (raw["score"] < 0)).all()
    assert (raw["score"] < 0).any()
    labels = read(shared / "data" / "apoferritin_10146" / "labels" / "May08_03.05.02.csv")
    sure = picks[picks["score"] > 0.5]
    assert f1(sure, labels, 0.25 * 76) > 0.5, "coordinates are those of the full-size micrograph"
    assert f1(sure.assign(y=1199 - sure["y"]), labels, 0.25 * 76) < 0.25


@pytest.mark.parametrize(
    ("name", "format"), [("autopick", "star"), ("manualpick", "star"), ("micrographs", "csv"), ("micrographs", "star")]
)
def test_a_micrograph_called_like_a_list_does_not_take_its_file(tmp_path, name, format):
    file = coordinate_path(tmp_path, name, format)
    assert file.name not in ("autopick.star", "manualpick.star", "micrographs.csv")
    write(table(name, x=[1], y=[2]), file, format, joined=False)
    assert read(file)["micrograph"].tolist() == [name]
    assert read_folder(tmp_path)[1] == [name]


# --- micrographs with the same file name ---------------------------------------------------------------------------

TWO = table(["A/001", "B/001", "B/002"], [100, 300, 5], [200, 400, 6], [0.9, 0.8, 0.7], 40)


@pytest.mark.parametrize("name", ["two.star", "two.csv", "two.tsv"])
def test_micrographs_of_one_file_name_stay_apart_in_one_file(tmp_path, name):
    write(TWO, tmp_path / name)
    got = read(tmp_path / name)
    assert got["micrograph"].tolist() == TWO["micrograph"].tolist()
    assert np.allclose(got[["x", "y"]], TWO[["x", "y"]])
    assert read(tmp_path / name, micrograph="B/001")["x"].tolist() == [300]
    assert read(tmp_path / name, micrograph="job/B/001")["x"].tolist() == [300]
    with pytest.raises(CoordinateError, match=f"{name}.*A/001.*B/001"):
        read(tmp_path / name, micrograph="001")


@pytest.mark.parametrize("format", ["star", "box", "cbox", "eman2", "topaz", "csv"])
def test_micrographs_of_one_file_name_get_folders(tmp_path, format):
    files = write_folder(TWO, tmp_path / "out", format)
    assert {file.parent.name for file in files.values()} == {"A", "B"}
    got, names = read_folder(tmp_path / "out")
    assert names == ["A/001", "B/001", "B/002"]
    assert sorted(zip(got["micrograph"], got["x"], strict=True)) == [("A/001", 100), ("B/001", 300), ("B/002", 5)]


def test_the_folder_of_a_micrograph_does_not_lead_out(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "A").symlink_to(tmp_path / "elsewhere")
    problems = []
    files = write_folder(TWO, tmp_path / "out", "star", problems=problems)
    assert sorted(files) == ["B/001", "B/002"]
    assert len(problems) == 1
    assert list((tmp_path / "elsewhere").iterdir()) == []
    for name in ("../x", "/x", "A/../../x"):
        with pytest.raises(CoordinateError):
            write_folder(table(name, [1], [2]), tmp_path / "out", "star")


def test_a_list_of_micrographs_in_two_folders(tmp_path):
    for folder, x in (("A", 1), ("B", 2)):
        write(table("001", [x], [5]), tmp_path / "AutoPick" / folder / "001_autopick.star", joined=False)
    rows = [(f"Motion/{folder}/001.mrc", f"AutoPick/{folder}/001_autopick.star") for folder in "AB"]
    listing = "data_coordinate_files\nloop_\n_rlnMicrographName\n_rlnMicrographCoordinates\n"
    path = tmp_path / "AutoPick" / "autopick.star"
    path.write_text(listing + "".join(f"{a} {b}\n" for a, b in rows))
    got = read(path)
    assert dict(zip(got["micrograph"], got["x"], strict=True)) == {"A/001": 1, "B/001": 2}
    path.write_text(listing + "a.mrc AutoPick/autopick.star\n")  # lists itself
    with pytest.raises(CoordinateError, match="autopick"):
        read(path)


NAMES = ["a b", "q'u", "h#", "=1+1", "+a", "-b", "@c", "new\nline", "re\rturn", "t\tab", 'quo"te', "com,ma"]


def test_csv_holds_every_name(tmp_path):
    picks = table(NAMES, range(len(NAMES)), 5, view="top")
    write(picks, tmp_path / "picks.csv")
    assert read(tmp_path / "picks.csv")["micrograph"].tolist() == NAMES
    assert not [line for line in (tmp_path / "picks.csv").read_text().splitlines() if line[:1] in "=+-@"]


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("format", [name for name, known in FORMATS.items() if not known.many and name != "pictures"])
def test_names_that_are_no_text_are_refused_with_their_file(tmp_path, format, number):
    path = coordinate_path(tmp_path, "a", format)
    write(table(["a"] * number, [10.0] * number, [20.0] * number, diameter=8), path, format)
    with pytest.raises(CoordinateError) as error:
        read(path, format, micrograph=os.fsdecode(b"n_\xff"))
    assert path.name in str(error.value)


def test_what_topaz_cannot_hold_is_refused_by_name(tmp_path):
    for name in NAMES:
        if set(name) & set('\t\r\n"'):
            with pytest.raises(CoordinateError):
                write(table(name, [1], [2]), tmp_path / "a.tsv")
        else:
            write(table(name, [1], [2]), tmp_path / "a.tsv")
            assert read(tmp_path / "a.tsv")["micrograph"].tolist() == [name]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("na.star", "data_\n\nloop_\n_rlnCoordinateX\n_rlnCoordinateY\n_rlnMicrographName\n1 2 <NA>\n"),
        ("twice.star", "data_\n\nloop_\n_rlnCoordinateX\n_rlnCoordinateY\n_rlnCoordinateX\n1 2 3\n"),
        ("twice.csv", "x,y,x\n1,2,3\n"),
        ("wide.csv", "x,y" + ",z" * 100_000 + "\n"),
        ("list.star", "data_coordinate_files\nloop_\n_rlnMicrographName\n_rlnMicrographCoordinates\na.mrc <NA>\n"),
        ("deep_info.json", '{"boxes":' + "[" * 3000 + "]" * 3000 + "}"),
        ("big_info.json", '{"boxes":[[' + "9" * 400 + ",1]]}"),
        ("inf.box", "1 2 inf inf\n"),
    ],
)
def test_odd_files_end_in_one_short_line(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(CoordinateError, match=name) as caught:
        read(tmp_path / name)
    assert len(str(caught.value)) < 800
    assert "\n" not in str(caught.value)
