"""The package as it is installed: metadata, environments that agree, and a command line that starts at once."""

import importlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import cryokit

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REPOSITORY = Path(__file__).resolve().parent.parent
HEAVY = {"tensorflow", "keras", "torch", "jax", "matplotlib", "numpy", "pandas", "scipy", "skimage", "sklearn"}


@pytest.fixture(scope="module")
def pyproject():
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def environment():
    return yaml.safe_load((REPOSITORY / "environment.yml").read_text(encoding="utf-8"))


def bounds(lines):
    """Name to what may be installed under it; a system's own choice (marker) belongs to it."""
    requirements = [Requirement(line) for line in lines]
    found = {
        (canonicalize_name(each.name), str(each.marker or "")): (each.specifier, sorted(each.extras))
        for each in requirements
    }
    assert len(found) == len(requirements), "a package is named twice"
    return found


def loaded_after(code):
    """Return the modules that a fresh Python has loaded after `code`."""
    code = f"import json, sys\n{code}\nsys.stdout.write('\\n' + json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


class TestEnvironments:
    def test_conda_and_pip_environments_are_the_same(self, pyproject, environment):
        listed = [line for line in environment["dependencies"] if isinstance(line, str)]
        (pip,) = [line["pip"] for line in environment["dependencies"] if isinstance(line, dict)]
        conda = bounds([line for line in listed if line != "pip"] + [line for line in pip if line != "-e ."])
        python, _ = conda.pop(("python", ""))
        assert python == SpecifierSet(pyproject["project"]["requires-python"])
        wanted = pyproject["project"]["dependencies"] + pyproject["project"]["optional-dependencies"]["dev"]
        assert conda == bounds(wanted)

    def test_cryokit_itself_comes_last(self, environment):
        # pip, called once by conda, has to find everything that cryokit needs already named.
        *_, last = environment["dependencies"]
        assert last["pip"][-1] == "-e ."

    def test_hooks_use_the_same_tools(self, pyproject):
        project = pyproject["project"]
        known = bounds(project["dependencies"] + project["optional-dependencies"]["dev"])
        hooks = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
        used = [line for repo in hooks for hook in repo["hooks"] for line in hook["additional_dependencies"]]
        used = bounds(sorted({line for line in used if not line.startswith("pre-commit-hooks")}))
        assert used == {key: known[key] for key in used}

    def test_every_package_has_a_lower_bound(self, pyproject):
        project = pyproject["project"]
        groups = [project["dependencies"], *project["optional-dependencies"].values()]
        for line in (line for group in groups for line in group):
            operators = {specifier.operator for specifier in Requirement(line).specifier}
            assert ">=" in operators, line

    def test_extras(self, pyproject):
        extras = pyproject["project"]["optional-dependencies"]
        assert {"gpu", "jax", "torch", "dev"} <= set(extras)
        (gpu,) = map(Requirement, extras["gpu"])
        assert (gpu.name, gpu.extras) == ("tensorflow", {"and-cuda"})


class TestMetadata:
    def test_named_files_exist(self, pyproject):
        project, wheel = pyproject["project"], pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]
        for name in [project["readme"], *project["license-files"], *wheel["force-include"], *wheel["packages"]]:
            assert (REPOSITORY / name).exists(), name

    def test_command_exists(self, pyproject):
        module, _, function = pyproject["project"]["scripts"]["cryokit"].partition(":")
        assert callable(getattr(importlib.import_module(module), function))

    def test_version(self, pyproject):
        assert "version" in pyproject["project"]["dynamic"]
        assert re.fullmatch(r"\d+\.\d+\.\d+", cryokit.__version__)

    def test_installed_version_is_this_one(self):
        try:
            installed = importlib.metadata.version("cryokit")
        except importlib.metadata.PackageNotFoundError:
            pytest.skip("cryokit is not installed here, only on the path")
        assert installed == cryokit.__version__


