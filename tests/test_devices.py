"""Where networks run: device and precision by argument and environment, and a quiet start of Keras."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cryokit.errors import ArgumentError
from cryokit.networks import devices

REPOSITORY = Path(__file__).resolve().parent.parent


def run(code, **environment):
    """Run code in a fresh Python; return what it printed, as JSON, and its stderr."""
    environment = {**os.environ, **environment}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return (json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else None), done.stderr


@pytest.fixture
def keras():
    return devices.import_keras()


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch):
    monkeypatch.delenv("CRYOKIT_DEVICE", raising=False)
    monkeypatch.delenv("CRYOKIT_PRECISION", raising=False)


@pytest.fixture
def no_gpu():
    if any(not name.startswith("cpu") for name in devices.list_devices()):
        pytest.skip("there is a GPU here")


# --- Keras' first import ---------------------------------------------------------------------------------------------


def test_keras_starts_quietly_and_threads_are_limited_before():
    # One start for several questions: it takes seconds.
    code = """
import json, os, sys
from cryokit.networks import devices
assert "keras" not in sys.modules
devices.limit_threads(3)
keras = devices.import_keras()
try:
    devices.limit_threads(2)
    late = ""
except Exception as error:
    late = type(error).__name__
model = keras.Sequential([keras.layers.Input((4, 4, 1)), keras.layers.Conv2D(2, 3)])
model.compile("sgd", "mse", jit_compile=False)
import numpy as np
model.predict_on_batch(np.zeros((1, 4, 4, 1), "float32"))
os.write(2, b"descriptor\\n")
sys.stderr.write("stream\\n")
print(json.dumps([keras.backend.backend(), late, os.environ["OMP_NUM_THREADS"], "tensorflow" in sys.modules]))
"""
    (backend, late, threads, tensorflow), stderr = run(code)
    assert stderr.splitlines() == ["descriptor", "stream"]
    assert late == "PickerError"
    assert threads == "3"
    assert tensorflow == (backend == "tensorflow")


@pytest.mark.slow
def test_keras_can_do_without_what_only_its_own_interfaces_need():
    code = """
import json, sys
from cryokit.networks import devices
with devices.lean():
    keras = devices.import_keras()
missing = [name for name in ("sklearn", "matplotlib", "IPython") if name not in sys.modules]
from sklearn.mixture import GaussianMixture
import matplotlib.figure
model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
print(json.dumps([missing, list(model.predict_on_batch(keras.ops.ones((5, 3))).shape)]))
"""
    (missing, shape), _ = run(code)
    assert missing == ["sklearn", "matplotlib", "IPython"]
    assert shape == [5, 2]


START_UP = b"""\
WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1795354128.531224   12317 port.cc:153] oneDNN custom operations are on. You may see slightly different
I0000 00:00:1795354138.769243   12317 cpu_feature_guard.cc:227] This TensorFlow binary is optimized to use available
To enable the following instructions: AVX2 AVX512F AVX512_VNNI AVX512_BF16 FMA, in other operations, rebuild TensorFlow
E0000 00:00:1795354138.769243 1 cuda_fft.cc:485] Unable to register cuFFT factory: Attempting to register factory
"""


def test_other_lines_than_those_of_the_start_appear_in_their_order(capfd):
    with devices._without_start_up_lines():
        os.write(2, b"first\n" + START_UP)
        os.write(2, b"second\nE0000 failed call to cuInit: no CUDA-capable device is detected\nunfinished")
    assert capfd.readouterr().err.splitlines() == [
        *("first", "second", "E0000 failed call to cuInit: no CUDA-capable device is detected", "unfinished")
    ]


def test_what_was_said_before_an_error_appears(capfd):
    def fail():
        with devices._without_start_up_lines():
            os.write(2, b"why\n" + START_UP)
            raise ImportError("libcudart is missing")

    with pytest.raises(ImportError):
        fail()
    assert capfd.readouterr().err == "why\n"
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_a_closed_stderr_is_no_obstacle():
    code = (
        "import os; os.close(2)\nfrom cryokit.networks import devices\nwith devices._without_start_up_lines(): print(1)"
    )
    assert run(code)[0] == 1


def test_a_backend_that_is_not_there_is_named():
    code = """
import json
from cryokit.networks import devices
from cryokit.errors import PickerError
try:
    devices.import_keras()
except PickerError as error:
    print(json.dumps(str(error)))
