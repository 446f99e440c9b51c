"""Fetching: a local server that answers rightly, wrongly, briefly, late or not at all; and local folders."""

import contextlib
import hashlib
import os
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pooch
import pytest
import yaml

from cryokit import datasets
from cryokit.datasets import fetching, integrity
from cryokit.errors import ArgumentError, DatasetError

RIGHT = b"the right bytes " * 10_000


class Server:
    """Answers each path with the next of its scripted answers (the last one again and again), and counts requests."""

    def __init__(self):
        self.answers: dict[str, list] = {}
        self.requests: list[str] = []
        self.stop = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.requests.append(self.path)
                script = server.answers[self.path]
                (script.pop(0) if len(script) > 1 else script[0])(self)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()


def body(content: bytes, announced: int | None = None):
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content) if announced is None else announced))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def status(code: int):
    return lambda handler: handler.send_error(code)


def without_length(handler):
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(RIGHT)


def reset(handler):
    """Close the connection without a word."""
    handler.connection.close()


def stall(server: Server, before: bytes = b""):
    def answer(handler):
        if before:
            body(before, announced=len(RIGHT))(handler)
            handler.wfile.flush()
        server.stop.wait()

    return answer


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(pooch.core, "time", SimpleNamespace(sleep=lambda seconds: None))  # no pause between attempts
    server = Server()
    yield server
    server.stop.set()
    server.http.shutdown()
    server.http.server_close()


def blob_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


BEGINNING = """\
schema: 1
name: small
title: Small
citation: []
licence: unknown
pixel_size: null
diameter: {pixels: null, angstrom: null}
views: []
verified: true
"""


@pytest.fixture
def make(tmp_path, server):
    """Make a manifest of files a.mrc, b.mrc ... that the server answers with the given scripts."""

    def make(*scripts, entries=None, hashes=("sha256",), content=RIGHT):
        known = {"sha256": hashlib.sha256(content).hexdigest(), "git_blob_sha1": blob_hash(content)}
        files = []
        for name, script in zip("abcdefgh", scripts, strict=False):
            server.answers[f"/{name}%20x.mrc"] = list(script)
            file = {
                "path": f"micrographs/{name}.mrc",
                "role": "micrograph",
                "split": "train",
                "urls": [f"{server.address}/{name}%20x.mrc"],
            }
            files.append(file | {kind: known[kind] for kind in hashes})
        for index, changes in (entries or {}).items():
            files[index] |= changes
        path = tmp_path / "small.yaml"
        path.write_text(BEGINNING + yaml.safe_dump({"files": files}))
        return path

    return make


def fetch(path, cache, **settings):
    return datasets.fetch(path, cache, **({"timeout": 60} | settings))


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def test_git_blob_hash_is_that_of_git(tmp_path):
    path = tmp_path / "hello"
    path.write_bytes(b"hello\n")
    # `git hash-object` of this file, as in the git documentation's first examples.
    assert integrity.git_blob_sha1(path) == "ce013625030ba8dba906f756967f9e9ca394464a"
    # NIST's example for SHA-256 of "abc".
    path.write_bytes(b"abc")
    assert integrity.sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_git_blob_hash_is_that_of_the_git_program(tmp_path):
    path = tmp_path / "some"
    path.write_bytes(bytes(range(256)) * 20_000)
    try:
        done = subprocess.run(
            ["git", "hash-object", "--no-filters", str(path)], capture_output=True, text=True, check=True
        )
    except FileNotFoundError:
        pytest.skip("git is not installed")
    assert integrity.git_blob_sha1(path) == done.stdout.strip()


@pytest.mark.parametrize("hashes", [("sha256",), ("git_blob_sha1",), ("sha256", "git_blob_sha1")])
def test_right_bytes_are_kept_and_not_fetched_again(tmp_path, server, make, hashes):
    path = make([body(RIGHT)], [without_length], hashes=hashes)
    dataset = fetch(path, tmp_path / "cache")
    assert [found.read_bytes() for found in dataset.micrographs("train")] == [RIGHT, RIGHT]
    assert len(server.requests) == 2
    fetch(path, tmp_path / "cache")
    assert len(server.requests) == 2
    assert fetching.verify(dataset) == {}


