"""Saved fits: read back they are the fits they were; what was changed, or belongs to other data, is refused."""

from __future__ import annotations

import dataclasses
import errno
import json
import resource
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import micromacro as mm
from micromacro.families.registry import FAMILIES, family_from_plain, family_to_plain
from micromacro.parameters import PriorBook
from micromacro.results.store import FileError, describe, file
from micromacro.results.store.plain import pack, unpack
from micromacro.results.store.tables import fingerprint


@pytest.fixture(params=["ml", "reml", "mcmc"])
def fit(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def votes(quick):
    """A Bernoulli model with two kinds of effects, whose ids are text and dates, by ml, laplace and mcmc."""
    rng = np.random.default_rng(5)
    rows = [(g, m) for g in range(70) for m in rng.choice(12, 3, replace=False)]
    frame = pd.DataFrame(rows, columns=["g", "m"])
    frame["group"] = [f"vote/{g:02d} é" for g in frame["g"]]
    frame["member"] = pd.to_datetime("2020-01-31") + pd.to_timedelta(frame["m"] * 31, unit="D")
    place = np.array(["south", "north", "east"])[rng.integers(0, 3, 70)]
    frame["place"] = pd.Categorical(place[frame["g"]], categories=["south", "east", "north", "nowhere"])
    frame["urban"] = (rng.random(70) < 0.5)[frame["g"]]
    frame["s"] = rng.standard_normal(len(frame))
    frame["role"] = np.where(rng.random(len(frame)) < 0.3, "chair", "seat")
    frame["y"] = (rng.random(70) < 0.5).astype(int)[frame["g"]]
    frame = frame.drop(columns=["g", "m"])
    formula = (
        "y ~ urban + C(place) + mm(member, group, s, weights = exp(b1 * s + b2 * (role == 'chair')), "
        "normalize = group) + (1 | place)"
    )
    fits = {
        engine: quick(formula, frame, engine, family=mm.families.bernoulli(link="probit"), draws=60, tune=60, chains=2,
                      random_seed=3, priors={"member.w.b1": mm.prior.student(4, 0.5, 2), "sd": mm.prior.half_normal(1)})
        for engine in ("ml", "laplace", "mcmc")
    }  # fmt: skip
    return frame, fits


def same(one, other, new=None):
    """Two fits that say the same, to the last digit."""
    assert other.formula == one.formula
    assert other.engine == one.engine
    assert other.seconds == one.seconds
    pd.testing.assert_frame_equal(other.summary(), one.summary(), check_exact=True)
    pd.testing.assert_frame_equal(other.weights(), one.weights(), check_exact=True)
    pd.testing.assert_frame_equal(other.random_effects(), one.random_effects(), check_exact=True)
    pd.testing.assert_frame_equal(other.variance_components(), one.variance_components(), check_exact=True)
    pd.testing.assert_frame_equal(other.predict(), one.predict(), check_exact=True)
    assert other.report() == one.report()
    assert other.health == one.health
    assert fingerprint(other.specification.tables) == fingerprint(one.specification.tables)
    if new is not None:
        pd.testing.assert_frame_equal(
            other.predict(new, random_seed=1), one.predict(new, random_seed=1), check_exact=True
        )


def test_a_loaded_fit_is_the_fit(fit, data, tmp_path):
    report = fit.save(tmp_path / "fit.nc")
    new = data[data["group"] <= 9].assign(member=lambda d: d["member"] + 5)
    same(fit, mm.load(tmp_path / "fit.nc"), new)
    assert report.total == (tmp_path / "fit.nc").stat().st_size
    assert "what the engine returned" in repr(report)


@pytest.mark.parametrize("engine", ["ml", "laplace", "mcmc"])
def test_text_dates_categories_and_options_survive(votes, engine, tmp_path):
    frame, fits = votes
    fits[engine].save(tmp_path / "fit.nc")
    loaded = mm.load(str(tmp_path / "fit.nc"))
    same(fits[engine], loaded, frame[frame["group"] < "vote/10"])
    assert loaded.specification.family == mm.families.bernoulli(link="probit")
    before, after = fits[engine].specification, loaded.specification
    assert after.parameters == before.parameters
    assert after.tables.groups["place"].categories == ("south", "east", "north")
    for name in ("place", "urban"):
        assert after.tables.groups[name].values.dtype == before.tables.groups[name].values.dtype
        assert np.array_equal(after.tables.groups[name].values, before.tables.groups[name].values)
    assert after.members["member"].levels.values.dtype == np.dtype("datetime64[us]")
    assert fits[engine]._outcome.settings == loaded._outcome.settings
    assert fits[engine]._outcome.extra.keys() == loaded._outcome.extra.keys()


def test_fixed_values_survive(ml, data, quick, tmp_path):
    fit = quick(ml.formula, data, fixed={"sigma": 0.5, "member.w.b1": 1.0})
    fit.save(tmp_path / "fit.nc")
    loaded = mm.load(tmp_path / "fit.nc")
    pd.testing.assert_frame_equal(loaded.summary(), fit.summary(), check_exact=True)
    free = loaded.update(fixed={"sigma": 0.5})
    assert free.loglik == pytest.approx(fit.update(fixed={"sigma": 0.5}).loglik) and free.loglik > fit.loglik


def test_slopes_and_graphs(quick, data, tmp_path):
    """Effects with two labels, and effects on a graph, which is in the file."""
    frame = data.assign(place=data["unit"])
    fit = quick("y ~ x + mm(member, group, weights = 1 / n, normalize = group) + (1 + x | unit)", frame)
    fit.save(tmp_path / "fit.nc", data=False)
    for loaded in (mm.load(tmp_path / "fit.nc"), mm.load(tmp_path / "fit.nc", data=frame)):
        pd.testing.assert_frame_equal(loaded.random_effects("unit"), fit.random_effects("unit"), check_exact=True)
    ring = {m: [100 + (m - 99) % 24, 100 + (m - 101) % 24] for m in range(100, 124)}
    text = "y ~ x + mm(member, group, weights = 1 / n, normalize = group, effects = icar(ring))"
    fit = quick(text, frame, graphs={"ring": ring})
    fit.save(tmp_path / "ring.nc")
    loaded = mm.load(tmp_path / "ring.nc")
    pd.testing.assert_frame_equal(loaded.summary(), fit.summary(), check_exact=True)
    pd.testing.assert_frame_equal(loaded.random_effects("member"), fit.random_effects("member"), check_exact=True)


def test_two_blocks_and_ids_of_text(two_blocks, tmp_path):
    for engine, fit in two_blocks.items():
        fit.save(tmp_path / f"{engine}.nc")
        loaded = mm.load(tmp_path / f"{engine}.nc")
        for block in ("head", "aide"):
            pd.testing.assert_frame_equal(loaded.weights(block), fit.weights(block), check_exact=True)
            pd.testing.assert_frame_equal(loaded.random_effects(block), fit.random_effects(block), check_exact=True)


def test_a_loaded_fit_can_be_fitted_again(ml, tmp_path, quick):
    """As the fit itself: with other engines, priors and formulas."""
    ml.save(tmp_path / "fit.nc")
    loaded = mm.load(tmp_path / "fit.nc")
    equal = ml.formula.replace("1 / n ** exp(-(b1 * s))", "1 / n")
    for changes in ({"engine": "reml"}, {"formula": equal}, {"priors": {"w": mm.prior.normal(0, 0.1)}}):  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", mm.MicromacroWarning)
            again, before = loaded.update(**changes), ml.update(**changes)
        pd.testing.assert_frame_equal(again.summary(), before.summary(), rtol=1e-6)
    assert loaded.lr_test(loaded.update(formula=equal)).statistic > 0
    with pytest.raises(mm.DataError, match=r"need a formula with mm\(\)(.|\n)*update\(data="):
        loaded.update(formula="y ~ x + (1 | unit)")  # on the table as it was, each row would be a group
    twice = loaded.update(formula=equal).update(engine="reml")
    assert twice.loglik == pytest.approx(ml.update(formula=equal, engine="reml").loglik)


def test_a_column_that_the_file_does_not_have_is_no_parameter(ml, data, tmp_path, quick):
    """A symbol that was a column of the data is not taken for a free parameter because it was not kept."""
    fit = quick(ml.formula.replace("exp(-(b1 * s))", "exp(-b1)"), data)
    fit.save(tmp_path / "fit.nc")
    loaded = mm.load(tmp_path / "fit.nc")
    with pytest.raises(mm.DataError, match=r"'s'(.|\n)*update\(data="):
        loaded.update(formula=ml.formula)
    again = loaded.update(formula=ml.formula, data=data)
    pd.testing.assert_frame_equal(again.summary(), ml.summary(), rtol=1e-6)


def test_rows_that_are_groups(quick, tmp_path):
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"x": rng.standard_normal(40), "u": np.tile(list("abcd"), 10), "w": rng.integers(1, 4, 40)})
    frame["y"] = rng.poisson(np.exp(0.4 * frame["x"]))
    frame.loc[7, "x"] = np.nan
    fit = quick("y ~ x + (1 | u)", frame, family="poisson", missing="drop", observation_weights="w")
    fit.save(tmp_path / "fit.nc")
    loaded = mm.load(tmp_path / "fit.nc")
    pd.testing.assert_frame_equal(loaded.predict(), fit.predict(), check_exact=True)
    assert 7 not in loaded.predict().index
    assert loaded.specification.notes == fit.specification.notes
    smaller = fit.update(formula="y ~ 1", data=frame.dropna())  # the file has no row 7
    assert loaded.update(formula="y ~ 1").loglik == pytest.approx(smaller.loglik, rel=1e-9)
    plain = quick("y ~ x", frame.dropna(), family="poisson")  # no hyper parameter and no effect: arrays of length 0
    plain.save(tmp_path / "plain.nc")
    assert mm.load(tmp_path / "plain.nc").summary().equals(plain.summary())


