"""Measure what the tests notice: change one thing of a module at a time, and see whether a test fails.

    python benchmarks/mutants.py [MODULE...] [--again] [--list] [--out benchmarks/reliability/mutants.json]

A mutant has one operator, comparison, number, word, condition, argument or statement changed. It is *killed* if a test
fails or uses more than `TIME` times the processor time of the unchanged module; else it survives. Only the tests that
run the changed lines are tried, quickest first. The source in memory is changed, never the file, so that nothing has to
be copied or restored. Figures of modules that are not named are kept. Texts of two words or more (messages), docstrings
and annotations are left as they are. `EQUIVALENT` lists the survivors that no test could kill, each with the reason.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import functools
import importlib
import importlib.machinery
import importlib.util
import json
import os
import pickle
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple

REPOSITORY = Path(__file__).resolve().parent.parent
EXAMPLES = 25  # of each property test
TIME = 20  # times the processor time of all tests of an unchanged module, at least a minute
_COORDINATES = ("coordinates", "coordinates_formats", "coordinates_round_trip", "coordinates_cs", "files_names")
# Module -> the test modules that are about it.
MODULES = {
    "evaluate/matching": ("evaluate_matching",),
    "evaluate/metrics": ("evaluate",),
    "imaging/peaks": ("peaks",),
    "imaging/frame": ("frame",),
    "coordinates/picks": ("coordinates",),
    "coordinates/transforms": ("coordinates",),
    "coordinates/suppression": ("nms",),
    "coordinates/reading": _COORDINATES,
    "coordinates/writing": _COORDINATES,
    "coordinates/renaming": _COORDINATES,
    "coordinates/formats": _COORDINATES,
    "coordinates/headers": _COORDINATES,
    "coordinates/textfiles": _COORDINATES,
    "coordinates/star": _COORDINATES,
    "coordinates/cs": _COORDINATES,
    "coordinates/csv": _COORDINATES,
    "coordinates/box": _COORDINATES,
    "coordinates/cbox": _COORDINATES,
    "coordinates/eman2": _COORDINATES,
    "coordinates/topaz": _COORDINATES,
}
_FARTHER = "more pairs are looked at, and left out again by the exact comparison"
_ROUNDED = "differs only where a sum of rounded numbers hits the limit exactly, which has a margin for rounding"
# Module -> what is changed -> why the result is what it was.
EQUIVALENT: dict[str, dict[str, str]] = {
    "evaluate/matching": {
        "(diameters + np.fmax(diameters, np.fmax.reduce(pick_diameters))) / 2 -> "
        "(diameters + np.fmax(diameters, np.fmax.reduce(pick_diameters))) * 2": _FARTHER,
        "diameters * tolerance -> diameters / tolerance": _FARTHER,
        "(diameters * tolerance, 2) -> (diameters * tolerance, 3)": _FARTHER,
        "1 + 2 * ROUNDING -> 2 + 2 * ROUNDING": _FARTHER,
        "2 * ROUNDING -> 2 / ROUNDING": _FARTHER,
        "2 * ROUNDING -> 3 * ROUNDING": _FARTHER,
        "'distance' -> 'XXdistance'": "every word but iou stands for the distance",
        "ROUNDING = 1e-09 -> ROUNDING = 2e-09": "a margin for rounding, far above its errors",
        "1 + ROUNDING -> 2 + ROUNDING": "only pairs within reach are compared",
        "intersection >= tolerance * (side ** 2 + pick_side ** 2 - intersection) * (1 - ROUNDING) -> "
        "intersection > tolerance * (side ** 2 + pick_side ** 2 - intersection) * (1 - ROUNDING)": _ROUNDED,
        "distance <= tolerance * diameters[label] * (1 + ROUNDING) -> "
        "distance < tolerance * diameters[label] * (1 + ROUNDING)": _ROUNDED,
        "np.unique(np.asarray(priority)[pick_ids], return_inverse=True)[1] + 1 -> "
        "np.unique(np.asarray(priority)[pick_ids], return_inverse=True)[1] + 2": "only differences of ranks matter",
        "pick_ids.size + 1 -> pick_ids.size + 2": "shares of distances stay below one rank",
        "pairs.distance.max() * (pick_ids.size + 1) or 1 -> pairs.distance.max() * (pick_ids.size + 1) or 2": (
            "divides distances that are all 0"
        ),
        "rank.max() + 1 -> rank.max() + 2": "any ceiling above all ranks will do",
        "csr_array((cost, (rows, columns)), shape=(pick_ids.size, label_ids.size + pick_ids.size)) -> "
        "csr_array((cost, (rows, columns)))": "the last row and column are never empty",
    },
}

_COMPARED = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
_CALCULATED = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}


class Mutant(NamedTuple):
    """A module with one change: what is changed, the lines of the changed part, whether that is inside a function."""

    what: str
    lines: range
    function: bool
    tree: ast.Module


def mutants(source: str) -> Iterator[Mutant]:
    r"""Yield the mutants of a module.

    Examples
    --------
    >>> [mutant.what for mutant in mutants("def f(a):\n    return a < 2")]
    ['2: return a < 2 -> return None', '2: a < 2 -> a <= 2', '2: a < 2 -> a >= 2', '2: a < 2 -> a < 3']
    """
    original = ast.parse(source)
    for place in _places(original, ()):
        node = _at(original, place)
        for changed in _changes(node):
            tree = copy.deepcopy(original)
            _put(tree, place, ast.copy_location(changed, node))
            ast.fix_missing_locations(tree)
            lines = _lines(original, place)
            # A number alone does not say which of a line it is.
            shown = place[:-1] if isinstance(node, ast.Constant) and len(place) > 1 else place
            if isinstance(_at(original, shown), ast.arguments):
                shown = place
            what = f"{lines[0]}: {_short(_at(original, shown))} -> {_short(_at(tree, shown))}"
            yield Mutant(what, lines, _in_function(original, place), tree)


def _lines(module: ast.Module, place: tuple) -> range:
    node = _at(module, place)
    while not hasattr(node, "lineno"):
        place = place[:-1]
        node = _at(module, place)
    end = node.test.end_lineno if isinstance(node, ast.If) else node.end_lineno
    return range(node.lineno, end + 1)


def _in_function(module: ast.Module, place: tuple) -> bool:
    return any(
        place[depth][0] == "body" and isinstance(_at(module, place[:depth]), ast.FunctionDef)
        for depth in range(len(place))
    )


def _places(node: ast.AST, place: tuple) -> Iterator[tuple]:
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "type_params") or (isinstance(value, ast.JoinedStr) and _text(value)):
            continue
        children = value if isinstance(value, list) else [value]
        for index, child in enumerate(children):
            if not isinstance(child, ast.AST) or _left_alone(child):
                continue
            here = (*place, (field, index if isinstance(value, list) else None))
            yield here
            yield from _places(child, here)


def _left_alone(node: ast.AST) -> bool:
    """Tell whether a node is a text for people or says nothing at run time."""
    match node:
        case ast.Expr(value=ast.Constant()) | ast.Import() | ast.ImportFrom():
            return True
        case ast.Assign(targets=[ast.Name(id="__all__")]):
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="log" | "_log" | "logger")))):
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case ast.Constant() | ast.JoinedStr():
            return _text(node)
    return False


def _text(node: ast.AST) -> bool:
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    words = " ".join(part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str))
    return len([word for word in words.split() if word.isalpha()]) > 1


def _changes(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(ops=[operator]):
            for other in _COMPARED[type(operator)]:
                yield _with(node, ops=[other()])
        case ast.BinOp(op=operator) | ast.AugAssign(op=operator) if type(operator) in _CALCULATED:
            yield _with(node, op=_CALCULATED[type(operator)]())
        case ast.UnaryOp(operand=operand):
            yield operand
        case ast.BoolOp(op=operator):
            yield _with(node, op=ast.Or() if isinstance(operator, ast.And) else ast.And())
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield ast.Constant(value + 1)
        case ast.Constant(value=float(value)):
            yield ast.Constant(value * 2 or 1.0)
        case ast.Constant(value=str(value)):
            yield ast.Constant(f"XX{value}" if value else "XX")
        case ast.IfExp(test=test) | ast.comprehension(ifs=[test]) | ast.If(test=test):
            negated = ast.UnaryOp(ast.Not(), test)
            yield _with(node, ifs=[negated]) if isinstance(node, ast.comprehension) else _with(node, test=negated)
        case ast.Call(keywords=keywords):
            for index in range(len(keywords)):
                yield _with(node, keywords=keywords[:index] + keywords[index + 1 :])
        case ast.Return(value=value) if value is not None and not (
            isinstance(value, ast.Constant) and value.value is None
        ):
            yield ast.Return(ast.Constant(None))
        case ast.Expr() | ast.Raise() | ast.Assign(targets=[ast.Subscript() | ast.Attribute()]):
            yield ast.Pass()
        case ast.Continue():
            yield ast.Break()
        case ast.Break():
            yield ast.Continue()
    if isinstance(node, ast.AugAssign):
        yield ast.Pass()


def _with(node: ast.AST, **fields: Any) -> ast.AST:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _at(node: Any, place: tuple) -> Any:
    for field, index in place:
        node = getattr(node, field) if index is None else getattr(node, field)[index]
    return node


def _put(module: ast.Module, place: tuple, node: ast.AST) -> None:
    field, index = place[-1]
    parent = _at(module, place[:-1])
    if index is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[index] = node


def _short(node: ast.AST) -> str:
    if isinstance(node, ast.If):
        return f"if {ast.unparse(node.test)}"
    if isinstance(node, ast.comprehension):
        return ast.unparse(node).strip()
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 160 else f"{text[:157]}..."


class _Changed(importlib.machinery.SourceFileLoader):
    """Loader of one module from a changed syntax tree."""

    def __init__(self, name: str, path: str, tree: ast.Module):
        super().__init__(name, path)
        self.tree = tree

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        return importlib.util.spec_from_file_location(name, self.path, loader=self) if name == self.name else None

    def get_code(self, fullname: str) -> Any:
        return compile(self.tree, self.path, "exec")


class _Loop:
    """Plugin of pytest that runs the collected tests once for the lines they reach, then once for each mutant.

    Tests are imported and collected once. Each mutant gets a copy of that process, in which the functions have the
    changed code. What is changed outside of functions takes effect on import, and is left to `_imported_anew`.
    """

    def __init__(self, name: str, path: str, everything: list[Mutant], report: Callable[[int, bool], None]):
        self.name, self.path, self.everything, self.report = name, path, everything, report
        self.tests: dict[str, tuple[float, set[int]]] = {}
        self.modules: list[str] = []
        self.survived: dict[int, bool] = {}

    def pytest_collection(self, session: Any) -> None:
        import hypothesis

        # Fewer examples than `make test` draws: what they kill, all of them kill.
        hypothesis.settings.register_profile("mutants", hypothesis.settings.get_profile("fixed"), max_examples=EXAMPLES)
        hypothesis.settings.load_profile("mutants")

    def pytest_runtestloop(self, session: Any) -> bool:
        if not session.testsfailed:
            found = _forked(lambda: self._traced(session.items))
            if found is None or found[0]:
                session.testsfailed = 1
                return True
            _, self.tests, self.modules = found
            _import(self.modules)
            items = {item.nodeid: item for item in session.items}
            kills: Counter[str] = Counter()
            for index, mutant in enumerate(self.everything):
                if mutant.function:
                    chosen = [items[test] for test in covering(self.tests, mutant, kills)]
                    result = _forked(functools.partial(self._changed, mutant, chosen, session), limit(self.tests))
                    if result == "not applied":
                        continue
                    kills.update([result])
                    self.survived[index] = result == "survived"
                    self.report(index, self.survived[index])
        return True

    def _traced(self, items: list[Any]) -> tuple[int, dict, list[str]]:
        tests = {}
        for item, following in zip(items, [*items[1:], None], strict=True):
            lines: set[int] = set()

            def local(frame: Any, event: str, arg: Any, lines: set[int] = lines) -> Any:
                lines.add(frame.f_lineno)
                return local

            def called(frame: Any, event: str, arg: Any, local: Any = local) -> Any:
                return local(frame, event, arg) if frame.f_code.co_filename == self.path else None

            began = time.process_time()
            sys.settrace(called)
            try:
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            finally:
                sys.settrace(None)
            tests[item.nodeid] = time.process_time() - began, lines
        return items[0].session.testsfailed, tests, sorted(sys.modules)

    def _changed(self, mutant: Mutant, items: list[Any], session: Any) -> str:
        try:
            _exchange(sys.modules[self.name], compile(mutant.tree, self.path, "exec"))
        except ValueError:  # a function with other variables of its surroundings
            return "not applied"
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.testsfailed:
                return item.nodeid
        return "survived"


def _exchange(module: Any, code: CodeType) -> None:
    """Give the functions of a module the code that a changed module has for them."""
    codes: dict[str, CodeType] = {}

    def collect(code: CodeType, place: str) -> None:
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                codes[f"{place}{constant.co_name}"] = constant
                collect(constant, f"{place}{constant.co_name}.")

    def exchange(value: Any, place: str) -> None:
        inner = [getattr(value, name, None) for name in ("fget", "__func__", "__wrapped__", "func")]
        for function in [value, *inner]:
            if isinstance(function, FunctionType) and function.__module__ == module.__name__ and place in codes:
                function.__code__ = codes[place]
        if isinstance(value, type) and value.__module__ == module.__name__:
            for name, attribute in list(vars(value).items()):
                exchange(attribute, f"{place}.{name}")

    collect(code, "")
    for name, value in list(vars(module).items()):
        exchange(value, name)


def _imported_anew(name: str, path: str, mutant: Mutant, tests: list[str]) -> str:
    for module, loaded in list(sys.modules.items()):
        if str(getattr(loaded, "__file__", None) or "").startswith(str(REPOSITORY)) and module != "__main__":
            del sys.modules[module]
    return "killed" if _pytest(tests, [_First(_Changed(name, path, mutant.tree))]) else "survived"


class _First:
    """Plugin of pytest that puts a finder of modules before pytest's own, which imports the files it is given."""

    def __init__(self, finder: _Changed):
        self.finder = finder

    def pytest_collection(self, session: Any) -> None:
        sys.meta_path.insert(0, self.finder)