@pytest.mark.parametrize("hashes", [("sha256",), ("git_blob_sha1",), ("sha256", "git_blob_sha1")])
def test_wrong_bytes_are_an_error_and_leave_no_file(tmp_path, server, make, hashes):
    wrong = RIGHT[:-1] + b"X"
    path = make([body(wrong)], [body(RIGHT)], hashes=hashes)
    with pytest.raises(DatasetError, match="small: 1 of 2 files") as caught:
        fetch(path, tmp_path / "cache")
    assert f"micrographs/a.mrc: {server.address}/a%20x.mrc: " in str(caught.value)
    assert files_in(tmp_path / "cache") == {"small/micrographs/b.mrc"}
    # Another try would bring the same bytes.
    assert server.requests.count("/a%20x.mrc") == 1


def test_every_hash_of_a_file_has_to_fit(tmp_path, make):
    path = make([body(RIGHT)], hashes=("sha256", "git_blob_sha1"), entries={0: {"git_blob_sha1": "0" * 40}})
    with pytest.raises(DatasetError, match="git_blob_sha1 is"):
        fetch(path, tmp_path / "cache")
    assert files_in(tmp_path / "cache") == set()


@pytest.mark.parametrize("size", [3, len(RIGHT) + 1])
def test_a_wrong_size_is_an_error(tmp_path, make, size):
    path = make([body(RIGHT)], entries={0: {"bytes": size}})
    with pytest.raises(DatasetError, match=rf"a.mrc: .*\b{size}\b"):
        fetch(path, tmp_path / "cache")
    assert files_in(tmp_path / "cache") == set()


@pytest.mark.parametrize("size", [len(RIGHT), None])
def test_a_download_stops_at_its_size(tmp_path, server, make, monkeypatch, size):
    sent = []

    def endless(handler):
        handler.send_response(200)
        handler.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(1000):
                handler.wfile.write(b"x" * 1_000_000)
                sent.append(1)

    monkeypatch.setattr(fetching, "UNSTATED", len(RIGHT))
    path = make([endless], entries={0: {"bytes": size}})
    with pytest.raises(DatasetError, match=r"a\.mrc"):
        fetch(path, tmp_path / "cache")
    assert len(sent) < 100
    assert files_in(tmp_path / "cache") == set()


def test_leftovers_of_killed_downloads_are_removed_and_nothing_else(tmp_path, make):
    fcntl = pytest.importorskip("fcntl")
    path = make([body(RIGHT)])
    folder = tmp_path / "cache" / "small" / "micrographs"
    folder.mkdir(parents=True)
    for name in ("tmpabcd1234", "tmpof_other", "tmp.mrc", "notes.txt"):
        (folder / name).write_bytes(b"part")
    with open(folder / "tmpof_other") as downloading:
        fcntl.flock(downloading, fcntl.LOCK_EX)
        fetch(path, tmp_path / "cache")
    names = sorted(entry.name for entry in folder.iterdir())
    assert names == ["a.mrc", "notes.txt", "tmp.mrc", "tmpof_other"]


def test_a_link_in_the_cache_leads_nowhere_else(tmp_path, make):
    path = make([body(RIGHT)])
    (tmp_path / "cache" / "small").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "cache" / "small" / "micrographs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DatasetError, match="micrographs"):
        fetch(path, tmp_path / "cache")
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize(
    "trouble",
    [status(500), status(503), status(429), reset, body(RIGHT[:1000], announced=len(RIGHT))],
    ids=["500", "503", "429", "reset", "truncated"],
)
def test_what_may_pass_is_tried_again(tmp_path, server, make, trouble):
    path = make([trouble, trouble, body(RIGHT)])
    dataset = fetch(path, tmp_path / "cache", attempts=3)
    assert dataset.micrographs()[0].read_bytes() == RIGHT
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (status(500), "500"),
        (body(RIGHT[:1000], announced=len(RIGHT)), "broke off"),
        (reset, "no connection"),
    ],
    ids=["500", "truncated", "reset"],
)
def test_what_does_not_pass_is_an_error_and_leaves_nothing(tmp_path, server, make, trouble, reason):
    path = make([trouble], [body(RIGHT)])
    with pytest.raises(DatasetError, match=reason):
        fetch(path, tmp_path / "cache", attempts=3)
    assert server.requests.count("/a%20x.mrc") == 3
    assert files_in(tmp_path / "cache") == {"small/micrographs/b.mrc"}
    assert [entry.name for entry in (tmp_path / "cache" / "small" / "micrographs").iterdir()] == ["b.mrc"]


@pytest.mark.parametrize("before", [b"", RIGHT[:1000]], ids=["at once", "in the middle"])
def test_a_stall_ends_after_the_timeout(tmp_path, server, make, before):
    path = make([stall(server, before), body(RIGHT)])
    dataset = fetch(path, tmp_path / "cache", timeout=0.3, attempts=100)  # a busy machine may stall more than once
    assert dataset.micrographs()[0].read_bytes() == RIGHT
    assert len(server.requests) > 1

    server.answers["/a%20x.mrc"] = [stall(server, before)]
    with pytest.raises(DatasetError, match=r" 0\.2 s"):
        fetch(path, tmp_path / "other", timeout=0.2, attempts=2)
    assert files_in(tmp_path / "other") == set()


