r"""The Gaussian latent system at one theta: determinant, residuals, and derivatives.

With :math:`H = A'WA + D`, :math:`m = H^{-1}(A'Wy + D m_0)` and :math:`r = y - Am` the log marginal likelihood is

.. math:: \tfrac12\bigl(\sum\log w_i - r'Wr - (m-m_0)'D(m-m_0) - \log|H| + \log|D| - N\log 2\pi\bigr),

and its derivative in the entry (i, k) of A is :math:`w_i (r_i m_k - (S A')_{ki})` with :math:`S = H^{-1}`
(DESIGN, section 3). The quadratic forms are sums of squares, never differences of large ones.
"""

from __future__ import annotations

from numba import njit

from .cholesky import log_determinant_at
from .compiling import KERNEL
from .rows import finish_slopes, pair_products, quadratic, symmetric_gradient, times, weighted_square

_kernel = njit(**KERNEL)


@_kernel
def gaussian_squares(
    diagonal, panel, row_start, columns, values, weight, target, d_row, d_column, d_value, center, mean, residual,
    buffer,
):  # fmt: skip
    """Fill `residual` from `mean`, and add up what the likelihood is made of.

    `panel` holds the factor of H, and `diagonal` the places in it of those columns whose determinant is wanted.

    Returns
    -------
    (log_determinant, row_square, prior_square)
        `row_square` = r'Wr, `prior_square` = (m - m0)'D(m - m0).
    """
    times(row_start, columns, values, mean, residual)
    for i in range(len(weight)):
        residual[i] = target[i] - residual[i]
    for k in range(len(mean)):
        buffer[k] = mean[k] - center[k]
    return (
        log_determinant_at(diagonal, panel),
        weighted_square(weight, residual),
        quadratic(d_row, d_column, d_value, buffer),
    )


@_kernel
def gaussian_slopes(
    row_start, columns, pair, values, weight, d_place, d_row, d_column, center, mean, residual, inverse, buffer, slope,
    leverage, d_weight, d_offset, d_entry,
):  # fmt: skip
    """Derivatives of the log marginal after :func:`gaussian_squares`, by the selected inverse of H.

    Fills `slope` (entries of A), `d_weight` and `d_offset` (rows) and `d_entry` (entries of D, without the
    derivative of log|D|). `buffer` and `leverage` are work space.
    """
    for a in range(len(slope)):
        slope[a] = 0.0
    pair_products(row_start, pair, values, inverse, slope, leverage)
    finish_slopes(row_start, columns, slope, weight, residual, mean, leverage, d_weight)
    for i in range(len(weight)):
        d_offset[i] = weight[i] * residual[i]
    for k in range(len(mean)):
        buffer[k] = mean[k] - center[k]
    symmetric_gradient(d_row, d_column, d_place, inverse, buffer, d_entry)
