"""Simulation-based calibration (Talts et al. 2018): the rank of a truth drawn from its prior among draws is uniform.

Truths come from the prior, outcomes from the model at them, draws from `mcmc` under the same prior. Ranks of all
parameters of all data sets of a family are pooled into one chi-squared test. Data sets whose outcome a family must
refuse (a category without a group, say) are passed over, which leaves the ranks uniform. ``make test`` runs three
families on few data sets, ``make calibrate`` all of them on 40 each.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import micromacro as mm
from micromacro.families.registry import FAMILIES

prior = mm.prior
TERMS = " ~ majority + mm(pid, gid, cohesion, weights = power(pseat), normalize = group) + (1 | cid)"
PRIORS = {
    "Intercept": prior.normal(0.3, 0.5),
    "b": prior.normal(0, 0.5),
    "w": prior.normal(0, 1),
    "sd": prior.gamma(3, 5),
}
OWN = {
    "gaussian": {"sigma": prior.gamma(4, 5)},
    "student": {"sigma": prior.gamma(4, 5), "nu": prior.gamma(6, 1)},
    "negative_binomial": {"phi": prior.gamma(4, 1)},
    "gamma": {"shape": prior.gamma(6, 3)},
    "beta": {"phi": prior.gamma(10, 1)},
    "ordinal": {"cut.1": prior.normal(-1, 0.2), "cut.2": prior.normal(0.3, 0.2), "cut.3": prior.normal(1.6, 0.2)},
    "weibull": {"shape": prior.gamma(8, 6)},
    "lognormal": {"sigma": prior.gamma(4, 5)},
    "cox": {"baseline": prior.gamma(3, 6)},
}
DURATIONS = ("weibull", "exponential", "lognormal", "cox")
NO_INTERCEPT = ("ordinal", "cox")
CUTS = (0.6, 1.5, 3.0)  # of cox: intervals that do not move with the data
BINS = 10


@pytest.fixture(scope="module")
def table():
    """Sixty governments; their outcomes are replaced."""
    return mm.simulate.coalitions(60, 25, 6, random_seed=11).data.assign(n=8, event=1)


def model(family, data):
    """The model of a family with priors that give sane data."""
    left = {"binomial": "trials(y, n)"}.get(family, "surv(y, event)" if family in DURATIONS else "y")
    priors = {k: v for k, v in PRIORS.items() if not (family in NO_INTERCEPT and k == "Intercept")}
    chosen = mm.families.cox(CUTS) if family == "cox" else family
    return mm.Model(left + TERMS, data, family=chosen, priors=priors | OWN.get(family, {}))


def template(family, table):
    """Some outcome that the family takes, to begin with."""
    y = {"bernoulli": table["gid"] % 2, "beta": 0.2 + table["gid"] % 3 / 5}.get(family, 1 + table["gid"] % 4)
    return table.assign(y=y)


def ranks(family, table, seed):
    """Normalised ranks of the truths of one data set; None where its outcome cannot be used."""
    first = template(family, table)
    drawn = model(family, first).simulate(random_seed=seed)
    data = first.assign(y=table["gid"].map(dict(zip(drawn.groups, drawn.outcome[0], strict=True))))
    if family in DURATIONS:
        stop = np.random.default_rng(seed).exponential(8.0, table["gid"].max() + 1)[table["gid"]]
        data = data.assign(y=np.minimum(data["y"], stop), event=(data["y"] <= stop).astype(int))
    try:
        fit = model(family, data).fit("mcmc", draws=400, tune=500, chains=2, random_seed=seed, progress=False)
    except mm.DataError:
        return None
    draws = fit.posterior.draws[:, ::8].reshape(-1, len(fit.params))
    truth = drawn.parameters.loc[0, list(fit.params.index)].to_numpy()
    below = (draws < truth).sum(axis=0)
    return (below + np.random.default_rng(seed).random(len(truth))) / (len(draws) + 1)


def pooled(family, table, sets):
    """All ranks of a family."""
    found = [r for r in (ranks(family, table, 1000 + k) for k in range(sets)) if r is not None]
    assert len(found) > 0.8 * sets, "too many data sets were refused"
    return np.concatenate(found)


def p_value(found):
    """Chi-squared test of uniform ranks."""
    counts = np.histogram(found, bins=BINS, range=(0.0, 1.0))[0]
    return stats.chisquare(counts).pvalue


@pytest.mark.parametrize(
    "family", ["gaussian", *(pytest.param(f, marks=pytest.mark.slow) for f in ("bernoulli", "weibull"))]
)
def test_few_ranks_are_not_absurd(family, table):
    found = pooled(family, table, 8)
    assert p_value(found) > 1e-4, np.histogram(found, bins=BINS, range=(0.0, 1.0))[0]


@pytest.mark.calibrate
@pytest.mark.parametrize("family", list(FAMILIES))
def test_ranks_of_truths_are_uniform(family, table):
    found = pooled(family, table, 40)
    assert p_value(found) > 1e-4, np.histogram(found, bins=BINS, range=(0.0, 1.0))[0]
