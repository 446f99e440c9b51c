"""The notebook runner, its command, and rules that every notebook keeps."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from html_pages import remote_parts

from cryokit.cli import main, notebook_runner
from cryokit.errors import ArgumentError, NotebookError

PARAMETERS = """# %% tags=["parameters"]
profile = "quick"
n = 3
rate = 0.5
"""

SURROUNDINGS = r"""# %% [markdown]
# # Surroundings
#
# Inline $\frac{a}{b_1}$, and as a block
#
# $$\chi(k) = \pi \lambda k^2 \left(\Delta z - \frac{1}{2} \lambda^2 k^2 C_s\right)$$
#
# unlike `$code$`; there is no $\nosuch{x}$.

# %% tags=["parameters"]
profile = "quick"
n = 3
text = "a"
output_dir = "nowhere"

# %%
import os
import sys

import matplotlib.pyplot as plt
import numpy as np

from cryokit.cli.notebook_runner import record

plt.plot(range(n))
record("n", np.int64(n))
record("text", text)
record("profile", profile)
record("output_dir", output_dir)
record("here", os.getcwd())
record("python", sys.executable)
record("nothing", float("nan"))
record("share", np.float32(0.5))
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="a.py"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return write


def test_remote_parts_are_found():
    assert remote_parts('<script src="https://a.org/x.js"></script>')
    assert remote_parts('<link rel="stylesheet" href="//a.org/x.css">')
    assert remote_parts("<style>@import 'x.css'</style>")
    assert not remote_parts('<a href="https://a.org">a</a> <img src="data:image/png;base64,AAAA">')


class TestTheNotebooks:
    """Rules for every notebook in the folder."""

    @pytest.fixture(params=notebook_runner.available())
    def path(self, request):
        return notebook_runner.find(request.param)

    def test_ipynb_is_generated_from_the_source(self):
        assert notebook_runner.sync(check=True) == [], "run: make notebooks"

    def test_has_no_outputs(self, path):
        notebook = nbformat.read(path.with_suffix(".ipynb"), 4)
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert code
        assert all(cell.outputs == [] and cell.execution_count is None for cell in code)

    def test_is_valid(self, path):
        nbformat.validate(json.loads(path.with_suffix(".ipynb").read_text(encoding="utf-8")))

    def test_parameters(self, path):
        notebook = notebook_runner.load(path)
        known = notebook_runner.parameters(notebook)
        assert known["profile"] == "quick"
        assert ... not in known.values(), "a default must be a plain value: its type is checked"

    def test_begins_with_text_and_a_title(self, path):
        notebook = notebook_runner.load(path)
        assert notebook_runner.title(notebook)
        assert notebook.cells[0].cell_type == "markdown"


class TestLoad:
    def test_identifiers_follow_the_text(self, write):
        text = PARAMETERS + "\n# %%\nn\n\n# %%\nn\n"
        first = notebook_runner.load(write(text))
        longer = notebook_runner.load(write(text.replace("\n# %%\nn", "\n# %%\nrate\n\n# %%\nn", 1)))
        identifiers = [cell.id for cell in first.cells]
        assert len(set(identifiers)) == 3, "equal cells need different identifiers"
        assert [cell.id for cell in longer.cells if cell.source != "rate"] == identifiers

    def test_drops_outputs(self, tmp_path):
        cell = nbformat.v4.new_code_cell("1", outputs=[nbformat.v4.new_output("stream", text="x")], execution_count=7)
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "a.ipynb")
        (loaded,) = notebook_runner.load(tmp_path / "a.ipynb").cells
        assert (loaded.outputs, loaded.execution_count, loaded.source) == ([], None, "1")

    def test_not_a_notebook(self, write):
        with pytest.raises(NotebookError, match=r"a\.ipynb"):
            notebook_runner.load(write("{", "a.ipynb"))


