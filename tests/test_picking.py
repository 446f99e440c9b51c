"""Picking many files: what is written, what goes on when one fails, and ``cryokit pick``."""

import logging
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import imageio.v3
import mrcfile
import numpy as np
import pandas as pd
import pytest
import starfile

from cryokit import coordinates, pickers
from cryokit.cli import main
from cryokit.coordinates import concatenate, table
from cryokit.errors import PickerError
from cryokit.imaging.frame import Frame
from cryokit.micrograph import read, write_mrc
from cryokit.pickers import Picker
from cryokit.pickers.labelled import particle_map
from cryokit.pickers.many_files import check_pixel_sizes, fit_files, pick_files
from cryokit.plot import save_overlay
from cryokit.simulate import simulate_set

NAMES = ("apoferritin_001", "apoferritin_002", "apoferritin_003", "apoferritin_004")


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """A folder of four small micrographs, their labels beside them, and a picker fitted to them."""
    folder = tmp_path_factory.mktemp("session")
    for micrograph, truth in simulate_set("apoferritin", 4, shape=(448, 512), seed=3):
        write_mrc(folder / "micrographs" / f"{micrograph.name}.mrc", micrograph.data, pixel_size=1.6)
        coordinates.write(truth, folder / "labels" / f"{micrograph.name}.csv", "csv", joined=False)
    return folder


@pytest.fixture(scope="module")
def paths(session):
    return sorted((session / "micrographs").iterdir())


@pytest.fixture(scope="module")
def picker(paths):
    picker = pickers.create("template", diameter=76)
    assert fit_files(picker, paths) == {}
    return picker


@pytest.fixture
def broken(tmp_path, paths):
    """The four micrographs and, between them, one that is cut short and one that is no MRC file."""
    folder = tmp_path / "with_broken"
    folder.mkdir()
    for path in paths:
        (folder / path.name).symlink_to(path)
    (folder / "apoferritin_002b.mrc").write_bytes(paths[0].read_bytes()[:5000])
    (folder / "apoferritin_003b.mrc").write_text("no micrograph")
    return sorted(folder.iterdir())


class Recorder(Picker):
    """Picks the middle of each micrograph and remembers what it was given; interrupted at the n-th, or failing."""

    name = "recorder"
    max_micrographs = 2

    def __init__(self, interrupted_at=None, error=None):
        self.fitted, self.picked = [], []
        self.interrupted_at, self.error = interrupted_at, error

    def fit(self, micrographs, labels=None):
        self.fitted = [micrograph.name for micrograph in micrographs]
        return self

    def pick(self, micrograph, *, threshold=None):
        self.picked.append((micrograph.name, threshold))
        if len(self.picked) == self.interrupted_at:
            raise self.error
        return table(micrograph.name, x=[224.25], y=[192.5], score=[0.75], diameter=76)


class Program(Recorder):
    """One that is handed many micrographs together, as those that run another program are."""

    external = True

    def pick_many(self, micrographs, *, threshold=None):
        micrographs = list(micrographs)
        self.picked.append([micrograph.name for micrograph in micrographs])
        return concatenate(
            table(micrograph.name, [10.0], [20.0], threshold, 76)
            for micrograph in micrographs
            if micrograph.name != NAMES[1]
        )


def files_in(folder):
    """The files that a run is for; its record is tested in test_picking_run.py."""
    names = (path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file())
    return sorted(name for name in names if not name.startswith("record/"))


def contents(folder):
    return {name: (Path(folder) / name).read_bytes() for name in files_in(folder)}


# --- what is written -----------------------------------------------------------------------------------------------


