"""The command `convert`, as a user types it."""

import gzip
import json
import logging
import subprocess
import sys

import imageio.v3 as iio
import mrcfile
import numpy as np
import pytest
import starfile
import tifffile

from cryokit.cli import main
from cryokit.coordinates import FORMATS, read, read_folder, table, write, write_folder


@pytest.fixture
def picks():
    return table(["mic_1", "mic_1", "mic_10"], [10, 60.5, 90], [20, 70, 30.25], [0.25, 0.5, 0.75], diameter=12)


@pytest.fixture
def boxes(tmp_path):
    """Return a folder of box files with two picks, one pick and none."""
    folder = tmp_path / "boxes"
    folder.mkdir()
    (folder / "mic_1.box").write_text("4 14 12 12 0.25\n54 64 12 12 0.5\n")
    (folder / "mic_10.box").write_text("84 24 12 12 0.75\n")
    (folder / "a.b.box").write_text("")
    return folder


@pytest.fixture
def micrographs(tmp_path):
    """Return a folder of micrographs of 100 rows and 128 columns in three formats."""
    folder = tmp_path / "Movies"
    folder.mkdir()
    picture = np.zeros((100, 128), np.float32)
    mrcfile.write(folder / "mic_1.mrc", picture)
    tifffile.imwrite(folder / "mic_10.tif", picture)
    iio.imwrite(folder / "a.b.png", picture.astype(np.uint8))
    return folder


def convert(*words):
    return main(["convert", *map(str, words)])


def centres(picks):
    return picks[["x", "y"]].to_numpy().tolist()


CENTRES = [[10, 20], [60, 70], [90, 30]]
MICROGRAPHS = ["a.b", "mic_1", "mic_10"]


@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("source", [name for name in FORMATS if name != "pictures"])
def test_folders_between_all_formats(tmp_path, boxes, micrographs, source, target):
    given, names = read_folder(boxes)
    write_folder(given, tmp_path / "in", source, micrographs=names, shape=(100, 128))
    out = tmp_path / "out"
    more = ["--micrographs", micrographs] if FORMATS[target].shaped else []
    assert convert(tmp_path / "in", "--to", target, "--out", out, "--diameter", 12, *more) == 0
    found, found_names = read_folder(out)
    assert found_names == MICROGRAPHS
    order = np.lexsort((found["x"], found["micrograph"]))
    np.testing.assert_allclose(centres(found.iloc[order]), CENTRES, atol=1 if target == "pictures" else 1e-5)
    if target != "pictures":
        assert found["score"].tolist() == pytest.approx([0.25, 0.5, 0.75])
    if target in ("box", "cbox", "csv"):
        assert found["diameter"].tolist() == [12, 12, 12]


@pytest.mark.parametrize("target", [format.name for format in FORMATS.values() if format.many])
def test_folder_into_one_file_and_back(tmp_path, boxes, micrographs, target):
    one = tmp_path / f"all{FORMATS[target].ending}"
    more = ["--micrographs", micrographs] if FORMATS[target].shaped else []
    assert convert(boxes, "--to", target, "--out", one, *more) == 0
    assert convert(one, "--to", "box", "--box-size", 12, "--out", tmp_path / "back") == 0
    back, names = read_folder(tmp_path / "back")
    assert names == MICROGRAPHS[1:]  # one file for all names the micrographs that have picks
    assert centres(back) == CENTRES
    assert back["score"].tolist() == pytest.approx([0.25, 0.5, 0.75])
    assert (tmp_path / "back" / "mic_10.box").read_text().split()[:4] == ["84", "24", "12", "12"]


def test_one_file_into_one_file(tmp_path, boxes):
    assert convert(boxes / "mic_1.box", "--to", "eman2", "--out", tmp_path / "info" / "mic_1_info.json") == 0
    info = json.loads((tmp_path / "info" / "mic_1_info.json").read_text())
    assert [box[:2] for box in info["boxes"]] == CENTRES[:2]


