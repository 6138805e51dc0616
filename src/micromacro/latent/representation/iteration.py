"""What a likelihood by iteration keeps in a work space."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

TOGETHER = 32  # right-hand sides that are solved together


@dataclass
class Iteration:
    """What an iterated representation keeps in a work space.

    Attributes
    ----------
    count : int
        Number of probes.
    values, weight, d_value : arrays
        Entries of A, the diagonal of W and entries of D that H was last made of.
    tolerance : float
        Of the columns beside the block that were last solved for.
    prior, diagonal : (leading,) arrays
        The diagonals of D and of H; the latter is the preconditioner.
    near : dict
        The last solution of each series of like right-hand sides.
    solved, beside : (leading, c) arrays
        H_ee^-1 H_ec, and H_ec; ``whole`` is H_cc.
    corners : dict
        By the number of leading entries of x: the inverse of their Schur complement, and its log-determinant.
    probes : (leading, count) array or None
        H_ee^-1 P^(1/2) z of each probe z, where they are solved.
    rest : (leading, count) array
        (H_ee^-1 - K) P^(1/2) z, K being what is known of the inverse without them.
    known : array
        K beside its diagonal P^-1, in places as in ``Triangle``; empty where it is not worked out.
    share : float
        gamma in K = P^-1 - gamma P^-1 (H_ee - P) P^-1; nan until the first probes are solved, which choose it.
    square : float
        Of the entries of P^-1/2 H P^-1/2 beside its diagonal, the sum of squares; nan where it is not known.
    last : (leading, count) array or None
        The probes as they were last solved, where solutions begin if log-determinants are not wanted.
    signs : (leading, count) int8 array
        The probes.
    logs : (count,) array
        z'log(P^-1/2 H P^-1/2) z of each probe, as it serves the mean.
    sure : dict
        By the number of leading entries of x: what of slopes is known without probes.
    batch : slice
        Probes over which means are taken.
    quick : bool
        Whether log-determinants are not wanted: the last one is given, and probes begin at their last solutions.
    iterations : int
        Of the longest solution so far.
    converged : bool
        Whether all solutions did.
    """

    count: int
    values: np.ndarray = field(default_factory=lambda: np.empty(0))
    weight: np.ndarray = field(default_factory=lambda: np.empty(0))
    d_value: np.ndarray = field(default_factory=lambda: np.empty(0))
    tolerance: float = math.inf
    prior: np.ndarray = field(default_factory=lambda: np.empty(0))
    diagonal: np.ndarray = field(default_factory=lambda: np.empty(0))
    near: dict[str, np.ndarray] = field(default_factory=dict)
    solved: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    beside: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    whole: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    corners: dict[int, tuple[np.ndarray, float]] = field(default_factory=dict)
    probes: np.ndarray | None = None
    rest: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    known: np.ndarray = field(default_factory=lambda: np.empty(0))
    share: float = math.nan
    square: float = math.nan
    last: np.ndarray | None = None
    signs: np.ndarray = field(default_factory=lambda: np.empty((0, 0), dtype=np.int8))
    logs: np.ndarray | None = None
    last_log: float = 0.0
    batch: slice = field(default_factory=lambda: slice(None))
    sure: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=dict)
    entries: np.ndarray = field(default_factory=lambda: np.empty(0))
    quick: bool = False
    iterations: int = 0
    converged: bool = True


def symmetric(row: np.ndarray, column: np.ndarray, value: np.ndarray, size: int) -> np.ndarray:
    """A symmetric matrix of its lower triangle."""
    out = np.zeros((size, size))
    np.add.at(out, (row, column), value)
    return out + np.tril(out, -1).T


def iteration_work(probes: int, entries: int) -> float:
    """Operations of an evaluation, about, with some probes and entries of A."""
    return 4.0 * TOGETHER * max(probes, 1) * entries + 1000.0


def slices(count: int) -> list[slice]:
    """Right-hand sides that are solved together."""
    return [slice(k, min(k + TOGETHER, count)) for k in range(0, count, TOGETHER)]
