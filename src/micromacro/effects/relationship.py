"""Known covariances of levels, given by the user, and the relationship matrix of a pedigree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy import sparse

from ..errors import DataError
from ..table.columns import read_table
from ..table.levels import Levels, encode


@dataclass(frozen=True, eq=False)
class Relationship:
    """A symmetric positive definite matrix over ids.

    Attributes
    ----------
    name : str
        For messages.
    ids : Levels
    matrix : sparse (n, n) array
        Rows in the order of `ids`.
    inverse : bool
        Whether it is the precision (the inverse of the covariance).
    """

    name: str
    ids: Levels
    matrix: sparse.csr_array
    inverse: bool = False

    keyword: ClassVar[str] = "known"
    """The argument in which users give it."""

    def to_plain(self) -> dict[str, Any]:
        """As plain arrays, which a file can hold."""
        m = self.matrix
        return {
            "ids": self.ids.values, "data": m.data, "indices": m.indices, "indptr": m.indptr, "inverse": self.inverse
        }  # fmt: skip

    @classmethod
    def from_plain(cls, plain: dict[str, Any], name: str) -> Relationship:
        """What :meth:`to_plain` gave."""
        n = len(plain["ids"])
        matrix = sparse.csr_array((plain["data"], plain["indices"], plain["indptr"]), shape=(n, n))
        return cls(name, Levels("id", plain["ids"]), matrix, bool(plain["inverse"]))

    def __repr__(self) -> str:
        what = "inverse relationship" if self.inverse else "covariance"
        return f"{what} of {len(self.ids)} ids, {self.matrix.nnz} entries"


def read_relationship(value: Any, name: str) -> Relationship:
    """A known covariance from what the user gave.

    Parameters
    ----------
    value : Relationship, square DataFrame labelled alike in rows and columns, dict of dicts, or (matrix, ids)
    """
    if isinstance(value, Relationship):
        return Relationship(name, value.ids, value.matrix, value.inverse)
    matrix, ids = _parts(value, name)
    n = len(ids)
    if matrix.ndim != 2 or matrix.shape != (n, n):
        raise DataError(f"known covariance {name!r} must be square, with one row per id: {matrix.shape} for {n} ids")
    codes, levels = encode(read_table({"id": ids}, f"known[{name!r}]", ["id"])["id"])
    if np.any(codes < 0) or len(levels) < n:
        raise DataError(f"the ids of the known covariance {name!r} must each be present exactly once")
    full = sparse.coo_array(matrix)
    if not np.all(np.isfinite(full.data)):
        raise DataError(f"the known covariance {name!r} holds values that are not finite")
    row, column = full.coords
    ordered = sparse.csr_array((full.data.astype(float), (codes[row], codes[column])), shape=(n, n))
    ordered.eliminate_zeros()
    apart = abs(ordered - ordered.T)
    if apart.nnz and apart.max() > 1e-8 * abs(ordered).max():
        at = sparse.coo_array(apart)
        worst = int(np.argmax(at.data))
        first, second = (levels.values[int(c[worst])] for c in at.coords)
        raise DataError(f"the known covariance {name!r} is not symmetric: its entries for {first} and {second} differ")
    return Relationship(name, levels, sparse.csr_array(0.5 * (ordered + ordered.T)))


def _parts(value: Any, name: str) -> tuple[Any, list]:
    """Matrix and ids."""
    labelled: Any = value
    if isinstance(value, tuple) and len(value) == 2:
        matrix, ids = value
        return matrix if sparse.issparse(matrix) else np.asarray(matrix, dtype=float), list(ids)
    if isinstance(value, Mapping):
        ids = list(value)
        try:
            return np.array([[float(value[a][b]) for b in ids] for a in ids]), ids
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"the known covariance {name!r} lacks an entry: {error}") from error
    if not isinstance(value, tuple) and all(hasattr(value, a) for a in ("index", "columns", "loc")):
        ids = list(labelled.index)
        if set(ids) != set(labelled.columns) or len(ids) != len(labelled.columns):
            raise DataError(f"rows and columns of the known covariance {name!r} must have the same labels")
        return np.asarray(labelled.loc[:, ids], dtype=float), ids
    raise DataError(
        f"the known covariance {name!r} must be a square DataFrame with labels, a pair (matrix, ids), a dict of "
        "dicts, or mm.pedigree(...)"
    )


def pedigree(id: Sequence[Any], sire: Sequence[Any], dam: Sequence[Any]) -> Relationship:  # noqa: A002
    r"""The additive genetic relationship of a pedigree, as its sparse inverse.

    Henderson's rules with inbreeding, :math:`A^{-1} = (I - P)' M^{-1} (I - P)`, P having 1/2 for each known parent and
    M the variances of Mendelian sampling (Henderson 1976; inbreeding by Meuwissen and Luo 1992).

    Parameters
    ----------
    id, sire, dam : sequences
        One entry an individual, in any order; a parent that is not known is missing (None or nan). Parents without a
        row of their own are founders.

    Returns
    -------
    Relationship
        For ``known={"A": ...}`` with ``effects = known(A)``; the effects of all individuals are estimated, those
        without data too.

    Raises
    ------
    DataError
        For an individual with two rows, or one that is its own ancestor.
    """
    table = read_table({"id": list(id), "sire": list(sire), "dam": list(dam)}, "pedigree", ["id", "sire", "dam"])
    own = table["id"]
    if own.missing.any():
        raise DataError(f"the pedigree has {int(own.missing.sum())} rows without an id")
    values: list[Any] = []
    for name in ("id", "sire", "dam"):
        _, levels = encode(table[name])
        values += levels.values.tolist()
        if name == "id" and len(levels) < table.n_rows:
            raise DataError("an individual of the pedigree has more than one row: each id must have exactly one row")
    _, everyone = encode(read_table({"id": sorted(set(values))}, "pedigree", ["id"])["id"])
    parents = np.full((len(everyone), 2), -1, dtype=np.int64)
    at = everyone.find(own)
    for k, name in enumerate(("sire", "dam")):
        if not table[name].missing.all():
            parents[at, k] = everyone.find(table[name])
    order = _ancestors_first(parents, everyone)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    ranked = np.where(parents[order] >= 0, place[np.maximum(parents[order], 0)], -1)
    mendelian = mendelian_variances(ranked)
    n = len(order)
    child, which = np.nonzero(ranked >= 0)
    p = sparse.csr_array((np.full(len(child), 0.5), (child, ranked[child, which])), shape=(n, n))
    t = sparse.csr_array(sparse.eye_array(n) - p)
    inverse = sparse.coo_array(t.T @ sparse.diags_array(1.0 / mendelian) @ t)
    row, column = inverse.coords
    matrix = sparse.csr_array((inverse.data, (order[row], order[column])), shape=(n, n))
    return Relationship("pedigree", everyone, matrix, inverse=True)


def _ancestors_first(parents: np.ndarray, ids: Levels) -> np.ndarray:
    """An order in which parents come before their children."""
    children: list[list[int]] = [[] for _ in parents]
    waiting = (parents >= 0).sum(axis=1)
    for child, pair in enumerate(parents):
        for parent in pair[pair >= 0]:
            children[parent].append(child)
    ready, order = np.flatnonzero(waiting == 0).tolist(), []
    while ready:
        one = int(ready.pop())
        order.append(one)
        for child in children[one]:
            waiting[child] -= 1
            if waiting[child] == 0:
                ready.append(child)
    if len(order) < len(parents):
        stuck = ids.values[np.flatnonzero(waiting > 0)][:5]
        raise DataError(
            f"the pedigree has a loop: an individual among {', '.join(map(str, stuck))} is its own ancestor"
        )
    return np.array(order, dtype=np.int64)


def mendelian_variances(parents: np.ndarray) -> np.ndarray:
    """Variance of each individual given its parents (n,); parents (n, 2) come before children, -1 is unknown."""
    n = len(parents)
    inbreeding, out = np.zeros(n), np.empty(n)
    for i in range(n):
        known = parents[i][parents[i] >= 0]
        out[i] = 1.0 - sum(0.25 * (1.0 + inbreeding[p]) for p in known)
        if len(known) < 2:
            continue
        share = {int(p): 0.0 for p in known}  # of ancestors, youngest first: a row of the root of A
        for p in known:
            share[int(p)] += 0.5
        total = out[i]
        while share:
            oldest = max(share)
            part = share.pop(oldest)
            total += part * part * out[oldest]
            for p in parents[oldest][parents[oldest] >= 0]:
                share[int(p)] = share.get(int(p), 0.0) + 0.5 * part
        inbreeding[i] = total - 1.0
    return out
