"""What families with one positive parameter of spread share."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from ..parameters import Parameter, PriorBook
from ..priors import Exponential
from .base import Family
from .response import Response


class Dispersed(Family):
    """A family whose only parameter is positive, the one named in `predictors`; the larger, the less outcomes spread.

    Attributes
    ----------
    start : float
        Where searches for the parameter start.
    kernels : pair of functions
        What fills `out` of :meth:`slopes` at one parameter, and at one for each group, own (1, groups).
    """

    start: ClassVar[float] = 2.0
    kernels: ClassVar[tuple[Callable[..., None], Callable[..., None]]]

    def parameters(self, book: PriorBook, scale: float, flat: bool, response: Response) -> tuple[Parameter, ...]:
        (name,) = self.predictors
        return (book.parameter(name, name, Exponential(0.02), start=self.start, flat=flat),)

    def possible(self, own: np.ndarray) -> bool:
        return bool(np.all((own[0] > 0.0) & (own[0] < 1e10)))

    def slopes(self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, out: np.ndarray) -> None:
        one, each = self.kernels
        if own.ndim > 1:
            each(values, eta, own, out)
        else:
            one(values, eta, own[0], out)