def covering(tests: dict[str, tuple[float, set[int]]], mutant: Mutant, kills: Mapping[str, int]) -> list[str]:
    """Return the tests that run the changed lines, or all of them if none does; quick ones that have killed first."""
    chosen = [test for test, (_, lines) in tests.items() if lines & set(mutant.lines)] or list(tests)
    return sorted(chosen, key=lambda test: tests[test][0] / (1 + kills.get(test, 0)))


def limit(tests: dict[str, tuple[float, set[int]]]) -> float:
    """Return the processor time after which a mutant is taken for one that never ends."""
    return max(60.0, TIME * sum(seconds for seconds, _ in tests.values()))


def _pytest(arguments: list[str], plugins: list[Any]) -> int:
    import pytest

    options = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not slow"]
    return int(pytest.main([*options, *arguments], plugins=plugins))


def _forked(work: Callable[[], Any], processor_time: float | None = None) -> Any:
    """Return what a function returns in a process of its own; None if that was killed, for its time or otherwise."""
    receiving, sending = os.pipe()
    process = os.fork()
    if not process:
        os.close(receiving)
        status = 1
        try:
            os.setpgid(0, 0)
            if processor_time:
                most = int(processor_time + time.process_time()) + 1
                resource.setrlimit(resource.RLIMIT_CPU, (most, most))
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            result = work()
            with open(sending, "wb") as stream:
                pickle.dump(result, stream)
            status = 0
        finally:
            os._exit(status)
    os.close(sending)
    with open(receiving, "rb") as stream:
        data = stream.read()
    os.waitpid(process, 0)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)  # what its tests have started
    return pickle.loads(data) if data else None