def test_not_found_is_not_tried_again_and_the_others_are_fetched(tmp_path, server, make):
    path = make([status(404)], [body(RIGHT)], [status(403)])
    with pytest.raises(DatasetError, match="2 of 3 files") as caught:
        fetch(path, tmp_path / "cache")
    assert "a.mrc" in str(caught.value)
    assert "404 Not Found" in str(caught.value)
    assert "403 Forbidden" in str(caught.value)
    assert len(server.requests) == 3
    assert files_in(tmp_path / "cache") == {"small/micrographs/b.mrc"}
    # Once the server has them, the same command completes the dataset and fetches only what is missing.
    server.answers |= {"/a%20x.mrc": [body(RIGHT)], "/c%20x.mrc": [body(RIGHT)]}
    fetch(path, tmp_path / "cache")
    assert len(server.requests) == 5
    assert len(files_in(tmp_path / "cache")) == 3


def test_the_second_address_is_used_when_the_first_fails(tmp_path, server, make):
    server.answers["/mirror"] = [body(RIGHT)]
    for first in (status(404), body(b"wrong")):
        urls = [f"{server.address}/a%20x.mrc", f"{server.address}/mirror"]
        path = make([first], entries={0: {"urls": urls}})
        cache = tmp_path / str(len(server.requests))
        assert fetch(path, cache).micrographs()[0].read_bytes() == RIGHT
    server.answers["/mirror"] = [status(410)]
    with pytest.raises(DatasetError, match=r"a%20x\.mrc: .*; .*/mirror: .*410"):
        fetch(path, tmp_path / "cache")


def test_a_dead_network_is_noticed(tmp_path, server, make):
    path = make(*[[reset]] * 5)
    with pytest.raises(DatasetError, match="5 of 5 files") as caught:
        fetch(path, tmp_path / "cache", attempts=2)
    assert str(caught.value).count("not tried") == 2
    assert len(server.requests) == 6


def test_a_damaged_file_is_fetched_again_and_never_left(tmp_path, server, make):
    path = make([body(RIGHT)])
    found = fetch(path, tmp_path / "cache").micrographs()[0]
    found.write_bytes(b"damaged")
    dataset = datasets.load(path, tmp_path / "cache")
    assert "7 bytes" not in fetching.verify(dataset)
    assert "sha256 is" in fetching.verify(dataset)["micrographs/a.mrc"]
    fetch(path, tmp_path / "cache")
    assert found.read_bytes() == RIGHT
    found.write_bytes(b"damaged")
    server.answers["/a%20x.mrc"] = [status(404)]
    with pytest.raises(DatasetError, match="404"):
        fetch(path, tmp_path / "cache")
    assert not found.exists()


def test_the_bytes_are_asked_for_as_they_are(tmp_path, server, make):
    """A server may compress what it sends, or call a .gz file compressed content; the hash is of the file as stored."""
    asked = []

    def answer(handler):
        asked.append(handler.headers["Accept-Encoding"])
        body(RIGHT)(handler)

    fetch(make([answer]), tmp_path / "cache")
    assert asked == ["identity"]


def test_a_cache_that_cannot_be_written_is_an_error(tmp_path, server, make):
    path = make([body(RIGHT)])
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(DatasetError, match=str(tmp_path / "cache")):
        fetch(path, tmp_path / "cache")


def test_the_cache_is_where_the_variable_says(tmp_path, make, monkeypatch):
    monkeypatch.setenv("CRYOKIT_DATA", str(tmp_path / "own"))
    assert fetch(make([body(RIGHT)]), None).folder == tmp_path / "own" / "small"
    assert files_in(tmp_path / "own") == {"small/micrographs/a.mrc"}
    monkeypatch.setenv("CRYOKIT_DATA", "")
    assert datasets.cache_folder().is_absolute()
    assert "cryokit" in str(datasets.cache_folder())


@pytest.mark.parametrize("source", [None, "."])
def test_an_unverified_dataset_is_not_fetched(tmp_path, source):
    with pytest.raises(DatasetError, match=r"empiar_10025: .*ftp\.ebi\.ac\.uk"):
        datasets.fetch("empiar_10025", tmp_path / "cache", source=source and tmp_path)
    assert files_in(tmp_path) == set()


