r"""What a statement implies, given the priors and the ranges of the parameters.

For an equality g = 0 the evidence ratio is the Savage-Dickey density ratio (Dickey 1971; Wagenmakers, Lodewyckx,
Kuriyal and Grasman 2010), the posterior density of g at 0 over its prior density there; above 1 it favours the
equality. The prior density is exact, so it must be known: g linear in parameters with normal priors, or in a single
parameter with any proper prior. The posterior density is a kernel estimate from the draws.
"""

from __future__ import annotations

import math

import numpy as np

from ..model.specification import Specification
from ..priors import Normal
from .statements import Statement, evaluated, linear_form

_ENDS = {"cor": (-1.0, 1.0), "rho": (0.0, 1.0), "zi": (0.0, 1.0), "hu": (0.0, 1.0)}


def at_the_end(specification: Specification, statement: Statement, estimate: np.ndarray) -> str:
    """That a statement puts a parameter on the boundary of what it can be, or nothing."""
    estimates = dict(zip(specification.names, estimate, strict=True))
    for p in specification.parameters:
        ends = (0.0,) if p.positive else _ENDS.get(p.kind, ())
        for end in ends if p.name in statement.names else ():
            if evaluated(statement, estimates | {p.name: np.float64(end)}) == 0.0:
                return f"at {end:g} {p.name} is on its boundary, where a Wald test does not hold"
    return ""


def savage_dickey(specification: Specification, statement: Statement, g: np.ndarray) -> tuple[float, str]:
    """Posterior over prior density of g at zero, or nan and the reason."""
    prior, why = prior_density(specification, statement)
    if why:
        return math.nan, why
    spread = g.std(ddof=1)
    if abs(g.mean()) > 4.0 * spread:
        return (
            math.nan,
            "zero is more than 4 posterior sds away, where the draws do not determine the posterior density",
        )
    width = 1.06 * min(spread, float(np.subtract(*np.quantile(g, [0.75, 0.25]))) / 1.349) * len(g) ** -0.2
    posterior = float(np.mean(np.exp(-0.5 * (g / width) ** 2)) / (width * math.sqrt(2.0 * math.pi)))
    return posterior / prior, ""


def prior_density(specification: Specification, statement: Statement) -> tuple[float, str]:
    """Density of g at zero under the priors, or nan and why it is not known."""
    names = specification.names
    linear = linear_form(statement, names)
    if linear is None:
        return math.nan, "the prior density is known for linear expressions only"
    constant, slope = linear
    if "Intercept" in names and slope[names.index("Intercept")]:  # its prior is on its value at mean covariates
        slope = slope - slope[names.index("Intercept")] * specification.layout.centers
    parts = [(p, c) for p, c in zip(specification.parameters, slope, strict=True) if c]
    fixed = [p.name for p, _ in parts if p.fixed]
    if fixed:
        return math.nan, f"{', '.join(fixed)} is fixed"
    flat = [p.name for p, _ in parts if not p.prior.proper]
    if flat:
        return math.nan, f"{', '.join(flat)} has a flat prior, so the equality has no prior density"
    if any(p.kind in ("cor", "cut") for p, _ in parts):
        return math.nan, "the marginal prior density of correlations and cuts is not known"
    if all(isinstance(p.prior, Normal) for p, _ in parts):
        mean = constant + sum(c * p.prior.mean for p, c in parts if isinstance(p.prior, Normal))
        sd = math.sqrt(sum((c * p.prior.sd) ** 2 for p, c in parts if isinstance(p.prior, Normal)))
        return math.exp(Normal(mean, sd).log_density(0.0)), ""
    if len(parts) > 1:
        return math.nan, "the prior density is known for normal priors, or for a single parameter"
    parameter, c = parts[0]
    at = -constant / c + 0.0  # no negative zero
    low, high = parameter.prior.support
    if not low < at < high:
        return math.nan, f"{at:g} is not inside the values that {parameter.name} can have ({low:g} to {high:g})"
    return math.exp(parameter.prior.log_density(at)) / abs(c), ""