def test_ordered_and_censored_outcomes(quick, tmp_path):
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"x": rng.standard_normal(60)})
    words = ["low", "mid", "high", "never"]
    frame["grade"] = pd.Categorical.from_codes(rng.integers(0, 3, 60), words[:3], ordered=True)
    frame["t0"] = rng.exponential(size=60)
    frame["t1"] = np.where(rng.random(60) < 0.3, np.inf, frame["t0"] + 1)
    for formula, family in (("grade ~ x", "ordinal"), ('surv(t0, t1, type="interval") ~ x', "weibull")):
        fit = quick(formula, frame, family=family)
        fit.save(tmp_path / "fit.nc")
        loaded = mm.load(tmp_path / "fit.nc")
        assert loaded.summary().equals(fit.summary())
        assert loaded.specification.response.categories == fit.specification.response.categories
        assert np.array_equal(loaded.specification.response.values, fit.specification.response.values, equal_nan=True)


def test_two_frames_and_two_orders_have_one_fingerprint(ml, data, quick):
    polars = pytest.importorskip("polars")
    shuffled = data.sample(frac=1.0, random_state=5)
    other = mm.Model(ml.formula, polars.from_pandas(shuffled.reset_index(drop=True)))
    assert fingerprint(other.specification.tables) == fingerprint(ml.specification.tables)
    changed = data.assign(s=data["s"].where(data.index != 3, 0.123))
    assert fingerprint(mm.Model(ml.formula, changed).specification.tables) != fingerprint(ml.specification.tables)


