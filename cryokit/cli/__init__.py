"""Command line: a module per command, each a thin layer over the package."""

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence

from cryokit import __version__
from cryokit._util.lifeline import ended_by_signals
from cryokit.errors import CryokitError

# Module and help of each command. Only the module of the command in use is imported, so that --help is instant.
COMMANDS = {
    "pick": ("cryokit.cli.pick", "find particles in micrographs"),
    "triage": ("cryokit.cli.triage", "judge which micrographs are worth picking"),
    "train": ("cryokit.cli.train", "train a picker and save it for cryokit pick --model"),
    "evaluate": ("cryokit.cli.evaluate", "score picks against labels"),
    "consensus": ("cryokit.cli.consensus", "compare the picks of several programs or people on the same micrographs"),
    "view": ("cryokit.cli.view", "write a page to look at picks and to edit them"),
    "convert": ("cryokit.cli.convert", "convert coordinate files between formats"),
    "data": ("cryokit.cli.data", "list, fetch and verify datasets"),
    "simulate": ("cryokit.cli.simulate", "simulate micrographs with known particle positions"),
    "benchmark": ("cryokit.cli.benchmark", "compare methods on the same micrographs"),
    "demo": ("cryokit.cli.demo", "simulate, pick, evaluate and write a report"),
    "notebooks": ("cryokit.cli.notebooks", "list, run, copy and open the notebooks"),
    "course": ("cryokit.cli.course", "hand out exercises and mark what students hand in"),
    "site": ("cryokit.cli.site", "write the lessons, exercises and reference as static pages"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Words after ``cryokit`` (default: those of the process).

    Returns
    -------
    int
        Exit status: 0 for success, 1 for an error (printed as one line), 2 for wrong usage, 130 if interrupted.
    """
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files that are no text
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="cryokit", description="Particle picking in cryo-electron microscopy.")
    parser.add_argument("--version", action="version", version=f"cryokit {__version__}")
    parser.add_argument("-v", "--verbose", action="store_true", help="log more, and show tracebacks of errors")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    chosen = next((word for word in words if not word.startswith("-")), None)
    for name, (module, text) in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        if name == chosen:
            command = importlib.import_module(module)
            command.add_arguments(subparser)
            if hasattr(command, "EXAMPLES"):
                subparser.formatter_class = argparse.RawDescriptionHelpFormatter
                subparser.epilog = command.EXAMPLES
            subparser.set_defaults(run=command.run)
    options = parser.parse_args(words)
    options.words = words
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.INFO, format="%(message)s", stream=sys.stderr
    )
    if not options.verbose:
        for library in ("matplotlib", "PIL", "tifffile", "papermill", "h5py"):
            logging.getLogger(library).setLevel(logging.WARNING)
        # It warns of every new shape of micrograph that it compiles a network for.
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
    logging.captureWarnings(True)
    try:
        with ended_by_signals():
            return options.run(options)
    except BrokenPipeError:
        # The reader of the output (head, less) is gone, and so is the place for a message.
        sys.stderr.close()
        return 1
    except (CryokitError, OSError) as error:
        # OSError: a full disk or a lost network drive, which no module can foresee.
        if options.verbose:
            raise
        sys.stderr.write(f"cryokit {options.command}: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(f"cryokit {options.command}: interrupted\n")
        return 130
