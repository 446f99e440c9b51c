"""Values as JSON has them: the one place that turns NumPy's numbers, NaN and infinity into JSON's types."""

import json
import math
from typing import Any


def plain(value: Any) -> Any:
    """Return a value in Python's own types; numbers that JSON cannot write (NaN, infinity) become None.

    Parameters
    ----------
    value : object
        Nested dictionaries, lists and tuples of numbers, text, booleans and None; NumPy scalars and arrays may stand
        for numbers and lists. Anything else is returned as it is, so that `json.dumps` refuses it.

    Examples
    --------
    >>> import numpy as np
    >>> plain({"seed": np.int64(3), "ends": (np.float32(0.5), np.nan), "found": np.array([True, False])})
    {'seed': 3, 'ends': [0.5, None], 'found': [True, False]}
    """
    if hasattr(value, "dtype"):
        value = value.tolist()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def json_text(value: Any, *, indent: int | None = 1) -> str:
    """Return a value as the text of a JSON file.

    Raises
    ------
    TypeError
        If the value holds something other than `plain` allows.
    """
    return json.dumps(plain(value), indent=indent, allow_nan=False) + "\n"
