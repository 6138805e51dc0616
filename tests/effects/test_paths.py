"""Walks and autoregressions against dense covariances of their states, and what holds of every path."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.stats import multivariate_normal

import micromacro as mm
from micromacro.engines.marginals import marginal_of
from micromacro.errors import DataError, FormulaError, ModelError


def people(groups=60, members=12, seed=1, sd=0.7, rho=None):
    """Groups of two or three members at years with gaps; the member effects follow a walk or an autoregression."""
    rng = np.random.default_rng(seed)
    year = np.sort(rng.choice(np.arange(1960, 1960 + 3 * groups), groups, replace=False))
    rows = []
    state = {}
    for g, t in enumerate(year):
        x = rng.standard_normal()
        chosen = rng.choice(members, rng.integers(2, 4), replace=False)
        total = 0.0
        for j in chosen:
            before = state.get(j)
            if before is None:
                now = rng.standard_normal()
            elif rho is None:
                now = before[1] + rng.standard_normal()
            else:
                r = rho ** (t - before[0])
                now = r * before[1] + np.sqrt(1 - r * r) * rng.standard_normal()
            state[j] = (t, now)
            total += sd * now / len(chosen)
        y = 1.0 + 0.5 * x + total + 0.6 * rng.standard_normal()
        rows += [(g, f"m{j}", t, x, y) for j in chosen]
    return pd.DataFrame(rows, columns=["g", "m", "year", "x", "y"])


def dense_loglik(data, covariance, sd, sigma, b):
    """Marginal log-likelihood with equal weights, the covariance of two participations given by a function.

    The function takes arrays: rank of the participation, time since the first one, and time between the two.
    """
    data = data.sort_values("g")
    groups = data.drop_duplicates("g")
    rank = data.groupby("m").cumcount().to_numpy().astype(float)
    age = (data["year"] - data.groupby("m")["year"].transform("min")).to_numpy() / mean_gap(data)
    same = data["m"].to_numpy()[:, None] == data["m"].to_numpy()
    both = [np.minimum(v[:, None], v) for v in (rank, age)]
    k = np.where(same, covariance(*both, np.abs(age[:, None] - age)), 0.0)
    z = (groups["g"].to_numpy()[:, None] == data["g"].to_numpy()) / data.groupby("g")["m"].transform("size").to_numpy()
    v = sd**2 * z @ k @ z.T + sigma**2 * np.eye(len(groups))
    return multivariate_normal(b[0] + b[1] * groups["x"].to_numpy(), v).logpdf(groups["y"].to_numpy())


def mean_gap(data):
    return data.sort_values("year").groupby("m")["year"].diff().dropna().mean()


KINDS = {
    "walk": lambda rank, age, apart, rho: 1.0 + rank,
    "walk(year)": lambda rank, age, apart, rho: 1.0 + age,
    "ar1(year)": lambda rank, age, apart, rho: rho**apart,
}


@pytest.mark.parametrize("kind", KINDS)
def test_likelihood_is_the_dense_one(kind):
    data = people(150, rho=0.985, sd=1.5)
    fit = mm.fit(f"y ~ x + mm(m, g, effects={kind})", data, engine="ml", progress=False)
    p = fit.params
    rho = p.get("m.rho", np.nan)
    b = (p["Intercept"], p["x"])
    value = dense_loglik(data, lambda *at: KINDS[kind](*at, rho), p["m.sd"], p["sigma"], b)
    assert fit.loglik == pytest.approx(value, abs=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_order_of_rows_and_names_do_not_matter(kind):
    data = people(40)
    fit = mm.fit(f"y ~ x + mm(m, g, effects={kind})", data, engine="ml")
    shuffled = data.sample(frac=1.0, random_state=3)
    again = mm.fit(f"y ~ x + mm(m, g, effects={kind})", shuffled, engine="ml")
    np.testing.assert_array_equal(fit.params, again.params)
    renamed = data.assign(m=data["m"].map(lambda v: f"z{99 - int(v[1:])}"))
    other = mm.fit(f"y ~ x + mm(m, g, effects={kind})", renamed, engine="ml")
    np.testing.assert_allclose(fit.params, other.params, rtol=1e-5, atol=1e-6)
    assert fit.loglik == pytest.approx(other.loglik, abs=1e-7)


def test_walk_goes_by_numbers_as_numbers():
    data = people(150)
    text = data.assign(g=data["g"].map(lambda g: f"{g:03d}"))
    a = mm.fit("y ~ x + mm(m, g, effects=walk)", data, engine="ml")
    b = mm.fit("y ~ x + mm(m, g, effects=walk)", text, engine="ml")
    assert a.loglik == pytest.approx(b.loglik, abs=1e-9)
    scrambled = data.assign(g=data["g"].map(str))  # "10" before "2"
    c = mm.fit("y ~ x + mm(m, g, effects=walk)", scrambled, engine="ml")
    assert abs(c.loglik - a.loglik) > 1e-3


def test_dates_and_years_agree():
    data = people(40)
    days = data.assign(day=pd.to_datetime("2000-01-01") + pd.to_timedelta(7 * data["year"], unit="D"))
    a = mm.fit("y ~ x + mm(m, g, effects=walk(year))", data, engine="ml")
    b = mm.fit("y ~ x + mm(m, g, effects=walk(day))", days, engine="ml")
    assert a.loglik == pytest.approx(b.loglik, abs=1e-8)


def test_units_walk_too():
    data = people(200, 6, seed=2, sd=2.0).drop_duplicates("g")
    data["u"] = data["m"]
    fit = mm.fit("y ~ x + hm(u, effects=ar1(year))", data, engine="ml")
    assert {"u.sd", "u.rho"} <= set(fit.params.index)
    effects = fit.random_effects("u")
    assert len(effects) == len(data) and effects.index.names == ["u", "year"]


def test_recovers_the_autoregression():
    data = people(700, 25, seed=4, sd=1.2, rho=0.99)
    fit = mm.fit("y ~ x + mm(m, g, effects=ar1(year), weights=1/n)", data, engine="ml")
    unit = mean_gap(data)
    rho, se = fit.params["m.rho"], fit.bse["m.rho"]
    assert abs(rho - 0.99**unit) < 4 * se and se < 0.2
    assert abs(fit.params["m.sd"] - 1.2) < 4 * fit.bse["m.sd"]


def test_recovers_the_step_of_a_walk():
    data = people(500, 25, seed=5, sd=0.6)
    fit = mm.fit("y ~ x + mm(m, g, effects=walk)", data, engine="ml")
    assert abs(fit.params["m.sd"] - 0.6) < 4 * fit.bse["m.sd"]


@pytest.mark.parametrize("kind", KINDS)
def test_joint_density_is_that_of_jax(kind):
    jax = pytest.importorskip("jax")
    from micromacro.engines.joint import log_joint
    from micromacro.engines.nuts.density import Joint

    s = mm.Model(f"y ~ x + mm(m, g, effects={kind})", people(40)).specification
    rng = np.random.default_rng(2)
    with jax.enable_x64(True):
        joint = Joint(s)
        for _ in range(20):
            theta = np.array([p.start for p in s.system.hypers]) + 0.3 * rng.random(len(s.system.hypers))
            x = rng.standard_normal(s.system.size)
            assert float(joint.log_density(theta, x)) == pytest.approx(log_joint(s, theta, x), rel=1e-9, abs=1e-8)


# -- continued in time -------------------------------------------------------------------------------------------------


def _future(member, year, group=9999):
    return pd.DataFrame({"g": [group], "m": [member], "year": [year], "x": [0.0]})


@pytest.mark.parametrize("kind", ["walk", "walk(year)", "ar1(year)"])
def test_a_path_goes_on(kind):
    """Mean and variance of a later state by hand: the last state, and one more step."""
    data = people(60)
    fit = mm.fit(f"y ~ x + mm(m, g, effects={kind})", data, engine="ml")
    last = data.sort_values("year").groupby("m").last()
    member, year = last.index[0], int(last["year"].iloc[0])
    effects = fit.random_effects("m").loc[member]
    gap = 1.0 if kind == "walk" else 12 / mean_gap(data)
    r = fit.params.get("m.rho", 1.0) ** gap
    table = fit.predict(_future(member, year + 12), kind="linear")
    assert table["estimate"].iloc[0] == pytest.approx(
        fit.params["Intercept"] + r * effects["estimate"].iloc[-1], abs=1e-6
    )
    still = fit.predict(_future(member, year + 12), kind="linear", new_effects="zero")
    added = table["se"].iloc[0] ** 2 - still["se"].iloc[0] ** 2
    expected = fit.params["m.sd"] ** 2 * (gap if "walk" in kind else 1 - r * r)
    assert added == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", ["walk(year)", "ar1(year)"])
def test_a_gap_is_bridged(kind):
    """A state between two known ones has the conditional mean of the dense normal distribution of three."""
    data = people(60)
    fit = mm.fit(f"y ~ x + mm(m, g, effects={kind})", data, engine="ml")
    member = data["m"].value_counts().index[0]
    years = np.sort(data.loc[data["m"] == member, "year"].to_numpy())
    k = int(np.argmax(np.diff(years)))
    t = years[k] + 1
    unit = mean_gap(data)
    if kind == "walk(year)":
        cov = lambda a, b: 1 + (min(a, b) - years[0]) / unit  # noqa: E731
    else:
        cov = lambda a, b: fit.params["m.rho"] ** (abs(a - b) / unit)  # noqa: E731
    near = [years[k], years[k + 1]]
    s = np.array([[cov(a, b) for b in near] for a in near])
    c = np.array([cov(t, a) for a in near])
    share = np.linalg.solve(s, c)
    own = fit.random_effects("m").loc[member]["estimate"]
    value = fit.predict(_future(member, t), kind="linear")["estimate"].iloc[0]
    expected = fit.params["Intercept"] + share @ own.loc[near].to_numpy()
    assert value == pytest.approx(expected, abs=1e-6)


def test_known_states_are_found_again():
    data = people(40)
    for kind in KINDS:
        fit = mm.fit(f"y ~ x + mm(m, g, effects={kind})", data, engine="ml")
        np.testing.assert_allclose(
            fit.predict(data, kind="linear")["estimate"], fit.predict(kind="linear")["estimate"], atol=1e-9
        )


def test_simulated_walks_have_their_variance():
    data = people(25, 6)
    model = mm.Model("y ~ 0 + mm(m, g, effects=walk, weights=1/n)", data)
    made = model.simulate({"m.sd": 1.0, "sigma": 1e-6}, draws=4000, random_seed=1)
    structure = model.specification.structures["m"][1]
    z = np.zeros((25, structure.latents))
    for m, (g, s) in enumerate(zip(structure.rows.group, structure.state, strict=True)):
        z[g, s] += 1.0 / np.sum(structure.rows.group == structure.rows.group[m])
    rank = structure.states.time
    same = structure.states.level[:, None] == structure.states.level
    k = np.where(same, 1 + np.minimum(rank[:, None], rank), 0.0)
    expected = np.diag(z @ k @ z.T)
    seen = made.outcome.var(axis=0)
    assert np.all(np.abs(seen / expected - 1) < 5 * np.sqrt(2 / 4000))
    np.testing.assert_allclose(_total(model, {"m.sd": 1.0, "sigma": 1e-6}), expected, rtol=1e-9)


def _total(model, values):
    structure = model.specification.structures["m"][1]
    row, latent, place = structure.entries
    value = np.zeros(len(row))
    n = np.bincount(structure.rows.group)
    np.add.at(value, place, 1.0 / n[structure.rows.group])
    return structure.variance(np.array([values["m.sd"]]), row, latent, value)


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_errors_say_what_to_do():
    data = people(20)
    with pytest.raises(FormulaError, match="one column of times"):
        mm.Model("y ~ x + mm(m, g, effects=ar1)", data)
    with pytest.raises(DataError, match="must be numbers or dates"):
        mm.Model("y ~ x + mm(m, g, effects=walk(m))", data)
    once = data.drop_duplicates("m")
    once = once.assign(g=np.arange(len(once)))
    with pytest.raises(ModelError, match="takes part at two times"):
        mm.Model("y ~ x + mm(m, g, effects=walk)", once)


def test_a_search_may_touch_a_dependence_of_zero():
    """The slope of rho ** gap is infinite at zero where gaps are below one: neither a warning nor a stop."""
    data = people(200, 30, seed=3)
    data["y"] = np.random.default_rng(0).standard_normal(data["g"].max() + 1)[data["g"]]
    s = mm.Model("y ~ x + mm(m, g, effects=ar1(year))", data).specification
    marginal = marginal_of(s)
    room = marginal.workspace()
    theta = np.array([p.start for p in s.system.hypers])
    theta[[p.name for p in s.system.hypers].index("m.rho")] = 0.0
    value, gradient = marginal.gradient(theta, room)
    assert np.isfinite(value) and np.all(np.isfinite(gradient))


@pytest.mark.slow
def test_draws_of_an_autoregression_are_those_of_importance_sampling_by_dense_algebra():
    """NUTS walks through rho of states that are known vaguely with ten effective draws in a thousand: no oracle here.

    Five parameters are drawn from a t around the mean of the draws, and weighted by the posterior that a dense
    multivariate normal and the priors give: means within 4.5 Monte Carlo errors, sds within 8 per cent and 3.
    """
    data = people(80, 10, seed=2, sd=1.0, rho=0.98).sort_values("g")
    priors = {"Intercept": mm.prior.normal(0, 5), "b": mm.prior.normal(0, 2), "m.rho": mm.prior.beta(2, 2)}
    priors |= {"sd": mm.prior.half_normal(1.5), "sigma": mm.prior.half_normal(1.5)}
    run = {"draws": 2000, "tune": 800, "chains": 4, "random_seed": 1, "progress": False}
    fit = mm.fit("y ~ x + mm(m, g, effects = ar1(year))", data, priors=priors, **run)
    table, names = fit.summary(), ["Intercept", "x", "m.sd", "m.rho", "sigma"]

    groups = data.drop_duplicates("g")
    x, y = groups["x"].to_numpy(), groups["y"].to_numpy()
    apart = np.abs(np.subtract.outer(data["year"].to_numpy(), data["year"].to_numpy())) / mean_gap(data)
    same = data["m"].to_numpy()[:, None] == data["m"].to_numpy()
    z = (groups["g"].to_numpy()[:, None] == data["g"].to_numpy()) / data.groupby("g")["m"].transform("size").to_numpy()

    def natural(u):
        return np.array([u[0], u[1], np.exp(u[2]), 1.0 / (1.0 + np.exp(-u[3])), np.exp(u[4])])

    def log_posterior(u):
        b0, b1, sd, rho, sigma = natural(u)
        v = sd**2 * z @ np.where(same, rho**apart, 0.0) @ z.T + sigma**2 * np.eye(len(y))
        root = np.linalg.cholesky(v)
        r = np.linalg.solve(root, y - b0 - b1 * x)
        prior = stats.norm.logpdf(b0 + b1 * x.mean(), 0, 5) + stats.norm.logpdf(b1, 0, 2)
        prior += stats.norm.logpdf(sd, 0, 1.5) + stats.norm.logpdf(sigma, 0, 1.5) + stats.beta.logpdf(rho, 2, 2)
        jacobian = np.log(sd) + np.log(sigma) + np.log(rho) + np.log1p(-rho)
        return prior + jacobian - 0.5 * r @ r - np.log(np.diag(root)).sum()

    mean, spread = (table.loc[names, k].to_numpy() for k in ("mean", "sd"))
    slope = np.array([1.0, 1.0, 1.0 / mean[2], 1.0 / (mean[3] * (1.0 - mean[3])), 1.0 / mean[4]])
    center = np.array([mean[0], mean[1], np.log(mean[2]), np.log(mean[3] / (1.0 - mean[3])), np.log(mean[4])])
    spread_of_u = fit.cov_params().loc[names, names].to_numpy() * np.outer(slope, slope)
    proposal = stats.multivariate_t(center, 1.2 * spread_of_u, df=5, seed=3)
    u = proposal.rvs(4_000)
    weight = np.array([log_posterior(one) for one in u]) - proposal.logpdf(u)
    weight = np.exp(weight - weight.max())
    weight /= weight.sum()
    assert 1.0 / (weight**2).sum() > 500
    theta = np.array([natural(one) for one in u])
    exact = weight @ theta
    sd = np.sqrt(weight @ (theta - exact) ** 2)
    error = np.sqrt(weight**2 @ (theta - exact) ** 2)  # of the exact mean
    own = table.loc[names, "mcse_mean"].to_numpy()
    assert np.abs((mean - exact) / np.hypot(error, own)).max() < 4.5
    assert np.abs(spread / sd - 1.0).max() < 0.08 + 3.0 * np.sqrt((weight**2).sum() / 2.0)