# -- descriptions ------------------------------------------------------------------------------------------------


def test_every_prior_is_described(request):
    makers = {
        "a": mm.prior.normal(0.1, 2), "b": mm.prior.student(3, 0, 1), "c": mm.prior.half_normal(2),
        "d": mm.prior.half_student(3, 0, 2), "e": mm.prior.half_cauchy(5), "f": mm.prior.exponential(0.1),
        "g": mm.prior.gamma(2, 3), "h": mm.prior.uniform(0, 1 / 3), "i": mm.prior.beta(1, 2), "j": mm.prior.lkj(2),
        "k": "flat",
    }  # fmt: skip
    book = PriorBook(makers)
    text = json.dumps(describe.priors_to_plain(book))
    back = PriorBook(describe.priors_from_plain(json.loads(text)))
    assert back.given == book.given
    for word in ("flat", "vague"):
        assert PriorBook(describe.priors_from_plain(describe.priors_to_plain(PriorBook(word)))).given == {
            "default": word
        }


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_is_described(name):
    family = FAMILIES[name]()
    plain = json.loads(json.dumps(family_to_plain(family)))
    assert family_from_plain(plain, None) == family


@dataclasses.dataclass(frozen=True)
class Own(mm.families.poisson):
    """A family of the user's own."""


def test_a_family_of_ones_own_must_be_given(quick, tmp_path):
    frame = pd.DataFrame({"x": np.arange(20.0) / 20, "y": np.arange(20) % 5})
    fit = quick("y ~ x", frame, family=Own())
    fit.save(tmp_path / "fit.nc")
    with pytest.raises(mm.ModelError, match=r"family="):
        mm.load(tmp_path / "fit.nc")
    assert mm.load(tmp_path / "fit.nc", family=Own()).summary().equals(fit.summary())


NESTED = {
    "a": np.array([1.5, np.nan, -np.inf]), "b/c": (1, "two", None, [True, 2**200]),
    "t": np.array(["2020-01-01", "NaT", "0900-05-05"], dtype="datetime64[us]"),
    "s": np.array(["", "x\x00y", "é", "\ud800"], dtype=object), "u": np.array(["b", "a", "b"]),
    "i": np.arange(6, dtype=np.int64).reshape(2, 3), "f": np.array([True, False]), "e": np.empty((0, 3)),
    "none": {}, "deep": {"a": np.uint8([1]), "x": float("inf")}, "es": np.array([], dtype=object),
}  # fmt: skip


