r"""Independent effects ``iid`` and ``iid(1 + x)``: :math:`u_j = \sum_t sd_t\, z_t\, u^*_{jt}`.

The base of every kind in which the effects of a level are a matrix times its own standard normal entries: with
:math:`R(\theta)` the root (k, k), a membership with covariates z loads on the entries of its level with
:math:`z'R`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from scipy import sparse

from ..parameters import Parameter
from .base import Effects, Setting


@dataclass(frozen=True, eq=False)
class Independent(Effects):
    """Effects of levels that know nothing of each other; latent entries level by level, term by term."""

    divides: ClassVar[bool] = True

    @property
    def latents(self) -> int:
        """An entry for each term of each level."""
        return (len(self.levels) + len(self.fresh)) * len(self.terms)

    def pattern(self) -> tuple[np.ndarray, np.ndarray]:
        k, m = len(self.terms), len(self.rows.level)
        latent = self.rows.level[:, None] * k + np.arange(k)
        return np.repeat(np.arange(m), k), latent.reshape(-1)

    @cached_property
    def _z(self) -> np.ndarray | None:
        """Covariates (m, k); None where only the intercept varies."""
        return None if self.terms == ("1",) else np.ascontiguousarray(self.rows.z.T)

    def unseen(self) -> tuple[tuple, ...]:
        return tuple((level, term) for level in self.fresh for term in self.terms)

    def root(self, theta: np.ndarray) -> np.ndarray:
        """Root (k, k) of the covariance of a level's effects."""
        return np.diag(theta)

    def pull_root(self, theta: np.ndarray, d_root: np.ndarray) -> np.ndarray:
        """Derivative in theta from the derivatives in the root."""
        return np.diag(d_root).copy()

    def loads(self, theta: np.ndarray, out: np.ndarray) -> None:
        if self._z is None:
            out[:] = theta[0]
        else:
            np.matmul(self._z, self.root(theta), out=out.reshape(self._z.shape))

    def pull_loads(self, theta: np.ndarray, d_load: np.ndarray) -> np.ndarray:
        if self._z is None:
            return np.array([d_load.sum()])
        return self.pull_root(theta, self._z.T @ d_load.reshape(self._z.shape))

    def natural(self, theta: np.ndarray) -> sparse.csr_array:
        indices, starts = self._blocks
        levels = len(self.levels) + len(self.fresh)
        return sparse.csr_array((np.tile(self.root(theta), (levels, 1)).reshape(-1), indices, starts))

    @cached_property
    def _blocks(self) -> tuple[np.ndarray, np.ndarray]:
        """Columns and starts of rows of a matrix with one block (k, k) for each level."""
        k, levels = len(self.terms), len(self.levels) + len(self.fresh)
        columns = np.broadcast_to(np.arange(levels * k).reshape(levels, 1, k), (levels, k, k)).reshape(-1)
        return columns, np.arange(0, levels * k * k + 1, k)

    def sentences(self) -> list[str]:
        if self.terms == ("1",):
            return [f"u_{self.name}[j] ~ normal(0, {self.hypers[0].name})"]
        return [
            f"u_{self.name}[j,{term}] ~ normal(0, {p.name})" for term, p in zip(self.terms, self.hypers, strict=True)
        ]


@dataclass(frozen=True, eq=False)
class OneTerm(Independent):
    """The same where each membership has one of the terms only: the one that its covariates z mark."""

    @cached_property
    def term(self) -> np.ndarray:
        """The term of each membership (m,)."""
        return np.argmax(self.rows.z, axis=0)

    def pattern(self) -> tuple[np.ndarray, np.ndarray]:
        return np.arange(len(self.rows.level)), self.rows.level * len(self.terms) + self.term

    def loads(self, theta: np.ndarray, out: np.ndarray) -> None:
        out[:] = theta[self.term]

    def pull_loads(self, theta: np.ndarray, d_load: np.ndarray) -> np.ndarray:
        return np.bincount(self.term, d_load, len(self.terms))


def sd_parameters(setting: Setting) -> tuple[Parameter, ...]:
    """The sd of each term that varies: ``B.sd`` of the intercept, ``B.sd.x`` of a slope."""
    return tuple(
        setting.priors.sd(setting.name + (".sd" if term == "1" else f".sd.{term}"), setting.effective, float(spread))
        for term, spread in zip(setting.rows.terms, setting.spread, strict=True)
    )


def make_iid(setting: Setting) -> Independent:
    """Build ``iid`` or ``iid(1 + x)``."""
    return Independent(setting.name, setting.rows, sd_parameters(setting))
