"""One progress bar for all chains, drawn from the main thread."""

from __future__ import annotations

import sys
from collections.abc import Callable


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