def test_nested_values_survive_a_file(tmp_path):
    arrays = {}
    packed = json.loads(json.dumps(pack(NESTED, "", arrays)))
    dataset = xr.Dataset({n: ([f"{n}_{k}" for k in range(a.ndim)], a) for n, a in arrays.items()})
    file.write(tmp_path / "x.nc", {"part": dataset}, {"it": packed}, {})
    content, groups = file.read(tmp_path / "x.nc")
    back = unpack(content["it"], {str(k): v.values for k, v in groups["part"].data_vars.items()})
    assert back.keys() == NESTED.keys()
    assert back["b/c"] == NESTED["b/c"]
    assert back["none"] == {} and back["deep"]["x"] == float("inf")
    for key, value in NESTED.items():
        if isinstance(value, np.ndarray):
            assert back[key].dtype == value.dtype
            assert np.array_equal(back[key], value, equal_nan=value.dtype.kind in "fM")


def test_what_a_file_cannot_hold_is_named(ml, tmp_path):
    from micromacro.results.fit import Fit

    with pytest.raises(TypeError, match="part"):
        pack({"part": object()}, "", {})
    odd = dataclasses.replace(ml._outcome, extra={"odd": object(), "even": 2})
    report = Fit(odd).save(tmp_path / "fit.nc")
    assert "odd" in repr(report) and "even" not in repr(report)
    assert mm.load(tmp_path / "fit.nc")._outcome.extra == {"even": 2}


# -- tampering ---------------------------------------------------------------------------------------------------


@pytest.fixture
def saved(mcmc, ml, tmp_path):
    mcmc.save(tmp_path / "mcmc.nc")
    ml.save(tmp_path / "ml.nc")
    return tmp_path


def change(path, name, to=None):
    """Change one value of a variable with h5py."""
    with h5py.File(path, "r+") as opened:
        values = opened[name]
        first = (0,) * values.ndim
        old = values[first]
        values[first] = to if to is not None else (old * 1.001 + 1e-3 if values.dtype.kind == "f" else old + 1)


PLACES = {
    "a draw of a parameter": ("mcmc", "engine/draws.theta"),
    "a draw of an effect": ("mcmc", "engine/draws.effects"),
    "a draw under its name": ("mcmc", "posterior/sigma"),
    "the outcome": ("mcmc", "tables/groups.columns.y.values"),
    "a weight covariate": ("mcmc", "tables/blocks.member.table.columns.s.values"),
    "who is a member": ("ml", "tables/blocks.member.member"),
    "a density": ("mcmc", "check/values"),
    "an estimate": ("ml", "engine/optimum.theta"),
    "a covariance": ("ml", "engine/optimum.covariance"),
}


@pytest.mark.parametrize(("which", "name"), PLACES.values(), ids=list(PLACES))
def test_a_changed_value_is_refused(saved, which, name):
    change(saved / f"{which}.nc", name)
    with pytest.raises(FileError, match=f"was changed after it was saved: {name}"):
        mm.load(saved / f"{which}.nc")


def test_a_changed_description_is_refused(saved):
    with h5py.File(saved / "ml.nc", "r+") as opened:
        text = opened["content"][()].decode()
        assert "y ~ x + mm" in text
        opened["content"][()] = text.replace("y ~ x + mm", "y ~ 1 + mm")
    with pytest.raises(FileError, match="was changed after it was saved: its description"):
        mm.load(saved / "ml.nc")
    with h5py.File(saved / "mcmc.nc", "r+") as opened:
        opened.attrs["formula"] = "y ~ 1"
    with pytest.raises(FileError, match="attribute formula"):
        mm.load(saved / "mcmc.nc")


def test_variables_that_come_or_go_are_refused(saved):
    with h5py.File(saved / "mcmc.nc", "r+") as opened:
        del opened["engine/draws.log_posterior"]
    with pytest.raises(FileError, match=r"engine/draws.log_posterior is missing"):
        mm.load(saved / "mcmc.nc")
    with xr.open_datatree(saved / "ml.nc", engine="h5netcdf") as tree:
        tree = tree.load()
    tree["estimates"] = xr.DataTree(tree["estimates"].to_dataset(inherit=False).assign(more=("k", np.arange(3.0))))
    tree.to_netcdf(saved / "more.nc", engine="h5netcdf")
    with pytest.raises(FileError, match="more was added"):
        mm.load(saved / "more.nc")


