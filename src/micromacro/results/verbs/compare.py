r"""Fits to the same data, compared: out-of-sample density, information criteria, evidence.

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

from ...errors import EngineError, MicromacroError, MicromacroWarning, ModelError, warn
from ...posterior.leaveout.scores import standard_error
from ..criticism.elpd import Elpd
from ..fitted import Fitted, is_fit
from ..outcomes import Outcomes, matched, outcomes_of, same_multiset
from .inference import likelihood_ratio, same_columns

OUT_OF_SAMPLE = ("loo", "integrated", "waic")
CRITERIA = (*OUT_OF_SAMPLE, "aic", "bic", "evidence")


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
    maximised = [name for name, fit in fits.items() if not fit.posterior.kind.draws]
    if ic is None:
        ic = "aic" if len(maximised) == len(fits) else "loo"
    if ic not in CRITERIA:
        raise ModelError(f"ic= is one of {', '.join(CRITERIA)}, not {ic!r}")
    outcomes = {name: outcomes_of(fit.specification) for name, fit in fits.items()}
    check_comparable(outcomes, ordered=ic in OUT_OF_SAMPLE)
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


def check_comparable(found: dict[str, Outcomes], ordered: bool) -> dict[str, np.ndarray]:
    """Refuse different outcomes, scales of the outcome and rows; warn of a density against probabilities.

    Parameters
    ----------
    found : dict of Outcomes
    ordered : bool
        Whether it must be known which row is which (for sums of likelihoods it need not be).

    Returns
    -------
    dict of (n,) arrays
        Places in each of the rows of the first one.
    """
    (first, one), *rest = found.items()
    places = {first: np.arange(len(one))}
    for name, other in rest:
        where = matched(one, other)
        if where is None and one.name != other.name:  # one outcome may be written in several ways
            raise ModelError(
                f"{first!r} is about {one.name}, {name!r} about {other.name}: densities of different outcomes, or of "
                "one on two scales, cannot be compared (log(y) has another density than y; family lognormal is about y)"
            )
        if where is None and not ordered and one.rows != other.rows and same_multiset(one, other):
            where = np.arange(len(one))
        if where is None:
            raise ModelError(_why_not(first, one, name, other))
        places[name] = where
        _warn_of_units(first, one, name, other)
    return places


def _why_not(first: str, one: Outcomes, name: str, other: Outcomes) -> str:
    """Why two fits are not of the same rows, and what to do."""
    if len(one) != len(other):
        text = (
            f"{first!r} has {len(one)} {one.noun}, {name!r} {len(other)}: models can be compared on the same rows only"
        )
        if one.rows != other.rows:
            return (
                text + ". A model without mm() takes every row for an observation: give it one row per group, or write "
                "mm(member, group, weights = 1/n, effects = none) with no covariates instead of leaving it out"
            )
        return text + '. Where missing="drop" leaves out different rows, drop them before both fits'
    if not np.array_equal(np.sort(one.weight), np.sort(other.weight)):
        return f"{first!r} and {name!r} have different observation weights: their likelihoods are not of the same data"
    if not one.rows and not other.rows and set(one.index.map(str)) != set(other.index.map(str)):
        return f"{first!r} and {name!r} have other groups: models can be compared on the same groups only"
    if same_multiset(one, other):
        how = "give both the same rows in the same order, or with the same index"
        return f"{first!r} and {name!r} have the same values of {one.name} in another order: {how}"
    return f"{first!r} and {name!r} have different values of {one.name}: they were not fitted to the same data"


def _warn_of_units(first: str, one: Outcomes, name: str, other: Outcomes) -> None:
    is_count, other_is = one.family.discrete, other.family.discrete
    if is_count != other_is:
        warn(
            f"{first!r} gives {one.name} {'probabilities' if is_count else 'a density'}, {name!r} "
            f"{'probabilities' if other_is else 'a density'}: they are comparable only if the outcome's unit is 1"
        )


# -- tables ------------------------------------------------------------------------------------------------------------


def compare_elpds(elpds: dict[str, Elpd]) -> pd.DataFrame:
    """Differences of expected log predictive densities, their errors and stacking weights, the best one first."""
    kinds = {e.kind for e in elpds.values()}
    if len(kinds) > 1:
        raise ModelError(f"these are measures of different kinds ({', '.join(sorted(kinds))}): use the same for all")
    order = sorted(elpds, key=lambda name: -elpds[name].elpd)
    values = np.stack(_aligned({name: elpds[name] for name in order}))
    table = pd.DataFrame(
        {
            "elpd": [elpds[name].elpd for name in order],
            "se": [elpds[name].se for name in order],
            "difference": values.sum(axis=1) - values[0].sum(),
            "se_difference": [0.0, *(standard_error(v - values[0]) for v in values[1:])],
            "weight": stacking(values.T),
        },
        index=pd.Index(order, name="model"),
    )
    for name in {e.effective for e in elpds.values() if e.effective}:
        table.insert(4, name, [elpds[m].column(name).sum() for m in order])
    if all("pareto_k" in e.pointwise for e in elpds.values()):
        table["bad_k"] = [elpds[name].bad for name in order]
        bad = [name for name in order if elpds[name].bad]
        if bad:
            counts = ", ".join(f"{name}: {elpds[name].bad} of {values.shape[1]}" for name in bad)
            remedy = 'use ic="integrated"' if "loo" in kinds else "use kfold()"
            warn(f"Pareto k is too large ({counts}), so the elpd is not reliable: {remedy}")
    return table


def _aligned(elpds: dict[str, Elpd]) -> list[np.ndarray]:
    """Pointwise values, the same thing left out in the same place of each."""
    together = {name: e.together or e.by for name, e in elpds.items()}
    if len(set(together.values())) > 1:
        told = ", ".join(f"{name}: {what}" for name, what in together.items())
        raise ModelError(f"different things were left out together ({told}): use the same by= for all")
    known = {name: e.outcomes for name, e in elpds.items() if e.outcomes is not None}
    places = check_comparable(known, ordered=True)
    (_, first), *_ = elpds.items()
    if first.by == "group":
        return [e.column("elpd")[places[name]] for name, e in elpds.items()]
    if any(not e.pointwise.index.equals(first.pointwise.index) for e in elpds.values()):
        raise ModelError(f"not the same things were left out: the models have other ids of {first.by}")
    return [e.column("elpd") for e in elpds.values()]


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
        best = fit.posterior.maximised(f'{ic} belongs to maximum likelihood: fit with engine="ml"')
        criteria = {which: best.information(which) for which in ("aic", "bic")}
        rows[name] = {"loglik": best.loglik, "parameters": best.free} | criteria
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
                f"{first!r} is by {fit.engine}, {name!r} by {other.engine}, and {ic} of one cannot be compared with "
                "that of the other: fit both by ml"
            )
        if fit.posterior.kind.restricted and not same_columns(fit.specification, other.specification):
            raise EngineError(
                f"REML likelihoods of models with different coefficients or columns ({first!r} and {name!r}) cannot be "
                'compared: fit both with engine="ml"'
            )
    penalised = {name: one.posterior.maximised(ic).penalised for name, one in fits.items()}
    if len(set(penalised.values())) > 1:
        shown = ", ".join(name for name, is_penalised in penalised.items() if is_penalised)
        raise EngineError(f"{shown} is penalised by priors and others are not: fit all with the same priors, or none")


def _test(larger: Fitted, smaller: Fitted) -> Any:
    """The test where the models are nested, else None; a test with a caution is not shown here."""
    try:
        test = likelihood_ratio(larger.posterior, smaller.posterior)
    except MicromacroError:
        return None
    return test if test.valid else None


def _evidence_table(fits: dict[str, Fitted]) -> pd.DataFrame:
    """Log evidence, its Monte Carlo error, log Bayes factors against the best, probabilities at equal prior odds."""
    found = {name: fit.log_evidence(fit.posterior.evidence_method, random_seed=0) for name, fit in fits.items()}
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
