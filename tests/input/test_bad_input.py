"""Bad input through the front door: the message names the column, the rows or ids, and what to do. One row a case.

``mistake`` is what the user did, ``formula`` and ``change`` how, ``says`` what the message must hold, all of it.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager

import numpy as np
import pandas as pd
import polars as pl
import pytest

import micromacro as mm
from micromacro.simulate import coalitions

FORMULA = "log_duration ~ majority + mm(pid, gid, cohesion, weights = power(pseat)) + (1 | cid)"


@pytest.fixture(scope="module")
def data():
    """60 governments; the first rows are governments 1 (rows 0 to 2) and 2 (rows 3 to 5)."""
    return coalitions(60, 25, 5, random_seed=3).data


def build(formula, data, **more):
    """The model on its data, as mcmc would use it."""
    return mm.Model(formula, data, **more).specification


def at(name, rows, value):
    """A change of the data: one value at some rows."""
    return lambda d: d.assign(**{name: d[name].astype(object).where(~d.index.isin(rows), value).infer_objects()})


def by_group(name, groups, value):
    return lambda d: d.assign(**{name: d[name].astype(float).where(~d["gid"].isin(groups), value)})


def column(**columns):
    return lambda d: d.assign(**{k: v(d) if callable(v) else v for k, v in columns.items()})


def same(d):
    return d


@contextmanager
def refused(error, says):
    """An error of that class, with all of these words in its message."""
    with pytest.raises(error) as caught:
        yield
    for words in says:
        assert words in str(caught.value)


OUTCOME = "log_duration ~ "
Z = column(z=lambda d: (d["gid"] != 7) * 1.0)  # zero in government 7, else one

BAD_DATA = {
    # columns
    "unknown fixed term": (OUTCOME + "majorty + mm(pid, gid)", same,
        ["data has no column 'majorty'; did you mean 'majority'?", "columns: gid, pid, cid"]),
    "unknown member column": (OUTCOME + "mm(party, gid)", same, ["no column 'party'", "columns: gid, pid"]),
    "unknown group column": (OUTCOME + "mm(pid, giid)", same, ["no column 'giid'; did you mean 'gid'?"]),
    "unknown unit": (OUTCOME + "mm(pid, gid) + (1 | ciid)", same, ["no column 'ciid'; did you mean 'cid'?"]),
    "unknown member covariate": (OUTCOME + "mm(pid, gid, cohsion)", same, ["'cohsion'; did you mean 'cohesion'?"]),
    "unknown column in power()": (OUTCOME + "mm(pid, gid, weights = power(pseats))", same,
        ["'pseats'; did you mean 'pseat'?"]),
    "unknown outcome": ("duration ~ majority", same, ["no column 'duration'; did you mean 'log_duration'?"]),
    # types
    "outcome is text": (FORMULA, column(log_duration=lambda d: d["log_duration"].astype(str)),
        ["the outcome 'log_duration' holds text (first: '6.5", "make it numbers"]),
    "offset is text": (OUTCOME + "offset(t) + mm(pid, gid)", column(t="a"),
        ["the offset needs numbers, but column 't' of data holds text values (first: 'a')"]),
    "outcome mixes types": (FORMULA, at("log_duration", [3], "six"),
        ["column 'log_duration' of data mixes float", "and str (such as 'six'): make them all numbers or all text"]),
    "column n is text": (OUTCOME + "mm(pid, gid, weights = 1 / n ** b)", column(n="three"), ["'n'"]),
    # values
    "outcome missing": (FORMULA, by_group("log_duration", [1], np.nan),
        ["column 'log_duration' of data is missing in 3 rows (first: 0, 1, 2), rows counted from 0", 'missing="drop"',
         "(of 60)"]),
    "covariate missing": (FORMULA, at("cohesion", [4], None),
        ["column 'cohesion' of data is missing in 1 row (first: 4)", "fill them in", "1 group (of 60)"]),
    "weight covariate missing": (FORMULA, at("pseat", [4, 9], None), ["'pseat' of data is missing in 2 rows"]),
    "unit missing": (FORMULA, by_group("cid", [2], np.nan), ["'cid' of data is missing in 3 rows (first: 3, 4, 5)"]),
    "group missing": (FORMULA, at("gid", [4], None), ["group column 'gid' of data is missing in 1 row (first: 4)"]),
    "covariate infinite": (FORMULA, at("cohesion", [4], np.inf),
        ["column 'cohesion' of data is infinite in 1 row (first: 4)", "correct these values"]),
    "outcome infinite": (FORMULA, by_group("log_duration", [2], -np.inf), ["'log_duration' of data is infinite"]),
    "member infinite": (FORMULA, at("pid", [1], np.inf), ["column 'pid' of data is infinite in 1 row (first: 1)"]),
    "logarithm of zero in the outcome": ("log(majority) ~ mm(pid, gid)", same,
        ["the outcome log(majority) is not finite in 29 of 60 groups", "check the transformation"]),
    "logarithm of zero in a fixed term": (OUTCOME + "log(majority) + mm(pid, gid)", same,
        ["the term 'log(majority)' is not finite", "change the transformation"]),
    "outcome constant": ("one ~ mm(pid, gid)", column(one=1), ["the outcome one is the same in all 60 groups (1)"]),
    # shape
    "outcome differs within a group": (FORMULA, at("log_duration", [4], 1.5),
        ["group 2 ('gid') has two outcomes: column 'log_duration' is", "1.5 (row 4", "correct the values"]),
    "group column not constant": (FORMULA, at("majority", [1], 7),
        ["column 'majority' belongs to groups but is not constant in group 1 ('gid'): it is 0 (row 0) and 7 (row 1"]),
    "unit not constant": (OUTCOME + "mm(pid, gid) + (1 | pid)", same,
        ["column 'pid' belongs to groups but is not constant in group 1", "and it varies within 54 other groups"]),
    "no member anywhere": (OUTCOME + "mm(pid, gid)", column(pid=None),
        ["block 'pid' has no member at all", "column 'pid' is empty in every row"]),
    "n disagrees with the members": (OUTCOME + "mm(pid, gid, weights = 1 / n)", column(n=5),
        ["the column 'n' disagrees with the number of members listed in block 'pid' in 157 rows",
         "group 1 has 3 members, but n = 5", "rename the column"]),
    # weights at the starting values
    "weights vanish in a group": (OUTCOME + "mm(pid, gid, weights = z * exp(b * pseat))", Z,
        ["weights of block 'pid' (z * exp(b * pseat)) at the starting values (b = 0) are all zero in 1 group",
         "(first: 7)", "give at least one member a positive weight"]),
    "weights vanish everywhere": (OUTCOME + "mm(pid, gid, weights = b * pseat)", same,
        ["all zero in 60 groups (first: 1, 2, 3, 4, 5)"]),
    "weights divide by zero": (OUTCOME + "mm(pid, gid, weights = 1 / z)", Z, ["not finite in 1 group", "(first: 7)"]),
    "weights are nan": (OUTCOME + "mm(pid, gid, weights = sqrt(z - 0.5) * exp(b))", Z,
        ["not finite in 1 group", "(first: 7)"]),
    "weights overflow": (OUTCOME + "mm(pid, gid, weights = exp(800 * z))", Z,
        ["not finite in 59 groups (first: 1, 2, 3, 4, 5)", "keep exponents small"]),
    "weights with parameters overflow": (OUTCOME + "mm(pid, gid, weights = exp(b) + exp(1000 * pseat))", same,
        ["not finite in 19 groups (first: 8,", "keep exponents small"]),
    "weights are negative": (OUTCOME + "mm(pid, gid, weights = z - 0.5)", Z,
        ["negative in 1 group", "(first: 7)", "write normalize = none or signed = yes"]),
    "a number too large": (OUTCOME + "mm(pid, gid, weights = 1e999)", same, ["not finite in 60 groups"]),
}  # fmt: skip


@pytest.mark.parametrize("mistake", BAD_DATA)
def test_bad_data_is_a_data_error_that_names_all_that_matters(data, mistake):
    formula, change, says = BAD_DATA[mistake]
    with refused(mm.DataError, says):
        build(formula, change(data))


BAD_MODEL = {
    "column called as a parameter": (OUTCOME + "sigma + mm(pid, gid)", column(sigma=lambda d: d["majority"]), {},
        ["two parameters would be called 'sigma'", "residual standard deviation", "rename the column 'sigma'"]),
    "covariate called as the sd": (OUTCOME + "mm(pid, gid, sd)", column(sd=lambda d: d["cohesion"]), {},
        ["two parameters would be called 'pid.sd'", "rename the column 'sd'"]),
    "one group only": (OUTCOME + "mm(pid, gid)", lambda d: d[d["gid"] == 1], {},
        ["the data have one group only", "check the group column"]),
    "constant column beside the intercept": (OUTCOME + "one + mm(pid, gid)", column(one=1), {},
        ["column 'one' is constant over the groups (always 1)", "leave it out, or the intercept with 0 +"]),
    "constant text beside the intercept": (OUTCOME + "majority + one + mm(pid, gid)", column(one="a"), {},
        ["the term 'one' is constant over data (column 'one' is always 'a')", "leave it out"]),
    "constant category beside the intercept": (OUTCOME + "C(one) + mm(pid, gid)", column(one=7), {},
        ["the term 'C(one)' is constant over data (column 'one' is always 7)"]),
    "interaction with a constant category": (OUTCOME + "majority + majority:one + mm(pid, gid)", column(one="a"), {},
        ["the term 'majority:one' is constant"]),
    "constant category of members": (OUTCOME + "mm(pid, gid, one)", column(one="a"), {},
        ["the term 'one' is constant"]),
    "covariate constant once aggregated": (OUTCOME + "mm(pid, gid, one, normalize = group)", column(one=1), {},
        ["'pid.one' is constant over the groups once it is aggregated (always 1)", "leave it out"]),
    "collinear fixed terms": (OUTCOME + "majority + m2 + mm(pid, gid)", column(m2=lambda d: 1 - 2 * d["majority"]), {},
        ["the columns majority, m2 are collinear", "combination of the others and the intercept", "leave one of them"]),
    "a spline beside the intercept": (OUTCOME + "mm(pid, gid, cr(cohesion, df = 4), normalize = group)", same, {},
        ["of the others and the intercept", "the columns of this spline sum to one", "constraints='center'", "0 +"]),
    "collinear covariates": (OUTCOME + "mm(pid, gid, cohesion + c2)", column(c2=lambda d: -d["cohesion"]), {},
        ["the columns pid.cohesion, pid.c2 are collinear"]),
    "collinear across levels": (OUTCOME + "mean + mm(pid, gid, cohesion, normalize = group)",
        column(mean=lambda d: d.groupby("gid")["cohesion"].transform("mean")), {},
        ["the columns mean, pid.cohesion are collinear"]),
    "as many coefficients as groups": (OUTCOME + "C(gid) + mm(pid, gid)", same, {},
        ["60 coefficients cannot be estimated from 60 groups", "leave out terms"]),
    "one name twice": (OUTCOME + "mm(pid, gid) + (1 | gid) + (1 | gid)", same, {},
        ["two terms are called 'gid'", "name=gid2"]),
    "unknown family": (FORMULA, same, {"family": "gausian"},
        ["there is no family 'gausian'; did you mean 'gaussian'?"]),
    "family is no family": (FORMULA, same, {"family": 5}, ["family= takes a name (gaussian, student, ", "not 5"]),
    "outcome of another family": ("surv(log_duration, majority) ~ mm(pid, gid)", same, {},
        ["family gaussian takes a plain outcome", "surv(log_duration, majority)"]),
    "unknown word of priors": (FORMULA, same, {"priors": "flatt"}, ["priors='flatt' is not known", '"flat", "vague"']),
    "priors is no dictionary": (FORMULA, same, {"priors": [1]}, ["priors=[1] is not known", '"flat", "vague"']),
    "prior of an unknown parameter": (FORMULA, same, {"priors": {"pid.w.seats": mm.prior.normal(0, 1)}},
        ["no parameter or class 'pid.w.seats'; did you mean 'pid.w.pseat'?", "parameters: Intercept,", "classes: "]),
    "prior of an absent class": (FORMULA, same, {"priors": {"shape": mm.prior.exponential(1)}},
        ["no parameter of this model is of class 'shape'"]),
    "prior of the wrong support": (FORMULA, same, {"priors": {"cid.sd": mm.prior.normal(0, 1)}},
        ["normal(0, 1) of 'cid.sd' allows negative values", "use half_normal"]),
    "prior is a number": (FORMULA, same, {"priors": {"sd": 3}}, ["the prior of 'sd' must be made by mm.prior"]),
}  # fmt: skip


@pytest.mark.parametrize("mistake", BAD_MODEL)
def test_a_model_that_cannot_be_is_a_model_error_with_the_remedy(data, mistake):
    formula, change, more, says = BAD_MODEL[mistake]
    with refused(mm.ModelError, says):
        build(formula, change(data), **more)


#: The part between » and « is what the error must mark.
BAD_FORMULA = {
    "trailing text": (OUTCOME + "majority »mm«(pid, gid)", "join terms with +"),
    "two blocks of one name": (OUTCOME + "mm(pid, gid) + »mm(pid, gid)«", "two member blocks are called 'pid'"),
    "two group columns": (OUTCOME + "mm(pid, gid) + mm(prime, »cid«)", "must name the same group column"),
    "free symbol that is not listed": (OUTCOME + 'mm(pid, gid, weights = »pseta« ** b, parameters = "b")',
        "'pseta' is neither a column nor listed in parameters= (b); did you mean 'pseat'?"),
    "a column listed as a parameter": (OUTCOME + 'mm(pid, gid, weights = »pseat« ** b, parameters = "b pseat")',
        "'pseat' is listed in parameters= but is also a column"),
    "text inside an expression": (OUTCOME + "mm(pid, gid, weights = 1 / n ** (b * »role«))",
        'column \'role\' holds text; in weights it can only occur in a comparison, as in role == "head"'),
    "text that is compared with nothing": (OUTCOME + 'mm(pid, gid, weights = b * »"head"«)', "in a comparison"),
    "text that is ordered": (OUTCOME + 'mm(pid, gid, weights = exp(b * (»role < "head"«)))', "only be compared"),
    "a ready-made form within another": (OUTCOME + "mm(pid, gid, weights = 1 + »power(pseat)«)", "the whole of"),
    "a ready-made form without covariates": (OUTCOME + "mm(pid, gid, weights = »power()«)", "takes covariates"),
    "a function of two arguments with one": (OUTCOME + "mm(pid, gid, weights = »minimum(n)«)", "takes 2 arguments"),
    "first() without by=": (OUTCOME + "mm(pid, gid, weights = »first(pseat)« ** b)", "needs by="),
    "a quantile out of range": (OUTCOME + "mm(pid, gid, weights = »quantile(pseat, 2)«)", "between 0 and 1"),
    "softmax with another normalisation": (OUTCOME + "»mm(pid, gid, weights = softmax(pseat), normalize = none)«",
        "softmax() weights sum to one in every group"),
    "unknown effects": (OUTCOME + "mm(pid, gid, effects = »wlak«)", "effects=wlak is not known"),
    "outcome without a column": ("»1« ~ majority", "the outcome contains no column"),
    "a fixed coefficient that is no number": (OUTCOME + "majority + »fix(cid, 1e999)«", "fix()"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", BAD_FORMULA)
def test_a_bad_formula_is_marked_where_it_is_bad(data, mistake):
    marked, says = BAD_FORMULA[mistake]
    with pytest.raises(mm.FormulaError) as caught:
        build(marked.replace("»", "").replace("«", ""), data.assign(role="head"))
    error = caught.value
    assert says in str(error)
    assert error.text[error.start : error.stop] == marked[marked.index("»") + 1 : marked.index("«")]
    assert "^" in str(error).splitlines()[-1]


BAD_RUN = {
    "unknown engine": (
        {"engine": "mcm"},
        ["there is no engine 'mcm'; did you mean 'mcmc'?", "mcmc, laplace, ml, reml, nuts"],
    ),
    "no engine": ({"engine": None}, ["there is no engine None"]),
    "too few draws": ({"draws": 2}, ["draws= must be a whole number of at least 4, not 2"]),
    "draws are text": ({"draws": "many"}, ["draws= must be a whole number", "'many'"]),
    "no chain": ({"chains": 0}, ["chains= must be a whole number of at least 1, not 0"]),
    "negative tuning": ({"tune": -1}, ["tune= must be a whole number of at least 0, not -1"]),
    "negative seed": ({"random_seed": -1}, ["random_seed=", "-1"]),
    "seed is text": ({"random_seed": "one"}, ["random_seed=", "'one'"]),
    "executor is a number": ({"executor": 2}, ["executor="]),
    "flat prior on an sd": ({"priors": {"pid.sd": "flat"}}, ["mcmc needs a proper prior for pid.sd", 'engine="ml"']),
    "flat prior on a weight": ({"priors": {"w": "flat"}}, ["mcmc needs a proper prior for pid.w.pseat"]),
    "flat priors on all": ({"priors": "flat"}, ["mcmc needs a proper prior for pid.w.pseat, pid.sd, cid.sd, sigma"]),
}


@pytest.mark.parametrize("mistake", BAD_RUN)
def test_a_run_that_cannot_start_is_an_engine_error(data, mistake):
    arguments, says = BAD_RUN[mistake]
    with refused(mm.EngineError, says):
        mm.fit(FORMULA, data, **({"draws": 5, "tune": 5, "chains": 1, "progress": False} | arguments))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda d: pl.DataFrame(d).lazy(), "not LazyFrame; collect it first"),
        (lambda d: None, "data must be a pandas, polars or pyarrow table, or a dict of arrays, not NoneType"),
        (lambda d: "data.csv", "not str"),
        (lambda d: d.to_numpy(), "not ndarray"),
        (lambda d: d.iloc[:0], "data has no rows"),
        (lambda d: pd.concat([d, d["pseat"]], axis=1), "data has several columns named 'pseat': rename or remove"),
        (lambda d: dict(d.items()) | {"pseat": [1.0]}, "the columns of data have unequal lengths"),
    ],
    ids=["lazy frame", "nothing", "path", "matrix", "no rows", "repeated column", "unequal lengths"],
)
def test_what_is_no_table_is_refused(data, make, says):
    with pytest.raises(mm.DataError, match=says):
        build(FORMULA, make(data))


def test_arguments_that_do_not_go_together_are_refused(data):
    for arguments, says in [
        ({"missing": "skip"}, 'missing= is "error" or "drop", not \'skip\''),
        ({"members": data}, "members= goes with memberships="),
    ]:
        with pytest.raises(mm.DataError, match=says):
            build(FORMULA, data, **arguments)
    with pytest.raises(mm.DataError, match=r"need a formula with mm\(\)"):
        build("log_duration ~ majority", data, memberships=data)


def test_no_error_of_ours_comes_with_a_warning_of_numpys(data):
    """What the message says once is not said again, raw."""
    for mistake in ("weights overflow", "weights are nan", "logarithm of zero in the outcome"):
        formula, change, _ = BAD_DATA[mistake]
        changed = change(data)
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            with pytest.raises(mm.DataError):
                build(formula, changed)
        assert not seen


BAD_WEIGHTS = {
    "minus in power()": (OUTCOME + "mm(pid, gid, weights = power(pseat - cohesion))", same,
        ["power() takes covariates joined by +", "the sign of a coefficient is estimated"]),
    "intercept of softmax()": (OUTCOME + "mm(pid, gid, weights = softmax(1 + pseat))", same,
        ["softmax() has no intercept"]),
    "text against numbers": (OUTCOME + "mm(pid, gid, weights = where(prime == '1', 2, 1))", same,
        ["column 'prime' holds numbers, not text", "leave out the quotes"]),
    "text against dates": (OUTCOME + "mm(pid, gid, weights = where(day == 'monday', 2, 1))",
        column(day=lambda d: pd.Timestamp("2000-01-01") + pd.to_timedelta(d["pid"], "D")),
        ["column 'day' holds dates, not text", "2000-01-31"]),
    "dates as a fixed term": (OUTCOME + "day + mm(pid, gid)",
        column(day=lambda d: pd.Timestamp("2000-01-01") + pd.to_timedelta(d["gid"], "D")),
        ["'day' holds dates", "turn them into numbers"]),
}  # fmt: skip


@pytest.mark.parametrize("mistake", BAD_WEIGHTS)
def test_what_weights_cannot_mean_is_an_error(data, mistake):
    formula, change, says = BAD_WEIGHTS[mistake]
    with refused(mm.FormulaError, says):
        build(formula, change(data))


def test_a_text_that_no_row_has_is_warned_of(data):
    rows = data.assign(role=np.where(data["prime"] == 1, "head", "other"))
    with pytest.warns(mm.MicromacroWarning, match="no row has role == 'hed'; there are head, other"):
        build(OUTCOME + "mm(pid, gid, weights = where(role == 'hed', 2, 1))", rows)


def test_ready_made_weights_with_an_intercept_are_the_expression_written_out(data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mm.MicromacroWarning)
        for ready, written in (
            ("power(1 + pseat)", "1 / n ** exp(-(b0 + b1 * pseat))"),
            ("power(1)", "1 / n ** exp(-b0)"),
            ("logistic(0 + pseat)", "1 / (1 + (n - 1) * exp(-b1 * pseat))"),
        ):
            one, other = (
                mm.fit(OUTCOME + f"mm(pid, gid, cohesion, weights = {w})", data, engine="ml") for w in (ready, written)
            )
            assert one.loglik == pytest.approx(other.loglik, abs=1e-6)
            assert len(one.params) == len(other.params)


def test_true_is_no_column():
    data = pd.DataFrame({"x": np.arange(9.0), "y": np.sin(np.arange(9.0))})
    with pytest.raises(mm.DataError, match="raw=1"):
        mm.Model("y ~ poly(x, 2, raw=True)", data)