def mend(path):
    """Digests that agree with a changed file: what a careful forger, or a faulty program, would write."""
    root, groups = file._open(path)
    digests = file._digests(groups, str(root["content"].item()), root.attrs)
    with h5py.File(path, "r+") as opened:
        opened["digests"][()] = json.dumps(digests)


@pytest.mark.parametrize("place", [p for p in PLACES if p not in ("a draw under its name", "a covariance")])
def test_values_whose_checksum_was_mended_are_refused_by_their_density(saved, place):
    which, name = PLACES[place]
    change(saved / f"{which}.nc", name)
    mend(saved / f"{which}.nc")
    with pytest.raises(FileError, match=r"does not belong to the model(.|\n)* is .* and was"):
        mm.load(saved / f"{which}.nc")


def test_a_description_whose_checksum_was_mended_is_refused_by_its_density(saved):
    """Another weight function over the same columns, with as many parameters."""
    for which, what in (("ml", "log joint density"), ("mcmc", "log posterior at draw")):
        with h5py.File(saved / f"{which}.nc", "r+") as opened:
            text = opened["content"][()].decode()
            opened["content"][()] = text.replace("exp(-(b1 * s))", "exp(-(2 * b1 * s))")
        mend(saved / f"{which}.nc")
        with pytest.raises(FileError, match=f"does not belong to the model that it describes: the {what}"):
            mm.load(saved / f"{which}.nc")


def test_the_density_is_that_of_the_reference(mcmc, ml, saved):
    """The stored densities are the log joint density and the log-likelihood, not something that is always equal."""
    from micromacro.engines.joint import log_joint

    with h5py.File(saved / "mcmc.nc") as opened:
        check = {k: opened["check"][k][()] for k in ("chain", "draw", "values")}
    draws = mcmc._outcome.draws
    for c, d, value in zip(check["chain"], check["draw"], check["values"], strict=True):
        assert value == pytest.approx(log_joint(mcmc.specification, draws.theta[c, d], draws.x[c, d]), rel=1e-12)
    with h5py.File(saved / "ml.nc") as opened:
        assert opened["check/values"][1] == pytest.approx(ml.loglik, rel=1e-10)


def test_a_file_cut_short_is_refused(saved):
    whole = (saved / "mcmc.nc").read_bytes()
    for part in (0.0, 0.1, 0.5, 0.9, 0.999):
        (saved / "cut.nc").write_bytes(whole[: int(part * len(whole))])
        with pytest.raises(FileError, match="cut short"):
            mm.load(saved / "cut.nc")


def test_other_files_are_refused(saved):
    with pytest.raises(FileError, match="there is no file"):
        mm.load(saved / "none.nc")
    (saved / "text.nc").write_text("a,b\n1,2\n")
    with pytest.raises(FileError, match="no netCDF file"):
        mm.load(saved / "text.nc")
    xr.Dataset({"x": ("k", [1.0])}).to_netcdf(saved / "other.nc", engine="h5netcdf")
    with pytest.raises(FileError, match=r"not written by Fit\.save"):
        mm.load(saved / "other.nc")


@pytest.mark.parametrize(("number", "says"), [
    (99, r"newer than this micromacro.*micromacro 7\.5\.1 in format 99.*reads format 2\. Install micromacro 7\.5\.1"),
    (1, r"older than this micromacro.*in format 1, .*Load it with micromacro 7\.5\.1.*fit the model again"),
])  # fmt: skip
def test_files_of_another_format_say_which_version_reads_them(saved, number, says):
    """Before anything else is looked at: another format may have other contents."""
    with h5py.File(saved / "ml.nc", "r+") as opened:
        opened.attrs["micromacro_format"] = number
        opened.attrs["inference_library_version"] = "7.5.1"
        del opened["digests"]
    with pytest.raises(FileError, match=says):
        mm.load(saved / "ml.nc")


@pytest.mark.parametrize("what", ["family", "prior", "engine"])
def test_what_a_later_version_has_is_named_with_that_version(votes, tmp_path, what):
    path = tmp_path / "fit.nc"
    votes[1]["ml"].save(path)
    with h5py.File(path, "r+") as opened:
        content = json.loads(opened["content"][()].decode())
        about = content["description"]
        about["versions"]["micromacro"] = "7.5.1"
        if what == "family":
            about["family"] = {"name": "tweedie", "options": {}}
        elif what == "engine":
            about["engine"] = "pathfinder"
        else:
            about["priors"]["sd"] = {"prior": "Horseshoe", "scale": 1.0}
        opened["content"][()] = json.dumps(content)
    mend(path)
    with pytest.raises(FileError, match=rf"{what} '(tweedie|pathfinder|Horseshoe)'.*install micromacro 7\.5\.1"):
        mm.load(path)


