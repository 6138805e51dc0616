"""Simulation-based calibration of `mcmc`: ranks of truths drawn from their priors are uniform.

Forty-five kinds of models (:mod:`.kinds`), ten of them with 200 data sets, the others with 50. Each parameter of a kind
has a p-value (Anderson and Darling's test of its ranks), as has the log-likelihood; over the kinds these p-values are
uniform. Data sets whose outcome a family must refuse (a category without a group, say) are passed over, which leaves
ranks uniform.

The runs are resumed (:mod:`.records`); ``SETS=20 make calibrate ARGS=tests/calibrate/test_ranks.py`` makes at most 20
data sets of each kind.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

from .kinds import KINDS
from .ranks import KEPT, LIKELIHOOD, ranks
from .records import Records
from .uniform import combined, p_value

pytestmark = pytest.mark.filterwarnings("ignore::micromacro.errors.MicromacroWarning")
MANY, FEW = 200, 50
WORST = 1e-4  # of about 250 tests


def wanted(name):
    """How many data sets of a kind."""
    return min(MANY if KINDS[name].often else FEW, int(os.environ.get("SETS", MANY)))


def made(name):
    """The runs of a kind so far."""
    return [row for (kind, _), row in Records("ranks", ("kind", "seed")).known.items() if kind == name]


def uniform_of(name, rows):
    """Uniform numbers under calibration, by test quantity: ranks, spread evenly over their steps."""
    rows = [r["ranks"] for r in rows if "ranks" in r]
    even = np.random.default_rng([len(name), 5])
    return {q: (np.array([r[q] for r in rows]) + even.random(len(rows))) / (KEPT + 1) for q in rows[0]}


def test_the_p_value_of_uniform_numbers_is_uniform_and_of_others_small():
    rng = np.random.default_rng(1)
    assert 0.3 < np.mean([p_value(rng.random(50)) for _ in range(100)]) < 0.7
    assert p_value(rng.random(50) ** 2.2) < 0.02
    assert p_value(rng.beta(0.5, 0.5, 200)) < 0.001
    assert combined(np.array([0.5, 0.5])) == pytest.approx(0.5)
    assert combined(np.array([1e-6, 0.9, 0.9])) < 1e-5


def test_there_are_forty_kinds_of_which_ten_are_tried_often():
    assert len(KINDS) >= 40
    assert sum(kind.often for kind in KINDS.values()) >= 10


def test_a_run_is_written_down_and_not_made_again(tmp_path):
    made = []

    def make():
        made.append(1)
        return {"value": len(made)}

    for _ in range(2):
        assert Records("some", ("kind", "seed"), tmp_path).get(("a", 1), make)["value"] == 1
    with (tmp_path / "some.jsonl").open("a") as file:
        file.write('{"kind": "a", "se')  # a run that was killed as it wrote
    assert Records("some", ("kind", "seed"), tmp_path).get(("a", 1), make)["value"] == 1
    assert len(made) == 1


@pytest.mark.parametrize(
    "name", ["gaussian", *(pytest.param(n, marks=pytest.mark.slow) for n in ("bernoulli", "weibull"))]
)
def test_few_ranks_are_not_absurd(name):
    rows = [ranks(KINDS[name], seed)["ranks"] for seed in range(1000, 1006)]
    for quantity in rows[0]:
        u = (np.array([r[quantity] for r in rows]) + 0.5) / (KEPT + 1)
        assert p_value(u) > 1e-3, quantity


@pytest.mark.calibrate
@pytest.mark.parametrize("name", KINDS)
def test_ranks_of_truths_are_uniform(name):
    records = Records("ranks", ("kind", "seed"))
    rows = [records.get((name, seed), lambda seed=seed: ranks(KINDS[name], seed)) for seed in range(wanted(name))]
    found = {q: p_value(u) for q, u in uniform_of(name, rows).items()}
    assert min(found.values()) > WORST, found


@pytest.mark.calibrate
def test_p_values_are_uniform_over_the_kinds():
    missing = {name: wanted(name) - len(made(name)) for name in KINDS if len(made(name)) < wanted(name)}
    if missing:
        pytest.skip(f"run it again when all data sets are made; these are missing: {missing}")
    each = [{q: p_value(u) for q, u in uniform_of(name, made(name)).items()} for name in KINDS]
    assert p_value(np.array([found[LIKELIHOOD] for found in each])) > 0.01
    own = [combined(np.array([p for q, p in found.items() if q != LIKELIHOOD])) for found in each]
    assert p_value(np.array(own)) > 0.01
