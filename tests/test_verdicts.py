"""Verdicts on micrographs."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from html_pages import remote_parts

from cryokit import datasets
from cryokit.cli import main
from cryokit.coordinates import table
from cryokit.micrograph import Micrograph, read, write_mrc
from cryokit.pickers import verdicts
from cryokit.pickers.auto import AutoPicker
from cryokit.pickers.interface import Assessment
from cryokit.pickers.verdicts import compared, judged, measured
from cryokit.simulate import simulate_set

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def plain():
    """Return the measures of an ordinary micrograph."""
    rng = np.random.default_rng(0)
    return measured(Micrograph((100 + rng.normal(size=(300, 300))).astype(np.float32), name="plain"), 30)


def picks(number, evidence=0.8, empty=False):
    return Assessment(table("plain", np.arange(number), np.arange(number), diameter=30), evidence, empty)


def test_measures_of_pixels(plain):
    assert plain.micrograph == "plain"
    assert plain.masked == 0
    assert plain.level == pytest.approx(100, abs=0.1)
    assert abs(plain.contrast) < 0.1
    assert math.isnan(plain.rings)
    assert math.isnan(plain.resolution)


def test_verdicts(plain):
    good, faint = judged(plain, picks(50)), judged(plain, picks(50, 0.5 * verdicts.CLEAR))
    assert (good.verdict, good.reason, good.picks, good.evidence) == ("good", "", 50, 0.8)
    assert faint.verdict == "poor"
    assert judged(plain, picks(0)).verdict == judged(plain, picks(3, empty=True)).verdict == "empty"
    hidden = dataclasses.replace(plain, masked=0.7)
    assert judged(hidden, picks(50)).verdict == "poor"
    assert "70%" in judged(hidden, picks(50)).title
    # A method that does not tell how sure it is gets the benefit of the doubt.
    assert judged(plain, Assessment(picks(50).picks)).verdict == "good"


@pytest.mark.parametrize("data", [np.zeros((200, 200)), np.full((200, 200), np.nan)])
def test_a_micrograph_that_cannot_be_measured_is_poor_and_says_why(data):
    quality = judged(measured(Micrograph(data.astype(np.float32), name="broken")), picks(0))
    assert quality.verdict == "poor"
    assert quality.reason


def test_neighbours_tell_the_thickness_of_the_ice_and_missing_particles(plain):
    many = [
        dataclasses.replace(judged(plain, picks(50)), micrograph=str(n), level=100 * math.exp(-0.1 * n))
        for n in range(5)
    ]
    few = dataclasses.replace(judged(plain, picks(4)), micrograph="few", level=100.0)
    result = compared([*many, few]).set_index("micrograph")
    assert result.loc[["0", "1", "4"], "verdict"].tolist() == ["good"] * 3
    assert result.loc["few", "verdict"] == "poor"
    assert result.loc["few", "relative_picks"] == pytest.approx(4 / 50)
    np.testing.assert_allclose(np.diff(result.loc["0":"4", "ice"]), 0.1)
    assert compared([*many[:2], few])["verdict"].tolist() == ["good"] * 3  # too few to compare with
    assert compared([dataclasses.replace(plain, level=-1.0)])["ice"].isna().all()


def test_no_micrographs_give_an_empty_table():
    assert compared([]).empty
    assert "verdict" in compared([])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder of two micrographs of apoferritin, one of noise, and one that is broken."""
    folder = tmp_path_factory.mktemp("session")
    for micrograph, _ in simulate_set("apoferritin", 2, shape=(512, 512), pixel_size=4, seed=3, carbon=False):
        write_mrc(folder / f"{micrograph.name}.mrc", micrograph.data, 4.0)
    noise = 40 + np.random.default_rng(0).normal(size=(512, 512)).astype(np.float32)
    write_mrc(folder / "noise.mrc", noise, 4.0)
    (folder / "broken.mrc").write_bytes(b"no micrograph")
    return folder


@pytest.mark.parametrize("options", [["--diameter", "30"], pytest.param([], marks=pytest.mark.slow)])
def test_triage_sorts_a_folder_and_writes_a_page(folder, tmp_path, options):
    assert main(["triage", str(folder), "--out", str(tmp_path), *options]) == 1  # one of them is broken
    rows = pd.read_csv(tmp_path / "micrographs.csv").set_index("micrograph")
    assert rows.index.tolist() == ["apoferritin_001", "apoferritin_002", "noise"]
    assert rows["verdict"].tolist() == ["good", "good", "empty"]
    assert rows.loc["noise", "picks"] == 0
    assert rows["picks"].iloc[:2].min() > 50
    assert (rows["evidence"].iloc[:2] > rows.loc["noise", "evidence"]).all()
    names = {verdict: (tmp_path / f"{verdict}.txt").read_text().split() for verdict in verdicts.VERDICTS}
    assert [len(names[verdict]) for verdict in verdicts.VERDICTS] == [2, 0, 1]
    assert names["empty"] == [str(folder / "noise.mrc")]
    page = (tmp_path / "triage.html").read_text(encoding="utf-8")
    assert remote_parts(page) == []
    assert page.count("data:image/jpeg") == 3
    assert page.index("apoferritin_001") < page.index("noise")
    assert "broken.mrc" in page


@pytest.mark.slow
def test_an_empty_micrograph_among_others_gets_no_picks(folder, tmp_path):
    files = [str(path) for path in sorted(folder.glob("*.mrc")) if path.stem != "broken"]
    assert main(["pick", *files, "--out", str(tmp_path), "--pretrained", "--overlays"]) == 0
    rows = pd.read_csv(tmp_path / "micrographs.csv").set_index("micrograph")
    assert rows["verdict"].tolist() == ["good", "good", "empty"]
    assert rows.loc["noise", "picks"] == 0
    assert set(pd.read_csv(tmp_path / "picks.csv")["micrograph"]) == {"apoferritin_001", "apoferritin_002"}
    assert (tmp_path / "noise.star").exists()


@pytest.fixture(scope="module")
def thumbnails():
    """Return the thumbnails that an expert has sorted, by their folder."""
    beside = REPOSITORY.parent / "shared" / "data" / "quality"
    folder = beside if beside.is_dir() else datasets.load("micrograph_quality").folder / "micrographs"
    if not folder.is_dir():
        pytest.skip("needs ../shared/data/quality, or 'cryokit data fetch micrograph_quality'")
    return {kind.name: sorted(kind.glob("*.png")) for kind in sorted(folder.iterdir())}


@pytest.mark.slow
@pytest.mark.real
def test_verdicts_agree_with_an_expert(thumbnails):
    # The thresholds were chosen on simulated micrographs.
    agreed, total = 0, 0
    for kind, paths in thumbnails.items():
        good = kind.startswith(("0", "1"))
        for path in paths:
            picker = AutoPicker(pretrained=True).fit([path])
            micrograph = read(path)
            quality = judged(measured(micrograph), picker.assess(micrograph))
            agreed, total = agreed + (good == (quality.verdict == "good")), total + 1
    assert agreed >= 0.8 * total
