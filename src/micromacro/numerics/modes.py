r"""Kernels of the non-Gaussian latent system: a Newton step, the whitening map, the gradient of Laplace's formula.

With l the log-likelihood, :math:`W = \mathrm{diag}(-l'')` and :math:`H = A'WA + D`, a Newton step solves
:math:`H s = A'l' - D(x - m_0)`. Whitened coordinates z put :math:`x = m + L^{-T}z` with :math:`LL' = H`.

The derivative of :math:`F = l(A\hat x + o) - \tfrac12(\hat x - m_0)'D(\hat x - m_0) - \tfrac12\log|H|` follows the
adjoint way (Rasmussen and Williams 2006, section 5.5.1): with leverages :math:`h_i = a_i'H^{-1}a_i` and
:math:`\lambda = H^{-1}A'(\tfrac12 h \circ l''')` the derivative in the offset of row i is
:math:`\delta_i = l'_i + \tfrac12 h_i l'''_i + l''_i (A\lambda)_i`, and in the entry (i, k) of A
:math:`x_k\delta_i + l'_i\lambda_k - w_i(H^{-1}A')_{ki}`.
"""

from __future__ import annotations

from numba import njit

from .cholesky import factorise, log_determinant, solve_lower, solve_upper
from .compiling import INLINED, KERNEL
from .rows import assemble, joint_times, quadratic, times

_kernel = njit(**KERNEL)
_inlined = njit(**INLINED)


@_inlined
def latent_gradient(row_start, columns, values, d_row, d_column, d_value, center, x, slope, work, out):
    """out = A' slope - D (x - m0); `work` (n,) is overwritten."""
    for k in range(len(x)):
        work[k] = center[k] - x[k]
    joint_times(row_start, columns, values, d_row, d_column, d_value, slope, work, out)


@_kernel
def factor_at(
    first, first_row, panel_start, source, local, rel_start, relative, by_target, arriving, row_start, pair, values,
    curvature, d_place, d_value, panel, buffer,
):  # fmt: skip
    """Factorise H at some curvatures. Returns -1 or the failing column."""
    assemble(row_start, pair, values, curvature, d_place, d_value, panel)
    return factorise(
        first, first_row, panel_start, source, local, rel_start, relative, by_target, arriving, panel, buffer
    )  # fmt: skip


@_kernel
def newton_solve(
    layout, row_start, columns, values, slope, d_row, d_column, d_value, center, x, panel, gradient, step
):  # fmt: skip
    """The Newton step by the factor in `panel`; returns gradient' H^-1 gradient."""
    latent_gradient(row_start, columns, values, d_row, d_column, d_value, center, x, slope, step, gradient)
    for k in range(len(x)):
        step[k] = gradient[k]
    solve_lower(layout, panel, step)
    decrement = 0.0
    for k in range(len(x)):
        decrement += step[k] * step[k]
    solve_upper(layout, panel, step)
    return decrement


@_inlined
def predictor(row_start, columns, values, offset, x, out):
    """out = A x + offset."""
    times(row_start, columns, values, x, out)
    for i in range(len(out)):
        out[i] += offset[i]


@_kernel
def unwhiten(layout, panel, mean, row_start, columns, values, offset, z, x, eta):
    """x = mean + L^-T z and eta = A x + offset."""
    for k in range(len(z)):
        x[k] = z[k]
    solve_upper(layout, panel, x)
    displace(mean, row_start, columns, values, offset, x, eta)


@_kernel
def displace(mean, row_start, columns, values, offset, x, eta):
    """x becomes mean + x; eta = A x + offset there."""
    for k in range(len(x)):
        x[k] += mean[k]
    predictor(row_start, columns, values, offset, x, eta)


@_kernel
def mirror(
    layout, panel, mean, row_start, columns, values, offset, z, d_row, d_column, d_value, center, x, work, eta,
    mirrored,
):  # fmt: skip
    """Linear predictors of mean + L^-T z and of mean - L^-T z; x is the former.

    Returns (penalty of the former, of the latter, log|L|), a penalty being (x - m0)' D (x - m0) / 2.
    """
    for k in range(len(z)):
        x[k] = z[k]
    solve_upper(layout, panel, x)
    own, other = displace_both(
        mean, row_start, columns, values, offset, d_row, d_column, d_value, center, x, work, eta, mirrored
    )
    return own, other, 0.5 * log_determinant(layout, panel, len(z))


@_kernel
def displace_both(
    mean, row_start, columns, values, offset, d_row, d_column, d_value, center, x, work, eta, mirrored
):  # fmt: skip
    """x becomes mean + x; the linear predictors there and at mean - x, and the penalties of both."""
    for i in range(len(eta)):
        ahead = offset[i]
        aside = 0.0
        for a in range(row_start[i], row_start[i + 1]):
            k = columns[a]
            ahead += values[a] * mean[k]
            aside += values[a] * x[k]
        eta[i] = ahead + aside
        mirrored[i] = ahead - aside
    own, other = 0.0, 0.0
    for sign in range(-1, 2, 2):
        for k in range(len(x)):
            work[k] = mean[k] + sign * x[k] - center[k]
        square = quadratic(d_row, d_column, d_value, work)
        if sign < 0:
            other = square
        else:
            own = square
    for k in range(len(x)):
        x[k] += mean[k]
    return 0.5 * own, 0.5 * other


@_kernel
def precision_slopes(d_row, d_column, d_place, inverse, deviation, shift, out):
    """Derivatives of F in the entries of D, log|D| left out; an entry beside the diagonal stands for both its places.

    With d = x - m0 and S = H^-1: -(S_kj + d_k d_j) / 2 and, through the mode, -(lambda_k d_j + lambda_j d_k) / 2 on
    the diagonal, twice that beside it.
    """
    for e in range(len(d_row)):
        k, j = d_row[e], d_column[e]
        half = -0.5 if k == j else -1.0
        moved = shift[k] * deviation[j] + shift[j] * deviation[k]
        out[e] = half * (inverse[d_place[e]] + deviation[k] * deviation[j] + moved)


@_kernel
def laplace_slopes(row_start, columns, x, shift, row, first, second, pull, slope, d_offset):
    """In place: `slope` from H^-1 A' to the derivative of F in the entries of A; fills `d_offset`.

    `pull` (rows,) is half the leverage times the third derivative.
    """
    for i in range(len(row_start) - 1):
        d = first[i] + pull[i] + second[i] * row[i]
        d_offset[i] = d
        for a in range(row_start[i], row_start[i + 1]):
            k = columns[a]
            slope[a] = x[k] * d + first[i] * shift[k] + second[i] * slope[a]


@_kernel
def whitened_rows(layout, panel, row_start, columns, values, rows, out):
    """out[k] = L^-1 a for row number rows[k] of A: inner products of two such rows are a'H^-1 b."""
    for k in range(len(rows)):
        for j in range(out.shape[1]):
            out[k, j] = 0.0
        for a in range(row_start[rows[k]], row_start[rows[k] + 1]):
            out[k, columns[a]] += values[a]
        solve_lower(layout, panel, out[k])
