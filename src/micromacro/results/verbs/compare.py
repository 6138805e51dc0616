r"""Fits of the same data set against each other: out-of-sample density, information criteria, evidence.

The error of a difference is that of its pointwise parts, :math:`\sqrt{N\,\mathrm{var}_i(\Delta_i)}`: two models that
fail at the same groups differ less than their single errors suggest. Stacking weights maximise the leave-one-out
density of the mixture (Yao, Vehtari, Simpson and Gelman 2018).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize

from ...errors import EngineError, MicromacroError, MicromacroWarning, ModelError
from ...posterior.leaveout.scores import standard_error
from ..criticism.elpd import Elpd
from ..criticism.loo import outcome_key
from ..fitted import Fitted, is_fit
from .inference import information_criteria, likelihood_ratio, same_columns

OUT_OF_SAMPLE = ("loo", "integrated", "waic")
CRITERIA = (*OUT_OF_SAMPLE, "aic", "bic", "evidence")
COUNTS = ("bernoulli", "binomial", "poisson", "negative_binomial", "ordinal")


def compare(fits: Mapping[str, Fitted | Elpd], ic: str | None = None) -> pd.DataFrame:
    """Compare fits (see :func:`micromacro.compare`)."""
    if not isinstance(fits, Mapping) or len(fits) < 2:
        raise ModelError('compare() takes a dictionary of two or more fits: mm.compare({"equal": a, "estimated": b})')
    for name, fit in fits.items():
        if not isinstance(fit, Elpd) and not is_fit(fit):
            raise ModelError(
                f"{name!r} is neither a fit nor the result of loo(), waic() or kfold(), but {type(fit).__name__}"
            )
    ready = {name: isinstance(fit, Elpd) for name, fit in fits.items()}
    if any(ready.values()):
        others = [name for name, is_elpd in ready.items() if not is_elpd]
        if others:
            raise ModelError(
                f"compare() takes fits or results of loo(), waic(), kfold(), not both: {', '.join(others)} is a fit"
            )
        return compare_elpds(dict(fits))  # type: ignore[arg-type]
    return _compare_fits(dict(fits), ic)  # type: ignore[arg-type]


def _compare_fits(fits: dict[str, Fitted], ic: str | None) -> pd.DataFrame:
    maximised = [name for name, fit in fits.items() if fit.posterior.outcome.optimum is not None]
    if ic is None:
        ic = "aic" if len(maximised) == len(fits) else "loo"
    if ic not in CRITERIA:
        raise ModelError(f"ic= is one of {', '.join(CRITERIA)}, not {ic!r}")
    check_comparable({name: outcome_key(fit.specification) for name, fit in fits.items()})
    if ic in ("aic", "bic"):
        drawn = [name for name in fits if name not in maximised]
        if drawn:
            raise EngineError(f'{ic} belongs to maximum likelihood, but {", ".join(drawn)} has draws: use ic="loo"')
        return _likelihood_table(fits, ic)
    if ic == "evidence":
        return _evidence_table(fits)
    if maximised:
        raise EngineError(f'{ic} needs draws, but {", ".join(maximised)} has none: fit with mcmc, or use ic="aic"')
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        elpds = {name: _elpd(fit, ic) for name, fit in fits.items()}
    for warning in caught:
        if not issubclass(warning.category, MicromacroWarning):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return compare_elpds(elpds)


def _elpd(fit: Fitted, ic: str) -> Elpd:
    return fit.waic() if ic == "waic" else fit.loo(integrated=ic == "integrated")


# -- what may be compared ----------------------------------------------------------------------------------------------


def check_comparable(keys: dict[str, tuple]) -> None:
    """Refuse different outcomes, scales of the outcome, and groups; warn of a density against probabilities."""
    (first, (name, index, values, family)), *rest = keys.items()
    for other, (other_name, other_index, other_values, other_family) in rest:
        if other_name != name:
            raise ModelError(
                f"{first!r} is about {name}, {other!r} about {other_name}: densities of different outcomes, or of one "
                "on two scales, cannot be compared (log(y) has another density than y; family lognormal is about y)"
            )
        same = len(index) == len(other_index) and index.name == other_index.name and index.equals(other_index)
        if not same:
            raise ModelError(
                f"{first!r} has {len(index)} groups, {other!r} {len(other_index)}, or others: models can be compared "
                "on the same groups only. A model without mm() takes every row for a group: write "
                "mm(member, group, weights = 1/n, effects = none) with no covariates instead of leaving it out"
            )
        if family == other_family and not np.array_equal(values, other_values):
            raise ModelError(f"{first!r} and {other!r} have different values of {name}: they are not of the same data")
        if (family in COUNTS) != (other_family in COUNTS):
            warnings.warn(
                f"{first!r} gives {name} {'probabilities' if family in COUNTS else 'a density'}, {other!r} "
                f"{'probabilities' if other_family in COUNTS else 'a density'}: they are comparable only if the "
                "outcome's unit is 1", MicromacroWarning, stacklevel=5,
            )  # fmt: skip


# -- tables ------------------------------------------------------------------------------------------------------------


def compare_elpds(elpds: dict[str, Elpd]) -> pd.DataFrame:
    """Differences of expected log predictive densities, their errors and stacking weights, the best one first."""
    kinds = {e.kind for e in elpds.values()}
    if len(kinds) > 1:
        raise ModelError(f"these are measures of different kinds ({', '.join(sorted(kinds))}): use one for all")
    check_comparable({name: e.outcome for name, e in elpds.items() if e.outcome})
    lengths = {len(e.pointwise) for e in elpds.values()}
    if len(lengths) > 1:
        raise ModelError("not the same things were left out: use the same by= for all")
    order = sorted(elpds, key=lambda name: -elpds[name].elpd)
    values = np.stack([elpds[name].column("elpd") for name in order])
    table = pd.DataFrame(
        {
            "elpd": [elpds[name].elpd for name in order],
            "se": [elpds[name].se for name in order],
            "difference": values.sum(axis=1) - values[0].sum(),
            "se_difference": [0.0, *(standard_error(v - values[0]) for v in values[1:])],
            "p": [elpds[name].p for name in order],
            "weight": stacking(values.T),
        },
        index=pd.Index(order, name="model"),
    )
    if all("pareto_k" in e.pointwise for e in elpds.values()):
        table["bad_k"] = [elpds[name].bad for name in order]
        bad = [name for name in order if elpds[name].bad]
        if bad:
            counts = ", ".join(f"{name}: {elpds[name].bad} of {values.shape[1]}" for name in bad)
            remedy = 'use ic="integrated"' if "loo" in kinds else "use kfold()"
            warnings.warn(f"Pareto k is too large ({counts}), so the elpd is not reliable: {remedy}", MicromacroWarning,
                          stacklevel=4)  # fmt: skip
    return table


def stacking(values: np.ndarray) -> np.ndarray:
    """Weights (models,) that maximise the log density of the mixture, from pointwise elpd (groups, models)."""
    density = np.exp(values - values.max(axis=1, keepdims=True))
    models = density.shape[1]

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        mixed = np.maximum(density @ w, 1e-300)
        return -float(np.log(mixed).sum()), -(density / mixed[:, None]).sum(axis=0)

    out = minimize(
        loss, np.full(models, 1.0 / models), jac=True, method="SLSQP", bounds=[(0.0, 1.0)] * models,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1.0, "jac": lambda w: np.ones_like(w)},
        options={"maxiter": 500, "ftol": 1e-10},
    )  # fmt: skip
    w = np.clip(out.x, 0.0, 1.0)
    return w / w.sum()


def _likelihood_table(fits: dict[str, Fitted], ic: str) -> pd.DataFrame:
    """Log-likelihood, AIC, BIC, and the likelihood-ratio test of each model against the largest where it is nested."""
    _check_likelihoods(fits, ic)
    rows: dict[str, dict[str, Any]] = {}
    for name, fit in fits.items():
        aic, bic, k = information_criteria(fit.posterior.outcome)
        rows[name] = {"loglik": fit.loglik, "parameters": k, "aic": aic, "bic": bic}
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("model").sort_values(ic, kind="stable")
    gap = table[ic].to_numpy() - table[ic].to_numpy().min()
    table["difference"] = gap
    weight = np.exp(-0.5 * gap)
    table["weight"] = weight / weight.sum()
    largest = max(fits, key=lambda name: rows[name]["parameters"])
    tests = {name: _test(fits[largest], fit) if name != largest else None for name, fit in fits.items()}
    for column in ("statistic", "df", "p"):
        table[column] = [getattr(tests[name], column) if tests[name] else math.nan for name in table.index]
    table.attrs["tested_against"] = largest
    return table


def _check_likelihoods(fits: dict[str, Fitted], ic: str) -> None:
    """Refuse likelihoods of different kinds, as the likelihood-ratio test does."""
    (first, fit), *rest = fits.items()
    for name, other in rest:
        if fit.engine != other.engine:
            raise EngineError(
                f"{first!r} is by {fit.engine}, {name!r} by {other.engine}, and {ic} of the one means nothing beside "
                "the other's: fit both by ml"
            )
        if fit.engine == "reml" and not same_columns(fit.specification, other.specification):
            raise EngineError(
                f"REML likelihoods of models with different coefficients or columns ({first!r} and {name!r}) cannot be "
                'compared: fit both with engine="ml"'
            )
    penalised = {name: one.posterior.outcome.optimum.penalised for name, one in fits.items()}  # type: ignore[union-attr]
    if len(set(penalised.values())) > 1:
        shown = ", ".join(name for name, is_penalised in penalised.items() if is_penalised)
        raise EngineError(f"{shown} is penalised by priors and others are not: fit all with the same priors, or none")


def _test(larger: Fitted, smaller: Fitted) -> Any:
    """The test where the models are nested, else None; what the test itself doubts is no test here."""
    try:
        test = likelihood_ratio(larger.posterior.outcome, smaller.posterior.outcome)
    except MicromacroError:
        return None
    return test if test.valid else None


def _evidence_table(fits: dict[str, Fitted]) -> pd.DataFrame:
    """Log evidence, its Monte Carlo error, log Bayes factors against the best, probabilities at equal prior odds."""
    found = {
        name: fit.log_evidence("bridge" if fit.engine in ("mcmc", "nuts") else "laplace", random_seed=0)
        for name, fit in fits.items()
    }
    order = sorted(found, key=lambda name: -found[name].value)
    value = np.array([found[name].value for name in order])
    weight = np.exp(value - value[0])
    return pd.DataFrame(
        {
            "log_evidence": value,
            "se": [found[name].se for name in order],
            "difference": value - value[0],
            "probability": weight / weight.sum(),
        },
        index=pd.Index(order, name="model"),
    )
