"""What families of counts whose zeros have a probability of their own share."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from .base import Family
from .negative_binomial import NegativeBinomial
from .poisson import Poisson, check_log, counts
from .response import Raw, Response


class WithZeros(Family):
    """Counts of a distribution, and a probability of zeros: the last parameter of the family.

    Attributes
    ----------
    counts : Family
        The distribution of the counts; its parameters come first.
    """

    link: str
    counts: ClassVar[Poisson | NegativeBinomial]
    discrete = True
    quantities = ("mean", "zero")

    def __post_init__(self):
        check_log(self.link, self.name)

    def read(self, raw: Raw) -> Response:
        return counts(raw, self.name)

    def possible(self, own: np.ndarray) -> bool:
        return bool(np.all((own[-1] >= 0.0) & (own[-1] < 1.0))) and self.counts.possible(own[:-1])


def zeros_of(response: Response) -> float:
    """Share of zeros, each outcome as often as its weight says."""
    return float(response.counted((response.observed == 0.0).astype(float)).sum() / response.weight.sum())
