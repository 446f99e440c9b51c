"""The table of formats for people, which follows the one that the code goes by."""

from pathlib import Path

import pytest

from cryokit.coordinates import FORMATS

README = Path(__file__).resolve().parent.parent / "cryokit" / "coordinates" / "README.md"


def row(format):
    """The row of a format."""
    read = ", ".join(f"`{suffix}`" for suffix in format.suffixes)
    return f"| `{format.name}` | {format.title} | {read} | `{format.ending}` | {format.summary} | {format.tested} |"


def test_the_table_has_a_row_for_every_format():
    lines = README.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("| `")] == [row(format) for format in FORMATS.values()]


@pytest.mark.parametrize("format", FORMATS.values(), ids=FORMATS)
def test_what_can_hold_many_micrographs_is_said(format):
    (line,) = (line for line in README.read_text(encoding="utf-8").splitlines() if "can hold many" in line)
    assert (f"`{format.name}`" in line) == format.many
