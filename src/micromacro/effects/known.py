r"""Effects with a known covariance, ``known(K)``: :math:`u = sd\,x` with :math:`x \sim N(0, K)`.

Given a covariance, the levels of the data have the block of K that is theirs, which is inverted component by
component. Given a precision (:func:`~micromacro.effects.relationship.pedigree`), every id that it knows has an effect,
which keeps it sparse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from ..errors import DataError, FormulaError
from ..language.nodes import Name, Text
from ..numerics.factored import Factor
from ..table.levels import Levels
from .base import Effects, Rows, Setting
from .iid import sd_parameters
from .phrases import Noun, Phrase, of_sd
from .relationship import Relationship


@dataclass(frozen=True, eq=False)
class Known(Effects):
    """Effects with a known covariance.

    Attributes
    ----------
    relationship : Relationship
        As the user gave it.
    ids : Levels
        What the latent entries belong to.
    d : sparse array
        Lower triangle of the precision of the latent entries.
    pieces : (3 arrays)
        Membership, latent entry and coefficient of each piece.
    """

    relationship: Relationship | None = None
    ids: Levels | None = None
    d: sparse.coo_array | None = None
    pieces: tuple[np.ndarray, np.ndarray, np.ndarray] = (np.empty(0), np.empty(0), np.empty(0))

    @property
    def latents(self) -> int:
        """An entry for each id."""
        return len(self._ids) + len(self.fresh)

    @property
    def _ids(self) -> Levels:
        assert self.ids is not None
        return self.ids

    @property
    def _relationship(self) -> Relationship:
        assert self.relationship is not None
        return self.relationship

    def pattern(self) -> tuple[np.ndarray, np.ndarray]:
        return self.pieces[0], self.pieces[1]

    def loads(self, theta: np.ndarray, out: np.ndarray) -> None:
        np.multiply(self.pieces[2], theta[0], out=out)

    def pull_loads(self, theta: np.ndarray, d_load: np.ndarray) -> np.ndarray:
        return np.array([self.pieces[2] @ d_load])

    def precision_pattern(self) -> tuple[np.ndarray, np.ndarray]:
        assert self.d is not None
        row, column = self.d.coords
        return row.astype(np.int64), column.astype(np.int64)

    def precision(self, theta: np.ndarray, out: np.ndarray) -> float:
        assert self.d is not None
        out[:] = self.d.data
        return self._factor.log_det

    @cached_property
    def _factor(self) -> Factor:
        assert self.d is not None
        return Factor.of(*self.precision_pattern(), self.d.data, len(self._ids))

    def natural(self, theta: np.ndarray) -> sparse.csr_array:
        return sparse.csr_array(theta[0] * sparse.eye_array(len(self._ids)))

    def labels(self) -> tuple[tuple[str, np.ndarray], ...]:
        return ((self.name, self._ids.values),)

    def variance(self, theta: np.ndarray, row: np.ndarray, latent: np.ndarray, value: np.ndarray) -> np.ndarray:
        new = latent >= len(self._ids)  # independent standard normal
        out = np.bincount(row[new], value[new] ** 2, self.rows.groups)
        row, latent, value = row[~new], latent[~new], value[~new]
        a = sparse.csr_array((value, (row, latent)), shape=(self.rows.groups, len(self._ids)))
        return out + self._factor.quadratics(a)

    def sample(self, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        z = rng.standard_normal(self.latents)
        return np.concatenate([self._factor.draw(z[: len(self._ids)]), z[len(self._ids) :]])

    def on(self, rows: Rows) -> Effects:
        mapped, _ = self._recoded(rows)
        whole = covered(self._relationship, rows.levels, self.name)
        latent = self._ids.find(rows.levels)[rows.level]
        old = np.flatnonzero(latent >= 0)
        pieces = [(old, latent[old], np.ones(len(old)))]
        new = np.flatnonzero(self._ids.find(rows.levels) < 0)
        if len(new):  # what K says of them given the levels of the fit; also of those that have left all groups
            seen = self._relationship.ids.find(self._ids)
            k = self._relationship.matrix
            cross = k[whole[new]][:, seen].toarray()
            share = np.linalg.solve(k[seen][:, seen].toarray(), cross.T).T
            rest = k[whole[new]][:, whole[new]].toarray() - share @ cross.T
            root = np.linalg.cholesky(rest)
            loads = np.hstack([share, root])
            place = np.full(len(rows.levels), -1)
            place[new] = np.arange(len(new))
            for membership in np.flatnonzero(latent < 0):
                own = loads[place[rows.level[membership]]]
                some = np.flatnonzero(own)
                pieces.append((np.full(len(some), membership), some, own[some]))
        together = tuple(np.concatenate(p) for p in zip(*pieces, strict=True))
        return replace(self, rows=mapped, fresh=tuple(rows.levels.values[new].tolist()), pieces=together)

    def phrase(self, hyper: int, nouns: Sequence[Noun]) -> Phrase | None:
        known = self._relationship.name
        return of_sd(nouns[hyper], f"{self.who} (where the diagonal of {known} is 1)")

    def sentences(self) -> list[str]:
        what = "inverse of " if self._relationship.inverse else ""
        return [f"u_{self.name} ~ multivariate normal(0, {self.hypers[0].name}^2 * {what}{self._relationship.name})"]


def covered(relationship: Relationship, levels: Levels, name: str) -> np.ndarray:
    """Places of levels among a relationship's ids; those that it does not have are an error."""
    codes = relationship.ids.find(levels)
    missing = levels.values[codes < 0]
    if len(missing):
        raise DataError(
            f"the known covariance {relationship.name!r} has no row for {len(missing)} levels of {name!r} (first: "
            f"{', '.join(map(str, missing[:5]))}): add them, or leave their rows out"
        )
    return codes


