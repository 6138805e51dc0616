"""Draws of many independent effects that are spread evenly in each group, for means that have little error.

Effects that reach no group together may have one coordinate: so few coordinates serve many effects, and their points
are those of a sequence whose means have errors of the order of one over their number.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..numerics.cubature import sobol_points

DIMENSIONS, LARGEST = 40, 400_000  # coordinates, and pairs of effects in a group, beyond which draws are random


def coordinates(design: Any) -> np.ndarray:
    """A coordinate for each column (k,) of a sparse design, another for each column of a row; -1 beyond the last."""
    by_column, by_row = design.tocsc(), design.tocsr()
    out = np.full(design.shape[1], -1)
    if np.sum(np.diff(by_row.indptr) ** 2) > LARGEST:
        return out
    for k in range(len(out)):
        rows = by_column.indices[by_column.indptr[k] : by_column.indptr[k + 1]]
        near: set[int] = set()
        for r in rows:
            near.update(out[by_row.indices[by_row.indptr[r] : by_row.indptr[r + 1]]].tolist())
        free = next(c for c in range(len(near) + 1) if c not in near)
        out[k] = free if free < DIMENSIONS else -1
    return out


def even_draws(coordinate: np.ndarray, pairs: int) -> np.ndarray:
    """Draws (pairs, k), points of a sequence, of the columns that have a coordinate (k,)."""
    return sobol_points(int(coordinate.max()) + 1, pairs)[:, coordinate]
