"""Adapters of other programs: what they are called with, in whose frame their picks lie, what they say when it fails.

Fakes stand for the programs: they check the arguments as the real ones do and write files in the real ones' formats,
with picks where the micrographs that they were given have their bright or dark spots. Topaz itself is run where it is
installed: give its path in the environment variable CRYOKIT_TOPAZ.
"""

import json
import os
import signal
import stat
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import running

from cryokit.coordinates import COLUMNS, IGNORE, concatenate, table
from cryokit.errors import ArgumentError, MicrographError, PickerError
from cryokit.evaluate import evaluate
from cryokit.micrograph import Micrograph, write_mrc
from cryokit.pickers.external import program as base
from cryokit.pickers.external.apple_picker import ApplePicker
from cryokit.pickers.external.cryolo_picker import CryoloPicker
from cryokit.pickers.external.topaz_picker import TopazPicker
from cryokit.simulate import simulate_set

# What every fake begins with: it logs its calls beside itself, and finds dark spots at single pixels.
PREAMBLE = """\
import json, os, sys
from pathlib import Path
import mrcfile, numpy as np

words = sys.argv[1:]
with open(Path(__file__).with_suffix(".log"), "a") as log:
    log.write(json.dumps({"words": words, "pythonpath": os.environ.get("PYTHONPATH"), "cwd": os.getcwd()}) + "\\n")

def option(name, default=None):
    return words[words.index(name) + 1] if name in words else default

def load(path):
    with mrcfile.open(path) as file:
        return np.array(file.data)

def spots(data):
    '''x, y and darkness, darkest first.'''
    rows, columns = np.nonzero(data < -5)
    depth = -data[rows, columns]
    order = np.argsort(-depth)
    return [(int(columns[k]), int(rows[k]), float(depth[k])) for k in order]
"""

TOPAZ = """
command = words[0]
if command == "preprocess":
    scale, out = int(option("-s")), Path(option("-o"))
    out.mkdir(exist_ok=True)
    files = words[words.index("-o") + 2 :]
    for path in files:
        data = load(path)
        rows, columns = data.shape[0] // scale, data.shape[1] // scale
        small = np.zeros((rows, columns), np.float32)
        for x, y, depth in spots(data):
            row, column = round(y * rows / data.shape[0]), round(x * columns / data.shape[1])
            small[min(row, rows - 1), min(column, columns - 1)] = -depth
        with mrcfile.new(out / Path(path).name, overwrite=True) as file:
            file.set_data(small)
elif command == "extract":
    files = words[words.index("-o") + 2 :]
    model = option("-m")
    shift = 0.0
    if model.endswith(".sav"):
        shift = json.loads(Path(model).read_text())["shift"]
    else:
        assert model in ("resnet8", "resnet16"), model
    with open(option("-o"), "w") as out:
        out.write("image_name\\tx_coord\\ty_coord\\tscore\\n")
        for path in files:
            for x, y, depth in spots(load(path)):
                # Darkness 10 stands for the log-likelihood ratio 0.
                if depth - 10 + shift >= float(option("-t")):
                    out.write(f"{Path(path).stem}\\t{x}\\t{y}\\t{depth - 10 + shift}\\n")
elif command == "train":
    images = [line.split("\\t") for line in Path(option("--train-images")).read_text().splitlines()]
    targets = [line.split("\\t") for line in Path(option("--train-targets")).read_text().splitlines()]
    assert images[0] == ["image_name", "path"] and targets[0] == ["image_name", "x_coord", "y_coord"]
    assert all(Path(path).stem == name and Path(path).is_file() for name, path in images[1:])
    off = []
    for name, x, y in targets[1:]:
        data = load(dict(images[1:])[name])
        assert 0 <= int(x) < data.shape[1] and 0 <= int(y) < data.shape[0]
        off.append(data[int(y), int(x)] < -5)
    told = {"shift": 2.5, "hits": float(np.mean(off)), "targets": len(off)}
    told |= {"n": option("-n"), "images": len(images) - 1}
    for epoch in range(1, int(option("--num-epochs")) + 1):
        Path(f"{option('--save-prefix')}_epoch{epoch}.sav").write_text(json.dumps({**told, "epoch": epoch}))
else:
    sys.exit(2)
"""

