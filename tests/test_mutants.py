"""The driver of mutation testing: what mutmut gets, and how its results are read and told."""

import ast

import pytest
import scripts

SOURCE = '''
@dataclass(frozen=True)
class Box:
    """Texts stay."""

    side: int = 3

    @classmethod
    def of(cls, side):
        return cls(side)

    @property
    def twice(self):
        return (
            self.side
            * 2
        )
'''
DIFF = """# cryokit.imaging.frame.xǁFrameǁmoved__mutmut_3: survived
--- cryokit/imaging/frame.py
+++ cryokit/imaging/frame.py
@@ -1,3 +1,3 @@
 def moved(self, x: float, y: float) -> Frame:
     \"\"\"Return the frame of the same picture with all positions moved.\"\"\"
-    return dataclasses.replace(self, x0=self.x0 + x, y0=self.y0 + y)
+    return dataclasses.replace(self, x0=self.x0 + x, y0=self.y0 - y)
"""


@pytest.fixture(scope="module")
def script():
    return scripts.load("mutants")


def test_decorators_are_applied_below(script):
    source = script.bare(SOURCE)
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    assert [node.name for node in functions if node.decorator_list] == ["of"]
    assert "return self.side * 2" in source
    names = {}
    exec(f"from dataclasses import dataclass\n{source}", names)
    box = names["Box"].of(5)
    assert (box.twice, box) == (10, names["Box"](5))
    with pytest.raises(AttributeError):
        box.side = 4


def test_a_diff_in_one_line(script):
    before, after = script.change(DIFF).split(script.ARROW)
    assert before == "return dataclasses.replace(self, x0=self.x0 + x, y0=self.y0 + y)"
    assert after == before.replace("self.y0 + y", "self.y0 - y")


@pytest.mark.parametrize(
    ("before", "after", "wording"),
    [
        ("raise E(f'{path}: {n + 1} picks')", "raise E(None)", True),
        ("raise E(f'{path}: {n + 1} picks')", "raise E(f'{path}: {n - 1} picks')", False),
        ("raise E(f'{path}: {n + 1} picks')", "raise E(f'{path}: {n + 2} picks')", False),
        ("logger.warning('%s: %d picks', path, n)", "logger.warning('%s: %d picks', n)", True),
        ("if not all(near):", "if all(near):", False),
        ("hint = 'are these corners?' if z else ''", "hint = 'ARE THESE CORNERS?' if z else ''", True),
        ("kind = 'iou'", "kind = 'IOU'", False),
        ("elif kind == 'iou':", "elif kind == 'XXiouXX':", False),
    ],
)
def test_which_changes_are_of_words_alone(script, before, after, wording):
    assert script.is_wording(f"{before}{script.ARROW}{after}") == wording


def test_survivors_are_told_by_what_they_mean(script):
    lines = {"a": "x = 1 => x = None", "b": "raise E('a') => raise E(None)", "c": "y < 2 => y <= 2"}
    row = {"module": "evaluate/matching", "tests": 3, "mutants": 10, "killed": 7, "survivors": lines}
    content = script.written([row], {"evaluate/matching": {"never read": ["x = 1 => x = None", "gone => now"]}})
    (shown,) = content["table"]
    assert [shown[f"survived, {kind}"] for kind in ("wording", "equivalent", "others")] == [1, 1, 1]
    assert shown["killed of the rest (%)"] == 87.5
    equivalent, other, missing = content["remarks"]
    assert "never read" in equivalent
    assert "y <= 2" in other
    assert "imaging/frame" in missing
    assert "evaluate/matching" not in missing
