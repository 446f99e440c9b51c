"""``cryokit data``: list, describe, fetch and verify datasets."""

import argparse
import sys
import textwrap
from collections import Counter
from pathlib import Path

from cryokit._util.wording import plural
from cryokit.cli.arguments import positive
from cryokit.datasets import SPLITS, available, load
from cryokit.errors import ArgumentError, DatasetError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands of ``cryokit data``."""
    parser.epilog = (
        "NAME is a dataset that 'cryokit data list' shows, or the path of a manifest of your own (.yaml). Files go to "
        "the system's cache, or to the folder named by CRYOKIT_DATA. Manifests in the folder named by "
        "CRYOKIT_MANIFESTS are known by name."
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def add(name: str, run, help: str, argument: str, **settings) -> argparse.ArgumentParser:
        action = actions.add_parser(name, help=help, **settings)
        action.set_defaults(act=run)
        if argument:
            action.add_argument(argument.lower(), metavar=argument)
        return action

    add("list", _list, "show the datasets", "")
    add("info", _info, "show all that is known of a dataset", "NAME")
    fetch = add("fetch", _fetch, "download a dataset, or take it from a local folder", "NAME")
    fetch.add_argument(
        "--from",
        dest="source",
        metavar="DIR",
        help="local folder to take the files from instead of downloading them (under any name, recognised by hashes)",
    )
    fetch.add_argument("--link", action="store_true", help="with --from: link to the files instead of copying them")
    fetch.add_argument("--all", dest="everything", action="store_true", help="fetch frames and extras as well")
    fetch.add_argument(
        "--timeout", type=positive, default=30.0, metavar="S", help="seconds of silence before a retry (default: 30)"
    )
    add("verify", _verify, "compare the fetched files of a dataset with their hashes", "NAME")
    export = add(
        "export",
        _export,
        "write the labels of a fetched dataset as CSV files, and lists of its micrographs by split",
        "NAME",
        description="Write labels/<micrograph>.csv, and train.txt, validation.txt and test.txt. cryokit pick takes "
        "such a list as @test.txt, cryokit evaluate the folder of labels.",
    )
    export.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to write to")
    describe = add("hash", _hash, "print a manifest of a local folder, with sizes and hashes", "DIR")
    describe.add_argument("--name", help="name of the dataset (default: that of the folder)")


def run(options: argparse.Namespace) -> int:
    """Run one sub-command and return the exit status."""
    options.act(options)
    return 0


def _list(options: argparse.Namespace) -> None:
    broken = []
    rows = [("NAME", "MICROGRAPHS", "LABELLED", "IN CACHE", "TITLE")]
    for name in available():
        try:
            dataset = load(name)
        except DatasetError as error:
            broken.append(f"  {error}")
            continue
        manifest = dataset.manifest
        counts = ("-", "-", "by hand")
        if manifest.verified:
            micrographs = manifest.select("micrograph")
            labelled = {file.micrograph for file in manifest.select(("label-discs", "label-coordinates"))}
            cached = sum((dataset.folder / file.path).is_file() for file in micrographs)
            counts = (str(len(micrographs)), str(len(labelled)), str(cached))
        rows.append((name, *counts, manifest.title))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        sys.stdout.write("  ".join(cells).rstrip() + "\n")
    if broken:
        raise DatasetError("\n".join(["manifests that are not valid:", *broken]))


def _fetch(options: argparse.Namespace) -> None:
    from cryokit.datasets import fetch

    if options.link and not options.source:
        raise ArgumentError("--link needs --from DIR: only local files can be linked to")
    dataset = fetch(
        options.name, source=options.source, everything=options.everything, link=options.link, timeout=options.timeout
    )
    sys.stdout.write(f"{dataset.manifest.name}: all files are in {dataset.folder}\n")


def _verify(options: argparse.Namespace) -> None:
    from cryokit.datasets.fetching import report, verify

    dataset = load(options.name)
    troubles = verify(dataset)
    name, folder = dataset.manifest.name, dataset.folder
    command = f"'cryokit data fetch {options.name}'"
    if not dataset.any_here:
        raise DatasetError(f"{name}: nothing fetched yet into {folder}; get it with {command}")
    if troubles:
        heading = f"{name}: {plural(len(troubles), 'file')} missing from {folder} or damaged; get them with {command}"
        raise DatasetError(report(heading, troubles))
    sys.stdout.write(f"{name}: all files in {folder} are correct\n")


def _export(options: argparse.Namespace) -> None:
    from cryokit import coordinates
    from cryokit._util.files import inside
    from cryokit._util.names import micrograph_name
    from cryokit.micrograph.finding import write_list

    dataset = load(options.name)
    counts = []
    labels_folder = inside(options.out, "labels/x").parent
    for split in SPLITS:
        pairs = dataset.pairs(split)
        if not pairs:
            continue
        if unlisted := write_list(options.out / f"{split}.txt", (path.resolve() for path, _ in pairs)):
            raise DatasetError("\n".join(unlisted.values()))
        labelled = [micrograph_name(path) for path, label in pairs if label is not None]
        coordinates.write_folder(dataset.labels(split), labels_folder, "csv", micrographs=labelled)
        counts.append(f"{split} {plural(len(pairs), 'micrograph')}, {len(labelled)} labelled")
    sys.stdout.write(f"{dataset.manifest.name}: {'; '.join(counts)} -> {options.out}\n")


def _hash(options: argparse.Namespace) -> None:
    from cryokit.datasets.drafting import describe

    sys.stdout.write(describe(options.dir, options.name))


def _info(options: argparse.Namespace) -> None:
    """Print what a person wants to know of a dataset before fetching it."""
    dataset = load(options.name)
    manifest = dataset.manifest
    splits = Counter(file.split for file in manifest.select("micrograph"))
    roles = Counter(file.role for file in manifest.files)
    sizes = [file.bytes for file in manifest.files if not file.optional]
    unknown = sizes.count(None)
    size = f"{sum(size or 0 for size in sizes) / 1e6:.1f} MB"
    if unknown:
        size += f" and {plural(unknown, 'file')} of unknown size"
    diameters = ((manifest.diameter_pixels, "px"), (manifest.diameter_angstrom, "A"))
    lines = {
        "title": manifest.title,
        "pixel size": "unknown" if manifest.pixel_size is None else f"{manifest.pixel_size:g} A",
        "diameter": ", ".join(f"{value:g} {unit}" for value, unit in diameters if value is not None) or "unknown",
        "views": ", ".join(manifest.views) or "unknown",
        "verified": "yes" if manifest.verified else "no: nobody has hashed the files yet, so they are not downloaded",
        "archive": manifest.archive or "",
        "licence": manifest.licence,
        "citation": "\n".join(manifest.citation),
        "labels": manifest.labels,
        "files": ", ".join(f"{count} {role}" for role, count in roles.items()),
        "to fetch": size if manifest.files else "",
        "split": ", ".join(f"{splits[name]} {name}" for name in SPLITS if splits[name]),
        "split rule": manifest.split_rule,
        "notes": manifest.notes,
        "manifest": str(manifest.source),
        "in cache": str(dataset.folder) if dataset.any_here else f"nothing yet (it goes to {dataset.folder})",
    }
    paragraphs = [
        (f"  {key if index == 0 else '':<11} ", paragraph)
        for key, value in lines.items()
        for index, paragraph in enumerate(value.split("\n") if value else [])
    ]
    wrapper = textwrap.TextWrapper(width=110, break_long_words=False, break_on_hyphens=False)
    text = [manifest.name]
    for head, paragraph in paragraphs:
        wrapper.initial_indent, wrapper.subsequent_indent = head, " " * len(head)
        text.append(wrapper.fill(paragraph))
    sys.stdout.write("\n".join(text) + "\n")
