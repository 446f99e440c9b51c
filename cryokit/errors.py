"""The errors a user can meet: each message names the file or value at fault and the way out."""


class CryokitError(Exception):
    """Base of every error that cryokit raises on purpose; the command line prints it as one line."""


class MicrographError(CryokitError):
    """A micrograph cannot be read, or cannot be used as it is."""


class CoordinateError(CryokitError):
    """A coordinate file or a table of picks is not what it has to be."""


class DatasetError(CryokitError):
    """A dataset's manifest is wrong, or its files are missing, damaged or cannot be fetched."""


class PickerError(CryokitError):
    """A picker was given settings or micrographs that it cannot work with."""


class NotebookError(CryokitError):
    """A notebook is unknown, was given an unknown parameter, or failed."""


class BenchmarkError(CryokitError):
    """A benchmark's configuration, data or result is not what it has to be."""
