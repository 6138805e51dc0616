"""A fit as a DataTree: groups, dimensions, values; and what a saved file shows to other programs."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

import micromacro as mm

OPTIONAL = {"prior", "prior_predictive", "posterior_predictive", "log_likelihood"}
ALWAYS = {"posterior", "sample_stats", "observed_data", "constant_data"}


@pytest.fixture(scope="module")
def tree(mcmc):
    return mcmc.to_datatree(prior_draws=300)


def test_the_tree_has_the_groups_and_dimensions_of_arviz(mcmc, tree, oracle):
    assert set(tree.children) == ALWAYS | OPTIONAL
    posterior = tree["posterior"].to_dataset()
    assert dict(posterior.sizes) == {"chain": 4, "draw": 400, "member_id": 24, "unit_id": 8}
    for k, name in enumerate(mcmc.params.index):
        assert posterior[name].dims == ("chain", "draw")
        assert np.array_equal(posterior[name], mcmc.posterior.draws[..., k])
    assert posterior["member.effect"].dims == ("chain", "draw", "member_id")
    assert np.array_equal(posterior["member_id"], oracle.members)
    assert np.array_equal(posterior["unit_id"], oracle.units)
    means = posterior["member.effect"].mean(("chain", "draw"))
    assert means.to_numpy() == pytest.approx(mcmc.random_effects("member")["mean"].to_numpy())


def test_the_costly_groups_can_be_left_out(mcmc):
    lean = mcmc.to_datatree(effects=False, log_likelihood=False, posterior_predictive=False, prior=False)
    assert set(lean.children) == ALWAYS
    assert dict(lean["posterior"].sizes) == {"chain": 4, "draw": 400}


def test_the_tree_holds_outcome_memberships_and_statistics(mcmc, tree, oracle):
    assert np.array_equal(tree["observed_data"]["y"], oracle.y)
    assert np.array_equal(tree["observed_data"]["group"], oracle.groups)
    constant = tree["constant_data"]
    assert np.array_equal(constant["member.group"], oracle.groups[oracle.g])
    assert np.array_equal(constant["member.member"], oracle.members[oracle.m])
    assert np.array_equal(constant["member.s"], oracle.s)
    assert np.array_equal(constant["x"], oracle.x)
    assert set(constant.data_vars) == {"member.group", "member.member", "member.s", "member.z", "x", "unit"}
    assert {"lp", "accepted", "n_evaluations"} <= set(tree["sample_stats"].data_vars)
    assert tree["posterior"].attrs["inference_library"] == "micromacro"
    assert tree["posterior"].attrs["formula"] == mcmc.formula


def linear_predictor(oracle, posterior, c, d):
    """eta of one draw, straight from the formula."""
    at = {n: float(posterior[n][c, d]) for n in ("Intercept", "x", "member.z", "member.w.b1")}
    w = oracle.weights(at["member.w.b1"])
    u = posterior["member.effect"].to_numpy()[c, d]
    v = posterior["unit.effect"].to_numpy()[c, d]
    inside = w * (at["member.z"] * oracle.z + u[oracle.m])
    return at["Intercept"] + at["x"] * oracle.x + np.bincount(oracle.g, inside) + oracle.Z @ v


def test_the_log_likelihood_is_the_density_of_each_group(tree, oracle):
    posterior = tree["posterior"].to_dataset()
    values = tree["log_likelihood"]["y"]
    assert values.dims == ("chain", "draw", "group")
    for c, d in ((0, 0), (2, 17), (3, 399)):
        expected = stats.norm.logpdf(oracle.y, linear_predictor(oracle, posterior, c, d), posterior["sigma"][c, d])
        assert values[c, d].to_numpy() == pytest.approx(expected, rel=1e-10, abs=1e-10)


def test_predictive_draws_scatter_around_the_linear_predictor(tree, oracle):
    posterior = tree["posterior"].to_dataset()
    again = tree["posterior_predictive"]["y"].to_numpy()
    at = [(c, d) for c in range(4) for d in range(0, 400, 40)]
    z = np.concatenate(
        [(again[a] - linear_predictor(oracle, posterior, *a)) / float(posterior["sigma"][a]) for a in at]
    )
    assert abs(z.mean()) < 4 / np.sqrt(len(z))
    assert abs(z.std() - 1) < 4 / np.sqrt(2 * len(z))


def test_prior_draws_are_of_the_prior(mcmc, tree):
    prior = tree["prior"].to_dataset()
    assert dict(prior.sizes) == {"chain": 1, "draw": 300, "member_id": 24, "unit_id": 8}
    given = {p.name: p.prior for p in mcmc.specification.parameters}
    for name in ("member.w.b1", "member.sd", "sigma", "x"):
        p = [given[name].below(float(v)) for v in prior[name].to_numpy()[0]]
        assert stats.kstest(p, "uniform").pvalue > 1e-3
    u = (prior["member.effect"] / prior["member.sd"]).to_numpy().ravel()
    assert stats.kstest(u, "norm").pvalue > 1e-3
    assert tree["prior_predictive"]["y"].shape == (1, 300, 80)


def test_the_same_tree_comes_twice(mcmc, tree):
    xr.testing.assert_identical(mcmc.to_datatree(prior_draws=300), tree)
    other = mcmc.to_datatree(prior_draws=300, random_seed=99)
    assert not np.array_equal(other["posterior_predictive"]["y"], tree["posterior_predictive"]["y"])


def test_rows_that_are_groups_keep_their_numbers(quick):
    """Prior draws stand in the order of rows, everything else in the order of the tables."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"x": rng.permutation(30) * 10.0})
    frame["y"] = frame["x"] + rng.standard_normal(30)
    priors = {"x": mm.prior.normal(1, 1e-6), "sigma": mm.prior.uniform(0.0, 1e-3)}
    fit = quick("y ~ x", frame, "mcmc", draws=8, tune=10, chains=1, random_seed=1, priors=priors)
    tree = fit.to_datatree(prior_draws=3)
    assert np.array_equal(tree["observed_data"]["y"], frame["y"].to_numpy()[tree["observed_data"]["group"]])
    made = tree["prior_predictive"]["y"]
    inner = made - made.mean("group")
    expected = frame["x"].to_numpy()[made["group"]] - frame["x"].mean()
    assert inner[0, 0].to_numpy() == pytest.approx(expected, abs=0.1)