# -- without data, without draws ---------------------------------------------------------------------------------


def test_without_data_the_data_must_be_those_of_the_fit(fit, data, tmp_path):
    path = tmp_path / "fit.nc"
    fit.save(path, data=False)
    with h5py.File(path) as opened:
        assert "tables" not in opened or not len(opened["tables"])
        assert "observed_data" not in opened and "constant_data" not in opened
    bare = mm.load(path)
    pd.testing.assert_frame_equal(bare.summary(), fit.summary(), check_exact=True)
    pd.testing.assert_frame_equal(bare.random_effects("member"), fit.random_effects("member"), check_exact=True)
    pd.testing.assert_frame_equal(bare.cov_params(), fit.cov_params(), check_exact=True)
    assert bare.params.equals(fit.summary().iloc[:, 0].rename("estimate"))
    assert fit.report() in repr(bare)
    for call in (bare.weights, lambda: bare.predict(), lambda: bare.update(), lambda: bare.plot):
        with pytest.raises(mm.EngineError, match=r"data=False(.|\n)*load\(\"fit.nc\", data=\.\.\.\)"):
            call()
    same(fit, mm.load(path, data=data.sample(frac=1.0, random_state=1)), data[data["group"] < 5])
    with pytest.raises(FileError, match=r"fingerprint(.|\n)*given: 80 groups(.|\n)*fitted: 80 groups"):
        mm.load(path, data=data.assign(x=data["x"] + 1e-9))
    with pytest.raises(FileError, match="given: 79 groups"):
        mm.load(path, data=data[data["group"] > 1])


def test_data_that_are_given_for_a_file_with_data_must_agree_too(ml, data, tmp_path):
    ml.save(tmp_path / "fit.nc")
    again = mm.load(tmp_path / "fit.nc", data=data).update(priors={"w": mm.prior.normal(0, 1)})
    assert again.loglik < ml.loglik
    with pytest.raises(FileError, match="fingerprint"):
        mm.load(tmp_path / "fit.nc", data=data.assign(z=0.5))


def test_summaries_alone(fit, tmp_path):
    path = tmp_path / "fit.nc"
    report = fit.save(path, contents="summary")
    bare = mm.load(path)
    pd.testing.assert_frame_equal(bare.weights(), fit.weights(), check_exact=True)
    pd.testing.assert_frame_equal(bare.variance_components(), fit.variance_components(), check_exact=True)
    pd.testing.assert_frame_equal(bare.random_effects(), fit.random_effects(), check_exact=True)
    with pytest.raises(mm.EngineError, match=r'contents="summary"(.|\n)*predict'):
        bare.predict()
    with pytest.raises(mm.EngineError, match="95%"):
        bare.summary(0.9)
    with pytest.raises(AttributeError):
        bare.nothing  # noqa: B018
    assert set(report.parts) == {"results"}


def test_tables_that_were_not_kept_are_refused_by_name(ml, tmp_path):
    for options, says in (({"contents": "summary"}, 'contents="summary"'), ({"data": False}, "data=False")):
        ml.save(tmp_path / "fit.nc", **options)
        bare = mm.load(tmp_path / "fit.nc")
        with pytest.raises(mm.EngineError, match=rf"{says}.*variance_components\(by=, scale=\)"):
            bare.variance_components(by="group", scale="response")
        with pytest.raises(mm.EngineError, match=rf"{says}.*weights\(data=\)"):
            bare.weights(data=pd.DataFrame({"x": [1.0]}))
        pd.testing.assert_frame_equal(bare.variance_components(by=None), ml.variance_components())


def test_parameters_without_effects(mcmc, two_blocks, tmp_path):
    path = tmp_path / "fit.nc"
    whole, lean = mcmc.save(tmp_path / "whole.nc"), mcmc.save(path, contents="parameters")
    assert lean.total < 0.5 * whole.total
    loaded = mm.load(path)
    pd.testing.assert_frame_equal(loaded.summary(), mcmc.summary(), check_exact=True)
    pd.testing.assert_frame_equal(loaded.weights(), mcmc.weights(), check_exact=True)
    pd.testing.assert_frame_equal(loaded.variance_components(), mcmc.variance_components(), check_exact=True)
    for call in (loaded.random_effects, loaded.predict, lambda: loaded._outcome.draws.x):
        with pytest.raises(mm.EngineError, match='contents="parameters"'):
            call()
    change(path, "engine/draws.coefficients")
    mend(path)
    with pytest.raises(FileError, match="does not belong"):
        mm.load(path)