CRYOLO = """
config = json.loads(Path(option("-c")).read_text())
assert config["model"]["architecture"] == "PhosaurusNet" and Path(option("-w")).read_text() == "a network"
assert float(option("-t")) == 0.3
side = config["model"]["anchors"][0]
out = Path(option("-o")) / "CBOX"
out.mkdir(parents=True)
for path in sorted(Path(option("-i")).glob("*.mrc")):
    found = spots(load(path))
    if not found:
        continue
    lines = ["data_global", "", "_cbox_format_version 1.0", "", "data_cryolo", "", "loop_"]
    names = "CoordinateX CoordinateY CoordinateZ Width Height Depth EstWidth EstHeight Confidence NumBoxes Angle"
    lines += [f"_{name} #{k}" for k, name in enumerate(names.split(), 1)]
    for x, y, depth in found:
        lines.append(f"{x - side / 2} {y - side / 2} <NA> {side} {side} 1 {side} {side} {min(depth / 20, 1)} <NA> <NA>")
    (out / (path.stem + ".cbox")).write_text("\\n".join(lines) + "\\n\\n")
"""

APPLE = """
assert words[0] == "apple"
size, path = int(option("--particle_size")), Path(option("--mrc_path"))
data = load(path)
assert data.shape[0] == data.shape[1], "Only square ndarrays are supported."
left, right, top, bottom = (int(option(f"--mrc_margin_{edge}")) for edge in ("left", "right", "top", "bottom"))
inner = data[top:-bottom, left:-right]
assert inner.size and size <= int(option("--container_size")) <= min(inner.shape)
assert 0 < int(option("--tau1")) < int(option("--tau2")) < 4 * inner.size / (size * 2 // 3 // 4 * 4) ** 2
out = Path(option("--output_dir"))
out.mkdir(exist_ok=True)
found = spots(inner)
if found:
    lines = ["data_root", "", "loop_", "_rlnCoordinateX #1", "_rlnCoordinateY #2"]
    lines += [f"{x + left} {y + top}" for x, y, _ in found]
    (out / f"{path.stem}_applepick.star").write_text("\\n".join(lines) + "\\n")
"""

NETWORK = "a network"


def program(folder: Path, name: str, body: str) -> str:
    """Write a fake program and return its path."""
    path = folder / name
    script = folder / f"{name}_script.py"
    script.write_text(PREAMBLE + textwrap.dedent(body))
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def calls(command: str) -> list[dict]:
    log = Path(f"{command}_script.log")
    return [json.loads(line) for line in log.read_text().splitlines()] if log.is_file() else []


@pytest.fixture
def topaz(tmp_path):
    return program(tmp_path, "topaz", TOPAZ)


@pytest.fixture
def cryolo(tmp_path):
    (tmp_path / "network.h5").write_text(NETWORK)
    return program(tmp_path, "cryolo_predict.py", CRYOLO)


@pytest.fixture
def aspire(tmp_path):
    return program(tmp_path, "aspire", APPLE)


def micrograph(name, spots, shape=(403, 301)):
    """Empty but for dark single pixels: x, y, darkness."""
    data = np.zeros(shape, np.float32)
    data[1, 1] = 1  # a micrograph of a single value would be refused
    for x, y, depth in spots:
        data[y, x] = -depth
    return Micrograph(data, 1.5, name, None)


# Names with dots and blanks, which the programs cut.
SPOTS = {
    "May08_03.05.02": [(40, 200, 14.0), (280, 20, 12.0), (297, 399, 6.0)],
    "a b": [(0, 0, 11.0)],
    "none": [],
}


@pytest.fixture
def micrographs():
    return [micrograph(name, spots) for name, spots in SPOTS.items()]


def pickers(topaz, cryolo, aspire, tmp_path):
    return [
        TopazPicker(diameter=66, command=topaz),
        CryoloPicker(diameter=66, command=cryolo, weights=tmp_path / "network.h5"),
        ApplePicker(diameter=66, command=aspire),
    ]


