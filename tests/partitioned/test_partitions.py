"""Data in partitions are fitted as they would be as one table, and each partition stays where it lies."""

from __future__ import annotations

import ast
import os
import signal
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.engines.likelihood import maxima, stochastic
from micromacro.errors import LostWorkerError
from micromacro.latent.apart.crew import Here
from micromacro.model.draft import Arguments, reading_of
from micromacro.partitioned.sources import Partition, files_of, names_of
from micromacro.partitioned.specifying import gathered

PLAIN = "y ~ z + mm(m, g, x, weights = softmax(x), normalize = group) + (1 | c)"
CODED = "y ~ bs(z, df=4) + k + mm(m, g, scale(x) + t, weights = power(x), name=B) + (1 + scale(z) || c)"
COUNTS = ["Groups", "Members", "Memberships", "Units", "Family", "Engine"]
SETTINGS = {"engine": "ml", "solver": "iterative", "progress": False, "random_seed": 1}


def table(groups: int = 150, members: int = 40) -> pd.DataFrame:
    r = np.random.default_rng(3)
    key = np.unique(np.repeat(np.arange(groups), 3) * members + r.integers(0, members, 3 * groups))
    g, m = np.divmod(key, members)
    x, z, c = r.standard_normal(len(g)), r.standard_normal(groups), r.integers(0, 9, groups)
    raw = np.exp(0.5 * x)
    mean = np.bincount(g, raw * (r.standard_normal(members)[m] + 0.3 * x)) / np.bincount(g, raw)
    y = 0.5 * z + mean + 0.4 * r.standard_normal(9)[c] + 0.5 * r.standard_normal(groups)
    k, t = np.array(["low", "middle", "top"])[c % 3], np.array(["a", "b"])[m % 2]
    return pd.DataFrame({
        "g": [f"g{n:03d}" for n in g], "m": m, "x": x, "t": t, "z": z[g], "c": c[g], "k": k[g], "y": y[g],
    })  # fmt: skip


DATA = table()


def of_group(data: pd.DataFrame) -> pd.Series:
    """The number of each row's group, among those that occur."""
    return data["g"].rank(method="dense").astype(int)


def folder(path, data: pd.DataFrame = DATA, parts: int = 3):
    for k in range(parts):
        data[of_group(data) % parts == k].sample(frac=1.0, random_state=k).to_parquet(path / f"{k}.parquet")
    return path


def assert_same(there, here):
    assert there.loglik == pytest.approx(here.loglik, abs=1e-4)  # it is random with an error of about 0.02
    assert ((there.params - here.params).abs() / here.bse).max() < 1e-3
    np.testing.assert_allclose(there.bse, here.bse, rtol=1e-4)


@pytest.fixture(scope="module")
def one():
    """The same model of one table."""
    return {formula: mm.fit(formula, DATA, **SETTINGS) for formula in (PLAIN, CODED)}


@pytest.fixture(scope="module")
def apart(tmp_path_factory):
    """A fit of files; columns that are read from the data, and the constant of the weights, belong to all of them."""
    at = folder(tmp_path_factory.mktemp("data"))
    with ThreadPoolExecutor(2) as pool:
        return {PLAIN: mm.fit(PLAIN, str(at), executor=pool, **SETTINGS), CODED: mm.fit(CODED, at, **SETTINGS)}


@pytest.mark.parametrize("formula", [PLAIN, CODED], ids=["group", "total, splines, scales, levels"])
def test_files_are_fitted_as_one_table(one, apart, formula):
    here, there = one[formula], apart[formula]
    assert_same(there, here)
    for term in here.specification.structures:
        ours, theirs = there.random_effects(term), here.random_effects(term)
        np.testing.assert_allclose(ours.estimate, theirs.estimate, atol=1e-4)
        np.testing.assert_allclose(ours.se, theirs.se, rtol=1e-3)
    for what, theirs in (("weights", here.weights()), ("predict", here.predict(DATA))):
        ours = pd.concat(there.by_partition(what)).sort_index()
        pd.testing.assert_frame_equal(ours, theirs.sort_index(), check_exact=False, rtol=1e-3, atol=1e-4)


