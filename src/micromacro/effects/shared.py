r"""Effects that member blocks share: ``effects=shared(other)``, :math:`u_j` in one block, :math:`c\,u_j` in the other.

The effects belong to the block named in parentheses, whose ``sd`` they have; in each block that shares them they are
multiplied by its ``scale``, estimated or fixed as in ``shared(other, 1)``. The memberships of all blocks stand one
block after the other; row r of z marks those of block r.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from ..parameters import Parameter
from .base import Effects
from .phrases import Noun, Phrase, of_sd


@dataclass(frozen=True, eq=False)
class Shared(Effects):
    """One effect for each member, in several blocks.

    Attributes
    ----------
    known : tuple of float or None
        The scale of each block where it is fixed: 1 for the block that the effects belong to. `hypers` are the sd and
        the scales that are not.
    """

    known: tuple[float | None, ...] = (1.0,)

    @property
    def latents(self) -> int:
        """An entry for each member."""
        return len(self.levels) + len(self.fresh)

    @cached_property
    def block(self) -> np.ndarray:
        """The block of each membership (m,)."""
        return self.rows.z.argmax(axis=0)

    def scales(self, theta: np.ndarray) -> np.ndarray:
        """The scale of each block."""
        free = iter(theta[1:])
        return np.array([next(free) if known is None else known for known in self.known])

    def pattern(self) -> tuple[np.ndarray, np.ndarray]:
        return np.arange(len(self.rows.level)), self.rows.level

    def loads(self, theta: np.ndarray, out: np.ndarray) -> None:
        out[:] = theta[0] * self.scales(theta)[self.block]

    def pull_loads(self, theta: np.ndarray, d_load: np.ndarray) -> np.ndarray:
        by_block = np.bincount(self.block, d_load, len(self.known))
        free = [r for r, known in enumerate(self.known) if known is None]
        return np.concatenate([[by_block @ self.scales(theta)], theta[0] * by_block[free]])

    def natural(self, theta: np.ndarray) -> sparse.csr_array:
        return sparse.csr_array(theta[0] * sparse.eye_array(len(self.levels), self.latents, format="csr"))

    def labels(self) -> tuple[tuple[str, np.ndarray], ...]:
        return ((self.name, self.levels.values),)

    def phrase(self, hyper: int, nouns: Sequence[Noun]) -> Phrase | None:
        if hyper == 0:
            return of_sd(Noun("effect"), self.who)
        role = [r for r, known in zip(self.terms, self.known, strict=True) if known is None][hyper - 1]
        text = f"In {role}, the effect of {{a}} counts {{value}} times as it does in {self.name}"
        return Phrase(text, "scale of shared effects", nothing=(1.0, "the same effect in both"))

    def sentences(self) -> list[str]:
        free = iter(p.name for p in self.hypers[1:])
        scales = [next(free) if known is None else f"{known:g}" for known in self.known]
        others = ", ".join(f"{s} u in {b}" for s, b in zip(scales[1:], self.terms[1:], strict=True))
        return [f"u_{self.name}[j] ~ normal(0, {self.hypers[0].name}), the same effects as {others}"]


def make_shared(name: str, rows: object, sd: Parameter, scales: list[Parameter | float]) -> Shared:
    """Effects of a block and of those that share them, each with a scale: a parameter, or a number."""
    known = (1.0, *(None if isinstance(s, Parameter) else float(s) for s in scales))
    free = tuple(s for s in scales if isinstance(s, Parameter))
    return Shared(name, rows, (sd, *free), (), known)  # type: ignore[arg-type]
