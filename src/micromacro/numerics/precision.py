r"""Prior precisions of dependent effects: values of the lower triangle of D, log-determinants, derivatives.

*Paths* (walks, autoregressions): states stand one after the other, path after path; ``first`` marks where a path
begins. With :math:`x_t = r_t x_{t-1} + e_t,\ e_t \sim N(0, v_t)` and :math:`x_1 \sim N(0, v_1)`,

.. math:: D_{tt} = \frac1{v_t} + \frac{r_{t+1}^2}{v_{t+1}}, \quad D_{t+1,t} = -\frac{r_{t+1}}{v_{t+1}},
   \quad \log|D| = -\sum_t \log v_t .

*Graphs*: conditional autoregressions (Besag 1974) with neighbour weights W and their row sums M,
:math:`D = M - \rho W`; at :math:`\rho = 1` (intrinsic) D is singular and gets, for each connected component, the sum of
its effects as a pseudo-observation at zero.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse


def path_pattern(first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the lower triangle of D: the diagonal, then the entry before it of every later state."""
    every, later = np.arange(len(first)), np.flatnonzero(~first)
    return np.concatenate([every, later]), np.concatenate([every, later - 1])


def path_precision(step: np.ndarray, variance: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Values of D on :func:`path_pattern`.

    Parameters
    ----------
    step : (states,) array
        r_t; not used where a path begins.
    variance : (states,) array
        v_t > 0.
    first : (states,) bool array
    """
    later = np.flatnonzero(~first)
    diagonal = 1.0 / variance
    diagonal[later - 1] += step[later] ** 2 / variance[later]
    return np.concatenate([diagonal, -step[later] / variance[later]])


def path_pull(step: np.ndarray, variance: np.ndarray, first: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, ...]:
    """Derivatives in ``step`` and ``variance`` from those in the values of :func:`path_precision`."""
    n, later = len(first), np.flatnonzero(~first)
    below, beside = d[:n], d[n:]
    d_step = np.zeros(n)
    d_step[later] = 2.0 * step[later] / variance[later] * below[later - 1] - beside / variance[later]
    d_variance = -below / variance**2
    d_variance[later] += (step[later] * beside - step[later] ** 2 * below[later - 1]) / variance[later] ** 2
    return d_step, d_variance


def graph_pattern(size: int, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the lower triangle of M - rho W: the diagonal, then an entry for each edge."""
    every = np.arange(size)
    return np.concatenate([every, high]), np.concatenate([every, low])


def graph_precision(degree: np.ndarray, weight: np.ndarray, rho: float) -> np.ndarray:
    """Values of M - rho W on :func:`graph_pattern`; a node without an edge has precision one."""
    return np.concatenate([np.where(degree > 0, degree, 1.0), -rho * weight])


def graph_log_determinant(degree: np.ndarray, eigenvalues: np.ndarray, rho: float) -> tuple[float, float]:
    r""":math:`\log|M - \rho W| = \sum \log m_i + \sum \log(1 - \rho\lambda_i)` and its derivative in rho."""
    rest = 1.0 - rho * eigenvalues
    value = float(np.log(degree[degree > 0]).sum() + np.log(rest).sum())
    return value, float(-(eigenvalues / rest).sum())


def laplacian(size: int, low: np.ndarray, high: np.ndarray, weight: np.ndarray) -> sparse.csr_array:
    r""":math:`M - W` of a graph by its edges, sparse (size, size)."""
    every = np.arange(size)
    degree = np.bincount(low, weight, size) + np.bincount(high, weight, size)
    rows, columns = np.concatenate([every, low, high]), np.concatenate([every, high, low])
    return sparse.csr_array((np.concatenate([degree, -weight, -weight]), (rows, columns)), shape=(size, size))