def test_restricted_likelihoods_too(tmp_path):
    """And files without rows, as shuffling leaves some."""
    formula = "y ~ z + mm(m, g, x)"
    here = mm.fit(formula, DATA, **SETTINGS | {"engine": "reml"})
    DATA.head(0).to_parquet(folder(tmp_path) / "1b.parquet")
    there = mm.fit(formula, tmp_path, **SETTINGS | {"engine": "reml"})
    assert_same(there, here)
    assert len(list(there.by_partition("weights"))) == 3


@pytest.mark.parametrize(("family", "rule"), [("poisson", "group"), ("bernoulli", "total")])
def test_other_families_through_laplace(tmp_path, family, rule):
    """Whose coefficients are held, so that their columns belong to the offset."""
    r, mean = np.random.default_rng(5), DATA.groupby("g")["y"].transform("mean")
    count = pd.Series(r.poisson(np.exp(0.5 * mean.groupby(DATA["g"]).first())), DATA["g"].unique())
    y = DATA["g"].map(count if family == "poisson" else (count > 0).astype(int))
    data, formula = DATA.assign(y=y), f"y ~ z + mm(m, g, x, weights = power(x), normalize = {rule})"
    settings = SETTINGS | {"family": family, "start": {"m.sd": 0.5}}
    here, there = mm.fit(formula, data, **settings), mm.fit(formula, folder(tmp_path, data), **settings)
    assert there.loglik == pytest.approx(here.loglik, abs=1e-3)
    assert ((there.params - here.params).abs() / here.bse).max() < 5e-3
    ours = pd.concat(there.by_partition("predict")).sort_index()
    np.testing.assert_allclose(ours, here.predict(data).sort_index(), rtol=0.01)


def test_tables_are_written_partition_by_partition(apart, tmp_path):
    """A call that was interrupted goes on with the partitions that are missing."""
    fit = apart[PLAIN]
    first = fit.write(tmp_path / "w", "weights", ci=0.9)
    assert [p.name for p in first] == ["weights-00000.parquet", "weights-00001.parquet", "weights-00002.parquet"]
    pd.testing.assert_frame_equal(pd.read_parquet(first[1]), list(fit.by_partition("weights", ci=0.9))[1])
    first[1].unlink()
    before = first[0].stat().st_mtime_ns
    assert fit.write(tmp_path / "w", "weights", ci=0.9) == first and first[1].exists()
    assert first[0].stat().st_mtime_ns == before


def test_it_says_what_it_is_and_what_it_cannot(apart):
    fit = apart[PLAIN]
    assert "150 groups in 3 partitions" in repr(fit) and "probes" in repr(fit) and "m.w.x" in repr(fit)
    assert f"block m: 40 members, {len(DATA)} memberships" in repr(fit) and "units c: 9" in repr(fit)
    assert "weights of m: softmax(x) (weights sum to 1 in every group)" in repr(fit)
    assert max(len(line) for line in repr(apart[CODED]).splitlines()) <= 92
    assert fit.nobs == 150 and fit.aic == pytest.approx(2 * len(fit.params) - 2 * fit.loglik)
    for verb in ("loo", "profile", "variance_components", "plot", "update", "model", "fitted"):
        with pytest.raises(mm.EngineError, match=f"{verb} needs all rows"):
            getattr(fit, verb)
    for call in (fit.weights, fit.predict):
        with pytest.raises(mm.EngineError, match="partition"):
            call()


