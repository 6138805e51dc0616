"""Predictions: known and new groups, members and units, against the dense model."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import micromacro as mm

EXACT = {"abs": 1e-7}


def dense_eta(oracle, theta, rows, scale=None):
    """Design of new rows (long table) in (u, v, beta), with the constant of `total` of the training data."""
    b1, sd, unit_sd, _ = theta
    rows = rows.sort_values(["group", "member"], ignore_index=True)
    groups, g = np.unique(rows["group"], return_inverse=True)
    n = np.bincount(g)[g]
    raw = 1 / n ** np.exp(-b1 * rows["s"].to_numpy())
    old = 1 / oracle.n ** np.exp(-b1 * oracle.s)
    w = raw * (len(oracle.groups) / old.sum())
    first = rows.groupby("group").first()
    A = np.zeros((len(groups), 24 + 8 + 3))
    extra = np.zeros(len(groups))
    fresh = {}
    for i, member, weight in zip(g, rows["member"], w, strict=True):
        at = np.flatnonzero(oracle.members == member)
        if len(at):
            A[i, at[0]] += weight
        else:
            fresh[(i, member)] = fresh.get((i, member), 0.0) + weight
    for (i, _), weight in fresh.items():
        extra[i] += (sd * weight) ** 2
    for i, unit in enumerate(first["unit"]):
        at = np.flatnonzero(oracle.units == unit)
        if len(at):
            A[i, 24 + at[0]] = 1.0
        else:
            extra[i] += unit_sd**2
    A[:, 32], A[:, 33] = 1.0, first["x"]
    A[:, 34] = np.bincount(g, w * rows["z"].to_numpy(), len(groups))
    return A, extra


def expected(dense, oracle, fit, rows, reml=False):
    """Estimate, its error without unseen effects, and their variance."""
    theta = fit.params.to_numpy()[3:]
    v = np.linalg.inv(-dense.hessian(lambda t: oracle.marginal(t, reml)[0], theta))
    A, extra = dense_eta(oracle, theta, rows)
    x, inverse = oracle.blup(theta)
    slope = dense.gradient(lambda t: dense_eta(oracle, t, rows)[0] @ oracle.blup(t)[0], theta)
    variance = np.einsum("ik,kl,il->i", A, inverse, A) + np.einsum("ki,kl,li->i", slope, v, slope)
    return A @ x, np.sqrt(variance), extra


@pytest.fixture(scope="module")
def new(data):
    """Groups 1001: known members and unit; 1002: a new member twice; 1003: a new unit; 1004: a known group's rows."""
    old = data[data["group"] == 7]
    rows = [
        (1001, 100, 0.3, 0.5, 1.0, 10), (1001, 105, -0.2, 0.1, 1.0, 10), (1002, 103, 1.0, -0.5, -0.4, 11),
        (1002, 999, 0.0, 0.9, -0.4, 11), (1002, 999, 0.5, 0.9, -0.4, 11), (1003, 110, 0.1, 0.2, 0.6, 77),
    ]  # fmt: skip
    made = pd.DataFrame(rows, columns=["group", "member", "s", "z", "x", "unit"])
    return pd.concat([made, old.drop(columns="y").assign(group=1004)[made.columns]], ignore_index=True)


@pytest.mark.parametrize("engine", ["ml", "reml"])
def test_predictions_of_the_own_groups_are_the_dense_ones(request, dense, oracle, data, engine):
    fit = request.getfixturevalue(engine)
    eta, se, extra = expected(dense, oracle, fit, data, engine == "reml")
    table = fit.predict()
    assert not extra.any()
    assert list(table.columns) == ["estimate", "se", "lower", "upper"]
    assert table.index.name == "group"
    assert np.array_equal(table.index, oracle.groups)
    assert table["estimate"].to_numpy() == pytest.approx(eta, **EXACT)
    assert table["se"].to_numpy() == pytest.approx(se, rel=2e-3)


@pytest.mark.parametrize("engine", ["ml", "reml", "mcmc"])
def test_the_own_data_as_new_data_give_the_same_predictions(request, data, engine):
    fit = request.getfixturevalue(engine)
    own, again = fit.predict(), fit.predict(data.drop(columns="y").sample(frac=1, random_state=1))
    assert again.to_numpy() == pytest.approx(own.to_numpy(), rel=1e-6)
    assert np.array_equal(own.index, again.index)


def test_new_groups_members_and_units_are_predicted(dense, oracle, ml, new):
    eta, se, extra = expected(dense, oracle, ml, new)
    table = ml.predict(new, kind="linear")
    assert list(table.index) == [1001, 1002, 1003, 1004]
    assert table["estimate"].to_numpy() == pytest.approx(eta, **EXACT)
    assert table["se"].to_numpy() == pytest.approx(np.sqrt(se**2 + extra), rel=2e-3)
    assert (extra > 0).tolist() == [False, True, True, False]


