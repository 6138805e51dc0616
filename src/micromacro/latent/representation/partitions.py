"""Products with A'WA in partitions of the rows, each wherever an executor runs it: one map, one sum.

Each worker keeps the partitions that it has seen: their pattern for a fit, their values for a theta. A task names what
it needs, and says so if the worker does not have it; then it is sent again with it. So any executor will do, and after
a few products nothing travels but vectors.
"""

from __future__ import annotations

import uuid
from collections import OrderedDict
from typing import Any

import numpy as np

from ...errors import EngineError, LostWorkerError
from ...numerics.krylov import gram_times

KEPT = 32  # partitions that a worker keeps
_patterns: OrderedDict[tuple[str, int], Any] = OrderedDict()
_values: dict[tuple[str, int], tuple[str, Any]] = {}


class Partitions:
    """Rows of A in as many runs as there are workers.

    Parameters
    ----------
    executor : concurrent.futures.Executor or anything else with ``submit``
    row_start, columns : int arrays
        A in compressed rows.
    leading : int
        Columns that the product is about.
    """

    def __init__(self, executor: Any, row_start: np.ndarray, columns: np.ndarray, leading: int):
        self.executor, self.leading = executor, leading
        count = workers_of(executor)
        ends = np.searchsorted(row_start, np.linspace(0, row_start[-1], count + 1)[1:-1])
        self._rows = np.unique(np.concatenate([[0], ends, [len(row_start) - 1]]))
        self._name, self._state = uuid.uuid4().hex, ""
        self._patterns, self._places = [], []
        for a, b in zip(self._rows[:-1], self._rows[1:], strict=True):
            some = slice(int(row_start[a]), int(row_start[b]))
            self._places.append(some)
            self._patterns.append((row_start[a : b + 1] - row_start[a], columns[some], leading))
        # Dask would take one answer for another where a task is repeated, and hash all arrays to see whether it is
        self._options = {"pure": False} if hasattr(executor, "nthreads") else {}
        self._values: list[tuple[np.ndarray, np.ndarray]] = []

    def __len__(self) -> int:
        return len(self._patterns)

    def load(self, values: np.ndarray, weight: np.ndarray) -> None:
        """Take other values of A and another diagonal of W (rows,)."""
        self._state = uuid.uuid4().hex
        runs = zip(self._rows[:-1], self._rows[1:], strict=True)
        self._values = [
            (values[some].copy(), weight[a:b].copy()) for some, (a, b) in zip(self._places, runs, strict=True)
        ]

    def times(self, x: np.ndarray, out: np.ndarray, curvature: np.ndarray) -> None:
        """out += A'WA x and curvature += x'A'WAx.

        Raises
        ------
        LostWorkerError
        """
        try:
            waiting = [self._submit(k, x, None, None) for k in range(len(self))]
            for k, future in enumerate(waiting):
                answer = future.result()
                while isinstance(answer, str):  # what the worker does not have
                    pattern = self._patterns[k] if "pattern" in answer else None
                    answer = self._submit(k, x, pattern, self._values[k]).result()
                out += answer[0]
                curvature += answer[1]
        except EngineError:
            raise
        except Exception as error:
            raise LostWorkerError(
                f"a worker of executor= failed ({type(error).__name__}: {error}): fit again with workers that have "
                "enough memory, or without executor="
            ) from error

    def _submit(self, k: int, x: np.ndarray, pattern: Any, values: Any) -> Any:
        return self.executor.submit(product, (self._name, k), self._state, x, pattern, values, **self._options)


def product(
    name: tuple[str, int], state: str, x: np.ndarray, pattern: Any, values: Any
) -> tuple[np.ndarray, np.ndarray] | str:
    """A'WA x and x'A'WAx of one partition, or what has to be sent along: "pattern and values", "values"."""
    if pattern is not None:
        _patterns[name] = (_writeable(pattern[0]), _writeable(pattern[1]), pattern[2])
        while len(_patterns) > KEPT:
            _values.pop(_patterns.popitem(last=False)[0], None)
    if values is not None:
        _values[name] = (state, (_writeable(values[0]), _writeable(values[1])))
    there, (at, numbers) = _patterns.get(name), _values.get(name, ("", None))
    if there is None:
        return "pattern and values"
    if at != state:
        return "values"
    (row_start, columns, leading), (entries, weight) = there, numbers
    out, curvature = np.zeros_like(x), np.zeros(x.shape[1])
    gram_times(row_start, columns, entries, weight, leading, _writeable(x), out, curvature)
    return out, curvature


def _writeable(a: np.ndarray) -> np.ndarray:
    """The array itself, or a copy of one that is not to be written to, for which kernels would be compiled again."""
    return a if a.flags.writeable else a.copy()


def workers_of(executor: Any) -> int:
    """How many tasks an executor runs at once, as far as it says so."""
    if hasattr(executor, "nthreads"):  # a client of Dask
        return max(1, len(executor.nthreads()))
    return int(getattr(executor, "_max_workers", None) or 2)
