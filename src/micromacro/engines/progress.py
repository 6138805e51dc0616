"""Progress of chains, drawn from the main thread, and of searches; durations in words."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable

DELAY = 2.0  # seconds after which the bar of a search appears
TOLD = 60.0  # seconds from which a forecast is told in words


def duration(seconds: float) -> str:
    """So many seconds in words, roughly."""
    for unit, one in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 1.5 * one:
            return f"{seconds / one:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def say(text: str) -> None:
    """A line above the bars, on the stream of progress."""
    from tqdm.auto import tqdm

    tqdm.write(text, file=sys.stderr)


class Progress:
    """Counts the iterations of all chains; chains only write a number, the main thread draws."""

    def __init__(self, chains: int, iterations: int, visible: bool):
        self._done = [0] * chains
        self._total = chains * iterations
        self._bar = None
        if visible:
            from tqdm.auto import tqdm

            label = f"sampling {chains} chains"
            self._bar = tqdm(total=self._total, desc=label, unit="it", mininterval=0.2, leave=False, disable=None)

    def tick(self, chain: int) -> Callable[[int], None]:
        """What chain number `chain` calls with the number of iterations it has done."""

        def set_done(done: int) -> None:
            self._done[chain] = done

        return set_done

    def show(self) -> None:
        """Draw the bar at the present state."""
        if self._bar is not None:
            self._bar.update(sum(self._done) - self._bar.n)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.show()
        if self._bar is not None:
            self._bar.close()


class SearchProgress:
    """Counts the evaluations of a search against how many it is expected to need, about; a search knows no end.

    A search that will take long is announced in words, once an evaluation has been timed. That is the second one: the
    first one of a session may also wait for kernels to be compiled.

    Parameters
    ----------
    expected : int
        Evaluations.
    visible : bool

    Attributes
    ----------
    done, expected : int
        Evaluations, and how many are expected in all by now.
    """

    def __init__(self, expected: int, visible: bool):
        self.done, self.expected = 0, expected
        self._began = math.nan
        self._bar = None
        if visible:
            from tqdm.auto import tqdm

            label = "searching for the maximum"
            self._bar = tqdm(total=expected, desc=label, unit="it", delay=DELAY, leave=False, disable=None)

    def tick(self) -> None:
        """One evaluation more, which begins now."""
        self.done += 1
        self.expected = max(self.expected, self.done + 2)  # not yet at its end
        if self._bar is not None:
            self._announce(time.perf_counter())
            self._bar.total = self.expected
            self._bar.update()

    def _announce(self, now: float) -> None:
        """Tell how long the search will take, when the second evaluation is over."""
        if self.done == 2:
            self._began = now
        elif self.done == 3 and (now - self._began) * self.expected > TOLD:
            each = now - self._began
            say(
                f"one evaluation of the likelihood takes {each:.2g} seconds, and the search about {self.expected} of "
                f"them: about {duration(each * self.expected)}"
            )

    def __enter__(self) -> SearchProgress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()


class StepsTaken:
    """Counts the steps of a search, with how far the last one went."""

    def __init__(self, visible: bool):
        self._bar = None
        if visible:
            from tqdm.auto import tqdm

            self._bar = tqdm(desc="steps of the search", unit="step", leave=False, disable=None)

    def say(self, length: float) -> None:
        """One more step, and its length in standard errors."""
        if self._bar is not None:
            self._bar.set_postfix_str(f"last one {length:.3g} standard errors")
            self._bar.update(1)

    def __enter__(self) -> StepsTaken:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
