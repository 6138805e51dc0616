"""Coverage of 90% intervals of kappa, by which members' whole effects combine, by ``ml``: Wald and profile intervals.

Groups of two to five members out of 40, with one covariate of members; kappa is 1.5 in data sets of odd number and -1.5
in the others: of two members whose effects differ by one the better (the worse) counts 4.5 times as much as the other.
300 Gaussian or Weibull outcomes, 800 binary ones. 100 data sets each; with ``SETS=40 make calibrate
ARGS=tests/calibrate/test_combine_coverage.py`` it is 40.
"""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.results.verbs.profiles import entry_of

from .records import Records
from .uniform import binomial_interval

pytestmark = pytest.mark.filterwarnings("ignore::micromacro.errors.MicromacroWarning")

SETS = 100
NAME, KAPPA = "m.smax.kappa", 1.5
LEVEL, LEVEL_W = 0.9, 2.7055  # of chi-squared(1)
ALLOWED = 0.09  # from the level
KEYS = ("family", "seed")
BY = ("wald", "profile")


class Design(NamedTuple):
    """Groups, the outcome in the formula, and the family's own parameter."""

    groups: int
    outcome: str
    own: dict[str, float]


DESIGNS = {
    "gaussian": Design(300, "y", {"sigma": 0.5}),
    "bernoulli": Design(800, "y", {}),
    "weibull": Design(300, "surv(y)", {"shape": 2.0}),
}


def truth_of(seed):
    return KAPPA if seed % 2 else -KAPPA


def drawn(family, seed):
    """Formula and data set of a seed."""
    design, rng = DESIGNS[family], np.random.default_rng(20_000 + seed)
    rows = [(g, m) for g in range(design.groups) for m in rng.choice(40, rng.integers(2, 6), replace=False)]
    table = pd.DataFrame(rows, columns=["g", "m"])
    table["x"] = rng.normal(size=len(table))
    table["y"] = (1.0 if family == "weibull" else 0.0) + table["g"] % 2
    formula = f"{design.outcome} ~ mm(m, g, x, combine = smax(kappa))"
    truth = {"Intercept": 0.2, "m.x": 0.8, NAME: truth_of(seed), "m.sd": 0.8, **design.own}
    made = mm.Model(formula, table, family=family).simulate(truth, random_seed=seed)
    return formula, table.assign(y=np.asarray(made.outcome[0])[table["g"]])


def by_ml(family, seed):
    """The estimate, W at the truth, and whether Wald and profile intervals cover it."""
    formula, table = drawn(family, seed)
    fit = mm.fit(formula, table, family=family, engine="ml", progress=False)
    w = 2.0 * (fit.posterior.objective - entry_of(fit.posterior, NAME).profile.height(truth_of(seed)))
    low, high = fit.conf_int(LEVEL).loc[NAME]
    return {
        "estimate": round(float(fit.params[NAME]), 4), "w": round(w, 4), "ok": bool(fit.health.ok),
        "wald": bool(low <= truth_of(seed) <= high), "profile": bool(w < LEVEL_W),
    }  # fmt: skip


def run(family, seed):
    """The intervals of one data set, made now if they are not there."""
    return Records("combine_coverage", KEYS).get((family, seed), lambda: by_ml(family, seed))


@pytest.mark.calibrate
@pytest.mark.parametrize("family", DESIGNS)
def test_profile_intervals_of_kappa_cover(family):
    """By 0.90 +- 0.09, as far as the number of data sets can say."""
    sets = min(SETS, int(os.environ.get("SETS", SETS)))
    known = [run(family, seed)["profile"] for seed in range(sets)]
    low, high = binomial_interval(sum(known), len(known), 0.99)
    assert low < LEVEL + ALLOWED
    assert high > LEVEL - ALLOWED
