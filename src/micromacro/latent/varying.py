"""How the members of a block meet whose weights have coefficients that differ between groups.

The block has a row of A for each membership, the member's effect, and after these a row for each coefficient in each
group with a member. What they make together is the weighted sum (:mod:`micromacro.numerics.varying`), a smooth function
of all these rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from ..numerics.varying import places, varied_bend, varied_chain, varied_sum, weight_jets
from .blocks import Blocks
from .combined import InGroups


class RawWeights(Protocol):
    """Raw weights with their derivatives (``terms.member.jets.Jets``)."""

    @property
    def logarithm(self) -> bool: ...

    def run(self, order: int, coefficients: np.ndarray, start: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True, eq=False)
class Varying(InGroups):
    """How the members of one block meet.

    Attributes
    ----------
    raw : RawWeights
    normalised : bool
        Whether weights sum to one in the group.
    count : int
        Number of coefficients.
    start : (groups + 1,) int array
        The block's memberships by group.
    first : int
        Its first row of A.
    """

    raw: RawWeights
    normalised: bool
    count: int
    start: np.ndarray
    first: int
    layout: Blocks | None = None
    kinked = False
    masks = False
    orders = True

    @property
    def rows(self) -> slice:
        """All of its rows of A."""
        return slice(self.first, self.first + self.members + self.count * len(self.filled))

    @cached_property
    def group(self) -> np.ndarray:
        """The group of each of its rows."""
        return np.concatenate([self.of_member, np.repeat(self.filled, self.count)])

    def lean(self, numbers: np.ndarray) -> float | None:
        """Linear in the effects of members."""
        return 0.0

    def placed(self, layout: Blocks) -> Varying:
        """The same with the layout of all rows."""
        return replace(self, layout=layout)

    @cached_property
    def _at(self) -> tuple[np.ndarray, np.ndarray]:
        return places(self.count)

    @cached_property
    def _position(self) -> np.ndarray:
        """Where the first member stands among the rows of its group."""
        assert self.layout is not None
        return self.layout.position[self.first + self.start[self.filled]]

    def split(self, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Effects of the members (m,) and coefficients (k, m) in the group of each, from its own rows."""
        m = self.members
        of_group = eta[m:].reshape(-1, self.count)
        return np.ascontiguousarray(eta[:m]), np.ascontiguousarray(of_group[self.place].T)

    def weights(self, coefficients: np.ndarray, order: int = 0) -> np.ndarray:
        """Weights and their derivatives (1 + ..., m) at coefficients (k, m)."""
        raw = self.raw.run(order, coefficients, self.start)
        out = np.zeros_like(raw)
        with np.errstate(all="ignore"):
            weight_jets(raw, self.raw.logarithm, self.normalised, self.start, *self._at, order, out)
        return out

    def sums(self, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What members make together (groups,), and its derivatives in the block's own rows."""
        zeta, coefficients = self.split(eta)
        value, slope = np.empty(len(self.start) - 1), np.empty(len(eta))
        w = self.weights(coefficients, 1)
        varied_sum(self.start, self.filled, self.count, w, zeta, value, slope[: len(zeta)], slope[len(zeta) :])
        return value, slope

    # -- the likelihood ----------------------------------------------------------------------------------------------

    def meet(self, eta: np.ndarray, numbers: np.ndarray, at: Any, order: int) -> None:
        """Put what members make together, and its derivatives, into `at` (:class:`.combined.At`)."""
        rows, m = self.rows, self.members
        zeta, coefficients = self.split(eta[rows])
        w, value = self.weights(coefficients, max(order, 1)), np.empty(len(self.start) - 1)
        tilt = at.share[rows]
        varied_sum(self.start, self.filled, self.count, w, zeta, value, tilt[:m], tilt[m:])
        at.first[rows] = 1.0
        at.value.append(value)
        at.kept.append((zeta, w))
        if order > 1:
            assert self.layout is not None
            b = self.layout
            varied_bend(
                self.start, self.filled, self._position, b.pair_start, b.rows, rows.start + m, self.count,
                self._at[0], w, zeta, at.bends(b),
            )  # fmt: skip

    def chain(
        self, kept: Any, at: Any, leverage: np.ndarray, outer: np.ndarray, value: np.ndarray, share: np.ndarray,
        out: np.ndarray,
    ) -> None:  # fmt: skip
        """Derivatives in its rows, from those in what members make together and in its derivatives.

        Parameters
        ----------
        outer : (groups,) array
            First derivatives of the log densities in the predictors of the groups.
        value, share, out : (rows,) arrays
        """
        assert self.layout is not None
        b, (zeta, w) = self.layout, kept
        varied_chain(
            self.start, self.filled, self._position, b.pair_start, b.rows, self.rows.start + self.members, self.count,
            *self._at, w, zeta, leverage, outer, value, share, at.share, at.bend, self.first, out,
        )  # fmt: skip

    def number_slopes(self, *_: Any) -> None:
        """It reads no numbers but its rows."""
