r"""Points and weights for means over a standard normal vector in a few dimensions.

Up to three dimensions products of Gauss-Hermite rules; beyond that a fixed, scrambled Sobol sequence in antithetic
pairs, for which odd moments are exact and the error of even ones is of the order of one over the number of points.
"""

from __future__ import annotations

import math
from functools import cache
from itertools import product

import numpy as np
from scipy.special import ndtri

NODES = {1: 9, 2: 7, 3: 5}  # in each dimension
PAIRS = 64


@cache
def normal_points(dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (m, dimensions) and weights (m,), which sum to one."""
    if dimensions in NODES:
        node, weight = np.polynomial.hermite_e.hermegauss(NODES[dimensions])
        weight = weight / weight.sum()
        points = np.array(list(product(node, repeat=dimensions)))
        return points, np.array([np.prod(w) for w in product(weight, repeat=dimensions)])
    points = sobol_points(dimensions, PAIRS)
    points /= np.sqrt((points**2).mean(axis=0))
    return np.concatenate([points, -points]), np.full(2 * PAIRS, 0.5 / PAIRS)


@cache
def balanced_points(dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    """Points and weights whose second moments are exact, too: at least four pairs for each dimension.

    The first entries of the points are such points of fewer dimensions.
    """
    if dimensions in NODES:
        return normal_points(dimensions)
    pairs = max(PAIRS, 1 << math.ceil(math.log2(4 * dimensions)))
    points = sobol_points(dimensions, pairs)
    lower = np.linalg.cholesky(points.T @ points / pairs)
    points = np.linalg.solve(lower, points.T).T
    return np.concatenate([points, -points]), np.full(2 * pairs, 0.5 / pairs)


def sobol_points(dimensions: int, count: int) -> np.ndarray:
    """Scrambled Sobol points (count, dimensions) of a standard normal vector; `count` is a power of two."""
    from scipy.stats import qmc  # half a second, which few dimensions do not need

    return ndtri(qmc.Sobol(dimensions, scramble=True, rng=np.random.default_rng(dimensions)).random(count))
