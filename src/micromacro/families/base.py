"""What a family must supply."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ..parameters import Parameter, PriorBook


class Family(Protocol):
    """A distribution of the outcome given the linear predictor eta.

    Attributes
    ----------
    name, link : str
    no_intercept : str or None
        Why the family has no intercept, where it has none.
    conjugate : bool
        Whether the outcome is Gaussian given eta, so that the marginal likelihood of theta is exact.
    """

    @property
    def name(self) -> str: ...

    @property
    def link(self) -> str: ...

    @property
    def no_intercept(self) -> str | None: ...

    @property
    def conjugate(self) -> bool: ...

    def check(self, outcome: np.ndarray, what: str) -> None:
        """Raise a DataError for outcomes that the family cannot have."""
        ...

    def scale(self, outcome: np.ndarray) -> tuple[float, float]:
        """Spread and centre of the outcome on the link scale, for default priors and starts."""
        ...

    def parameters(self, book: PriorBook, scale: float, flat: bool) -> tuple[Parameter, ...]:
        """The family's own parameters; they are the last entries of theta."""
        ...

    def mean(self, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Expected outcome (response scale) at eta and the family's parameters."""
        ...

    def simulate(self, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw outcomes."""
        ...

    def log_density(self, outcome: np.ndarray, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Log density of each outcome given eta."""
        ...
