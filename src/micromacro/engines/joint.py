r"""The joint density of everything, plainly: :math:`\log p(y \mid x, \theta) + \log p(x \mid \theta) + \log p(\theta)`.

No engine samples with this; it is the reference to which :mod:`micromacro.engines.nuts.density` is held. The linear
predictor is that of the latent system, so agreement of the two also checks the system's parts and kernels.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from ..latent.workspace import Workspace
from ..model.specification import Specification
from ..priors import Normal

_LOG_ROOT_2PI = 0.5 * math.log(2.0 * math.pi)


def log_joint(specification: Specification, theta: np.ndarray, x: np.ndarray, room: Workspace | None = None) -> float:
    """Log joint density with all constants; -inf where theta is impossible.

    Parameters
    ----------
    theta : (q,) array
        Natural scale.
    x : (size,) array
        Standardised effects, then coefficients, in natural order. A flat prior counts as density 1.
    room : Workspace, optional
        Work space of the system, to save making one.
    """
    s = specification
    prior = log_prior_theta(s, theta)
    if not math.isfinite(prior):
        return -math.inf
    each = _rows(s, theta, x, room)
    if each is None:
        return -math.inf
    value = float(s.row_weight() @ each) + log_prior_x(s, theta, x) + prior
    return value if math.isfinite(value) else -math.inf


def _rows(
    specification: Specification, theta: np.ndarray, x: np.ndarray, room: Workspace | None = None
) -> np.ndarray | None:
    """Log density of each row (rows,); None where theta is impossible."""
    s = specification
    room = room if room is not None else s.system.workspace(gradient=False)
    if not s.system.fill(theta, room):
        return None
    eta, own = s.system.row_predictor(room, x), s.system.own(theta, room)
    if not s.likelihood.possible(own):
        return None
    with np.errstate(all="ignore"):  # the branch that a family does not take may overflow
        return s.likelihood.log_density(s.row_values, eta, own, np, special)


def linear_predictor(
    specification: Specification, theta: np.ndarray, x: np.ndarray, room: Workspace | None = None
) -> np.ndarray | None:
    """Linear predictor (groups,) at x in natural order, a baseline left out; None where theta is impossible."""
    system = specification.system
    room = room if room is not None else system.workspace(gradient=False)
    if not system.fill(theta, room):
        return None
    return system.predictor(room, x)


def log_prior_theta(specification: Specification, theta: np.ndarray) -> float:
    """Log prior density of theta on its natural scale."""
    hypers = specification.system.hypers
    return math.fsum(p.prior.log_density(float(t)) for p, t in zip(hypers, theta, strict=True))


def log_prior_x(specification: Specification, theta: np.ndarray, x: np.ndarray) -> float:
    """Log prior density of standardised effects and coefficients given theta."""
    system = specification.system
    value = -system.n_effects * _LOG_ROOT_2PI
    for k, part in enumerate(system.parts):
        own = x[system.places.effects(k)]
        if part.structure is None:
            value -= 0.5 * float(own @ own)
        elif part.effects:
            row, column = part.structure.precision_pattern()
            d = np.empty(len(row))
            log_det = part.structure.precision(theta[system.places.theta(k)][part.structure_theta], d)
            value += 0.5 * (log_det - float(np.where(row == column, 1.0, 2.0) * d * own[row] @ own[column]))
    for p, b in zip(system.coefficients, x[system.n_effects :], strict=True):
        value += p.prior.log_density(float(b)) if isinstance(p.prior, Normal) else 0.0  # others have rows of their own
    return value
