"""CPU seconds of a piece of work, without what other tests left in the process."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable


def least_seconds(action: Callable[[], object], bound: float, attempts: int = 3) -> float:
    """The CPU seconds of this process that an action takes, which is repeated while it takes longer than a bound.

    The garbage of other tests is not collected meanwhile: with a large heap, one collection takes a second. What a
    busy machine or a first compilation adds is gone when the action is repeated; what hangs, hangs each time.

    Parameters
    ----------
    action : callable
        The work, which may be done again.
    bound : float
        Seconds up to which one attempt is enough.
    attempts : int
        How often the action is done at most.

    Returns
    -------
    float
        The least of the attempts, in seconds.
    """
    least, collects = float("inf"), gc.isenabled()
    gc.disable()
    try:
        for _ in range(attempts):
            before = time.process_time()
            action()
            least = min(least, time.process_time() - before)
            if least <= bound:
                break
    finally:
        if collects:
            gc.enable()
    return least