SOME = [({"thin": 8}, np.arange(0, 400, 8)), ({"draws": 50}, np.linspace(0, 399, 50).round().astype(int))]


@pytest.mark.parametrize(("options", "rows"), SOME)
def test_some_draws_only(mcmc, tmp_path, options, rows):
    mcmc.save(tmp_path / "fit.nc", **options)
    loaded = mm.load(tmp_path / "fit.nc")
    before, after = mcmc._outcome.draws, loaded._outcome.draws
    assert np.array_equal(after.theta, before.theta[:, rows])
    assert np.array_equal(after.x, before.x[:, rows])
    assert np.array_equal(after.log_posterior, before.log_posterior[:, rows])
    assert all(np.array_equal(after.stats[k], before.stats[k][:, rows]) for k in before.stats)


def test_single_precision_of_effects(mcmc, tmp_path):
    sizes = {
        dtype: mcmc.save(tmp_path / f"{dtype}.nc", dtype=dtype, named=False).parts for dtype in ("float64", "float32")
    }
    loaded = mm.load(tmp_path / "float32.nc")
    pd.testing.assert_frame_equal(loaded.summary(), mcmc.summary(), check_exact=True)
    kept = mcmc.specification.system.n_effects
    before, after = mcmc._outcome.draws.x, loaded._outcome.draws.x
    assert np.array_equal(after[..., kept:], before[..., kept:])
    assert after[..., :kept] == pytest.approx(before[..., :kept], rel=1e-6)
    assert not np.array_equal(after, before)
    effects = before[..., :kept].nbytes
    assert sizes["float64"]["engine"] - sizes["float32"]["engine"] == effects // 2
    change(tmp_path / "float32.nc", "engine/draws.effects")
    mend(tmp_path / "float32.nc")
    with pytest.raises(FileError, match="does not belong"):
        mm.load(tmp_path / "float32.nc")


BAD = {
    "contents": ({"contents": "some"}, "contents="), "dtype": ({"dtype": "float16"}, "dtype="),
    "thin": ({"thin": 0}, "thin="), "draws": ({"draws": 1.5}, "draws="),
    "both": ({"thin": 2, "draws": 5}, "one of them"),
}  # fmt: skip


@pytest.mark.parametrize(("options", "match"), BAD.values(), ids=list(BAD))
def test_options_that_make_no_sense(mcmc, tmp_path, options, match):
    with pytest.raises(mm.EngineError, match=match):
        mcmc.save(tmp_path / "fit.nc", **options)
    assert not list(tmp_path.iterdir())


def test_an_ml_fit_has_no_draws_to_choose_from(ml, tmp_path):
    for options in ({"thin": 2}, {"dtype": "float32"}, {"contents": "parameters"}):
        with pytest.raises(mm.EngineError, match="no draws"):
            ml.save(tmp_path / "fit.nc", **options)


# -- disks -------------------------------------------------------------------------------------------------------


def only(path, before):
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_full_disk_leaves_the_old_file(ml, mcmc, tmp_path):
    """The system itself refuses to write more than so many bytes."""
    path = tmp_path / "fit.nc"
    ml.save(path)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(FileError, match=r"is full; the existing file is unchanged(.|\n)*keep less"):
            mcmc.save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    only(path, before)
    mcmc.save(path)
    assert mm.load(path).engine == "mcmc"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError()])
def test_an_interrupted_write_leaves_the_old_file(ml, tmp_path, monkeypatch, error):
    path = tmp_path / "fit.nc"
    ml.save(path)
    before = path.read_bytes()

    def broken(self, target, **options):
        target.write_bytes(b"half")
        raise error

    monkeypatch.setattr(xr.DataTree, "to_netcdf", broken)
    with pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else FileError):
        ml.save(path)
    only(path, before)


def test_two_saves_at_once_to_one_path(ml, mcmc, tmp_path):
    """Each has a scratch file of its own: the file is one of the two at any time, and nothing else is left."""
    path = tmp_path / "fit.nc"
    ml.save(path)
    with ThreadPoolExecutor(4) as pool:
        saves = [pool.submit(one.save, path, named=False) for one in (ml, mcmc, ml, mcmc)]
        engines = {mm.load(path).engine for _ in range(3)}
        for each in saves:
            each.result()
    assert engines <= {"ml", "mcmc"}
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_folders_replaced_at_once(tmp_path):
    """Whoever comes last wins; a folder that is being replaced is never half there, and none is left behind."""
    path = tmp_path / "fit.zarr"

    def put(k):
        scratch = tmp_path / f".fit.zarr.{k}.tmp.zarr"
        scratch.mkdir()
        for name in "abc":
            (scratch / name).write_text(str(k))
        file._put(scratch, path)

    put(-1)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(60)))
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert len({(path / name).read_text() for name in "abc"}) == 1


