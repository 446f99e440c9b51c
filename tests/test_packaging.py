"""The package as it is installed: metadata, environments that agree, and a command line that starts at once."""

import ast
import importlib
import importlib.metadata
import importlib.util
import json
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import typing
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
    """Return the allowed versions and the extras of each package, by its name and marker."""
    requirements = [Requirement(line) for line in lines]
    versions = {
        (canonicalize_name(requirement.name), str(requirement.marker or "")): (
            requirement.specifier,
            sorted(requirement.extras),
        )
        for requirement in requirements
    }
    assert len(versions) == len(requirements), "a package is named twice"
    return versions


def extra(pyproject, name):
    """Return the packages of an extra, with those of other extras that it includes."""
    lines = []
    for line in pyproject["project"]["optional-dependencies"][name]:
        requirement = Requirement(line)
        if canonicalize_name(requirement.name) == pyproject["project"]["name"]:
            lines += [package for included in sorted(requirement.extras) for package in extra(pyproject, included)]
        else:
            lines.append(line)
    return lines


def loaded_after(code):
    """Return the modules that a new Python process has loaded after `code`."""
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
        wanted = pyproject["project"]["dependencies"] + extra(pyproject, "dev")
        assert conda == bounds(wanted)

    def test_cryokit_itself_comes_last(self, environment):
        # conda calls pip once, which has to find everything that cryokit needs named before.
        *_, last = environment["dependencies"]
        assert last["pip"][-1] == "-e ."

    def test_hooks_use_the_same_tools(self, pyproject):
        project = pyproject["project"]
        known = bounds(project["dependencies"] + extra(pyproject, "dev"))
        hooks = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
        used = [line for repo in hooks for hook in repo["hooks"] for line in hook["additional_dependencies"]]
        used = bounds(sorted({line for line in used if not line.startswith("pre-commit-hooks")}))
        assert used == {key: known[key] for key in used}

    def test_every_package_has_a_lower_bound(self, pyproject):
        project = pyproject["project"]
        groups = [project["dependencies"], *(extra(pyproject, name) for name in project["optional-dependencies"])]
        for line in (line for group in groups for line in group):
            operators = {specifier.operator for specifier in Requirement(line).specifier}
            assert ">=" in operators, line

    def test_extras(self, pyproject):
        extras = pyproject["project"]["optional-dependencies"]
        assert {"gpu", "jax", "torch", "site", "dev"} <= set(extras)
        assert set(extra(pyproject, "site")) < set(extra(pyproject, "dev"))
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

    def test_every_public_name_is_there(self):
        packages = [module.name for module in pkgutil.walk_packages(cryokit.__path__, "cryokit.") if module.ispkg]
        assert len(packages) > 10
        for name in packages:
            package = importlib.import_module(name)
            missing = [public for public in getattr(package, "__all__", ()) if not hasattr(package, public)]
            assert not missing, (name, missing)

    @pytest.mark.parametrize("folder", ["notebooks", "benchmarks"])
    def test_notebooks_and_scripts_import_what_is_there(self, folder):
        scripts = sorted((REPOSITORY / folder).glob("*.py"))
        assert scripts
        for script in scripts:
            for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "cryokit":
                    module = importlib.import_module(node.module)
                    for name in (alias.name for alias in node.names):
                        there = hasattr(module, name) or importlib.util.find_spec(f"{node.module}.{name}")
                        assert there, f"{script.name}: {node.module}.{name}"

    def test_modules_import_without_deep_learning(self):
        code = (
            "import pkgutil, importlib, cryokit\n"
            "names = {module.name for module in pkgutil.walk_packages(cryokit.__path__, 'cryokit.')}\n"
            "assert len(names) > 10, names\n"
            # The last two are imported when a network is built or trained: their classes are derived from Keras'.
            "names -= {'cryokit.__main__', 'cryokit.networks.custom_layers', 'cryokit.networks.training.callbacks'}\n"
            "for name in names: importlib.import_module(name)"
        )
        assert not loaded_after(code) & {"tensorflow", "keras", "torch", "jax"}


class TestHouse:
    """The folders of the package: imports point down, from those that users see to those that know no others."""

    FLOORS = (
        ("cli", "__main__"),
        ("plot",),
        ("benchmark",),
        ("pickers",),
        ("networks",),
        ("segmentation",),
        ("simulate", "datasets", "evaluate"),
        ("imaging",),
        ("micrograph", "coordinates"),
        ("errors", "_util", "__init__"),
    )
    FLOOR: typing.ClassVar = {name: floor for floor, names in enumerate(reversed(FLOORS)) for name in names}
    PACKAGE = REPOSITORY / "cryokit"

    def test_has_no_other_folders(self):
        names = {path.stem for path in self.PACKAGE.iterdir() if path.suffix == ".py" or list(path.glob("*.py"))}
        assert names == set(self.FLOOR)

    def test_imports_point_down(self):
        upward = []
        for path in sorted(self.PACKAGE.rglob("*.py")):
            relative = path.relative_to(self.PACKAGE)
            room = relative.with_suffix("").parts[0]
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    modules = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and node.module == "cryokit":
                    modules = [f"cryokit.{alias.name}" for alias in node.names]
                elif isinstance(node, ast.ImportFrom):
                    modules = [node.module or ""]
                else:
                    continue
                targets = [module.split(".")[1] for module in modules if module.startswith("cryokit.")]
                upward += [
                    f"{relative} imports {target}"
                    for target in targets
                    if target in self.FLOOR and self.FLOOR[target] > self.FLOOR[room]
                ]
        assert upward == []


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
        """Return a function that makes a Python which logs every step of the set-up instead of taking it."""

        def fake_python(name="python3.13", *, supported=True, installs=True):
            log, tool = tmp_path / "log", tmp_path / "bin" / name
            tool.parent.mkdir(exist_ok=True)
            tool.write_text(
                f"""#!/bin/sh
case "$*" in
  -c*) {"echo alive" if supported else "exit 1"} ;;
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

    def test_unsupported_python(self, make, fake_python, tmp_path):
        fake_python("python3.14", supported=False)
        done = make("test", f"PYTHON={tmp_path / 'bin' / 'python3.14'}")
        assert done.returncode != 0
        assert str(tmp_path / "bin" / "python3.14") in done.stderr
        assert "uv python install 3.13" in done.stderr
        assert "make test PYTHON=" in done.stderr
        assert not (tmp_path / ".venv").exists()

    def test_message_names_the_supported_versions(self, make, pyproject):
        supported = SpecifierSet(pyproject["project"]["requires-python"])
        message = make("demo", "PYTHON=/nonexistent/python").stderr.splitlines()[0]
        named = set(re.findall(r"3\.\d+", message))
        assert named == {f"3.{minor}" for minor in range(30) if f"3.{minor}" in supported}