def test_flat_priors_have_no_draws(quick):
    frame = pd.DataFrame({"x": np.arange(20.0), "y": np.random.default_rng(1).standard_normal(20)})
    fit = quick("y ~ x", frame, "mcmc", draws=8, tune=10, chains=1, random_seed=1, priors={"x": "flat"})
    assert "prior" not in fit.to_datatree().children
    with pytest.raises(mm.ModelError, match="flat prior"):
        fit.to_datatree(prior=True)


def test_arviz_reads_the_tree(mcmc, tree):
    import arviz_stats

    table = arviz_stats.summary(tree, var_names=["sigma", "member.w.b1"], round_to="none")
    ours = mcmc.summary()
    assert table["mean"].to_numpy(dtype=float) == pytest.approx(ours.loc[list(table.index), "mean"].to_numpy())
    assert table["ess_bulk"].to_numpy(dtype=float) == pytest.approx(ours.loc[list(table.index), "ess_bulk"].to_numpy())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a Pareto k just above the threshold
        assert np.isfinite(arviz_stats.loo(tree, var_name="y").elpd)


def test_ml_fits_have_no_tree_of_draws(ml):
    with pytest.raises(mm.EngineError, match="draws"):
        ml.to_datatree()


# -- files, as other programs see them -----------------------------------------------------------------------------


def test_other_programs_read_the_draws(mcmc, tree, tmp_path):
    mcmc.save(tmp_path / "fit.nc")
    with xr.open_datatree(tmp_path / "fit.nc", engine="h5netcdf") as read:
        for name in ALWAYS:
            xr.testing.assert_identical(read[name].to_dataset(inherit=False).load(), tree[name].to_dataset())
        assert read.attrs["formula"] == mcmc.formula
    assert [p.name for p in tmp_path.iterdir()] == ["fit.nc"]


def test_other_programs_read_the_estimates(ml, tmp_path):
    ml.save(str(tmp_path / "ml.nc"))
    with xr.open_datatree(tmp_path / "ml.nc", engine="h5netcdf") as read:
        table = read["estimates"].to_dataset(inherit=False).load()
    assert np.array_equal(table["estimate"], ml.params)
    assert np.array_equal(table["se"], ml.bse)
    assert np.array_equal(table["covariance"], ml.cov_params())
    assert list(table["parameter"].to_numpy()) == list(ml.params.index)
    assert table.attrs["loglik"] == ml.loglik
    assert table.attrs["engine"] == "ml"


def test_text_ids_of_several_blocks_are_saved(two_blocks, tmp_path):
    two_blocks["mcmc"].save(tmp_path / "two.nc")
    with xr.open_datatree(tmp_path / "two.nc", engine="h5netcdf") as read:
        assert list(read["posterior"]["aide_id"].to_numpy()) == [f"<{i}>" for i in range(9)]
        assert "head.effect" in read["posterior"]


TRICKY = {
    "an outcome with a slash": "y / 2 ~ x",
    "a transformed outcome": "log(y) ~ x",
    "a covariate with a slash": "y ~ I(x / 2)",
    "an interaction and a power": "y ~ x * z + I(x ** 2)",
    "levels of text with a slash": "y ~ C(kind)",
}


@pytest.mark.parametrize("formula", TRICKY.values(), ids=list(TRICKY))
def test_every_fit_that_can_be_made_can_be_saved(formula, quick, tmp_path):
    """Names of netCDF variables may not contain a slash; a run must not be lost for that."""
    rng = np.random.default_rng(7)
    frame = pd.DataFrame(rng.standard_normal((24, 2)), columns=["x", "z"])
    frame["kind"] = np.tile(["a", "n/a", "c"], 8)
    frame["y"] = np.exp(0.3 * rng.standard_normal(24))
    fit = quick(formula, frame, "mcmc", draws=10, tune=10, chains=2, random_seed=1)
    fit.save(tmp_path / "fit.nc")
    with xr.open_datatree(tmp_path / "fit.nc", engine="h5netcdf") as read:
        kept = read["posterior"].to_dataset(inherit=False).load()
    assert len(kept.data_vars) == len(fit.params)
    assert sorted(float(v.mean()) for v in kept.data_vars.values()) == pytest.approx(sorted(fit.params))
    assert mm.load(tmp_path / "fit.nc").summary().equals(fit.summary())
