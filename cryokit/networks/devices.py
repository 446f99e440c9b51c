"""Where networks run: the device, the precision of their numbers, the threads, and the first import of Keras.

Nothing here depends on the backend of Keras (``KERAS_BACKEND``: tensorflow, jax or torch), and nothing imports Keras
before it is needed. Without any setting, Keras takes a GPU if its backend sees one. Where the arguments of `using` do
not choose, ``CRYOKIT_DEVICE`` (``cpu`` or ``gpu``) and ``CRYOKIT_PRECISION`` (``float32``, ``mixed_float16`` or
``mixed_bfloat16``) do.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextvars import ContextVar
from types import ModuleType
from typing import TYPE_CHECKING, Any

from cryokit._util.cores import usable_cores
from cryokit._util.memory import keep_freed_memory
from cryokit._util.validation import check_choice, check_number
from cryokit._util.wording import plural
from cryokit.errors import ArgumentError, PickerError

if TYPE_CHECKING:
    import keras

PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")

# Lines that TensorFlow's C++ writes to stderr at every start and that ask nobody to do anything: with tensorflow-cpu
# 2.21 the first two, twice each, at any TF_CPP_MIN_LOG_LEVEL; the others with level 0 or in builds for CUDA. They go
# away only if oneDNN is switched off (TF_ENABLE_ONEDNN_OPTS=0), and then the compact network picks 1.5 times and
# DeepCryoPicker's trains 2.5 times as slowly (processor time, two cores).
_START_UP = re.compile(
    rb"All log messages before absl::InitializeLog"
    rb"|oneDNN custom operations are on"
    rb"|cpu_feature_guard\.cc"
    rb"|^To enable the following instructions"
    rb"|Unable to register cu\w+ (factory|plugin)"
    rb"|computation_placer\.cc.* already registered"
    rb"|Could not find cuda drivers on your machine"
    rb"|TF-TRT Warning: Could not find TensorRT"
)

# Packages that Keras imports, if they are installed, for interfaces of its own that cryokit does not use.
_EXTRAS = ("sklearn", "matplotlib", "IPython")

# Choices of the enclosing blocks of `using`, None for no choice; they take precedence over the environment.
_device: ContextVar[str | None] = ContextVar("device", default=None)
_precision: ContextVar[str | None] = ContextVar("precision", default=None)
_lean: ContextVar[bool] = ContextVar("lean", default=False)


def import_keras() -> ModuleType:
    """Import Keras without the lines that TensorFlow writes to stderr at its start, and return it.

    All other lines appear after the import. With ``TF_CPP_MIN_LOG_LEVEL=0`` in the environment nothing is held back.
    After the first import this costs nothing.

    Returns
    -------
    module

    Raises
    ------
    PickerError
        If Keras or its backend is not installed, or the backend is unknown.
    """
    if "keras" in sys.modules:
        return importlib.import_module("keras")
    keep_freed_memory()
    # At level 0, XLA reports every compilation. Warnings (1) and errors (2) still appear.
    level = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    try:
        with (
            contextlib.nullcontext() if level == "0" else _without_start_up_lines(),
            _without_extras() if _lean.get() else contextlib.nullcontext(),
        ):
            return importlib.import_module("keras")
    except (ImportError, ValueError) as error:
        backend = os.environ.get("KERAS_BACKEND")
        setting = "" if backend is None else f" with KERAS_BACKEND={backend}"
        raise PickerError(
            f"Keras cannot be imported{setting}: {error}; install the backend (cryokit[jax], cryokit[torch]) or choose "
            "another (KERAS_BACKEND=tensorflow, jax or torch)"
        ) from error


@contextlib.contextmanager
def lean() -> Iterator[None]:
    """Start quickly in a process that only runs a network, such as a command's.

    If Keras is first imported within the block, it goes without scikit-learn, matplotlib and IPython, which it imports
    for interfaces of its own (classifiers for scikit-learn, pictures of layers); the process then lacks these
    interfaces. With Keras 3.15 this saves 1.1 s of processor time and 90 MB of memory. cryokit and everything else can
    import the three packages as before.
    """
    token = _lean.set(True)
    try:
        yield
    finally:
        _lean.reset(token)


@contextlib.contextmanager
def _without_extras() -> Iterator[None]:
    hidden = [name for name in _EXTRAS if name not in sys.modules]
    # With None for a module, importing it fails as if it were not installed (Python's reference, "The module cache").
    sys.modules.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)


@contextlib.contextmanager
def _without_start_up_lines() -> Iterator[None]:
    """Hold back what is written to the file descriptor of stderr, and pass on all but the start-up lines afterwards.

    C++ writes to the descriptor, so replacing `sys.stderr` would not help. Into a file, not a pipe: C++ that holds
    Python's lock could fill a pipe that no thread would then empty.
    """
    try:
        stderr = os.dup(2)
    except OSError:  # closed: nothing appears anyway
        yield
        return
    with tempfile.TemporaryFile() as held:
        _flush_stderr()
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            _flush_stderr()
            os.dup2(stderr, 2)
            os.close(stderr)
            held.seek(0)
            rest = b"".join(line for line in held if not _START_UP.search(line))
            if rest.strip():
                with contextlib.suppress(OSError):
                    os.write(2, rest)


def _flush_stderr() -> None:
    with contextlib.suppress(AttributeError, OSError, ValueError):  # none, or closed
        sys.stderr.flush()


def list_devices() -> tuple[str, ...]:
    """Return the devices that Keras' backend can use, its own choice first.

    Returns
    -------
    tuple of str
        Names such as ``("gpu:0", "gpu:1", "cpu:0")``; the CPU is always among them.
    """
    keras = import_keras()
    if keras.backend.backend() == "torch":  # for which Keras lists none
        torch = importlib.import_module("torch")
        names = [f"gpu:{index}" for index in range(torch.cuda.device_count())]
        if not names and torch.backends.mps.is_available():
            names = ["mps:0"]
    else:
        names = [name.lower() for name in keras.distribution.list_devices()]
    return tuple(dict.fromkeys([*names, "cpu:0"]))


@contextlib.contextmanager
def using(device: str | None = None, precision: str | None = None) -> Iterator[str]:
    """Build, train and run networks on a device, and give new networks a precision, within the block.

    Parameters
    ----------
    device : {"cpu", "gpu"} or str, optional
        Device, also one of `list_devices`. Default: that of an enclosing block, else the environment's
        ``CRYOKIT_DEVICE``, else Keras' own choice.
    precision : {"float32", "mixed_float16", "mixed_bfloat16"}, optional
        Precision of the networks built in the block: mixed ones calculate in 16 bits and keep weights in 32. On most
        CPUs they are no faster. Default: that of an enclosing block, else the environment's ``CRYOKIT_PRECISION``, else
        unchanged. For existing networks see `set_precision`.

    Yields
    ------
    str
        Name of the device, such as ``"cpu:0"``.

    Raises
    ------
    ArgumentError
        If a name is unknown, or a GPU is asked for where there is none.
    """
    if precision is not None:
        check_choice("precision", precision, PRECISIONS)
    elif _precision.get() is None:
        precision = os.environ.get("CRYOKIT_PRECISION") or None
        check_choice("CRYOKIT_PRECISION", precision or PRECISIONS[0], PRECISIONS)
    chosen = _current() if device is None else _find("device", device)
    # Without any choice, Keras places networks itself: one that is spread over several GPUs stays there.
    free = device is None and _device.get() is None and not os.environ.get("CRYOKIT_DEVICE")
    keras = import_keras()
    before = keras.config.dtype_policy()
    tokens = _device.set(None if free else chosen), _precision.set(precision or _precision.get())
    try:
        if precision is not None:
            keras.config.set_dtype_policy(precision)
        with contextlib.nullcontext() if free else keras.device(chosen):
            yield chosen
    finally:
        keras.config.set_dtype_policy(before)
        _device.reset(tokens[0])
        _precision.reset(tokens[1])


def set_precision(network: keras.Model, precision: str) -> None:
    """Change the precision in which an existing network calculates, in place; its weights stay as they are.

    The last layer, which turns scores into probabilities, stays in 32 bits.

    Parameters
    ----------
    network : keras.Model
        Network; compile it again before training it further.
    precision : {"float32", "mixed_float16", "mixed_bfloat16"}
        Precision of all layers but the last.

    Raises
    ------
    ArgumentError
        If the precision is unknown.
    """
    check_choice("precision", precision, PRECISIONS)
    *layers, last = leaf_layers(network)
    for layer in layers:
        layer.dtype_policy = precision
    last.dtype_policy = "float32"
    # Functions compiled for the former precision.
    network.predict_function = network.test_function = network.train_function = None


def leaf_layers(network: keras.Model) -> list[keras.Layer]:
    """Return the layers of a network, with those of networks within it in place of them."""
    inner = (leaf_layers(layer) if hasattr(layer, "layers") else [layer] for layer in network.layers)
    return list(itertools.chain.from_iterable(inner))


def limit_threads(threads: int) -> None:
    """Limit the CPU threads of networks; to be called before the first import of Keras.

    Parameters
    ----------
    threads : int
        Largest number of threads.

    Raises
    ------
    ArgumentError
        If the number is below 1.
    PickerError
        If Keras is imported already: its backends read their limits only once.
    """
    check_number("threads", threads, 1, whole=True)
    if "keras" in sys.modules:
        raise PickerError("the threads can be limited only before the first import of Keras; limit them earlier")
    # TensorFlow, XLA (JAX), and what runs in OpenMP (Torch, BLAS).
    names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "NPROC", "OMP_NUM_THREADS")
    os.environ.update(dict.fromkeys(names, str(int(threads))))


def describe_device() -> dict[str, Any]:
    """Describe where networks run now: for notebooks, benchmarks and the provenance of models.

    Returns
    -------
    dict
        JSON values: ``keras``, ``backend``, ``backend_version``, ``device`` (as in `list_devices`), ``gpu`` (name, or
        None without one), ``cores`` (that this process may use), ``precision`` (of new networks).
    """
    keras = import_keras()
    backend = keras.backend.backend()
    gpu = any(not name.startswith("cpu") for name in list_devices())
    return {
        "keras": keras.__version__,
        "backend": backend,
        "backend_version": importlib.import_module(backend).__version__,
        "device": _current(),
        "gpu": _gpu_name() if gpu else None,
        "cores": usable_cores(),
        "precision": keras.config.dtype_policy().name,
    }


def device_text() -> str:
    """Return the same in one sentence, which also says if there is no GPU."""
    about = describe_device()
    software = f"Keras {about['keras']} with {about['backend']} {about['backend_version']}"
    cores = plural(about["cores"], "core")
    if about["gpu"] is None:
        return f"{software} on the CPU ({cores}); there is no GPU that it can use."
    if about["device"].startswith("cpu"):
        return f"{software} on the CPU ({cores}), as set; there is also a GPU: {about['gpu']}."
    return f"{software} on {about['device']} ({about['gpu']}), {about['precision']}."


def _current() -> str:
    """Return the device of the enclosing block, of the environment, or of Keras' choice."""
    if _device.get() is not None:
        return _device.get()
    device = os.environ.get("CRYOKIT_DEVICE")
    return _find("CRYOKIT_DEVICE", device) if device else list_devices()[0]


def _find(source: str, device: str) -> str:
    devices = list_devices()
    name = device.strip().lower()
    if name in devices:
        return name
    if name == "cpu":
        return "cpu:0"
    if name == "gpu":
        accelerators = [accelerator for accelerator in devices if not accelerator.startswith("cpu")]
        if accelerators:
            return accelerators[0]
        backend = import_keras().backend.backend()
        raise ArgumentError(
            f"{source}={device!r}, but {backend} sees no GPU (devices: {', '.join(devices)}); install {backend} with "
            "GPU support (TensorFlow: pip install 'cryokit[gpu]') and check that nvidia-smi lists the GPU, or use cpu"
        )
    raise ArgumentError(f"{source} must be cpu, gpu or one of {', '.join(devices)}, not {device!r}")


def _gpu_name() -> str:
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        names = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        names = []
    return ", ".join(dict.fromkeys(name.strip() for name in names if name.strip())) or "name unknown"
