"""What a model asks of the user's tables."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BlockRequest:
    """What a member block needs: its name, its member column, the columns that it reads.

    A member ``a:b`` is made of the columns `parts`, which are then among `columns` too.
    """

    block: str
    member: str
    columns: tuple[str, ...]
    parts: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that the ids of the members are made of."""
        return self.parts or (self.member,)


@dataclass(frozen=True)
class TableRequest:
    """What a model needs of the tables.

    Attributes
    ----------
    group : str or None
        The group column; None where every row is a group.
    group_columns : tuple of str
        Columns that belong to groups (outcome, fixed terms, units, offsets).
    blocks : tuple of BlockRequest
    outcome_columns : tuple of str
        Those of `group_columns` that make up the outcome.
    ends : (str, str) or None
        Columns of the lower and the upper end of an interval, of which one may be missing: then it is open there.
    endless : tuple of str
        Those that may be infinite (upper ends of intervals).
    droppable : bool
        Whether the user can have groups without all values left out (in predictions not).
    sets : str or None
        Column of sets of groups of which none can be left out alone.
    """

    group: str | None
    group_columns: tuple[str, ...]
    blocks: tuple[BlockRequest, ...] = ()
    outcome_columns: tuple[str, ...] = ()
    endless: tuple[str, ...] = ()
    droppable: bool = True
    ends: tuple[str, str] | None = None
    sets: str | None = None
