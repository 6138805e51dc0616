"""Who keeps pieces of something, and answers for them: here, or (:mod:`micromacro.partitioned.cluster`) elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any, Protocol


class Crew(Protocol):
    """Keeps pieces by their number, and calls their methods where they are."""

    def __len__(self) -> int:
        """How many pieces there are."""
        ...

    @property
    def there(self) -> bool:
        """Whether the pieces can still be asked."""
        ...

    def make(self, name: str, maker: Callable[..., Any], each: Sequence[tuple[Any, ...]]) -> None:
        """Have every piece made under a name by a function, of what is kept under ``"table"`` and some arguments.

        The first time, under ``"table"``, it is made of the arguments alone.
        """
        ...

    def ask(self, name: str, verb: str, each: Sequence[tuple[Any, ...]] | None = None) -> list[Any]:
        """What a method of every piece gives for some arguments.

        Raises
        ------
        LostWorkerError
            Where a piece is gone.
        """
        ...

    def only(self, keep: Sequence[int]) -> None:
        """Leave out pieces that are empty."""
        ...

    def settle(self) -> None:
        """Go on without an executor that may be closed now, where that is possible."""
        ...


def made(maker: Callable[..., Any], kept: dict[str, Any], name: str, arguments: tuple[Any, ...]) -> None:
    """Make something from what is kept of a piece already, and keep it under a name."""
    before = (kept["table"],) if name != "table" else ()
    kept[name] = maker(*before, *arguments)


class Here:
    """Pieces in this process; threads of an executor work on them, if there is one."""

    there = True

    def __init__(self, pieces: int, executor: Executor | None = None):
        self._kept: list[dict[str, Any]] = [{} for _ in range(pieces)]
        self._map: Callable[..., Any] = map if executor is None else executor.map

    def __len__(self) -> int:
        return len(self._kept)

    def make(self, name: str, maker: Callable[..., Any], each: Sequence[tuple[Any, ...]]) -> None:
        list(self._map(lambda kept, arguments: made(maker, kept, name, arguments), self._kept, each))

    def ask(self, name: str, verb: str, each: Sequence[tuple[Any, ...]] | None = None) -> list[Any]:
        each = [()] * len(self) if each is None else each
        return list(self._map(lambda kept, arguments: getattr(kept[name], verb)(*arguments), self._kept, each))

    def only(self, keep: Sequence[int]) -> None:
        self._kept = [self._kept[k] for k in keep]

    def settle(self) -> None:
        self._map = map
