"""The errors a user can meet: each message names the file or value at fault and the way out, in one line."""


class CryokitError(Exception):
    """Base class of every error that cryokit raises on purpose; the command line prints it as one line."""


class ArgumentError(CryokitError, ValueError):
    """An argument or setting has a value that makes no sense, or does not fit the others."""


class ArgumentTypeError(CryokitError, TypeError):
    """An argument or setting is of the wrong type."""


class WriteError(CryokitError):
    """A place takes no more files: the disk is full, or nothing can be written there."""


class MicrographError(CryokitError):
    """A micrograph cannot be read, or cannot be used as it is."""


class CoordinateError(CryokitError):
    """A coordinate file or a table of picks is damaged, incomplete or ambiguous."""


class DatasetError(CryokitError):
    """A manifest is wrong, or a dataset's files are missing, damaged or cannot be fetched."""


class SimulationError(CryokitError):
    """A micrograph cannot be simulated as asked."""


class PickerError(CryokitError):
    """A picker cannot learn from, pick or score what it was given, or a saved one cannot be used."""


class BenchmarkError(CryokitError):
    """A benchmark cannot be run, or its configuration or result cannot be read."""


class NotebookError(CryokitError):
    """A notebook cannot be read or breaks the rules for notebooks, or one of its cells fails."""
