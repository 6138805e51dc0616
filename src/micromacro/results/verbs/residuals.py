r"""Residuals of each group, of every kind that its family has.

With F the distribution of an outcome under the fit, the quantile residual (Dunn and Smyth 1996) is
:math:`\Phi^{-1}(U)`, U uniform between F just below the outcome and F at it: where the model is right it is standard
normal, for discrete and censored outcomes too.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from scipy import special

from ...errors import EngineError
from ...families.registry import names_where
from ...model.specification import Specification
from ...posterior.base import Posterior
from ...posterior.design import Predictor, scenario_of
from ..fitted import Fitted
from ..labels import group_index, shown_order
from .predict import MOST, expected

KINDS = ("response", "pearson", "deviance", "quantile", "martingale")


def residuals(
    fit: Fitted,
    kind: Literal["response", "pearson", "deviance", "quantile", "martingale"] = "response",
    *,
    random_seed: int | None = None,
) -> pd.Series:
    """Residuals of the groups of the fit, effects included.

    Parameters
    ----------
    kind : {"response", "pearson", "deviance", "quantile", "martingale"}
        ``response``: the outcome minus :meth:`fitted`, on the scale of the family's outcome (after ``log(y)``; of
        ``trials(k, n)`` the share). ``pearson``: the same over the outcome's standard deviation. ``deviance``: the
        signed root of its contribution to the deviance, as of R's glm, survreg and coxph. ``quantile``: standard normal
        where the model is right, randomised for discrete and censored outcomes. ``martingale`` (durations): the event
        minus the cumulative hazard over the time at risk. With draws each is averaged over them, of ``quantile`` the
        probabilities behind it.
    random_seed : int, optional
        Of the randomised quantile residuals.

    Returns
    -------
    Series
        Indexed as :meth:`fitted`. An outcome that is known to lie in an interval only (a censored duration) has no
        response and no Pearson residual: nan. Expectation and standard deviation of what entered late are those given
        that it lasts until then. Pearson and deviance residuals are multiplied by the root of the observation weight.

    Raises
    ------
    EngineError
        For an unknown kind, and one that the family does not have.
    """
    specification = fit.specification
    if kind not in KINDS:
        raise EngineError(f"kind= is one of {', '.join(KINDS)}, not {kind!r}")
    family = specification.family
    if kind not in family.residuals:
        those = names_where(lambda f: kind in f.residuals)
        raise EngineError(f'kind="{kind}" is for {those}, not {family.name}')
    made = _response(fit) if kind == "response" else _of_kind(fit.posterior, kind, random_seed)
    order = shown_order(specification, None)
    return pd.Series(made[order], group_index(specification, None)[order], name="residual")


def _response(fit: Fitted) -> np.ndarray:
    """Outcomes less expected ones (groups,), in the order of the model."""
    specification = fit.specification
    order = shown_order(specification, None)
    fitted = np.empty(len(order))
    fitted[order] = expected(fit.posterior).to_numpy()
    seen = specification.family.known(specification.response).exact
    return np.where(seen, specification.outcome, np.nan) - fitted


def _of_kind(posterior: Posterior, kind: str, random_seed: int | None) -> np.ndarray:
    """Any other kind (groups,), in the order of the model."""
    specification = posterior.specification
    predictor = Predictor(scenario_of(specification, None), specification.system)
    of = {
        "pearson": specification.family.pearson, "deviance": specification.family.deviance,
        "martingale": specification.family.martingale, "quantile": specification.family.tails,
    }[kind]  # fmt: skip

    def statistic(theta: np.ndarray, x: np.ndarray) -> np.ndarray:
        return np.asarray(of(specification.response, predictor.eta(theta, x), predictor.own(specification, x)))

    made = posterior.average(statistic, MOST)
    return _scores(specification, made, random_seed) if kind == "quantile" else made


def _scores(specification: Specification, tails: np.ndarray, random_seed: int | None) -> np.ndarray:
    """Normal scores (groups,) of a point drawn between two tails (2, groups), keeping the digits of the smaller one."""
    place = np.empty(specification.groups, dtype=np.int64)
    place[shown_order(specification, None)] = np.arange(specification.groups)
    uniform = np.random.default_rng(random_seed).random(specification.groups)[place]  # whatever the model's order
    below, above = tails
    between = np.maximum(1.0 - below - above, 0.0)
    lower, upper = below + uniform * between, above + (1.0 - uniform) * between
    out = np.where(lower < 0.5, special.ndtri(lower), -special.ndtri(upper))
    return np.where(np.isnan(specification.outcome), np.nan, out)
