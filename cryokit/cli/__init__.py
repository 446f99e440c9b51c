"""The command line: thin commands over the package, one module per command."""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence

from cryokit import __version__
from cryokit.errors import CryokitError

# name -> (module, one line of help). Only the module of the command in use is imported, so that help comes at once.
COMMANDS = {
    "pick": ("cryokit.cli.pick", "find particles in micrographs"),
    "train": ("cryokit.cli.train", "train a picker and save it for cryokit pick --model"),
    "evaluate": ("cryokit.cli.evaluate", "score picks against labels"),
    "convert": ("cryokit.cli.convert", "turn coordinate files of one format into another"),
    "data": ("cryokit.cli.data", "list, fetch and verify datasets"),
    "simulate": ("cryokit.cli.simulate", "make micrographs whose truth is known"),
    "benchmark": ("cryokit.cli.benchmark", "compare methods on the same micrographs"),
    "demo": ("cryokit.cli.demo", "simulate, pick, evaluate and write a report"),
    "notebooks": ("cryokit.cli.notebooks", "run the notebooks"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words after ``cryokit``; those of the process when not given.

    Returns
    -------
    int
        The exit status: 0 done, 1 an error (told in one line), 2 wrong usage, 130 interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="cryokit", description="Particle picking in cryo-electron microscopy.")
    parser.add_argument("--version", action="version", version=f"cryokit {__version__}")
    parser.add_argument("-v", "--verbose", action="store_true", help="tell more; show tracebacks of errors")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    chosen = next((word for word in words if not word.startswith("-")), None)
    for name, (module, text) in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        if name == chosen:
            command = importlib.import_module(module)
            command.add_arguments(subparser)
            subparser.set_defaults(run=command.run)
    options = parser.parse_args(words)
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.INFO, format="%(message)s", stream=sys.stderr
    )
    if not options.verbose:
        for noisy in ("matplotlib", "PIL", "tifffile", "papermill", "h5py"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.captureWarnings(True)
    try:
        return options.run(options)
    except CryokitError as error:
        if options.verbose:
            raise
        sys.stderr.write(f"cryokit {options.command}: {error}\n")
        return 1
    except BrokenPipeError:
        # The reader (head, less) has gone: nothing is left to tell it. Close quietly.
        sys.stderr.close()
        return 1
    except OSError as error:
        # A full disk, a lost network drive: what the modules cannot foresee, but no fault of the program either.
        if options.verbose:
            raise
        sys.stderr.write(f"cryokit {options.command}: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(f"cryokit {options.command}: interrupted\n")
        return 130
