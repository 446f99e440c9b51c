"""Draft the manifest of a local folder."""

import os
import re
from pathlib import Path

from tqdm import tqdm

from cryokit._util.names import MICROGRAPH_SUFFIXES, coordinate_file_micrograph, micrograph_name
from cryokit.coordinates.formats import SUFFIXES
from cryokit.datasets import integrity
from cryokit.datasets.manifest import SCHEMA, assign_splits
from cryokit.errors import DatasetError


def describe(folder: str | os.PathLike, name: str | None = None) -> str:
    """Return a manifest, as YAML, of the files in a local folder and below.

    Sizes and hashes are taken from the files. Pictures and MRC files become micrographs, split by
    `cryokit.datasets.manifest.assign_splits`; coordinate files named after a micrograph become its labels; everything
    else is an extra. What no program can know (title, licence, pixel size, addresses) is left to be completed, but the
    manifest is valid as it is: ``cryokit data fetch FILE --from FOLDER`` works with it.

    Parameters
    ----------
    folder : path-like
        Folder to describe.
    name : str, optional
        Name of the dataset, which must also be that of the YAML file; by default made from the folder's name.

    Raises
    ------
    DatasetError
        If there is no such folder, no micrograph in it, or two micrographs of one name.
    """
    import yaml

    folder = Path(folder)
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder")
    paths = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    micrographs: dict[str, Path] = {}
    for path in paths:
        if path.name.lower().endswith(MICROGRAPH_SUFFIXES):
            first = micrographs.setdefault(micrograph_name(path), path)
            if first != path:
                raise DatasetError(
                    f"{path} and {first} are micrographs of one name; move label pictures and frames to another folder "
                    "and add them to the manifest by hand (role label-discs or frame)"
                )
    if not micrographs:
        raise DatasetError(f"{folder}: no micrograph in this folder ({', '.join(MICROGRAPH_SUFFIXES)})")
    splits = assign_splits(micrographs)
    files = []
    for path in tqdm(paths, desc="hash", unit="file", disable=None):
        entry: dict = {"path": path.relative_to(folder).as_posix()}
        if micrographs.get(micrograph_name(path)) == path:
            entry |= {"role": "micrograph", "split": splits[micrograph_name(path)]}
        elif path.name.lower().endswith(SUFFIXES) and coordinate_file_micrograph(path) in micrographs:
            entry |= {"role": "label-coordinates", "micrograph": coordinate_file_micrograph(path)}
        else:
            entry["role"] = "extra"
        files.append(entry | {"bytes": path.stat().st_size, "sha256": integrity.sha256(path)})
    name = name or re.sub(r"[^a-z0-9_-]+", "_", folder.resolve().name.lower()).strip("_-") or "dataset"
    content = {
        "schema": SCHEMA,
        "name": name,
        "title": f"Title of {name}: complete",
        "citation": [],
        "licence": "unknown",
        "pixel_size": None,
        "diameter": {"pixels": None, "angstrom": None},
        "views": [],
        "verified": True,
        "archive": None,
        "labels": "How the labels were made: complete",
        "split_rule": "Sorted by name: every fourth is test, every fifth of the others validation.",
        "notes": None,
        "files": files,
    }
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
