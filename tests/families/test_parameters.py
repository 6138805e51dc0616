"""What a family brings to a model: names, default and vague priors, starts, and the scale of the outcome."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import micromacro as mm
from micromacro.families.registry import FAMILIES
from micromacro.parameters import PriorBook

#: Family to names and classes of its own parameters (the ordinal outcome below has four categories).
OWN = {
    "gaussian": {"sigma": "sigma"},
    "student": {"sigma": "sigma", "nu": "nu"},
    "bernoulli": {},
    "binomial": {},
    "poisson": {},
    "beta_binomial": {"phi": "phi"},
    "negative_binomial": {"phi": "phi"},
    "zero_inflated_poisson": {"zi": "zi"},
    "zero_inflated_negative_binomial": {"phi": "phi", "zi": "zi"},
    "hurdle_poisson": {"hu": "hu"},
    "hurdle_negative_binomial": {"phi": "phi", "hu": "hu"},
    "gamma": {"shape": "shape"},
    "beta": {"phi": "phi"},
    "ordinal": {"cut.1": "cut", "cut.2": "cut", "cut.3": "cut"},
    "weibull": {"shape": "shape"},
    "exponential": {},
    "lognormal": {"sigma": "sigma"},
    "cox": {f"baseline.{k}": "baseline" for k in range(1, 5)},
}
NO_INTERCEPT = ("ordinal", "cox")
VAGUE = {
    "sigma": mm.prior.half_cauchy(25),
    "cut": mm.prior.normal(0, 100),
    "zi": mm.prior.beta(1, 1),
    "hu": mm.prior.beta(1, 1),
    "baseline": mm.prior.normal(0, 100),
    **{kind: mm.prior.exponential(0.001) for kind in ("nu", "phi", "shape")},
}
SCALED = ("gaussian", "student", "lognormal", "weibull", "exponential")  # s is the sd of the outcome on the link scale


def model(case, priors=None, groups=300):
    own = np.array(case.own[0])
    rng = np.random.default_rng(11)
    x = rng.standard_normal(groups)
    columns = case.observe(rng, case.simulate(0.5 * x, own, rng))
    data = pd.DataFrame({f"c{k}": c for k, c in enumerate(columns)} | {"x": x})
    names = ", ".join(f"c{k}" for k in range(len(columns)))
    kind = f', type="{case.kind}"' if case.kind != "right" else ""
    outcome = "c0" if case.form == "plain" else f"{case.form}({names}{kind})"
    return mm.Model(f"{outcome} ~ x", data, family=case.fitted, priors=priors)


def test_the_table_has_every_family():
    assert set(OWN) == {name for name, make in FAMILIES.items() if not make().several}  # the others: test_choices.py


def test_names_are_those_of_the_tables(case):
    specification = model(case).specification
    own = specification.parameters[-len(OWN[case.name]) :] if OWN[case.name] else ()
    assert {p.name: p.kind for p in own} == OWN[case.name]
    first = ["x"] if case.name in NO_INTERCEPT else ["Intercept", "x"]
    assert list(specification.names) == [*first, *OWN[case.name]]


def test_no_intercept_where_cuts_or_a_baseline_take_its_place(case):
    assert (case.family.no_intercept is None) == (case.name not in NO_INTERCEPT)


def test_default_priors_are_proper_and_starts_lie_inside(case):
    for priors in (None, "vague"):
        specification = model(case, priors).specification
        own = specification.parameters[len(specification.parameters) - len(OWN[case.name]) :]
        for p in own:
            assert p.prior.proper and p.default
            low, high = p.prior.support
            assert low < p.start < high
            assert (low >= 0.0) == (p.kind not in ("cut", "baseline"))
            if priors == "vague":
                assert p.prior == VAGUE[p.kind]
        assert specification.family.possible(np.array([p.start for p in own]))


def test_likelihood_work_has_flat_priors(case):
    specification = model(case, "flat").specification
    assert not any(p.prior.proper for p in specification.parameters)


def test_a_sigma_has_the_default_of_an_sd(case):
    if "sigma" not in OWN[case.name]:
        return
    specification = model(case).specification
    s = specification.family.scale(specification.response, np.zeros(specification.groups))[0]
    sigma = next(p for p in specification.parameters if p.name == "sigma")
    assert sigma.prior == mm.prior.half_student(3, 0, 2.5 * s)


def test_coefficients_have_defaults_on_the_scale_of_the_link(case):
    specification = model(case).specification
    s, centre = specification.family.scale(specification.response, np.zeros(specification.groups))
    prior = {p.name: p.prior for p in specification.parameters}
    x = specification.tables.groups["x"].values
    assert prior["x"].sd == pytest.approx(2.5 * s / np.std(x, ddof=1))
    assert s == 1.0 or case.name in SCALED
    if "Intercept" in prior:
        assert prior["Intercept"] == mm.prior.normal(centre, 2.5 * s)


#: The centre of the intercept's prior, from the observed outcome.
CENTRES = {
    "gaussian": np.mean,
    "student": np.median,
    "poisson": lambda y: np.log(np.mean(y)),
    "negative_binomial": lambda y: np.log(np.mean(y)),
    **{f"zero_inflated_{k}": lambda y: np.log(np.mean(y)) for k in ("poisson", "negative_binomial")},
    **{f"hurdle_{k}": lambda y: np.log(np.mean(y[y > 0])) for k in ("poisson", "negative_binomial")},
    "gamma": lambda y: np.log(np.mean(y)),
    "beta": lambda y: special.logit(np.mean(y)),
    **{k: lambda y: np.mean(np.log(y)) for k in ("weibull", "exponential", "lognormal")},
}
QUANTILES = {"logit": special.logit, "probit": special.ndtri, "cloglog": lambda p: np.log(-np.log1p(-p))}


def test_the_centre_is_the_outcome_on_the_link_scale(family_case):
    specification = model(family_case).specification
    y = specification.outcome
    centre = specification.family.scale(specification.response, np.zeros(len(y)))[1]
    if family_case.name in ("bernoulli", "binomial", "beta_binomial"):
        expected = QUANTILES[family_case.link](y.mean())  # every group has as many trials
    else:
        expected = 0.0 if family_case.name in NO_INTERCEPT else CENTRES[family_case.name](y)
    assert centre == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", SCALED)
def test_the_scale_is_the_sd_on_the_link_scale(cases, name):
    case = next(c for c in cases if c.name == name and not c.note)
    specification = model(case, groups=4000).specification
    y = specification.outcome if name in ("gaussian", "student") else np.log(specification.outcome)
    s, _ = specification.family.scale(specification.response, np.zeros(len(y)))
    # student: by the median absolute deviation, which outliers cannot move
    assert s == pytest.approx(np.std(y, ddof=1) if name != "student" else stats.median_abs_deviation(y) * 1.4826)


def test_offsets_move_the_centre(cases):
    for name, shift in (("gaussian", -2.0), ("poisson", -2.0), ("weibull", -2.0), ("gamma", -2.0)):
        case = next(c for c in cases if c.name == name and not c.note)
        response, eta = case.make(np.random.default_rng(1), np.array(case.own[0]))
        centre = case.family.scale(response, np.zeros(len(eta)))[1]
        moved = case.family.scale(response, np.full(len(eta), 2.0))[1]
        assert moved - centre == pytest.approx(shift)


def test_cuts_start_at_the_quantiles_of_the_shares(cases):
    for case in (c for c in cases if c.name == "ordinal"):
        y = np.repeat([0.0, 1.0, 2.0, 3.0], [2, 4, 3, 1])
        response = case.family.read(case.raw(y))
        starts = [p.start for p in case.family.parameters(PriorBook(None), 1.0, False, response)]
        assert starts == pytest.approx(QUANTILES[case.link](np.array([0.2, 0.6, 0.9])))


#: Parameters outside the domain.
IMPOSSIBLE = {
    "gaussian": [[0.0], [-1.0], [np.nan]],
    "student": [[0.0, 5.0], [1.0, 0.0], [1.0, -2.0], [np.nan, 3.0], [1.0, np.nan]],
    "negative_binomial": [[0.0], [-1.0], [np.nan]],
    "beta_binomial": [[0.0], [-1.0], [np.nan]],
    **{k: [[-0.1], [1.0], [np.nan]] for k in ("zero_inflated_poisson", "hurdle_poisson")},
    "zero_inflated_negative_binomial": [[0.0, 0.2], [1.0, 1.0], [1.0, np.nan]],
    "hurdle_negative_binomial": [[0.0, 0.2], [1.0, 1.0], [1.0, np.nan]],
    "gamma": [[0.0], [-1.0], [np.nan]],
    "beta": [[0.0], [-1.0], [np.nan]],
    "weibull": [[0.0], [-1.0], [np.nan]],
    "lognormal": [[0.0], [-1.0], [np.nan]],
    "ordinal": [[0.0, 0.0, 1.0], [1.0, 0.0, 2.0], [0.0, np.nan, 1.0]],
}


def test_parameters_outside_their_domain_are_impossible(family_case):
    for own in family_case.own:
        assert family_case.family.possible(np.array(own)) is True
    for own in IMPOSSIBLE.get(family_case.name, []):
        assert family_case.family.possible(np.array(own)) is False


def test_priors_by_name_and_class_reach_the_familys_parameters(cases):
    for name, given, expected in (
        ("negative_binomial", {"phi": mm.prior.gamma(2, 0.1)}, {"phi": mm.prior.gamma(2, 0.1)}),
        ("ordinal", {"cut": mm.prior.normal(0, 3), "cut.2": mm.prior.normal(1, 1)},
         {"cut.1": mm.prior.normal(0, 3), "cut.2": mm.prior.normal(1, 1), "cut.3": mm.prior.normal(0, 3)}),
        ("student", {"nu": mm.prior.exponential(0.1)}, {"nu": mm.prior.exponential(0.1)}),
    ):  # fmt: skip
        case = next(c for c in cases if c.name == name)
        got = {p.name: p.prior for p in model(case, given).specification.parameters}
        assert {k: got[k] for k in expected} == expected
    case = next(c for c in cases if c.name == "gamma")
    with pytest.raises(mm.ModelError, match="allows negative values"):
        _ = model(case, {"shape": mm.prior.normal(0, 1)}).specification
    with pytest.raises(mm.ModelError, match="no parameter of this model is of class 'sigma'"):
        _ = model(case, {"sigma": mm.prior.half_cauchy(1)}).specification


def test_explain_names_family_link_and_every_parameter(case):
    text = str(model(case).explain())
    assert case.name in text
    for name in OWN[case.name]:
        assert name in text
