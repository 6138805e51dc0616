"""One estimand: effects that the fit has not seen, and marginal ones, are integrated out, by whatever engine.

Against closed forms (exp(eta + v/2) of a log link, Phi(eta / sqrt(1 + v)) of a probit), against simulation of unseen
effects through the design, and against each other (a median is where the survival curve of the mixture is one half).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import special

import micromacro as mm
from micromacro.posterior.choosing import group_estimand
from micromacro.posterior.design import Predictor, new_tables, scenario_of

EXACT = {"rel": 1e-8}
TERMS = " ~ x + mm(m, g, z, weights = 1/n, normalize = group) + (1 | c)"


@pytest.fixture(scope="module")
def data():
    """120 groups of two among 15 members, 12 units, effects large enough that a mean is not a median."""
    rng = np.random.default_rng(8)
    rows = [(g, m) for g in range(120) for m in rng.choice(15, 2, replace=False)]
    out = pd.DataFrame(rows, columns=["g", "m"])
    out["z"] = rng.standard_normal(240)
    x, c = rng.standard_normal(120), np.arange(120) % 12
    u, v = 1.2 * rng.standard_normal(15), 0.8 * rng.standard_normal(12)
    eta = 0.4 * x + v[c] + np.bincount(out["g"], u[out["m"]] + 0.3 * out["z"]) / 2
    outcomes = {"x": x, "c": c, "count": rng.poisson(np.exp(eta)), "yes": (eta + rng.standard_normal(120) > 0) * 1,
                "time": np.exp(eta) * rng.weibull(1.7, 120), "event": rng.random(120) < 0.9}  # fmt: skip
    return out.join(pd.DataFrame(outcomes), on="g")


@pytest.fixture(scope="module")
def new():
    """Groups of a known and a new member in a known unit; of new members in a new unit; of known ones; a new unit."""
    rows = [(900, 3, 7), (900, 77, 7), (901, 77, 50), (901, 78, 50), (902, 3, 7), (902, 4, 7), (903, 3, 51)]
    out = pd.DataFrame(rows, columns=["g", "m", "c"])
    return out.assign(x=0.3, z=[0.1, -0.4, 0.2, 0.0, 1.0, 0.5, 0.1])


def unseen_variance(sd, unit):
    """What unseen effects bring to the four groups."""
    return np.array([sd**2 / 4, sd**2 / 2 + unit**2, 0.0, unit**2])


#: Outcome, family, and the mean of exp(eta + e) or the like over e ~ N(0, v).
CLOSED = {
    "log": ("count", "poisson", lambda eta, v, own: np.exp(eta + v / 2)),
    "probit": ("yes", mm.families.bernoulli(link="probit"), lambda eta, v, own: special.ndtr(eta / np.sqrt(1 + v))),
    "lognormal": ("time", "lognormal", lambda eta, v, own: np.exp(eta + v / 2 + own[0] ** 2 / 2)),
}


@pytest.fixture(scope="module")
def fits(data, quick):
    made = {}

    def fit(word, engine="ml", **options):
        if (word, engine) not in made:
            outcome, family, _ = CLOSED.get(word, ("surv(time, event)", word, None))
            made[word, engine] = quick(outcome + TERMS, data, engine, family=family, **options)
        return made[word, engine]

    return fit


@pytest.mark.parametrize("word", CLOSED)
def test_the_estimate_is_the_expected_outcome_over_unseen_effects(fits, new, word):
    fit, of = fits(word), CLOSED[word][2]
    v = unseen_variance(fit.params["m.sd"], fit.params["c.sd"])
    own = fit.posterior.theta[fit.specification.layout.family]
    eta = fit.predict(new, kind="linear")["estimate"].to_numpy()
    assert fit.predict(new)["estimate"].to_numpy() == pytest.approx(of(eta, v, own), **EXACT)
    assert fit.predict(new, new_effects="zero")["estimate"].to_numpy() == pytest.approx(of(eta, 0 * v, own), **EXACT)
    average = fit.predictions(new)["estimate"].iloc[0]
    assert average == pytest.approx(of(eta, v, own).mean(), **EXACT)
    higher = fit.predict(new.assign(x=1.3), kind="linear")["estimate"].to_numpy()
    effect = of(higher, v, own).mean() / of(eta, v, own).mean()
    assert fit.comparisons("x", new, contrast="ratio")["estimate"].iloc[0] == pytest.approx(effect, **EXACT)
    slope = (of(eta + 1e-5, v, own) - of(eta - 1e-5, v, own)).mean() / 2e-5 * fit.params["x"]
    assert fit.slopes("x", new)["estimate"].iloc[0] == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("engine", ["laplace", "mcmc"])
def test_draws_integrate_unseen_effects_draw_by_draw(fits, new, engine):
    """Means have the Monte Carlo error of the parameters alone; sd and interval are of draws with effects drawn."""
    options = {"laplace": {"draws": 200}, "mcmc": {"draws": 100, "tune": 100, "chains": 2}}[engine]
    fit = fits("log", engine, random_seed=3, **options)
    draws, names = fit.posterior.draws.reshape(-1, len(fit.params)), list(fit.params.index)
    v = np.array([unseen_variance(d[names.index("m.sd")], d[names.index("c.sd")]) for d in draws])
    eta = fit.predict(new, kind="linear", new_effects="zero", draws=True).to_numpy()
    expected = np.exp(eta + 0.5 * v).mean(axis=0)
    assert fit.predict(new, random_seed=4)["mean"].to_numpy() == pytest.approx(expected, **EXACT)
    made, table = fit.predict(new, draws=True, random_seed=4).to_numpy(), fit.predict(new, random_seed=4)
    assert table["sd"].to_numpy() == pytest.approx(made.std(axis=0, ddof=1))
    assert table["upper"].to_numpy() == pytest.approx(np.quantile(made, 0.975, axis=0))
    assert made[:, 1].mean() != pytest.approx(expected[1], rel=1e-3)


def test_intervals_keep_the_spread_of_unseen_effects(fits, new):
    """Of one group they are those of its linear predictor; se is the sd of a lognormal number."""
    fit = fits("log")
    v = unseen_variance(fit.params["m.sd"], fit.params["c.sd"])
    linear, table = fit.predict(new, kind="linear"), fit.predict(new)
    for end in ("lower", "upper"):
        assert table[end].to_numpy() == pytest.approx(np.exp(linear[end]).to_numpy(), rel=1e-6)
    m, fixed = table["estimate"].to_numpy(), fit.predict(new, effects="marginal")
    assert np.all(table["se"].to_numpy() ** 2 > np.expm1(v) * m**2)
    assert fixed["se"].iloc[1] ** 2 + np.expm1(v[1]) * m[1] ** 2 == pytest.approx(table["se"].iloc[1] ** 2, rel=1e-6)
    # an average over many new units: around its estimate, not around that of effects at zero
    many = pd.concat([new.iloc[[-1]].assign(g=g, c=g) for g in range(1000, 1300)])
    row, one = fit.predictions(many).iloc[0], fit.predict(many, effects={"m": "conditional"}).iloc[0]
    assert row["estimate"] == pytest.approx(one["estimate"])
    assert row["lower"] < row["estimate"] < row["upper"] < one["upper"]
    sd = np.sqrt(np.expm1(fit.params["c.sd"] ** 2)) * row["estimate"]
    together = fit.predict(new.iloc[[-1]], effects={"c": "marginal"}).iloc[0]["se"]
    assert row["se"] ** 2 == pytest.approx(sd**2 / 300 + together**2, rel=1e-4)


@pytest.mark.parametrize("family", ["weibull", "exponential", "lognormal", "cox"])
def test_a_median_is_that_of_the_mixture(fits, new, family):
    fit = fits(family)
    medians = fit.predict(new, kind="median")
    at_half = fit.survival(medians["estimate"].to_numpy(), new)
    by = {g: t.set_index("time")["estimate"] for g, t in at_half.groupby(level=0)}
    halves = [by[g].loc[m] for g, m in medians["estimate"].items()]
    assert halves == pytest.approx([0.5] * 4, rel=1e-9)
    assert np.all((medians["lower"] < medians["estimate"]) & (medians["estimate"] < medians["upper"]))
    # survival against simulation of what is unseen
    v = unseen_variance(fit.params["m.sd"], fit.params["c.sd"])
    eta = fit.predict(new, kind="linear")["estimate"].to_numpy()
    x = fit.posterior.optimum.x
    own = fit.specification.own(fit.posterior.theta, x)
    z = np.random.default_rng(5).standard_normal((20000, 4))
    lasting = np.exp(-fit.family.cumulative_hazard(np.array([0.7]), eta + np.sqrt(v) * z, own)[..., 0])
    table = fit.survival([0.7], new)["estimate"].to_numpy()
    assert np.all(np.abs(lasting.mean(axis=0) - table) <= 4 * lasting.std(axis=0) / np.sqrt(20000) + 1e-12)


KINDS = {
    "slopes": "x + mm(m, g, effects = correlated(1 + z))",
    "walk": "x + mm(m, g, effects = walk(t))",
    "ar1": "x + mm(m, g, effects = ar1(t))",
    "car": "x + mm(m, g, z, effects = none) + hm(a, effects = car(G))",
    "known": "x + mm(m, g, effects = known(K))",
    "roles": "x + mm(m, g) + mm(w, g, effects = correlated_with(m))",
    "interaction": "x + mm(m, g) + (1 | a:c)",
}


@pytest.mark.parametrize("kind", KINDS)
def test_unseen_levels_of_every_kind_against_simulation(data, quick, kind):
    """Chains go on from their last state, areas without neighbours have their own distribution, and so on."""
    rng = np.random.default_rng(2)
    frame = data.assign(t=data["g"] // 10, a=data["g"] % 9, w=(data["m"] + 1) % 15)
    graph = {i: [(i + 1) % 9, (i - 1) % 9] for i in range(9)}
    ids = np.append(np.arange(15), 99)
    sources = {"graphs": {"G": graph}} if kind == "car" else {}
    if kind == "known":
        sources = {"known": {"K": pd.DataFrame(0.6 ** np.abs(np.subtract.outer(ids, ids)), index=ids, columns=ids)}}
    fit = quick("count ~ " + KINDS[kind], frame, family="poisson", fixed=FIXED.get(kind, {}), **sources)
    other = frame[frame["g"] < 4].drop(columns="count").assign(t=14, g=lambda d: d["g"] + 500)
    other.loc[other.index[[0, 2]], ["m", "w"]] = 99
    other = other.assign(a=np.where(other["g"] % 2, other["a"], 20))
    tables = new_tables(fit.specification, other, None, None, fit.posterior.theta)
    predictor = Predictor(scenario_of(fit.specification, tables), fit.specification.system)
    optimum, size = fit.posterior.optimum, fit.specification.system.size
    fresh = predictor.where.fresh
    eta = predictor.eta(optimum.theta, np.append(optimum.x, np.zeros(fresh)))
    loads = predictor.matrix(size + fresh)[:, size:].toarray()
    assert fresh and loads.any(axis=1).sum() >= 2
    means = np.exp(eta + rng.standard_normal((40000, fresh)) @ loads.T)
    table = fit.predict(other)
    assert np.all(np.abs(means.mean(axis=0) - table["estimate"]) <= 4.5 * means.std(axis=0) / 200 + 1e-9)
    marginal = fit.predict(other, effects="marginal")
    assert marginal["estimate"].to_numpy() == pytest.approx(
        np.exp(fit.predict(other, kind="linear", effects="zero")["estimate"] + predictor_variance(fit, predictor) / 2)
    )


@pytest.mark.parametrize("engine", ["ml", "laplace"])
def test_effects_that_no_row_of_the_fit_reaches_are_unseen_too(data, quick, engine):
    """An area between two others has half their precision; a role that a member never had is drawn given the other."""
    ring = {i: [(i + 1) % 10, (i - 1) % 10] for i in range(10)}
    frame = data.assign(a=data["g"] % 9, w=data["m"].where(data["m"] < 10, (data["m"] + 1) % 10))
    options = {"family": "poisson", "draws": 300, "random_seed": 1}
    car = quick("count ~ x + hm(a, effects = car(G))", frame, engine, graphs={"G": ring}, fixed=FIXED["car"], **options)
    there = frame.iloc[[0]].drop(columns="count").assign(g=500, a=9)
    assert ratio(car, there) == pytest.approx(np.exp(FIXED["car"]["a.sd"] ** 2 / 4), rel=1e-7)
    fixed = {"m.sd": 0.8, "w.sd": 0.5, "w.cor.m": 0.6}
    roles = quick(
        "count ~ x + mm(m, g) + mm(w, g, effects = correlated_with(m))", frame, engine, fixed=fixed, **options
    )
    other = frame[frame["g"] == 0].drop(columns="count").assign(g=500, m=3, w=[3, 13])
    assert ratio(roles, other) == pytest.approx(np.exp(0.5**2 * (1 - 0.6**2) / 4 / 2), rel=1e-7)


def ratio(fit, new):
    """The expected outcome over that with the unseen effect at its mean, draw by draw, or at the maximum."""
    estimand = group_estimand(
        fit.specification, new_tables(fit.specification, new, None, None, fit.posterior.theta), "mean"
    )
    linear = group_estimand(
        fit.specification, new_tables(fit.specification, new, None, None, fit.posterior.theta), "linear"
    )
    one = fit.posterior.as_sampled(2, np.random.default_rng(0)) if fit.engine == "laplace" else None
    theta, x = (fit.posterior.optimum.theta, fit.posterior.optimum.x) if one is None else (t[0] for t in one.thinned(2))
    return (estimand.value(theta, x) / np.exp(linear.value(theta, x)))[0, 0]


FIXED = {"car": {"a.rho": 0.6, "a.sd": 0.5}, "ar1": {"m.rho": 0.7, "m.sd": 0.6}, "slopes": {"m.cor.1.z": 0.2}}


def predictor_variance(fit, predictor):
    predictor.entries(fit.posterior.theta)
    return predictor.level_variances().sum(axis=0)


# -- effects= ----------------------------------------------------------------------------------------------------------


def test_effects_are_treated_by_term(fits, new):
    fit = fits("log")
    effects = fit.random_effects("c")["estimate"]
    eta = fit.predict(new, kind="linear")["estimate"].to_numpy()
    sd, unit = fit.params["m.sd"], fit.params["c.sd"]
    known_unit = np.array([effects[7], 0.0, effects[7], 0.0])
    of_members = np.array([sd**2 / 4, sd**2 / 2, 0.0, 0.0])
    without = fit.predict(new, effects={"c": "zero"})["estimate"].to_numpy()
    assert without == pytest.approx(np.exp(eta - known_unit + of_members / 2), **EXACT)
    marginal = fit.predict(new, effects={"c": "marginal"})["estimate"].to_numpy()
    assert marginal == pytest.approx(np.exp(eta - known_unit + (of_members + unit**2) / 2), **EXACT)
    both = fit.predict(new, effects={"c": "marginal", "m": "marginal"})
    pd.testing.assert_frame_equal(both, fit.predict(new, effects="marginal"))
    pd.testing.assert_frame_equal(fit.predict(new, effects={}), fit.predict(new))
    pd.testing.assert_frame_equal(fit.predict(new, effects={"c": "conditional"}), fit.predict(new))
    average = fit.predictions(new, effects={"c": "marginal"})["estimate"].iloc[0]
    assert average == pytest.approx(marginal.mean(), **EXACT)
    response = fit.predict(new, effects={"c": "marginal"}, kind="response", random_seed=1)
    assert response["estimate"].to_numpy() == pytest.approx(marginal, **EXACT)
    assert np.all(response["se"].to_numpy() > np.sqrt(marginal))
    curve = fits("weibull").survival([0.5], new, effects={"m": "zero", "c": "zero"})["estimate"]
    zero = fits("weibull").predict(new, kind="linear", effects="zero")["estimate"]
    shape = fits("weibull").params["shape"]
    assert curve.to_numpy() == pytest.approx(np.exp(-((0.5 * np.exp(-zero)) ** shape)).to_numpy())


@pytest.mark.parametrize("verb", ["predict", "predictions", "comparisons", "slopes", "survival"])
@pytest.mark.parametrize(
    ("effects", "match"),
    [
        ("none", "effects= is one of conditional, marginal, zero, or a dict"),
        ({"d": "zero"}, "effects= names 'd', but the terms with effects are: m, c"),
        ({"c": "integrate"}, r"effects=\{'c': ...\} is one of conditional, marginal, zero, not 'integrate'"),
        (None, "not None"),
    ],
)
def test_what_is_no_treatment_is_refused(fits, verb, effects, match):
    with pytest.raises(mm.EngineError, match=match):
        getattr(fits("weibull"), verb)(effects=effects)


def test_terms_that_have_one_set_of_effects_and_terms_without_a_distribution(data, quick):
    frame = data.assign(w=(data["m"] + 1) % 15)
    fit = quick("count ~ mm(m, g) + mm(w, g, effects = shared(m, 1))", frame, family="poisson")
    one, other = (fit.predict(effects={name: "zero"})["estimate"] for name in ("m", "w"))
    assert one.to_numpy() == pytest.approx(other.to_numpy())
    with pytest.raises(mm.EngineError, match="'m' and 'w' have the same effects"):
        fit.predict(effects={"m": "zero", "w": "marginal"})
    fixed = quick("count ~ mm(m, g, effects = fixed)", data, family="poisson")
    with pytest.raises(mm.EngineError, match="'m' are coefficients without a distribution"):
        fixed.predict(effects={"m": "marginal"})
