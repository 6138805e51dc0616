"""Every sentence of ``interpret()`` beside numbers worked out by hand from estimates, intervals and data.

A row of a table is a parameter: the sentence up to its interval, and the number in it as a function of the parameter.
``{n}`` stands for that number, ``{v}`` for the parameter.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from scipy.stats import norm

import micromacro as mm

from .subjects import point, quietly, subject
from .tables import KINDS

Row = tuple[str, Callable[[float], float]]
same = lambda b: b  # noqa: E731


def digits(value: float) -> str:
    """Three significant digits."""
    return (
        np.format_float_positional(float(f"{value:.3g}"), trim="-")
        if 1e-4 <= abs(value) < 1e5 or value == 0
        else f"{value:.2e}"
    )


def check(fit, rows: dict[str, Row]) -> None:
    """All sentences are there, with these texts and numbers; intervals are those of the parameters, carried over."""
    said, p, ends = fit.interpret(), fit.params, fit.conf_int()
    assert set(said.index) == set(rows)
    for name, (text, of) in rows.items():
        row = said.loc[name]
        number = of(p[name])
        assert row["estimate"] == pytest.approx(number, rel=1e-9), name
        low, high = sorted(of(v) for v in ends.loc[name])
        if np.isfinite([low, high]).all():
            np.testing.assert_allclose([row["lower"], row["upper"]], [low, high], rtol=1e-9, err_msg=name)
        direction = "higher" if number >= 0 else "lower"
        shown = text.format(n=digits(number), size=digits(abs(number)), v=digits(p[name]), direction=direction)
        assert row["sentence"].startswith(shown + " ("), f"{row['sentence']}\n{shown}"
        rest = row["sentence"].removeprefix(shown)
        if not np.isfinite([low, high]).all() or low == high:
            assert rest.startswith(" (no interval).")
            continue
        of_what = " of the difference" if "{size}" in text and number < 0 else ""
        assert rest.startswith(f" (95% interval{of_what} {digits(low)} to {digits(high)})"), rest


# -- families: what coefficients do, and their own parameters ----------------------------------------------------------

ONE, IF_B, IF_C = (
    "v is one higher (I(v ** 2) staying as it is)",
    "h is b instead of a",
    "h is c instead of a",
)


def of_columns(what: str, does: str, of: Callable[[float], float]) -> dict[str, Row]:
    """Sentences about v, h and the square of v."""
    moved = {"v": ONE, "h[T.b]": IF_B, "h[T.c]": IF_C, "I(v ** 2)": "I(v ** 2) is one higher"}
    return {name: (f"Where {text}, {what} {does}", of) for name, text in moved.items()}


def adds(what: str) -> dict[str, Row]:
    start = {"Intercept": (f"Where every covariate is zero, {what} is {{n}}", same)}
    return start | of_columns(what, "is {size} {direction}", same)


def multiplies(what: str, verb: str = "is", intercept: bool = True) -> dict[str, Row]:
    start = {"Intercept": (f"Where every covariate is zero, {what} {verb} {{n}}", math.exp)} if intercept else {}
    return start | of_columns(what, f"{verb} multiplied by {{n}}", math.exp)


def starts(what: str) -> dict[str, Row]:
    """The intercept of durations: the quantile, or the mean, that exp of the linear predictor is."""
    return {"Intercept": (f"Where every covariate is zero, {what} is {{n}}", math.exp)}


def mean_of(data: pd.DataFrame) -> float:
    return float(data["y"].mean())


def variance_ratio(data: pd.DataFrame) -> Row:
    m = mean_of(data)
    text = f"phi = {{v}}: where a count of {digits(m)} is expected, its variance is {{n}} times that of a Poisson count"
    return text, lambda phi: (m + m**2 / phi) / m


def beta_sd(data: pd.DataFrame) -> Row:
    m = mean_of(data)
    text = f"phi = {{v}}: where y is expected to be {digits(m)}, its standard deviation is {{n}}"
    return text, lambda phi: math.sqrt(m * (1 - m) / (phi + 1))


OTHER, BEFORE = "the expected value of y where it is not a certain zero", "the mean of y before its zeros are cut off"
SCATTER = ("Around its expected value, y has a standard deviation of {n}", same)
ZI, HU = ("The probability that y is a certain zero is {n}", same), ("The probability that y is zero is {n}", same)
BY_FAMILY: dict[str, Callable[[pd.DataFrame], dict[str, Row]]] = {
    "gaussian": lambda d: adds("the expected value of y") | {"sigma": SCATTER},
    "log y": lambda d: adds("the expected value of log(y)") | {
        "sigma": ("Around its expected value, log(y) has a standard deviation of {n}", same)},
    "student": lambda d: adds("the centre of y") | {
        "sigma": ("Around its centre, y scatters with a scale of {n}", same),
        "nu": ("The tails of y are those of a t distribution (normal above 30) with degrees of freedom {n}", same)},
    "bernoulli": lambda d: multiplies("the odds that y is 1", "are"),
    "binomial": lambda d: multiplies("the odds of a success in y", "are"),
    "beta_binomial": lambda d: multiplies("the odds of a success in y", "are") | {
        "phi": ("phi = {v}: beyond what the model says, two trials of one outcome are correlated by {n}", lambda phi: 1 / (1 + phi))},
    "poisson": lambda d: multiplies("the expected value of y"),
    "negative_binomial": lambda d: multiplies("the expected value of y") | {"phi": variance_ratio(d)},
    "zero_inflated_poisson": lambda d: multiplies(OTHER) | {"zi": ZI},
    "zero_inflated_negative_binomial": lambda d: multiplies(OTHER) | {"zi": ZI, "phi": variance_ratio(d)},
    "hurdle_poisson": lambda d: multiplies(BEFORE) | {"hu": HU},
    "hurdle_negative_binomial": lambda d: multiplies(BEFORE) | {"hu": HU, "phi": variance_ratio(d)},
    "gamma": lambda d: multiplies("the expected value of y") | {
        "shape": ("shape = {v}: the standard deviation of y is {n} times its expected value", lambda a: math.sqrt(a) / a)},
    "beta": lambda d: multiplies("the odds m / (1 - m) of the expected y, m,", "are") | {"phi": beta_sd(d)},
    "ordinal": lambda d: multiplies("the odds of a higher category of y", "are", intercept=False) | {
        f"cut.{k}": (f"cut.{k} = {{v}}: where every covariate is zero, the probability of a category of y above {c:g} is {{n}}",
                     lambda cut: 1 - 1 / (1 + math.exp(-cut)))
        for k, c in enumerate(sorted(d["y"].unique())[:-1], start=1)},
    "weibull": lambda d: multiplies("every quantile of y") | starts("the 63.2% quantile of y") | {
        "shape": ("shape = {v}: after twice the time the hazard of y is {n} times as high", lambda a: 2**a / 2)},
    "exponential": lambda d: multiplies("every quantile of y") | starts("the expected value of y"),
    "lognormal": lambda d: multiplies("every quantile of y") | starts("the median of y") | {
        "sigma": ("Around what is expected, the logarithm of y has a standard deviation of {n}", same)},
    "cox": lambda d: multiplies("the hazard of y", intercept=False) | {
        f"baseline.{k}": (f"{when}, the hazard of y is {{n}} per unit of time where covariates are at their means", math.exp)
        for k, when in enumerate(["Between times 0 and 0.4", "Between times 0.4 and 0.9", "Between times 0.9 and 1.8",
                                  "Between times 1.8 and 3.5", "After 3.5"], start=1)},
    "conditional_logit": lambda d: multiplies("the odds of an alternative against any other of its set", "are", intercept=False),
}  # fmt: skip


@pytest.mark.parametrize("family", BY_FAMILY)
def test_what_coefficients_and_the_familys_own_parameters_say(family):
    s = subject("fixed", family)
    check(s.fit(), BY_FAMILY[family](s.data))


def test_categories_are_said_one_by_one():
    s = subject("fixed", "categorical")
    rows = {}
    for c in (2, 3):
        own = multiplies(f"the odds of {c} against 1", "are")
        rows |= {f"mu[{c}].{name}": row for name, row in own.items()}
    check(s.fit(), rows)


@pytest.mark.parametrize(
    ("family", "own", "what", "verb"),
    [
        ("gaussian sigma", "sigma", "the residual standard deviation (sigma)", "is"),
        ("negative_binomial phi", "phi", "the precision of the counts (phi)", "is"),
        ("zero_inflated_poisson zi", "zi", "the odds of zi, the probability of a certain zero,", "are"),
        ("weibull shape", "shape", "the shape (shape)", "is"),
    ],
)
def test_other_predictors_move_their_parameter(family, own, what, verb):
    fit = subject("unit", family).fit()
    said, p = fit.interpret(), fit.params
    assert said.loc[f"{own}.v", "estimate"] == pytest.approx(math.exp(p[f"{own}.v"]))
    number = digits(math.exp(p[f"{own}.v"]))
    assert said.loc[f"{own}.v", "sentence"].startswith(f"Where v is one higher, {what} {verb} multiplied by {number} (")
    number = digits(math.exp(p[f"{own}.Intercept"]))
    assert said.loc[f"{own}.Intercept", "sentence"].startswith(
        f"Where every covariate is zero, {what} {verb} {number} ("
    )


def test_a_cut_says_what_its_link_makes_of_it():
    data = subject("fixed", "ordinal").data
    for link, below in (("probit", norm.cdf), ("cloglog", lambda e: 1 - np.exp(-np.exp(e)))):
        fit = quietly(mm.fit, "y ~ v", data, family=mm.families.ordinal(link=link), engine="ml", progress=False)
        said = fit.interpret()
        assert said.loc["cut.2", "estimate"] == pytest.approx(1 - below(fit.params["cut.2"]))
        at_zero = fit.predict(pd.DataFrame({"v": [0.0]}), kind="probability")
        assert point(at_zero)[2:].sum() == pytest.approx(said.loc["cut.2", "estimate"])
        assert said.loc["v", "sentence"].startswith(
            f"Where v is one higher, the latent score behind y is {digits(abs(fit.params['v']))}"
        )


def test_hazards_are_those_at_mean_covariates():
    """Events in an interval are what its hazard, times exp(b v), makes of the time at risk: the score is zero."""
    s = subject("baseline alone", "cox")
    said, b, d = s.fit().interpret(), s.fit().params["v"], s.data
    cuts = [0.0, 0.4, 0.9, 1.8, 3.5, math.inf]
    for k, (a, c) in enumerate(pairwise(cuts), start=1):
        at_risk = np.clip(d["y"], a, c) - a
        events = d["event"][(d["y"] > a) & (d["y"] <= c)].sum()
        assert said.loc[f"baseline.{k}", "estimate"] == pytest.approx(
            events / (at_risk * np.exp(b * (d["v"] - d["v"].mean()))).sum(), rel=1e-5
        )


def test_effects_that_differ_by_category_lower_the_odds_of_what_is_above_their_cut():
    s = subject("nominal", "ordinal")
    said, p = s.fit().interpret(), s.fit().params
    for k in (1, 2, 3):
        assert said.loc[f"cut.{k}.late", "estimate"] == pytest.approx(math.exp(-p[f"cut.{k}.late"]))
        number = digits(math.exp(-p[f"cut.{k}.late"]))
        text = f"Where late is one higher, the odds of a category of y above {k} are multiplied by {number} ("
        assert said.loc[f"cut.{k}.late", "sentence"].startswith(text)
    odds = [1 / expit(p["cut.1"] + p["cut.1.late"] * z - p["v"]) - 1 for z in (0.0, 1.0)]  # of y > 1
    assert odds[1] / odds[0] == pytest.approx(said.loc["cut.1.late", "estimate"])


def test_strata_name_their_baseline():
    s = subject("strata", "cox all")
    first = min(s.data.loc[(s.data["half"] == 1) & (s.data["event"] == 1), "y"])
    said, p = s.fit().interpret(), s.fit().params
    number = digits(math.exp(p["baseline[1].1"]))
    text = f"Between times 0 and {first:.4g} where half is 1, the hazard of y is {number} per unit of time"
    assert said.loc["baseline[1].1", "sentence"].startswith(text)


# -- terms: what moves, and what effects do ----------------------------------------------------------------------------

Y = "the expected value of y"
MORE = f"{Y} is {{size}} {{direction}}"
GAUSSIAN = {
    "Intercept": (f"Where every covariate is zero, {Y} is {{n}}", same),
    "v": (f"Where v is one higher, {MORE}", same),
    "sigma": SCATTER,
}
TWO = ", with an equal share in a group of 2"  # the median
half = lambda sd: sd / 2  # noqa: E731


def slope(covariate: str) -> str:
    return f"where {covariate} is one higher, {MORE}, beyond what the average slope does"


def where(text: str) -> Row:
    return f"Where {text}, {MORE}", same


def over(covariate: str, block: str = "m", how: str = "mean") -> Row:
    return where(f"the {how} of {covariate} over the members ({block}) of a group is one higher")


AVERAGE = "one standard deviation above the average"
GAP = "8.85"  # the mean gap between times of members, see `test_the_gap_of_members_is_the_mean_one`
BY_KIND: dict[str, dict[str, Row]] = {
    "smooth": {
        "v": None, "s.v": where("v is one higher along the straight line of s(v)"),
        "s.v.sd": where("the curve s(v) is one standard deviation above its straight line"),
        "c.sd": (f"A c {AVERAGE}: {MORE}", same)},
    "unit slopes": {
        "c.sd": (f"A c {AVERAGE}: {MORE}", same),
        "c.sd.v": (f"A c whose slope of v is {AVERAGE}: {slope('v')}", same),
        "c.cor.1.v": ("Over the levels of c, the effect and the slope of v are correlated by {n}", same)},
    "unit by type": {
        f"c.sd[{k}]": (f"A c whose half is {k}, {AVERAGE}: {MORE}", same) for k in (0, 1)},
    "unit fixed": {f"h[{c}]": where(f"h is {c} instead of a") for c in "bc"},
    "unit fixed slopes": {f"h.late[{c}]": where(f"late is one higher and h is {c}") for c in "abc"},
    "unit known": {"c.sd": (f"A c {AVERAGE} (where the diagonal of K is 1): {MORE}", same)},
    "block": {"m.x": over("x"), "m.sd": (f"A m {AVERAGE}{TWO}: {MORE}", half)},
    "block slopes": {
        "m.x": over("x"), "m.sd": (f"A m {AVERAGE}{TWO}: {MORE}", half),
        "m.sd.z": (f"A m whose slope of z is {AVERAGE}{TWO}: {slope('z')}", half)},
    "block by type": {
        "m.x": over("x"),
        **{f"m.sd[{t}]": (f"A m whose type is {t}, {AVERAGE}{TWO}: {MORE}", half) for t in ("even", "odd")},
        **{f"m.sd.z[{t}]": (f"A m whose type is {t}, whose slope of z is {AVERAGE}{TWO}: {slope('z')}", half)
           for t in ("even", "odd")},
        **{f"m.cor.1.z[{t}]": (f"Over the levels of m whose type is {t}, the effect and the slope of z are correlated by {{n}}", same)
           for t in ("even", "odd")}},
    "block walk": {"m.x": over("x"), "m.sd": (f"A m that moves up by one standard deviation to its next group{TWO}: {MORE}", half)},
    "block walk in time": {
        "m.x": over("x"), "m.sd": (f"A m that moves up by one standard deviation over {GAP} of t{TWO}: {MORE}", half)},
    "block ar1": {
        "m.x": over("x"), "m.sd": (f"A m {AVERAGE}{TWO}: {MORE}", half),
        "m.rho": (f"The effects of a m at two times {GAP} of t apart are correlated by {{n}}", same)},
    "block car": {  # every node of the ring has four neighbours
        "m.x": over("x"),
        "m.sd": (f"A m with 4 neighbours in G (the median) one standard deviation above rho times their mean{TWO}: {MORE}",
                 lambda sd: sd / math.sqrt(4) / 2),
        "m.rho": ("Given the neighbours in G, the effect of a m is expected at {n} times their mean", same)},
    "block icar": {
        "m.x": over("x"),
        "m.sd": (f"A m with 4 neighbours in G (the median) one standard deviation above their mean{TWO}: {MORE}",
                 lambda sd: sd / math.sqrt(4) / 2)},
    "block fixed": {
        "part.x": over("x", "part"),
        **{f"part[{k}]": where(f"part is {k} instead of 0 for all members (part) of a group") for k in (1, 2, 3)}},
    "shared": {
        "m.x": over("x"), "m.sd": (f"A m {AVERAGE}{TWO}: {MORE}", half),
        "m2.scale": ("In m2, the effect of a m counts {n} times as it does in m", same)},
    "correlated roles": {
        "m.x": over("x"), "m.sd": (f"A m whose effect in m is {AVERAGE}{TWO}: {MORE}", half),
        "m2.sd": (f"A m whose effect in m2 is {AVERAGE}{TWO}: {MORE}", half),
        "m2.cor.m": ("Over the levels of m2, the effect in m and the effect in m2 are correlated by {n}", same)},
    "moment": {"B.moment.x": over("x", "B", "weighted central moment")},
    "cov": {"B.cov.x.z": over("x and z", "B", "weighted covariance")},
    "max": {"B.max.x": over("x", "B", "maximum")},
    "E": {"B.E": where("the feature E((x - E(x)) ** 2) over the members (B) of a group is one higher")},
    "threshold": {
        "B.threshold.x": over("x", "B", "weighted share above the threshold"),
        "B.threshold.c0": ("A member whose x is {n} counts half in the share above the threshold", same)},
    "smax": {
        "B.smax.x": over("x", "B", "soft maximum"),
        "B.smax.kappa": ("B.smax.kappa = {v}: of two members whose x differs by one, the higher one counts {n} times as much "
                         "in the soft maximum", math.exp)},
    "gmean": {
        "B.gmean.q": over("q", "B", "mean of powers"),
        "B.gmean.p": ("The mean of q over members is one of powers, of power {n}, where 1 is the arithmetic mean, 0 the "
                      "geometric, -1 the harmonic", same)},
}  # fmt: skip


@pytest.mark.parametrize("kind", BY_KIND)
def test_what_terms_and_their_effects_say(kind):
    rows = {name: row for name, row in {**GAUSSIAN, **BY_KIND[kind]}.items() if row is not None}
    fit = subject(kind, "gaussian").fit()
    zero = [name for name in rows if ".sd" in name and fit.params[name] == 0.0]
    for name in zero:
        equal = "The slope of z is the same for all levels of m" if name.endswith(".z") else "The levels of"
        assert fit.interpret().loc[name, "sentence"].startswith(equal)
    said = fit.interpret()
    assert set(said.index) == set(rows)
    if not zero:
        check(fit, rows)


def test_the_gap_of_members_is_the_mean_one():
    d = subject("block ar1", "gaussian").data
    gaps = np.concatenate([np.diff(np.unique(own["t"])) for _, own in d.groupby("m")])
    assert digits(gaps.mean()) == GAP


# -- weights ----------------------------------------------------------------------------------------------------------


def power(z: float, b: float, n: int) -> float:
    return 1 / n ** math.exp(-b * z)


def logistic(z: float, b: float, n: int) -> float:
    return 1 / (1 + (n - 1) * math.exp(-b * z))


Ratio = Callable[[float, pd.DataFrame], float]
WEIGHTS: dict[str, dict[str, tuple[str, str, Ratio]]] = {
    "power, total": {
        "m.w.z": ("m.w.z", "In a group of 2, a m whose z is one higher than the mean ({m}) counts {n} times as much as one at the mean",
                  lambda b, d: power(d["z"].mean() + 1, b, 2) / power(d["z"].mean(), b, 2)),
        "m along n": ("m.w.z", "A m of a group of 3 counts {n} times as much as one of a group of 2",
                      lambda b, d: power(d["z"].mean(), b, 3) / power(d["z"].mean(), b, 2))},
    "logistic, group": {
        "m.w.z": ("m.w.z", "In a group of 2, a m whose z is one higher than the mean ({m}) counts {n} times as much as one at the mean",
                  lambda b, d: logistic(d["z"].mean() + 1, b, 2) / logistic(d["z"].mean(), b, 2))},
    "softmax, group": {
        "m.w.z": ("m.w.z", "A m whose z is one higher than the mean ({m}) counts {n} times as much as one at the mean",
                  lambda b, d: math.exp(b))},
    "free weights, none": {
        "m.w.b0": ("m.w.b0", "A m of a group of 3 counts {n} times as much as one of a group of 2",
                   lambda b, d: (1 / 3 ** math.exp(b)) / (1 / 2 ** math.exp(b)))},
    "block with an edge": {
        "B.w.b1": ("B.w.b1", "A m whose z is one higher than the mean ({m}) counts {n} times as much as one at the mean",
                   lambda b, d: (1 + b * expit(d["z"].mean() + 1)) / (1 + b * expit(d["z"].mean())))},
    "functions in the group": {
        "m along z": ("m.w.b1", "A m whose z is one higher than the mean ({m}) counts {n} times as much as one at the mean",
                      lambda b, d: math.exp(b)),  # of two members of one group, who have one mean
        "m along role[head]": ("m.w.b2", "A m with role = head counts {n} times as much as one with role = other",
                               lambda b, d: math.exp(b))},
}  # fmt: skip


@pytest.mark.parametrize("kind", WEIGHTS)
def test_ratios_of_weights(kind):
    s = subject(kind, "gaussian")
    fit, said = s.fit(), s.fit().interpret()
    for about, (name, text, ratio) in WEIGHTS[kind].items():
        b, se, data = fit.params[name], fit.bse[name], s.data
        number = ratio(b, data)
        assert said.loc[about, "estimate"] == pytest.approx(number, rel=1e-9)
        slope = (
            math.log(ratio(b + 1e-5, data)) - math.log(ratio(b - 1e-5, data))
        ) / 2e-5  # the delta method, on the log scale
        ends = number * np.exp(np.array([-1, 1]) * norm.ppf(0.975) * abs(slope) * se)
        np.testing.assert_allclose(said.loc[about, ["lower", "upper"]].astype(float), ends, rtol=1e-4)
        shown = text.format(n=digits(number), m=digits(data["z"].mean()))
        assert said.loc[about, "sentence"].startswith(f"{shown} (95% interval {digits(ends[0])} to {digits(ends[1])})")
    assert set(fit.params.index) <= set(said.index), "every parameter has a sentence"


def test_weights_that_depend_on_others_of_the_group_are_compared_within_it():
    data = subject("softmax, group", "gaussian").data
    formula = "y ~ v + mm(m, g, x, weights = exp(b1 * (z - mean(z))), normalize = group)"
    fit = quietly(mm.fit, formula, data, engine="ml", progress=False)
    assert fit.interpret().loc["m.w.b1", "estimate"] == pytest.approx(math.exp(fit.params["m.w.b1"]))


def test_categories_of_weights_are_set_against_the_reference():
    data = subject("softmax, group", "gaussian").data
    formula = "y ~ v + mm(m, g, x, weights = softmax(role + flag), normalize = group)"
    fit = quietly(mm.fit, formula, data.assign(flag=data["z"] > 0), engine="ml", progress=False)
    said, p = fit.interpret(), fit.params
    name = "m.w.role[T.other]"
    assert said.loc[name, "estimate"] == pytest.approx(math.exp(p[name]))
    assert said.loc[name, "sentence"].startswith(
        f"A m with role = other counts {digits(math.exp(p[name]))} times as much as one with role = head"
    )
    assert set(p.index) <= set(said.index)
    own = next(n for n in p.index if "flag" in n)
    assert said.loc[own, "estimate"] == pytest.approx(math.exp(p[own]))
    assert (
        f"with flag = 1 counts {digits(math.exp(p[own]))} times as much as one with flag = 0"
        in said.loc[own, "sentence"]
    )


@pytest.mark.parametrize("combine", ["smax(kappa)", "ces(p)"])
def test_what_members_make_together(combine):
    s = subject("combined", "gaussian")
    data = s.data if combine.startswith("smax") else s.data.assign(y=np.exp(s.data["y"] / 2))
    fit = quietly(mm.fit, f"y ~ v + mm(m, g, x, combine = {combine}, name = B)", data, engine="ml", progress=False)
    said, p = fit.interpret(), fit.params
    assert set(p.index) == set(said.index)
    if combine.startswith("smax"):
        assert said.loc["B.sd", "estimate"] == pytest.approx(p["B.sd"])
        text = f"Where every member of B is a m {AVERAGE}: {Y} is {digits(p['B.sd'])} higher"
        times = digits(math.exp(abs(p["B.smax.kappa"]) * p["B.sd"]))
        assert (
            f"counts {times} times as much: B.smax.kappa is {digits(p['B.smax.kappa'])} ("
            in said.loc["B.smax.kappa", "sentence"]
        )
        assert said.loc["B.x", "sentence"].startswith(f"Where x of every member (B) of a group is one higher, {Y} is")
    else:
        made = "what the members of B make together"
        text = f"Where every member of B is a m {AVERAGE}: {made} is multiplied by {digits(math.exp(p['B.sd']))}"
        assert said.loc["B.x", "estimate"] == pytest.approx(math.exp(p["B.x"]))
        assert f"of power {digits(p['B.ces.p'])} (" in said.loc["B.ces.p", "sentence"]
    assert said.loc["B.sd", "sentence"].startswith(text) or p["B.sd"] == 0.0


def test_effects_in_common_of_two_predictors():
    data = subject("unit", "gaussian sigma effects").data
    fit = quietly(mm.fit, "y ~ v + (1 | c, id=a)", data, sigma="~ (1 | c, id=a)", engine="ml", progress=False)
    said, p = fit.interpret(), fit.params
    assert set(said.index) == set(p.index)
    (cor,) = [n for n in p.index if ".cor." in n]
    text = f"Over the levels of c, the effect and the effect in sigma are correlated by {digits(p[cor])} ("
    assert said.loc[cor, "sentence"].startswith(text)
    number = digits(math.exp(p["sigma.c.sd"]))
    assert f"the residual standard deviation (sigma) is multiplied by {number} (" in said.loc["sigma.c.sd", "sentence"]
    assert said.loc["c.sd", "estimate"] == pytest.approx(p["c.sd"])


def test_held_parameters_have_a_sentence_too():
    s = subject("power, total", "gaussian")
    fit = s.again(fixed={"m.w.z": 0.5, "v": 0.25})
    said = fit.interpret()["sentence"]
    assert said["v"] == f"Where v is one higher, {Y} is 0.25 higher (held, not estimated)."
    assert said["m.w.z"] == "m.w.z, a parameter of the weights power(z) of m, is 0.5 (held, not estimated)."


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_no_parameter_is_without_a_sentence(kind):
    fit = subject(kind, (KINDS[kind].families or ("gaussian",))[0]).fit()
    said = fit.interpret()["sentence"]
    assert set(fit.params.index) <= set(said.index)
    assert not said.str.contains(r"[{}]|nan|scale of the linear predictor").any()
    assert said.str.match(r"^\S.*\.$").all()
    assert not any(re.search(r"  | ,|\(\)", text) for text in said)
