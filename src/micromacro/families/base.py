"""What a family must supply."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from ..parameters import Parameter, PriorBook
from .response import Raw, Response


class Family(Protocol):
    """A distribution of the outcome given the linear predictor eta.

    A family is one file. Its numbers come from two sources that the tests hold together: ``slopes``, a Numba
    kernel, and ``log_density``, the same density written plainly for NumPy and JAX alike.

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

    def read(self, raw: Raw) -> Response:
        """Check the outcome and lay it out for the kernel; DataError for outcomes the family cannot have."""
        ...

    def scale(self, response: Response, offset: np.ndarray) -> tuple[float, float]:
        """Spread and centre of the outcome on the link scale, for default priors and starts."""
        ...

    def parameters(self, book: PriorBook, scale: float, flat: bool, response: Response) -> tuple[Parameter, ...]:
        """The family's own parameters; they are the last entries of theta."""
        ...

    def possible(self, own: np.ndarray) -> bool:
        """Whether the family's parameters are in their domain."""
        ...

    def slopes(self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, out: np.ndarray) -> None:
        """Fill out (4, groups): log density of each outcome, its two derivatives in eta, and a positive curvature.

        The last row is minus the second derivative where that is never negative, else some positive stand-in.
        """
        ...

    def log_density(self, values: Any, eta: Any, own: Any, xp: Any = np, special: Any = None) -> Any:
        """Log density of each outcome (groups,), in the functions of `xp` (numpy or jax.numpy) and `special`."""
        ...

    def mean(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        """Expected outcome (response scale) at eta (..., groups); `values` where it depends on them (trials)."""
        ...

    def variance(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        """Variance of an outcome around :meth:`mean` (response scale), at eta (..., groups); as `mean` otherwise."""
        ...

    def link_variance(self, own: np.ndarray, mean: float) -> float | None:
        """Variance of the outcome around eta on the link scale, at a mean outcome; None where none is agreed on."""
        ...

    def simulate(
        self, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator, values: np.ndarray | None
    ) -> np.ndarray:
        """Draw outcomes."""
        ...
