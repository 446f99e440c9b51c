"""Where networks run: the device, the precision of their numbers, the threads, and Keras' first import.

Nothing here depends on the backend of Keras (``KERAS_BACKEND``: tensorflow, jax or torch), and nothing imports Keras
before it is needed. Without any setting Keras takes a GPU where its backend sees one. ``CRYOKIT_DEVICE`` (``cpu`` or
``gpu``) and ``CRYOKIT_PRECISION`` (``float32``, ``mixed_float16`` or ``mixed_bfloat16``) choose where the arguments of
`using` do not.
"""

from __future__ import annotations

import contextlib
import ctypes
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
from cryokit._util.wording import plural
from cryokit.errors import PickerError

if TYPE_CHECKING:
    import keras

PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")

# What TensorFlow's C++ says on every start and asks nobody to do anything about. The oneDNN line does not heed
# TF_CPP_MIN_LOG_LEVEL, and switching oneDNN off to be rid of it would cost a third of the speed.
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

# What Keras imports, where it is there, for interfaces to them that cryokit does not use.
_EXTRAS = ("sklearn", "matplotlib", "IPython")
_M_TRIM_THRESHOLD = -1  # of malloc.h

# Chosen by the blocks of `using` around, None for nothing: they go before the environment.
_device: ContextVar[str | None] = ContextVar("device", default=None)
_precision: ContextVar[str | None] = ContextVar("precision", default=None)
_lean: ContextVar[bool] = ContextVar("lean", default=False)


def import_keras() -> ModuleType:
    """Import Keras without the lines that TensorFlow prints to stderr at its start, and return it.

    Any other line still appears, once the import is done. With ``TF_CPP_MIN_LOG_LEVEL=0`` in the environment nothing is
    held back. After the first import this costs nothing.

    Returns
    -------
    module

    Raises
    ------
    PickerError
        When Keras or its backend is not installed, or the backend is unknown.
    """
    if "keras" in sys.modules:
        return importlib.import_module("keras")
    # XLA tells at level 0 that it compiles. Warnings (1) and errors (2) still come.
    level = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    try:
        with (
            contextlib.nullcontext() if level == "0" else _without_start_up_lines(),
            _without_extras() if _lean.get() else contextlib.nullcontext(),
        ):
            return importlib.import_module("keras")
    except (ImportError, ValueError) as error:
        backend = os.environ.get("KERAS_BACKEND")
        which = "" if backend is None else f" with KERAS_BACKEND={backend}"
        raise PickerError(
            f"Keras cannot be imported{which}: {error}; install the backend (cryokit[jax], cryokit[torch]) or choose "
            "another (KERAS_BACKEND=tensorflow, jax or torch)"
        ) from error


@contextlib.contextmanager
def lean() -> Iterator[None]:
    """Save memory in a process that only runs a network, such as a command's.

    Keras, where it is first imported within the block, goes without scikit-learn, matplotlib and IPython: it imports
    them for interfaces of its own (classifiers for scikit-learn, pictures of layers), which the process then lacks.
    cryokit and everything else can import the three as before. And with the GNU C library, large arrays go back to the
    system as soon as they are freed; by itself it keeps tens of megabytes for later ones.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_TRIM_THRESHOLD, 1 << 20)
    token = _lean.set(True)
    try:
        yield
    finally:
        _lean.reset(token)


@contextlib.contextmanager
def _without_extras() -> Iterator[None]:
    hidden = [name for name in _EXTRAS if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # None for a module: importing it fails as if it were not installed
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)


@contextlib.contextmanager
def _without_start_up_lines() -> Iterator[None]:
    """Hold back what is written to the file descriptor of stderr; pass on afterwards all but the start-up lines.

    A file, not a pipe: C++ that holds Python's lock could fill a pipe that no thread would then empty.
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
    """Return the devices that Keras' backend can use, the one it takes by itself first.

    Returns
    -------
    tuple of str
        Such as ``("gpu:0", "gpu:1", "cpu:0")``; the CPU is always among them.
    """
    keras = import_keras()
    if keras.backend.backend() == "torch":  # for which Keras lists none
        torch = importlib.import_module("torch")
        found = [f"gpu:{index}" for index in range(torch.cuda.device_count())]
        if not found and torch.backends.mps.is_available():
            found = ["mps:0"]
    else:
        found = [name.lower() for name in keras.distribution.list_devices()]
    return tuple(dict.fromkeys([*found, "cpu:0"]))


