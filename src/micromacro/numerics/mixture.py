r"""Means over a Gaussian number: :math:`E\,g(\eta + s z)` for :math:`z \sim N(0, 1)`.

By the trapezoidal rule on :math:`z = 0, \pm h, \pm 2h, \ldots`, as far out as the integrand reaches, its weights
:math:`\varphi(z)` scaled to sum to one. For analytic functions it converges geometrically, its error squared (at
least) each time that h is halved (Trefethen and Weideman 2014), so that two steps that agree to 1e-7 leave an error of
about 1e-14. Gauss and Hermite's nodes would be fewer, but a fixed number of them is wrong where s is large.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

STEP = 1.0  # the first h
REACH = 9.0  # how far out the nodes go, in addition to twice the largest s: exp(2 s z) has its mass at 2 s
AGREE = 1e-7  # what two steps may differ by, of the mean size of the function
HALVINGS = 8
LONGEST = 2000.0  # nodes further out have weights of zero

Of = Callable[[np.ndarray], np.ndarray]
Together = Callable[[np.ndarray, np.ndarray], np.ndarray]


def nodes(step: float, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes (nodes,) and weights (nodes,), which sum to one."""
    most = int(min(reach, LONGEST) / step) + 1
    z = step * np.arange(-most, most + 1)
    weight = np.exp(-0.5 * z * z)
    z, weight = z[weight > 0.0], weight[weight > 0.0]
    return z, weight / weight.sum()


def mixed(of: Of, eta: np.ndarray, spread: np.ndarray, together: Together | None = None) -> np.ndarray:
    """Means of a function of eta + spread z over z.

    Parameters
    ----------
    of : function
        From (nodes, ..., groups) to (categories, nodes, ..., groups).
    eta : (..., groups) array
    spread : (groups,) array
        Standard deviations; where all are zero `of` is read once.
    together : function, optional
        From the linear predictors (nodes, ..., groups) and the nodes' weights to (categories, ..., groups): what is
        made of all of them at once, instead of a mean.

    Returns
    -------
    (categories, ..., groups) array
    """
    widest = float(np.max(spread, initial=0.0))
    if not widest > 0.0:
        return of(eta[None])[:, 0]
    step, before = STEP, None
    for _ in range(HALVINGS):
        z, weight = nodes(step, REACH + 2.0 * widest)
        at = eta + np.reshape(np.multiply.outer(z, spread), (len(z), *(1,) * (eta.ndim - 1), -1))
        with np.errstate(all="ignore"):
            if together is None:
                values = of(at)
                now, size = (np.einsum("k,ck...->c...", weight, v) for v in (values, np.abs(values)))
            else:
                now = together(at, weight)
                size = np.abs(now)
            if before is not None and _agree(now, before, size):
                break
        step, before = 0.5 * step, now
    return now


def _agree(now: np.ndarray, before: np.ndarray, size: np.ndarray) -> bool:
    """Whether two steps give the same, but where the mean is not finite."""
    near = np.abs(now - before) <= AGREE * size + 1e-300
    return bool(np.all(near | ~np.isfinite(now)))
