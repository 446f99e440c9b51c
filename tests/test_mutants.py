"""The driver of mutation testing: what it changes, and that changes reach the functions in use."""

import sys
import types

import scripts

SOURCE = """
STEP = 2


class Box:
    @property
    def twice(self):
        return self.side * 2

    side = 3


def near(a, b=1, *, limit=0.5):
    \'\'\'Texts are left alone.\'\'\'
    if a < b and limit:
        raise ValueError(f"{a} is far from {b}")
    return [x + STEP for x in range(a) if x]
"""


def test_mutants_are_one_change_each():
    found = {mutant.what: mutant for mutant in scripts.load("mutants").mutants(SOURCE)}
    expected = (
        *("2: STEP = 2 -> STEP = 3", "8: self.side * 2 -> self.side / 2", "10: side = 3 -> side = 4"),
        *("15: a < b -> a <= b", "15: a < b -> a >= b", "15: a < b and limit -> a < b or limit"),
        *("13: 1 -> 2", "17: x + STEP -> x - STEP", "17: for x in range(a) if x -> for x in range(a) if not x"),
    )
    assert set(expected) <= found.keys()
    assert not any("Texts" in what or "far from" in what.partition(" -> ")[2] for what in found)
    inside = {what for what, mutant in found.items() if mutant.function}
    assert {"8: self.side * 2 -> self.side / 2", "15: a < b -> a <= b"} <= inside
    assert not {"2: STEP = 2 -> STEP = 3", "10: side = 3 -> side = 4", "13: 1 -> 2"} & inside


def test_functions_in_use_are_changed(monkeypatch):
    script = scripts.load("mutants")
    module = types.ModuleType("changed")
    exec(compile(SOURCE, "changed.py", "exec"), vars(module))
    monkeypatch.setitem(sys.modules, "changed", module)
    near, box = module.near, module.Box()
    assert (near(3), box.twice) == ([3, 4], 6)
    for what, result in (("x + STEP -> x - STEP", ([-1, 0], 6)), ("self.side * 2 -> self.side / 2", ([3, 4], 1.5))):
        (mutant,) = [mutant for mutant in script.mutants(SOURCE) if mutant.what.endswith(what)]
        script._exchange(module, compile(mutant.tree, "changed.py", "exec"))
        assert (near(3), box.twice) == result


def test_what_is_equivalent_is_listed_with_its_reason():
    script = scripts.load("mutants")
    row = {"module": "evaluate/matching", "tests": 3, "mutants": 10, "killed": 7, "survived": 3}
    change, reason = next(iter(script.EQUIVALENT["evaluate/matching"].items()))
    content = script.written([{**row, "survivors": ["1: a -> b", f"9: {change}", "2: c -> d"]}])
    (shown,) = content["table"]
    assert (shown["survived, equivalent"], shown["survived, others"]) == (1, 2)
    assert shown["killed of those not equivalent (%)"] == 77.8
    equivalent, missing = content["remarks"]
    assert reason in equivalent
    assert "imaging/frame" in missing
    assert "evaluate/matching" not in missing
