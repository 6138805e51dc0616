"""Coverage of 90% intervals of a weight parameter: Wald, profile, corrected profile and posterior intervals.

Three designs (:mod:`.designs`) with 400 data sets each; with ``SETS=40 make calibrate
ARGS=tests/calibrate/test_coverage.py`` it is 40. A profile interval covers the truth if twice the fall of the
log-likelihood from its maximum to the truth, W, is below 2.71. Corrected intervals are worked out where W is within a
factor of two of that, and taken to cover below, and to miss above.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

import micromacro as mm
from micromacro.results.verbs.profiles import corrected_end, entry_of

from .designs import DESIGNS, FORMULA, NAME, TRUTH, data
from .records import Records
from .uniform import binomial_interval

pytestmark = pytest.mark.filterwarnings("ignore::micromacro.errors.MicromacroWarning")

SETS = 400
CORRECTED = 100  # of them for the corrected intervals, which take long
LEVEL = 0.9
LEVEL_W = 2.7055  # of chi-squared(1)
NEAR = 2.0  # ratio of W to its level beyond which a correction is taken not to matter
SIMULATED = 60
BY = ("wald", "profile", "corrected", "mcmc")
FILES = {"wald": "coverage_ml", "profile": "coverage_ml", "corrected": "coverage_corrected", "mcmc": "coverage_mcmc"}
KEYS = ("design", "seed")


def covers(interval):
    """Whether an interval holds the truth; one with nan ends does not."""
    low, high = interval
    return bool(low <= TRUTH <= high)


def fitted(design, seed, **options):
    """The fit of one data set."""
    return mm.fit(FORMULA, data(design, seed), family=design.family, progress=False, **options)


def by_ml(design, seed):
    """W at the truth, and whether Wald and profile intervals cover it."""
    fit = fitted(design, seed, engine="ml")
    w = 2.0 * (fit.posterior.objective - entry_of(fit.posterior, NAME).profile.height(TRUTH))
    wald = covers(fit.conf_int(LEVEL).loc[NAME])
    return {"w": round(w, 4), "ok": bool(fit.health.ok), "wald": wald, "profile": bool(w < LEVEL_W)}


def corrected(design, seed, w):
    """Whether the corrected interval covers the truth: its end on the side of the truth decides."""
    if not LEVEL_W / NEAR < w < LEVEL_W * NEAR:
        return {"corrected": bool(w < LEVEL_W)}
    fit = fitted(design, seed, engine="ml")
    entry, side = entry_of(fit.posterior, NAME), int(fit.params[NAME] < TRUTH)
    end = corrected_end(entry, side, 0.5 * LEVEL_W, SIMULATED, np.random.SeedSequence([seed, side]))
    return {"corrected": bool(end >= TRUTH if side else end <= TRUTH)}


def by_mcmc(design, seed):
    """Whether the posterior interval covers the truth."""
    fit = fitted(design, seed, draws=500, tune=500, chains=2, random_seed=seed)
    return {"mcmc": covers(fit.conf_int(LEVEL).loc[NAME])}


def run(name, seed):
    """All intervals of one data set, as far as they are not made yet."""
    design, key = DESIGNS[name], (name, seed)
    found = Records("coverage_ml", KEYS).get(key, lambda: by_ml(design, seed))
    found = found | Records("coverage_mcmc", KEYS).get(key, lambda: by_mcmc(design, seed))
    if seed < CORRECTED:
        found = found | Records("coverage_corrected", KEYS).get(key, lambda: corrected(design, seed, found["w"]))
    return found


@pytest.mark.calibrate
@pytest.mark.parametrize("name", DESIGNS)
def test_intervals_cover(name):
    """Corrected and posterior intervals by 0.90 +- 0.045, as far as the number of data sets can say."""
    sets = min(SETS, int(os.environ.get("SETS", SETS)))
    rows = [run(name, seed) for seed in range(sets)]
    for by in ("corrected", "mcmc"):
        known = [row[by] for row in rows if by in row]
        low, high = binomial_interval(sum(known), len(known), 0.99)
        assert low < LEVEL + 0.045, (by, sum(known), len(known))
        assert high > LEVEL - 0.045, (by, sum(known), len(known))
