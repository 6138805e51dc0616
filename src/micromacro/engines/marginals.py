"""The marginal likelihood of a specification: the one place that asks whether it is exact."""

from __future__ import annotations

from dataclasses import replace

from ..latent.marginal.base import Marginal
from ..latent.marginal.gaussian import GaussianMarginal
from ..latent.marginal.laplace import LaplaceMarginal
from ..model.specification import Specification


def has_exact_marginal(specification: Specification) -> bool:
    """Whether x can be integrated out of the likelihood without error."""
    return specification.family.conjugate


def without_edges(specification: Specification) -> Specification:
    """The same model with a likelihood that goes on beyond the edges of its weights, to be differentiated there."""
    system = specification.system
    return replace(specification, system=system.lifted()) if system.edges else specification


def marginal_of(specification: Specification, maximised: bool = False) -> Marginal:
    """The marginal likelihood of theta: exact where it can be, else by Laplace's formula.

    Parameters
    ----------
    maximised : bool
        Whether the coefficients are to be maximised over instead of integrated: profiled out where the marginal is
        exact, else arguments beside theta, whose priors are then added by whoever maximises.
    """
    s = specification
    if has_exact_marginal(s):
        return GaussianMarginal(s.system, s.outcome, maximised, s.response.weight)
    return laplace_marginal(s, maximised)


def laplace_marginal(specification: Specification, held: bool = False) -> LaplaceMarginal:
    """Laplace's formula and the mode of x, whatever the outcome; `held` coefficients are arguments beside theta.

    Where they are held their priors are added by whoever maximises, those that are pseudo-observations too.
    """
    s = specification
    return LaplaceMarginal(s.system, s.family, s.row_values, s.row_weight(prior=not held), held)