@pytest.mark.skipif(os.name != "posix", reason="the fakes are shell scripts")
class TestFakes:
    def test_picks_lie_where_the_spots_are_whatever_the_frame_of_the_program(
        self, topaz, cryolo, aspire, micrographs, tmp_path
    ):
        for picker in pickers(topaz, cryolo, aspire, tmp_path):
            picks = picker.fit(micrographs).pick_many(micrographs, threshold=0)
            assert tuple(picks.columns) == COLUMNS
            assert (picks["diameter"] == 66).all()
            wanted = [(name, x, y) for name, spots in SPOTS.items() for x, y, _ in spots]
            if picker.name == "apple":  # it cuts off the border
                wanted = [each for each in wanted if each[1:] != (0, 0)]
            assert len(picks) == len(wanted)
            step = getattr(picker, "scale_", 1)
            for name, x, y in wanted:
                here = picks[picks["micrograph"] == name]
                assert np.hypot(here["x"] - x, here["y"] - y).min() <= (0.75 * step if step > 1 else 0.01)

    def test_scores_are_probabilities_best_first_and_cut_at_the_threshold(
        self, topaz, cryolo, aspire, micrographs, tmp_path
    ):
        by_topaz, by_cryolo, by_apple = (picker.fit(micrographs) for picker in pickers(topaz, cryolo, aspire, tmp_path))
        first = micrographs[0]
        logistic = [1 / (1 + np.exp(-odds)) for odds in (4.0, 2.0, -4.0)]
        assert by_topaz.pick(first, threshold=0)["score"].tolist() == pytest.approx(logistic)
        assert by_topaz.pick(first)["score"].tolist() == pytest.approx(logistic[:2])
        assert by_cryolo.pick(first)["score"].tolist() == pytest.approx([0.7, 0.6, 0.3])
        assert by_cryolo.pick(first, threshold=0.65)["score"].tolist() == pytest.approx([0.7])
        assert by_apple.pick(first, threshold=0.9)["score"].isna().all()

    def test_many_micrographs_share_a_start_of_the_program(self, topaz, micrographs, monkeypatch):
        monkeypatch.setattr(base, "BATCH", 2)
        picker = TopazPicker(diameter=66, command=topaz).fit(micrographs)
        together = picker.pick_many(micrographs, threshold=0)
        assert [call["words"][0] for call in calls(topaz)] == ["preprocess", "extract"] * 2
        single = concatenate(picker.pick(each, threshold=0) for each in micrographs)
        pd.testing.assert_frame_equal(together, single)
        assert together["micrograph"].drop_duplicates().tolist() == ["May08_03.05.02", "a b"]
        assert picker.pick(micrographs[2]).empty

    def test_program_runs_apart_from_this_ones_packages_and_leaves_nothing(self, topaz, micrographs, monkeypatch):
        monkeypatch.setenv("PYTHONPATH", "/somewhere")
        TopazPicker(diameter=66, command=topaz).fit(micrographs).pick(micrographs[0])
        for call in calls(topaz):
            assert call["pythonpath"] is None
            assert not Path(call["cwd"]).exists()

    def test_bright_particles_are_turned(self, cryolo, micrographs, tmp_path):
        bright = [Micrograph(-each.data, each.pixel_size, each.name, None) for each in micrographs]
        picker = CryoloPicker(diameter=66, contrast="bright", command=cryolo, weights=tmp_path / "network.h5")
        assert len(picker.fit(bright).pick_many(bright, threshold=0)) == 4

    def test_micrographs_of_any_format_are_given_as_mrc(self, topaz, tmp_path):
        data = np.zeros((300, 200), np.float32)
        data[33, 66] = -20
        write_mrc(tmp_path / "x.y.mrc.gz", data)
        picks = TopazPicker(diameter=66, command=topaz).fit([]).pick(tmp_path / "x.y.mrc.gz")
        assert picks[["micrograph", "x", "y"]].to_numpy().tolist() == [
            ["x.y", pytest.approx(66, 2), pytest.approx(33, 2)]
        ]

    def test_topaz_is_called_with_the_particles_radius_at_its_scale(self, topaz, micrographs):
        picker = TopazPicker(diameter=90, command=topaz, model="resnet16").fit(micrographs)
        assert picker.scale_ == 4
        picker.pick(micrographs[0])
        reduce, extract = (call["words"] for call in calls(topaz))
        assert reduce[:3] == ["preprocess", "-s", "4"]
        assert extract[extract.index("-r") + 1] == "11"
        assert extract[extract.index("-m") + 1] == "resnet16"
        assert TopazPicker(diameter=90, command=topaz, scale=2).fit(micrographs).scale_ == 2
        assert TopazPicker(diameter=8, command=topaz).fit(micrographs).scale_ == 1

    @pytest.mark.parametrize("scale", [1, 3, 7])
    def test_topaz_is_trained_where_the_labels_are(self, topaz, scale):
        rng = np.random.default_rng(scale)
        spots = {
            f"m.{k}": [
                (8 * int(x) + 2, 8 * int(y) + 2, 20.0)
                for x, y in zip(rng.permutation(37)[:6], rng.permutation(50)[:6], strict=True)
            ]
            for k in range(5)
        }
        micrographs = [micrograph(name, found) for name, found in spots.items()]
        labels = concatenate(
            table(name, [x for x, _, _ in found], [y for _, y, _ in found], diameter=50)
            for name, found in spots.items()
        )
        ignored = table("m.0", [150], [150], diameter=50, view=IGNORE)
        picker = TopazPicker(command=topaz, scale=scale, model="resnet8_u32", epochs=12, minibatches=7, seed=3)
        picker.fit(micrographs, pd.concat([labels, ignored]))
        assert picker.diameter_ == 50
        told = json.loads(picker.network_.tobytes())
        # All but one: that chooses the threshold.
        assert (told["images"], told["targets"], told["hits"]) == (4, 24, 1.0)
        assert float(told["n"]) == 6
        assert told["epoch"] == 12
        train = next(call["words"] for call in calls(topaz) if call["words"][0] == "train")
        assert train[train.index("-m") + 1] == "resnet8"
        assert train[train.index("--units") + 1] == "32"
        assert train[train.index("--epoch-size") + 1] == "7"
        picks = picker.pick(micrographs[0], threshold=0)
        assert picks["score"].max() == pytest.approx(1 / (1 + np.exp(-12.5)))  # of the trained network
        assert len(picks) == 6

    def test_topaz_threshold_comes_from_micrographs_held_out(self, topaz):
        # Spots of darkness 14 and more are particles, fainter ones dirt.
        spots = [(30 * k + 10, 60 * k + 20, depth) for k, depth in enumerate((20.0, 16.0, 14.0, 12.0, 11.0, 10.0))]
        micrographs = [micrograph(f"m{k}", spots) for k in range(3)]
        labels = concatenate(
            table(each.name, [x for x, _, _ in spots[:3]], [y for _, y, _ in spots[:3]], diameter=22)
            for each in micrographs
        )
        picker = TopazPicker(command=topaz).fit(micrographs, labels)
        low, high = (1 / (1 + np.exp(-(depth - 7.5))) for depth in (12, 14))
        assert low < picker.threshold_ < high
        assert len(picker.pick(micrographs[0])) == 3
        assert TopazPicker(command=topaz, validation=0).fit(micrographs, labels).threshold_ == 0.5
        expected = TopazPicker(command=topaz, expected=9).fit(micrographs, labels)
        assert float(json.loads(expected.network_.tobytes())["n"]) == 9

    def test_pretrained_topaz_takes_the_diameter_of_the_labels_only(self, topaz, micrographs):
        labels = table("a b", [0], [0], diameter=44)
        picker = TopazPicker(command=topaz, pretrained=True).fit(micrographs, labels)
        assert (picker.diameter_, picker.scale_, picker.network_) == (44, 2, None)
        assert not calls(topaz)

    def test_saved_and_loaded_it_picks_the_same(self, topaz, cryolo, aspire, micrographs, tmp_path, monkeypatch):
        labels = table("May08_03.05.02", [40, 280], [200, 20], diameter=66)
        trained = TopazPicker(command=topaz).fit(micrographs, labels)
        monkeypatch.setenv("CRYOKIT_TOPAZ", topaz)
        monkeypatch.setenv("CRYOKIT_CRYOLO", cryolo)
        monkeypatch.setenv("CRYOKIT_ASPIRE", aspire)
        for picker in (trained, *(each.fit(micrographs) for each in pickers(topaz, cryolo, aspire, tmp_path))):
            path = picker.save(tmp_path / picker.name)
            assert path.suffix == ".npz"
            again = type(picker).load(path)
            assert again.command is None
            assert again.threshold_ == picker.threshold_
            pd.testing.assert_frame_equal(
                again.pick_many(micrographs, threshold=0), picker.pick_many(micrographs, threshold=0)
            )

    def test_apple_covers_long_micrographs_and_finds_each_particle_once(self, aspire):
        for shape in ((300, 800), (800, 300), (300, 330), (310, 300), (300, 600)):
            rng = np.random.default_rng(sum(shape))
            x, y = (
                rng.choice(np.arange(20, shape[1] - 20), 12, False),
                rng.choice(np.arange(20, shape[0] - 20), 12, False),
            )
            one = micrograph("m", [(int(a), int(b), 20.0) for a, b in zip(x, y, strict=True)], shape)
            picks = ApplePicker(diameter=60, command=aspire).fit([one]).pick(one)
            assert sorted(zip(picks["x"], picks["y"], strict=True)) == sorted(zip(x, y, strict=True))

    def test_a_failing_program_says_what_it_said(self, tmp_path, micrographs):
        command = program(tmp_path, "topaz", "sys.exit('CUDA went on holiday')")
        picker = TopazPicker(diameter=66, command=command).fit(micrographs)
        with pytest.raises(PickerError, match=r"(?s)status 1.*CUDA went on holiday"):
            picker.pick(micrographs[0])

    @pytest.mark.parametrize(("kind", "words"), [(TopazPicker, "wrote no picks"), (CryoloPicker, "wrote no CBOX")])
    def test_a_program_that_writes_nothing_is_told(self, kind, words, tmp_path, micrographs):
        (tmp_path / "network.h5").write_text(NETWORK)
        settings = {"weights": tmp_path / "network.h5"} if kind is CryoloPicker else {}
        picker = kind(diameter=66, command=program(tmp_path, "quiet", ""), **settings).fit(micrographs)
        with pytest.raises(PickerError, match=words):
            picker.pick(micrographs[0])

    def test_where_the_program_is_looked_for(self, topaz, micrographs, tmp_path, monkeypatch):
        monkeypatch.delenv("CRYOKIT_TOPAZ", raising=False)
        monkeypatch.setenv("PATH", str(tmp_path))
        assert TopazPicker(diameter=66).command_line() == [topaz]
        monkeypatch.setenv("PATH", "/nowhere")
        assert TopazPicker(diameter=66, command=f"{topaz} -v").command_line() == [topaz, "-v"]
        monkeypatch.setenv("CRYOKIT_TOPAZ", topaz)
        assert TopazPicker(diameter=66).command_line() == [topaz]
        with pytest.raises(PickerError, match="/gone/topaz"):
            TopazPicker(diameter=66, command="/gone/topaz").command_line()
        spaced = tmp_path / "a folder"
        spaced.mkdir()
        assert TopazPicker(diameter=66, command=program(spaced, "topaz", TOPAZ)).command_line() == [
            str(spaced / "topaz")
        ]

    def test_a_program_that_cannot_be_run_is_named(self, tmp_path, micrographs):
        (tmp_path / "topaz").write_bytes(b"\x7fELF no program")
        (tmp_path / "topaz").chmod(0o755)
        picker = TopazPicker(diameter=66, command=str(tmp_path / "topaz")).fit(micrographs)
        with pytest.raises(PickerError, match="topaz: cannot be run"):
            picker.pick(micrographs[0])

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
    def test_a_program_ends_with_the_one_that_started_it(self, tmp_path, monkeypatch, number):
        body = """
        import subprocess, time
        started = subprocess.Popen(["sleep", "1000"])
        Path("started.txt").write_text(f"{os.getpid()} {started.pid}")
        Path("started.txt").rename("processes.txt")
        time.sleep(1000)
        """
        copies = tmp_path / "copies"
        copies.mkdir()
        monkeypatch.setenv("TMPDIR", str(copies))
        monkeypatch.setenv("CRYOKIT_TOPAZ", program(tmp_path, "topaz", body))
        write_mrc(tmp_path / "session" / "m.mrc", micrograph("m", [(20, 30, 9.0)]).data)
        picking = running.start(
            "pick", tmp_path / "session", "--out", tmp_path / "out", "--method", "topaz", "--diameter", 66
        )
        running.until(lambda: list(copies.glob("*/processes.txt")))
        processes = [int(word) for word in next(copies.glob("*/processes.txt")).read_text().split()]
        assert not any(running.gone(process) for process in processes)
        picking.send_signal(number)
        picking.communicate(timeout=running.PATIENCE)
        running.until(lambda: all(running.gone(process) for process in processes))
        running.until(lambda: not list(copies.iterdir()))

    def test_pixels_that_are_no_numbers_are_refused(self, topaz, micrographs):
        micrographs[0].data[3, 3] = np.nan
        with pytest.raises(MicrographError, match=r"May08_03.05.02: has pixels that are NaN"):
            TopazPicker(diameter=66, command=topaz).fit(micrographs).pick(micrographs[0])