@pytest.mark.parametrize("formula", [PLAIN, CODED], ids=["group", "total, splines, scales, levels"])
def test_every_number_of_tables_of_fits_is_that_of_one_table(one, apart, formula):
    """Counts of groups, members, memberships and units among them."""
    side_by_side = mm.table({"apart": apart[formula], "one": one[formula]}, statistics=COUNTS)
    shown = side_by_side.loc["Fit"]
    assert {"Groups", "Members", "Memberships", "Units"} <= set(shown.index)
    assert shown["apart"].tolist() == shown["one"].tolist()
    ours, theirs = apart[formula].glance().iloc[0], one[formula].glance().iloc[0]
    assert (ours[["nobs", "parameters", "ok"]] == theirs[["nobs", "parameters", "ok"]]).all()
    np.testing.assert_allclose(
        ours[["loglik", "aic", "bic"]].astype(float), theirs[["loglik", "aic", "bic"]].astype(float), atol=1e-3
    )


def test_results_are_saved_as_tables(apart, tmp_path):
    """All that can be said without the partitions; what needs them is refused."""
    fit = apart[PLAIN]
    fit.save(tmp_path / "fit.nc")
    loaded = mm.load(tmp_path / "fit.nc")
    pd.testing.assert_frame_equal(loaded.summary(), fit.summary())
    pd.testing.assert_frame_equal(loaded.random_effects("m"), fit.random_effects("m"))
    assert loaded.loglik == fit.loglik and "150 groups in 3 partitions" in loaded.report()
    with pytest.raises(mm.EngineError, match="variance_components"):
        loaded.variance_components()
    with pytest.raises(mm.EngineError, match="data="):
        fit.save(tmp_path / "other.nc", data=True)
    assert fit.report() == repr(fit)


def test_predictions_do_not_need_workers_that_are_gone(apart, monkeypatch):
    """Weights that are normalised in the group; spreads are then means over probes."""
    fit = apart[PLAIN]
    usual = fit.predict(DATA.head(40))
    monkeypatch.setattr(Here, "there", False)
    monkeypatch.setattr(Here, "ask", lambda *a: (_ for _ in ()).throw(LostWorkerError("gone")))
    alone = fit.predict(DATA.head(40))
    np.testing.assert_allclose(alone["estimate"], usual["estimate"])
    np.testing.assert_allclose(alone["se"], usual["se"], rtol=0.1)
    pd.testing.assert_frame_equal(fit.random_effects("m"), fit.random_effects("m"))


@pytest.mark.filterwarnings("ignore:(dropped|partition):micromacro.errors.MicromacroWarning")
def test_groups_that_are_left_out_are_those_of_one_table(tmp_path):
    data = DATA.assign(x=DATA["x"].where(np.arange(len(DATA)) % 40 != 0))
    here = mm.fit(PLAIN, data, missing="drop", **SETTINGS)
    there = mm.fit(PLAIN, folder(tmp_path, data), missing="drop", **SETTINGS)
    assert there.nobs == here.nobs < 150
    assert_same(there, here)


def read_of(path, missing: str = "error"):
    """The table that a model of files is made of, and its notes."""
    files = files_of(path)
    formula = PLAIN.replace("z + mm", "z + k + mm")
    reading = reading_of(Arguments(formula, None), names_of(files), {})
    crew = Here(len(files))
    crew.make("table", Partition, [(file, k, reading.request, missing) for k, file in enumerate(files)])
    return gathered(crew)[0]


def test_a_partition_that_is_dropped_whole_is_said(tmp_path):
    """And partitions are called by their number, those without rows counted."""
    at = folder(tmp_path)
    DATA.head(0).to_parquet(at / "0.parquet")
    part = pd.read_parquet(at / "1.parquet")
    part.assign(k=None, z=np.nan).to_parquet(at / "1.parquet")
    tables = read_of(at, "drop")
    assert tables.groups.n_rows == 50
    (note,) = tables.notes
    assert note.code == "dropped" and note.startswith("partition 1: dropped 50 of 50 groups for missing values in 'z'")
    part.assign(k=7).to_parquet(at / "1.parquet")
    with pytest.raises(mm.DataError, match="'k' holds integer values in partition 1, but text values in partition 2"):
        read_of(at)
    (at / "2.parquet").unlink()
    part.assign(z=np.nan).to_parquet(at / "1.parquet")
    with pytest.raises(mm.DataError, match="no rows in any of its partitions that could be kept; partition 1: dropped"):
        read_of(at, "drop")


