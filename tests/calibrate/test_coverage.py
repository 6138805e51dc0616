"""Coverage of 90% intervals of a weight parameter: Wald, profile, corrected profile and posterior intervals.

Three designs (:mod:`.designs`) with 400 data sets each; with ``SETS=40 make calibrate
ARGS=tests/calibrate/test_coverage.py`` it is 40. A profile interval covers the truth if twice the fall of the
log-likelihood from its maximum to the truth, W, is below 2.71. Corrected intervals are worked out where W is within a
factor of two of that, and taken to cover below, and to miss above.
"""

from __future__ import annotations

import os

import pytest

import micromacro as mm
from micromacro.results.verbs.profiles import entry_of

from .designs import DESIGNS, FORMULA, NAME, TRUTH, data
from .records import Records
from .uniform import binomial_interval

pytestmark = pytest.mark.filterwarnings("ignore::micromacro.errors.MicromacroWarning")

SETS = 400
LEVEL = 0.9
LEVEL_W = 2.7055  # of chi-squared(1)
NEAR = 2.0  # ratio of W to its level beyond which a correction is taken not to matter
BY = ("wald", "profile", "corrected", "mcmc")


def covers(interval):
    """Whether an interval holds the truth."""
    return bool(interval[0] <= TRUTH <= interval[1])


def covered(design, seed):
    """What the intervals of one data set do; nan ends of Wald intervals cover nothing."""
    table = data(design, seed)
    fit = mm.fit(FORMULA, table, family=design.family, engine="ml")
    w = 2.0 * (fit.posterior.objective - entry_of(fit.posterior, NAME).profile.height(TRUTH))
    corrected = w < LEVEL_W
    if LEVEL_W / NEAR < w < LEVEL_W * NEAR:
        corrected = covers(fit.profile(NAME, LEVEL, bootstrap=60, random_seed=seed))
    run = {"draws": 500, "tune": 500, "chains": 2, "random_seed": seed, "progress": False}
    sampled = mm.fit(FORMULA, table, family=design.family, **run)
    return {
        "w": round(w, 4), "ok": bool(fit.health.ok), "wald": covers(fit.conf_int(LEVEL).loc[NAME]),
        "profile": w < LEVEL_W, "corrected": bool(corrected), "mcmc": covers(sampled.conf_int(LEVEL).loc[NAME]),
    }  # fmt: skip


@pytest.mark.calibrate
@pytest.mark.parametrize("name", DESIGNS)
def test_intervals_cover(name):
    """Corrected and posterior intervals by 0.90 +- 0.045, as far as the number of data sets can say."""
    records = Records("coverage", ("design", "seed"))
    sets = min(SETS, int(os.environ.get("SETS", SETS)))
    rows = [records.get((name, s), lambda s=s: covered(DESIGNS[name], s)) for s in range(sets)]
    shares = {by: sum(r[by] for r in rows) / sets for by in BY}
    for by in ("corrected", "mcmc"):
        low, high = binomial_interval(round(shares[by] * sets), sets, 0.99)
        assert low < LEVEL + 0.045, (by, shares)
        assert high > LEVEL - 0.045, (by, shares)