def test_a_format_of_one_micrograph_does_not_join(tmp_path, boxes, capsys):
    assert convert(boxes, "--to", "box", "--out", tmp_path / "all.box") == 1
    assert "all.box" in capsys.readouterr().err
    assert not (tmp_path / "all.box").exists()


def test_scale_then_flip_then_sizes_in_pixels_of_the_micrograph(tmp_path, boxes):
    words = ["--scale", 4, "--flip-y", 400, "--box-size", 60, "--to", "box", "--out", tmp_path / "out"]
    assert convert(boxes / "mic_1.box", *words) == 0
    # y' = 400 - 1 - 4 y
    assert (tmp_path / "out" / "mic_1.box").read_text() == "10\t289\t60\t60\t0.25\n210\t89\t60\t60\t0.5\n"
    assert convert(boxes / "mic_1.box", "--scale", 4, "--to", "csv", "--out", tmp_path / "out") == 0
    assert read(tmp_path / "out" / "mic_1.csv")["diameter"].tolist() == [48, 48]


def test_flip_with_heights_from_the_micrographs(tmp_path, boxes, micrographs):
    out = tmp_path / "out.csv"
    assert convert(boxes, "--to", "csv", "--out", out, "--micrographs", micrographs, "--flip-y") == 0
    assert centres(read(out)) == [[x, 99 - y] for x, y in CENTRES]
    packed = tmp_path / "packed"
    packed.mkdir()
    (packed / "mic_1.mrc.gz").write_bytes(gzip.compress((micrographs / "mic_1.mrc").read_bytes()))
    out = tmp_path / "one.csv"
    assert convert(boxes / "mic_1.box", "--to", "csv", "--out", out, "--micrographs", packed, "--flip-y") == 0
    assert centres(read(out)) == [[x, 99 - y] for x, y in CENTRES[:2]]


def test_picks_outside_are_named(tmp_path, micrographs, caplog):
    x, y = [-0.5, -0.6, 127.5, 128, 50, 50], [0, 0, 99.5, 0, 99.6, -7]
    write(table(["mic_1"] * 4 + ["mic_10"] * 2 + ["a.b"], [*x, 1], [*y, 1]), tmp_path / "in.csv")
    out = tmp_path / "out"
    assert convert(tmp_path / "in.csv", "--to", "star", "--out", out, "--micrographs", micrographs) == 0
    (message,) = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert message.startswith("4 of 7 picks")
    assert "mic_1 (2), mic_10 (2)" in message
    assert "a.b" not in message
    caplog.clear()
    # Their place in the micrograph counts, not in the file.
    words = ["--scale", 0.1, "--shift", 10, 10, "--flip-y", 100, "--micrographs", micrographs]
    assert convert(tmp_path / "in.csv", "--to", "csv", "--out", tmp_path / "in_pixels", *words) == 0
    assert not [record for record in caplog.records if record.levelno == logging.WARNING]


def test_cryosparc_names_are_those_of_the_micrographs(tmp_path, micrographs, caplog):
    picks = table(["000000000000000000007_mic_1", "000000000000000000008_mic_10"], [10, 30], [20, 40], 0.5)
    write(picks, tmp_path / "in.cs", shape=(100, 128))
    with caplog.at_level(logging.INFO):
        assert convert(tmp_path / "in.cs", "--to", "csv", "--out", tmp_path, "--micrographs", micrographs) == 0
    assert read(tmp_path / "mic_1.csv")[["x", "y"]].to_numpy().tolist() == [[pytest.approx(10), pytest.approx(20)]]
    assert (tmp_path / "mic_10.csv").exists()
    assert len([message for message in caplog.messages if "cryoSPARC" in message]) == 1
    words = ["--strip-prefix", "0+[78]_mic_", "--to", "csv", "--out", tmp_path / "out"]
    assert convert(tmp_path / "in.cs", *words) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["1.csv", "10.csv"]