def test_the_constant_of_total_stays_that_of_the_fit(ml, data, new):
    """A known group on its own is predicted as it was among all."""
    own = ml.predict().loc[7]
    alone = ml.predict(data[data["group"] == 7].drop(columns="y")).loc[7]
    assert alone.to_numpy() == pytest.approx(own.to_numpy(), rel=1e-6)
    assert ml.predict(new).loc[1004].to_numpy() == pytest.approx(own.to_numpy(), rel=1e-6)


def test_unseen_effects_can_be_put_at_zero(dense, oracle, ml, new):
    eta, se, _ = expected(dense, oracle, ml, new)
    table = ml.predict(new, new_effects="zero")
    assert table["estimate"].to_numpy() == pytest.approx(eta, **EXACT)
    assert table["se"].to_numpy() == pytest.approx(se, rel=2e-3)


def test_kinds_of_prediction_of_a_gaussian_outcome(ml, new):
    linear, mean, response = (ml.predict(new, kind=k) for k in ("linear", "mean", "response"))
    pd.testing.assert_frame_equal(linear, mean)
    assert response["estimate"].to_numpy() == pytest.approx(mean["estimate"].to_numpy())
    sigma = ml.params["sigma"]
    assert response["se"].to_numpy() == pytest.approx(np.sqrt(mean["se"] ** 2 + sigma**2).to_numpy())
    z = stats.norm.ppf(0.9)
    narrow = ml.predict(new, ci=0.8)
    assert (narrow["upper"] - narrow["estimate"]).to_numpy() == pytest.approx((z * narrow["se"]).to_numpy())


@pytest.fixture(scope="module")
def draw_by_draw(oracle, mcmc, new):
    """Linear predictors of the draws without unseen effects, and the variance of those."""
    theta, _ = mcmc.posterior.thinned(2000)
    system = mcmc.specification.system
    places = {name: mcmc.specification.layout.latents(k) for name, (k, _) in mcmc.specification.structures.items()}
    x = mcmc._outcome.draws.x.reshape(-1, system.size)
    beta = mcmc.posterior.draws.reshape(-1, 7)[:, :3]
    eta, extra = [], []
    for t, row, b in zip(theta, x, beta, strict=True):
        with np.errstate(over="ignore"):
            A, more = dense_eta(oracle, t, new)
        eta.append(A @ np.concatenate([t[1] * row[places["member"]], t[2] * row[places["unit"]], b]))
        extra.append(more)
    return np.array(eta), np.array(extra)


def test_predictions_with_draws_are_made_draw_by_draw(mcmc, new, draw_by_draw):
    eta, _ = draw_by_draw
    table = mcmc.predict(new, new_effects="zero", ci=0.9)
    assert list(table.columns) == ["mean", "sd", "lower", "upper"]
    assert table["mean"].to_numpy() == pytest.approx(eta.mean(0))
    assert table["sd"].to_numpy() == pytest.approx(eta.std(0, ddof=1))
    assert pytest.approx(np.quantile(eta, [0.05, 0.95], axis=0)) == table[["lower", "upper"]].to_numpy().T


@pytest.mark.parametrize("kind", ["linear", "response"])
def test_draws_for_unseen_effects_add_their_variance(mcmc, new, draw_by_draw, kind):
    eta, extra = draw_by_draw
    table = mcmc.predict(new, kind=kind, random_seed=5)
    draws = len(eta)
    variance = eta.var(0, ddof=1) + extra.mean(0)
    if kind == "response":
        variance = variance + (mcmc.posterior.thinned(2000)[0][:, 3] ** 2).mean()
    for i in range(4):
        away = (table["mean"].iloc[i] - eta[:, i].mean()) / np.sqrt(variance[i] / draws)
        assert abs(away) < 4, f"the mean is {away:+.1f} Monte Carlo standard errors off"
        # heavy tails of extra: error of a variance from a kurtosis of up to 6
        assert table["sd"].iloc[i] ** 2 == pytest.approx(variance[i], rel=4 * np.sqrt(5 / draws))
    assert mcmc.predict(new, kind=kind, random_seed=5).equals(table)
    if kind == "response":
        assert not mcmc.predict(new, kind=kind, random_seed=6).equals(table)


def test_fitted_values_and_residuals_make_up_the_outcome(ml, mcmc, oracle):
    for fit in (ml, mcmc):
        assert (fit.fitted() + fit.residuals()).to_numpy() == pytest.approx(oracle.y)
        assert np.array_equal(fit.fitted().index, oracle.groups)
        assert np.array_equal(fit.fitted(), fit.predict().iloc[:, 0])
    assert ml.fitted().name == "fitted"
    assert ml.residuals().std() < 1.2 * ml.params["sigma"]


