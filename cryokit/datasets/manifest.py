"""Manifests: a YAML file that says what a dataset is and how to recognise its files.

The schema is described for people in ``data_manifests/README.md``; this module enforces it.
"""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryokit._util.names import coordinate_file_micrograph, micrograph_name
from cryokit._util.resources import folder
from cryokit._util.validation import check_choice
from cryokit._util.wording import shortened
from cryokit._util.yaml_files import Node, read_yaml
from cryokit.errors import ArgumentError, ArgumentTypeError, DatasetError

SCHEMA = 1
SPLITS = ("train", "validation", "test")
ROLES = ("micrograph", "label-discs", "label-coordinates", "frame", "extra")
# Fetched only when asked for: nothing that picks or scores particles needs them.
OPTIONAL_ROLES = ("frame", "extra")
MANIFESTS_VARIABLE = "CRYOKIT_MANIFESTS"

_VIEWS = ("top", "side", "irregular")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_URL = re.compile(r"https?://[^\s/]+/\S+").fullmatch
_DIGITS = {"sha256": 64, "git_blob_sha1": 40}  # of a hash, in hexadecimal
_ARCHIVE = re.compile(r"(https?|ftp)://\S+").fullmatch
_SCHEMA_HINT = "the schema is in data_manifests/README.md"


@dataclass(frozen=True)
class DataFile:
    """One file of a dataset.

    Attributes
    ----------
    path : str
        Path in the folder of the dataset, with forward slashes.
    role : str
        One of `ROLES`.
    micrograph : str
        Name of the micrograph that the file is, or belongs to; "" for an extra that belongs to none.
    split : str or None
        One of `SPLITS` for a micrograph, None for every other role.
    urls : tuple of str
        Addresses to download it from, tried in turn; empty for a file that only exists locally.
    bytes : int or None
        Size in bytes; None if unknown.
    sha256, git_blob_sha1 : str or None
        Hashes, lower-case hexadecimal.
    scale : float
        Pixels of the micrograph per pixel of the file: a label picture may be a smaller copy, made by averaging blocks
        of pixels.
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
        """Known hashes by name."""
        known = {"sha256": self.sha256, "git_blob_sha1": self.git_blob_sha1}
        return {name: value for name, value in known.items() if value}

    @property
    def optional(self) -> bool:
        """Whether the file is fetched only when asked for."""
        return self.role in OPTIONAL_ROLES


@dataclass(frozen=True)
class Manifest:
    """Description of a dataset, read from YAML and checked.

    Attributes
    ----------
    name, title, licence : str
        Name, title in one line, and licence.
    citation : tuple of str
        Publications to cite.
    pixel_size : float or None
        Angstrom per pixel; None if unknown.
    diameter_pixels, diameter_angstrom : float or None
        Particle diameter in pixels and in Angstrom; None if unknown.
    views : tuple of str
        Views that occur.
    verified : bool
        Whether somebody has hashed the files, so that a download can be verified.
    archive : str or None
        Public address of the whole archive.
    labels, split_rule, notes : str
        In words: how the labels were made, how the micrographs were split, anything else.
    files : tuple of DataFile
        Files of the dataset.
    source : pathlib.Path
        YAML file.
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
        """Return the files of one or several roles in the order of the manifest.

        Parameters
        ----------
        role : str or sequence of str
            Roles of the files, out of `ROLES`.
        split : {"train", "validation", "test"}, optional
            Split of the files; all by default. Labels and frames belong to the split of their micrograph.

        Raises
        ------
        ArgumentError
            If a role or the split is unknown.
        """
        roles = (role,) if isinstance(role, str) else tuple(role)
        for name in roles:
            check_choice("role", name, ROLES)
        check_choice("split", split, (None, *SPLITS))
        splits = {file.micrograph: file.split for file in self.files if file.role == "micrograph"}
        return [
            file
            for file in self.files
            if file.role in roles and (split is None or splits.get(file.micrograph) == split)
        ]


def available() -> dict[str, Path]:
    """Return the YAML files of all manifests by the names of their datasets.

    These are the manifests that come with cryokit and those in the folder named by the environment variable
    ``CRYOKIT_MANIFESTS``.

    Raises
    ------
    DatasetError
        If that folder does not exist, or two manifests have the same name.
    """
    folders = [folder("data_manifests")]
    if own := os.environ.get(MANIFESTS_VARIABLE):
        if not Path(own).is_dir():
            raise DatasetError(
                f"{own}: no such folder, but {MANIFESTS_VARIABLE} names it; make it or unset the variable"
            )
        folders.append(Path(own))
    manifests: dict[str, Path] = {}
    for place in folders:
        for path in sorted([*place.glob("*.yaml"), *place.glob("*.yml")]):
            other = manifests.setdefault(path.stem, path)
            if other != path:
                raise DatasetError(f"{other} and {path} have the same name; rename one of them")
    return dict(sorted(manifests.items()))