@pytest.mark.parametrize("kind", [TopazPicker, ApplePicker])
def test_absent_program_is_one_error_with_the_way_out(kind, monkeypatch):
    monkeypatch.delenv(kind.variable, raising=False)
    monkeypatch.setenv("PATH", "")
    picker = kind(diameter=66).fit([])
    with pytest.raises(PickerError, match=f"(?s)pip install.*{kind.variable}.*--picks"):
        picker.pick(micrograph("m", []))


@pytest.mark.parametrize(
    ("cls", "settings", "name"),
    [
        (TopazPicker, {"model": "resnet50"}, "model"),
        (TopazPicker, {"scale": 0}, "scale"),
        (TopazPicker, {"expected": 0}, "expected"),
        (TopazPicker, {"epochs": 0}, "epochs"),
        (TopazPicker, {"validation": 0.9}, "validation"),
        (TopazPicker, {"diameter": 1}, "diameter"),
        (CryoloPicker, {"diameter": 66}, "weights"),
    ],
)
def test_settings_that_make_no_sense_are_named(cls, settings, name):
    with pytest.raises(ArgumentError, match=name):
        cls(**settings)


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (lambda: CryoloPicker(66, None, sys.executable, "/gone.h5").fit([]).pick(micrograph("m", [])), r"/gone\.h5"),
        (lambda: TopazPicker().fit([]), "diameter"),
        (lambda: ApplePicker().fit([micrograph("m", [])], table("m", [1], [1])), "diameter"),
        (lambda: TopazPicker(diameter=66).pick(micrograph("m", [])), "'topaz' has not been fitted"),
        (lambda: TopazPicker(diameter=66).fit([micrograph("m", [])], table("other", [1], [1])), "m"),
    ],
)
def test_what_cannot_be_used_is_named(use, words):
    with pytest.raises(PickerError, match=words):
        use()


