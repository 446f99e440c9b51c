"""Getting a dataset's files into the cache: by download or from a local folder, always checked."""

from __future__ import annotations

import logging
import os
import shutil
import time
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from tqdm import tqdm

from cryokit._util.files import replacing
from cryokit._util.wording import plural
from cryokit.datasets import integrity
from cryokit.datasets.manifest import DataFile, Manifest
from cryokit.errors import DatasetError

logger = logging.getLogger(__name__)

# Answers that another try may better (RFC 9110; 429 is RFC 6585).
_TRANSIENT_STATUS = (408, 425, 429, 500, 502, 503, 504)
# After this many files in a row without any answer the network is taken to be down.
_SILENT_FILES = 3


class _Failed(Exception):
    """One file could not be had from one address. `silent`: the server gave no answer at all."""

    def __init__(self, reason: str, transient: bool = False, silent: bool = False):
        super().__init__(reason)
        self.transient, self.silent = transient, silent


def missing(manifest: Manifest, folder: Path, everything: bool = False) -> list[DataFile]:
    """Return the files that are not in `folder`, or not whole there. Damaged ones are removed, so that none stays.

    Parameters
    ----------
    manifest : Manifest
    folder : pathlib.Path
        The dataset's folder in the cache.
    everything : bool
        Frames and extras as well.
    """
    wanted = []
    for file in _wanted(manifest, everything):
        path = folder / file.path
        if path.is_file():
            trouble = integrity.problem(path, file)
            if trouble is None:
                continue
            logger.warning("%s is damaged (%s); it is removed", path, trouble)
        # A link to a file that is gone is no file, yet would stand in the way.
        path.unlink(missing_ok=True)
        wanted.append(file)
    return wanted


def download(
    manifest: Manifest,
    folder: Path,
    *,
    everything: bool = False,
    timeout: float = 30.0,
    attempts: int = 4,
    pause: float = 1.0,
    progress: bool = True,
) -> int:
    """Download what is missing, and check it.

    A file gets its name only after its size and hashes are right. Errors that may pass (no answer, a broken or
    short transfer, status 5xx, 408, 425 and 429) are tried again after a pause that doubles; others are not. The
    other addresses of a file are tried when one fails. When a file cannot be had, the others still are.

    Parameters
    ----------
    manifest : Manifest
        Has to be verified.
    folder : pathlib.Path
        The dataset's folder in the cache.
    everything : bool
        Frames and extras as well.
    timeout : float
        Seconds without a byte after which a transfer counts as broken.
    attempts : int
        Tries per address.
    pause : float
        Seconds before the second try.
    progress : bool
        Show a progress bar (on a terminal only).

    Returns
    -------
    int
        How many files were downloaded.

    Raises
    ------
    DatasetError
        When the dataset is not verified, the cache cannot be written, or files are left that could not be had: the
        message counts them and lists the first.
    """
    _refuse_unverified(manifest)
    try:
        wanted = missing(manifest, folder, everything)
        failures: dict[str, str] = {}
        silent = 0
        with _files_bar(wanted, manifest.name, progress) as bar:
            for file in bar:
                if silent >= _SILENT_FILES:
                    failures[file.path] = f"not tried: no answer for the {_SILENT_FILES} files before it"
                    continue
                try:
                    _download_one(file, folder, timeout, attempts, pause, progress)
                    silent = 0
                except _Failed as error:
                    failures[file.path] = str(error)
                    silent = silent + 1 if error.silent else 0
    except OSError as error:
        # A full disk or a forbidden folder would spoil every other file as well: stop at once.
        raise _cannot_write(folder, error) from error
    if failures:
        total = len(_wanted(manifest, everything))
        raise DatasetError(
            report(
                f"{manifest.name}: {len(failures)} of {plural(total, 'file')} could not be fetched (the others are in "
                f"{folder}). Run the same command again to try these again, or give a folder that has them with --from",
                failures,
            )
        )
    return len(wanted)


