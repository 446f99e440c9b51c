"""Manifests: the schema, its errors, and the manifests that come with cryokit."""

import csv
import re
import textwrap
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml

from cryokit import datasets
from cryokit._util import resources
from cryokit._util.yaml_files import read_yaml
from cryokit.datasets import manifest
from cryokit.datasets.drafting import describe
from cryokit.errors import ArgumentError, DatasetError

SHA256 = "a" * 64
VALID = {
    "schema": 1,
    "name": "mine",
    "title": "Mine",
    "citation": [],
    "licence": "unknown",
    "pixel_size": 1.5,
    "diameter": {"pixels": 76, "angstrom": None},
    "views": ["top"],
    "verified": True,
    "files": [
        {"path": "micrographs/a.b.mrc", "role": "micrograph", "split": "train", "bytes": 3, "sha256": SHA256},
        {"path": "label-coordinates/a.b.star", "role": "label-coordinates", "micrograph": "a.b", "sha256": SHA256},
    ],
}


def write(folder: Path, content, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def changed(*keys, value=None, remove=False) -> dict:
    content = yaml.safe_load(yaml.safe_dump(VALID))
    place = content
    for key in keys[:-1]:
        place = place[key]
    if remove:
        del place[keys[-1]]
    else:
        place[keys[-1]] = value
    return content


def test_a_valid_manifest_is_read_as_it_is(tmp_path):
    found = manifest.read(write(tmp_path, VALID))
    assert (found.name, found.pixel_size, found.diameter_pixels, found.diameter_angstrom) == ("mine", 1.5, 76, None)
    assert [(file.micrograph, file.split, file.bytes) for file in found.files] == [
        ("a.b", "train", 3),
        ("a.b", None, None),
    ]
    assert found.files[0].hashes == {"sha256": SHA256}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (changed("title", remove=True), "'title'"),
        (changed("pixelsize", value=2), "'pixelsize'.* pixel_size"),
        (changed("pixel_size", value="2.2 A"), r"pixel_size .*'2\.2 A'"),
        (changed("pixel_size", value=-1), "pixel_size .*-1"),
        (changed("pixel_size", value=float("nan")), "pixel_size .*nan"),
        (changed("pixel_size", value=True), "pixel_size .*True"),
        (changed("diameter", "angstrom", remove=True), "diameter: .*'angstrom'"),
        (changed("diameter", value=76), "diameter: .*76"),
        (changed("verified", value="yes"), "verified: .*'yes'"),
        (changed("schema", value=2), "schema: .*2"),
        (changed("schema", value=True), "schema: .*True"),
        (changed("name", value="other"), "name: .*'mine'.*'other'"),
        (changed("views", value=["above"]), r"views\[0\]: .*'above'"),
        (changed("files", value=[]), "files: .*micrograph"),
        (changed("files", value={}), "files: "),
        (changed("files", 0, "sha256", value="ABC"), r"files\[0\]\.sha256: .*64.*'ABC'"),
        (changed("files", 0, "sha256", remove=True), r"files\[0\]: .*sha256.*git_blob_sha1"),
        (changed("files", 0, "git_blob_sha1", value=10**39), r"files\[0\]\.git_blob_sha1: .*40.*quotes"),
        (changed("files", 0, "bytes", value="3"), r"files\[0\]\.bytes .*'3'"),
        (changed("files", 0, "role", value="picture"), r"files\[0\]\.role: .*'picture'"),
        (changed("files", 0, "split", remove=True), r"files\[0\]\.split: .*None"),
        (changed("files", 0, "micrograph", value="a"), r"files\[0\]\.micrograph: .*'a\.b'.*'a'"),
        (changed("files", 0, "urls", value="https://x.org/a"), r"files\[0\]\.urls: "),
        (changed("files", 0, "urls", value=["file:///etc/passwd"]), r"files\[0\]\.urls\[0\]: "),
        (changed("files", 1, "split", value="test"), r"files\[1\]\.split: .*'test'"),
        (changed("files", 1, "micrograph", remove=True), r"files\[1\]\.micrograph: .*None"),
        (changed("files", 1, "micrograph", value="a"), r"files\[1\]: .*\ba;"),
        (changed("files", 1, "path", value="label-coordinates/c.star"), r"files\[1\]: .*a\.b"),
        (changed("files", 1, "path", value="Micrographs/A.b.mrc"), r"files\[1\]: .*files\[0\]"),
        (changed("verified", value=False), "archive: .*None"),
        ("[1, 2]", r"\[1, 2\]"),
        ("a: [1", "line 1"),
    ],
)
def test_errors_name_file_key_and_what_is_expected(tmp_path, content, complaint):
    path = write(tmp_path, content)
    with pytest.raises(DatasetError, match=complaint) as caught:
        manifest.read(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "path",
    ["../a.mrc", "/etc/a.mrc", "x/../../a.mrc", "./a.mrc", "x//a.mrc", "C:/a.mrc", "x\\..\\a", "a\n.mrc", ""],
)
def test_a_path_that_could_leave_the_folder_is_refused(tmp_path, path):
    with pytest.raises(DatasetError, match=r"files\[0\]\.path: "):
        manifest.read(write(tmp_path, changed("files", 0, "path", value=path)))


