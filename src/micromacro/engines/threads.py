"""One thread for BLAS while an engine runs.

Our sums over groups are inner products of vectors. From 10,000 entries OpenBLAS shares each among all cores: that gains
nothing, and its threads spin between the calls, which doubles the CPU time and starves the chains beside.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from typing import Any


class _Guard:
    """Counts who needs BLAS at one thread: the first to come notes how it was, the last to leave restores that.

    Most libraries have one number of threads for the whole process, which fits in several threads then share; with
    OpenMP each thread has its own. Since threadpoolctl 3.8 a shared number can be set by one thread at a time, its
    owner, so whoever leaves gives that up.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before: list[int] = []
        self._own = threading.local()

    def enter(self) -> None:
        with self._lock:
            if not self._inside:
                self._before = [library.get_num_threads() for library in _libraries()]
            self._inside += 1
            self._own.depth = getattr(self._own, "depth", 0) + 1
            for library in _libraries():
                library.set_num_threads(1)

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            self._own.depth -= 1
            for library, before in zip(_libraries(), self._before, strict=True):
                shared = getattr(library, "threading_layer", None) != "openmp"
                if not (self._inside if shared else self._own.depth):
                    library.set_num_threads(before)
                if shared and not self._own.depth and hasattr(library, "clear_controlling_thread"):
                    library.clear_controlling_thread()


_guard = _Guard()


@contextmanager
def one_blas_thread() -> Generator[None]:
    """Within the context BLAS works in the calling thread; when the last one is left, as it did before the first."""
    _guard.enter()
    try:
        yield
    finally:
        _guard.leave()


@cache
def _libraries() -> list[Any]:
    """The BLAS libraries loaded; finding them takes milliseconds, so once."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas").lib_controllers