def test_star_files_and_one_table(picker, paths, tmp_path):
    result = pick_files(picker, paths, tmp_path / "out")
    assert files_in(tmp_path / "out") == [
        *(f"{name}.star" for name in NAMES),
        "autopick.star",
        "micrographs.csv",
        "picks.csv",
    ]
    assert result.micrographs == NAMES
    assert result.problems == {}
    expected = concatenate(picker.pick(path) for path in paths)
    assert len(expected) > 40
    pd.testing.assert_frame_equal(result.picks, expected)

    written = pd.read_csv(tmp_path / "out" / "picks.csv")
    assert written.columns[:5].tolist() == ["micrograph", "x", "y", "score", "diameter"]
    assert written.micrograph.tolist() == expected.micrograph.tolist()
    assert written[["x", "y"]].to_numpy() == pytest.approx(expected[["x", "y"]].to_numpy(), abs=1e-3)
    assert written.score.to_numpy() == pytest.approx(expected.score.to_numpy(), abs=1e-5)

    one = starfile.read(tmp_path / "out" / f"{NAMES[1]}.star")
    of_one = expected[expected.micrograph == NAMES[1]]
    assert one["rlnCoordinateX"].to_numpy() == pytest.approx(of_one.x.to_numpy(), abs=1e-3)
    assert one["rlnCoordinateY"].to_numpy() == pytest.approx(of_one.y.to_numpy(), abs=1e-3)
    assert one["rlnAutopickFigureOfMerit"].to_numpy() == pytest.approx(of_one.score.to_numpy(), abs=1e-5)