def test_two_micrographs_of_one_name_are_refused(tmp_path):
    content = changed("files", 1, value=VALID["files"][0] | {"path": "more/a.b.png"})
    with pytest.raises(DatasetError, match=r"files\[1\]: .*files\[0\]"):
        manifest.read(write(tmp_path, content))


def test_a_missing_manifest_is_an_error(tmp_path):
    with pytest.raises(DatasetError, match=r"none\.yaml"):
        manifest.find(tmp_path / "none.yaml")


def test_a_name_is_found_here_in_an_own_folder_and_by_path(tmp_path, monkeypatch):
    path = write(tmp_path, VALID)
    assert manifest.find("klh").name == "klh"
    assert manifest.find(path).source == path
    with pytest.raises(DatasetError, match=r"'mine'.*klh"):
        manifest.find("mine")
    monkeypatch.setenv("CRYOKIT_MANIFESTS", str(tmp_path))
    assert manifest.find("mine").source == path
    write(tmp_path, VALID | {"name": "klh"}, "klh.yaml")
    with pytest.raises(DatasetError, match=str(tmp_path / "klh.yaml")):
        manifest.available()
    monkeypatch.setenv("CRYOKIT_MANIFESTS", str(tmp_path / "none"))
    with pytest.raises(DatasetError, match=str(tmp_path / "none")):
        manifest.available()


def test_selecting_follows_the_micrographs_split(tmp_path):
    found = manifest.read(write(tmp_path, VALID))
    assert [file.path for file in found.select("label-coordinates", "train")] == ["label-coordinates/a.b.star"]
    assert found.select("label-coordinates", "test") == []
    with pytest.raises(ArgumentError, match=r"split .*'dev'"):
        found.select("micrograph", "dev")
    with pytest.raises(ArgumentError, match=r"role .*'label'"):
        found.select("label")


# The manifests that come with cryokit.

EXPECTED = {
    "klh": (48, 12, 20),
    "klh_preprocessed": (4, 0, 1),
    "apoferritin_10146": (13, 3, 4),
    "betagal_10017": (12, 3, 5),
    "ribosome_10028": (0, 0, 1),
    "micrograph_quality": (0, 0, 30),
    "contaminated_magellon": (0, 0, 1),
    "empiar_10146": (0, 0, 0),
    "empiar_10017": (0, 0, 0),
    "empiar_10028": (0, 0, 0),
    "empiar_10025": (0, 0, 0),
    "nramm_klh_1": (0, 0, 0),
}


def test_all_the_datasets_are_here():
    assert set(manifest.available()) == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_shipped_manifest_is_valid_and_split_by_micrograph(name):
    found = manifest.find(name)
    splits = [{file.micrograph for file in found.select("micrograph", split)} for split in datasets.SPLITS]
    assert tuple(map(len, splits)) == EXPECTED[name]
    every = {file.micrograph for file in found.select("micrograph")}
    assert set().union(*splits) == every
    assert sum(map(len, splits)) == len(every)  # with the line above: no micrograph is in two splits
    assert found.verified == (not name.startswith(("empiar", "nramm")))
    for file in found.files:
        assert file.urls
        # A branch could move; a commit cannot.
        assert all(
            re.match(r"https://raw\.githubusercontent\.com/[^/]+/[^/]+/[0-9a-f]{40}/\S+$", url) for url in file.urls
        )


def test_micrographs_without_labels_are_not_used_for_scoring():
    found = manifest.find("apoferritin_10146")
    labelled = {file.micrograph for file in found.select("label-discs")}
    assert {file.micrograph for file in found.select("micrograph")} - labelled == {"May08_06.09.02"}
    for split in ("validation", "test"):
        assert {file.micrograph for file in found.select("micrograph", split)} <= labelled