class TestSync:
    def test_writes_what_is_missing_and_then_nothing(self, write, tmp_path):
        source = write(PARAMETERS)
        generated = source.with_suffix(".ipynb")
        assert notebook_runner.sync(check=True, where=tmp_path) == [generated]
        assert not generated.exists()
        assert notebook_runner.sync(where=tmp_path) == [generated]
        before = generated.read_bytes()
        assert notebook_runner.sync(where=tmp_path) == []
        generated.unlink()
        notebook_runner.sync(where=tmp_path)
        assert generated.read_bytes() == before, "the same source has to give the same bytes"

    @pytest.mark.parametrize("change", ["source", "output"])
    def test_finds_a_difference(self, change, write, tmp_path):
        generated = write(PARAMETERS).with_suffix(".ipynb")
        notebook_runner.sync(where=tmp_path)
        notebook = nbformat.read(generated, 4)
        if change == "source":
            notebook.cells[0].source += "\nmore = 1"
        else:
            notebook.cells[0].outputs = [nbformat.v4.new_output("stream", text="x")]
        nbformat.write(notebook, generated)
        assert notebook_runner.sync(check=True, where=tmp_path) == [generated]

    def test_keeps_a_notebook_without_source(self, write, tmp_path):
        write(PARAMETERS)
        notebook_runner.sync(where=tmp_path)
        only_copy = shutil.copy(tmp_path / "a.ipynb", tmp_path / "b.ipynb")
        assert notebook_runner.sync(check=True, where=tmp_path) == [only_copy]
        with pytest.raises(NotebookError, match=r"b\.ipynb"):
            notebook_runner.sync(where=tmp_path)
        assert only_copy.exists()

    def test_reads_what_jupytext_writes(self, write, tmp_path):
        # JupyterLab saves the .py through jupytext; nothing may be lost on the way.
        import jupytext

        text = '# %% [markdown]\n# # A\n#\n# $a$\n\n# %% tags=["parameters"]\nprofile = "quick"\n\n# %%\n# %time 1\n'
        notebook = notebook_runner.load(write(text))
        again = notebook_runner.load(write(jupytext.writes(notebook, fmt="py:percent")))
        assert [(c.cell_type, c.source, c.metadata) for c in again.cells] == [
            (c.cell_type, c.source, c.metadata) for c in notebook.cells
        ]


class TestFind:
    def test_beginning(self):
        assert notebook_runner.find("00").name == "00_micrographs_and_picks.py"

    def test_unknown_names_the_nearest(self):
        with pytest.raises(ArgumentError, match="did you mean 00_micrographs_and_picks"):
            notebook_runner.find("00_micrograph_and_pick")


