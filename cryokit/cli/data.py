"""``cryokit data``: list, describe, fetch and verify datasets."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from typing import TYPE_CHECKING

from cryokit._util.wording import plural

if TYPE_CHECKING:
    from cryokit.datasets import Dataset


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands of ``cryokit data``."""
    parser.epilog = (
        "NAME is a dataset that 'cryokit data list' shows, or the path of a manifest of your own (.yaml). Files go to "
        "the system's cache, or to the folder that CRYOKIT_DATA names. CRYOKIT_MANIFESTS names a folder of further "
        "manifests."
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="show the datasets")
    info = actions.add_parser("info", help="show all that is known of a dataset")
    info.add_argument("name", metavar="NAME")
    fetch = actions.add_parser("fetch", help="download a dataset, or take it from a local folder")
    fetch.add_argument("name", metavar="NAME")
    fetch.add_argument(
        "--from",
        dest="source",
        metavar="DIR",
        help="take the files from this folder (under any name, recognised by their hashes) instead of downloading",
    )
    fetch.add_argument("--link", action="store_true", help="with --from: link to the files instead of copying them")
    fetch.add_argument("--all", dest="everything", action="store_true", help="frames and extras as well")
    fetch.add_argument(
        "--timeout",
        type=_positive,
        default=30.0,
        metavar="S",
        help="seconds of silence before a retry (default: 30)",
    )
    verify = actions.add_parser("verify", help="check the fetched files of a dataset against their hashes")
    verify.add_argument("name", metavar="NAME")
    export = actions.add_parser(
        "export",
        help="write a fetched dataset's labels as CSV files, and lists of its micrographs by split",
        description="Write labels/<micrograph>.csv and train.txt, validation.txt, test.txt: cryokit pick takes such a "
        "list as @test.txt, cryokit evaluate the folder of labels.",
    )
    export.add_argument("name", metavar="NAME")
    export.add_argument("--out", required=True, metavar="DIR", help="folder to write into")
    describe = actions.add_parser("hash", help="print a manifest of a local folder, with sizes and hashes")
    describe.add_argument("folder", metavar="DIR")
    describe.add_argument("--name", help="the dataset's name (default: the folder's)")


def run(options: argparse.Namespace) -> int:
    """Run one sub-command; returns the exit status."""
    return _ACTIONS[options.action](options)


def _list(options: argparse.Namespace) -> int:
    from cryokit.datasets import available, load
    from cryokit.errors import DatasetError

    broken = []
    rows = [("NAME", "MICROGRAPHS", "LABELLED", "IN CACHE", "TITLE")]
    for name in available():
        try:
            dataset = load(name)
        except DatasetError as error:
            broken.append(str(error))
            continue
        manifest = dataset.manifest
        micrographs = manifest.select("micrograph")
        labelled = {file.micrograph for file in manifest.select(("label-discs", "label-coordinates"))}
        here = sum((dataset.folder / file.path).is_file() for file in micrographs)
        known = manifest.verified
        rows.append(
            (
                name,
                str(len(micrographs)) if known else "-",
                str(len(labelled)) if known else "-",
                str(here) if known else "by hand",
                manifest.title,
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:4], widths, strict=True)]
        sys.stdout.write("  ".join([*cells, row[4]]).rstrip() + "\n")
    if broken:
        raise DatasetError("manifests that are not valid:\n" + "\n".join(f"  {text}" for text in broken))
    return 0


def _info(options: argparse.Namespace) -> int:
    from cryokit.datasets import load

    sys.stdout.write(_description(load(options.name)))
    return 0


def _fetch(options: argparse.Namespace) -> int:
    from cryokit.datasets import fetch
    from cryokit.errors import DatasetError

    if options.link and not options.source:
        raise DatasetError("--link needs --from DIR: only local files can be linked to")
    dataset = fetch(
        options.name,
        source=options.source,
        everything=options.everything,
        link=options.link,
        timeout=options.timeout,
    )
    sys.stdout.write(f"{dataset.manifest.name}: all files are in {dataset.folder}\n")
    return 0