def find(name: str | os.PathLike) -> Manifest:
    """Read the manifest of a dataset.

    Parameters
    ----------
    name : str or path-like
        Name of a dataset (`available`), or path of a manifest.

    Raises
    ------
    DatasetError
        If there is no such dataset, or its manifest is not valid.

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
            f"unknown dataset {text!r}; known are {', '.join(known)}. A manifest of your own is found by its path "
            f"(my.yaml), or by its name in the folder that {MANIFESTS_VARIABLE} names"
        )
    return read(known[text])


def read(path: str | os.PathLike) -> Manifest:
    """Read and check a manifest.

    Raises
    ------
    DatasetError
        If the file cannot be read, is not YAML or does not follow the schema; the message names the file, the key and
        what was expected there.
    """
    path = Path(path)
    content = Node(read_yaml(path, DatasetError))
    try:
        return _manifest(content, path)
    except (ArgumentError, ArgumentTypeError) as error:
        raise DatasetError(f"{path}: {shortened(str(error), 2000)}; {_SCHEMA_HINT}") from None


def assign_splits(names: Iterable[str]) -> dict[str, str]:
    """Split micrographs: every fourth name in sorted order is test, every fifth of the others validation.

    In most sessions names sort by the time of recording, so that each split samples the whole session. 80 micrographs
    become 48 train, 12 validation and 20 test: the 60 to 20 of table 6 of the DeepCryoPicker paper.

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


def _manifest(node: Node, path: Path) -> Manifest:
    needed = ("schema", "name", "title", "citation", "licence", "pixel_size", "diameter", "views", "verified", "files")
    keys = node.mapping(needed, ("archive", "labels", "split_rule", "notes"))
    schema = keys["schema"].value
    keys["schema"].check(type(schema) is int and schema == SCHEMA, f"{SCHEMA} (the version that this cryokit reads)")
    name = keys["name"].text("a name of lower-case letters, digits, _ and -", _NAME.fullmatch)
    keys["name"].check(name == path.stem, f"{path.stem!r}, the name of the file")
    verified = keys["verified"].flag()
    archive = keys["archive"].optional_text("an address (https://, http:// or ftp://), or null", _ARCHIVE)
    keys["archive"].check(verified or archive is not None, "the address of the archive, as verified is false")
    entries = keys["files"].items("a list of files (it may be empty: [])")
    files = tuple(_file(entry, verified) for entry in entries)
    usable = not verified or any(file.role == "micrograph" for file in files)
    keys["files"].check(usable, "at least one file with the role micrograph, as verified is true")
    _check_together(files, entries)
    diameter = keys["diameter"].mapping(("pixels", "angstrom"))
    return Manifest(
        name=name,
        title=keys["title"].text(),
        citation=tuple(entry.text() for entry in keys["citation"].items("a list of texts")),
        licence=keys["licence"].text('a text ("unknown" if it is)'),
        pixel_size=keys["pixel_size"].number(0, above=True),
        diameter_pixels=diameter["pixels"].number(0, above=True),
        diameter_angstrom=diameter["angstrom"].number(0, above=True),
        views=tuple(entry.choice(_VIEWS) for entry in keys["views"].items("a list of views")),
        verified=verified,
        archive=archive,
        files=files,
        source=path,
        **{key: keys[key].optional_text() or "" for key in ("labels", "split_rule", "notes")},
    )


def _file(node: Node, verified: bool) -> DataFile:
    keys = node.mapping(("path", "role"), ("micrograph", "split", "urls", "bytes", "sha256", "git_blob_sha1", "scale"))
    role = keys["role"].choice(ROLES)
    path = keys["path"].text("a relative path with forward slashes, without '..', '.' or a drive", _is_safe)
    micrograph = keys["micrograph"].optional_text("the name of a micrograph")
    split = keys["split"].value
    if role == "micrograph":
        keys["split"].choice(SPLITS)
        own = micrograph_name(path)
        keys["micrograph"].check(micrograph in (None, own), f"{own!r} (the name of {path}), or no such key")
        micrograph = own
    else:
        keys["split"].check(split is None, "no such key: only micrographs are split, labels follow them")
        keys["micrograph"].check(role == "extra" or micrograph is not None, "the name of the file's micrograph")
    urls = keys["urls"].items("a list of addresses")
    hashes = {}
    for kind, digits in _DIGITS.items():
        accept = re.compile(f"[0-9a-f]{{{digits}}}").fullmatch
        hashes[kind] = keys[kind].optional_text(f"{digits} lower-case hexadecimal digits in quotes", accept)
    node.check(any(hashes.values()) or not verified, "sha256 or git_blob_sha1, as verified is true")
    return DataFile(
        path=path,
        role=role,
        micrograph=micrograph or "",
        split=split,
        urls=tuple(entry.text("an address that begins with https:// or http://", _URL) for entry in urls),
        bytes=keys["bytes"].number(0, whole=True),
        scale=keys["scale"].number(0, above=True) or 1.0,
        **hashes,
    )


def _check_together(files: Sequence[DataFile], entries: Sequence[Node]) -> None:
    """Check what no single file shows: paths and names are unique, labels have their micrograph."""
    paths: dict[str, int] = {}
    names: dict[str, int] = {}
    for index, file in enumerate(files):
        # Some file systems cannot hold two names that differ in case only.
        first = paths.setdefault(file.path.lower(), index)
        if first == index and file.role == "micrograph":
            first = names.setdefault(file.micrograph, index)
        if first != index:
            raise entries[index].error(f"{file.path} has the name of files[{first}]")
    for file, entry in zip(files, entries, strict=True):
        if file.micrograph and file.micrograph not in names:
            raise entry.error(f"no file with the role micrograph is named {file.micrograph}")
        if file.role.startswith("label-") and coordinate_file_micrograph(file.path) != file.micrograph:
            raise entry.error(f"{file.path} is not named after its micrograph {file.micrograph}")


def _is_safe(path: str) -> bool:
    return not set(path.split("/")) & {"", ".", ".."} and re.search(r'[\\:*?"<>|\x00-\x1f\x7f]', path) is None