class TestCheck:
    def values(self, write, given, text=PARAMETERS):
        return notebook_runner.check(write(text), given)[1]

    @pytest.mark.parametrize(
        ("default", "given", "value"),
        [
            ("3", "5", 5),
            ("3", "1e3", 1000),
            ("3", np.int64(5), 5),
            ("0.5", "1", 1.0),
            ("0.5", "1e-3", 0.001),
            ("0.5", "-.5", -0.5),
            ("True", "no", False),
            ('"a"', "5", "5"),
            ('"a"', "data/*.mrc", "data/*.mrc"),
            ('"a"', "", ""),
            ("[1]", "[2, 3]", [2, 3]),
            ("(1, 2)", "[2, 3]", [2, 3]),
            ("{}", "{a: 1}", {"a": 1}),
            ("None", "[1]", [1]),
            ("len('a')", "7", 7),
        ],
    )
    def test_value_has_the_type_of_the_default(self, write, default, given, value):
        text = f'# %% tags=["parameters"]\nprofile = "quick"\nx = {default}  # a comment with = in it\n'
        converted = self.values(write, {"x": given}, text)["x"]
        assert converted == value
        assert type(converted) is type(value)

    @pytest.mark.parametrize(
        ("default", "given"),
        [
            *[("3", "many"), ("3", "2.5"), ("3", "true"), ("3", ".inf"), ("3", "[1"), ("3", "")],
            *[("0.5", "true"), ("True", "1"), ("[1]", "2"), ("{}", "[1]"), ('"a"', 5)],
        ],
    )
    def test_value_of_another_type(self, write, default, given):
        text = f'# %% tags=["parameters"]\nprofile = "quick"\nx = {default}\n'
        with pytest.raises(ArgumentError, match="parameter x"):
            self.values(write, {"x": given}, text)

    def test_unknown_parameter(self, write):
        with pytest.raises(ArgumentError, match=r"parameter rates.*did you mean rate\?"):
            self.values(write, {"rates": "1"})

    def test_profile(self, write):
        path = write(PARAMETERS)
        assert notebook_runner.check(path, profile="full")[1] == {"profile": "full"}
        with pytest.raises(ArgumentError, match="fast"):
            notebook_runner.check(path, profile="fast")
        with pytest.raises(ArgumentError, match="--profile"):
            notebook_runner.check(path, {"profile": "full"})

    @pytest.mark.parametrize(
        ("text", "named"),
        [
            ("# %%\nprofile = 'quick'\n", "not 0"),
            (PARAMETERS + "\n" + PARAMETERS, "not 2"),
            ('# %% tags=["parameters"]\nn = 1\n', "profile"),
            ('# %% tags=["parameters"]\nn = = 1\n', "parse"),
        ],
    )
    def test_parameters_cell(self, write, text, named):
        with pytest.raises(NotebookError, match=rf"a\.py.*{named}"):
            self.values(write, {}, text)

    def test_expressions_and_annotations(self, write):
        text = '# %% tags=["parameters"]\nimport os\nprofile = "quick"\na: int = -1\nb = len("x")\na_b = 2.5\n'
        known = notebook_runner.parameters(notebook_runner.load(write(text)))
        assert known == {"profile": "quick", "a": -1, "b": ..., "a_b": 2.5}


class TestRecord:
    def test_refuses_what_json_lacks(self):
        with pytest.raises(ArgumentError, match="'f1'"):
            notebook_runner.record("f1", [{1, 2}])


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A notebook that records its parameters and surroundings, executed."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "surroundings.py").write_text(SURROUNDINGS, encoding="utf-8")
    # Somebody's own kernel under the name that every notebook asks for.
    kernel = folder / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(json.dumps({"argv": ["false"], "display_name": "x", "language": "python"}))
    given = {"n": "5", "text": "{braces} 'and' \"quotes\""}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(folder / "jupyter"))
        patch.setenv("MPLBACKEND", "agg")
        return notebook_runner.run(folder / "surroundings.py", given, profile="full", out=folder / "out")


