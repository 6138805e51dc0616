"""The constant of ``normalize = total`` where memberships lie in pieces: sums of raw weights over all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...latent.apart.divided import Divided
from .weighing import Weighing


@dataclass(frozen=True)
class Total:
    """Raw weights of some groups added up.

    Attributes
    ----------
    top : float
        The sum is times exp(top), so that it neither vanishes nor overflows.
    amount : float
    moved : (p,) array
        Its derivatives, in the same unit.
    filled : int
        Groups with a member.
    """

    top: float
    amount: float
    moved: np.ndarray
    filled: int

    @staticmethod
    def joined(each: Sequence[Total]) -> Total:
        """The sum over pieces."""
        top = max(one.top for one in each)
        unit = [float(np.exp(one.top - top)) for one in each]
        return Total(
            top, sum(u * one.amount for u, one in zip(unit, each, strict=True)),
            np.sum([u * one.moved for u, one in zip(unit, each, strict=True)], axis=0),
            sum(one.filled for one in each),
        )  # fmt: skip

    @property
    def scale(self) -> float:
        """What raw weights are multiplied by."""
        return self.filled / self.amount * float(np.exp(-self.top))


def total_of(weighing: Weighing, theta: np.ndarray) -> Total:
    """The sum of raw weights and its derivatives at the weight parameters, the first entries of `theta`."""
    raw, slope = weighing.raw(theta)
    top, slope = 0.0, slope[: len(weighing.parameters)]
    if weighing.tape.logarithm:
        top = float(raw.max(initial=-np.inf))
        top = top if np.isfinite(top) else 0.0
        raw = np.exp(raw - top)
        slope = np.where(raw == 0.0, 0.0, raw * slope)
    filled = int(np.count_nonzero(np.diff(weighing.memberships.start)))
    return Total(top, float(raw.sum()), slope.sum(axis=1), filled)


class DividedWeights(Divided):
    """A block of members whose weights are normalised over all groups."""

    def sums(self, theta: np.ndarray) -> Total:
        return total_of(self.part.weighing, theta)

    def scaled(self, total: Total) -> Any:
        return replace(self.part, weighing=replace(self.part.weighing, scale=total.scale))

    def share(self, scratch: Any, total: Total) -> None:
        scratch["d_w"] -= np.outer(total.moved / total.amount, scratch["w"])

    def knowing(self, total: Callable[[np.ndarray], Total]) -> Any:
        return replace(self.part, weighing=replace(self.part.weighing, common=lambda theta: total(theta).scale))