# --- Topaz itself --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def installed():
    try:
        TopazPicker(diameter=76).command_line()
    except PickerError:
        pytest.skip("Topaz is not installed here, or CRYOKIT_TOPAZ does not say where")


@pytest.fixture(scope="module")
def scenes():
    return list(simulate_set("apoferritin", 2, seed=7, shape=(420, 470), carbon=False, contamination=0))


@pytest.mark.usefixtures("installed")
def test_pretrained_topaz_finds_simulated_apoferritin(scenes):
    micrographs = [each for each, _ in scenes]
    picker = TopazPicker(diameter=76, model="resnet8_u32").fit(micrographs)
    assert picker.scale_ == 3
    result = evaluate(
        picker.pick_many(micrographs, threshold=0),
        concatenate(truth for _, truth in scenes),
        micrographs=[each.name for each in micrographs],
        bootstrap=0,
    )
    # In a wrong frame, scale or order of rows it would be nearly none.
    assert result.best_f1 > 0.75
    assert result.average_precision > 0.75


@pytest.mark.usefixtures("installed")
def test_topaz_trains_saves_and_picks_again(scenes, tmp_path):
    micrographs = [each for each, _ in scenes]
    picker = TopazPicker(model="resnet8_u32", epochs=1, minibatches=3, minibatch_size=16)
    picker.fit(micrographs[:1], scenes[0][1])
    assert len(picker.network_) > 100_000
    again = TopazPicker.load(picker.save(tmp_path / "trained"))
    picks = picker.pick(micrographs[1], threshold=0)
    # Topaz normalises by a random tenth of the pixels: its scores differ a little from run to run.
    sure = picks[picks["score"] > 0.5]
    repeated = evaluate(again.pick(micrographs[1], threshold=0), sure, bootstrap=0)
    assert len(sure) > 5
    assert repeated.recall_ceiling > 0.9
    assert evaluate(picks, scenes[1][1], bootstrap=0).best_f1 > 0.6


@pytest.mark.real
@pytest.mark.usefixtures("installed")
def test_pretrained_topaz_finds_real_apoferritin(real_data):
    from cryokit.coordinates import read
    from cryokit.micrograph import find

    folder = real_data("apoferritin_10146")
    path = sorted(find([folder / "micrographs"]))[0]
    labels = read(folder / "labels" / f"{path.stem}.csv")
    picks = TopazPicker(model="resnet8_u32", pretrained=True).fit([path], labels).pick(path, threshold=0)
    result = evaluate(picks, labels, bootstrap=0)
    assert result.best_f1 > 0.7
