"""Fits that touch infinities, with every warning of NumPy and SciPy as an error. Run as a script: one line per fit."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pandas as pd

import micromacro as mm

R = np.random.default_rng(0)
N = 60
D = pd.DataFrame({"x": R.normal(size=N), "g": np.arange(N) % 10, "a": np.arange(N) % 3, "f": list("abc") * 20})
D["ord"] = pd.cut(D["x"], [-10, -0.5, 0.5, 10], labels=["low", "mid", "high"])
D["sep"] = (D["x"] > 0).astype(int)
D["own"] = (D["g"] < 5).astype(int)  # units that are all yes or all no
D["big"] = R.poisson(np.exp(18.0 + D["x"]))
D["none"] = np.where(D["a"] == 0, 0, R.poisson(2.0, N))
D["wide"] = 1e8 * D["x"]
D["tail"] = np.exp(8.0 * R.normal(size=N))
D["edge"] = np.clip(1 / (1 + np.exp(-20 * D["x"])), 1e-12, 1 - 1e-12)
D["t"], D["e"] = np.exp(D["x"]) * R.weibull(1.3, N) + 1e-6, np.where(D["a"] == 0, 0, 1)
D["y"] = D["x"] + R.standard_t(1.1, N) * 5
D["line"] = 1.0 + 2.0 * D["x"]
D["pois"] = R.poisson(np.exp(0.3 * D["x"]))
L = pd.DataFrame([(g, m) for g in range(N) for m in R.choice(15, 3, replace=False)], columns=["g", "m"])
L["pos"], L["y"] = R.uniform(0.2, 3, len(L)), R.normal(size=N)[L["g"]]
HILL = "y ~ 1 + mm(m, g, aggregate = E(pos**a/(c**a + pos**a)))"

FITS = {
    "ordinal, separated": ("ord ~ x", D, {"family": "ordinal"}),
    "ordinal, units": ("ord ~ x + (1 | g)", D, {"family": "ordinal"}),
    "bernoulli, separated": ("sep ~ x", D, {"family": "bernoulli"}),
    "probit, separated": ("sep ~ x", D, {"family": mm.families.bernoulli(link="probit")}),
    "cloglog, separated": ("sep ~ x", D, {"family": mm.families.bernoulli(link="cloglog")}),
    "bernoulli, units without variation": ("own ~ 1 + (1 | g)", D, {"family": "bernoulli"}),
    "poisson, billions": ("big ~ x", D, {"family": "poisson"}),
    "poisson, no counts in a category": ("none ~ f", D, {"family": "poisson"}),
    "negative binomial without overdispersion": ("pois ~ x", D, {"family": "negative_binomial"}),
    "a covariate of 1e8": ("pois ~ wide", D, {"family": "poisson"}),
    "gamma, sixteen magnitudes": ("tail ~ x", D, {"family": "gamma"}),
    "lognormal": ("surv(t, e) ~ x", D, {"family": "lognormal"}),
    "weibull, censored category": ("surv(t, e) ~ f", D, {"family": "weibull"}),
    "cox, censored category": ("surv(t, e) ~ f", D, {"family": mm.families.cox(intervals=4)}),
    "beta at its edges": ("edge ~ x", D, {"family": "beta"}),
    "student, Cauchy errors": ("y ~ x + (1 | g)", D, {"family": "student"}),
    "gaussian, no residual": ("line ~ x", D, {}),
    "slopes, correlated": ("y ~ x + (1 + x | g)", D, {}),
    "a Hill function": (HILL, L, {"priors": {"aggregate": mm.prior.gamma(2, 1)}}),
    "weights": ("y ~ 1 + mm(m, g, pos, weights = power(pos))", L, {}),
}
DRAWS = {"draws": 40, "tune": 30, "chains": 1, "random_seed": 1, "progress": False}


def run(name: str, engine: str) -> str:
    """Fit and ask for what every user looks at; what came of it."""
    formula, data, given = FITS[name]
    settings = {} if engine == "ml" else DRAWS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", mm.MicromacroWarning)
        try:
            fit = mm.fit(formula, data, engine=engine, **given, **settings)
        except mm.MicromacroError as error:  # refusing in words is an answer
            return f"refused: {str(error)[:60]}"
        fit.summary()
        fit.report()
        fit.fitted()
        fit.predict(data)
    return f"ok {fit.params.sum():.6g}"


if __name__ == "__main__":
    for each in FITS:
        print(each, "|", run(each, sys.argv[1]))  # noqa: T201
