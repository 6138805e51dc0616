"""Input that is unusual and yet right: it fits, and what the user should know is said in a warning or a note."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.simulate import coalitions

PLAIN = "log_duration ~ majority + mm(pid, gid, cohesion)"


@pytest.fixture(scope="module")
def data():
    return coalitions(60, 25, 5, random_seed=3).data


def ml(formula, data, **more):
    return mm.fit(formula, data, engine="ml", progress=False, **more)


def test_an_empty_slot_is_no_member(data):
    """A row without a member leaves the others of its group as if the row were not there."""
    empty = data.assign(pid=data["pid"].where(data.index != 1), cohesion=data["cohesion"].where(data.index != 1))
    fit = ml(PLAIN, empty)
    pd.testing.assert_series_equal(fit.params, ml(PLAIN, data.drop(index=1)).params, rtol=0, atol=0)
    first = fit.weights().query("gid == 1") if "gid" in fit.weights() else fit.weights().query("group == 1")
    assert len(first) == 2


def test_a_group_without_members_gets_nothing_from_the_block_and_is_noted(data):
    model = mm.Model(PLAIN, data.assign(pid=data["pid"].where(data["gid"] != 7)))
    assert "1 of 60 groups have no member in block 'pid' and get 0 from it" in model.explain()
    part = model.specification.members["pid"]
    assert np.diff(part.memberships.start)[6] == 0
    assert model.fit("ml", progress=False).nobs == 60


def test_a_member_listed_twice_weighs_as_much_as_two(data):
    """Listing a member again is the same as one row with twice the weight, where weights are data."""
    weighted = data.assign(w=np.where(data.index == 1, 2.0, 1.0))
    listed = pd.concat([data.assign(w=1.0), data.iloc[[1]].assign(w=1.0)])
    for rule in ("group", "none"):
        formula = f"log_duration ~ majority + mm(pid, gid, cohesion, weights = w, normalize = {rule})"
        twice, once = ml(formula, listed), ml(formula, weighted)
        np.testing.assert_allclose(twice.params, once.params, rtol=1e-8, atol=1e-10)
        assert twice.loglik == pytest.approx(once.loglik, abs=1e-9)
        u = [fit.random_effects("pid").iloc[:, 0].to_numpy() for fit in (twice, once)]
        np.testing.assert_allclose(u[0], u[1], rtol=1e-7, atol=1e-9)
    assert "lists a member again in the same group" in mm.Model(PLAIN, listed).explain()


def test_a_member_listed_twice_counts_twice_in_n(data):
    listed = pd.concat([data, data.iloc[[1]]])
    weights = ml("log_duration ~ mm(pid, gid, normalize = none)", listed).weights()
    np.testing.assert_allclose(weights["weight"].to_numpy()[:4], 0.25)


def test_one_member_for_all_groups_fits_and_tells_nothing_of_spread(data):
    fit = ml("log_duration ~ majority + mm(pid, gid)", data.assign(pid="only"))
    assert fit.params["pid.sd"] == 0.0
    assert np.isnan(fit.bse["pid.sd"])
    assert any("pid.sd" in remark for remark in fit.health.remarks)


def test_one_member_for_all_groups_can_be_sampled(data):
    fit = mm.fit("log_duration ~ mm(pid, gid)", data.assign(pid="only"), draws=20, tune=20, chains=2,
                 random_seed=1, progress=False)  # fmt: skip
    assert np.isfinite(fit.params).all()


def test_more_members_than_groups_fit(data):
    fit = ml("log_duration ~ majority + mm(pid, gid)", data.assign(pid=np.arange(len(data))))
    assert len(fit.random_effects("pid")) == 182 > fit.nobs
    assert np.isfinite(fit.params).all()


def test_one_unit_for_all_groups_fits_with_a_warning(data):
    with pytest.warns(mm.MicromacroWarning, match="is .1. in every group"):
        assert ml("log_duration ~ majority + mm(pid, gid) + (1 | cid)", data.assign(cid=1)).params["cid.sd"] == 0.0


def test_a_constant_column_without_an_intercept_fits(data):
    fit = ml("log_duration ~ 0 + one + mm(pid, gid)", data.assign(one=1.0))
    assert fit.params["one"] == pytest.approx(ml("log_duration ~ mm(pid, gid)", data).params["Intercept"], rel=1e-6)


@pytest.mark.parametrize(
    ("formula", "columns"),
    [
        ("log_duration ~ mm(pid, gid)", {"n": 5}),
        ("log_duration ~ mm(pid, gid, weights = power(pseat))", {"n": 5}),
        ("log_duration ~ mm(pid, gid, weights = exp(b * pseat))", {"n": "text"}),
        ('log_duration ~ mm(pid, gid, weights = exp(n * pseat), parameters = "n")', {}),
    ],
    ids=["default weights", "power()", "own weights", "n is a parameter"],
)
def test_a_column_n_is_of_no_concern_where_the_user_did_not_write_n(data, formula, columns):
    mm.Model(formula, data.assign(**columns)).explain()


def test_a_column_n_that_agrees_is_welcome(data):
    size = data.groupby("gid")["pid"].transform("size")
    assert "pid.w.b" in mm.Model("log_duration ~ n + mm(pid, gid, weights = n ** b)", data.assign(n=size)).explain()


@pytest.mark.parametrize("symbol", ["pseta", "PSEAT", "pseats"])
def test_a_free_symbol_that_nearly_spells_a_column_gets_a_warning(data, symbol):
    formula = f"log_duration ~ mm(pid, gid, weights = 1 / n ** exp(-(b * {symbol})))"
    says = f"'{symbol}' was taken for a free parameter, but there is a column 'pseat': correct the spelling"
    with pytest.warns(mm.MicromacroWarning, match=says):
        text = mm.Model(formula, data).explain()
    assert f"free parameters: pid.w.b, pid.w.{symbol}" in text
    assert says in text


def test_a_listed_symbol_gets_no_warning(data):
    mm.Model('log_duration ~ mm(pid, gid, weights = 1 / n ** exp(-(b0 + b1 * pseat)), parameters = "b0 b1")',
             data).explain()  # fmt: skip


def test_a_weight_covariate_far_from_unit_spread_gets_a_warning(data):
    with pytest.warns(mm.MicromacroWarning, match="'votes' of block 'pid' has a standard deviation of .*: divide"):
        mm.Model(
            "log_duration ~ mm(pid, gid, weights = power(votes))", data.assign(votes=1e4 * data["pseat"])
        ).explain()


def test_weights_that_nothing_informs_get_a_warning(data):
    with pytest.warns(mm.MicromacroWarning, match="block 'pid' has neither a covariate nor effects"):
        mm.Model("log_duration ~ mm(pid, gid, weights = power(pseat), effects = none)", data).explain()


def test_groups_dropped_for_missing_values_are_reported(data):
    gaps = data.assign(cohesion=data["cohesion"].where(data.index != 4), log_duration=data["log_duration"].where(
        data["gid"] != 1))  # fmt: skip
    with pytest.warns(
        mm.MicromacroWarning, match="dropped 2 of 60 groups for missing values in 'log_duration' of data"
    ):
        fit = ml(PLAIN, gaps, missing="drop")
    assert fit.nobs == 58
    rest = ml(PLAIN, data[~data["gid"].isin([1, 2])])
    pd.testing.assert_series_equal(fit.params, rest.params, rtol=0, atol=0)


@pytest.mark.parametrize("weights", ["z", "z * pseat", "b * pseat"])
def test_weights_of_zero_are_allowed_where_nothing_is_normalised(data, weights):
    """Under normalize=none a group may start with all weights zero: nothing is divided by their sum."""
    zero = data.assign(z=(data["gid"] != 7) * 1.0)
    text = mm.Model(f"log_duration ~ mm(pid, gid, weights = {weights}, normalize = none)", zero).explain()
    assert "pid.sd" in text


def test_negative_weights_are_allowed_where_nothing_is_normalised(data):
    plus, minus = (ml(f"log_duration ~ mm(pid, gid, weights = {w}, normalize = none)", data) for w in ("1", "-1"))
    np.testing.assert_allclose(plus.params, minus.params, rtol=1e-9)


def test_flat_priors_on_coefficients_are_allowed(data):
    fit = mm.fit(PLAIN, data, priors={"b": "flat", "Intercept": "flat"}, draws=20, tune=20, chains=2, random_seed=1,
                 progress=False)  # fmt: skip
    assert np.isfinite(fit.params).all()


def test_numbers_of_numpy_serve_as_numbers(data):
    settings = {"draws": np.int64(6), "tune": np.int32(6), "chains": np.int64(1), "random_seed": np.int64(1)}
    assert mm.fit(PLAIN, data, progress=False, **settings).nobs == 60


def test_a_constant_at_the_starting_weights_alone_is_no_error():
    """Under total weights the members' intercept is one everywhere at b_w = 0, and is not elsewhere."""
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(80), rng.integers(2, 7, 80))
    table = pd.DataFrame({"g": g, "m": rng.integers(0, 30, len(g)), "z": rng.standard_normal(len(g))})
    table["y"] = rng.standard_normal(80)[g]
    with pytest.warns(mm.MicromacroWarning, match="'m.Intercept' is constant over the groups at the starting weights"):
        fit = mm.fit("y ~ 1 + mm(m, g, 1, weights = power(z), effects = none)", table, engine="ml")
    assert np.isfinite(fit.loglik) and "m.Intercept" in fit.params.index
    with pytest.raises(mm.ModelError, match="leave it out"):
        mm.Model("y ~ 1 + mm(m, g, 1, weights = power(z), normalize = group)", table)