def test_flip_goes_on_where_a_height_is_not_known(tmp_path, boxes, micrographs, caplog):
    (micrographs / "mic_1.mrc").rename(micrographs / "mic_11.mrc")
    (micrographs / "mic_10.tif").write_bytes(b"damaged")
    out = tmp_path / "out"
    assert convert(boxes, "--to", "csv", "--out", out, "--micrographs", micrographs, "--flip-y") == 1
    assert [path.name for path in out.iterdir()] == ["a.b.csv"]
    assert "micrograph mic_1 " in caplog.text
    assert "mic_10.tif" in caplog.text


def test_bad_files_are_named_while_the_others_go_on(tmp_path, boxes, caplog):
    (boxes / "broken.box").write_text("1 2\n")
    (tmp_path / "binary.star").write_bytes(b"\0\1\2")
    words = [boxes, tmp_path / "absent.csv", tmp_path / "binary.star", "--to", "star", "--out", tmp_path / "out"]
    assert convert(*words) == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.b.star", "mic_1.star", "mic_10.star"]
    for name in ("broken.box", "absent.csv", "binary.star"):
        assert name in caplog.text


def test_nothing_readable_is_an_error_and_writes_nothing(tmp_path, capsys):
    assert convert(tmp_path / "absent", "--to", "csv", "--out", tmp_path / "out.csv") == 1
    assert "absent" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_two_inputs_of_one_micrograph_are_an_error(tmp_path, boxes, caplog):
    again = tmp_path / "again"
    again.mkdir()
    (again / "mic_1.box").write_text("0 0 12 12\n")
    assert convert(boxes, again, "--to", "csv", "--out", tmp_path / "out.csv") == 1
    assert str(again / "mic_1.box") in caplog.text
    assert str(boxes / "mic_1.box") in caplog.text
    assert centres(read(tmp_path / "out.csv")) == CENTRES


def test_scores_of_topaz_stay_or_become_probabilities(tmp_path):
    (tmp_path / "in.tsv").write_text("image_name\tx_coord\ty_coord\tscore\na\t1\t2\t0\na\t3\t4\t7.25\n")
    out = tmp_path / "out.csv"
    assert convert(tmp_path / "in.tsv", "--to", "csv", "--out", out) == 0
    assert read(out)["score"].tolist() == pytest.approx([0.5, 1 / (1 + np.exp(-7.25))])
    assert convert(tmp_path / "in.tsv", "--scores-in", "raw", "--to", "csv", "--out", out) == 0
    assert read(out)["score"].tolist() == [0, 7.25]
    assert convert(out, "--scores-out", "raw", "--to", "topaz", "--out", tmp_path / "back.tsv") == 0
    back = read(tmp_path / "back.tsv", scores="raw")
    assert back[["x", "y", "score"]].to_numpy().tolist() == [[1, 2, 0], [3, 4, 7.25]]
    assert convert(out, "--to", "topaz", "--out", tmp_path / "back.tsv") == 1


def test_boxes_with_fractions(tmp_path, picks):
    write(picks, tmp_path / "in.csv")
    assert convert(tmp_path / "in.csv", "--to", "box", "--float", "--out", tmp_path / "out") == 0
    assert centres(read_folder(tmp_path / "out")[0]) == centres(picks)


