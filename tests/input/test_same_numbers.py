"""One model, one answer: shape, library, order of rows, type of ids and workers change not a single bit.

Rival programs fail here (DESIGN, Section 6): rows that are not sorted pair effects with other members' weights, the
second unit term uses the first one's index, two blocks over different member columns do not run. The oracle is the
dense Gaussian density, worked out from the user's rows as they stand.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

import micromacro as mm
from micromacro.simulate import coalitions

#: These data do not determine the weights, which is said; here it matters only that all say the same.
pytestmark = pytest.mark.filterwarnings("ignore:several values of theta:micromacro.errors.MicromacroWarning")
FORMULA = (
    "log_duration ~ majority + mm(pid, gid, cohesion, weights = power(pseat), normalize = group) + (1 | cid)"
    " + mm(prime_id, gid, effects = iid, name = prime)"
)
SHORT = {"draws": 30, "tune": 30, "chains": 2, "random_seed": 1, "progress": False}
USED = ["gid", "pid", "cid", "log_duration", "majority", "pseat", "cohesion", "prime_id"]
OF_GROUPS = ["gid", "cid", "log_duration", "majority"]


@pytest.fixture(scope="module")
def data():
    """60 governments with integer ids; a second member column that is filled for the prime minister's party only."""
    frame = coalitions(60, 25, 5, random_seed=3).data
    return frame.assign(prime_id=frame["pid"].where(frame["prime"] == 1).astype("Int64"))[USED]


def named(data):
    """The same with text ids whose order is that of the numbers."""
    return data.assign(**{k: data[k].astype(object).map(lambda v: f"id{v:04d}", na_action="ignore") for k in IDS})


IDS = ["gid", "pid", "cid", "prime_id"]


def shuffled(frame, seed=8):
    return frame.sample(frac=1, random_state=seed)


def groups(data):
    return data[OF_GROUPS].drop_duplicates("gid")


def edges(data):
    """Edge tables of both blocks, and the table of members that one of them needs."""
    prime = data[["gid", "prime_id"]].dropna().astype("int64")
    return {"pid": data[["gid", "pid", "pseat"]], "prime": prime}, {"pid": data[["pid", "cohesion"]].drop_duplicates()}


def relational(data, order=lambda frame: frame, library=lambda frame: frame):
    memberships, members = edges(data)
    tables = [{k: library(order(v)) for k, v in each.items()} for each in (memberships, members)]
    return library(order(groups(data))), {"memberships": tables[0], "members": tables[1]}


def arrow(frame):
    return pa.Table.from_pandas(frame, preserve_index=False)


