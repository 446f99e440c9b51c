"""``cryokit evaluate`` on files of several formats."""

import json
import logging

import pytest

from cryokit.cli import main


def written(folder, files):
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def labels(tmp_path):
    header = "x,y,diameter,view\n"
    files = {
        "mic.1.csv": header + "100,100,40,top\n300,100,40,side\n",
        "mic.10.csv": header + "200,200,40,top\n400,400,40,ignore\n",
        "empty.csv": header,
    }
    return written(tmp_path / "labels", files)


@pytest.fixture
def boxes(tmp_path):
    """Corners and sizes, as EMAN1 writes them: one pick false, two true, one on the ignore label."""
    files = {
        "mic.1.box": "85 82 36 36 0.9\n500 500 36 36 0.2\n",
        "mic.10.box": "180 180 40 40 0.8\n385 385 40 40 0.7\n",
    }
    return written(tmp_path / "boxes", files)


def scores(tmp_path, *arguments):
    path = tmp_path / "out" / "scores.json"
    assert main(["evaluate", *map(str, arguments), "--json", str(path)]) == 0
    return json.loads(path.read_text())


def test_folders_of_two_formats(tmp_path, labels, boxes, capsys):
    results = scores(tmp_path, "--picks", boxes, "--labels", labels)
    assert list(results) == ["boxes"]
    result = results["boxes"]
    assert (result["tp"], result["fp"], result["fn"], result["ignored"]) == (2, 1, 1, 1)
    assert [row["micrograph"] for row in result["per_micrograph"]] == ["empty", "mic.1", "mic.10"]
    text = capsys.readouterr().out
    assert "3 micrographs, 3 particles, 4 picks" in text
    assert "0.667" in text
    assert "mic.10" not in text


def test_comparison_of_pickers(tmp_path, labels, boxes, capsys):
    table = tmp_path / "picks.csv"
    table.write_text("micrograph,x,y,score\nmic.1,300,102,0.5\nmic.10,203,200,0.4\n")
    plot = tmp_path / "curves.png"
    results = scores(
        tmp_path,
        *("--picks", f"eman={boxes}", "--picks", f"other={table}", "--labels", labels),
        *("--plot", plot, "--per-micrograph", "--sweep"),
    )
    assert {name: (result["tp"], result["fp"]) for name, result in results.items()} == {"eman": (2, 1), "other": (2, 0)}
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert [row["tp"] for row in results["other"]["sweep"]][::6] == [2, 2]
    assert [row["tp"] for row in results["eman"]["sweep"]][::6] == [2, 2]
    text = capsys.readouterr().out
    assert text.index("eman") < text.index("== other")
    assert "mic.10" in text


def test_threshold_tolerance_and_criterion_reach_the_evaluation(tmp_path, labels, boxes):
    result = scores(tmp_path, "--picks", boxes, "--labels", labels, "--threshold", 0.85, "--tolerance", "0.07")["boxes"]
    assert (result["threshold"], result["tolerance"], result["tp"], result["fp"]) == (0.85, 0.07, 0, 1)
    result = scores(tmp_path, "--picks", boxes, "--labels", labels, "--criterion", "iou")["boxes"]
    assert (result["criterion"], result["tolerance"], result["tp"]) == ("iou", 0.6, 2)


def test_other_frames(tmp_path, labels):
    """Picks on a copy half the size, its rows counted from the bottom of 512 rows."""
    (tmp_path / "half.csv").write_text("micrograph,x,y\nmic.1,50,205.5\nmic.1,150,205.5\n")
    words = ("--picks", tmp_path / "half.csv", "--labels", labels, "--scale", 2, "--flip-y", 512)
    result = scores(tmp_path, *words)["half"]
    assert (result["tp"], result["fp"], result["centre_error"]) == (2, 0, 0.0)
    assert result["scored"] is False


def test_names_with_something_added(tmp_path, labels, boxes, capsys):
    for path in list(boxes.iterdir()):
        path.rename(boxes / f"{path.stem}_DW.box")
    assert main(["evaluate", "--picks", str(boxes), "--labels", str(labels)]) == 1
    assert "--strip" in capsys.readouterr().err
    assert scores(tmp_path, "--picks", boxes, "--labels", labels, "--strip", "_DW")["boxes"]["tp"] == 2


