"""Designs with several kinds of members give back the truth that made their data."""

from __future__ import annotations

import numpy as np
import pytest

import micromacro as mm

DESIGNS = {"opposition": mm.simulate.opposition, "friends": mm.simulate.friends, "roles": mm.simulate.roles}
#: standard errors above which a parameter would not count as recovered
SHARP = {"opposition": 0.45, "friends": 0.45, "roles": 0.25}


@pytest.mark.parametrize("name", list(DESIGNS))
def test_the_truth_is_recovered(name):
    """No estimate is further than 3.5 standard errors from the truth, and the squares of all add up as they should."""
    gaps = []
    for seed in (1, 2, 3):
        design = DESIGNS[name](random_seed=seed)
        fit = mm.fit(design.formula, design.data, engine="ml")
        assert set(fit.params.index) == set(design.truth)
        assert fit.health.ok and mm.Model(design.formula, design.data).check().ok
        gaps += [(fit.params[k] - v) / fit.bse[k] for k, v in design.truth.items()]
        assert fit.bse.max() < SHARP[name]
    gaps = np.array(gaps)
    assert np.abs(gaps).max() < 3.5
    # mean of about 20 squared z is near 1: five sds of a chi-squared around it
    assert abs(np.mean(gaps**2) - 1.0) < 5 * np.sqrt(2 / len(gaps))


def test_a_seed_fixes_the_data():
    for make in DESIGNS.values():
        a, b = make(random_seed=7).data, make(random_seed=7).data
        assert a.equals(b) and not a.equals(make(random_seed=8).data)


def test_an_empty_slot_is_in_one_block_only():
    data = mm.simulate.opposition(50, random_seed=1).data
    assert (data["gov"].isna() != data["opp"].isna()).all()
