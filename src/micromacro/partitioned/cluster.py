"""A crew of the workers of a Dask cluster: the one module that knows Dask.

Each piece lives in the memory of one worker. What is asked of it does not pass the scheduler, which would take longer
than most answers: the worker has an actor for that.
"""

from __future__ import annotations

import uuid
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from .._optional import require
from ..errors import EngineError, LostWorkerError
from ..latent.apart.crew import made

PATIENCE = 2.0  # seconds after which it is asked whether all workers are there
_kept: dict[tuple[str, int], dict[str, Any]] = {}
GONE = "gone"


def is_client(executor: Any) -> bool:
    """Whether an executor is the client of a Dask cluster."""
    return hasattr(executor, "scatter") and hasattr(executor, "nthreads")


class FramePartition:
    """A partition of a Dask frame, made again whenever it is wanted, so that it need not be kept.

    Parameters
    ----------
    delayed : dask.delayed.Delayed
    client : distributed.Client or None
        Of the cluster that makes it, if there is one.
    """

    def __init__(self, delayed: Any, client: Any):
        self.delayed, self.client = delayed, client

    def load(self) -> Any:
        """Its table, in this process."""
        if self.client is None:
            return self.delayed.compute(scheduler="synchronous")
        return self.client.compute(self.delayed).result()

    def sent(self) -> Any:
        """What makes its table where a task takes it: a future, or the table itself."""
        return self.load() if self.client is None else self.client.compute(self.delayed)


def partitions_of(frame: Any, client: Any) -> list[FramePartition]:
    """The partitions of a Dask frame."""
    return [FramePartition(delayed, client) for delayed in frame.to_delayed()]


class Shelf:
    """The pieces of a run on one worker, as an actor: what is asked of it goes straight to the worker.

    Parameters
    ----------
    run : str
    """

    def __init__(self, run: str):
        self._run = run

    def ask(self, name: str, verb: str, each: Sequence[tuple[int, tuple[Any, ...]]]) -> list[Any] | str:
        """What a method of some pieces gives, or that they are not here."""
        kept = [_kept.get((self._run, k), {}) for k, _ in each]
        if not all(name in one for one in kept):
            return GONE
        calls = zip(kept, each, strict=True)
        return [getattr(one[name], verb)(*arguments) for one, (_, arguments) in calls]


class Cluster:
    """Pieces on the workers of a cluster.

    Parameters
    ----------
    client : distributed.Client
    pieces : int
    """

    def __init__(self, client: Any, pieces: int):
        workers = sorted(client.nthreads())
        if not workers:
            raise EngineError("the Dask cluster of executor= has no workers: start some")
        self.client, self._run = client, uuid.uuid4().hex
        self._where = [workers[k % len(workers)] for k in range(pieces)]
        self._numbers = list(range(pieces))
        used = sorted(set(self._where))
        waiting = {w: client.submit(Shelf, self._run, actor=True, workers=[w], pure=False) for w in used}
        self._shelves = {worker: self._result(future) for worker, future in waiting.items()}
        self._close = weakref.finalize(self, _forget_all, weakref.ref(client), self._run, used)

    def __len__(self) -> int:
        return len(self._where)

    @property
    def there(self) -> bool:
        """Whether the client is open and all workers are known to it."""
        return self.client.status == "running" and set(self._where) <= set(self.client.nthreads())

    def make(self, name: str, maker: Callable[..., Any], each: Sequence[tuple[Any, ...]]) -> None:
        waiting = [
            self.client.submit(keep, (self._run, k), name, maker, *arguments, workers=[where], pure=False)
            for k, where, arguments in zip(self._numbers, self._where, each, strict=True)
        ]
        self._gathered(waiting)

    def ask(self, name: str, verb: str, each: Sequence[tuple[Any, ...]] | None = None) -> list[Any]:
        if self.client.status != "running":
            raise lost("the client of the cluster is closed")
        each = [()] * len(self) if each is None else each
        calls: dict[str, list[tuple[int, tuple[Any, ...]]]] = {worker: [] for worker in self._shelves}
        for k, where, arguments in zip(self._numbers, self._where, each, strict=True):
            calls[where].append((k, arguments))
        try:
            waiting = [self._shelves[worker].ask(name, verb, asked) for worker, asked in calls.items()]
        except RuntimeError as error:
            raise lost(str(error)) from error
        out: dict[int, Any] = {}
        for asked, found in zip(calls.values(), self._gathered(waiting), strict=True):
            out |= {k: one for (k, _), one in zip(asked, found, strict=True)}
        return [out[k] for k in self._numbers]

    def only(self, keep: Sequence[int]) -> None:
        self._numbers, self._where = [self._numbers[k] for k in keep], [self._where[k] for k in keep]

    def settle(self) -> None:
        """The pieces are where the workers are."""

    def _gathered(self, waiting: Sequence[Any]) -> list[Any]:
        """What workers answer."""
        out = [self._result(future) for future in waiting]
        if any(isinstance(one, str) and one == GONE for one in out):
            raise lost("it has started anew, without its partitions")
        return out

    def _result(self, future: Any) -> Any:
        """An answer; whoever is gone will never give it."""
        while True:
            try:
                return future.result(timeout=PATIENCE)
            except TimeoutError:
                gone = set(self._where) - set(self.client.nthreads())
                if gone:
                    raise lost(f"{', '.join(sorted(gone))} is gone") from None
            except Exception as error:
                if _of_cluster(error):
                    raise lost(f"{type(error).__name__}: {error}") from error
                raise


def lost(what: str) -> LostWorkerError:
    """The error for a worker that is not there any more."""
    return LostWorkerError(f"a worker of executor= failed ({what}): fit again with workers that have enough memory")


def keep(key: tuple[str, int], name: str, maker: Callable[..., Any], *arguments: Any) -> str | None:
    """Make a piece on this worker, and keep it."""
    kept = _kept.setdefault(key, {})
    if name != "table" and "table" not in kept:
        return GONE
    made(maker, kept, name, arguments)
    return None


def forget(run: str) -> None:
    """Drop the pieces of a run from this worker."""
    for key in [key for key in _kept if key[0] == run]:
        del _kept[key]


def _forget_all(client: Any, run: str, workers: Sequence[str]) -> None:
    """Drop the pieces of a run from all workers that are still there."""
    there = client()
    if there is None or getattr(there, "status", "") != "running":
        return
    try:
        for worker in workers:
            require("distributed", "dask").fire_and_forget(there.submit(forget, run, workers=[worker], pure=False))
    except Exception:  # noqa: BLE001 - a cluster that is being closed forgets by itself
        return


def _of_cluster(error: Exception) -> bool:
    """Whether an error comes from the cluster, not from what it was asked to do."""
    made_by = type(error).__module__.partition(".")[0]
    return made_by in ("distributed", "dask", "asyncio", "concurrent") or isinstance(error, OSError)