def test_a_folder_that_cannot_be_replaced_comes_back(tmp_path, monkeypatch):
    path, scratch = tmp_path / "fit.zarr", tmp_path / ".fit.zarr.1.tmp.zarr"
    for folder, text in ((path, "old"), (scratch, "new")):
        folder.mkdir()
        (folder / "a").write_text(text)
    rename = type(path).rename

    def refused(self, target):
        if self == scratch:
            raise OSError(errno.ENOTEMPTY if path.exists() else errno.EACCES, "refused")
        return rename(self, target)

    monkeypatch.setattr(type(path), "rename", refused)
    with pytest.raises(OSError, match="refused"):
        file._put(scratch, path)
    assert (path / "a").read_text() == "old"


def test_a_file_where_a_folder_should_go(ml, tmp_path):
    pytest.importorskip("zarr")
    (tmp_path / "fit.zarr").write_text("mine")
    with pytest.raises(FileError, match="is a file, not a folder"):
        ml.save(tmp_path / "fit.zarr")
    assert (tmp_path / "fit.zarr").read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["fit.zarr"]


# -- memory ------------------------------------------------------------------------------------------------------


def test_memory_that_is_not_there_is_told_in_words(ml, mcmc, data, tmp_path, monkeypatch):
    """Before hours are spent, with both sizes and what to do; a file that cannot be held says so."""
    monkeypatch.setattr("micromacro.numerics.memory.available", lambda: 50_000.0)
    with pytest.raises(mm.EngineError, match=r"2 x 1,000 draws of .* would take .*MB.* 50\.0 kB are free.*fewer draws"):
        mm.fit(ml.formula, data, draws=1000, chains=2, progress=False)
    for call in (lambda: mcmc.predict(), lambda: mcmc.weights(), lambda: mcmc.loo()):
        with pytest.raises(mm.EngineError, match="of memory, and"):
            call()
    monkeypatch.undo()
    ml.save(tmp_path / "fit.nc")

    def full(*_, **__):
        raise MemoryError("Unable to allocate 30 GiB")

    monkeypatch.setattr("xarray.open_datatree", full)
    with pytest.raises(FileError, match=r"not enough memory.*30 GiB.*thin="):
        mm.load(tmp_path / "fit.nc")
    monkeypatch.setattr("xarray.DataTree.to_netcdf", full)
    with pytest.raises(FileError, match=r"could not be written: there is not enough memory"):
        ml.save(tmp_path / "fit.nc")
    monkeypatch.undo()
    assert mm.load(tmp_path / "fit.nc").loglik == ml.loglik
    assert [p.name for p in tmp_path.iterdir()] == ["fit.nc"]


def test_a_folder_that_does_not_exist(ml, tmp_path):
    with pytest.raises(FileError, match="does not exist: make it"):
        ml.save(tmp_path / "no" / "fit.nc")


def test_a_name_that_is_a_folder(ml, tmp_path):
    (tmp_path / "fit.nc").mkdir()
    with pytest.raises(FileError, match="is a folder"):
        ml.save(tmp_path / "fit.nc")
    assert [p.name for p in tmp_path.iterdir()] == ["fit.nc"]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_a_folder_that_cannot_be_written(ml):
    with pytest.raises(FileError, match=r"could not be written|does not let you write"):
        ml.save("/proc/fit.nc")


# -- zarr --------------------------------------------------------------------------------------------------------


def test_zarr(votes, tmp_path):
    zarr = pytest.importorskip("zarr")
    frame, fits = votes
    path = tmp_path / "fit.zarr"
    for engine in ("ml", "mcmc"):  # the second takes the place of the first
        report = fits[engine].save(path)
        same(fits[engine], mm.load(path), frame[frame["group"] < "vote/10"])
        assert report.total == sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
    assert [p.name for p in tmp_path.iterdir()] == ["fit.zarr"]
    group = zarr.open_group(path, mode="r+")
    group["engine/draws.theta"][0, 0, 0] = 0.1
    with pytest.raises(FileError, match=r"engine/draws\.theta"):
        mm.load(path)
