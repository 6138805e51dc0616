"""The marginal likelihood of a specification: the one place that asks whether it is exact."""

from __future__ import annotations

import math
from dataclasses import replace
from numbers import Integral

from ..errors import EngineError
from ..latent.marginal.base import Marginal
from ..latent.marginal.gaussian import GaussianMarginal
from ..latent.marginal.laplace import STEP, LaplaceMarginal
from ..latent.marginal.quadrature import QuadratureMarginal, one_effect_a_row
from ..latent.representation.base import Representation
from ..latent.representation.choice import Side, check_side
from ..latent.representation.iterated import Iterated
from ..model.specification import Specification
from ..numerics.magnitude import power_of_ten
from .probes import probe_keys

MOST_NODES = 100


def has_exact_marginal(specification: Specification) -> bool:
    """Whether x can be integrated out of the likelihood without error."""
    return specification.likelihood.conjugate


def without_edges(specification: Specification) -> Specification:
    """The same model with a likelihood that goes on beyond the edges of its weights, to be differentiated there."""
    system = specification.system
    return replace(specification, system=system.lifted()) if system.edges else specification


def marginal_of(specification: Specification, maximised: bool = False, searched: bool = False) -> Marginal:
    """The marginal likelihood of theta: exact where it can be, else by Laplace's formula.

    Parameters
    ----------
    maximised : bool
        Whether the coefficients are to be maximised over instead of integrated: profiled out where the marginal is
        exact, else arguments beside theta, whose priors are then added by whoever maximises.
    searched : bool
        Whether many values are wanted, and the specification's side of the factor (``factor``) serves; else H itself
        is factorised.
    """
    s = specification
    held = maximised and not has_exact_marginal(s)
    factor = factor_of(s, held) if searched else factor_itself(s)
    if has_exact_marginal(s):
        return GaussianMarginal(s.system, s.outcome, maximised, s.response.weight, factor)
    if maximised and s.nodes > 1:
        weight, step = s.row_weight(prior=False), STEP * magnitude(s)
        return QuadratureMarginal(s.system, s.likelihood, s.row_values, weight, s.nodes, step)
    return laplace_marginal(s, maximised, factor)


def factor_of(specification: Specification, held: bool) -> Representation | None:
    """What is factorised, of `held` coefficients the effects' part; None is H itself, which draws need."""
    asked = specification.factor
    if asked is None:
        return None
    system = specification.system.held() if held else specification.system
    if asked == "none":
        keys, scattered = probe_keys(specification), system.scattered
        if scattered is not None:
            return scattered.representation(system, keys, specification.probes)
        return Iterated(system.symbolic, keys, specification.probes)
    return system.representation(None if asked == "least" else asked)


def factor_itself(specification: Specification) -> Representation | None:
    """The factor of H (None), for readers that can do without only if it would fit.

    Raises
    ------
    EngineError
        Where the model was fitted by iteration because the factor would take too many operations.
    """
    if specification.factor == "none" and too_much(specification):
        raise EngineError(
            "this needs a factor of the matrix of the effects, which is too large for this model (it was fitted with "
            'solver="iterative"): use fewer groups, or what the fit itself says (summary, weights, random_effects, '
            "predict)"
        )
    return None


def too_much(specification: Specification) -> bool:
    """Whether a factorisation takes more operations than anybody should wait for."""
    s = specification.system.symbolic
    return s.short is None and s.pattern.large


def with_factor(specification: Specification, side: Side | None) -> Specification:
    """The same model, its likelihood to be maximised on one side, or (None) on the one that takes least work.

    Raises
    ------
    EngineError
        Where the side is unknown or cannot be had.
    """
    out = replace(with_order(specification), factor=check_side(side) or "least")
    factor_of(out, held=not has_exact_marginal(out))
    return out


def with_order(specification: Specification) -> Specification:
    """The same model in an order for a factor, which is not looked for before one is wanted if it would be dear."""
    system = specification.system.ordered()
    return specification if system is specification.system else replace(specification, system=system)


def with_quadrature(specification: Specification, nodes: int) -> Specification:
    """The same model, its likelihood to be maximised by adaptive quadrature with some nodes (1: Laplace's formula).

    Raises
    ------
    EngineError
        Where the likelihood is exact anyway, or effects cannot be integrated one by one.
    """
    if isinstance(nodes, bool) or not isinstance(nodes, Integral) or not 1 <= nodes <= MOST_NODES:
        raise EngineError(f"nAGQ= is a whole number of quadrature points from 1 to {MOST_NODES}, not {nodes!r}")
    if nodes == 1:
        return specification
    if has_exact_marginal(specification):
        raise EngineError("the likelihood of a Gaussian outcome is exact without quadrature: leave out nAGQ=")
    terms = specification.structures
    if len(terms) != 1 or not one_effect_a_row(specification.system):
        raise EngineError(
            "nAGQ= above 1 integrates the effects of one scalar term (1 | unit), one by one; this model has effects of "
            f"{', '.join(terms) or 'nothing'}, and an outcome must depend on just one of them: leave out nAGQ= (the "
            'error of Laplace\'s formula is reported), or use engine="mcmc"'
        )
    return replace(specification, nodes=int(nodes))


def laplace_marginal(
    specification: Specification, held: bool = False, factor: Representation | None = None
) -> LaplaceMarginal:
    """Laplace's formula and the mode of x, whatever the outcome; `held` coefficients are arguments beside theta.

    Where they are held their priors are added by whoever maximises, those that are pseudo-observations too.
    """
    s = specification
    factor = factor or factor_itself(s)
    weight, step = s.row_weight(prior=not held), STEP * magnitude(s)
    return LaplaceMarginal(s.system, s.likelihood, s.row_values, weight, held, factor, step)


def magnitude(specification: Specification) -> float:
    """The power of ten next to the spread of the outcome on the link scale: the units of the linear predictor."""
    scale = specification.family.scale(specification.response, specification.offset)[0]
    return power_of_ten(math.log10(scale)) if 0.0 < scale < math.inf else 1.0
