"""Manifests: one YAML file that says what a dataset is and how to know its files.

The schema is described for people in ``data_manifests/README.md``; this module is what enforces it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from cryokit._util.names import coordinate_file_micrograph, micrograph_name
from cryokit._util.resources import folder
from cryokit.errors import DatasetError

SCHEMA = 1
SPLITS = ("train", "validation", "test")
ROLES = ("micrograph", "label-discs", "label-coordinates", "frame", "extra")
# Fetched only when asked for: nothing that picks or scores particles needs them.
OPTIONAL_ROLES = ("frame", "extra")
MANIFESTS_VARIABLE = "CRYOKIT_MANIFESTS"

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_VIEWS = ("top", "side", "irregular")


@dataclass(frozen=True)
class DataFile:
    """One file of a dataset.

    Attributes
    ----------
    path : str
        Where it lies in the dataset's folder, relative, with forward slashes.
    role : str
        One of `ROLES`.
    micrograph : str
        The name of the micrograph that the file is, or belongs to; "" for an extra that belongs to none.
    split : str or None
        One of `SPLITS` for a micrograph, None for every other role.
    urls : tuple of str
        Addresses to download it from, tried in turn; empty for a file that only exists locally.
    bytes : int or None
        Its size; None where unknown.
    sha256, git_blob_sha1 : str or None
        Its hashes, lower-case hexadecimal.
    scale : float
        Pixels of the micrograph per pixel of the file: a label picture may be smaller than its micrograph, made by
        averaging blocks of its pixels.
    """

    path: str
    role: str
    micrograph: str
    split: str | None = None
    urls: tuple[str, ...] = ()
    bytes: int | None = None
    sha256: str | None = None
    git_blob_sha1: str | None = None
    scale: float = 1.0

    @property
    def hashes(self) -> dict[str, str]:
        """The hashes that are known, by name."""
        known = {"sha256": self.sha256, "git_blob_sha1": self.git_blob_sha1}
        return {name: value for name, value in known.items() if value}

    @property
    def optional(self) -> bool:
        """Whether the file is left out unless asked for."""
        return self.role in OPTIONAL_ROLES


@dataclass(frozen=True)
class Manifest:
    """A dataset's description, read from YAML and checked.

    Attributes
    ----------
    name, title, licence : str
    citation : tuple of str
    pixel_size : float or None
        Angstrom per pixel; None where unknown.
    diameter_pixels, diameter_angstrom : float or None
        The particle's diameter.
    views : tuple of str
    verified : bool
        Whether somebody has hashed the files, so that a download can be checked.
    archive : str or None
        The public address of the whole archive.
    labels, split_rule, notes : str
        In words: how the labels were made, how the micrographs were split, anything else.
    files : tuple of DataFile
    source : pathlib.Path
        The YAML file.
    """

    name: str
    title: str
    citation: tuple[str, ...]
    licence: str
    pixel_size: float | None
    diameter_pixels: float | None
    diameter_angstrom: float | None
    views: tuple[str, ...]
    verified: bool
    archive: str | None
    labels: str
    split_rule: str
    notes: str
    files: tuple[DataFile, ...]
    source: Path

    def select(self, role: str | Sequence[str], split: str | None = None) -> list[DataFile]:
        """Return the files of one role (or several), of one split or of all, in the manifest's order.

        Labels and frames belong to the split of their micrograph.

        Raises
        ------
        DatasetError
            When the split's or a role's name is unknown.
        """
        roles = (role,) if isinstance(role, str) else tuple(role)
        if unknown := [name for name in roles if name not in ROLES]:
            raise DatasetError(f"there is no role {unknown[0]!r}; there are: {', '.join(ROLES)}")
        if split is not None and split not in SPLITS:
            raise DatasetError(f"there is no split {split!r}; there are: {', '.join(SPLITS)}")
        splits = {file.micrograph: file.split for file in self.files if file.role == "micrograph"}
        return [
            file
            for file in self.files
            if file.role in roles and (split is None or splits.get(file.micrograph) == split)
        ]


def available() -> dict[str, Path]:
    """Return name -> YAML file of every manifest at hand.

    These are the manifests that come with cryokit and those in the folder that the environment variable
    ``CRYOKIT_MANIFESTS`` names.

    Raises
    ------
    DatasetError
        When that folder does not exist, or two manifests have one name.
    """
    folders = [folder("data_manifests")]
    if own := os.environ.get(MANIFESTS_VARIABLE):
        if not Path(own).is_dir():
            raise DatasetError(f"{MANIFESTS_VARIABLE} names {own}, which is no folder; make it, or unset the variable")
        folders.append(Path(own))
    found: dict[str, Path] = {}
    for place in folders:
        for path in sorted([*place.glob("*.yaml"), *place.glob("*.yml")]):
            if path.stem in found:
                raise DatasetError(f"{path} and {found[path.stem]} have the same name; rename one of them")
            found[path.stem] = path
    return dict(sorted(found.items()))


def find(name: str | os.PathLike) -> Manifest:
    """Read the manifest called `name`, or the one in the YAML file `name`.

    Raises
    ------
    DatasetError
        When there is none, or it is not valid.

    Examples
    --------
    >>> find("klh").pixel_size
    2.2
    """
    text = os.fspath(name)
    if text.lower().endswith((".yaml", ".yml")):
        return read(text)
    known = available()
    if text not in known:
        raise DatasetError(
            f"there is no dataset {text!r}; there are: {', '.join(known)}. A manifest of your own is given by its path "
            f"(my.yaml), or by its name when it lies in the folder that {MANIFESTS_VARIABLE} names"
        )
    return read(known[text])


def read(path: str | os.PathLike) -> Manifest:
    """Read and check one manifest.

    Raises
    ------
    DatasetError
        When the file cannot be read, is no YAML, or breaks the schema; the message names the file, the key and
        what was expected there.
    """
    import yaml

    path = Path(path)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        with path.open("rb") as stream:
            content = yaml.load(stream, Loader=loader)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: is not valid YAML: {' '.join(str(error).split())}") from None
    return _manifest(_Node(path, content), path)


def assign_splits(names: Iterable[str]) -> dict[str, str]:
    """Split micrographs: every fourth name in sorted order is test, every fifth of the others validation.

    Names sort by the time of recording in most sessions, so that each split samples the whole session. 80 micrographs
    become 48 train, 12 validation, 20 test: the 60 to 20 of the DeepCryoPicker paper's table 6.

    Examples
    --------
    >>> from collections import Counter
    >>> sorted(Counter(assign_splits(f"{n:02d}" for n in range(80)).values()).items())
    [('test', 20), ('train', 48), ('validation', 12)]
    """
    names = sorted(names)
    splits = {name: "test" for name in names[3::4]}
    others = [name for name in names if name not in splits]
    splits.update({name: "validation" if index % 5 == 4 else "train" for index, name in enumerate(others)})
    return {name: splits[name] for name in names}


class _Node:
    """A place in the YAML: knows what it is called, so that every complaint names file and key."""

    def __init__(self, path: Path, value: Any, key: str = ""):
        self.path, self.value, self.key = path, value, key

    def fail(self, expected: str) -> DatasetError:
        found = repr(self.value)
        found = found if len(found) <= 60 else f"{found[:57]}..."
        place = f"{self.path}: {self.key}" if self.key else f"{self.path}"
        return DatasetError(f"{place}: expected {expected}, found {found}; the schema is in data_manifests/README.md")

    def mapping(self, required: tuple[str, ...], optional: tuple[str, ...]) -> dict[str, _Node]:
        if not isinstance(self.value, dict):
            raise self.fail(f"a mapping with the keys {', '.join(required + optional)}")
        place = f"{self.path}: {self.key}" if self.key else f"{self.path}"
        if missing := [key for key in required if key not in self.value]:
            raise DatasetError(f"{place}: key {missing[0]!r} is missing; the schema is in data_manifests/README.md")
        if unknown := [key for key in self.value if key not in required + optional]:
            raise DatasetError(f"{place}: unknown key {unknown[0]!r}; known are {', '.join(required + optional)}")
        return {
            key: _Node(self.path, self.value.get(key), f"{self.key}.{key}" if self.key else key)
            for key in required + optional
        }

    def list(self, expected: str) -> list[_Node]:
        if not isinstance(self.value, list):
            raise self.fail(expected)
        return [_Node(self.path, value, f"{self.key}[{index}]") for index, value in enumerate(self.value)]

    def text(self, expected: str = "a text", accept: Callable[[str], bool] = bool) -> str:
        if not isinstance(self.value, str) or not accept(self.value.strip()):
            raise self.fail(expected)
        return self.value.strip()

    def number(self, expected: str = "a number above 0, or null") -> float | None:
        if self.value is None:
            return None
        is_number = isinstance(self.value, (int, float)) and not isinstance(self.value, bool)
        if not (is_number and 0 < self.value < float("inf")):
            raise self.fail(expected)
        return float(self.value)

    def maybe(self, expected: str, accept: Callable[[str], bool]) -> str | None:
        return None if self.value is None else self.text(expected, accept)


def _manifest(node: _Node, path: Path) -> Manifest:
    required = (
        "schema",
        "name",
        "title",
        "citation",
        "licence",
        "pixel_size",
        "diameter",
        "views",
        "verified",
        "files",
    )
    keys = node.mapping(required, ("archive", "labels", "split_rule", "notes"))
    if keys["schema"].value != SCHEMA or isinstance(keys["schema"].value, bool):
        raise keys["schema"].fail(f"{SCHEMA} (the version of the schema that this cryokit reads)")
    name = keys["name"].text("a name of lower-case letters, digits, _ and -", _NAME.fullmatch)
    if name != path.stem:
        raise keys["name"].fail(f"{path.stem!r}, the name of the file")
    if not isinstance(keys["verified"].value, bool):
        raise keys["verified"].fail("true or false")
    verified = keys["verified"].value
    diameter = keys["diameter"].mapping(("pixels", "angstrom"), ())
    archive = keys["archive"].maybe("an address that begins with https://, http:// or ftp://, or null", _is_archive)
    files = tuple(_file(entry, verified) for entry in keys["files"].list("a list of files (it may be empty: [])"))
    if verified and not any(file.role == "micrograph" for file in files):
        raise keys["files"].fail("at least one file with the role micrograph, since verified is true")
    if not verified and archive is None:
        raise keys["archive"].fail("the archive's address, since verified is false and nothing can be downloaded")
    _check_together(files, keys["files"])
    return Manifest(
        name=name,
        title=keys["title"].text(),
        citation=tuple(entry.text() for entry in keys["citation"].list("a list of texts")),
        licence=keys["licence"].text('a text ("unknown" where it is)'),
        pixel_size=keys["pixel_size"].number(),
        diameter_pixels=diameter["pixels"].number(),
        diameter_angstrom=diameter["angstrom"].number(),
        views=tuple(
            entry.text(f"one of {', '.join(_VIEWS)}", _VIEWS.__contains__)
            for entry in keys["views"].list(f"a list of {', '.join(_VIEWS)}")
        ),
        verified=verified,
        archive=archive,
        labels=keys["labels"].maybe("a text, or null", bool) or "",
        split_rule=keys["split_rule"].maybe("a text, or null", bool) or "",
        notes=keys["notes"].maybe("a text, or null", bool) or "",
        files=files,
        source=path,
    )


def _file(node: _Node, verified: bool) -> DataFile:
    keys = node.mapping(("path", "role"), ("micrograph", "split", "urls", "bytes", "sha256", "git_blob_sha1", "scale"))
    role = keys["role"].text(f"one of {', '.join(ROLES)}", ROLES.__contains__)
    path = keys["path"].text("a relative path with forward slashes, without '..', '.' or a drive", _is_safe)
    micrograph = keys["micrograph"].maybe("a micrograph's name", bool)
    if role == "micrograph":
        if micrograph not in (None, micrograph_name(path)):
            raise keys["micrograph"].fail(f"{micrograph_name(path)!r} (what {path} is called), or no such key")
        micrograph = micrograph_name(path)
        if keys["split"].value not in SPLITS:
            raise keys["split"].fail(f"one of {', '.join(SPLITS)}")
    elif keys["split"].value is not None:
        raise keys["split"].fail("no such key: only micrographs are split, their labels follow them")
    if micrograph is None and role != "extra":
        raise keys["micrograph"].fail("the name of the micrograph that the file belongs to")
    size = keys["bytes"].value
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 0):
        raise keys["bytes"].fail("a whole number, or null where unknown")
    file = DataFile(
        path=path,
        role=role,
        micrograph=micrograph or "",
        split=keys["split"].value,
        urls=tuple(
            entry.text("an address that begins with https:// or http://", _is_url)
            for entry in (keys["urls"].list("a list of addresses") if keys["urls"].value is not None else [])
        ),
        bytes=size,
        sha256=keys["sha256"].maybe("64 lower-case hexadecimal digits in quotes", re.compile("[0-9a-f]{64}").fullmatch),
        git_blob_sha1=keys["git_blob_sha1"].maybe(
            "40 lower-case hexadecimal digits in quotes", re.compile("[0-9a-f]{40}").fullmatch
        ),
        scale=keys["scale"].number("a number above 0") or 1.0,
    )
    if verified and not file.hashes:
        raise node.fail("sha256 or git_blob_sha1, since verified is true")
    return file


def _check_together(files: tuple[DataFile, ...], node: _Node) -> None:
    """Check what no single file shows: paths and names are unique, labels have their micrograph."""
    seen: dict[str, int] = {}
    for index, file in enumerate(files):
        # Some file systems hold no two names that differ in case only.
        first = seen.setdefault(file.path.lower(), index)
        if first != index:
            raise DatasetError(f"{node.path}: files[{index}].path: {file.path} is the path of files[{first}] as well")
    names: dict[str, int] = {}
    for index, file in enumerate(files):
        if file.role == "micrograph":
            first = names.setdefault(file.micrograph, index)
            if first != index:
                raise DatasetError(
                    f"{node.path}: files[{index}].path: the micrograph {file.micrograph} is files[{first}] already"
                )
    for index, file in enumerate(files):
        if file.micrograph and file.micrograph not in names:
            raise DatasetError(
                f"{node.path}: files[{index}].micrograph: no file with the role micrograph is called {file.micrograph}"
            )
        if file.role.startswith("label-") and coordinate_file_micrograph(file.path) != file.micrograph:
            raise DatasetError(
                f"{node.path}: files[{index}].path: a label file is called like its micrograph; "
                f"{file.path} does not go with {file.micrograph}"
            )


def _is_safe(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return (
        bool(parts)
        and not path.startswith("/")
        and path == "/".join(parts)
        and not set(parts) & {"..", "."}
        and re.search(r'[\\:*?"<>|\x00-\x1f\x7f]', path) is None
    )


def _is_url(text: str) -> bool:
    return re.fullmatch(r"https?://[^\s/]+/\S+", text) is not None


def _is_archive(text: str) -> bool:
    return re.fullmatch(r"(https?|ftp)://\S+", text) is not None