def make_known(setting: Setting) -> Known:
    """Build ``known(K)``."""
    span = setting.node.span
    key = setting.arguments[0] if len(setting.arguments) == 1 else None
    word = key.name if isinstance(key, Name) else key.value if isinstance(key, Text) else None
    if word is None:
        raise FormulaError("known() takes the name of a covariance: known(K)", setting.text, span.start, span.stop)
    relationship = setting.sources.get(word)
    if not isinstance(relationship, Relationship):
        raise FormulaError(
            f'known({word}) needs the covariance: give known={{"{word}": matrix}} to mm.fit', setting.text, span.start,
            span.stop,
        )  # fmt: skip
    rows = setting.rows
    codes = covered(relationship, rows.levels, setting.name)
    try:
        if relationship.inverse:
            ids, lower = relationship.ids, sparse.coo_array(sparse.tril(relationship.matrix))
            latent = codes[rows.level]
        else:
            ids, latent = rows.levels, rows.level
            lower = inverted(sparse.csr_array(relationship.matrix[codes][:, codes]))
        m = len(rows.level)
        pieces = (np.arange(m), latent, np.ones(m))
        made = Known(setting.name, rows, sd_parameters(setting), (), relationship, ids, lower, pieces)
        made.precision(np.ones(1), np.empty(lower.nnz))
    except np.linalg.LinAlgError as error:
        raise DataError(
            f"the known covariance {word!r} is not positive definite over the levels of {setting.name!r}: two levels "
            "may be the same, or a correlation may be 1 or more; add a little to its diagonal, or correct it"
        ) from error
    return made


def inverted(k: sparse.csr_array) -> sparse.coo_array:
    """Lower triangle of the inverse, component by component."""
    count, label = connected_components(k, directed=False)
    rows, columns, values = [], [], []
    for c in range(count):
        own = np.flatnonzero(label == c)
        root = np.linalg.cholesky(k[own][:, own].toarray())
        half = np.linalg.solve(root, np.eye(len(own)))
        inverse = half.T @ half
        i, j = np.tril_indices(len(own))
        rows.append(own[i])
        columns.append(own[j])
        values.append(inverse[i, j])
    n = len(label)
    return sparse.coo_array((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=(n, n))