def other(data: pd.DataFrame, path, name: str, values):
    """Files of which the last has other values in a column."""
    folder(path, data)
    last = data[of_group(data) % 3 == 2]
    last.assign(**{name: values(last[name])}).to_parquet(path / "2.parquet")


BAD = {
    "a group in two partitions": (
        lambda p: DATA.iloc[100:102].to_parquet(folder(p) / "3.parquet"), "lie in more than one partition",
    ),
    "no file": (lambda p: None, "neither a parquet file nor a folder"),
    "ids of another kind": (lambda p: other(DATA, p, "m", lambda m: m.astype(str)), "ids in column 'm' are numbers in"),
    "ids too long to be floating": (
        lambda p: other(DATA.assign(m=DATA["m"] + 2**53), p, "m", lambda m: m.astype(float)), r"above 2 \*\* 53 in",
    ),
    "values of another kind": (lambda p: other(DATA, p, "z", lambda z: "a"), "column 'z' holds number values in"),
    "other categories": (
        lambda p: other(
            DATA.astype({"k": pd.CategoricalDtype(["low", "top", "middle"], ordered=True)}), p, "k",
            lambda k: k.cat.set_categories(["top", "middle", "low"]),
        ),
        "other categories in partition 2",
    ),
    "a missing value": (lambda p: other(DATA, p, "z", lambda z: np.nan), "in partition 2 of data"),
    "a column that one has not": (
        lambda p: pd.read_parquet(folder(p) / "0.parquet").drop(columns="x").to_parquet(p / "0.parquet"),
        "partition 0 of data: data has no column 'x'",
    ),
    "an unknown column": (lambda p: folder(p, DATA.drop(columns="c")), "no column 'c'"),
}  # fmt: skip


@pytest.mark.parametrize("make", BAD)
def test_partitions_that_do_not_fit_together(tmp_path, make):
    prepare, words = BAD[make]
    prepare(tmp_path)
    with pytest.raises(mm.MicromacroError, match=words):
        mm.fit(PLAIN.replace("z + mm", "z + k + mm"), tmp_path, **SETTINGS)


