"""The parameters with which the tests execute each lesson, as JSON: `python tests/quicker_parameters.py`."""

import ast
import json
import sys
from pathlib import Path


def quicker_parameters() -> dict[str, dict]:
    """Return what the test modules of the lessons name in QUICKER, by lesson."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("test_notebook_[0-9]*.py")):
        constants = {}
        for statement in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(statement, ast.Assign) and getattr(statement.targets[0], "id", "") in ("NOTEBOOK", "QUICKER"):
                constants[statement.targets[0].id] = ast.literal_eval(statement.value)
        if "QUICKER" in constants:
            found[constants["NOTEBOOK"]] = constants["QUICKER"]
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(quicker_parameters(), indent=1) + "\n")
