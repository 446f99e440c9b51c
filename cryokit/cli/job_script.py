"""Parts of the work of ``cryokit pick`` for batch systems: ``--shard``, and the script that submits all to SLURM."""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cryokit.cli.arguments import count

if TYPE_CHECKING:
    from cryokit.pickers.picking_record import Shard

# sbatch takes options of its own for all jobs, such as --partition: from "$@".
_SCRIPT = """\
#!/bin/bash
# Picks with {shards} shards on SLURM: {jobs}
# Submit it with: bash THIS_FILE [options of sbatch for every job, such as --partition=gpu --time=4:00:00]
# What a killed or failed shard leaves undone, submitting the same file again does.
set -euo pipefail
cd {folder}
pick={pick}
{fit}array=$(sbatch --parsable --job-name=cryokit-pick --array=1-{shards} --requeue {after}{gpu}"$@" \\
  --wrap "$pick --shard slurm")
merge=$(sbatch --parsable --job-name=cryokit-merge --dependency=afterany:"${{array%%;*}}" "$@" \\
  --wrap {merge})
echo "submitted: array $array, merge $merge"
"""
_FIT = """\
fit=$(sbatch --parsable --job-name=cryokit-fit {gpu}"$@" --wrap "$pick --fit-only")
"""


def add_job_script(group: argparse._ActionsContainer) -> None:
    """Add the options of the job script."""
    group.add_argument(
        "--print-sbatch",
        action="store_true",
        help="pick nothing, but print a script that does so on SLURM: a job that fits the picker, an array of shards, "
        "and a job that makes the lists",
    )
    group.add_argument(
        "--shards", type=count, default=8, metavar="N", help="with --print-sbatch: number of shards (default: 8)"
    )
    group.add_argument("--gpu", action="store_true", help="with --print-sbatch: a GPU for each shard")


def shard(text: str) -> "Shard":
    """Read ``I/N``, or ``slurm`` for what SLURM says of this task of a job array.

    Examples
    --------
    >>> str(shard("3/8"))
    '3-of-8'
    """
    from cryokit.pickers.picking_record import Shard

    if text == "slurm":
        return _of_slurm()
    number, sign, of = text.partition("/")
    if not (sign and number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
        raise argparse.ArgumentTypeError(f"{text!r} is neither I/N, with I from 1 to N, nor slurm")
    return Shard(int(number), int(of))


def _of_slurm() -> "Shard":
    from cryokit.pickers.picking_record import Shard

    try:
        number, first, of = (int(os.environ[f"SLURM_ARRAY_TASK_{name}"]) for name in ("ID", "MIN", "COUNT"))
        step = int(os.environ.get("SLURM_ARRAY_TASK_STEP", 1))
    except (KeyError, ValueError):
        raise argparse.ArgumentTypeError(
            "'slurm' is for the tasks of a job array (sbatch --array=1-8), and this is none; give I/N"
        ) from None
    place, rest = divmod(number - first, step)
    if rest or not 0 <= place < of:
        raise argparse.ArgumentTypeError(
            f"'slurm': the tasks of this array are not numbered evenly ({number} is one of {of} from {first} on); give "
            "I/N, or submit the whole array again: what has been picked is not picked again"
        )
    return Shard(place + 1, of)


def write_script(options: argparse.Namespace) -> int:
    """Print the script, and return the exit status."""
    command = [sys.executable, "-m", "cryokit"]
    words = shlex.join([*command, *_without(options.words)])
    gpu = "--gres=gpu:1 " if options.gpu else ""
    fits = options.model is None
    jobs = "an array of them, and a job that makes the lists"
    sys.stdout.write(
        _SCRIPT.format(
            shards=options.shards,
            jobs=f"a job that fits the picker, {jobs}" if fits else jobs,
            folder=shlex.quote(os.getcwd()),
            pick=shlex.quote(words),
            fit=_FIT.format(gpu=gpu) if fits else "",
            # Tasks that wait for a fit that has failed are cancelled, not left waiting for ever.
            after='--dependency=afterok:"${fit%%;*}" --kill-on-invalid-dep=yes ' if fits else "",
            gpu=gpu,
            merge=shlex.quote(shlex.join([*command, "pick", "--merge", os.fspath(options.out)])),
        )
    )
    return 0


def _without(words: Sequence[str]) -> list[str]:
    """Return the words of a command line without the options of the job script."""
    kept, skip = [], False
    for word in words:
        name = word.partition("=")[0]
        if skip:
            skip = False
        elif name == "--shards":
            skip = "=" not in word
        elif not (len(name) > 4 and "--print-sbatch".startswith(name)) and name not in ("--g", "--gp", "--gpu"):
            kept.append(word)
    return kept