REFUSED = {
    "draws": ({"engine": "mcmc", "solver": None}, PLAIN, "fitted by iteration"),
    "a factor": ({"solver": "direct"}, PLAIN, "fitted by iteration"),
    "another table": ({"members": DATA}, PLAIN, "members= is for tables"),
    "paths": ({}, "y ~ z + mm(m, g, effects = walk)", "the term 'm' needs all groups together"),
    "an edge": ({}, "y ~ z + mm(m, g, x, weights = 1 + b * x)", "weights that cannot be negative"),
    "no effects": ({}, "y ~ z + mm(m, g, x, effects = none)", "without effects"),
    "another predictor": ({"sigma": "~ z"}, PLAIN, "rows that are not its groups"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_needs_all_rows_is_refused_by_name(tmp_path, what):
    settings, formula, words = REFUSED[what]
    with pytest.raises(mm.MicromacroError, match=words):
        mm.fit(formula, folder(tmp_path), **SETTINGS | settings)


def test_whole_numbers_of_any_type_keep_their_digits(tmp_path):
    long = DATA.assign(m=DATA["m"] + 2**53, c=DATA["c"] + 2**53)
    other(long, tmp_path, "m", lambda m: m.astype("uint64"))
    last = pd.read_parquet(tmp_path / "2.parquet")
    last.astype({"c": "uint64", "z": "float32"}).to_parquet(tmp_path / "2.parquet")
    tables = read_of(tmp_path)
    assert tables.blocks["m"].members.values.tolist() == [2**53 + k for k in range(40)]
    assert set(tables.groups["c"].values.tolist()) == {2**53 + k for k in range(9)}
    numbers = DATA.sort_values(["g", "m"])["m"] + 2**53
    assert tables.blocks["m"].members.values[tables.blocks["m"].member].tolist() == numbers.tolist()


def test_processes_would_not_find_their_partition(tmp_path):
    with ProcessPoolExecutor(1) as pool, pytest.raises(mm.EngineError, match="client of a Dask cluster"):
        mm.fit(PLAIN, folder(tmp_path), executor=pool, **SETTINGS)


@pytest.mark.parametrize("problem", [LostWorkerError("gone"), KeyboardInterrupt()], ids=["a lost worker", "Ctrl-C"])
def test_a_search_that_is_cut_off_says_from_where_to_go_on(tmp_path, monkeypatch, problem):
    """Because a worker is lost, or by Ctrl-C."""
    at, whole, count = folder(tmp_path), Here.ask, []

    def ask(self, name, verb, each=None):
        count.append(verb)
        if count.count("slopes") == 12:
            raise problem
        return whole(self, name, verb, each)

    monkeypatch.setattr(Here, "ask", ask)
    monkeypatch.setattr(maxima, "BUDGET", 0.0)  # one start, as where a search takes long
    with pytest.raises(type(problem), match=r"start=\{'m.w.x': ") as caught:
        mm.fit(PLAIN, at, **SETTINGS)
    start = ast.literal_eval(str(caught.value).split("start=")[1])
    monkeypatch.setattr(Here, "ask", whole)
    again, usual = mm.fit(PLAIN, at, start=start, **SETTINGS), mm.fit(PLAIN, at, **SETTINGS)
    assert again.health.evaluations < usual.health.evaluations
    assert ((again.params - usual.params).abs() / usual.bse).max() < 0.1


def cluster(processes: bool):
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": processes, "dashboard_address": None}
    return distributed.LocalCluster(**options), distributed


def frame_of(data: pd.DataFrame):
    dask = pytest.importorskip("dask.dataframe")
    return dask.from_pandas(data.set_index("g").sort_index(), npartitions=3, sort=True).reset_index()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_dask_frame_on_a_cluster(one):
    made, distributed = cluster(processes=False)
    with made as there, distributed.Client(there) as client:
        fit = mm.fit(PLAIN, frame_of(DATA), executor=client, **SETTINGS)
        assert_same(fit, one[PLAIN])
        before = fit.predict(DATA.head(40))
        weights = pd.concat(fit.by_partition("weights")).sort_index()
        np.testing.assert_allclose(weights["weight"], one[PLAIN].weights().sort_index()["weight"], atol=1e-6)
        with pytest.raises(mm.DataError, match="more than one partition"):
            mm.fit(
                PLAIN,
                pytest.importorskip("dask.dataframe").from_pandas(DATA, npartitions=4),
                executor=client,
                **SETTINGS,
            )
    after = fit.predict(DATA.head(40))  # the cluster is closed
    np.testing.assert_allclose(after["estimate"], before["estimate"])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_workers_that_are_processes_and_one_that_is_killed(one, tmp_path, monkeypatch):
    made, distributed = cluster(processes=True)
    at, whole, steps = folder(tmp_path), stochastic.Search._along, []
    with made as there, distributed.Client(there) as client:
        assert_same(mm.fit(CODED, at, executor=client, **SETTINGS), one[CODED])
        victim = next(iter(client.run(os.getpid).values()))

        def along(self, *arguments):
            steps.append(1)
            if len(steps) == 2:
                os.kill(victim, signal.SIGKILL)
            return whole(self, *arguments)

        monkeypatch.setattr(stochastic.Search, "_along", along)
        with pytest.raises(LostWorkerError, match=r"start=\{'B.w.x': ") as caught:
            mm.fit(CODED, at, executor=client, **SETTINGS)
        monkeypatch.setattr(stochastic.Search, "_along", whole)
        client.wait_for_workers(2)
        start = ast.literal_eval(str(caught.value).split("start=")[1])
        again = mm.fit(CODED, at, executor=client, start=start, **SETTINGS)
        assert ((again.params - one[CODED].params).abs() / one[CODED].bse).max() < 0.1