def test_where_rows_are_groups_results_come_in_the_order_of_the_rows(quick, rng):
    frame = pd.DataFrame({"x": rng.standard_normal(25), "unit": rng.integers(0, 5, 25).astype(str)})
    frame["y"] = 1 + 2 * frame["x"] + 0.1 * rng.standard_normal(25)
    fit = quick("y ~ x + (1 | unit)", frame)
    assert list(fit.fitted().index) == list(range(25))
    assert (fit.fitted() + fit.residuals()).to_numpy() == pytest.approx(frame["y"].to_numpy())
    assert fit.predict(frame.drop(columns="y")).to_numpy() == pytest.approx(fit.predict().to_numpy(), rel=1e-6)
    sampled = quick(fit.formula, frame, "mcmc", draws=50, tune=50, chains=2, random_seed=1)
    assert np.abs(sampled.fitted().to_numpy() - frame["y"]).max() < 0.6


LABELS = {
    "filtered": lambda n: 3 * np.arange(n)[::-1] + 5,
    "text": lambda n: [f"row {k}" for k in range(n)][::-1],
    "repeated": lambda n: np.arange(n) % 4,
    "several": lambda n: pd.MultiIndex.from_arrays([np.arange(n) % 4, np.arange(n)], names=["a", "b"]),
    "times": lambda n: pd.date_range("2020-01-31", periods=n, tz="UTC", name="when"),
}
KEPT = ("filtered", "text", "repeated")


@pytest.mark.parametrize("kind", LABELS)
def test_rows_that_are_groups_keep_the_index_of_their_frame(quick, rng, tmp_path, kind):
    data = pd.DataFrame({"x": rng.standard_normal(30), "u": rng.integers(0, 4, 30), "z": rng.standard_normal(30)})
    data["y"] = data["x"] + rng.standard_normal(30)
    data.index = pd.Index(LABELS[kind](30))
    data.iloc[2, data.columns.get_loc("x")] = np.nan  # a row that is dropped
    fit = quick("y ~ x + (1 | u)", data, missing="drop")
    rest = data.drop(columns="y")[data["x"].notna().to_numpy()]
    y = data["y"][data["x"].notna().to_numpy()].to_numpy()
    for table in (fit.residuals(), fit.fitted(), fit.predict(), fit.predict(rest), fit.predict(kind="response")):
        assert table.index.equals(rest.index)
    joined = rest.assign(residual=fit.residuals(), fitted=fit.fitted())
    assert (joined["residual"] + joined["fitted"]).to_numpy() == pytest.approx(y)
    assert fit.predict(rest)["estimate"].to_numpy() == pytest.approx(fit.fitted().to_numpy())
    assert list(fit.predictions(by="group").index) == rest.index.tolist()
    fit.save(tmp_path / "fit.nc")
    loaded = mm.load(tmp_path / "fit.nc")
    assert loaded.residuals().to_numpy() == pytest.approx(fit.residuals().to_numpy())
    for again in (loaded, loaded.update(formula="y ~ x")):
        assert again.residuals().index.equals(rest.index) == (kind in KEPT)
    assert len(mm.compare({"a": fit, "b": loaded})) == 2


def test_everything_by_group_has_the_index_of_the_frame(quick, rng):
    data = pd.DataFrame({"x": rng.standard_normal(30), "u": np.arange(30) % 4}, index=list(range(40, 10, -1)))
    data["y"] = data["x"] + rng.standard_normal(30)
    data["grade"] = pd.cut(data["y"], 3, labels=["low", "middle", "high"])
    fit = quick("y ~ x + (1 | u)", data, "laplace", draws=60, random_seed=1)
    assert fit.predict(draws=True)["group"].to_numpy().tolist() == list(data.index)
    assert fit.loo_pit().index.equals(data.index)
    assert fit.variance_components(by="group").index.get_level_values(0).unique().equals(data.index)
    observed = fit.to_datatree(prior=False)["observed_data"]["y"].to_series()
    assert observed.loc[data.index].to_numpy() == pytest.approx(data["y"].to_numpy())
    same, other = fit.group_correlation([40, 36, 35]).loc[40, [36, 35]]  # 40 and 36 share a unit
    assert same > other == 0.0
    plain = quick("y ~ x + (1 | u)", data.reset_index(), "laplace", draws=60, random_seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mm.MicromacroWarning)  # of Pareto k
        elpd, numbered = (f.loo().pointwise["elpd"] for f in (fit, plain))
    assert elpd.loc[data.index].to_numpy() == pytest.approx(numbered.sort_index().to_numpy())
    by = fit.ppc("mean", by=pd.Series(data["x"] > 0, data.index))
    assert by["observations"].to_list() == [int((data["x"] <= 0).sum()), int((data["x"] > 0).sum())]
    ordinal = quick("grade ~ x", data, family="ordinal").predict(kind="probability")
    assert ordinal.index.equals(pd.MultiIndex.from_product([data.index, ["low", "middle", "high"]]))
    assert ordinal["estimate"].unstack().sum(axis=1).to_numpy() == pytest.approx(np.ones(30))


