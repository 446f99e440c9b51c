"""Reading ahead: order, errors, overlap, bounded memory, and the end of the thread."""

import gc
import threading
import time
import weakref

import numpy as np
import pytest

from cryokit._util.prefetch import ahead
from cryokit.errors import ArgumentError, MicrographError

WAIT = 60  # seconds; generous, so that a busy machine does not fail a test


def reading_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("cryokit-reading")]


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    yield
    gc.collect()
    assert not reading_threads()


def test_order_is_kept_whatever_takes_long():
    def load(path):
        time.sleep(0.02 if path % 3 == 0 else 0)
        return path**2

    assert list(ahead(range(12), load, depth=3)) == [(path, path**2) for path in range(12)]


def test_errors_come_with_their_files_and_the_others_go_on():
    def load(path):
        if path == "b":
            raise MicrographError("b: damaged")
        if path == "d":
            raise ValueError("unexpected")
        return path.upper()

    (_, a), (name, b), (_, c), (_, d), (_, e) = ahead("abcde", load)
    assert (a, c, e) == ("A", "C", "E")
    assert name == "b"
    assert isinstance(b, MicrographError)
    assert isinstance(d, ValueError)


def test_nothing_to_read():
    assert list(ahead([], lambda path: path)) == []


def test_the_next_file_is_read_while_the_consumer_works():
    started = {path: threading.Event() for path in range(4)}

    def load(path):
        started[path].set()
        return path

    for path, _ in ahead(range(4), load, depth=1):
        if path < 3:
            assert started[path + 1].wait(WAIT)  # without a further step of the consumer


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_no_more_than_the_depth_is_read_ahead(depth):
    begun = []

    def load(path):
        begun.append(path)
        return path

    for path, _ in ahead(iter(range(20)), load, depth):
        deadline = time.monotonic() + WAIT
        expected = min(path + depth + 1, 20)
        while len(begun) < expected and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.005)
        assert len(begun) == expected


def test_values_are_released():
    alive = weakref.WeakSet()

    class Value:
        pass

    def load(_):
        value = Value()
        alive.add(value)
        return value

    most = 0
    for _, value in ahead(range(30), load, depth=2):
        time.sleep(0.002)
        most = max(most, len(alive))
        del value
        assert len(alive) <= 2
    assert most <= 3


def test_a_consumer_that_stops_early_leaves_no_thread_and_reads_no_further():
    begun = []

    def load(path):
        begun.append(path)
        time.sleep(0.01)
        return path

    for path, _ in ahead(range(1000), load, depth=2):
        if path == 3:
            break
    gc.collect()
    assert not reading_threads()
    assert len(begun) <= 6


def test_an_error_of_the_consumer_ends_the_thread():
    def consume():
        for _, value in ahead(range(100), lambda path: path):
            if value == 2:
                raise RuntimeError("the work failed")

    with pytest.raises(RuntimeError, match="the work failed"):
        consume()


def test_an_iterator_that_is_never_started_has_no_thread():
    unused = ahead(range(3), lambda path: path)
    assert not reading_threads()
    del unused


def test_an_interruption_is_raised():
    def load(path):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(ahead(range(3), load))


@pytest.mark.parametrize("depth", [0, -1])
def test_depth_is_checked_at_once(depth):
    with pytest.raises(ArgumentError, match=f"depth .*{depth}"):
        ahead([1], lambda path: path, depth)


def test_micrographs(tmp_path):
    from cryokit.micrograph import read, write_mrc

    paths = []
    for index in range(3):
        image = np.arange(64, dtype=np.float32).reshape(8, 8) + index
        write_mrc(tmp_path / f"{index}.mrc", image)
        paths.append(tmp_path / f"{index}.mrc")
    paths[1].write_bytes(b"no MRC")
    results = dict(ahead(paths, read))
    assert [isinstance(results[path], Exception) for path in paths] == [False, True, False]
    assert results[paths[2]].data.max() == 65