# A local folder in place of the download.


def test_local_files_are_known_by_their_hash_under_any_name(tmp_path, server, make):
    other = b"another"
    path = make(
        [body(RIGHT)],
        [body(other)],
        entries={1: {"sha256": hashlib.sha256(other).hexdigest(), "bytes": len(other)}},
    )
    (tmp_path / "here" / "deep").mkdir(parents=True)
    (tmp_path / "here" / "deep" / "renamed.mrc").write_bytes(RIGHT)
    # Right name, wrong content: must not be taken, although the content of another file of the dataset.
    (tmp_path / "here" / "a.mrc").write_bytes(other)
    dataset = fetch(path, tmp_path / "cache", source=tmp_path / "here")
    assert [found.read_bytes() for found in dataset.micrographs()] == [RIGHT, other]
    assert server.requests == []


def test_a_partial_folder_is_kept_and_the_rest_is_listed(tmp_path, server, make):
    path = make(*[[body(RIGHT)]] * 3, entries={1: {"sha256": "1" * 64}, 2: {"sha256": "2" * 64}})
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "a x.mrc").write_bytes(RIGHT)
    (tmp_path / "here" / "b x.mrc").write_bytes(b"wrong")
    with pytest.raises(DatasetError, match="2 of 3 files") as caught:
        fetch(path, tmp_path / "cache", source=tmp_path / "here")
    assert f"{tmp_path / 'here' / 'b x.mrc'} is another file (sha256" in str(caught.value)
    assert "micrographs/c.mrc: not found" in str(caught.value)
    assert files_in(tmp_path / "cache") == {"small/micrographs/a.mrc"}
    assert server.requests == []
    dataset = datasets.load(path, tmp_path / "cache")
    with pytest.raises(DatasetError, match="2 of 3 micrographs"):
        dataset.micrographs()
    assert len(dataset.micrographs(partial=True)) == 1


def test_copies_are_independent_and_links_are_links(tmp_path, make):
    path = make([body(RIGHT)])
    (tmp_path / "here").mkdir()
    own = tmp_path / "here" / "a.mrc"
    own.write_bytes(RIGHT)
    copied = fetch(path, tmp_path / "copied", source=tmp_path / "here").micrographs()[0]
    linked = fetch(path, tmp_path / "linked", source=tmp_path / "here", link=True).micrographs()[0]
    assert not copied.is_symlink()
    assert os.path.samefile(linked, own)
    own.write_bytes(b"changed")
    assert copied.read_bytes() == RIGHT
    # The change is noticed, and the file of the user is never touched.
    with pytest.raises(DatasetError, match=str(own)):
        fetch(path, tmp_path / "linked", source=tmp_path / "here", link=True)
    assert own.read_bytes() == b"changed"
    assert not linked.is_symlink()


def test_a_folder_that_does_not_exist(tmp_path, make):
    with pytest.raises(DatasetError, match=str(tmp_path / "none")):
        fetch(make([body(RIGHT)]), tmp_path / "cache", source=tmp_path / "none")


@pytest.mark.parametrize("setting", [{"timeout": 0}, {"attempts": 0}, {"attempts": 1.5}])
def test_settings_out_of_range(tmp_path, make, setting):
    with pytest.raises(ArgumentError, match=next(iter(setting))):
        fetch(make([body(RIGHT)]), tmp_path / "cache", **setting)


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX systems")
def test_downloads_have_the_usual_permissions(tmp_path, make):
    (tmp_path / "plain").write_text("")
    file = fetch(make([body(RIGHT)]), tmp_path / "cache").micrographs()[0]
    assert file.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_download_is_not_seen_before_it_is_verified(tmp_path, server, make):
    begun, end = threading.Event(), threading.Event()

    def answer(handler):
        begun.set()
        end.wait(60)
        body(RIGHT)(handler)

    path = make([answer])
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(fetch, path, tmp_path / "cache")
        assert begun.wait(60)
        assert datasets.load(path, tmp_path / "cache").any_here is False
        end.set()
        assert future.result().any_here
    assert files_in(tmp_path / "cache") == {"small/micrographs/a.mrc"}


def test_optional_files_only_when_asked_for(tmp_path, server, make):
    frame = {"path": "frames/b.mrc", "role": "frame", "micrograph": "a", "split": None}
    path = make([body(RIGHT)], [body(RIGHT)], entries={1: frame})
    dataset = fetch(path, tmp_path / "cache")
    assert files_in(tmp_path / "cache") == {"small/micrographs/a.mrc"}
    assert fetching.verify(dataset) == {}
    fetch(path, tmp_path / "cache", everything=True)
    assert files_in(tmp_path / "cache") == {"small/micrographs/a.mrc", "small/frames/b.mrc"}
    (dataset.folder / "frames/b.mrc").write_bytes(b"x")
    assert set(fetching.verify(dataset)) == {"frames/b.mrc"}


