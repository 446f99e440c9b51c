"""The notebooks and what runs them."""

import json
import re
import shutil
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest

from cryokit.cli import main
from cryokit.cli import notebook_runner as notebooks
from cryokit.errors import NotebookError

PARAMETERS = """# %% tags=["parameters"]
profile = "quick"
n = 3
rate = 0.5
"""

TELLS = r"""# %% [markdown]
# # Tells
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


def remote_parts(page):
    """What a browser would fetch from the network for this page: everything but links to click on."""
    tags = re.findall(r"<(?!a[\s>])[a-z]+\s[^>]*>", page, re.IGNORECASE)
    attributes = [found for tag in tags for found in re.findall(r"(?:src|href|data)=[\"']?(?!data:)[^\"'\s>]+", tag)]
    code = re.findall(r"@import|url\([\"']?(?:https?:)?//|\bimport\(|\bfetch\(|XMLHttpRequest", page)
    return [found for found in attributes + code if not found.startswith('href="#')]


def test_remote_parts_are_seen():
    assert remote_parts('<script src="https://a.org/x.js"></script>')
    assert remote_parts('<link rel="stylesheet" href="//a.org/x.css">')
    assert remote_parts("<style>@import 'x.css'</style>")
    assert not remote_parts('<a href="https://a.org">a</a> <img src="data:image/png;base64,AAAA">')


class TestTheNotebooks:
    """What holds for every notebook of the folder."""

    @pytest.fixture(params=notebooks.available())
    def path(self, request):
        return notebooks.find(request.param)

    def test_ipynb_is_generated_from_the_source(self):
        assert notebooks.sync(check=True) == [], "run: make notebooks"

    def test_has_no_outputs(self, path):
        notebook = nbformat.read(path.with_suffix(".ipynb"), 4)
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert code
        assert all(cell.outputs == [] and cell.execution_count is None for cell in code)

    def test_is_valid(self, path):
        nbformat.validate(json.loads(path.with_suffix(".ipynb").read_text(encoding="utf-8")))

    def test_parameters(self, path):
        notebook = notebooks.load(path)
        known = notebooks.parameters(notebook)
        assert known["profile"] == "quick"
        assert ... not in known.values(), "a default that is not a plain value has no type to check against"

    def test_has_a_title_and_speaks_before_it_computes(self, path):
        notebook = notebooks.load(path)
        assert notebooks.title(notebook)
        assert notebook.cells[0].cell_type == "markdown"


class TestLoad:
    def test_identifiers_follow_the_text(self, write):
        text = PARAMETERS + "\n# %%\nn\n\n# %%\nn\n"
        first = notebooks.load(write(text))
        longer = notebooks.load(write(text.replace("\n# %%\nn", "\n# %%\nrate\n\n# %%\nn", 1)))
        identifiers = [cell.id for cell in first.cells]
        assert len(set(identifiers)) == 3, "equal cells need different identifiers"
        assert [cell.id for cell in longer.cells if cell.source != "rate"] == identifiers

    def test_drops_outputs(self, tmp_path):
        cell = nbformat.v4.new_code_cell("1", outputs=[nbformat.v4.new_output("stream", text="x")], execution_count=7)
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "a.ipynb")
        (loaded,) = notebooks.load(tmp_path / "a.ipynb").cells
        assert (loaded.outputs, loaded.execution_count, loaded.source) == ([], None, "1")

    def test_not_a_notebook(self, write):
        with pytest.raises(NotebookError, match=r"a\.ipynb: not a notebook"):
            notebooks.load(write("{", "a.ipynb"))


class TestSync:
    def test_writes_what_is_missing_and_then_nothing(self, write, tmp_path):
        source = write(PARAMETERS)
        generated = source.with_suffix(".ipynb")
        assert notebooks.sync(check=True, where=tmp_path) == [generated]
        assert not generated.exists()
        assert notebooks.sync(where=tmp_path) == [generated]
        before = generated.read_bytes()
        assert notebooks.sync(where=tmp_path) == []
        generated.unlink()
        notebooks.sync(where=tmp_path)
        assert generated.read_bytes() == before, "the same source has to give the same bytes"

    @pytest.mark.parametrize("change", ["source", "output"])
    def test_sees_a_difference(self, change, write, tmp_path):
        generated = write(PARAMETERS).with_suffix(".ipynb")
        notebooks.sync(where=tmp_path)
        notebook = nbformat.read(generated, 4)
        if change == "source":
            notebook.cells[0].source += "\nmore = 1"
        else:
            notebook.cells[0].outputs = [nbformat.v4.new_output("stream", text="x")]
        nbformat.write(notebook, generated)
        assert notebooks.sync(check=True, where=tmp_path) == [generated]

    def test_keeps_a_notebook_without_source(self, write, tmp_path):
        write(PARAMETERS)
        notebooks.sync(where=tmp_path)
        only_copy = shutil.copy(tmp_path / "a.ipynb", tmp_path / "b.ipynb")
        assert notebooks.sync(check=True, where=tmp_path) == [only_copy]
        with pytest.raises(NotebookError, match=r"b\.ipynb: no source"):
            notebooks.sync(where=tmp_path)
        assert only_copy.exists()

    def test_reads_what_jupytext_writes(self, write, tmp_path):
        # Saved in JupyterLab, the .py is written by jupytext; nothing may be lost on the way.
        import jupytext

        text = '# %% [markdown]\n# # A\n#\n# $a$\n\n# %% tags=["parameters"]\nprofile = "quick"\n\n# %%\n# %time 1\n'
        notebook = notebooks.load(write(text))
        again = notebooks.load(write(jupytext.writes(notebook, fmt="py:percent")))
        assert [(c.cell_type, c.source, c.metadata) for c in again.cells] == [
            (c.cell_type, c.source, c.metadata) for c in notebook.cells
        ]


class TestFind:
    def test_beginning(self):
        assert notebooks.find("00").name == "00_micrographs_and_picks.py"

    def test_unknown_names_the_nearest(self):
        with pytest.raises(NotebookError, match="did you mean 00_micrographs_and_picks"):
            notebooks.find("00_micrograph_and_pick")


class TestCheck:
    def values(self, write, given, text=PARAMETERS):
        return notebooks.check(write(text), given)[1]

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
        found = self.values(write, {"x": given}, text)["x"]
        assert found == value
        assert type(found) is type(value)

    @pytest.mark.parametrize(
        ("default", "given"),
        [
            *[("3", "many"), ("3", "2.5"), ("3", "true"), ("3", ".inf"), ("3", "[1"), ("3", "")],
            *[("0.5", "true"), ("True", "1"), ("[1]", "2"), ("{}", "[1]"), ('"a"', 5)],
        ],
    )
    def test_value_of_another_type(self, write, default, given):
        text = f'# %% tags=["parameters"]\nprofile = "quick"\nx = {default}\n'
        with pytest.raises(NotebookError, match="parameter x"):
            self.values(write, {"x": given}, text)

    def test_unknown_parameter(self, write):
        with pytest.raises(NotebookError, match=r"no parameter 'rates' \(did you mean rate\?\); parameters: prof"):
            self.values(write, {"rates": "1"})

    def test_profile(self, write):
        path = write(PARAMETERS)
        assert notebooks.check(path, profile="full")[1] == {"profile": "full"}
        with pytest.raises(NotebookError, match="profiles: quick, full"):
            notebooks.check(path, profile="fast")
        with pytest.raises(NotebookError, match="--profile"):
            notebooks.check(path, {"profile": "full"})

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("# %%\nprofile = 'quick'\n", "has 0"),
            (PARAMETERS + "\n" + PARAMETERS, "has 2"),
            ('# %% tags=["parameters"]\nn = 1\n', "no profile"),
            ('# %% tags=["parameters"]\nn = = 1\n', "does not parse"),
        ],
    )
    def test_parameters_cell(self, write, text, message):
        with pytest.raises(NotebookError, match=rf"a\.py.*{message}"):
            self.values(write, {}, text)

    def test_expressions_and_annotations(self, write):
        text = '# %% tags=["parameters"]\nimport os\nprofile = "quick"\na: int = -1\nb = len("x")\na_b = 2.5\n'
        known = notebooks.parameters(notebooks.load(write(text)))
        assert known == {"profile": "quick", "a": -1, "b": ..., "a_b": 2.5}


class TestRecord:
    def test_refuses_what_json_has_not(self):
        with pytest.raises(NotebookError, match="'f1' cannot be kept"):
            notebooks.record("f1", np.arange(3))


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """One run of a notebook that tells everything about its surroundings."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "tells.py").write_text(TELLS, encoding="utf-8")
    # Somebody's own kernel under the name that every notebook asks for.
    kernel = folder / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(json.dumps({"argv": ["false"], "display_name": "x", "language": "python"}))
    given = {"n": "5", "text": "{braces} 'and' \"quotes\""}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(folder / "jupyter"))
        patch.setenv("MPLBACKEND", "agg")
        return notebooks.run(folder / "tells.py", given, profile="full", out=folder / "out")


