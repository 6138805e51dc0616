"""What fits into memory, checked before it is allocated."""

from __future__ import annotations

import math
from pathlib import Path

from ..errors import EngineError

_MEMINFO = Path("/proc/meminfo")


def size(count: float) -> str:
    """So many bytes in words."""
    for unit, one in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= one:
            return f"{count / one:,.1f} {unit}"
    return f"{count:.0f} bytes"


def available() -> float:
    """Bytes that can be had without pushing anything out, swap included; infinite where the system does not say.

    A limit of the process (``ulimit -v``) counts as far as it is not used up.
    """
    return min(_of_the_machine(), _of_the_process())


def _of_the_machine() -> float:
    try:
        lines = dict(line.split(":", 1) for line in _MEMINFO.read_text().splitlines())
        return sum(1024.0 * int(lines[name].split()[0]) for name in ("MemAvailable", "SwapFree"))
    except (OSError, KeyError, ValueError):
        return math.inf


def _of_the_process() -> float:
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit == resource.RLIM_INFINITY:
            return math.inf
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        return max(0.0, float(limit - used))
    except (ImportError, OSError, ValueError):  # Windows has no resource
        return math.inf


def check_memory(numbers: float, what: str, remedy: str) -> None:
    """Refuse what would need more memory than there is.

    Parameters
    ----------
    numbers : float
        How many numbers (of 8 bytes) are needed at once.
    what : str
        What they are, with the counts that make them many.
    remedy : str

    Raises
    ------
    EngineError
        With both sizes and the remedy.
    """
    needed, there = 8.0 * numbers, available()
    if needed > there:
        raise EngineError(f"{what} would take {size(needed)} of memory, and {size(there)} are free: {remedy}")
