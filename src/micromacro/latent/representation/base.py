r"""What a representation of :math:`H = A'WA + D` answers, whatever it factorises to do so.

Everybody who needs H asks here: its log-determinant, :math:`H^{-1}v`, and :math:`H^{-1}A'` on the pattern of A. Vectors
of x are in elimination order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Literal

import numpy as np

from ...numerics.cholesky import inverse_quadratics, solve_upper
from ...numerics.modes import laplace_slopes
from ...numerics.rows import (
    finish_slopes,
    quadratic,
    symmetric_gradient,
    symmetric_times,
    times,
    transposed_times,
    weighted_square,
)
from ...numerics.symbolic import Symbolic
from ..workspace import Workspace


class Representation:
    """A factor of H at the values of A and D in a work space.

    Attributes
    ----------
    symbolic : Symbolic
        The pattern of A and D, and that of the factor of H itself.
    work : float
        Operations of one factorisation and all slopes, about.
    side : {"effects", "groups"}
        What the rows of the matrix stand for that is factorised; ``dimension`` is how many there are.
    steady : bool
        Whether values have no random error, so that they can be compared.
    rough : bool
        Whether what a Newton step leaves behind serves nothing but steps.
    close : float
        Squared length of the last Newton step to a mode, in posterior sds.
    border : int
        Rows of very many effects that are kept out of it.
    instead : Representation or None
        What would be factorised without it.
    """

    symbolic: Symbolic
    work: float
    side: Literal["effects", "groups"]
    dimension: int
    steady: bool = True
    rough: bool = False
    close: float = 1e-19
    border: int = 0
    instead: Representation | None = None

    # -- what a representation supplies ------------------------------------------------------------------------------

    def prepare(self, room: Workspace, gradient: bool) -> None:
        """Give a work space the room that its methods need."""
        raise NotImplementedError

    def factorise(self, room: Workspace, weight: np.ndarray) -> int:
        """Factorise at the diagonal (rows,) of W; -1, or a number of what is not positive definite."""
        raise NotImplementedError

    def log_determinant(self, room: Workspace, leading: int) -> float:
        """log|H| of the first `leading` entries of x: all of them, or the effects."""
        raise NotImplementedError

    def solve(self, room: Workspace, x: np.ndarray) -> None:
        """x becomes H^-1 x."""
        raise NotImplementedError

    def slopes(self, room: Workspace, leading: int) -> None:
        """``room.slope`` becomes S A' on the pattern of A and ``room.leverage`` a_i' S a_i.

        S is the inverse of the leading block of H, zero elsewhere; where D depends on theta its entries on the pattern
        of D are in ``room.inverse``.
        """
        raise NotImplementedError

    def panel(self, room: Workspace) -> np.ndarray:
        """Panels of L, the factor of H itself, at what was last factorised."""
        raise NotImplementedError

    def variances(self, room: Workspace) -> np.ndarray:
        """Diagonal of H^-1 (size,)."""
        raise NotImplementedError

    # -- products with A, whose entries a representation may have elsewhere ------------------------------------------

    def times(self, room: Workspace, x: np.ndarray, out: np.ndarray) -> None:
        """out (rows,) becomes A x."""
        s = self.symbolic
        times(s.row_start, s.columns, room.values, x, out)

    def transposed(self, room: Workspace, v: np.ndarray, out: np.ndarray) -> None:
        """out (size,) gets A'v added to it."""
        s = self.symbolic
        transposed_times(s.row_start, s.columns, room.values, v, out)

    def joint_times(self, room: Workspace, v: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
        """out (size,) becomes A'v + D x."""
        s = self.symbolic
        out[:] = 0.0
        self.transposed(room, v, out)
        symmetric_times(s.d_row, s.d_column, room.d_value, x, out)

    def finish_slopes(self, room: Workspace) -> None:
        """``room.slope`` becomes the derivatives in A of a Gaussian outcome, see :func:`~.rows.finish_slopes`."""
        s = self.symbolic
        finish_slopes(
            s.row_start, s.columns, room.slope, room.weight, room.residual, room.mean, room.leverage, room.d_weight
        )

    def laplace_slopes(
        self, room: Workspace, x: np.ndarray, shift: np.ndarray, row: np.ndarray, first: np.ndarray,
        second: np.ndarray, pull: np.ndarray,
    ) -> None:  # fmt: skip
        """``room.slope`` becomes the derivatives in A, see :func:`~.modes.laplace_slopes`; fills ``room.d_offset``."""
        s = self.symbolic
        laplace_slopes(s.row_start, s.columns, x, shift, row, first, second, pull, room.slope, room.d_offset)

    def hold(self, system: Any, room: Workspace, coefficients: np.ndarray) -> None:
        """Add what held coefficients (c,) bring to ``room.offset``."""
        part = room.values[system.border] * coefficients[system.border_column]
        room.offset += np.bincount(system.border_row, part, system.rows)

    def held_slopes(self, system: Any, room: Workspace, coefficients: np.ndarray) -> np.ndarray:
        """Derivatives (c,) in held coefficients from those in the offset; in their entries into ``room.slope``."""
        d_offset = room.d_offset[system.border_row]
        room.slope[system.border] = coefficients[system.border_column] * d_offset
        return np.bincount(system.border_column, room.values[system.border] * d_offset, len(coefficients))

    # -- what follows from it ----------------------------------------------------------------------------------------

    def latent_gradient(
        self, room: Workspace, center: np.ndarray, x: np.ndarray, slope: np.ndarray, out: np.ndarray
    ) -> None:  # fmt: skip
        """out (size,) becomes A' slope - D (x - m0)."""
        self.joint_times(room, slope, center - x, out)

    @contextmanager
    def quick(self, room: Workspace) -> Iterator[None]:
        """Within it only solutions and slopes are wanted, no values; where that saves nothing, nothing changes."""
        yield

    def entries_of_d(self, room: Workspace) -> tuple[np.ndarray, np.ndarray]:
        """Entries of S on the pattern of D, after :meth:`slopes`: their places in an array, and that array."""
        return self.symbolic.d_place, room.inverse

    def quadratics(self, room: Workspace, rows: Any) -> np.ndarray:
        """g' H^-1 g for each row g of a sparse matrix by rows (k, size)."""
        out = np.empty(rows.shape[0])
        inverse_quadratics(
            self.symbolic.layout, self.panel(room), rows.indptr.astype(np.int64), rows.indices.astype(np.int64),
            rows.data, np.empty(self.symbolic.size), out,
        )  # fmt: skip
        return out

    def draw(self, room: Workspace, rng: np.random.Generator) -> np.ndarray:
        """A draw (size,) from N(0, H^-1)."""
        z = rng.standard_normal(self.symbolic.size)
        solve_upper(self.symbolic.layout, self.panel(room), z)
        return z

    def draws(self, room: Workspace, rng: np.random.Generator, count: int) -> np.ndarray:
        """Draws (count, size) from N(0, H^-1)."""
        return np.stack([self.draw(room, rng) for _ in range(count)])

    def solve_again(self, room: Workspace, x: np.ndarray, series: str) -> None:
        """x becomes H^-1 x, x being one of a series of like vectors: whoever iterates begins at its last solution."""
        self.solve(room, x)

    def gaussian_mean(self, room: Workspace, center: np.ndarray) -> None:
        """``room.mean`` becomes H^-1 (A'W target + D center), W being ``room.weight``."""
        np.multiply(room.weight, room.target, out=room.row)
        self.joint_times(room, room.row, center, room.mean)
        self.solve_again(room, room.mean, "mean")

    def solve_gaussian(self, room: Workspace, center: np.ndarray, leading: int) -> tuple[int, float, float, float]:
        """Mean and residuals of a Gaussian outcome: (-1 or the failing column, log|H|, the two sums of squares)."""
        bad = self.factorise(room, room.weight)
        if bad >= 0:
            return bad, 0.0, 0.0, 0.0
        self.gaussian_mean(room, center)
        return -1, *self.gaussian_squares(room, center, leading)

    def gaussian_squares(self, room: Workspace, center: np.ndarray, leading: int) -> tuple[float, float, float]:
        """Residuals and what follows from them, see :func:`~micromacro.numerics.gaussian.gaussian_squares`."""
        s = self.symbolic
        self.times(room, room.mean, room.residual)
        np.subtract(room.target, room.residual, out=room.residual)
        prior = quadratic(s.d_row, s.d_column, room.d_value, room.mean - center)
        return self.log_determinant(room, leading), weighted_square(room.weight, room.residual), prior

    def gaussian_slopes(self, room: Workspace, center: np.ndarray, leading: int) -> None:
        """Derivatives of the log marginal, see :func:`~micromacro.numerics.gaussian.gaussian_slopes`."""
        self.slopes(room, leading)
        self.finish_slopes(room)
        np.multiply(room.weight, room.residual, out=room.d_offset)
        self.precision_slopes(room, room.mean - center)

    def precision_slopes(self, room: Workspace, deviation: np.ndarray) -> None:
        """Derivatives in the entries of D, see :func:`~micromacro.numerics.rows.symmetric_gradient`."""
        s = self.symbolic
        symmetric_gradient(s.d_row, s.d_column, *self.entries_of_d(room), deviation, room.d_entry)

    def newton_step(
        self, room: Workspace, slope: np.ndarray, curvature: np.ndarray, center: np.ndarray, x: np.ndarray,
        gradient: np.ndarray, step: np.ndarray,
    ) -> tuple[int, float]:  # fmt: skip
        """Newton's step at x, see :func:`~micromacro.numerics.modes.newton_step`."""
        bad = self.factorise(room, curvature)
        if bad >= 0:
            return bad, 0.0
        self.latent_gradient(room, center, x, slope, gradient)
        step[:] = gradient
        self.solve(room, step)
        return -1, float(step @ gradient)

    def adjoint(self, room: Workspace, pull: np.ndarray, shift: np.ndarray, row: np.ndarray) -> None:
        """First-order skewness correction of the mean, see :func:`~micromacro.numerics.modes.adjoint`."""
        shift[:] = 0.0
        self.transposed(room, pull, shift)
        self.solve_again(room, shift, "adjoint")
        self.times(room, shift, row)


class Indirect(Representation):
    """Something else than H is factorised; H itself where that cannot be, or where its factor is asked for.

    D must be diagonal and must not depend on theta. ``room.side`` has ``weight``, the diagonal of W, and ``panel``,
    whether the panels in the work space are those of what was last factorised.

    Parameters
    ----------
    symbolic : Symbolic
    itself : callable
        Makes the factor of H.
    """

    def __init__(self, symbolic: Symbolic, itself: Callable[[], Representation]):
        self.symbolic, self._make = symbolic, itself

    @cached_property
    def itself(self) -> Representation:
        """The factor of H."""
        return self._make()

    def _prepare_itself(self, room: Workspace) -> None:
        """Room for the factor of H and its inverse, where there is none yet."""
        if len(room.panel) == 0 or len(room.inverse) == 0:
            self.itself.prepare(room, gradient=True)

    def precision_slopes(self, room: Workspace, deviation: np.ndarray) -> None:
        room.d_entry[:] = 0.0  # D does not depend on theta

    def panel(self, room: Workspace) -> np.ndarray:
        side: Any = room.side
        if not side.panel:
            self._prepare_itself(room)
            self.itself.factorise(room, side.weight)
            side.panel = True
        return self.itself.panel(room)