def test_micrographs_without_picks(tmp_path, labels, caplog):
    (tmp_path / "some.csv").write_text("micrograph,x,y\nmic.1,100,100\n")
    arguments = ("--picks", tmp_path / "some.csv", "--labels", labels)
    with caplog.at_level(logging.WARNING):
        result = scores(tmp_path, *arguments)["some"]
    assert (result["tp"], result["fn"], len(result["per_micrograph"])) == (1, 2, 3)
    assert "1 of 2 micrographs" in caplog.text
    assert "mic.10" in caplog.text
    result = scores(tmp_path, *arguments, "--picked-only")["some"]
    assert (result["tp"], result["fn"], len(result["per_micrograph"])) == (1, 1, 1)


def test_diameter_where_the_labels_have_none(tmp_path, labels, boxes, capsys):
    for path in labels.iterdir():
        path.write_text("".join(line.replace("diameter", "size") + "\n" for line in path.read_text().splitlines()))
    assert main(["evaluate", "--picks", str(boxes), "--labels", str(labels)]) == 1
    error = capsys.readouterr().err
    assert "--diameter" in error
    assert f"{labels}: 4 of 4 labels" in error
    assert str(boxes) not in error
    assert scores(tmp_path, "--picks", boxes, "--labels", labels, "--diameter", 40)["boxes"]["tp"] == 2


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--picks", "nowhere", "--labels", "{labels}"], "nowhere"),
        (["--picks", "{boxes}", "--labels", "nowhere"], "nowhere"),
        (["--picks", "{boxes}", "--picks", "{boxes}", "--labels", "{labels}"], "'boxes'"),
        (["--picks", "a=", "--labels", "{labels}"], "a="),
        (["--picks", "{boxes}", "--labels", "{labels}", "--tolerance", "-1"], "tolerance"),
        (["--picks", "{boxes}", "--labels", "{labels}", "--plot", "curves.docx"], "curves.docx"),
    ],
)
def test_bad_input_is_one_line(arguments, named, labels, boxes, capsys):
    assert main(["evaluate", *(word.format(labels=labels, boxes=boxes) for word in arguments)]) == 1
    error = capsys.readouterr().err
    assert named in error
    assert error.startswith("cryokit evaluate: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--tolerance", "-1"),
        ("--diameter", "-1"),
        ("--seed", "-1"),
        ("--bootstrap", "-1"),
        ("--flip-y", "0"),
        ("--scale", "0"),
    ],
)
def test_a_wrong_option_is_not_a_fault_of_a_file(option, value, labels, boxes, capsys):
    assert main(["evaluate", "--picks", str(boxes), "--labels", str(labels), option, value]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert option.strip("-") in error.replace("_", "-")
    assert value in error
    assert str(boxes) not in error
    assert str(labels) not in error


def test_labels_that_name_no_micrograph(tmp_path, boxes, capsys):
    (tmp_path / "none.csv").write_text("micrograph,x,y,diameter\n")
    assert main(["evaluate", "--picks", str(boxes), "--labels", str(tmp_path / "none.csv")]) == 1
    error = capsys.readouterr().err
    assert "none.csv" in error
    assert str(boxes) not in error


def test_the_name_of_the_plot_is_checked_first(tmp_path, labels, boxes, capsys):
    out = tmp_path / "scores.json"
    words = ["--picks", str(boxes), "--labels", str(labels), "--json", str(out), "--plot", str(tmp_path / "o.xyz")]
    assert main(["evaluate", *words]) == 1
    printed, error = capsys.readouterr()
    assert printed == ""
    assert not out.exists()
    assert "o.xyz" in error


def test_a_shift_is_reported(tmp_path, capsys):
    """Picks 2 px to the right of every label, which is 5 % of the diameter."""
    places = [(name, 50 * column, 50 * row) for name in "ab" for column in range(1, 9) for row in range(1, 9)]
    header = "micrograph,x,y,diameter\n"
    lines = [f"{name},{x},{y},40\n" for name, x, y in places]
    (tmp_path / "labels.csv").write_text(header + "".join(lines))
    for name, shift in (("shifted", 2), ("right", 0)):
        wobble = [(number % 3 - 1) / 4 for number in range(len(places))]
        lines = [f"{n},{x + shift + w},{y - w},40\n" for (n, x, y), w in zip(places, wobble, strict=True)]
        (tmp_path / f"{name}.csv").write_text(header + "".join(lines))
    both = [word for name in ("shifted", "right") for word in ("--picks", tmp_path / f"{name}.csv")]
    results = scores(tmp_path, *both, "--labels", tmp_path / "labels.csv")
    where = results["shifted"]["localisation"]
    assert where["dx"] == pytest.approx(2, abs=0.02)
    assert where["dx_share"] == pytest.approx(0.05, abs=0.0005)
    assert (where["matches"], where["shifted"], results["right"]["localisation"]["shifted"]) == (128, True, False)
    printed = capsys.readouterr().out
    assert printed.count("warning") == 1
    assert printed.index("== shifted") < printed.index("warning") < printed.index("== right")


@pytest.fixture
def upside_down(tmp_path):
    """Labels, and picks on a copy of half the size whose rows are counted from the other end of 1024 rows."""
    places = [(name, 37 * (k % 9) + 11 * (k // 9), 97 * (k // 9) + 3 * k + 20) for name in "ab" for k in range(81)]
    header = "micrograph,x,y,diameter\n"
    (tmp_path / "labels.csv").write_text(header + "".join(f"{n},{x},{y},30\n" for n, x, y in places))
    picks = "".join(f"{n},{x / 2},{(1023 - y) / 2},15\n" for n, x, y in places)
    (tmp_path / "picks.csv").write_text(header + picks)
    return ["--picks", tmp_path / "picks.csv", "--labels", tmp_path / "labels.csv"]


def warnings(caplog):
    return [record.message for record in caplog.records if record.levelno == logging.WARNING]


@pytest.mark.parametrize("given", [[], ["--scale", 2], ["--flip-y", 512], ["--scale", 4, "--flip-y", 4096]])
def test_the_options_of_another_frame_are_named(tmp_path, upside_down, caplog, given):
    before = scores(tmp_path, *upside_down, *given)["picks"]
    assert before["recall"] < 0.3
    (message,) = warnings(caplog)
    assert "--scale 2 --flip-y 1024" in message
    assert "\n" not in message
    caplog.clear()
    # Taking the advice ends it.
    assert scores(tmp_path, *upside_down, "--scale", 2, "--flip-y", 1024)["picks"]["recall"] == 1
    assert not warnings(caplog)


def test_repeated_labels_count_once_and_are_told(tmp_path, caplog):
    (tmp_path / "labels.csv").write_text(
        "micrograph,x,y,diameter,view\na,10,20,40,\na,10,20,40,\na,11.9,20,40,\na,10,20,40,ignore\nb,10,20,40,\n"
        "b,12.1,20,40,\n"
    )
    (tmp_path / "picks.csv").write_text("micrograph,x,y\na,10,20\nb,10,20\n")
    words = ["--picks", tmp_path / "picks.csv", "--labels", tmp_path / "labels.csv", "--sweep"]
    result = scores(tmp_path, *words)["picks"]
    # b's second label is more than 5 % of the diameter away.
    assert (result["tp"], result["fp"], result["fn"]) == (2, 0, 1)
    (message,) = warnings(caplog)
    assert "2 of 6 labels" in message
    assert "labels.csv" in message
    assert "a (2)" in message


@pytest.mark.parametrize("strip", [[], ["--strip-prefix", "[0-9]{21}_"]])
def test_names_of_cryosparc(tmp_path, labels, boxes, caplog, strip):
    for number, path in enumerate(sorted(boxes.iterdir())):
        path.rename(boxes / f"{number:021d}_{path.stem}_patch_aligned.box")
    caplog.set_level(logging.INFO)
    words = ["--picks", boxes, "--labels", labels, "--strip", "_patch_aligned", *strip]
    assert scores(tmp_path, *words)["boxes"]["tp"] == 2
    assert len([message for message in caplog.messages if "cryoSPARC" in message]) == (0 if strip else 1)


def test_a_path_with_an_equals_sign_is_a_path(tmp_path, labels, boxes):
    renamed = boxes.rename(tmp_path / "tolerance=25")
    assert list(scores(tmp_path, "--picks", renamed, "--labels", labels)) == ["tolerance=25"]


@pytest.mark.real
def test_boxes_of_another_program_on_real_labels(tmp_path, shared):
    result = scores(
        tmp_path,
        *("--picks", shared / "data/formats/cryolo", "--flip-y", 4096, "--picked-only"),
        *("--labels", shared / "data/betagal_10017/labels", "--bootstrap", 200),
    )["cryolo"]
    assert result["f1"] == pytest.approx(0.881, abs=0.03)
    assert len(result["per_micrograph"]) == 4