@pytest.mark.notebook
class TestRun:
    def test_parameters_arrive(self, done):
        results = notebooks.recorded(done)
        assert (results["n"], results["text"], results["profile"]) == (5, "{braces} 'and' \"quotes\"", "full")
        assert results["output_dir"] == str(done.parent / "tells")

    def test_runs_here_under_this_python(self, done):
        results = notebooks.recorded(done)
        assert results["here"] == str(Path.cwd())
        assert Path(results["python"]).samefile(sys.executable)

    def test_results_keep_their_types(self, done):
        results = notebooks.recorded(done)
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
        told = capsys.readouterr().err
        assert "In [3] failed with ZeroDivisionError" in told or "In [4] failed with ZeroDivisionError" in told
        assert "1 / (n - 3)  # here" in told
        assert "Traceback" in told
        assert "\x1b" not in told
        kept = nbformat.read(tmp_path / "out" / "a.ipynb", 4)
        assert "kept" in json.dumps([cell.get("outputs", []) for cell in kept.cells])
        assert "ZeroDivisionError" in (tmp_path / "out" / "a.html").read_text(encoding="utf-8")

    def test_dead_kernel_and_the_others_go_on(self, write, tmp_path, capsys):
        dead = write(PARAMETERS + "\n# %%\nimport os\nos._exit(3)\n", "dead.py")
        alive = write(PARAMETERS + "\n# %%\nn\n", "alive.py")
        status = main(["notebooks", "run", str(dead), str(alive), "-p", "n=4", "--out", str(tmp_path / "out")])
        assert status == 1
        captured = capsys.readouterr()
        assert "1 of 2 notebooks failed" in captured.err
        assert captured.out.split() == [str(tmp_path / "out" / name) for name in ("alive.ipynb", "alive.html")]


