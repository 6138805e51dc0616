"""One thread for BLAS while an engine runs.

Our sums over groups are inner products of vectors. From 10,000 entries OpenBLAS shares each among all cores: that gains
nothing, and its threads spin between the calls, which doubles the CPU time and starves the chains beside.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from typing import Any


@contextmanager
def one_blas_thread() -> Generator[None]:
    """Within the context BLAS works in the calling thread; afterwards as it did before."""
    with _controller().limit(limits=1, user_api="blas"):
        yield


@cache
def _controller() -> Any:
    """Of the BLAS libraries loaded; finding them takes milliseconds, so once."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
