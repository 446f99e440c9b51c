"""Settings and fixtures that the test modules share."""

import base64
import functools
import os
import re
import shutil
from pathlib import Path

import hypothesis
import pytest

REPOSITORY = Path(__file__).resolve().parent.parent

# There is a worker for each core: more threads than that would spend their time waiting for each other.
if "PYTEST_XDIST_WORKER" in os.environ:
    for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(threads, "1")

# `make test` draws the same examples everywhere and at every run: a change is judged by what it changes. `make fuzz`
# draws new ones and keeps those that fail in .hypothesis; each fault found becomes an @example of its test.
hypothesis.settings.register_profile(
    "fixed", derandomize=True, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
# As `make test` draws them, for who wants to know only whether a test fails (`benchmarks/mutants.py`).
hypothesis.settings.register_profile(
    "unshrunk",
    hypothesis.settings.get_profile("fixed"),
    phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
)
hypothesis.settings.register_profile(
    "explore", deadline=None, print_blob=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

# The longest modules first, so that none is left running alone at the end.
LONGEST_FIRST = (
    "test_notebook_05.py",
    "test_notebook_04.py",
    "test_pickers_deeppicker.py",
    "test_methods.py",
    "test_notebook_06.py",
    "test_invariance.py",
    "test_auto.py",
    "test_notebook_02.py",
    "test_clustering_pickers.py",
    "test_pickers.py",
    "test_picking.py",
    "test_benchmark_run.py",
    "test_exercises.py",
    "test_notebook_01.py",
    "test_notebook_03.py",
    "test_benchmark_markdown.py",
    "test_benchmark_report.py",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    rank = {name: index for index, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker("slow")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    # The processes of pytest-xdist send reports as UTF-8, and names of files need be none.
    report.sections = [(title, text.encode(errors="backslashreplace").decode()) for title, text in report.sections]
    return report


def pytest_generate_tests(metafunc):
    """Execute a notebook that trains networks with the parameters that its module names in QUICKER, and as shipped.

    The former is slow, the latter long. Tests that are marked as long themselves are of the notebook as shipped alone.
    """
    quicker = getattr(metafunc.module, "QUICKER", None)
    if quicker is None or "notebook" not in metafunc.fixturenames:
        return
    runs = [pytest.param({}, id="defaults", marks=pytest.mark.long)]
    if metafunc.definition.get_closest_marker("long") is None:
        runs.insert(0, pytest.param(quicker, id="quicker", marks=pytest.mark.slow))
    metafunc.parametrize("notebook", runs, indirect=True, scope="module")


# --- real micrographs ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real micrographs and reference files beside the repository; skips the test if it is absent."""
    folder = REPOSITORY.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("needs the folder `shared` beside the repository")
    return folder


@pytest.fixture(scope="session")
def real_data(tmp_path_factory):
    """Return a function from a dataset's name to a folder with `micrographs` and `labels` (a CSV file each).

    The dataset comes from the folder `shared` beside the repository or from the cache that ``cryokit data fetch``
    fills; the test is skipped where neither has it with labels.
    """

    @functools.cache
    def folder(name: str) -> Path:
        beside = REPOSITORY.parent / "shared" / "data" / name
        if (beside / "labels").is_dir():
            return beside
        from cryokit import coordinates, datasets
        from cryokit._util.names import micrograph_name

        dataset = datasets.load(name)
        pairs = dataset.pairs(partial=True) if dataset.any_here else []
        labelled = [path for path, label in pairs if label is not None]
        if not labelled:
            pytest.skip(f"needs {name} with labels: in ../shared/data, or from 'cryokit data fetch {name}'")
        place = tmp_path_factory.mktemp("real") / name
        (place / "micrographs").mkdir(parents=True)
        for path in labelled:
            (place / "micrographs" / path.name).symlink_to(path.resolve())
        names = [micrograph_name(path) for path in labelled]
        coordinates.write_folder(dataset.labels(partial=True), place / "labels", "csv", micrographs=names)
        return place

    return folder


# --- simulated micrographs -----------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def ribosomes() -> list:
    """Six simulated micrographs with particles 50 pixels across, and their labels."""
    from cryokit.simulate import simulate_set

    return list(simulate_set("ribosome", 6, seed=5, shape=(448, 448)))


@pytest.fixture(scope="session")
def micrographs(ribosomes) -> list:
    """The micrographs of `ribosomes`, for pickers that learn: four to learn from, two to pick."""
    return [micrograph for micrograph, _ in ribosomes]


@pytest.fixture(scope="session")
def labels(ribosomes):
    """The labels of `ribosomes` as one table."""
    from cryokit.coordinates import concatenate

    return concatenate(truth for _, truth in ribosomes)


# --- benchmarks ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """Folder and result of a run with a method that works and one with a wrong setting; not to be changed."""
    from small_benchmark import benchmark

    from cryokit.benchmark.run import run

    folder = tmp_path_factory.mktemp("benchmark") / "run"
    wrong = {"name": "autocryopicker", "settings": {"clusters": "many"}}
    return folder, run(benchmark(methods=["template", wrong]), folder)


@pytest.fixture
def copied_run(small_run, tmp_path) -> Path:
    """A copy of the folder of `small_run`, whose finished cells are kept."""
    return Path(shutil.copytree(small_run[0], tmp_path / "run"))


# --- a browser -----------------------------------------------------------------------------------------------------

QUIET_BROWSER = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Return a function that opens a page in Chromium (address, size, options); skips the test where there is none.

    The page keeps a list of its `requests` and of its `faults`: errors, and what it wrote to the console.
    """
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("needs Chromium, such as the Debian package chromium")
    # Not for the whole session: tests with an event loop of their own cannot run while this one does.
    with sync_api.sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("profile"), executable_path=program, headless=True, args=QUIET_BROWSER.split()
        )

        def opened(address, size=(1280, 720)):
            page = context.new_page()
            page.requests, page.faults = [], []
            page.on("request", lambda request: page.requests.append(request.url))
            page.on("console", lambda message: page.faults.append(message.text))
            page.on("pageerror", lambda error: page.faults.append(str(error)))
            page.set_viewport_size({"width": size[0], "height": size[1]})
            page.goto(address)
            return page

        yield opened
        context.close()


# --- notebooks -----------------------------------------------------------------------------------------------------


class Executed:
    """An executed notebook: the parameters it was given, its files and what it recorded."""

    def __init__(self, path: Path, given: dict):
        from cryokit.cli.notebook_runner import recorded

        self.path = path
        self.given = given
        self.folder = path.with_suffix("")
        self.results = recorded(path)
        self.page = path.with_suffix(".html").read_text(encoding="utf-8")

    @property
    def warnings(self) -> list[str]:
        """What its cells wrote to standard error."""
        import nbformat  # slow to import

        outputs = [output for cell in nbformat.read(self.path, 4).cells for output in cell.get("outputs", ())]
        return [output.text for output in outputs if output.get("name") == "stderr"]

    @property
    def pictures(self) -> int:
        return self.page.count("data:image/png;base64,")

    @property
    def tallest(self) -> int:
        """Height of the tallest picture in pixels."""
        pictures = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=\s]{44})", self.page)
        return max(int.from_bytes(base64.b64decode(head)[20:24], "big") for head in pictures)

    @property
    def formulas(self) -> int:
        return self.page.count("data:image/svg+xml;base64,")


@pytest.fixture(scope="session")
def run_notebook():
    """Return a function that runs a notebook (name, parameters, output folder)."""
    from cryokit.cli import notebook_runner

    def run(name: str, parameters: dict | None = None, *, out: Path) -> Executed:
        return Executed(notebook_runner.run(name, parameters, out=out), parameters or {})

    return run


@pytest.fixture(scope="module")
def notebook(request, tmp_path_factory, run_notebook) -> Executed:
    """The notebook that the module names in NOTEBOOK, executed once.

    It has its default parameters but for those in the module's GIVEN, if there are any; or see QUICKER above. The
    micrographs are simulated, whatever has been fetched.
    """
    from cryokit.cli import notebook_runner

    given = dict(getattr(request, "param", getattr(request.module, "GIVEN", {})))
    if "data" in notebook_runner.parameters(notebook_runner.load(notebook_runner.find(request.module.NOTEBOOK))):
        given.setdefault("data", "simulated")
    return run_notebook(request.module.NOTEBOOK, given, out=tmp_path_factory.mktemp("notebook"))


@pytest.fixture(scope="module")
def results(notebook) -> dict:
    """What the notebook of the module recorded."""
    return notebook.results
