"""One thread for BLAS while an engine runs.

Our sums over groups are inner products of vectors. From 10,000 entries OpenBLAS shares each among all cores: that gains
nothing, and its threads spin between the calls, which doubles the CPU time and starves the chains beside.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any


class _Guard:
    """Knows who needs BLAS at one thread: the first to come notes how it was, the last to leave restores that.

    Most libraries have one number of threads for the whole process, which fits in several threads then share; with
    OpenMP each thread has its own. Since threadpoolctl 3.8 a shared number can be set by one thread at a time, its
    owner, so whoever leaves gives that up.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside: dict[object, int] = {}  # who is inside, and in which thread
        self._before: list[int] | None = None

    def enter(self, who: object) -> None:
        with self._lock:
            if self._before is None:
                self._before = [library.get_num_threads() for library in _libraries()]
            self._inside[who] = threading.get_ident()
            for library in _libraries():
                library.set_num_threads(1)

    def leave(self, who: object) -> None:
        """Can be called again if it was interrupted, or `enter` was."""
        with self._lock:
            self._inside.pop(who, None)
            if self._before is None:
                return
            alone = threading.get_ident() not in self._inside.values()
            for library, before in zip(_libraries(), self._before, strict=True):
                shared = getattr(library, "threading_layer", None) != "openmp"
                last = not self._inside if shared else alone
                if last and library.get_num_threads() == 1:  # else somebody has set it since
                    library.set_num_threads(before)
                if shared and alone and hasattr(library, "clear_controlling_thread"):
                    library.clear_controlling_thread()
            if not self._inside:
                self._before = None


_guard = _Guard()


@contextmanager
def one_blas_thread() -> Generator[None]:
    """Within the context BLAS works in the calling thread; when the last one is left, as it did before the first."""
    who = object()
    try:
        _guard.enter(who)
        yield
    finally:
        to_the_end(partial(_guard.leave, who))


def to_the_end(step: Callable[[], None]) -> None:
    """Do what must be done, from the start again if Ctrl-C comes in between; that is raised afterwards."""
    try:
        step()
    except KeyboardInterrupt:
        to_the_end(step)
        raise


@cache
def _libraries() -> list[Any]:
    """The BLAS libraries loaded; finding them takes milliseconds, so once."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas").lib_controllers
