"""Measure what the tests notice: mutmut changes one thing of a module at a time, and runs the tests about the module.

    python benchmarks/mutants.py [MODULE...] [--again | --table] [--out benchmarks/reliability/mutants.json]

Needs ``pip install -e '.[mutation]'``. A module is measured in a copy of the working tree, and figures of modules that
are not named are kept. `equivalent_mutants.json` lists, by module and reason, the survivors that no test could kill, as
the changed line before and after.
"""

from __future__ import annotations

import argparse
import ast
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
EQUIVALENT = Path(__file__).resolve().with_name("equivalent_mutants.json")
# Module -> the test modules that are about it.
MODULES = {
    "evaluate/matching": ("evaluate_matching",),
    "evaluate/metrics": ("evaluate",),
    "imaging/peaks": ("peaks",),
    "imaging/frame": ("frame",),
    "coordinates/picks": ("coordinates", "picks"),
    "coordinates/transforms": ("coordinates", "coordinates_round_trip"),
    "coordinates/suppression": ("nms",),
    "coordinates/renaming": ("coordinates",),
    "coordinates/reading": ("coordinates",),
    "coordinates/writing": ("coordinates", "coordinates_cs"),
    "coordinates/formats": ("coordinates", "coordinates_formats", "files_names"),
    "coordinates/headers": ("coordinates",),
    "coordinates/textfiles": ("coordinates",),
    "coordinates/star": ("coordinates", "coordinates_round_trip"),
    "coordinates/csv": ("coordinates", "coordinates_round_trip"),
    "coordinates/box": ("coordinates", "coordinates_round_trip"),
    "coordinates/cbox": ("coordinates", "coordinates_round_trip"),
    "coordinates/topaz": ("coordinates", "coordinates_round_trip"),
    "coordinates/eman2": ("coordinates", "coordinates_round_trip"),
    "coordinates/cs": ("coordinates_cs", "coordinates_round_trip"),
}
ARROW = " => "  # between a line before and after; no operator of Python
_SURVIVED = {0, 5, 33, None}  # mutmut's exit codes: the tests pass, there are none, it was not tried
_MESSAGE = re.compile(r"raise |(log|_log|logger)\.\w+\(")
NOTE = (
    "mutmut changes one operator, comparison, number, text, argument or assigned value of a module at a time; a mutant "
    "that no test notices has survived, one that takes far too long counts as killed. It changes nothing outside of "
    "functions, no annotations, docstrings and texts of f-strings, and neither `len` nor `isinstance`. It skips "
    "functions with decorators, so those of properties are applied below the functions in the copy it gets. Doctests "
    "are not run. Survivors that only change the words of an error or of the log are counted under wording, as tests "
    "assert no sentences. Equivalent ones do what the original does, for the reasons below. The last column leaves "
    "both out."
)


class _Bare(ast.NodeTransformer):
    """Takes decorators off functions, and applies them in a statement below."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> list[ast.stmt]:
        self.generic_visit(node)
        if [ast.unparse(decorator) for decorator in node.decorator_list] in (["classmethod"], ["staticmethod"]):
            return [node]
        calls = [
            ast.Assign([ast.Name(node.name)], ast.Call(decorator, [ast.Name(node.name)], []))
            for decorator in reversed(node.decorator_list)
        ]
        node.decorator_list = []
        return [node, *calls]


def bare(source: str) -> str:
    """Return a module with a statement a line, and no decorated functions, which mutmut skips."""
    return ast.unparse(ast.fix_missing_locations(_Bare().visit(ast.parse(source))))


def change(diff: str) -> str:
    """Return what a diff of one changed statement takes out and puts in."""
    lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++"))]
    return ARROW.join(" ".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+")


def is_wording(what: str) -> bool:
    """Tell whether a change is one of words for people: a text of several, or what an error or the log says."""
    before, after = (Counter(_parts(line)) for line in what.split(ARROW))
    lost, new = before - after, after - before
    if any(kind == "text" and re.search("[a-z]{2} [a-z]{2}", part, re.IGNORECASE) for kind, part in lost):
        return True
    return bool(_MESSAGE.match(what)) and not any(kind == "figure" for kind, _ in new)


def _parts(line: str) -> Iterator[tuple[str, str]]:
    """Yield the texts and the figures (numbers and calculations) of a line; nothing if it is part of a statement."""
    try:
        tree = ast.parse(f"{line.removeprefix('el')} pass" if line.endswith(":") else line)
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield "text", node.value
        elif isinstance(node, ast.BinOp | ast.BoolOp | ast.UnaryOp | ast.Compare) or (
            isinstance(node, ast.Constant) and isinstance(node.value, int | float)
        ):
            yield "figure", ast.dump(node)


def measure(module: str, before: dict[str, Any] | None = None, again: Sequence[str] = ()) -> dict[str, Any]:
    """Return the figures of one module, and its survivors; with figures from before, try only `again` of these."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(REPOSITORY, copy, ignore=shutil.ignore_patterns(".*", "__pycache__"))
        source = copy / "cryokit" / f"{module}.py"
        source.write_text(bare(source.read_text(encoding="utf-8")) + "\n", encoding="utf-8")
        configuration = {
            "source_paths": ["cryokit"],
            "only_mutate": [f"cryokit/{module}.py"],
            "also_copy": ["benchmarks", "data_manifests", "notebooks"],
            "pytest_add_cli_args": ["-m", "not slow", "-p", "no:cacheprovider", "-o", "addopts="],
            "pytest_add_cli_args_test_selection": [f"tests/test_{test}.py" for test in MODULES[module]],
        }
        lines = ["", "[tool.mutmut]", *(f"{key} = {json.dumps(value)}" for key, value in configuration.items()), ""]
        with open(copy / "pyproject.toml", "a", encoding="utf-8") as file:
            file.write("\n".join(lines))

        def mutmut(*arguments: str, **options: Any) -> str:
            environment = {**os.environ, "HYPOTHESIS_PROFILE": "unshrunk", "TMPDIR": folder}
            command = [sys.executable, "-m", "mutmut", *arguments]
            return subprocess.run(command, cwd=copy, env=environment, check=True, text=True, **options).stdout

        mutmut("run", "--max-children", "1", *again)
        codes = json.loads((copy / "mutants" / "cryokit" / f"{module}.py.meta").read_text())["exit_code_by_key"]
        if before and len(codes) != before["mutants"]:
            raise SystemExit(f"{module} has changed; measure it anew, without --again")
        shown = {name: what for name, what in before["survivors"].items() if name not in again} if before else {}
        for name in again or codes:
            if codes[name] in _SURVIVED:
                shown[name] = change(mutmut("show", name, stdout=subprocess.PIPE))
        tests = json.loads((copy / "mutants" / "mutmut-stats.json").read_text())["duration_by_test"]
    return {
        "module": module,
        "tests": len(tests),
        "mutants": len(codes),
        "killed": len(codes) - len(shown),
        "survivors": shown,
    }