HELD = {
    "pandas": lambda d: (d, {}),
    "pandas, rows shuffled": lambda d: (shuffled(d), {}),
    "pandas, rows reversed": lambda d: (d[::-1], {}),
    "pandas, columns reversed": lambda d: (d[d.columns[::-1]], {}),
    "pandas, another index": lambda d: (d.set_axis(list("ab") * (len(d) // 2), axis=0), {}),
    "pandas, unused columns": lambda d: (d.assign(extra=1.0, other="text", gap=None), {}),
    "pandas on pyarrow": lambda d: (d.convert_dtypes(dtype_backend="pyarrow"), {}),
    "pandas, nullable": lambda d: (d.convert_dtypes(), {}),
    "pandas, ids as floats": lambda d: (d.astype(dict.fromkeys(IDS, float)), {}),
    "polars": lambda d: (pl.from_pandas(d), {}),
    "polars, rows shuffled": lambda d: (pl.from_pandas(shuffled(d)), {}),
    "pyarrow": lambda d: (arrow(d), {}),
    "pyarrow in chunks": lambda d: (pa.concat_tables([arrow(d[:50]), arrow(d[50:])]), {}),
    "dict of arrays": lambda d: ({k: d[k].to_numpy() for k in d}, {}),
    "dict of lists": lambda d: ({k: d[k].tolist() for k in d}, {}),
    "dict of Series": lambda d: (dict(d.items()), {}),
    "relational": lambda d: relational(d),
    "relational, shuffled": lambda d: relational(d, shuffled),
    "relational, polars": lambda d: relational(d, shuffled, pl.from_pandas),
    "relational, pyarrow": lambda d: relational(d, library=arrow),
}


def numbers(fit):
    """All that a fit says, as arrays."""
    out = {"params": fit.params, "bse": fit.bse, "weights": fit.weights()[["weight", fit.posterior.words.spread]]}
    out |= {f"effects of {k}": fit.random_effects(k) for k in ("pid", "prime", "cid")}
    outcome = fit._outcome
    if outcome.draws is not None:
        out |= {"theta": outcome.draws.theta, "x": outcome.draws.x, "log posterior": outcome.draws.log_posterior}
    else:
        out |= {"loglik": fit.loglik, "fitted": fit.fitted()}
    return {k: np.asarray(v, dtype=float) for k, v in out.items()}


def assert_same_bits(fit, other):
    one, two = numbers(fit), numbers(other)
    assert fit.params.index.tolist() == other.params.index.tolist()
    for name in one:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)


@pytest.fixture(scope="module")
def plain(data):
    """The fits that all others must equal."""
    return {e: mm.fit(FORMULA, data, engine=e, **SHORT) for e in ("ml", "mcmc")}


@pytest.mark.parametrize("engine", ["ml", "mcmc"])
@pytest.mark.parametrize("held", HELD)
def test_however_the_rows_are_held_the_numbers_are_the_same(data, plain, held, engine):
    tables, more = HELD[held](data)
    assert_same_bits(mm.fit(FORMULA, tables, engine=engine, **SHORT, **more), plain[engine])


CATEGORIES = {
    "text": lambda d: d,
    "categories": lambda d: d.astype(dict.fromkeys(IDS, "category")),
    "categories in another order": lambda d: d.assign(
        **{k: pd.Categorical(d[k], categories=sorted(d[k].dropna().unique())[::-1]) for k in IDS}
    ),
    "object": lambda d: d.astype(dict.fromkeys(IDS, object)),
    "polars text": pl.from_pandas,
    "polars categories": lambda d: pl.from_pandas(shuffled(d)).with_columns(pl.col(IDS).cast(pl.Categorical)),
    "pyarrow dictionaries": lambda d: arrow(shuffled(d).astype(dict.fromkeys(IDS, "category"))),
}


@pytest.mark.parametrize("engine", ["ml", "mcmc"])
@pytest.mark.parametrize("make", CATEGORIES.values(), ids=CATEGORIES)
def test_text_ids_and_categories_give_the_numbers_of_numbers_in_the_same_order(data, plain, make, engine):
    assert_same_bits(mm.fit(FORMULA, make(named(data)), engine=engine, **SHORT), plain[engine])


EXECUTORS = {
    "one thread": lambda: ThreadPoolExecutor(1),
    "three threads": lambda: ThreadPoolExecutor(3),
    "another process": lambda: ProcessPoolExecutor(1, mp_context=get_context("spawn")),
}


@pytest.mark.parametrize("make", EXECUTORS.values(), ids=EXECUTORS)
def test_where_the_chains_run_leaves_no_trace(data, plain, make):
    with make() as executor:
        assert_same_bits(mm.fit(FORMULA, data, **SHORT, executor=executor), plain["mcmc"])


def test_a_seed_fixes_the_draws_and_another_changes_them(data, plain):
    assert_same_bits(mm.fit(FORMULA, data, **SHORT), plain["mcmc"])
    other = mm.fit(FORMULA, data, **SHORT | {"random_seed": 2})
    assert not np.array_equal(other._outcome.draws.theta, plain["mcmc"]._outcome.draws.theta)


@pytest.mark.parametrize("column", IDS)
def test_renaming_ids_changes_ml_in_the_last_digits_at_most(data, plain, column):
    rng = np.random.default_rng(5)
    ids = data[column].dropna().unique()
    new = dict(zip(ids, rng.permutation(len(ids)) * 7 - 50, strict=True))
    renamed = data.assign(**{column: data[column].map(new, na_action="ignore").astype("Int64")})
    fit = mm.fit(FORMULA, renamed, engine="ml", progress=False)
    assert fit.loglik == pytest.approx(plain["ml"].loglik, rel=1e-8)
    np.testing.assert_allclose(fit.params, plain["ml"].params, rtol=1e-8, atol=1e-8)


# -- the order of rows, and rows that list a member again --------------------------------------------------------

ROWS = {
    "g": [1, 1, 1, 2, 2, 3, 3, 3, 4, 5, 5, 6, 6],
    "p": ["a", "b", "b", "a", "c", "b", "c", "c", "d", "d", "a", "b", "a"],
    "y": [0.3, 0.3, 0.3, 1.9, 1.9, 0.2, 0.2, 0.2, 2.5, 0.7, 0.7, 1.1, 1.1],
    "x": [0.1, 0.9, -0.4, 1.1, 0.2, 0.9, 0.3, 0.3, 1.5, -0.6, 0.8, 0.4, 0.1],
    "w": [1.0, 2.0, 0.5, 1.0, 3.0, 1.0, 1.0, 2.0, 1.5, 1.0, 1.0, 4.0, 1.0],
}
SMALL = "y ~ mm(p, g, x, weights = w, normalize = {})"
QUICK = settings(
    derandomize=True, max_examples=25, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)


@QUICK
@given(st.permutations(range(13)), st.sampled_from(["group", "total", "none"]))
def test_any_permutation_of_rows_gives_the_same_bits(order, rule):
    """Members b and c are listed twice in a group, with other covariates and with other weights."""
    given_, moved = (
        mm.fit(SMALL.format(rule), rows, engine="ml", progress=False)
        for rows in (ROWS, {k: [v[i] for i in order] for k, v in ROWS.items()})
    )
    np.testing.assert_array_equal(moved.params, given_.params)
    np.testing.assert_array_equal(moved.random_effects("p"), given_.random_effects("p"))
    np.testing.assert_array_equal(moved.weights()["weight"], given_.weights()["weight"])
    assert moved.loglik == given_.loglik


@QUICK
@given(st.integers(0, 12), st.floats(0.05, 0.95), st.sampled_from(["group", "total", "none"]))
def test_splitting_a_row_in_two_with_its_weight_shared_changes_nothing(row, share, rule):
    split = {k: [*v, v[row]] for k, v in ROWS.items()}
    split["w"] = [*ROWS["w"], (1 - share) * ROWS["w"][row]]
    split["w"][row] *= share
    whole, parts = (mm.Model(SMALL.format(rule), rows).specification for rows in (ROWS, split))
    for values in ([0.7, 0.4], [0.0, 1.0], [3.0, 0.1]):
        theta = np.array(values)
        assert _loglik(parts, theta) == pytest.approx(_loglik(whole, theta), rel=1e-11)


def _loglik(specification, theta):
    from micromacro.latent.marginal.gaussian import GaussianMarginal

    return GaussianMarginal(specification.system, specification.outcome).value(theta, specification.system.workspace(
        gradient=False))  # fmt: skip


# -- against the dense density, from the rows as they stand --------------------------------------------------------


def dense_loglik(fit, rows, fixed, parts):
    """Log density of the outcome at the estimates; `parts` are (groups, effects) matrices by the name of their sd."""
    b = fit.params
    order = sorted(rows["gid"].unique())
    group = rows.drop_duplicates("gid").set_index("gid").loc[order]
    mean = np.full(len(order), b["Intercept"])
    for name, column in fixed(b, order).items():
        mean += b[name] * column
    cov = np.eye(len(order)) * b["sigma"] ** 2
    for name, incidence in parts(b, order).items():
        cov += b[name] ** 2 * incidence @ incidence.T
    return multivariate_normal(mean, cov).logpdf(group["log_duration"])


def incidence(rows, order, column, weight=1.0):
    return rows.assign(_w=weight).pivot_table(
        index="gid", columns=column, values="_w", aggfunc="sum", fill_value=0.0
    ).reindex(order, fill_value=0.0).to_numpy()  # fmt: skip


def power(b, rows):
    """The canonical weight 1 / n ** exp(-b x), normalised in the group, row by row of the user's table."""
    n = rows.groupby("gid")["pid"].transform("size")
    raw = 1.0 / n ** np.exp(-b["pid.w.pseat"] * rows["pseat"])
    return raw / raw.groupby(rows["gid"]).transform("sum")


def test_rows_that_are_not_sorted_keep_their_own_weights(data):
    rows = shuffled(data)
    formula = "log_duration ~ majority + mm(pid, gid, cohesion, weights = power(pseat), normalize = group) + (1 | cid)"
    fit = mm.fit(formula, rows, engine="ml", progress=False)

    def fixed(b, order):
        group = rows.drop_duplicates("gid").set_index("gid").loc[order]
        return {"majority": group["majority"],
                "pid.cohesion": (power(b, rows) * rows["cohesion"]).groupby(rows["gid"]).sum().loc[order]}  # fmt: skip

    def parts(b, order):
        once = rows.drop_duplicates("gid")
        return {"pid.sd": incidence(rows, order, "pid", power(b, rows)), "cid.sd": incidence(once, order, "cid")}

    assert fit.loglik == pytest.approx(dense_loglik(fit, rows, fixed, parts), rel=1e-10)
    table = fit.weights().set_index(["group", "member"])["weight"]
    expected = power(fit.params, rows).to_numpy()
    keys = list(zip(rows["gid"], rows["pid"], strict=True))
    np.testing.assert_allclose(table.loc[keys], expected, rtol=1e-10)


def test_crossed_units_are_really_crossed(data):
    rows = shuffled(data.assign(year=data["gid"] % 7))
    fit = mm.fit("log_duration ~ (1 | cid) + (1 | year)", rows.drop_duplicates("gid"), engine="ml", progress=False)
    once = rows.drop_duplicates("gid")
    dense = dense_loglik(
        fit, rows, lambda b, order: {},
        lambda b, order: {"cid.sd": incidence(once, order, "cid"), "year.sd": incidence(once, order, "year")},
    )  # fmt: skip
    assert fit.loglik == pytest.approx(dense, rel=1e-10)
    assert fit.random_effects("cid").index.tolist() == [1, 2, 3, 4, 5]
    assert fit.random_effects("year").index.tolist() == [0, 1, 2, 3, 4, 5, 6]


def test_two_blocks_over_different_member_columns_have_members_of_their_own(data):
    rows = shuffled(data)
    fit = mm.fit(
        "log_duration ~ mm(pid, gid, normalize = none) + mm(prime_id, gid, normalize = none, name = prime)",
        rows, engine="ml", progress=False,
    )  # fmt: skip
    filled = rows.dropna()

    def parts(b, order):
        n = rows.groupby("gid")["pid"].transform("size")
        return {"pid.sd": incidence(rows, order, "pid", 1.0 / n),
                "prime.sd": incidence(filled, order, "prime_id", 1.0)}  # fmt: skip

    assert fit.loglik == pytest.approx(dense_loglik(fit, rows, lambda b, order: {}, parts), rel=1e-10)
    assert fit.random_effects("pid").index.tolist() == sorted(rows["pid"].unique())
    assert fit.random_effects("prime").index.tolist() == sorted(filled["prime_id"].unique())


@pytest.mark.parametrize("rule", ["group", "total", "none"])
def test_weights_keep_their_digits_whatever_the_other_groups_weigh(data, rule):
    """A running sum over the whole table would lose those of light groups."""
    rows = shuffled(data.assign(w=data["pseat"] * np.where(data["gid"] % 2 == 0, 1e12, 1e-12)))
    fit = mm.Model(f"log_duration ~ mm(pid, gid, weights = w, normalize = {rule}, effects = none)", rows).fit(
        "ml", progress=False
    )
    table = fit.weights().set_index(["group", "member"])["weight"].loc[list(zip(rows["gid"], rows["pid"], strict=True))]
    scale = {"group": rows.groupby("gid")["w"].transform("sum"), "total": rows["w"].sum() / 60, "none": 1.0}[rule]
    np.testing.assert_allclose(table, rows["w"] / scale, rtol=1e-13)


def test_under_total_all_weights_sum_to_the_number_of_groups(data):
    fit = mm.fit("log_duration ~ mm(pid, gid, weights = power(pseat))", data, engine="ml", progress=False)
    assert fit.weights()["weight"].sum() == pytest.approx(60.0, rel=1e-12)