class TestCommand:
    def test_nothing_runs_when_a_parameter_is_unknown(self, write, tmp_path, capsys):
        first, second = write(PARAMETERS + "m = 1\n", "first.py"), write(PARAMETERS, "second.py")
        status = main(["notebooks", "run", str(first), str(second), "-p", "m=2", "--out", str(tmp_path / "out")])
        assert status == 1
        assert "second has no parameter 'm'" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()

    def test_parameter_without_value(self, capsys):
        assert main(["notebooks", "run", "00", "-p", "seed"]) == 1
        assert "KEY=VALUE" in capsys.readouterr().err

    def test_list(self, capsys):
        assert main(["notebooks", "list"]) == 0
        told = capsys.readouterr().out
        assert all(name in told for name in notebooks.available())
        assert "profile = 'quick'" in told

    def test_sync_check(self, capsys):
        assert main(["notebooks", "sync", "--check"]) == 0


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The first notebook, run as it is."""
    return notebooks.run("00_micrographs_and_picks", out=tmp_path_factory.mktemp("notebook"))


@pytest.mark.notebook
class TestMicrographsAndPicks:
    def test_finds_the_particles(self, executed):
        results = notebooks.recorded(executed)
        assert results["f1"] > 0.8
        assert results["average_precision"] > 0.8

    def test_mistakes_show(self, executed):
        results = notebooks.recorded(executed)
        mistakes = {name: value for name, value in results.items() if name.startswith("f1, ")}
        assert len(mistakes) >= 4
        assert max(mistakes.values()) < results["f1"] - 0.2, mistakes

    def test_writes_files(self, executed):
        folder = executed.with_suffix("")
        assert list(folder.glob("*.mrc"))
        assert list(folder.glob("*.star"))

    def test_page_needs_no_network(self, executed):
        page = executed.with_suffix(".html").read_text(encoding="utf-8")
        assert remote_parts(page) == []
        assert page.count("data:image/png;base64,") >= 6
        assert page.count("data:image/svg+xml;base64,") >= 5, "formulas are drawn"

    def test_nothing_is_complained_about(self, executed):
        outputs = [output for cell in nbformat.read(executed, 4).cells for output in cell.get("outputs", ())]
        assert [output.text for output in outputs if output.get("name") == "stderr"] == []

    @pytest.mark.real
    def test_micrograph_of_ones_own(self, shared, tmp_path):
        folder = shared / "data" / "apoferritin_10146"
        (label,) = sorted((folder / "labels").glob("*.csv"))[:1]
        (picture,) = (folder / "micrographs").glob(f"{label.stem}.*")
        given = {"micrograph_path": str(picture), "labels_path": str(label)}
        executed = notebooks.run("00", given, out=tmp_path)
        assert notebooks.recorded(executed)["f1"] > 0.9