"""
    message, _ = run(code, KERAS_BACKEND="theano")
    assert "KERAS_BACKEND=theano" in message
    assert "tensorflow, jax or torch" in message


# --- device ----------------------------------------------------------------------------------------------------------


def test_the_cpu_is_always_there():
    assert "cpu:0" in devices.list_devices()
    with devices.using("cpu") as chosen:
        assert chosen == "cpu:0"
        assert devices.describe_device()["device"] == "cpu:0"


@pytest.mark.usefixtures("no_gpu")
class TestWithoutGPU:
    def test_a_gpu_that_is_wanted_and_missing_is_an_error_with_the_way_out(self, keras):
        with pytest.raises(ArgumentError, match=rf"device='gpu'.* {keras.backend.backend()} "), devices.using("gpu"):
            pass

    def test_a_missing_gpu_of_the_environment_is_named(self, monkeypatch):
        monkeypatch.setenv("CRYOKIT_DEVICE", "GPU")
        with pytest.raises(ArgumentError, match="CRYOKIT_DEVICE='GPU'"), devices.using():
            pass
        with devices.using("cpu") as chosen:  # the argument goes before
            assert chosen == "cpu:0"

    def test_description(self, keras):
        about = devices.describe_device()
        assert about == json.loads(json.dumps(about))
        assert about["gpu"] is None
        assert about["device"] == "cpu:0"
        assert about["keras"] == keras.__version__
        assert about["backend"] in sys.modules
        assert about["cores"] >= 1
        assert "there is no GPU" in devices.device_text()


class TestWithGPU:
    """The choice alone: with devices made up, nothing runs on them."""

    @pytest.fixture(autouse=True)
    def _made_up(self, monkeypatch):
        monkeypatch.setattr(devices, "list_devices", lambda: ("gpu:0", "gpu:1", "cpu:0"))
        monkeypatch.setattr(devices, "_gpu_name", lambda: "GeForce GTX 1070")

    def test_a_gpu_is_taken_by_itself(self):
        assert devices.describe_device()["device"] == "gpu:0"
        assert "on gpu:0 (GeForce GTX 1070)" in devices.device_text()

    @pytest.mark.parametrize(("wanted", "chosen"), [("cpu", "cpu:0"), ("gpu", "gpu:0"), ("GPU:1", "gpu:1")])
    def test_environment(self, monkeypatch, wanted, chosen):
        monkeypatch.setenv("CRYOKIT_DEVICE", wanted)
        assert devices.describe_device()["device"] == chosen

    def test_blocks_within_blocks(self, monkeypatch):
        monkeypatch.setenv("CRYOKIT_DEVICE", "gpu:1")
        with devices.using("cpu"):
            with devices.using() as inner:
                assert inner == "cpu:0"  # the block around goes before the environment
            assert devices.describe_device()["device"] == "cpu:0"
            assert "as set" in devices.device_text()
        assert devices.describe_device()["device"] == "gpu:1"

    def test_unknown_device(self):
        with pytest.raises(ArgumentError, match=r"device .*gpu:0, gpu:1, cpu:0.*'gpu:7'"), devices.using("gpu:7"):
            pass


def test_work_runs_on_the_device_that_was_chosen(keras):
    with devices.using("cpu"):
        tensor = keras.ops.zeros((2, 2)) + 1
    place = tensor.device() if callable(tensor.device) else tensor.device
    assert "cpu" in str(place).lower()


# --- precision -------------------------------------------------------------------------------------------------------


def network(keras, seed=0):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.layers.Input((12, 12, 1)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(3, dtype="float32", activation="softmax"),
        ]
    )


def test_precision_of_new_networks_and_back_again(keras):
    before = keras.config.dtype_policy().name
    with devices.using("cpu", "mixed_bfloat16"):
        inside = network(keras)
        with devices.using(precision="float32"):
            assert keras.config.dtype_policy().name == "float32"
        with devices.using():
            assert keras.config.dtype_policy().name == "mixed_bfloat16"
    assert keras.config.dtype_policy().name == before
    assert inside.layers[0].compute_dtype == "bfloat16"
    assert inside.layers[0].variable_dtype == "float32"


def test_precision_is_restored_after_an_error(keras):
    before = keras.config.dtype_policy().name
    with pytest.raises(RuntimeError), devices.using(precision="mixed_float16"):
        raise RuntimeError
    assert keras.config.dtype_policy().name == before


def test_precision_by_environment(keras, monkeypatch):
    monkeypatch.setenv("CRYOKIT_PRECISION", "mixed_bfloat16")
    with devices.using("cpu"):
        assert devices.describe_device()["precision"] == "mixed_bfloat16"
    with devices.using(precision="float32"), devices.using():
        assert devices.describe_device()["precision"] == "float32"
    monkeypatch.setenv("CRYOKIT_PRECISION", "int4")
    with pytest.raises(ArgumentError, match=r"CRYOKIT_PRECISION .*mixed_float16.*'int4'"), devices.using():
        pass


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_precision_of_a_network_that_exists(keras, precision):
    model = network(keras)
    images = np.random.default_rng(0).normal(size=(4, 12, 12, 1)).astype(np.float32)
    exact, weights = np.asarray(model.predict_on_batch(images)), model.get_weights()
    devices.set_precision(model, precision)
    coarse = np.asarray(model.predict_on_batch(images))
    assert model.layers[0].compute_dtype != "float32"
    assert coarse.dtype == np.float32
    assert 0 < np.abs(coarse - exact).max() < 0.02
    assert all(np.array_equal(one, other) for one, other in zip(weights, model.get_weights(), strict=True))
    devices.set_precision(model, "float32")
    assert np.array_equal(np.asarray(model.predict_on_batch(images)), exact)


def test_unknown_precision(keras):
    with pytest.raises(ArgumentError, match=r"precision .*'float8'"), devices.using(precision="float8"):
        pass
    with pytest.raises(ArgumentError, match="float8"):
        devices.set_precision(network(keras), "float8")


def test_threads_have_to_be_positive():
    with pytest.raises(ArgumentError, match=r"threads .* 0$"):
        devices.limit_threads(0)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library has these settings")
def test_the_c_library_takes_the_settings_of_memory():
    # In a process of its own: the settings stay.
    command = "from cryokit._util.memory import keep_freed_memory; raise SystemExit(not keep_freed_memory())"
    assert subprocess.run([sys.executable, "-c", command], check=False).returncode == 0