def _verify(options: argparse.Namespace) -> int:
    from cryokit.datasets import fetching, load
    from cryokit.errors import DatasetError

    dataset = load(options.name)
    troubles = fetching.verify(dataset.manifest, dataset.folder)
    if not dataset.any_here:
        raise DatasetError(
            f"{dataset.manifest.name}: nothing fetched yet into {dataset.folder}; 'cryokit data fetch {options.name}' "
            "gets it"
        )
    if troubles:
        raise DatasetError(
            fetching.report(
                f"{dataset.manifest.name}: {plural(len(troubles), 'file')} missing from {dataset.folder} or damaged; "
                f"'cryokit data fetch {options.name}' gets what is needed",
                troubles,
            )
        )
    sys.stdout.write(f"{dataset.manifest.name}: all files in {dataset.folder} are as they should be\n")
    return 0


def _export(options: argparse.Namespace) -> int:
    from pathlib import Path

    from cryokit import coordinates
    from cryokit._util.files import write_text
    from cryokit._util.names import micrograph_name
    from cryokit.datasets import SPLITS, load

    dataset = load(options.name)
    out = Path(options.out)
    told = []
    for split in SPLITS:
        pairs = dataset.pairs(split)
        if not pairs:
            continue
        write_text(out / f"{split}.txt", "".join(f"{path.resolve()}\n" for path, _ in pairs))
        labelled = [micrograph_name(path) for path, label in pairs if label is not None]
        coordinates.write_folder(dataset.labels(split), out / "labels", "csv", micrographs=labelled)
        told.append(f"{split} {plural(len(pairs), 'micrograph')}, {len(labelled)} labelled")
    sys.stdout.write(f"{dataset.manifest.name}: {'; '.join(told)} -> {out}\n")
    return 0


def _hash(options: argparse.Namespace) -> int:
    from cryokit.datasets.drafting import describe

    sys.stdout.write(describe(options.folder, options.name))
    return 0


def _description(dataset: Dataset) -> str:
    """Return what a person wants to know of a dataset before fetching it."""
    import textwrap

    manifest = dataset.manifest
    micrographs = manifest.select("micrograph")
    splits = Counter(file.split for file in micrographs)
    roles = Counter(file.role for file in manifest.files)
    sizes = [file.bytes for file in manifest.files if not file.optional]
    known = sum(size for size in sizes if size is not None)
    unknown = sum(size is None for size in sizes)
    size = f"{known / 1e6:.1f} MB" + (f" and {plural(unknown, 'file')} of unknown size" if unknown else "")
    diameter = [
        f"{value:g} {unit}"
        for value, unit in ((manifest.diameter_pixels, "px"), (manifest.diameter_angstrom, "A"))
        if value is not None
    ]
    lines = {
        "title": manifest.title,
        "pixel size": "unknown" if manifest.pixel_size is None else f"{manifest.pixel_size:g} A",
        "diameter": ", ".join(diameter) or "unknown",
        "views": ", ".join(manifest.views) or "unknown",
        "verified": "yes" if manifest.verified else "no: nobody has hashed the files yet, so they are not downloaded",
        "archive": manifest.archive or "",
        "licence": manifest.licence,
        "citation": "\n".join(manifest.citation),
        "labels": manifest.labels,
        "files": ", ".join(f"{count} {role}" for role, count in roles.items()),
        "to fetch": size if manifest.files else "",
        "split": ", ".join(f"{splits[name]} {name}" for name in ("train", "validation", "test") if splits[name]),
        "split rule": manifest.split_rule,
        "notes": manifest.notes,
        "manifest": str(manifest.source),
        "in cache": str(dataset.folder) if dataset.any_here else f"nothing yet (it goes to {dataset.folder})",
    }
    text = f"{manifest.name}\n"
    for key, value in lines.items():
        for index, paragraph in enumerate(value.split("\n") if value else []):
            head = f"  {key if index == 0 else '':<11} "
            text += textwrap.fill(
                paragraph,
                width=110,
                initial_indent=head,
                subsequent_indent=" " * len(head),
                break_long_words=False,
                break_on_hyphens=False,
            )
            text += "\n"
    return text


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


_ACTIONS = {"list": _list, "info": _info, "fetch": _fetch, "verify": _verify, "export": _export, "hash": _hash}
