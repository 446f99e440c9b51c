"""``cryokit site``: the lessons, with all that belongs to a course, as static pages."""

import argparse
import logging
import sys
from pathlib import Path

from cryokit.errors import ArgumentError, NotebookError

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument(
        "--out", type=Path, default=Path("out/site"), metavar="DIR", help="folder for the pages (default: %(default)s)"
    )
    parser.add_argument(
        "--work",
        type=Path,
        metavar="DIR",
        help="folder for executed lessons, which the next build uses again (default: that of the pages, with -work)",
    )
    parser.add_argument(
        "--lessons", nargs="+", metavar="NAME", help="lessons to show with results (default: all); the others have none"
    )
    parser.add_argument(
        "--execute",
        choices=("changed", "always", "never"),
        default="changed",
        help="which lessons to execute: those whose code, or the package's, has changed since the last build; all; or "
        "none, which shows the results of the last build (default: %(default)s)",
    )
    parser.add_argument(
        "--parameters",
        type=Path,
        metavar="FILE",
        help="JSON or YAML file with other parameters for lessons: {LESSON: {KEY: VALUE}}",
    )
    parser.add_argument("--no-solutions", action="store_true", help="leave the solutions of the exercises out")


def run(options: argparse.Namespace) -> int:
    """Build the site and print the path of its first page."""
    try:
        from cryokit.cli.site.building import build
    except ImportError as error:
        raise ArgumentError(f"the package {error.name} is missing: pip install 'cryokit[site]'") from error
    built = build(
        options.out,
        work=options.work,
        lessons=options.lessons,
        execute=options.execute,
        parameters=_parameters(options.parameters),
        solutions=not options.no_solutions,
    )
    sys.stdout.write(f"{built.first_page}\n")
    for warning in built.warnings:
        logger.warning("%s", warning)
    if built.failed:
        raise NotebookError(f"lessons that failed, and are shown as far as they got: {', '.join(built.failed)}")
    return 0


def _parameters(path: Path | None) -> dict[str, dict]:
    from cryokit._util.yaml_files import read_yaml

    if path is None:
        return {}
    given = read_yaml(path, ArgumentError)
    if not isinstance(given, dict) or not all(isinstance(values, dict) for values in given.values()):
        raise ArgumentError(f"{path}: not of the form {{LESSON: {{KEY: VALUE}}}}")
    return given
