"""The command line `cryokit data`."""

import hashlib
import subprocess
import sys

import pytest
import yaml

from cryokit import coordinates
from cryokit.cli import main
from cryokit.datasets import load
from cryokit.micrograph import find


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CRYOKIT_DATA", str(tmp_path / "cache"))
    monkeypatch.delenv("CRYOKIT_MANIFESTS", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def own(tmp_path, capsys):
    """Return a folder of two micrographs and its manifest, as the command line makes it."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "a.mrc").write_bytes(b"a")
    (folder / "b.mrc").write_bytes(b"b")
    assert main(["data", "hash", str(folder)]) == 0
    manifest = tmp_path / "own.yaml"
    manifest.write_text(capsys.readouterr().out)
    return folder, manifest


def test_list_shows_every_dataset(capsys):
    assert main(["data", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: line.split() for line in lines[1:]}
    assert rows["klh"][1:4] == ["80", "0", "0"]
    assert rows["apoferritin_10146"][1:4] == ["20", "19", "0"]
    assert rows["empiar_10025"][1:5] == ["-", "-", "by", "hand"]


def test_list_names_a_broken_manifest_and_shows_the_others(tmp_path, capsys, monkeypatch):
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "broken.yaml").write_text("schema: 1\n")
    monkeypatch.setenv("CRYOKIT_MANIFESTS", str(tmp_path / "more"))
    assert main(["data", "list"]) == 1
    out, err = capsys.readouterr()
    assert "klh" in out
    assert "broken.yaml: " in err


def test_info_shows_what_is_known(capsys):
    assert main(["data", "info", "klh"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    for text in ("2.2 A", "top, side", "48 train, 12 validation, 20 test", "80 micrograph", "79 files of unknown size"):
        assert text in out
    assert main(["data", "info", "nramm_klh_1"]) == 0
    assert "http://emg.nysbc.org" in capsys.readouterr().out


def test_an_unknown_name_is_an_error_with_the_known_ones(capsys):
    assert main(["data", "info", "khl"]) == 1
    error = capsys.readouterr().err
    assert "'khl'" in error
    assert "apoferritin_10146" in error


def test_fetch_from_a_folder_then_verify(own, cache, capsys):
    folder, manifest = own
    assert yaml.safe_load(manifest.read_text())["files"][0]["sha256"] == hashlib.sha256(b"a").hexdigest()
    assert main(["data", "fetch", str(manifest), "--from", str(folder)]) == 0
    assert str(cache / "own") in capsys.readouterr().out
    assert (cache / "own" / "b.mrc").read_bytes() == b"b"
    assert main(["data", "verify", str(manifest)]) == 0
    (cache / "own" / "a.mrc").unlink()
    assert main(["data", "verify", str(manifest)]) == 1
    error = capsys.readouterr().err
    assert "1 file " in error
    assert "a.mrc: missing" in error
    (cache / "own" / "b.mrc").write_bytes(b"X")
    assert main(["data", "verify", str(manifest)]) == 1
    assert "b.mrc: sha256 is" in capsys.readouterr().err
    assert (cache / "own" / "b.mrc").read_bytes() == b"X"  # verify changes nothing


def test_only_the_first_failures_are_listed(cache, tmp_path, capsys):
    assert main(["data", "verify", "klh"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert str(cache / "klh") in error
    first = load("klh").manifest.files[0]
    (cache / "klh" / first.path).parent.mkdir(parents=True)
    (cache / "klh" / first.path).write_bytes(b"wrong")
    assert main(["data", "verify", "klh"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 12
    assert lines[1].strip().startswith(first.path)
    assert lines[-1].strip() == "... and 70 more"
    (tmp_path / "here").mkdir()
    assert main(["data", "fetch", "klh", "--from", str(tmp_path / "here")]) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("  ")]
    assert lines[-1].strip() == "... and 70 more"


def test_export_writes_labels_and_lists(tmp_path, cache, capsys):
    folder = tmp_path / "own"
    folder.mkdir()
    for name in "abcd":
        (folder / f"{name}.mrc").write_bytes(name.encode())
    (folder / "a.csv").write_text("x,y,view\n10.5,20,\n30,40,side\n")
    (folder / "b.csv").write_text("x,y,view\n")
    (folder / "d.box").write_text("0 0 12 12\n")
    assert main(["data", "hash", str(folder)]) == 0
    content = yaml.safe_load(capsys.readouterr().out)
    splits = {"a.mrc": "train", "b.mrc": "train", "c.mrc": "train", "d.mrc": "test"}
    for file in content["files"]:
        if file["role"] == "micrograph":
            file["split"] = splits[file["path"]]
    content["diameter"]["pixels"] = 76
    manifest = tmp_path / "own.yaml"
    manifest.write_text(yaml.safe_dump(content))
    out = tmp_path / "out"
    assert main(["data", "export", str(manifest), "--out", str(out)]) == 1
    assert "cryokit data fetch" in capsys.readouterr().err
    assert not out.exists()

    assert main(["data", "fetch", str(manifest), "--from", str(folder)]) == 0
    capsys.readouterr()
    assert main(["data", "export", str(manifest), "--out", str(out)]) == 0
    assert "train 3 micrographs, 2 labelled; test 1 micrograph, 1 labelled" in capsys.readouterr().out
    # No validation micrographs, so no list of them; no labels of c, so no file that would say it has no particles.
    written = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.*"))
    assert written == ["labels/a.csv", "labels/b.csv", "labels/d.csv", "test.txt", "train.txt"]
    assert find([f"@{out / 'train.txt'}"]) == [(cache / "own" / f"{name}.mrc").resolve() for name in "abc"]
    labels, names = coordinates.read_folder(out / "labels")
    assert names == ["a", "b", "d"]
    assert labels[["micrograph", "x", "y", "diameter", "view"]].to_numpy().tolist() == [
        ["a", 10.5, 20, 76, ""],
        ["a", 30, 40, 76, "side"],
        ["d", 6, 6, 12, ""],
    ]


def test_a_partial_folder_ends_non_zero_and_keeps_what_it_has(own, cache, capsys):
    folder, manifest = own
    (folder / "b.mrc").unlink()
    assert main(["data", "fetch", str(manifest), "--from", str(folder)]) == 1
    assert "b.mrc: not found" in capsys.readouterr().err
    assert (cache / "own" / "a.mrc").read_bytes() == b"a"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["fetch", "empiar_10028"], "empiar_10028: "),
        (["verify", "empiar_10028"], "empiar_10028: "),
        (["fetch", "klh", "--link"], "--from"),
        (["fetch", "klh", "--from", "/nowhere/at/all"], "/nowhere/at/all"),
        (["hash", "/nowhere/at/all"], "/nowhere/at/all"),
    ],
)
def test_errors_are_one_message_and_status_one(capsys, words, complaint):
    assert main(["data", *words]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert complaint in err
    assert "Traceback" not in err


@pytest.mark.parametrize("words", [["fetch", "klh", "--timeout", "0"], ["fetch", "klh", "--timeout", "x"], [], ["get"]])
def test_wrong_usage_is_status_two(words):
    with pytest.raises(SystemExit) as caught:
        main(["data", *words])
    assert caught.value.code == 2


def test_listing_imports_nothing_heavy():
    code = (
        "import sys; from cryokit.cli import main; main(['data', 'list']); "
        "print(sorted({'numpy', 'pandas', 'requests', 'matplotlib', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