@pytest.mark.real
@pytest.mark.parametrize(
    "table",
    [
        "klh",
        "apoferritin_10146",
        "betagal_10017",
        "ribosome_10028",
        "micrograph_quality",
        "contaminated_magellon",
    ],
)
def test_every_known_upstream_file_is_in_a_manifest(shared, table):
    known = {}
    for name in (table, "klh_preprocessed"):
        for file in manifest.find(name).files:
            known.update({url: file for url in file.urls})
    with (shared / "manifests" / f"{table}.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert rows
    for row in rows:
        url = f"https://raw.githubusercontent.com/{row['repository']}/{row['commit']}/{quote(row['path'])}"
        file = known[url]
        assert (file.sha256 or "") == row["sha256"]
        assert file.git_blob_sha1 == row["git_blob_sha1"]
        assert ("" if file.bytes is None else str(file.bytes)) == row["bytes"]


@pytest.mark.real
def test_a_preprocessed_picture_is_in_the_split_of_its_exposure(shared):
    with (shared / "manifests" / "klh.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    hashes = {Path(row["path"]).name: row["git_blob_sha1"] for row in rows if row["role"] == "raw-alias"}
    splits = {file.git_blob_sha1: file.split for file in manifest.find("klh").files}
    for file in manifest.find("klh_preprocessed").files:
        assert file.split == splits[hashes[file.micrograph]]


# A manifest of one's own.


def test_hashing_a_folder_gives_a_manifest_that_can_be_used(tmp_path):
    folder = tmp_path / "My data"
    (folder / "labels").mkdir(parents=True)
    for index in range(8):
        (folder / f"m.{index}.mrc").write_bytes(bytes([index]))
    (folder / "labels" / "m.1_autopick.star").write_text("data_\n")
    (folder / "notes.txt").write_text("x")
    (folder / ".hidden.mrc").write_text("x")
    path = write(tmp_path, describe(folder), "my_data.yaml")
    found = manifest.read(path)
    assert [len(found.select("micrograph", split)) for split in datasets.SPLITS] == [5, 1, 2]
    assert [file.micrograph for file in found.select("label-coordinates")] == ["m.1"]
    assert [file.path for file in found.select("extra")] == ["notes.txt"]
    dataset = datasets.fetch(path, tmp_path / "cache", source=folder)
    assert [path.read_bytes() for path in dataset.micrographs()] == [bytes([index]) for index in range(8)]


@pytest.mark.parametrize("names", [(), ("a.mrc", "b/a.png")])
def test_a_folder_that_makes_no_dataset(tmp_path, names):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DatasetError) as caught:
        describe(tmp_path)
    assert all(str(tmp_path / name) in str(caught.value) for name in (names or [""]))


def test_the_readme_documents_every_key_and_role():
    text = (resources.folder("data_manifests") / "README.md").read_text()
    keys = {key for entry in (VALID, *VALID["files"]) for key in entry}
    for word in (
        keys | set(manifest.ROLES) | {"archive", "labels", "split_rule", "notes", "urls", "git_blob_sha1", "scale"}
    ):
        assert f"`{word}`" in text


def test_unknown_resource_folder():
    with pytest.raises(ArgumentError, match="'pictures'"):
        resources.folder("pictures")


def test_yaml_in_the_readme_style_with_unquoted_hash(tmp_path):
    # YAML takes an unquoted hash of digits only for a number; the message has to say so.
    text = textwrap.dedent(
        f"""\
        schema: 1
        name: mine
        title: t
        citation: []
        licence: unknown
        pixel_size: null
        diameter: {{pixels: null, angstrom: null}}
        views: []
        verified: true
        files:
          - {{path: a.mrc, role: micrograph, split: test, git_blob_sha1: {"1" * 40}}}
        """
    )
    with pytest.raises(DatasetError, match="in quotes"):
        manifest.read(write(tmp_path, text))


def bomb(levels):
    lines = ["- &b0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"- &b{level} [{', '.join([f'*b{level - 1}'] * 10)}]" for level in range(1, levels)]
    return "schema:\n" + "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    "content",
    [
        bomb(8),
        "schema: &a [*a]\n",
        "schema: " + "[" * 100_000,
        "schema: 2001-99-99\n",
        "schema: !!int x\n",
        "schema: !!int ''\n",
        "schema: !!float x\n",
        "schema: !!timestamp x\n",
        "schema: !!binary é\n",
        "schema: 0x" + "f" * 5000 + "\n",
        "schema: 1\nname: [" + "x" * 10**6 + "]\n",
        "? [a]\n: 1\n",
        "\x00",
    ],
)
def test_hostile_yaml_is_refused_in_a_short_line(tmp_path, content):
    path = tmp_path / "m.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DatasetError, match=r"m\.yaml") as caught:
        manifest.read(path)
    assert len(str(caught.value)) < 1000


def test_aliases_within_reason_are_read(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("a: &a [1, 2]\nb: *a\nc: {<<: {d: *a}}\n")
    assert read_yaml(path, DatasetError) == {"a": [1, 2], "b": [1, 2], "c": {"d": [1, 2]}}
