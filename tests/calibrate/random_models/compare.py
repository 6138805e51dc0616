"""A fit of a random model against its dense reference: what agrees, what does not, and what the verdict says."""

from __future__ import annotations

import time
import warnings

import numpy as np
from scipy.linalg import LinAlgError

import micromacro as mm

from .dense import Dense
from .generator import Case, make

LOGLIK, GAIN, SE = 1e-6, 1e-3, 0.01
NONE = "no reference"
SETTINGS = {"mcmc": {"progress": False}, "laplace": {"progress": False}}


def record(seed: int) -> dict:
    """Fit the model of a seed and compare: a row of the table."""
    case = make(seed)
    row = {"seed": seed, **case.words, "engine": case.engine, "formula": case.formula, "groups": len(case.v)}
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fit = case.model().fit(case.engine, random_seed=seed, **SETTINGS.get(case.engine, {}))
        except mm.MicromacroError as e:
            return row | {"verdict": "refused", "why": f"{type(e).__name__}: {e}"}
    row["fit_seconds"] = round(time.perf_counter() - began, 2)
    row |= {"ok": fit.health.ok, "codes": sorted({n.code for n in fit.health.troubles})}
    row["remarks"] = sorted({n.code for n in fit.health.remarks})
    faults = of_maximum(case, fit, row) if case.engine in ("ml", "reml") else of_posterior(case, fit, row)
    row["faults"] = faults
    row["verdict"] = verdict(row)
    row["seconds"] = round(time.perf_counter() - began, 2)
    return row


def verdict(row: dict) -> str:
    """One word for a row: agrees, warned (it differs, and its health says that it is not ok), differs, no reference."""
    if row["faults"] == [NONE]:
        return NONE
    return "agrees" if not row["faults"] else "differs" if row["ok"] else "warned"


def of_maximum(case: Case, fit: mm.Fit, row: dict) -> list[str]:
    """What is wrong with a maximum: its log-likelihood, its height, its standard errors."""
    dense, faults = Dense(case, case.engine == "reml"), []
    p = {str(k): float(v) for k, v in fit.params.items()}
    if set(p) != {*dense.theta, *dense.coefficients}:
        return [f"parameters are {sorted(p)}, not {sorted({*dense.theta, *dense.coefficients})}"]
    with np.errstate(all="ignore"):
        try:
            value = dense.loglik(p)
        except LinAlgError:
            return ["the covariance is singular at the estimate"]
    row["loglik_off"] = float(fit.loglik - value)
    if not abs(fit.loglik - value) < LOGLIK * max(1.0, abs(value) / 100):
        faults.append(f"log-likelihood {fit.loglik:.8f}, dense {value:.8f}")
    rng = np.random.default_rng([15, case.seed])
    best, where = dense.search(dense.starts(p, rng, 3 if len(dense.searched) < 7 else 2))
    row["gain"] = float(best - value)
    if best - value > GAIN:
        far = {k: round(v, 3) for k, v in where.items() if abs(v - p[k]) > 0.05 * (1 + abs(p[k]))}
        faults.append(f"a maximum that is {best - value:.4f} higher, at {far}")
    return faults + of_errors(dense, fit, p, row)


def of_errors(dense: Dense, fit: mm.Fit, p: dict[str, float], row: dict) -> list[str]:
    """Standard errors that differ, and those that are missing without being at a boundary."""
    se = {str(k): float(v) for k, v in fit.bse.items()}
    faults = []
    free = [n for n in p if np.isfinite(se[n])]
    for n in p:
        told = any(n in note.about or n in note.text for note in fit.health.notes)
        if not np.isfinite(se[n]) and not told:
            faults.append(f"no standard error of {n} = {p[n]:.4g}, and no word of it")
    with np.errstate(all="ignore"):
        try:
            own = dense.standard_errors(p, free, se)
        except LinAlgError:
            return [*faults, "the dense Hessian is singular"]
    off = {n: abs(own[n] / se[n] - 1) for n in free if se[n] > 0}
    row["se_off"] = float(max(off.values(), default=0.0))
    bad = {n: (round(se[n], 5), round(own[n], 5)) for n, v in off.items() if not v < SE}
    return faults + ([f"standard errors {bad}"] if bad else [])


def of_posterior(case: Case, fit: mm.Fit, row: dict) -> list[str]:
    """Means and ends of intervals further than 0.2 sd and 3 Monte Carlo errors from the reference."""
    from .posterior import reference

    table = fit.summary()
    found = reference(case, fit)
    row |= {"reference_ess": round(found.effective, 0), "reference_k": round(found.k, 2)}
    if not found.good:
        return [NONE]
    faults, worst = [], 0.0
    for name in table.index:
        for column in ("mean", "lower", "upper"):
            at, error = found.of(name, column)
            own = float(table.loc[name, f"mcse_{column}"])
            sd = found.sd[name]
            beyond = (abs(table.loc[name, column] - at) - 3 * np.hypot(0 if np.isnan(own) else own, error)) / sd
            worst = max(worst, float(beyond))
            if beyond > 0.2:
                faults.append(f"{column} of {name} {table.loc[name, column]:.4f}, reference {at:.4f} (sd {sd:.4f})")
    row["posterior_off"] = worst
    return faults
