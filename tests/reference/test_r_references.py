"""Single-membership special cases against R: lme4, stats::glm, MASS, survival, and optim on plain densities.

``r/reference.R`` computed ``r/reference.json`` from the data beside it, and says with which versions. Tolerances:
log-likelihoods (all constants included) 1e-4, estimates 2e-3 of our standard errors. glmer stops early, so its
estimates get 1e-2 of a standard error, and our log-likelihood must not be lower than its own.
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import micromacro as mm

HERE = Path(__file__).parent / "r"
REFERENCE = json.loads((HERE / "reference.json").read_text())

FIXED = "{} ~ x + z"
MIXED = "{} ~ x + z + (1 | unit)"
SURV = {
    "right": "surv(time, event)",
    "left": 'surv(left_time, left_event, type="left")',
    "interval": 'surv(lower, upper, type="interval")',
}
#: Points of the quadrature, where there is one.
POINTS = {"glmer_logit_2": 2, "glmer_logit_9": 9, "glmer_logit_25": 25}
#: name: (data, family, link (intervals of cox), formula, engine)
CASES = {
    "lmer_ml": ("linear", "gaussian", None, MIXED.format("y"), "ml"),
    "lmer_reml": ("linear", "gaussian", None, MIXED.format("y"), "reml"),
    "glmer_logit": ("binary", "bernoulli", "logit", MIXED.format("y"), "ml"),
    "glmer_logit_2": ("binary", "bernoulli", "logit", MIXED.format("y"), "ml"),
    "glmer_logit_9": ("binary", "bernoulli", "logit", MIXED.format("y"), "ml"),
    "glmer_logit_25": ("binary", "bernoulli", "logit", MIXED.format("y"), "ml"),
    "glmer_poisson": ("counts", "poisson", None, MIXED.format("y") + " + offset(log(exposure))", "ml"),
    "glm_nb": ("counts", "negative_binomial", None, FIXED.format("spread") + " + offset(log(exposure))", "ml"),
    "gamma": ("continuous", "gamma", None, FIXED.format("positive"), "ml"),
    "beta": ("continuous", "beta", None, FIXED.format("share"), "ml"),
    "student": ("continuous", "student", None, FIXED.format("tailed"), "ml"),
    "coxph": ("durations", "cox", "all", FIXED.format("surv(time, event)"), "ml"),
    "entry_cox": ("durations", "cox", "all", FIXED.format("surv(entry, time, event)"), "ml"),
    "entry_weibull": ("durations", "weibull", None, FIXED.format("surv(entry, time, event)"), "ml"),
}
for link in ("logit", "probit", "cloglog"):
    CASES[f"glm_trials_{link}"] = ("binary", "binomial", link, FIXED.format("trials(k, n)"), "ml")
    CASES[f"glm_binary_{link}"] = ("binary", "bernoulli", link, FIXED.format("y"), "ml")
    CASES[f"polr_{link}"] = ("ordinal", "ordinal", link, FIXED.format("y"), "ml")
for family in ("weibull", "exponential", "lognormal"):
    for form, outcome in SURV.items():
        CASES[f"survreg_{family}_{form}"] = ("durations", family, None, FIXED.format(outcome), "ml")


def test_every_reference_is_tested():
    assert set(CASES) == set(REFERENCE) - {"origin"}


@pytest.fixture(scope="module", params=list(CASES))
def fitted(request):
    """Our fit and R's numbers."""
    data, family, link, formula, engine = CASES[request.param]
    option = "intervals" if family == "cox" else "link"
    chosen = getattr(mm.families, family)(**{option: link}) if link else family
    fit = mm.fit(
        formula, pd.read_csv(HERE / f"{data}.csv"), family=chosen, engine=engine, nAGQ=POINTS.get(request.param, 1)
    )
    return request.param, fit, REFERENCE[request.param]


def test_the_log_likelihood_is_rs(fitted):
    name, fit, expected = fitted
    gap = fit.loglik - expected["loglik"]
    if name.startswith("glmer"):
        assert -1e-4 < gap < 1e-2, f"{name}: log-likelihood {gap:+.2e} against glmer's"
    else:
        assert abs(gap) < 1e-4, f"{name}: log-likelihood {gap:+.2e} against R's ({expected['call']})"


def test_the_estimates_are_rs(fitted):
    name, fit, expected = fitted
    assert set(fit.params.index) == set(expected["coef"])
    tolerance = 1e-2 if name.startswith("glmer") else 2e-3
    for parameter, value in expected["coef"].items():
        away = (fit.params[parameter] - value) / fit.bse[parameter]
        assert abs(away) < tolerance, f"{name}: {parameter} is {away:+.1e} standard errors off ({expected['call']})"


def test_the_standard_errors_are_rs(fitted):
    name, fit, expected = fitted
    if "se" not in expected:  # R's are stored for glmer and coxph
        return
    for parameter, value in expected["se"].items():
        assert fit.bse[parameter] == pytest.approx(value, rel=0.02), f"{name}: {parameter}"
