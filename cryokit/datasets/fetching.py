"""Bring the files of a dataset into the cache, by download or from a local folder, and verify every one.

A file gets its name only after its size and hashes have been verified, so that nobody ever sees part of one; a file
that is not the manifest's is never kept, and a download stops at its size, or at `UNSTATED` if the manifest has none.
Several processes may fetch the same dataset at once: each locks the file that it downloads to, so that those that a
killed one has left can be told and removed.
"""

import contextlib
import logging
import os
import re
import shutil
from collections.abc import Iterable
from functools import cache, partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

import pooch
import requests
from tqdm import tqdm

from cryokit._util.files import inside, replacing
from cryokit._util.validation import check_number
from cryokit._util.wording import plural
from cryokit.datasets import integrity
from cryokit.datasets.dataset import CACHE_VARIABLE, Dataset, load
from cryokit.datasets.manifest import DataFile, Manifest
from cryokit.errors import DatasetError

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be removed
    fcntl = None

logger = logging.getLogger(__name__)

# Answers that another attempt may better (RFC 9110; 429 is RFC 6585).
UNSTATED = 64 << 30  # bytes at which a download stops whose size the manifest does not say
_TRANSIENT_STATUS = (408, 425, 429, 500, 502, 503, 504)
# After this many files in a row without any answer the network is taken to be down.
_SILENT_FILES = 3
_TEMPORARY = re.compile(r"tmp[a-z0-9_]{8}").fullmatch  # what pooch downloads to, beside the file


class _Refused(Exception):
    """A download failed in a way that another attempt would not change."""


def fetch(
    name: str | os.PathLike,
    cache: str | os.PathLike | None = None,
    *,
    source: str | os.PathLike | None = None,
    everything: bool = False,
    link: bool = False,
    timeout: float = 30.0,
    attempts: int = 4,
) -> Dataset:
    """Bring the missing files of a dataset into the cache and return it.

    Files that cannot be had do not stop the others. Errors of a download that may pass (no answer, a broken or short
    transfer, status 5xx, 408, 425 and 429) are tried again after a pause of 1 s, 2 s and so on; others are not. If one
    address of a file fails, the next is tried.

    Parameters
    ----------
    name, cache
        As for `cryokit.datasets.load`.
    source : path-like, optional
        Local folder to take the files from instead of downloading them. They are looked for in it and all folders
        below, under any name: a file is the right one if its hash is. Those with the right name are looked at first.
    everything : bool
        Whether to fetch frames and extras as well.
    link : bool
        Whether to make symbolic links to the files in `source` instead of copies (for large datasets; the files must
        then stay where they are).
    timeout : float
        Seconds without a byte after which a download is broken off.
    attempts : int
        Number of attempts per address.

    Raises
    ------
    ArgumentError
        If `timeout` or `attempts` is out of range.
    DatasetError
        If the dataset is unknown or not verified, `source` is not a folder, the cache cannot be written, or files could
        not be had: the message counts them and lists the first.
    """
    check_number("timeout", timeout, 0, above=True)
    check_number("attempts", attempts, 1, whole=True)
    dataset = load(name, cache)
    manifest, folder = dataset.manifest, dataset.folder
    _refuse_unverified(manifest)
    if source is not None and not Path(source).is_dir():
        raise DatasetError(f"{source}: no such folder")
    for file in _wanted(manifest, everything):
        inside(folder, file.path, DatasetError)
    try:
        files = _bar(missing(dataset, everything), dataset)
        if source is None:
            _remove_leftovers(dataset)
            failures = _download_all(files, folder, timeout, attempts)
            problem, advice = (
                "could not be fetched",
                "Run the command again, or give a folder that has them with --from",
            )
        else:
            failures = _adopt_all(files, folder, Path(source), link)
            problem, advice = f"not found in {source}", "Without --from they are downloaded"
    except OSError as error:
        # A full disk or a forbidden folder would spoil every other file as well: stop at once.
        place = f" ({error.filename})" if error.filename else ""
        raise DatasetError(
            f"{folder}: {error.strerror or error}{place}; free space there, or name another folder in {CACHE_VARIABLE} "
            "(finished files are kept)"
        ) from error
    if failures:
        total = plural(len(_wanted(manifest, everything)), "file")
        heading = f"{manifest.name}: {len(failures)} of {total} {problem}; the others are in {folder}. {advice}"
        raise DatasetError(report(heading, failures))
    return dataset


def missing(dataset: Dataset, everything: bool = False) -> list[DataFile]:
    """Return the files that are not in the cache, and remove damaged ones from it.

    Parameters
    ----------
    dataset : Dataset
        Dataset in the cache; must be verified.
    everything : bool
        Whether to include frames and extras.
    """
    wanted = []
    for file in _wanted(dataset.manifest, everything):
        path = dataset.folder / file.path
        if path.is_file():
            trouble = integrity.problem(path, file)
            if trouble is None:
                continue
            logger.warning("%s: damaged, removed (%s)", path, trouble)
        # A link to a file that is gone is no file, yet would be in the way.
        path.unlink(missing_ok=True)
        wanted.append(file)
    return wanted