class TestRun:
    def test_parameters_arrive(self, done):
        results = notebook_runner.recorded(done)
        assert (results["n"], results["text"], results["profile"]) == (5, "{braces} 'and' \"quotes\"", "full")
        assert results["output_dir"] == str(done.parent / "surroundings")

    def test_runs_here_under_this_python(self, done):
        results = notebook_runner.recorded(done)
        assert results["here"] == str(Path.cwd())
        assert Path(results["python"]).samefile(sys.executable)

    def test_results_are_not_shown(self, done):
        page = done.with_suffix(".html").read_text(encoding="utf-8")
        assert ">executable<" in page  # the source, whose names have colours
        assert sys.executable not in page

    def test_results_keep_their_types(self, done):
        results = notebook_runner.recorded(done)
        assert results["nothing"] is None
        assert results["share"] == 0.5

    def test_page_needs_no_network(self, done):
        page = done.with_suffix(".html").read_text(encoding="utf-8")
        assert remote_parts(page) == []
        assert "<script" not in page

    def test_page_has_pictures_and_formulas(self, done):
        page = done.with_suffix(".html").read_text(encoding="utf-8")
        assert "data:image/png;base64," in page
        formulas = re.findall(r'<img alt="([^"]*)" src="data:image/svg', page)
        assert [formula.split("{")[0] for formula in formulas] == [
            r"\frac",
            r"\chi(k) = \pi \lambda k^2 \left(\Delta z - \frac",
        ]
        assert "<code>$code$</code>" in page
        assert r"<code>\nosuch{x}</code>" in page

    def test_failing_cell(self, write, tmp_path, capsys):
        source = write(PARAMETERS + "\n# %%\nbefore = 'kept'\nbefore\n\n# %%\n1 / (n - 3)  # here\n\n# %%\n'after'\n")
        status = main(["notebooks", "run", str(source), "--out", str(tmp_path / "out")])
        assert status == 1
        message = capsys.readouterr().err
        assert re.search(r"In \[[34]\] failed with ZeroDivisionError", message)
        assert "1 / (n - 3)  # here" in message
        assert "Traceback" in message
        assert "\x1b" not in message
        kept = nbformat.read(tmp_path / "out" / "a.ipynb", 4)
        assert "kept" in json.dumps([cell.get("outputs", []) for cell in kept.cells])
        assert "ZeroDivisionError" in (tmp_path / "out" / "a.html").read_text(encoding="utf-8")

    def test_other_notebooks_run_after_a_dead_kernel(self, write, tmp_path, capsys):
        dead = write(PARAMETERS + "\n# %%\nimport os\nos._exit(3)\n", "dead.py")
        alive = write(PARAMETERS + "\n# %%\nn\n", "alive.py")
        status = main(["notebooks", "run", str(dead), str(alive), "-p", "n=4", "--out", str(tmp_path / "out")])
        assert status == 1
        captured = capsys.readouterr()
        assert "dead" in captured.err
        assert captured.out.split() == [str(tmp_path / "out" / name) for name in ("alive.ipynb", "alive.html")]


@pytest.mark.slow
def test_progress_is_shown_on_a_terminal(write, tmp_path):
    pty = pytest.importorskip("pty")
    source = write(PARAMETERS + "\n# %%\nimport time\ntime.sleep(2.5)\n", "long.py")
    reader, terminal = pty.openpty()
    words = [sys.executable, "-m", "cryokit", "notebooks", "run", str(source), "--out", str(tmp_path / "out")]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=terminal) as running:
        os.close(terminal)
        shown = b""
        with contextlib.suppress(OSError):  # the end of what a terminal shows
            while part := os.read(reader, 4096):
                shown += part
    os.close(reader)
    assert running.returncode == 0
    bars = re.findall(r"long: (\d+) of (\d+) cells.*?(\d\d:\d\d)", shown.decode())
    assert {int(done) for done, _, _ in bars} >= {0, 3}
    assert {cells for _, cells, _ in bars} == {"3"}
    assert len({clock for _, _, clock in bars}) >= 3, "the clock stands still while a cell runs"


class TestCommand:
    def test_nothing_runs_when_a_parameter_is_unknown(self, write, tmp_path, capsys):
        first, second = write(PARAMETERS + "m = 1\n", "first.py"), write(PARAMETERS, "second.py")
        status = main(["notebooks", "run", str(first), str(second), "-p", "m=2", "--out", str(tmp_path / "out")])
        assert status == 1
        assert "notebook second, parameter m" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()

    def test_parameter_without_value(self, capsys):
        assert main(["notebooks", "run", "00", "-p", "seed"]) == 1
        assert "KEY=VALUE" in capsys.readouterr().err

    def test_list(self, capsys):
        assert main(["notebooks", "list"]) == 0
        listing = capsys.readouterr().out
        assert all(name in listing for name in notebook_runner.available())
        assert "profile = 'quick'" in listing

    def test_sync_check(self, capsys):
        assert main(["notebooks", "sync", "--check"]) == 0
