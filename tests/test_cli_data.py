"""The command line `cryokit data`."""

import hashlib
import subprocess
import sys

import pytest
import yaml

from cryokit.cli import main


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CRYOKIT_DATA", str(tmp_path / "cache"))
    monkeypatch.delenv("CRYOKIT_MANIFESTS", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def own(tmp_path, capsys):
    """A folder of two micrographs and its manifest, as the command line makes it."""
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


def test_list_tells_of_a_broken_manifest_and_shows_the_others(tmp_path, capsys, monkeypatch):
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "broken.yaml").write_text("schema: 1\n")
    monkeypatch.setenv("CRYOKIT_MANIFESTS", str(tmp_path / "more"))
    assert main(["data", "list"]) == 1
    out, err = capsys.readouterr()
    assert "klh" in out
    assert "broken.yaml: key 'name' is missing" in err


def test_info_tells_what_is_known(capsys):
    assert main(["data", "info", "klh"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    for text in ("2.2 A", "top, side", "48 train, 12 validation, 20 test", "80 micrograph", "79 files of unknown size"):
        assert text in out
    assert main(["data", "info", "nramm_klh_1"]) == 0
    assert "http://emg.nysbc.org" in capsys.readouterr().out


def test_an_unknown_name_is_told_with_the_known_ones(capsys):
    assert main(["data", "info", "khl"]) == 1
    assert "there is no dataset 'khl'; there are: apoferritin_10146" in capsys.readouterr().err


def test_fetch_from_a_folder_then_verify(own, cache, capsys):
    folder, manifest = own
    assert yaml.safe_load(manifest.read_text())["files"][0]["sha256"] == hashlib.sha256(b"a").hexdigest()
    assert main(["data", "verify", str(manifest)]) == 1
    assert "a.mrc: missing" in capsys.readouterr().err
    assert main(["data", "fetch", str(manifest), "--from", str(folder)]) == 0
    assert str(cache / "own") in capsys.readouterr().out
    assert (cache / "own" / "b.mrc").read_bytes() == b"b"
    assert main(["data", "verify", str(manifest)]) == 0
    (cache / "own" / "b.mrc").write_bytes(b"X")
    assert main(["data", "verify", str(manifest)]) == 1
    assert "b.mrc: sha256 is" in capsys.readouterr().err
    assert (cache / "own" / "b.mrc").read_bytes() == b"X"  # verify changes nothing


def test_a_partial_folder_ends_non_zero_and_keeps_what_it_has(own, cache, capsys):
    folder, manifest = own
    (folder / "b.mrc").unlink()
    assert main(["data", "fetch", str(manifest), "--from", str(folder)]) == 1
    assert "b.mrc: not found" in capsys.readouterr().err
    assert (cache / "own" / "a.mrc").read_bytes() == b"a"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["fetch", "empiar_10028"], "nobody has hashed these files yet"),
        (["verify", "empiar_10028"], "nobody has hashed these files yet"),
        (["fetch", "klh", "--link"], "--link needs --from DIR"),
        (["fetch", "klh", "--from", "/nowhere/at/all"], "is not a folder"),
        (["hash", "/nowhere/at/all"], "is not a folder"),
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