def adopt(
    manifest: Manifest,
    source: str | os.PathLike,
    folder: Path,
    *,
    everything: bool = False,
    link: bool = False,
    progress: bool = True,
) -> int:
    """Take what is missing from a local folder in place of a download, checked by the same hashes.

    Files are looked for in `source` and all folders below it, under any name: a file is the right one when its hash
    is. Those with the right name are looked at first.

    Parameters
    ----------
    manifest : Manifest
        Has to be verified.
    source : path-like
        The local folder.
    folder : pathlib.Path
        The dataset's folder in the cache.
    everything : bool
        Frames and extras as well.
    link : bool
        Make symbolic links rather than copies (for large datasets; the files must then stay where they are).
    progress : bool
        Show a progress bar (on a terminal only).

    Returns
    -------
    int
        How many files were taken.

    Raises
    ------
    DatasetError
        When the dataset is not verified, `source` is no folder, the cache cannot be written, or files were not
        found: the message counts them and lists the first, and those found are kept.
    """
    _refuse_unverified(manifest)
    source = Path(source)
    if not source.is_dir():
        raise DatasetError(f"{source} is not a folder")
    try:
        wanted = missing(manifest, folder, everything)
        there = _LocalFiles(source)
        lost = []
        with _files_bar(wanted, manifest.name, progress) as bar:
            for file in bar:
                found = there.find(file)
                if found is None:
                    lost.append(file)
                elif link:
                    with replacing(folder / file.path) as temporary:
                        temporary.symlink_to(found.resolve())
                else:
                    with replacing(folder / file.path) as temporary:
                        shutil.copyfile(found, temporary)
                        # The copy is what will be used, so the copy is what is checked.
                        if trouble := integrity.problem(temporary, file):
                            raise DatasetError(f"{found} changed while it was copied ({trouble}); run it again")
    except OSError as error:
        raise _cannot_write(folder, error) from error
    if lost:
        total = len(_wanted(manifest, everything))
        failures = {file.path: there.why_not(file) for file in lost}
        raise DatasetError(
            report(
                f"{manifest.name}: {total - len(lost)} of {plural(total, 'file')} are in {folder}, {len(lost)} "
                f"{'was' if len(lost) == 1 else 'were'} not found in {source} (without --from they are downloaded)",
                failures,
            )
        )
    return len(wanted)


def verify(manifest: Manifest, folder: Path, progress: bool = True) -> dict[str, str]:
    """Check the files in the cache, and change nothing.

    Frames and extras that were never fetched are no fault.

    Returns
    -------
    dict of str to str
        What is wrong, by the file's path in the dataset; empty when all is well.

    Raises
    ------
    DatasetError
        When the dataset is not verified: there is nothing to check against.
    """
    _refuse_unverified(manifest)
    troubles = {}
    with _files_bar(manifest.files, manifest.name, progress) as bar:
        for file in bar:
            path = folder / file.path
            if not path.is_file():
                if not file.optional:
                    troubles[file.path] = "missing"
                continue
            try:
                trouble = integrity.problem(path, file)
            except OSError as error:
                trouble = f"cannot be read ({error.strerror or error})"
            if trouble:
                troubles[file.path] = trouble
    return troubles


def _wanted(manifest: Manifest, everything: bool) -> list[DataFile]:
    return [file for file in manifest.files if everything or not file.optional]


def _refuse_unverified(manifest: Manifest) -> None:
    if not manifest.verified:
        raise DatasetError(
            f"{manifest.name}: nobody has hashed these files yet (verified: false), so a download could not be checked "
            f"and is not made. Download them by hand from {manifest.archive}, describe them with 'cryokit data hash "
            f"FOLDER > my_{manifest.name}.yaml', complete that file, and use 'cryokit data fetch "
            f"my_{manifest.name}.yaml --from FOLDER'"
        )


def _cannot_write(folder: Path, error: OSError) -> DatasetError:
    from cryokit.datasets import CACHE_VARIABLE

    place = f" ({error.filename})" if error.filename else ""
    return DatasetError(
        f"{folder}: {error.strerror or error}{place}; free space there, or name another folder in {CACHE_VARIABLE}. "
        "Files that were finished are kept"
    )


def report(heading: str, failures: dict[str, str], limit: int = 10) -> str:
    """Return a heading and, below, the first `limit` files with what is wrong with them."""
    lines = [f"  {path}: {reason}" for path, reason in failures.items()]
    if len(lines) > limit:
        lines[limit:] = [f"  ... and {len(lines) - limit} more"]
    return "\n".join([f"{heading}:", *lines])


def _files_bar(files, name: str, progress: bool) -> tqdm:
    # disable=None: no bar where the output is not a terminal.
    return tqdm(files, desc=name, unit="file", disable=None if progress else True)


class _BytesBar(tqdm):
    """The bar of one file. pooch asks whether it is true; a tqdm bar without a total cannot answer that."""

    def __bool__(self) -> bool:
        return True


def _download_one(file: DataFile, folder: Path, timeout: float, attempts: int, pause: float, progress: bool) -> None:
    """Try every address of a file, each `attempts` times."""
    if not file.urls:
        raise _Failed("has no address; take it from a local folder (--from)")
    reasons = []
    for url in file.urls:
        for attempt in range(attempts):
            if attempt:
                time.sleep(pause * 2 ** (attempt - 1))
            try:
                return _download_once(file, url, folder / file.path, timeout, progress)
            except _Failed as error:
                failure = error
                logger.debug("%s: %s (try %d of %d)", url, error, attempt + 1, attempts)
            if not failure.transient:
                break
        reasons.append(failure)
    raise _Failed(
        "; ".join(f"{url}: {reason}" for url, reason in zip(file.urls, reasons, strict=True)),
        silent=all(reason.silent for reason in reasons),
    )


