"""Which matrix is factorised: the one that takes the fewest operations, counted before any is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np

from ...errors import EngineError
from ...numerics.symbolic import Symbolic
from .base import Representation
from .bordered import Bordered
from .groups import GroupSide

Side = Literal["effects", "groups"]
Solver = Literal["direct", "iterative"]
SMALL = 3e6  # operations up to which nobody looks for anything better
BETTER = 0.7  # share of the operations that another side may take


def check_side(side: object) -> Side | None:
    """A side that a user asked for, or None.

    Raises
    ------
    EngineError
        Where it is neither.
    """
    if side is None or side in get_args(Side):
        return side  # pyright: ignore[reportReturnType]
    raise EngineError(f'factor= is "effects" or "groups", or None (whichever takes fewer operations), not {side!r}')


def choose(
    symbolic: Symbolic, itself: Callable[[], Representation], effects: int, bound: bool, side: Side | None
) -> Representation:
    """The representation of a system.

    Parameters
    ----------
    symbolic : Symbolic
    itself : callable
        Makes the factor of H.
    effects : int
        Entries of x before the coefficients.
    bound : bool
        Whether D depends on theta, or W is not diagonal.
    side : {"effects", "groups"} or None
        What was asked for; None takes what costs less.

    Raises
    ------
    EngineError
        Where the groups are asked for and cannot be had.
    """
    s = symbolic
    possible = effects > 0 and not bound and bool(np.array_equal(s.d_row, s.d_column))
    if side == "groups" and not possible:
        raise EngineError(
            'factor="groups" needs effects that are independent of each other given their sds (no walk, no graph, no '
            "known covariance), and an outcome per row: leave it out"
        )
    if side == "groups":
        return GroupSide(s, itself, effects)
    if side == "effects" or not possible:
        return itself()
    usual = itself() if s.short is None else Bordered(s, itself)
    if usual.work < SMALL:
        return usual
    count = np.bincount(s.columns, minlength=s.size)[:effects].astype(float)
    if 10.0 * float(count @ count) > BETTER * usual.work:
        return usual  # making the matrix of groups would cost as much
    other = GroupSide(s, itself, effects)
    other.instead = usual
    return other if other.work < BETTER * usual.work else usual