def test_relions_list_names_micrographs_and_files(picker, paths, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pick_files(picker, paths, "out")
    listed = starfile.read("out/autopick.star")
    assert [Path(path).name for path in listed["rlnMicrographName"]] == [f"{name}.mrc" for name in NAMES]
    # RELION resolves both from the project's folder.
    assert [Path(path).resolve() for path in listed["rlnMicrographCoordinates"]] == [
        (tmp_path / "out" / f"{name}.star").resolve() for name in NAMES
    ]
    assert [Path(path).resolve() for path in listed["rlnMicrographName"]] == [path.resolve() for path in paths]
    picks, names = coordinates.read_folder("out")
    assert names == list(NAMES)
    assert len(picks) == len(pd.read_csv("out/picks.csv"))


@pytest.mark.parametrize(
    ("format", "suffix", "precision"),
    [
        ("box", ".box", 0.5),
        ("cbox", ".cbox", 0.01),
        ("topaz", ".tsv", 0.5),
        ("eman2", "_info.json", 0.5),
        ("cs", ".cs", 0.01),
    ],
)
def test_every_format_reads_back(picker, paths, tmp_path, format, suffix, precision):
    result = pick_files(picker, paths[:2], tmp_path, formats=[format])
    assert files_in(tmp_path) == sorted([*(f"{name}{suffix}" for name in NAMES[:2]), "micrographs.csv", "picks.csv"])
    picks, names = coordinates.read_folder(tmp_path, format)
    assert names == list(NAMES[:2])
    for name in names:
        got, expected = (rows[rows.micrograph == name] for rows in (picks, result.picks))
        assert len(got) == len(expected)
        offset = got[["x", "y"]].to_numpy()[:, None] - expected[["x", "y"]].to_numpy()
        nearest = np.abs(offset).max(axis=2).argmin(axis=0)
        assert sorted(nearest) == list(range(len(expected)))
        assert np.abs(offset[nearest, np.arange(len(expected))]).max() <= precision


def test_several_formats_and_an_overlay(picker, paths, tmp_path):
    pick_files(picker, paths[:1], tmp_path, formats=["cbox", "star", "csv", "star"], draw=save_overlay)
    assert files_in(tmp_path) == [
        *(f"{NAMES[0]}.cbox", f"{NAMES[0]}.star"),
        *("autopick.star", "micrographs.csv", f"overlays/{NAMES[0]}.png", "picks.csv"),
    ]
    assert read(tmp_path / "overlays" / f"{NAMES[0]}.png").data.std() > 1


def test_csv_alone(picker, paths, tmp_path):
    pick_files(picker, paths[:2], tmp_path, formats=["csv"])
    assert files_in(tmp_path) == ["micrographs.csv", "picks.csv"]


def test_micrographs_without_picks_are_there(picker, paths, tmp_path):
    result = pick_files(picker, paths, tmp_path, threshold=1.01)
    assert len(result.picks) == 0
    assert result.micrographs == NAMES
    picks, names = coordinates.read_folder(tmp_path)
    assert len(picks) == 0
    assert names == list(NAMES)
    assert pd.read_csv(tmp_path / "picks.csv").columns[:3].tolist() == ["micrograph", "x", "y"]


@pytest.mark.parametrize(("without", "warned"), [(0, False), (1, False), (2, True), (3, True)])
def test_many_micrographs_without_picks_are_worth_a_warning(picker, paths, tmp_path, caplog, without, warned):
    class Some(type(picker)):
        def pick(self, micrograph, *, threshold=None):
            picks = picker.pick(micrograph)
            return picks.iloc[:0] if micrograph.name in empty else picks

    empty = {path.stem for path in paths[:without]}
    some = Some()
    vars(some).update(vars(picker))
    pick_files(some, paths[:3], tmp_path)
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert any(all(name in text for name in empty) for text in warnings) == warned if empty else not warnings


def test_threshold_reaches_the_picker(paths, tmp_path):
    recorder = Recorder()
    pick_files(recorder, paths[:2], tmp_path / "a", threshold=0.25)
    pick_files(recorder, paths[:1], tmp_path / "b")
    assert recorder.picked == [(NAMES[0], 0.25), (NAMES[1], 0.25), (NAMES[0], None)]


def test_processes_write_the_same_files(picker, paths, tmp_path):
    alone = pick_files(picker, paths, tmp_path / "one", formats=["star", "box"])
    together = pick_files(picker, paths, tmp_path / "two", formats=["star", "box"], jobs=2)
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    # The list and the files' own comments may name the folder.
    assert {name: text.replace(b"/one/", b"/two/") for name, text in one.items()} == two
    pd.testing.assert_frame_equal(alone.picks, together.picks, check_exact=True)
    assert alone.micrographs == together.micrographs


def test_the_next_micrograph_is_read_while_one_is_picked(paths, tmp_path, monkeypatch):
    second_read = threading.Event()

    def noted(path, **options):
        if path == paths[1]:
            second_read.set()
        return read(path, **options)

    class Waiting(Recorder):
        def pick(self, micrograph, *, threshold=None):
            assert second_read.wait(10)
            return super().pick(micrograph, threshold=threshold)

    monkeypatch.setattr("cryokit.pickers.one_of_many.read", noted)
    assert pick_files(Waiting(), paths, tmp_path).micrographs == NAMES


def test_programs_get_batches_and_a_broken_micrograph_spoils_none_of_them(broken, tmp_path, monkeypatch):
    monkeypatch.setattr("cryokit.pickers.engines.BATCH", 2)
    program = Program()
    result = pick_files(program, broken, tmp_path, threshold=0.25, draw=save_overlay, jobs=2)
    # Of the batches (1, 2), (2b, 3), (3b, 4) the last two hold a file that cannot be read.
    assert program.picked == [[NAMES[0], NAMES[1]], (NAMES[2], 0.25), (NAMES[3], 0.25)]
    assert result.micrographs == NAMES
    assert [Path(path).name for path in result.problems] == ["apoferritin_002b.mrc", "apoferritin_003b.mrc"]
    assert result.picks["micrograph"].tolist() == [NAMES[0], *NAMES[2:]]
    assert {f"{name}.star" for name in NAMES} | {f"overlays/{name}.png" for name in NAMES} <= set(files_in(tmp_path))


def test_score_maps_are_written_beside_the_picks(paths, tmp_path):
    class Mapping(Recorder):
        def score_map(self, micrograph):
            particle = np.linspace(0, 1, 28 * 32, dtype=np.float32).reshape(28, 32)
            return particle_map(particle, Frame((28, 32), micrograph.data.shape, 0.0, 0.0, 16.0, 16.0))

    pick_files(Mapping(), paths[:2], tmp_path / "a", maps=True)
    assert {f"maps/{name}.mrc" for name in NAMES[:2]} <= set(files_in(tmp_path / "a"))
    written = read(tmp_path / "a" / "maps" / f"{NAMES[0]}.mrc")
    assert written.data == pytest.approx(np.linspace(0, 1, 28 * 32).reshape(28, 32), abs=1e-6)
    assert written.pixel_size == pytest.approx(16 * 1.6)
    with pytest.raises(PickerError, match=r"'recorder'.*: auto, "):
        pick_files(Recorder(), paths[:2], tmp_path / "b", maps=True)


# --- what goes wrong -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_broken_micrograph_does_not_stop_the_others(picker, broken, tmp_path, caplog, jobs):
    result = pick_files(picker, broken, tmp_path / "out", jobs=jobs)
    assert result.micrographs == NAMES
    assert [Path(path).name for path in result.problems] == ["apoferritin_002b.mrc", "apoferritin_003b.mrc"] or jobs > 1
    assert {Path(path).name for path in result.problems} == {"apoferritin_002b.mrc", "apoferritin_003b.mrc"}
    for path, problem in result.problems.items():
        assert path in problem
        assert problem in caplog.text
    assert files_in(tmp_path / "out") == [
        *(f"{name}.star" for name in NAMES),
        "autopick.star",
        "micrographs.csv",
        "picks.csv",
    ]
    assert set(pd.read_csv(tmp_path / "out" / "picks.csv").micrograph) == set(NAMES)
    assert len(starfile.read(tmp_path / "out" / "autopick.star")) == 4


@pytest.mark.parametrize("error", [PickerError("too dark"), MemoryError(), OSError("disk full")])
def test_a_failing_picker_does_not_stop_the_others(paths, tmp_path, error):
    result = pick_files(Recorder(2, error), paths, tmp_path)
    assert result.micrographs == (NAMES[0], *NAMES[2:])
    assert list(result.problems) == [str(paths[1])]
    assert str(paths[1]) in result.problems[str(paths[1])]
    assert (str(error) or type(error).__name__) in result.problems[str(paths[1])]


def test_an_interrupted_run_keeps_what_it_has_finished(paths, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        pick_files(Recorder(3, KeyboardInterrupt()), paths, tmp_path)
    assert files_in(tmp_path) == [f"{NAMES[0]}.star", f"{NAMES[1]}.star"]
    assert coordinates.read(tmp_path / f"{NAMES[1]}.star").x.tolist() == [224.25]


def test_fit_takes_another_for_one_that_cannot_be_read(broken):
    recorder = Recorder()
    # Of six it would take the first and the last; then those in between.
    files = [broken[2], *broken[:2], *broken[3:]]
    problems = fit_files(recorder, files)
    assert recorder.fitted == [NAMES[3], NAMES[0]]
    assert list(problems) == [str(broken[2])]
    assert broken[2].name in problems[str(broken[2])]


def test_with_labels_all_micrographs_are_read(paths, broken):
    learned = {}

    class Learner(Recorder):
        def fit(self, micrographs, labels=None):
            learned["labels"] = labels
            return super().fit(micrographs)

    labels = table(NAMES[1], [10], [20])
    learner = Learner()
    assert len(fit_files(learner, broken, labels)) == 2
    assert learner.fitted == list(NAMES)
    assert learned["labels"] is labels


def test_fit_without_any_readable_micrograph(broken):
    with pytest.raises(PickerError, match=r"(?s)002b.*003b"):
        fit_files(Recorder(), [broken[2], broken[4]])


# --- cryokit pick --------------------------------------------------------------------------------------------------


TEMPLATE = ("--method", "template", "--diameter", 76)


def pick(*arguments):
    return main(["pick", *map(str, arguments)])


def test_command_picks_a_folder(session, picker, paths, tmp_path):
    assert pick(session / "micrographs", "--out", tmp_path / "new" / "picks", *TEMPLATE) == 0
    pick_files(picker, paths, tmp_path / "expected")
    assert {
        name: text.replace(b"/expected/", b"/new/picks/") for name, text in contents(tmp_path / "expected").items()
    } == contents(tmp_path / "new" / "picks")


def test_its_picks_are_scored_by_evaluate(session, tmp_path, capsys):
    import json

    options = [*TEMPLATE, "--format", "star,box", "--overlays"]
    assert pick(session / "micrographs", "--out", tmp_path / "picks", *options) == 0
    assert len(list((tmp_path / "picks" / "overlays").iterdir())) == 4
    arguments = ["--picks", str(tmp_path / "picks"), "--labels", str(session / "labels")]
    assert main(["evaluate", *arguments, "--json", str(tmp_path / "scores.json")]) == 0
    (result,) = json.loads((tmp_path / "scores.json").read_text()).values()
    assert result["f1"] > 0.9
    assert len(result["per_micrograph"]) == 4


def test_command_takes_lists_and_all_its_options(session, tmp_path):
    (session / "list.txt").write_text(f"# two of them\nmicrographs/{NAMES[0]}.mrc\n\nmicrographs/{NAMES[2]}.mrc\n")
    status = pick(
        *(f"@{session / 'list.txt'}", "--out", tmp_path, *TEMPLATE),
        *("--contrast", "dark", "--threshold", 0.9, "--format", "topaz, cbox", "--jobs", 2),
    )
    assert status == 0
    chosen = (NAMES[0], NAMES[2])
    assert files_in(tmp_path) == sorted(
        [f"{name}{end}" for name in chosen for end in (".tsv", ".cbox")] + ["micrographs.csv", "picks.csv"]
    )
    assert pd.read_csv(tmp_path / "picks.csv").score.min() >= 0.9


def test_saved_model_picks_the_same(session, tmp_path):
    model = tmp_path / "apoferritin.npz"
    first = [session / "micrographs" / f"{name}.mrc" for name in NAMES[:2]]
    assert pick(*first, "--out", tmp_path / "a", *TEMPLATE, "--save-model", model) == 0
    assert pick(*first, "--out", tmp_path / "b", "--model", model) == 0
    assert (tmp_path / "a" / "picks.csv").read_bytes() == (tmp_path / "b" / "picks.csv").read_bytes()
    assert pick(session / "micrographs", "--out", tmp_path / "c", "--model", model) == 0
    every = pd.read_csv(tmp_path / "c" / "picks.csv")
    pd.testing.assert_frame_equal(
        every[every.micrograph.isin(NAMES[:2])], pd.read_csv(tmp_path / "a" / "picks.csv"), check_dtype=False
    )


def test_model_and_settings_exclude_each_other(session, picker, tmp_path, capsys):
    model = picker.save(tmp_path / "model.npz")
    assert pick(session / "micrographs", "--out", tmp_path / "a", "--model", model, "--diameter", 80) == 1
    assert "leave out --diameter" in capsys.readouterr().err
    assert files_in(tmp_path / "a") == []


def test_command_tells_of_broken_micrographs_and_ends_non_zero(broken, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    assert pick(broken[0].parent, "--out", tmp_path / "out", *TEMPLATE) == 1
    told = "\n".join(record.getMessage() for record in caplog.records[-3:])
    assert "2 of 6" in told
    assert "apoferritin_002b.mrc" in told
    assert "apoferritin_003b.mrc" in told
    assert len(pd.read_csv(tmp_path / "out" / "picks.csv").micrograph.unique()) == 4


def test_interrupted_command(session, tmp_path, monkeypatch, capsys):
    picked = []
    original = pickers.picker_class("template").pick

    def interrupted(self, micrograph, *, threshold=None):
        picked.append(micrograph)
        if len(picked) == 3:
            raise KeyboardInterrupt
        return original(self, micrograph, threshold=threshold)

    monkeypatch.setattr(pickers.picker_class("template"), "pick", interrupted)
    assert pick(session / "micrographs", "--out", tmp_path, *TEMPLATE) == 130
    assert "interrupted" in capsys.readouterr().err
    assert files_in(tmp_path) == [f"{NAMES[0]}.star", f"{NAMES[1]}.star"]


def test_two_micrographs_of_one_name(session, tmp_path, capsys):
    twin = tmp_path / "elsewhere" / f"{NAMES[0]}.mrcs"
    write_mrc(twin, np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32))
    shutil.copy(twin, twin.with_suffix(".mrc"))
    assert pick(session / "micrographs", twin.parent, "--out", tmp_path / "out") == 1
    told = capsys.readouterr().err
    assert "same micrograph name" in told
    assert str(twin) in told
    assert files_in(tmp_path / "out") == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["missing.mrc"], "missing.mrc"),
        (["{session}/micrographs", "--diameter", "2"], "not 2"),
        (["{session}/micrographs", "--threshold", "1.5"], "--threshold must be a number from 0 to 1, not 1.5"),
        (["{session}/micrographs", "--method", "template", "--diameter", "400"], "400"),
        (["{session}/micrographs", "--method", "template", "--seed", "1"], "diameter, contrast, max_micrographs"),
        (["{session}/micrographs", "--method", "template", "--save-maps"], "'template'"),
        (["{session}/micrographs", "--method", "deepem"], "'deepem' learns from labels"),
        (["{session}/micrographs", "--method", "missing.py:Blobs"], "missing.py"),
        (["{session}/micrographs", "--method", "no_such_package:Blobs"], "no_such_package"),
        (["{session}/micrographs", "--model", "missing.npz"], "missing.npz"),
        (["@missing.txt"], "missing.txt"),
    ],
)
def test_mistakes_end_with_one_line(session, tmp_path, capsys, arguments, told):
    assert pick(*(word.format(session=session) for word in arguments), "--out", tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error
    assert files_in(tmp_path / "out") == []


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--format", "starr"], ["--format", ","], ["--jobs", "0"], ["--jobs", "two"], ["--method", "magic"]),
        *(["--diameter", "big"], ["--set", "width"], ["--contrast", "grey"], []),
    ],
)
def test_wrong_usage(session, tmp_path, capsys, arguments):
    out = ["--out", tmp_path] if arguments else []
    with pytest.raises(SystemExit) as end:
        pick(session / "micrographs", *out, *arguments)
    assert end.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_out_that_is_a_file(session, tmp_path, capsys):
    (tmp_path / "out").write_text("")
    assert pick(session / "micrographs", "--out", tmp_path / "out", *TEMPLATE) == 1
    assert str(tmp_path / "out") in capsys.readouterr().err