class TestImports:
    def test_package_costs_nothing(self):
        assert not loaded_after("import cryokit") & HEAVY

    @pytest.mark.parametrize("words", [["--help"], ["--version"]])
    def test_command_line_starts_without_the_heavy_packages(self, words):
        code = (
            "import cryokit.cli\n"
            f"try: cryokit.cli.main({words!r})\n"
            "except SystemExit as end: assert not end.code, end.code"
        )
        assert not loaded_after(code) & HEAVY

    def test_every_module_imports_without_deep_learning(self):
        code = (
            "import pkgutil, importlib, cryokit\n"
            "names = [m.name for m in pkgutil.walk_packages(cryokit.__path__, 'cryokit.')]\n"
            "assert len(names) > 10, names\n"
            "for name in names:\n"
            "    if not name.endswith('__main__'): importlib.import_module(name)"
        )
        assert not loaded_after(code) & {"tensorflow", "keras", "torch", "jax"}


class TestMakefile:
    @pytest.fixture
    def make(self, tmp_path):
        if shutil.which("make") is None:
            pytest.skip("make is not installed")
        for name in ("Makefile", "pyproject.toml"):
            shutil.copy(REPOSITORY / name, tmp_path / name)

        def make(*words):
            words = [shutil.which("make"), *words]
            environment = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "HOME": str(tmp_path)}
            return subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)

        return make

    @pytest.fixture
    def fake_python(self, tmp_path):
        """A Python that takes every step of the set-up down in a list, and does none; `pip` fails where it says so."""

        def fake_python(name="python3.13", installs=True):
            log, tool = tmp_path / "log", tmp_path / "bin" / name
            tool.parent.mkdir(exist_ok=True)
            tool.write_text(
                f"""#!/bin/sh
case "$*" in
  -c*) echo alive ;;
  --version) echo Python 3.13.0 ;;
  "-m venv "*) mkdir -p .venv/bin; cp "$0" .venv/bin/python; echo venv >>{log} ;;
  "-m pip --version") ;;
  "-m pip install"*) echo install >>{log}; exit {0 if installs else 1} ;;
  *) echo "$*" >>{log} ;;
esac
"""
            )
            tool.chmod(0o755)
            return log

        return fake_python

    def test_sets_up_once(self, make, fake_python, tmp_path):
        log = fake_python()
        first = make("demo")
        assert first.returncode == 0, first.stderr
        assert log.read_text().splitlines() == ["venv", "install", "-m cryokit demo --out out/demo"]
        log.unlink()
        assert make("demo").returncode == 0
        assert log.read_text().splitlines() == ["-m cryokit demo --out out/demo"]

    def test_installs_again_when_the_packages_change(self, make, fake_python, tmp_path):
        log = fake_python()
        assert make("install").returncode == 0
        log.unlink()
        stamp = (tmp_path / ".venv" / ".installed").stat().st_mtime
        text = (tmp_path / "pyproject.toml").read_text()
        (tmp_path / "pyproject.toml").write_text(text)
        os.utime(tmp_path / "pyproject.toml", (stamp + 5, stamp + 5))
        assert make("install").returncode == 0
        assert log.read_text().splitlines() == ["install"]

    def test_failed_installation_is_tried_again(self, make, fake_python, tmp_path):
        log = fake_python(installs=False)
        assert make("demo").returncode != 0
        assert log.read_text().splitlines() == ["venv", "install"]
        assert not (tmp_path / ".venv" / ".installed").exists()
        (tmp_path / ".venv" / "bin" / "python").unlink()
        fake_python()
        assert make("install").returncode == 0
        assert (tmp_path / ".venv" / ".installed").exists()

    def test_named_python_that_does_not_fit(self, make, tmp_path):
        done = make("demo", "PYTHON=/nonexistent/python3.9")
        assert done.returncode != 0
        assert "/nonexistent/python3.9" in done.stderr
        assert "3.10" in done.stderr
        assert not (tmp_path / ".venv").exists()
