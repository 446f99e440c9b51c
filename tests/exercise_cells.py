"""Exercises executed cell by cell in this process, and marked by nbgrader's rules."""

import ast
import linecache
import textwrap

import matplotlib.pyplot as plt

from cryokit.cli.exercises import sources


def execute(source, namespace):
    """Execute a cell and return the value of its last expression, None without one."""
    # A file name like a kernel's, so that errors can quote the line.
    name = f"<ipykernel {hash(source)}>"
    linecache.cache[name] = len(source), None, source.splitlines(keepends=True), name
    tree, last = ast.parse(source), None
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = ast.Expression(tree.body.pop().value)
    try:
        exec(compile(tree, name, "exec"), namespace)
        return None if last is None else eval(compile(last, name, "eval"), namespace)
    finally:
        plt.close("all")


def settings(cell):
    """Return nbgrader's metadata of a cell."""
    return cell.metadata.get("nbgrader", {})


def marked(cell, namespace):
    """Execute a graded cell; return its points and its hint ("" if there is none), as nbgrader counts them."""
    try:
        value = execute(cell.source, namespace)
    except Exception as error:
        return 0.0, f"{type(error).__name__}: {error}"
    return float(settings(cell)["points"] if value is None else value), ""


def with_body(source, body):
    """Return the cell of a solution with another body in its function."""
    head, _, rest = source.partition("    ### BEGIN SOLUTION\n")
    _, _, tail = rest.partition("    ### END SOLUTION")
    return f"{head}{textwrap.indent(body, '    ')}{tail}"


class Solved:
    """An exercise executed with its solutions for a student.

    Attributes
    ----------
    points : dict of str to float
        Points of each task, by the name of its solution cell.
    before : dict of str to dict
        Namespace just before each graded cell.
    """

    def __init__(self, name, student=None):
        self.cells = [cell for cell in sources.load(name).cells if cell.cell_type == "code"]
        self.solutions = {settings(cell)["grade_id"]: cell for cell in self.cells if settings(cell).get("solution")}
        self.tests = {
            settings(cell)["grade_id"].removesuffix("-test"): cell for cell in self.cells if settings(cell).get("grade")
        }
        self.points, self.hints, self.before = {}, {}, {}
        namespace = {}
        for cell in self.cells:
            if settings(cell).get("grade"):
                task = settings(cell)["grade_id"].removesuffix("-test")
                self.before[task] = dict(namespace)
                self.points[task], self.hints[task] = marked(cell, namespace)
            else:
                source = cell.source
                execute(source.replace("Ada Lovelace", student) if student else source, namespace)

    def with_answer(self, task, body, test=None):
        """Return points and hint of another answer to a task, by its graded cell or by another one."""
        namespace = dict(self.before[task])
        execute(with_body(self.solutions[task].source, body), namespace)
        return marked(test or self.tests[task], namespace)