def measure(module: str, before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the figures of one module, and its survivors; with figures from before, try only the survivors again."""
    path = str(REPOSITORY / "cryokit" / f"{module}.py")
    name = f"cryokit.{module.replace('/', '.')}"
    files = [str(REPOSITORY / "tests" / f"test_{test}.py") for test in MODULES[module]]
    everything = list(mutants(Path(path).read_text(encoding="utf-8")))
    total = len(everything)
    if before is not None:
        everything = [mutant for mutant in everything if mutant.what in before["survivors"]]
        if (total, len(everything)) != (before["mutants"], before["survived"]):
            raise SystemExit(f"{module} has changed; measure it anew, without --again")
    log, began = os.dup(1), time.monotonic()

    def report(index: int, survived: bool) -> None:
        word = "SURVIVED" if survived else "killed"
        taken = time.monotonic() - began
        os.write(log, f"{taken:6.0f} s {word:9s}{module}.py:{everything[index].what}\n".encode())

    def in_session() -> tuple[int, dict, list[str], dict[int, bool]]:
        loop = _Loop(name, path, everything, report)
        status = _pytest([*files, path], [loop])
        return status, loop.tests, loop.modules, loop.survived

    status, tests, modules, survived = _forked(in_session) or (1, {}, [], {})
    if status or not tests:
        raise SystemExit(f"the tests of {module} fail: python -m pytest {' '.join(files)}")
    _import([one for one in modules if one.split(".")[0] not in {"cryokit", "conftest", "__main__"}])
    for index, mutant in enumerate(everything):
        if index not in survived:
            work = functools.partial(_imported_anew, name, path, mutant, covering(tests, mutant, {}))
            survived[index] = _forked(work, limit(tests)) == "survived"
            report(index, survived[index])
    os.close(log)
    survivors = [everything[index].what for index in sorted(survived) if survived[index]]
    return {
        "module": module,
        "tests": len(tests),
        "mutants": total,
        "killed": total - len(survivors),
        "survived": len(survivors),
        "survivors": survivors,
    }


def _import(modules: list[str]) -> None:
    for name in modules:
        if not name.startswith("test_") and name not in sys.modules:
            with contextlib.suppress(Exception):  # of a module that another one has made
                importlib.import_module(name)


def written(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the section of ``RELIABILITY.md``."""
    from cryokit.benchmark import result_file

    table, remarks = [], []
    for row in sorted(rows, key=lambda row: list(MODULES).index(row["module"])):
        reasons = EQUIVALENT.get(row["module"], {})
        equivalent = [what for what in row["survivors"] if _change(what) in reasons]
        killable = row["mutants"] - len(equivalent)
        table.append(
            {
                "module": f"`{row['module']}.py`",
                "tests": row["tests"],
                "mutants": row["mutants"],
                "killed": row["killed"],
                "killed (%)": round(100 * row["killed"] / row["mutants"], 1),
                "survived, equivalent": len(equivalent),
                "survived, others": row["survived"] - len(equivalent),
                "killed of those not equivalent (%)": round(100 * row["killed"] / killable, 1),
            }
        )
        remarks += [f"`{row['module']}.py:{what}`: {reasons[_change(what)]}" for what in equivalent]
    measured = {row["module"] for row in rows}
    if left := [f"`{module}.py`" for module in MODULES if module not in measured]:
        remarks.append(f"Not measured yet: {', '.join(left)}.")
    return {
        "order": 5,
        "title": "What the tests notice: mutation testing",
        "command": "python benchmarks/mutants.py",
        "note": (
            "One operator, comparison, number, word, condition, argument or statement of a module is changed at a "
            "time; a mutant that no test notices has survived. Equivalent ones do what the original does, for the "
            "reasons below."
        ),
        "table": table,
        "remarks": remarks,
        "rows": rows,
        "provenance": result_file.provenance(),
    }


def _change(what: str) -> str:
    """Return what is changed without the line, which moves with every line above."""
    return what.partition(": ")[2]


def main(arguments: list[str] | None = None) -> None:
    """Measure the modules, and write the figures after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", choices=[[], *MODULES], metavar="MODULE", help="such as imaging/peaks")
    parser.add_argument("--again", action="store_true", help="try only the survivors again, after adding tests")
    parser.add_argument("--list", action="store_true", help="only list the mutants")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "benchmarks" / "reliability" / "mutants.json")
    given = parser.parse_args(arguments)
    chosen = given.modules or list(MODULES)
    if given.list:
        for module in chosen:
            for mutant in mutants((REPOSITORY / "cryokit" / f"{module}.py").read_text(encoding="utf-8")):
                print(f"{module}.py:{mutant.what}")
        return
    sys.path.insert(0, str(REPOSITORY))
    os.environ["HYPOTHESIS_PROFILE"] = "fixed"
    for module in chosen:
        kept = json.loads(given.out.read_text(encoding="utf-8"))["rows"] if given.out.is_file() else []
        with tempfile.TemporaryDirectory() as folder:
            os.environ["TMPDIR"] = tempfile.tempdir = folder
            row = measure(module, next((one for one in kept if one["module"] == module), None) if given.again else None)
        tempfile.tempdir = None
        print(json.dumps({name: value for name, value in row.items() if name != "survivors"}), flush=True)
        rows = [one for one in kept if one["module"] != module] + [row]
        given.out.write_text(json.dumps(written(rows), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
