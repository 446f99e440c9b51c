"""``cryokit notebooks``: list, run, copy and open the notebooks, and generate them from their sources."""

import argparse
import logging
import sys
import time
from pathlib import Path

from cryokit.cli import lesson_copies, notebook_runner
from cryokit.errors import ArgumentError, NotebookError

logger = logging.getLogger(__name__)

_DIR_HELP = "folder for the copies (default: %(default)s)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions of this command and their options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="list names, titles and parameters")
    listing.set_defaults(action=_list)

    running = actions.add_parser(
        "run",
        help="execute notebooks and write them with their outputs, as .ipynb and .html",
        description="Execute notebooks from the first cell to the last, in the current folder and with this Python.",
    )
    running.add_argument(
        "names", nargs="*", metavar="NAME", help="notebook name, its beginning, or a file (default: all notebooks)"
    )
    running.add_argument(
        "-p",
        "--parameter",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="value for a parameter of the notebook; may be repeated",
    )
    running.add_argument(
        "--profile", choices=notebook_runner.PROFILES, default="quick", help="extent of the run (default: %(default)s)"
    )
    running.add_argument("--out", default="out/notebooks", metavar="DIR", help="output folder (default: %(default)s)")
    running.set_defaults(action=_run)

    copying = actions.add_parser(
        "copy",
        help="copy the notebooks into a folder to work in",
        description="Copy the notebooks into a folder to work in, or bring newer versions there; a notebook that you "
        "have changed is kept, and its new version is put beside it.",
    )
    copying.add_argument("dir", nargs="?", type=Path, default=Path("work"), metavar="DIR", help=_DIR_HELP)
    copying.set_defaults(action=_copy)

    opening = actions.add_parser(
        "lab",
        help="copy the notebooks, as copy does, and open the folder in JupyterLab",
        description="Copy the notebooks into a folder to work in, as 'cryokit notebooks copy' does, and open it in "
        "JupyterLab with a start page.",
    )
    opening.add_argument("--dir", type=Path, default=Path("work"), metavar="DIR", help=_DIR_HELP)
    opening.add_argument(
        "--author",
        action="store_true",
        help="open the notebooks of the repository instead; saving one also writes its source, the .py beside it",
    )
    opening.add_argument("options", nargs="*", metavar="OPTION", help="options of JupyterLab, after --")
    opening.set_defaults(action=_lab)

    syncing = actions.add_parser("sync", help="generate the .ipynb files from their .py sources")
    syncing.add_argument("--check", action="store_true", help="change nothing; exit with 1 if a file is out of date")
    syncing.set_defaults(action=_sync)


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    return options.action(options) or 0


def _list(options: argparse.Namespace) -> None:
    for name in notebook_runner.available():
        notebook = notebook_runner.load(notebook_runner.find(name))
        sys.stdout.write(f"{name}: {notebook_runner.title(notebook)}\n")
        for key, default in notebook_runner.parameters(notebook).items():
            sys.stdout.write(f"    {key} = {'...' if default is ... else repr(default)}\n")


def _run(options: argparse.Namespace) -> None:
    parameters = {}
    for word in options.parameter:
        key, _, value = word.partition("=")
        if "=" not in word or not key.strip():
            raise ArgumentError(f"-p {word}: not of the form KEY=VALUE")
        parameters[key.strip()] = value
    names = options.names or notebook_runner.available()
    for name in names:  # Finds a misspelt parameter before the first notebook has taken its time.
        notebook_runner.check(name, parameters, options.profile)
    failed = []
    for number, name in enumerate(names, start=1):
        started = time.monotonic()
        stem = notebook_runner.find(name).stem
        logger.info("%s: running (%d of %d)", stem, number, len(names))
        try:
            executed = notebook_runner.run(name, parameters, profile=options.profile, out=options.out, progress=True)
        except NotebookError as error:
            if len(names) == 1:
                raise
            logger.error("%s\n", error)
            failed.append(str(name))
            continue
        logger.info("%s: done in %.0f s", stem, time.monotonic() - started)
        sys.stdout.write(f"{executed}\n{executed.with_suffix('.html')}\n")
        sys.stdout.flush()
    if failed:
        raise NotebookError(f"{len(failed)} of {len(names)} notebooks failed: {', '.join(failed)}")


def _copy(options: argparse.Namespace) -> None:
    for path in lesson_copies.copy(options.dir).written:
        sys.stdout.write(f"{path}\n")


def _lab(options: argparse.Namespace) -> int:
    return lesson_copies.open_lab(options.dir, author=options.author, options=options.options)


def _sync(options: argparse.Namespace) -> None:
    outdated = notebook_runner.sync(check=options.check)
    for path in outdated:
        sys.stdout.write(f"{path}\n")
    if outdated and options.check:
        raise NotebookError("differ from their sources; run 'cryokit notebooks sync'")