def _download_once(file: DataFile, url: str, target: Path, timeout: float, progress: bool) -> None:
    """Download one file from one address into a temporary file, check it, and only then give it its name."""
    import pooch
    import requests

    with (
        replacing(target) as temporary,
        _BytesBar(
            total=file.bytes,
            desc=target.name,
            unit="B",
            unit_scale=True,
            position=1,
            leave=False,
            disable=None if progress else True,
        ) as bar,
    ):
        downloader = pooch.HTTPDownloader(
            progressbar=bar,
            chunk_size=1 << 16,
            timeout=timeout,
            # The hashes are of the bytes as stored: a server must not compress them on the way.
            headers={"Accept-Encoding": "identity"},
        )
        try:
            downloader(url, str(temporary), None)
        except requests.HTTPError as error:
            status = error.response.status_code
            reason = f"the server answered {status} {error.response.reason}"
            raise _Failed(reason, transient=status in _TRANSIENT_STATUS) from error
        except requests.Timeout as error:
            raise _Failed(f"no byte within {timeout:g} s", transient=True, silent=True) from error
        except requests.exceptions.ChunkedEncodingError as error:
            raise _Failed("the transfer broke off", transient=True) from error
        except requests.ConnectionError as error:
            # requests tells a stall in the middle of the body as a ConnectionError, too.
            if "timed out" in str(error).lower():
                raise _Failed(f"no byte within {timeout:g} s", transient=True, silent=True) from error
            raise _Failed(f"no connection ({_innermost(error)})", transient=True, silent=True) from error
        except requests.RequestException as error:
            raise _Failed(str(error)) from error
        size = temporary.stat().st_size
        # The bar's total is the length that the server announced; old versions of urllib3 do not compare the two.
        if bar.total and size < bar.total:
            raise _Failed(f"the transfer broke off after {size} of {bar.total} bytes", transient=True)
        if trouble := integrity.problem(temporary, file):
            raise _Failed(f"not the right file, thrown away: {trouble}")


def _innermost(error: BaseException) -> str:
    """Return the plain reason at the bottom of a chain of wrapped network errors."""
    while inner := next((part for part in error.args if isinstance(part, BaseException)), None):
        error = inner
    # urllib3 gives the reason of what it wraps once more here.
    error = getattr(error, "reason", None) or error
    return (getattr(error, "strerror", None) or str(error)).split(">: ")[-1] or type(error).__name__


class _LocalFiles:
    """The files below a folder, found by content; each is hashed at most once per kind of hash."""

    def __init__(self, source: Path):
        self.source = source
        self.sizes = {path: path.stat().st_size for path in sorted(source.rglob("*")) if path.is_file()}
        self._hashes: dict[tuple[Path, str], str] = {}
        self._found: set[Path] = set()

    def find(self, file: DataFile) -> Path | None:
        """Return the path of the file with the right content, if there is one."""
        names = _names(file)
        candidates = [path for path, size in self.sizes.items() if file.bytes in (None, size)]
        if file.bytes is None:
            # Nothing to sort out by size: leave unread what is of another kind. A name without a suffix says nothing.
            suffixes = {PurePosixPath(name).suffix.lower() for name in names} | {""}
            candidates = [path for path in candidates if path.suffix.lower() in suffixes]
        candidates.sort(key=lambda path: path.name not in names)
        for path in candidates:
            if all(self._hash(path, kind) == value for kind, value in file.hashes.items()):
                self._found.add(path)
                return path
        return None

    def why_not(self, file: DataFile) -> str:
        """Say why `find` found nothing: absent, or there with another content."""
        # A micrograph and its labels may share a name: what was recognised as the one is no bad copy of the other.
        namesakes = [path for path in self.sizes if path.name in _names(file) and path not in self._found]
        if not namesakes:
            return "not found"
        try:
            return f"{namesakes[0]} is another file ({integrity.problem(namesakes[0], file)})"
        except OSError as error:
            return f"{namesakes[0]} cannot be read ({error.strerror or error})"

    def _hash(self, path: Path, kind: str) -> str:
        if (path, kind) not in self._hashes:
            try:
                self._hashes[path, kind] = integrity.HASHES[kind](path)
            except OSError as error:
                logger.warning("%s cannot be read (%s)", path, error.strerror or error)
                self._hashes[path, kind] = ""
        return self._hashes[path, kind]


def _names(file: DataFile) -> set[str]:
    """Return what a local copy may be called: as in the cache, or as at its address."""
    return {PurePosixPath(file.path).name} | {PurePosixPath(unquote(urlsplit(url).path)).name for url in file.urls}
