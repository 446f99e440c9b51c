"""``cryokit notebooks``: list and run the notebooks, and keep their two forms equal."""

from __future__ import annotations

import argparse
import logging
import sys
import time

from cryokit.cli import notebook_runner as notebooks
from cryokit.errors import NotebookError

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="names, titles and parameters")

    running = actions.add_parser(
        "run",
        help="execute notebooks and write them with their outputs, as .ipynb and .html",
        description="Execute notebooks from the first cell to the last, in the current folder and under this Python.",
    )
    running.add_argument(
        "names", nargs="*", metavar="NAME", help="a notebook's name, its beginning, or a file; all when not given"
    )
    running.add_argument(
        "-p",
        "--parameter",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="another value for a parameter of the notebook (may be given several times)",
    )
    running.add_argument("--profile", choices=notebooks.PROFILES, default="quick", help="default: %(default)s")
    running.add_argument("--out", default="out/notebooks", metavar="DIR", help="default: %(default)s")

    syncing = actions.add_parser("sync", help="generate the .ipynb files from their .py sources")
    syncing.add_argument("--check", action="store_true", help="change nothing; status 1 when a file is out of date")


def run(options: argparse.Namespace) -> int:
    """Run the command; the exit status is 0 when everything went well."""
    return {"list": _list, "run": _run, "sync": _sync}[options.action](options)


def _list(options: argparse.Namespace) -> int:
    for name in notebooks.available():
        notebook = notebooks.load(notebooks.find(name))
        sys.stdout.write(f"{name}: {notebooks.title(notebook)}\n")
        for key, default in notebooks.parameters(notebook).items():
            sys.stdout.write(f"    {key} = {'...' if default is ... else repr(default)}\n")
    return 0


def _run(options: argparse.Namespace) -> int:
    given = {}
    for word in options.parameter:
        key, equals, value = word.partition("=")
        if not equals or not key.strip():
            raise NotebookError(f"-p {word}: a parameter is given as KEY=VALUE")
        given[key.strip()] = value
    names = options.names or notebooks.available()
    for name in names:  # A misspelt parameter is found before an hour has gone into the first notebook.
        notebooks.check(name, given, options.profile)
    failed = []
    for name in names:
        started = time.monotonic()
        try:
            executed = notebooks.run(
                name, given, profile=options.profile, out=options.out, progress=sys.stderr.isatty()
            )
        except NotebookError as error:
            if len(names) == 1:
                raise
            logger.error("%s\n", error)
            failed.append(str(name))
            continue
        logger.info("%s: %.0f s", executed.stem, time.monotonic() - started)
        sys.stdout.write(f"{executed}\n{executed.with_suffix('.html')}\n")
        sys.stdout.flush()
    if failed:
        raise NotebookError(f"{len(failed)} of {len(names)} notebooks failed: {', '.join(failed)}")
    return 0


def _sync(options: argparse.Namespace) -> int:
    changed = notebooks.sync(check=options.check)
    for path in changed:
        sys.stdout.write(f"{path}\n")
    if changed and options.check:
        raise NotebookError("not equal to their sources: 'cryokit notebooks sync' writes them anew")
    return 0
