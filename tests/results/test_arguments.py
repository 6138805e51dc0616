"""Arguments that cannot be: an error of ours says what is wrong with them, whichever call gets them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.simulate import coalitions

FORMULA = "log_duration ~ majority + mm(pid, gid, cohesion) + (1 | cid)"


@pytest.fixture(scope="module")
def fits(quick):
    """One model by ml and by mcmc, and durations."""
    data = coalitions(60, 25, 5, random_seed=3).data
    rows = data.drop_duplicates("gid").assign(time=lambda d: np.exp(d["log_duration"]), event=1)
    return {
        "data": data,
        "ml": quick(FORMULA, data),
        "mcmc": quick(FORMULA, data, "mcmc", draws=60, tune=60, chains=2, random_seed=1),
        "durations": quick("surv(time, event) ~ majority", rows, family="weibull"),
    }


WRONG = {
    "simulate: a list": (lambda f: f["ml"].model.simulate([1, 2]), "values= is a dict or a Series"),
    "simulate: text": (lambda f: f["ml"].model.simulate({"sigma": "a"}), "'sigma' must be a finite number"),
    "simulate: no draws": (lambda f: f["ml"].model.simulate(draws=0), "draws= must be a whole number of at least 1"),
    "to_datatree": (lambda f: f["mcmc"].to_datatree(prior_draws=0), "prior_draws= must be a whole number"),
    "weights: an array": (lambda f: mm.Model(FORMULA, f["data"], observation_weights=np.ones(3)), "names a column"),
    "weights: a Series": (lambda f: mm.Model(FORMULA, f["data"], observation_weights=f["data"]["cid"]), "names a col"),
    "at: a list": (lambda f: f["ml"].predictions(at=[1]), "at= is a dict"),
    "variables: a number": (lambda f: f["ml"].comparisons(5), "variables= is a column"),
    "loo: ten draws": (lambda f: f["mcmc"].loo(draws=10), "needs 25 draws or more"),
    "loo: twenty draws": (lambda f: f["mcmc"].loo(draws=20), "needs 25 draws or more"),
    "loo: by": (lambda f: f["mcmc"].loo(by="pid", draws=20), "needs 25 draws or more"),
    "loo: no draws": (lambda f: f["mcmc"].loo(draws=0), "draws= must be a whole number of at least 2, not 0"),
    "loo: fewer": (lambda f: f["mcmc"].loo(True, draws=-5), "draws= must be a whole number of at least 2, not -5"),
    "waic": (lambda f: f["mcmc"].waic(draws=-5), "draws= must be a whole number"),
    "sensitivity": (lambda f: f["mcmc"].sensitivity(draws=2), "draws= must be a whole number of at least 10"),
    "log_evidence: bridge": (lambda f: f["mcmc"].log_evidence(draws=-1), "draws= must be a whole number"),
    "log_evidence: few": (lambda f: f["mcmc"].log_evidence("importance", draws=5), "needs 25 draws"),
    "laplace": (lambda f: f["ml"].update(engine="laplace", draws=10, random_seed=1), "needs 25 draws"),
    "table: digits": (lambda f: mm.table(f["ml"], digits=-1), "digits= must be a whole number of at least 0"),
    "table: parts of digits": (lambda f: mm.table(f["ml"], digits=2.5), "digits= must be a whole number"),
    "table: labels": (lambda f: mm.table(f["ml"], labels=["a"]), "labels= is a dict"),
    "lr_test": (lambda f: f["ml"].lr_test(None), "takes the fit of a smaller model"),
    "lr_test: bootstrap": (lambda f: f["ml"].lr_test(None, "bootstrap"), "takes the fit of a smaller model"),
    "compare": (lambda f: mm.compare({"a": 1, "b": 2}), "'a' is neither a fit nor"),
    "compare: one is none": (lambda f: mm.compare({"a": f["ml"], "b": 2}), "'b' is neither a fit nor"),
    "summary": (lambda f: f["ml"].summary("a"), "ci= is the probability"),
    "survival": (lambda f: f["durations"].survival("a"), "times= are finite numbers"),
    "kfold": (lambda f: f["ml"].kfold("a"), "k= is a number of folds"),
    "coefficients": (lambda f: f["ml"].plot.coefficients(names="major"), "no such parameters: major "),
    "fit: no data": (lambda f: mm.fit("y ~ x"), "fit(): missing a required argument: 'data'. It takes formula, data"),
    "update: by place": (lambda f: f["ml"].update("y ~ 1"), "update(): too many positional arguments"),
    "profile: nothing": (lambda f: f["ml"].profile(), "profile(): missing a required argument: 'name'"),
    "family: loud": (lambda f: mm.fit("y ~ x", {"y": [1], "x": [1]}, family="POISSON"), "did you mean 'poisson'?"),
    "coefficients: none": (lambda f: f["ml"].plot.coefficients(names=[]), "names= names no parameter"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_is_an_error_of_ours(fits, case):
    call, says = WRONG[case]
    with pytest.raises(mm.MicromacroError) as caught:
        call(fits)
    assert says in str(caught.value)


def test_a_series_of_parameters_is_as_good_as_a_dictionary(fits):
    model, params = fits["ml"].model, fits["ml"].params
    both = [model.simulate(values, random_seed=1).outcome for values in (params, params.to_dict())]
    assert np.array_equal(*both)


def test_text_names_one_thing(fits):
    ax = fits["ml"].plot.coefficients(names="majority")
    assert [t.get_text() for t in ax.get_yticklabels()] == ["majority"]
    table = mm.table(fits["ml"], statistics="AIC")
    pd.testing.assert_frame_equal(table, mm.table(fits["ml"], statistics=["AIC"]))
