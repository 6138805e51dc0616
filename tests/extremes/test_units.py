"""Units of an outcome, a covariate or a weight change nothing but the numbers that have this unit."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pandas as pd
import pytest

import micromacro as mm

N = 80
R = np.random.default_rng(7)
GROUPS = pd.DataFrame({"g": np.arange(N), "x": R.normal(size=N), "c": np.arange(N) % 10})
LONG = pd.DataFrame(
    [(i, m) for i in range(N) for m in R.choice(15, R.integers(1, 4), replace=False)], columns=["g", "m"]
)
LONG["z"] = R.normal(size=len(LONG))
LONG["size"] = np.exp(0.3 * R.normal(size=len(LONG)))
SHARE = np.exp(0.8 * LONG["z"]) / np.exp(0.8 * LONG["z"]).groupby(LONG["g"]).transform("sum")
ACTED = (SHARE * (0.7 * R.normal(size=15))[LONG["m"]]).groupby(LONG["g"]).sum().to_numpy()
GROUPS["y"] = 0.4 * GROUPS["x"] + 0.6 * R.normal(size=10)[GROUPS["c"]] + ACTED + 0.5 * R.normal(size=N)
GROUPS["count"] = R.poisson(np.exp(0.5 * GROUPS["y"]))
GROUPS["t"] = np.exp(GROUPS["y"]) * R.weibull(1.5, N)
GROUPS["e"] = (R.random(N) < 0.7).astype(int)
DATA = LONG.merge(GROUPS, on="g")
MEMBERS = "mm(m, g, weights = {}, normalize = group)"

#: formula, options, the column whose unit changes, what scales with it and against it, how many densities have it.
ROWS = {
    "gaussian": ("y ~ x + (1 | c)", {}, "y", r"Intercept|x|c\.sd|sigma", "", N),
    "gaussian, sigma": ("y ~ x + (1 | c)", {"sigma": "~ x"}, "y", r"Intercept|x|c\.sd", "", N),
    "student": ("y ~ x + (1 | c)", {"family": "student"}, "y", r"Intercept|x|c\.sd|sigma", "", N),
    "members": ("y ~ x + mm(m, g)", {}, "y", r"Intercept|x|m\.sd|sigma", "", N),
    "members that combine": (
        "y ~ x + mm(m, g, z, combine = smax(kappa), effects = none)", {}, "y", r"Intercept|x|m\.z|sigma",
        r"m\.smax\.kappa", N,
    ),
    "durations": ("surv(t, e) ~ x + (1 | c)", {"family": "weibull"}, "t", "", "", int(GROUPS["e"].sum())),
    "hazards": ("surv(t, e) ~ x", {"family": mm.families.cox(3)}, "t", "", "", int(GROUPS["e"].sum())),
    "a covariate": ("count ~ x + (1 | c)", {"family": "negative_binomial"}, "x", "", "x", 0),
    "known weights": ("y ~ mm(m, g, weights = size, normalize = none)", {}, "size", "", r"m\.sd", 0),
    "known weights of counts": (
        "count ~ mm(m, g, z, weights = size, normalize = none)", {"family": "poisson"}, "size", "", r"m\.sd|m\.z", 0,
    ),
    "power weights": (f"y ~ {MEMBERS.format('power(z)')}", {}, "z", "", r"m\.w\.z", 0),
    "softmax weights": (
        f"count ~ {MEMBERS.format('exp(b * z)')}", {"family": "poisson"}, "z", "", r"m\.w\.b", 0,
    ),
}  # fmt: skip
IN_LOGS = {"gaussian, sigma": {"sigma.Intercept": 1.0}, "durations": {"Intercept": 1.0},
           "hazards": {f"baseline.{k}": -1.0 for k in (1, 2, 3)}}  # fmt: skip


def fitted(row, unit, engine="ml", **settings):
    formula, options, column, *_ = ROWS[row]
    data = DATA if "mm(" in formula else GROUPS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mm.MicromacroWarning)
        return mm.fit(formula, data.assign(**{column: unit * data[column]}), engine=engine, **options, **settings)


@pytest.mark.parametrize("row", ROWS)
def test_a_unit_changes_nothing_but_the_numbers_that_have_it(row):
    *_, column, along, against, densities = ROWS[row]
    usual = fitted(row, 1.0)
    for unit in (1e-8, 1e8):
        fit, size = fitted(row, unit), usual.bse.where(usual.bse > 0, 1.0)
        assert fit.loglik + densities * np.log(unit) == pytest.approx(usual.loglik, abs=1e-4), unit
        for name in usual.params.index:
            power = 1 if re.fullmatch(along, name) else -1 if re.fullmatch(against, name) else 0
            moved = IN_LOGS.get(row, {}).get(name, 0.0) * np.log(unit)
            back = fit.params[name] * unit**-power - moved
            assert back == pytest.approx(usual.params[name], abs=0.01 * size[name]), (unit, name)
            assert fit.bse[name] * unit**-power == pytest.approx(usual.bse[name], rel=0.02, nan_ok=True), (unit, name)
        assert fit.health.ok == usual.health.ok, (unit, column, fit.health.troubles)


@pytest.mark.parametrize("row", ["known weights", "student", "durations"])
def test_a_unit_does_not_change_what_default_priors_say(row):
    usual, *others = (fitted(row, unit, engine="laplace", draws=100, random_seed=1) for unit in (1.0, 1e-8, 1e8))
    *_, along, against, _ = ROWS[row]
    for fit, unit in zip(others, (1e-8, 1e8), strict=True):
        for name in set(usual.params.index) - {"Intercept"}:
            power = 1 if re.fullmatch(along, name) else -1 if re.fullmatch(against, name) else 0
            back = fit.params[name] * unit**-power
            assert back == pytest.approx(usual.params[name], abs=0.02 * usual.bse[name]), (unit, name)
