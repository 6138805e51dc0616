r"""The likelihood of groups alone, hazards with gamma priors integrated out.

Given the linear predictors of the groups, the hazard of interval k has a gamma distribution with shape
:math:`\alpha_k`, prior shape plus events, and rate :math:`\beta_k + S_k`, prior rate plus
:math:`S_k = \sum_i f_i E_{ik}` (:mod:`micromacro.numerics.exposure`), whatever the hazards of the others. So

.. math:: l = \sum_i w_i d_i g_i - \sum_k \alpha_k \log(\beta_k + S_k) + \text{constant},

and with :math:`c_k = \sqrt{\alpha_k} / (\beta_k + S_k)` its curvature is that of rows, less a term for each interval:

.. math:: -l'' = \operatorname{diag}\Big(f_i \sum_k E_{ik} \sqrt{\alpha_k}\, c_k\Big) - \sum_k p_k p_k', \qquad
   p_{ik} = f_i E_{ik} c_k .
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from scipy.special import gammaln

from ..numerics.compiling import ALLOCATING
from ..numerics.exposure import Exposure, over_groups, over_intervals
from .runs import AT, CONSTANT, EVENT, OWN_WEIGHT, RATE, SHAPE, WEIGHT, exposure_of


class HazardsOut:
    """Log density of the groups' outcomes, the hazards of all intervals integrated out.

    Parameters
    ----------
    values : (9, groups + intervals) array
        What the kernel of the family reads, weights put in (:mod:`micromacro.families.runs`).
    count : int
        Number of intervals.

    Attributes
    ----------
    groups : int
    at_risk : Exposure
        Who is at risk when.
    shape, rate : (intervals,) arrays
        Shape of the hazard's gamma distribution given the groups, and the prior's part of its rate.
    """

    kinked = False

    def __init__(self, values: np.ndarray, count: int):
        n = self.groups = values.shape[1] - count
        own, weight = values[:, n:], values[WEIGHT, :n]
        self.at_risk: Exposure = exposure_of(values, count)
        self.weight = np.ascontiguousarray(weight)
        self.events = np.where(weight > 0.0, weight * values[EVENT, :n], 0.0)
        self.shape = own[OWN_WEIGHT] * own[SHAPE] + np.bincount(values[AT, :n].astype(np.int64), self.events, count)
        self.rate = own[OWN_WEIGHT] * own[RATE]
        self.constant = float((gammaln(self.shape) + own[OWN_WEIGHT] * own[CONSTANT]).sum())

    def possible(self, own: np.ndarray) -> bool:
        return True

    def weighed(self, values: np.ndarray, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
        return values, weight

    def exposure(self, values: np.ndarray) -> Exposure | None:
        return None

    def slopes(self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, out: np.ndarray) -> None:
        """What belongs to no row stands in the first."""
        fill_without_hazards(self.at_risk, self.weight, self.events, self.shape, self.rate, eta, out)
        out[0, 0] += self.constant

    def factors(self, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """f (groups,), S and c (intervals,)."""
        f, spent = np.where(self.weight > 0.0, self.weight * np.exp(eta), 0.0), np.empty(len(self.shape))
        over_groups(self.at_risk, f, spent)
        return f, spent, np.sqrt(self.shape) / (self.rate + spent)

    def likely(self, eta: np.ndarray) -> np.ndarray:
        """The log hazards (intervals,) of the highest density given the groups."""
        _, spent, _ = self.factors(eta)
        return np.log(self.shape / (self.rate + spent))

    def draw(self, eta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Log hazards (intervals,) given the groups."""
        _, spent, _ = self.factors(eta)
        # a gamma of a small shape may be zero in floating point: its logarithm comes from one of a larger shape
        large = np.log(rng.standard_gamma(self.shape + 1.0))
        return large + np.log(rng.random(len(large))) / self.shape - np.log(self.rate + spent)


def without_hazards(values: np.ndarray, count: int) -> HazardsOut | None:
    """The likelihood of the groups alone; None where a hazard has no gamma prior."""
    own = values[:, values.shape[1] - count :]
    proper = (own[OWN_WEIGHT] * own[SHAPE] > 0.0) & (own[OWN_WEIGHT] * own[RATE] > 0.0)
    return HazardsOut(values, count) if proper.all() else None


@njit(**ALLOCATING)
def fill_without_hazards(e, weight, events, shape, rate, eta, out):  # noqa: ANN001, ANN201
    """Log density, slope, second derivative of each row and minus that; the hazards' part is in the first row."""
    n, count = len(eta), len(shape)
    f, reached = np.empty(n), np.empty(n)
    hazard = np.empty(count)
    for i in range(n):
        f[i] = weight[i] * math.exp(eta[i]) if weight[i] > 0.0 else 0.0
    over_groups(e, f, hazard)
    total = 0.0
    for k in range(count):
        rest = rate[k] + hazard[k]
        total += shape[k] * math.log(rest)
        hazard[k] = shape[k] / rest
    over_intervals(e, hazard, np.empty(count + 1), reached)
    for i in range(n):
        mean = f[i] * reached[i] if f[i] > 0.0 else 0.0
        out[0, i] = events[i] * eta[i] if events[i] > 0.0 else 0.0
        out[1, i] = events[i] - mean
        out[2, i] = -mean
        out[3, i] = mean
    out[0, 0] -= total