def verify(dataset: Dataset) -> dict[str, str]:
    """Verify the files in the cache without changing anything; frames and extras may be missing.

    Returns
    -------
    dict of str to str
        What is wrong, by the path of the file in the dataset; empty if all is well.

    Raises
    ------
    DatasetError
        If the dataset is not verified, so that there is nothing to compare with.
    """
    _refuse_unverified(dataset.manifest)
    troubles = {}
    for file in _bar(dataset.manifest.files, dataset):
        path = dataset.folder / file.path
        if path.is_file():
            try:
                trouble = integrity.problem(path, file)
            except OSError as error:
                trouble = f"cannot be read ({error.strerror or error})"
        else:
            trouble = None if file.optional else "missing"
        if trouble:
            troubles[file.path] = trouble
    return troubles


def report(heading: str, failures: dict[str, str], limit: int = 10) -> str:
    """Return a heading with the first `limit` failures below it."""
    lines = [f"  {path}: {reason}" for path, reason in failures.items()]
    if len(lines) > limit:
        lines[limit:] = [f"  ... and {len(lines) - limit} more"]
    return "\n".join([f"{heading}:", *lines])


def _wanted(manifest: Manifest, everything: bool) -> list[DataFile]:
    return [file for file in manifest.files if everything or not file.optional]


def _refuse_unverified(manifest: Manifest) -> None:
    if not manifest.verified:
        raise DatasetError(
            f"{manifest.name}: nobody has hashed these files yet (verified: false), so they could not be verified. "
            f"Download them by hand from {manifest.archive}, describe them with 'cryokit data hash FOLDER > "
            f"my_{manifest.name}.yaml', complete that file, and run 'cryokit data fetch my_{manifest.name}.yaml --from "
            "FOLDER'"
        )


def _bar(files: Iterable[DataFile], dataset: Dataset) -> tqdm:
    # disable=None: no bar where the output is not a terminal.
    return tqdm(files, desc=dataset.manifest.name, unit="file", disable=None)


def _download_all(files: Iterable[DataFile], folder: Path, timeout: float, attempts: int) -> dict[str, str]:
    """Download files and return what went wrong, by path."""
    pooch.get_logger().setLevel(logging.WARNING)  # its lines per file would break the bar
    failures: dict[str, str] = {}
    silent = 0
    for file in files:
        if silent >= _SILENT_FILES:
            failures[file.path] = f"not tried: no answer for the {_SILENT_FILES} files before it"
            continue
        errors: dict[str, Exception] = {}
        for url in file.urls:
            registry, urls = {file.path: None}, {file.path: url}
            puppy = pooch.create(folder, "", registry=registry, urls=urls, retry_if_failed=attempts - 1)
            try:
                puppy.fetch(file.path, downloader=partial(_download, file=file, timeout=timeout))
                silent = 0
                break
            except (_Refused, requests.RequestException) as error:
                errors[url] = error
        else:
            reasons = [f"{url}: {_reason(error, timeout)}" for url, error in errors.items()]
            failures[file.path] = "; ".join(reasons) or "has no address; take it from a local folder (--from)"
            silent = silent + 1 if errors and all(map(_is_silence, errors.values())) else 0
    return failures


def _remove_leftovers(dataset: Dataset) -> None:
    """Remove what downloads that were killed have left: files that no process has locked."""
    paths = {dataset.folder / file.path for file in dataset.manifest.files}
    for place in {path.parent for path in paths if path.parent.is_dir()}:
        for path in place.iterdir():
            if not _TEMPORARY(path.name) or path in paths or path.is_symlink() or not path.is_file():
                continue
            with contextlib.suppress(OSError):  # of another process, or gone
                if fcntl is not None:
                    with open(path, "rb") as file:
                        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
                logger.info("%s: removed, left by a download that was broken off", path)


class _Limited:
    """A file that takes no more than the bytes of its manifest, or than `UNSTATED` where that says nothing."""

    def __init__(self, file: BinaryIO, size: int | None) -> None:
        self.file, self.size = file, size
        self.left = UNSTATED if size is None else size

    def write(self, data: bytes) -> int:
        self.left -= len(data)
        if self.left < 0:
            if self.size is None:
                raise _Refused(f"stopped at {UNSTATED} bytes, as the manifest does not say how many it has")
            raise _Refused(f"not the right file, stopped: more than its {self.size} bytes")
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()