def test_list_for_relion(tmp_path, boxes, micrographs, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert convert("boxes", "--to", "star", "--out", "Pick/job001", "--micrographs", "Movies", "--list") == 0
    listed = starfile.read("Pick/job001/autopick.star", always_dict=True)["coordinate_files"]
    assert listed["rlnMicrographName"].tolist() == ["Movies/a.b.png", "Movies/mic_1.mrc", "Movies/mic_10.tif"]
    assert listed["rlnMicrographCoordinates"].tolist() == [f"Pick/job001/{name}.star" for name in MICROGRAPHS]
    found, names = read_folder("Pick/job001")
    assert names == MICROGRAPHS
    assert centres(found) == CENTRES
    assert convert("boxes", "--to", "star", "--out", "all.star", "--micrographs", "Movies") == 0
    named = starfile.read("all.star", always_dict=True)["particles"]["rlnMicrographName"]
    assert named.tolist() == ["Movies/mic_1.mrc"] * 2 + ["Movies/mic_10.tif"]


def test_label_pictures_with_an_ending(tmp_path, micrographs):
    iio.imwrite(tmp_path / "mic_1_mask.png", np.zeros((100, 128), np.uint8))
    words = [tmp_path / "mic_1_mask.png", "--strip", "_mask", "--to", "csv", "--out", tmp_path / "out"]
    assert convert(*words) == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mic_1.csv"]


@pytest.mark.parametrize(
    "words",
    [
        ["--to", "csv", "--flip-y"],
        ["--to", "csv", "--flip-y", "-5"],
        ["--to", "csv", "--flip-y", "0"],
        ["--to", "box", "--box-size", "0"],
        ["--to", "star", "--list"],
        ["--to", "pictures"],
        ["--to", "cs"],
        ["--to", "csv", "--strip-prefix", "(a"],
        ["--to", "csv", "--scale", "0"],
    ],
)
def test_options_that_do_not_fit_are_one_line(tmp_path, boxes, capsys, words):
    assert convert(boxes, *words, "--out", tmp_path / "out") == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("target", ["box", "cbox", "pictures"])
def test_a_missing_size_is_reported_once(tmp_path, micrographs, picks, capsys, caplog, target):
    unsized = picks.assign(diameter=np.nan)
    write_folder(unsized, tmp_path / "in", "csv")
    words = [tmp_path / "in", "--to", target, "--out", tmp_path / "out", "--micrographs", micrographs]
    assert convert(*words) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "--box-size" in error
    assert not (tmp_path / "out").exists()
    # Where some have a size, these are written.
    write_folder(picks[picks["micrograph"] == "mic_10"], tmp_path / "in", "csv")
    assert convert(*words) == 1
    assert [path.stem for path in (tmp_path / "out").iterdir()] == ["mic_10"]
    assert "mic_1" in caplog.text
    assert "1 problem;" in caplog.text


def test_one_is_not_many(tmp_path, boxes, caplog):
    with caplog.at_level(logging.INFO):
        assert convert(boxes / "mic_10.box", "--to", "csv", "--out", tmp_path / "out") == 0
        assert convert(boxes / "mic_10.box", "--to", "csv", "--out", tmp_path / "out.csv") == 0
    assert "1 pick in 1 file" in caplog.messages[0]
    assert "1 pick of 1 micrograph" in caplog.messages[1]


def test_help_loads_nothing_heavy():
    code = (
        "import sys\nfrom cryokit.cli import main\n"
        "try: main(['convert', '--help'])\nexcept SystemExit: pass\n"
        "print(sorted({'numpy', 'pandas', 'scipy', 'starfile'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(format.title in done.stdout for format in FORMATS.values())
    assert done.stdout.splitlines()[-1] == "[]"


def test_unknown_formats_are_wrong_usage(tmp_path, boxes):
    with pytest.raises(SystemExit) as caught:
        convert(boxes, "--to", "boxes", "--out", tmp_path / "out")
    assert caught.value.code == 2


def test_conversion_loads_no_heavy_library(tmp_path, boxes):
    code = (
        "import sys; from cryokit.cli import main; status = main(sys.argv[1:]); "
        "heavy = {'tensorflow', 'keras', 'torch', 'matplotlib', 'skimage', 'sklearn'} & set(sys.modules); "
        "sys.exit(status or (str(heavy) if heavy else 0))"
    )
    words = ["convert", str(boxes), "--to", "star", "--out", str(tmp_path / "out")]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.real
def test_real_boxes_with_real_heights(shared, tmp_path):
    micrographs = shared / "data" / "betagal_10017" / "micrographs"
    words = [shared / "data" / "formats" / "cryolo", "--to", "csv", "--out", tmp_path / "out.csv"]
    assert convert(*words, "--micrographs", micrographs, "--flip-y") == 0
    expected, _ = read_folder(shared / "data" / "formats" / "cryolo", flip_y=4096)
    assert centres(read(tmp_path / "out.csv")) == centres(expected)