@contextlib.contextmanager
def using(device: str | None = None, precision: str | None = None) -> Iterator[str]:
    """Build, train and run networks on a device, and give new networks a precision, as long as the block lasts.

    Parameters
    ----------
    device : {"cpu", "gpu"} or str, optional
        Or one of `list_devices`. Default: that of a block around this one, else the environment's ``CRYOKIT_DEVICE``,
        else what Keras takes by itself.
    precision : {"float32", "mixed_float16", "mixed_bfloat16"}, optional
        Of the networks built in the block: mixed ones calculate in 16 bits and keep weights in 32. It makes no network
        faster on most CPUs. Default: as around this block, else the environment's ``CRYOKIT_PRECISION``, else as it
        is. For a network that exists already see `set_precision`.

    Yields
    ------
    str
        The device's name, such as ``"cpu:0"``.

    Raises
    ------
    PickerError
        When a GPU is wanted and none is there, or a name is unknown.
    """
    if precision is not None:
        _check_precision(precision, "precision")
    elif _precision.get() is None:
        precision = os.environ.get("CRYOKIT_PRECISION") or None
        _check_precision(precision or PRECISIONS[0], "CRYOKIT_PRECISION")
    chosen = _find("device", device) if device is not None else _current()
    # Without any choice the place stays Keras' own: a network spread over several GPUs is not called back to one.
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
        Compile it again before training it further.
    precision : {"float32", "mixed_float16", "mixed_bfloat16"}

    Raises
    ------
    PickerError
        When the precision is unknown.
    """
    _check_precision(precision, "precision")
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
    """Let networks use no more than so many CPU threads; to be called before Keras' first import.

    Parameters
    ----------
    threads : int
        At least 1.

    Raises
    ------
    PickerError
        When the number is below 1, or Keras is imported already: its backends read their limits once.
    """
    if threads < 1:
        raise PickerError(f"a network needs at least 1 thread, not {threads}")
    if "keras" in sys.modules:
        raise PickerError("the number of threads can be limited only before Keras is imported; do that first")
    # TensorFlow, XLA (JAX), and what runs in OpenMP (Torch, BLAS).
    names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "NPROC", "OMP_NUM_THREADS")
    os.environ.update(dict.fromkeys(names, str(threads)))


def describe_device() -> dict[str, Any]:
    """Return where networks run now, in JSON's types: for notebooks, benchmarks and the provenance of models.

    Returns
    -------
    dict
        ``keras``, ``backend``, ``backend_version``, ``device`` (as in `list_devices`), ``gpu`` (its name, or None
        without one), ``cores`` (that this process may use), ``precision`` (of new networks).
    """
    keras = import_keras()
    backend = keras.backend.backend()
    devices = list_devices()
    return {
        "keras": keras.__version__,
        "backend": backend,
        "backend_version": importlib.import_module(backend).__version__,
        "device": _current(),
        "gpu": _gpu_name() if any(not name.startswith("cpu") for name in devices) else None,
        "cores": usable_cores(),
        "precision": keras.config.dtype_policy().name,
    }


def device_text() -> str:
    """Return the same in one sentence, which says so where there is no GPU."""
    told = describe_device()
    software = f"Keras {told['keras']} with {told['backend']} {told['backend_version']}"
    cores = plural(told["cores"], "core")
    if told["gpu"] is None:
        return f"{software} on the CPU ({cores}); there is no GPU that it can use."
    if told["device"].startswith("cpu"):
        return f"{software} on the CPU ({cores}), as set; there is a GPU, too: {told['gpu']}."
    return f"{software} on {told['device']} ({told['gpu']}), {told['precision']}."


def _current() -> str:
    """Return the device of the block around, of the environment, or that Keras takes by itself."""
    if _device.get() is not None:
        return _device.get()
    device = os.environ.get("CRYOKIT_DEVICE")
    return _find("CRYOKIT_DEVICE", device) if device else list_devices()[0]


def _find(source: str, device: str) -> str:
    devices = list_devices()
    wanted = device.strip().lower()
    if wanted in devices:
        return wanted
    if wanted == "gpu":
        accelerators = [name for name in devices if not name.startswith("cpu")]
        if accelerators:
            return accelerators[0]
        backend = import_keras().backend.backend()
        raise PickerError(
            f"{source}={device!r}, but {backend} sees no GPU (devices: {', '.join(devices)}); install {backend} with "
            "GPU support (TensorFlow: pip install 'cryokit[gpu]') and check that nvidia-smi lists the GPU, or use cpu"
        )
    if wanted == "cpu":
        return "cpu:0"
    raise PickerError(f"{source}={device!r} is no device here; use cpu, gpu or one of {', '.join(devices)}")


def _check_precision(precision: str, source: str) -> None:
    if precision not in PRECISIONS:
        raise PickerError(f"{source}={precision!r} is no precision; use one of {', '.join(PRECISIONS)}")


def _gpu_name() -> str:
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        names = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        names = []
    return ", ".join(dict.fromkeys(name.strip() for name in names if name.strip())) or "name unknown"
