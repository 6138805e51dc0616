"""What a family must supply.

Rows and groups
---------------
Most families have one row of the linear predictor a group. A family that needs others (:class:`Expanding`) lays them
out in ``expand``: which group each row repeats, what its kernel reads there, and a part of its own with entries of
rows. ``cox`` has a row for each group and interval in which it is at risk. Everything below the families (modes,
Laplace, the sampler) works on rows; what is asked of a group (means, simulated outcomes) gets the family's numbers as
``own``.

Room for a second linear predictor
----------------------------------
Zero inflation, or a model of the spread (``sigma ~ x``), stacks a second predictor under the first: 2 N rows,
``Expansion.predictor`` 0 and 1, and the terms of the second formula as parts with ``predictor = 1``. The system carries
that: each part's entries go to the rows of its predictor, derivatives come back (tests/latent/test_expansion.py). What
is still to be written is the curvature: the log density of group i depends on two rows at once, so -l'' is a 2 x 2
block, and ``numerics.rows.assemble`` (with ``pair_products`` for the leverages) must add the cross products of the two
rows of a group. The sampler needs no more than some positive definite stand-in for it, which the diagonal is; Laplace's
approximation needs it exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ..latent.expansion import Expansion
from ..notes import Note
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


@runtime_checkable
class Entering(Protocol):
    """A family of durations, which may be seen from a later entry on only."""

    def entry(self, values: np.ndarray) -> np.ndarray:
        """Times (groups,) until which outcomes are known to last; zero without one."""
        ...

    def simulate_after(
        self, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator, entry: np.ndarray
    ) -> np.ndarray:
        """Draw outcomes (..., groups) that are known to last until `entry` (groups,)."""
        ...

    def mean_after(self, eta: np.ndarray, own: np.ndarray, entry: np.ndarray) -> np.ndarray:
        """Expected outcome (..., groups) of groups that are known to last until `entry` (groups,)."""
        ...


@dataclass(frozen=True, eq=False)
class Expanded:
    """What a family makes of an outcome whose rows are not its groups.

    Attributes
    ----------
    family : Family
        The family with what it has learned from the outcome (cut points).
    rows : Expansion
    values : (c, rows) array
        Rows as the family's kernel reads them.
    notes : tuple of Note
        Remarks for `explain()`.
    """

    family: Family
    rows: Expansion
    values: np.ndarray
    notes: tuple[Note, ...] = ()


@runtime_checkable
class Expanding(Protocol):
    """A family whose rows are not groups."""

    def expand(self, response: Response, offset: np.ndarray, book: PriorBook, flat: bool, what: str) -> Expanded:
        """Lay out the rows; `what` is the outcome's text, for messages."""
        ...

    def group_density(self, values: Any, eta: Any, own: Any, xp: Any = np) -> Any:
        """Log density of each group (groups,), plainly; eta (groups,) is what the formula's terms bring."""
        ...