def _download(url: str, output_file: str, puppy: pooch.Pooch, *, file: DataFile, timeout: float) -> None:
    """Download and verify one file for pooch, which tries again after an error of `requests` but not after `_Refused`.

    pooch downloads to a temporary file and renames it at the end. It verifies no hash, as it does not know git's.
    """
    os.unlink(output_file)  # pooch made it readable for its owner only; made anew, it is as other files
    with tqdm(
        total=file.bytes or 1,  # replaced by the length that the server announces
        desc=PurePosixPath(file.path).name,
        unit="B",
        unit_scale=True,
        position=1,
        leave=False,
        disable=None,
    ) as bar:
        # The hashes are of the bytes as stored: a server must not compress them on the way.
        identity = {"Accept-Encoding": "identity"}
        http = pooch.HTTPDownloader(progressbar=bar, chunk_size=1 << 16, timeout=timeout, headers=identity)
        try:
            with open(output_file, "wb") as part:
                if fcntl is not None:
                    with contextlib.suppress(OSError):  # a file system without locks
                        fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
                http(url, _Limited(part, file.bytes), puppy)
        except requests.HTTPError as error:
            if error.response.status_code in _TRANSIENT_STATUS:
                raise
            raise _Refused(_reason(error, timeout)) from error
        size = os.stat(output_file).st_size
        if bar.total and size < bar.total:  # urllib3 before 2.0 does not compare the two
            raise requests.exceptions.ChunkedEncodingError(f"{size} of {bar.total} bytes")
    if trouble := integrity.problem(output_file, file):
        raise _Refused(f"not the right file, discarded: {trouble}")


def _is_silence(error: Exception) -> bool:
    """Tell whether an error means that the server gave no answer at all."""
    return isinstance(error, (requests.ConnectionError, requests.Timeout))


def _reason(error: Exception, timeout: float) -> str:
    """Return why a download failed, for people."""
    if isinstance(error, requests.HTTPError):
        return f"the server answered {error.response.status_code} {error.response.reason}"
    # A stall in the middle of the body is a ConnectionError, too.
    if isinstance(error, requests.Timeout) or (_is_silence(error) and "timed out" in str(error).lower()):
        return f"no byte within {timeout:g} s"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the transfer broke off"
    return f"no connection ({_innermost(error)})" if _is_silence(error) else str(error)


def _innermost(error: BaseException) -> str:
    """Return the plain reason at the bottom of a chain of wrapped network errors."""
    while inner := next((part for part in error.args if isinstance(part, BaseException)), None):
        error = inner
    # urllib3 gives the reason of what it wraps once more here.
    error = getattr(error, "reason", None) or error
    return (getattr(error, "strerror", None) or str(error)).split(">: ")[-1] or type(error).__name__


def _adopt_all(files: Iterable[DataFile], folder: Path, source: Path, link: bool) -> dict[str, str]:
    """Copy or link files from a local folder and return what went wrong, by path."""
    local = _LocalFiles(source)
    lost = []
    for file in files:
        original = local.find(file)
        if original is None:
            lost.append(file)
            continue
        with replacing(folder / file.path) as temporary:
            if link:
                temporary.symlink_to(original.resolve())
                continue
            shutil.copyfile(original, temporary)
            # The copy is what will be used, so the copy is what is verified.
            if trouble := integrity.problem(temporary, file):
                raise DatasetError(f"{original} changed while it was copied ({trouble}); run the command again")
    return {file.path: local.why_not(file) for file in lost}


class _LocalFiles:
    """The files below a folder, found by content; each is hashed at most once per kind of hash."""

    def __init__(self, source: Path):
        self.sizes = {path: path.stat().st_size for path in sorted(source.rglob("*")) if path.is_file()}
        self._hash = cache(_hash)
        self._found: set[Path] = set()

    def find(self, file: DataFile) -> Path | None:
        """Return the path of the file with the right content, if there is one."""
        names = _names(file)
        candidates = [path for path, size in self.sizes.items() if file.bytes in (None, size)]
        if file.bytes is None:
            # Without a size to go by, other kinds of files are left unread. A name without a suffix says nothing.
            suffixes = {PurePosixPath(name).suffix.lower() for name in names} | {""}
            candidates = [path for path in candidates if path.suffix.lower() in suffixes]
        for path in sorted(candidates, key=lambda path: path.name not in names):
            if all(self._hash(path, kind) == value for kind, value in file.hashes.items()):
                self._found.add(path)
                return path
        return None

    def why_not(self, file: DataFile) -> str:
        """Say why `find` found nothing: absent, or there with another content."""
        # A micrograph and its labels may share a name: what was recognised as the one is no bad copy of the other.
        namesake = next((path for path in self.sizes if path.name in _names(file) and path not in self._found), None)
        if namesake is None:
            return "not found"
        try:
            return f"{namesake} is another file ({integrity.problem(namesake, file)})"
        except OSError as error:
            return f"{namesake} cannot be read ({error.strerror or error})"


def _hash(path: Path, kind: str) -> str:
    """Return a hash of a file; an empty string if it cannot be read."""
    try:
        return integrity.HASHES[kind](path)
    except OSError as error:
        logger.warning("%s: cannot be read (%s)", path, error.strerror or error)
        return ""


def _names(file: DataFile) -> set[str]:
    """Return what a local copy may be called: as in the cache, or as at its address."""
    return {PurePosixPath(file.path).name} | {PurePosixPath(unquote(urlsplit(url).path)).name for url in file.urls}