# Micrographs and labels.


def test_own_labels_belong_to_micrographs_by_exact_name(tmp_path, make):
    path = make([body(RIGHT)], [body(RIGHT)])
    dataset = fetch(path, tmp_path / "cache")
    labels = tmp_path / "labels"
    labels.mkdir()
    (labels / "b.csv").write_text("x,y\n1,2\n")
    (labels / "a.b.csv").write_text("x,y\n1,2\n")
    a, b = dataset.micrographs()
    assert dataset.pairs(labels_from=labels) == [(a, None), (b, labels / "b.csv")]
    assert dataset.pairs() == [(a, None), (b, None)]
    (labels / "b_autopick.star").write_text("data_\n")
    with pytest.raises(DatasetError, match=r"b\.csv and .*b_autopick\.star"):
        dataset.pairs(labels_from=labels)
    with pytest.raises(DatasetError, match=str(tmp_path / "none")):
        dataset.pairs(labels_from=tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match=str(tmp_path / "empty")):
        dataset.pairs(labels_from=tmp_path / "empty")


@pytest.mark.real
def test_real_micrographs_stand_in_for_the_download(shared, tmp_path):
    """The stand-in has 12 of 20 micrographs under shorter names, and two of 19 label pictures."""
    with pytest.raises(DatasetError, match="25 of 39 files"):
        datasets.fetch("apoferritin_10146", tmp_path, source=shared / "data")
    dataset = datasets.load("apoferritin_10146", tmp_path)
    pairs = dataset.pairs(partial=True)
    assert len(pairs) == 12
    assert {path.stem for path, label in pairs if label} == {"May08_03.05.02", "May08_07.10.35"}
    # Each split can be tried on the stand-in.
    for split in datasets.SPLITS:
        assert dataset.micrographs(split, partial=True)
    own = shared / "data" / "apoferritin_10146" / "labels"
    assert all(label.stem == path.stem for path, label in dataset.pairs(labels_from=own, partial=True))
    original = shared / "data" / "apoferritin_10146" / "micrographs" / "May08_03.05.02.png"
    assert (dataset.folder / "micrographs" / "May08_03.05.02.png").read_bytes() == original.read_bytes()


@pytest.mark.real
def test_real_single_micrograph_dataset_is_complete(shared, tmp_path):
    dataset = datasets.fetch("ribosome_10028", tmp_path, source=shared / "data", link=True)
    assert [path.name for path in dataset.micrographs("test")] == ["ribosome.png"]
    labels = dataset.labels("test", labels_from=shared / "data" / "ribosome_10028" / "labels")
    assert (labels["view"] != "ignore").sum() == 151
    assert set(labels["micrograph"]) == {"ribosome"}


@pytest.mark.real
def test_real_published_labels_are_in_the_micrographs_frame(shared, tmp_path):
    """Published coordinates as they are; centres of painted discs near those given, from half size too."""
    from scipy.spatial import cKDTree

    for name in ("betagal_10017", "apoferritin_10146"):
        with pytest.raises(DatasetError, match=name):
            datasets.fetch(name, tmp_path, source=shared / "data", link=True)
    labels = datasets.load("betagal_10017", tmp_path).labels(partial=True)
    first = labels[["x", "y", "diameter", "view"]].iloc[0].tolist()
    assert set(labels["micrograph"]) == {"Falcon_2012_06_12-14_33_35_0"}
    # The first row of the published STAR file; diameter and view are the manifest's.
    assert first == [3752, 693, 108, "irregular"]
    dataset = datasets.load("apoferritin_10146", tmp_path)
    found = dataset.labels(partial=True)
    given = dataset.labels(partial=True, labels_from=shared / "data" / "apoferritin_10146" / "labels")
    for micrograph in ("May08_03.05.02", "May08_07.10.35"):
        ours = found[found["micrograph"] == micrograph][["x", "y"]].to_numpy()
        theirs = given[given["micrograph"] == micrograph][["x", "y"]].to_numpy()
        distance, nearest = cKDTree(ours).query(theirs)
        assert (distance < 10).mean() > 0.95
        # A frame that is off by half a pixel of the smaller picture would show here.
        assert abs((ours[nearest] - theirs)[distance < 10].mean(axis=0)).max() < 0.3
    assert set(found["diameter"]) == {76}
