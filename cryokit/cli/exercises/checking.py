"""Checks of answers, whose errors are hints."""

from __future__ import annotations

import contextlib
import linecache
import sys
import traceback
import warnings
from collections.abc import Iterator
from types import TracebackType


class Hint(AssertionError):
    """An answer that is missing or not right yet; a notebook shows the message alone, without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return str(self).splitlines()


@contextlib.contextmanager
def check(task: str, success: str = "correct") -> Iterator[None]:
    """Check an answer: whatever fails in the block becomes a `Hint`, and success is printed.

    The block calls what the student wrote, and asserts things of the results; the message of an assertion says what to
    look at. Warnings, and whatever else is written to standard error, do not reach the notebook: nbgrader would take
    them for a failure.

    Parameters
    ----------
    task : str
        Number and title of the task.
    success : str
        What to print of the task if nothing fails.

    Raises
    ------
    Hint
        If the task is not solved yet (`NotImplementedError`, which nbgrader puts in place of solutions), an assertion
        fails, or the student's code raises an error.

    Examples
    --------
    >>> with check("Task 1"):
    ...     assert 1 + 1 == 2, "count again"
    Task 1: correct.
    >>> with check("Task 1"):
    ...     assert 1 + 1 == 3, "count again"
    Traceback (most recent call last):
    ...
    cryokit.cli.exercises.checking.Hint: Task 1: not yet. Count again
    """
    with contextlib.redirect_stderr(sys.stdout), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except NotImplementedError:
            raise Hint(
                f"{task}: not solved yet. Write your answer in the cell above in place of "
                "'raise NotImplementedError()', run it, then run this cell again."
            ) from None
        except AssertionError as error:
            message = str(error) or "the result is not what it should be"
            raise Hint(f"{task}: not yet. {message[0].upper()}{message[1:]}") from None
        except NameError as error:
            raise Hint(
                f"{task}: {error}. Does the cell above run without an error? If the name is yours, define it within "
                "your function."
            ) from None
        except Exception as error:
            where = _place(error.__traceback__)
            nothing = "\nDoes your function end with 'return'?" if "NoneType" in str(error) else ""
            raise Hint(
                f"{task}: not yet. Your code stopped with {type(error).__name__}: {error}{where}{nothing}"
            ) from None
    sys.stdout.write(f"{task}: {success}.\n")


def _place(trace: TracebackType | None) -> str:
    """Return the last line of a cell among the lines that led to an error, other than the check's own."""
    frames = traceback.extract_tb(trace)
    own = [frame for frame in frames[2:] if "ipykernel" in frame.filename or frame.filename.startswith("<")]
    if not own:
        return ""
    line = own[-1].line or linecache.getline(own[-1].filename, own[-1].lineno or 0).strip()
    return f"\n    line {own[-1].lineno} of {own[-1].name}:  {line}" if line else f" (line {own[-1].lineno})"