def test_movies_are_summed_only_when_asked_for(session, tmp_path, capsys):
    frames = [read(session / "micrographs" / f"{NAMES[0]}.mrc").data / 3] * 3
    with mrcfile.new(tmp_path / "movie.mrcs") as file:
        file.set_data(np.stack(frames))
        file.set_image_stack()
    assert pick(tmp_path / "movie.mrcs", "--out", tmp_path / "a", *TEMPLATE) == 1
    assert "frames" in capsys.readouterr().err
    assert pick(tmp_path / "movie.mrcs", "--out", tmp_path / "b", *TEMPLATE, "--sum-frames") == 0
    assert len(pd.read_csv(tmp_path / "b" / "picks.csv")) > 10


def test_older_results_in_the_folder(picker, paths, tmp_path, caplog):
    pick_files(picker, paths[:2], tmp_path)
    pick_files(picker, paths[1:3], tmp_path, formats=["box"], threshold=0.9)
    assert f"{NAMES[0]}.star" in caplog.text  # is of neither of these
    assert set(pd.read_csv(tmp_path / "picks.csv").micrograph) == set(NAMES[1:3])
    # A list without its files would lead RELION astray.
    assert not (tmp_path / "autopick.star").exists()


def test_help_is_light():
    program = (
        "import sys\n"
        "from cryokit.cli import main\n"
        "try:\n"
        "    main(['pick', '--help'])\n"
        "except SystemExit as end:\n"
        "    assert end.code == 0\n"
        "heavy = {name.split('.')[0] for name in sys.modules}\n"
        "heavy &= {'scipy', 'skimage', 'sklearn', 'tensorflow', 'keras', 'matplotlib', 'mrcfile'}\n"
        "sys.stderr.write(','.join(sorted(heavy)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("command", ["pick", "train"])
def test_micrographs_of_different_pixel_sizes_are_refused(paths, tmp_path, capsys, command):
    folder = tmp_path / "mixed"
    folder.mkdir()
    for path, size in zip(paths, (1.6, 0.8, 1.6, None), strict=True):
        write_mrc(folder / path.name, read(path).data, pixel_size=size)
    out = tmp_path / "out"
    assert main([command, str(folder), "--out", str(out), "--method", "template", "--diameter", "76"]) == 1
    assert not out.exists()
    said = capsys.readouterr().err
    assert paths[1].name in said
    assert paths[0].name in said or paths[2].name in said


def test_pixel_sizes_that_are_alike_or_unknown_are_one(paths, tmp_path):
    for path, size in zip(paths, (1.6, 1.61, None, 1.6), strict=True):
        write_mrc(tmp_path / path.name, read(path).data, pixel_size=size)
    check_pixel_sizes(sorted(tmp_path.iterdir()))


def test_masks_are_written_and_picks_on_them_dropped(picker, paths, tmp_path):
    dirty = tmp_path / "in" / "dirty.mrc"
    dirty.parent.mkdir()
    data = read(paths[0]).data.copy()
    data[:, 300:] = data.mean() - 6 * data.std() + 0.1 * data[:, 300:]
    write_mrc(dirty, data, pixel_size=1.6)
    result = pick_files(picker, [dirty], tmp_path / "out", masks=True)
    mask = read(tmp_path / "out" / "masks" / "dirty.mrc")
    assert mask.data.shape == data.shape
    assert mask.pixel_size == pytest.approx(1.6)
    assert set(np.unique(mask.data)) == {0, 1}
    assert mask.data[:, 320:].mean() > 0.9
    assert mask.data[:, :280].mean() < 0.1
    on_mask = mask.data[result.picks["y"].round().astype(int), result.picks["x"].round().astype(int)]
    assert len(result.picks)
    assert not on_mask.any()


# --- names and odd files -------------------------------------------------------------------------------------------


def test_micrographs_of_one_file_name_are_picked_into_folders(picker, paths, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder, path in zip("AB", paths, strict=False):
        Path(folder).mkdir()
        shutil.copy(path, f"{folder}/001.mrc")
    result = pick_files(picker, [Path("A/001.mrc"), Path("B/001.mrc")], "out", formats=("star", "box"), masks=True)
    assert result.micrographs == ("A/001", "B/001")
    expected = {f"{folder}/001{ending}" for folder in "AB" for ending in (".star", ".box")}
    expected |= {"masks/A/001.mrc", "masks/B/001.mrc", "picks.csv", "micrographs.csv", "autopick.star"}
    assert set(files_in("out")) == expected
    for format in (None, "box"):
        got, names = coordinates.read_folder("out", format)
        assert names == ["A/001", "B/001"]
        assert got.groupby("micrograph").size().to_dict() == result.picks.groupby("micrograph").size().to_dict()


def test_paths_that_a_list_cannot_hold_are_read_all_the_same(picker, paths, tmp_path):
    (tmp_path / "my data").mkdir()
    shutil.copy(paths[0], tmp_path / "my data" / "a.mrc")
    shutil.copy(paths[1], tmp_path / "b.mrc")
    result = pick_files(picker, [tmp_path / "my data" / "a.mrc", tmp_path / "b.mrc"], tmp_path / "out")
    coordinates.write(table("old", [1], [2]), tmp_path / "out" / "old.star")
    for format in (None, "star"):
        got, names = coordinates.read_folder(tmp_path / "out", format)
        assert names == ["a", "b"]
        assert len(got) == len(result.picks)


def test_a_name_that_is_no_text_fails_alone(picker, paths, tmp_path):
    odd = tmp_path / os.fsdecode(b"n_\xff.mrc")
    shutil.copy(paths[0], odd)
    result = pick_files(picker, [*paths[:2], odd], tmp_path / "out")
    assert result.micrographs == NAMES[:2]
    assert list(result.problems) == [str(odd)]
    assert (tmp_path / "out" / "picks.csv").is_file()


@pytest.mark.parametrize(("folder", "suffix", "option"), [("overlays", ".png", "draw"), ("masks", ".mrc", "masks")])
def test_no_picture_is_written_over_a_micrograph(picker, paths, tmp_path, folder, suffix, option):
    path = tmp_path / folder / f"a{suffix}"
    if suffix == ".png":
        path.parent.mkdir()
        imageio.v3.imwrite(path, np.arange(200 * 200).reshape(200, 200).astype(np.uint8))
    else:
        write_mrc(path, read(paths[0]).data)
    before = path.read_bytes()
    with pytest.raises(PickerError, match=path.name):
        pick_files(picker, [path], tmp_path, **{option: (lambda *_: None) if option == "draw" else True})
    assert path.read_bytes() == before


def test_pictures_do_not_leave_the_folder(picker, paths, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "masks").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PickerError, match="masks"):
        pick_files(picker, paths[:1], tmp_path / "out", masks=True)
    assert files_in(tmp_path / "elsewhere") == []


def degenerate():
    noise = np.random.default_rng(0).normal(size=(512, 448)).astype(np.float32)
    return {
        "tiny": noise[:16, :16],
        "two": noise[:2, :2],
        "row": noise[:1],
        "column": noise[:, :1],
        "constant": np.full((512, 448), 3, np.float32),
        "overflowing": noise * 1e36,
        "vanishing": noise * 1e-30,
    }


def test_degenerate_micrographs_fail_alone(paths, tmp_path):
    (tmp_path / "in").mkdir()
    for name, data in degenerate().items():
        write_mrc(tmp_path / "in" / f"{name}.mrc", data)
    bad = sorted((tmp_path / "in").iterdir())
    template = pickers.create("template", diameter=76)
    left_out = fit_files(template, [*bad, *paths])
    assert set(left_out) <= set(map(str, bad))
    assert template.diameter_ == 76
    result = pick_files(template, [*bad, *paths], tmp_path / "out")
    assert result.micrographs == NAMES
    assert set(result.problems) == set(map(str, bad))
    assert all(path in problem for path, problem in result.problems.items())