def written(rows: list[dict[str, Any]], equivalent: dict[str, dict[str, list[str]]]) -> dict[str, Any]:
    """Return the section of ``RELIABILITY.md``."""
    from cryokit.benchmark import result_file

    table, remarks = [], []
    for row in sorted(rows, key=lambda row: list(MODULES).index(row["module"])):
        reasons = {what: reason for reason, changes in equivalent.get(row["module"], {}).items() for what in changes}
        left = [what for what in row["survivors"].values() if not is_wording(what) or what in reasons]
        others = [what for what in left if what not in reasons]
        rest = row["killed"] + len(others)
        table.append(
            {
                "module": f"`{row['module']}.py`",
                "tests": row["tests"],
                "mutants": row["mutants"],
                "killed": row["killed"],
                "killed (%)": round(100 * row["killed"] / row["mutants"], 1),
                "survived, wording": len(row["survivors"]) - len(left),
                "survived, equivalent": len(left) - len(others),
                "survived, others": len(others),
                "killed of the rest (%)": round(100 * row["killed"] / rest, 1),
            }
        )
        for reason in dict.fromkeys(reasons.get(what, "no test notices") for what in left):
            changes = dict.fromkeys(what for what in left if reasons.get(what, "no test notices") == reason)
            remarks.append(f"`{row['module']}.py`, {reason}: {'; '.join(map(_shown, changes))}")
    measured = {row["module"] for row in rows}
    if missing := [f"`{module}.py`" for module in MODULES if module not in measured]:
        remarks.append(f"Not measured yet: {', '.join(missing)}.")
    return {
        "order": 5,
        "title": "What the tests notice: mutation testing",
        "command": "python benchmarks/mutants.py",
        "note": NOTE,
        "table": table,
        "remarks": remarks,
        "rows": rows,
        "provenance": result_file.provenance(),
    }


def _shown(what: str) -> str:
    """Return a change with only a few characters of the line around it."""
    before, after = what.split(ARROW)
    same = _number_alike(before, after)
    rest = _number_alike(before[same:][::-1], after[same:][::-1])
    parts = (line[max(0, same - 30) : len(line) - max(0, rest - 30)] for line in (before, after))
    return " becomes ".join(f"`{'...' * (same > 30)}{part}{'...' * (rest > 30)}`" for part in parts)


def _number_alike(one: str, other: str) -> int:
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def main(arguments: list[str] | None = None) -> None:
    """Measure the modules, and write the figures after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", choices=[[], *MODULES], metavar="MODULE", help="such as imaging/peaks")
    parser.add_argument("--again", action="store_true", help="try only unexplained survivors again, after adding tests")
    parser.add_argument("--table", action="store_true", help="only write the table anew, after explaining survivors")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "benchmarks" / "reliability" / "mutants.json")
    given = parser.parse_args(arguments)
    sys.path.insert(0, str(REPOSITORY))
    equivalent = json.loads(EQUIVALENT.read_text(encoding="utf-8"))
    for module in given.modules or MODULES:
        rows = json.loads(given.out.read_text(encoding="utf-8"))["rows"] if given.out.is_file() else []
        kept = {row["module"]: row for row in rows}
        if given.again:
            known = {what for changes in equivalent.get(module, {}).values() for what in changes}
            survivors = kept[module]["survivors"].items()
            again = [name for name, what in survivors if what not in known and not is_wording(what)]
            kept[module] = measure(module, kept[module], again) if again else kept[module]
        elif not given.table:
            kept[module] = measure(module)
        content = json.dumps(written(list(kept.values()), equivalent), indent=1, ensure_ascii=False)
        given.out.write_text(f"{content}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