def test_a_transformed_outcome_is_predicted_on_the_scale_of_the_model(quick, rng):
    frame = pd.DataFrame({"x": rng.standard_normal(25)})
    frame["y"] = np.exp(1 + frame["x"] + 0.1 * rng.standard_normal(25))
    fit = quick("log(y) ~ x", frame)
    assert (fit.fitted() + fit.residuals()).to_numpy() == pytest.approx(np.log(frame["y"]).to_numpy())
    assert fit.predict(frame[["x"]])["estimate"].to_numpy() == pytest.approx(fit.fitted().to_numpy())


def test_offsets_and_known_coefficients_are_part_of_predictions(quick, rng):
    frame = pd.DataFrame({"x": rng.standard_normal(25), "o": rng.standard_normal(25), "k": rng.standard_normal(25)})
    frame["y"] = 1 + 2 * frame["x"] + frame["o"] + 3 * frame["k"] + 0.1 * rng.standard_normal(25)
    fit = quick("y ~ x + offset(o) + fix(k, 3.0)", frame)
    new = pd.DataFrame({"x": [0.5, 2.0], "o": [1.0, 5.0], "k": [0.0, -1.0]})
    expected = fit.params["Intercept"] + fit.params["x"] * new["x"] + new["o"] + 3 * new["k"]
    assert fit.predict(new)["estimate"].to_numpy() == pytest.approx(expected.to_numpy())


def test_relational_tables_can_be_predicted(ml, data, new):
    groups = new[["group", "x", "unit"]].drop_duplicates()
    edges = new[["group", "member", "s", "z"]]
    long = ml.predict(new)
    assert ml.predict(groups, memberships=edges).to_numpy() == pytest.approx(long.to_numpy(), rel=1e-9)


def test_coefficients_with_other_priors_are_part_of_predictions(data, quick):
    """A coefficient whose prior is not normal lives in theta, not in x."""
    formula = "y ~ x + mm(member, group, z, weights = 1/n)"
    priors = {"x": mm.prior.student(3, 0, 5), "member.z": mm.prior.student(3, 0, 5)}
    fit = quick(formula, data, priors=priors)
    plain = quick(formula, data)
    assert fit.params.to_numpy() == pytest.approx(plain.params.to_numpy(), abs=0.02)
    rows = data.drop(columns="y")
    assert fit.predict(rows).to_numpy() == pytest.approx(fit.predict().to_numpy(), rel=1e-6)
    assert fit.predict()["se"].to_numpy() == pytest.approx(plain.predict()["se"].to_numpy(), rel=0.02)


@pytest.mark.parametrize(
    ("arguments", "match"), [({"kind": "density"}, "kind="), ({"new_effects": "mean"}, "new_effects=")]
)
def test_unknown_words_are_refused(ml, arguments, match):
    with pytest.raises(mm.EngineError, match=match):
        ml.predict(**arguments)


def test_a_missing_column_is_named(ml, new):
    with pytest.raises(mm.MicromacroError, match="'s'"):
        ml.predict(new.drop(columns="s"))


def test_a_transformation_without_a_value_is_an_error(quick, rng):
    data = pd.DataFrame({"x": rng.standard_normal(40), "u": rng.uniform(0, 3, 40)})
    fit = quick("y ~ x + log(u + 1)", data.assign(y=data["x"] + rng.standard_normal(40)))
    with pytest.raises(mm.DataError, match=r"the term 'log\(u \+ 1\)' is not finite in 2 of 40 rows"):
        fit.predict(data.assign(u=data["u"].where(data.index > 1, -5.0)))


def test_trials_that_are_a_number(quick):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"x": rng.standard_normal(60), "n": 10})
    frame["k"] = rng.binomial(10, 0.4, 60)
    fit, same = (quick(f"trials(k, {n}) ~ x", frame, family="binomial") for n in ("10", "n"))
    assert fit.loglik == same.loglik
    new = pd.DataFrame({"x": [0.0, 1.0]})
    made = fit.predict(new, kind="response", random_seed=1)
    assert made.equals(same.predict(new.assign(n=10), kind="response", random_seed=1))
    assert made["estimate"].between(2, 6).all()


def test_missing_values_of_new_groups_have_no_remedy_that_is_not_there(quick):
    frame = pd.DataFrame({"x": np.arange(9.0), "y": np.sin(np.arange(9.0))})
    with pytest.raises(mm.DataError, match="or leave out the 1 row"):
        quick("y ~ x", frame).predict(pd.DataFrame({"x": [1.0, np.nan]}))
