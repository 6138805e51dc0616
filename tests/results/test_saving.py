"""A fit as a DataTree and as a netCDF file: groups, dimensions, values, and nothing lost while writing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import micromacro as mm


def test_the_tree_has_the_groups_and_dimensions_of_arviz(mcmc, oracle):
    tree = mcmc.to_datatree()
    assert set(tree.children) == {"posterior", "sample_stats", "observed_data", "constant_data"}
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


def test_the_tree_holds_outcome_memberships_and_statistics(mcmc, oracle):
    tree = mcmc.to_datatree()
    assert np.array_equal(tree["observed_data"]["y"], oracle.y)
    assert np.array_equal(tree["observed_data"]["group"], oracle.groups)
    assert np.array_equal(tree["constant_data"]["member.group"], oracle.groups[oracle.g])
    assert np.array_equal(tree["constant_data"]["member.member"], oracle.members[oracle.m])
    assert {"lp", "accepted", "n_evaluations"} <= set(tree["sample_stats"].data_vars)
    assert tree["posterior"].attrs["inference_library"] == "micromacro"
    assert tree["posterior"].attrs["formula"] == mcmc.formula


def test_arviz_reads_the_tree(mcmc):
    import arviz_stats

    table = arviz_stats.summary(mcmc.to_datatree(), var_names=["sigma", "member.w.b1"], round_to="none")
    ours = mcmc.summary()
    assert table["mean"].to_numpy(dtype=float) == pytest.approx(ours.loc[list(table.index), "mean"].to_numpy())
    assert table["ess_bulk"].to_numpy(dtype=float) == pytest.approx(ours.loc[list(table.index), "ess_bulk"].to_numpy())


def test_ml_fits_have_no_tree_of_draws(ml):
    with pytest.raises(mm.EngineError, match="draws"):
        ml.to_datatree()


def test_saved_draws_are_read_back_equal(mcmc, tmp_path):
    path = tmp_path / "fit.nc"
    mcmc.save(path)
    tree = mcmc.to_datatree()
    with xr.open_datatree(path, engine="h5netcdf") as read:
        for name in tree.children:
            xr.testing.assert_identical(read[name].to_dataset().load(), tree[name].to_dataset())
    assert [p.name for p in tmp_path.iterdir()] == ["fit.nc"]


def test_saved_estimates_are_read_back_equal(ml, tmp_path):
    ml.save(str(tmp_path / "ml.nc"))
    with xr.open_datatree(tmp_path / "ml.nc", engine="h5netcdf") as read:
        table = read["estimates"].to_dataset().load()
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
def test_every_fit_that_can_be_made_can_be_saved(formula, quick, rng, tmp_path):
    """Names of netCDF variables may not contain a slash; a run must not be lost for that."""
    frame = pd.DataFrame(rng.standard_normal((24, 2)), columns=["x", "z"])
    frame["kind"] = np.tile(["a", "n/a", "c"], 8)
    frame["y"] = np.exp(0.3 * rng.standard_normal(24))
    fit = quick(formula, frame, "mcmc", draws=10, tune=10, chains=2, random_seed=1)
    fit.save(tmp_path / "fit.nc")
    with xr.open_datatree(tmp_path / "fit.nc", engine="h5netcdf") as read:
        kept = read["posterior"].to_dataset().load()
    assert len(kept.data_vars) == len(fit.params)
    assert sorted(float(v.mean()) for v in kept.data_vars.values()) == pytest.approx(sorted(fit.params))


def test_a_folder_that_does_not_exist_is_an_error_before_anything_is_written(ml, tmp_path):
    with pytest.raises(mm.MicromacroError, match="does not exist"):
        ml.save(tmp_path / "no" / "fit.nc")


def test_a_failing_write_leaves_the_old_file_and_no_rest(ml, tmp_path, monkeypatch):
    path = tmp_path / "fit.nc"
    ml.save(path)
    before = path.read_bytes()

    def broken(self, target, **options):
        target.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(xr.DataTree, "to_netcdf", broken)
    with pytest.raises(OSError, match="disk full"):
        ml.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["fit.nc"]
