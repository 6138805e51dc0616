"""Hard posteriors (:mod:`.hard`) with default `mcmc` on 20 seeds each.

In at least 19 of 20 runs R-hat is below 1.01, bulk and tail ESS are above 400 for every parameter, means lie within 4
Monte Carlo errors of a reference, and the mass of one of two modes is within 0.05 of it. References are made by ``make
calibrate ARGS="tests/calibrate/test_hard_posteriors.py -k reference"`` where they are missing, and stored with the
tests.

Runs are resumed (:mod:`.records`); with ``SEEDS=3 make calibrate ARGS=tests/calibrate/test_hard_posteriors.py`` they
are the first three seeds only.
"""

from __future__ import annotations

import json
import math
import os

import numpy as np
import pandas as pd
import pytest

import micromacro as mm

from .hard import HARD
from .records import Records
from .references import STORED, reference

pytestmark = pytest.mark.filterwarnings("ignore::micromacro.errors.MicromacroWarning")

APART = 4.0  # Monte Carlo errors
MASS = 0.05


def run(name, seed):
    """One fit: the worst of its diagnostics, means with their Monte Carlo errors, the mass above zero."""
    row = HARD[name]
    fit = row.model().fit("mcmc", random_seed=seed, progress=False)
    table = fit.summary()
    return {
        "seconds": round(fit.seconds, 1), "r_hat": round(float(table["r_hat"].max()), 4),
        "bulk": round(float(table["ess_bulk"].min())), "tail": round(float(table["ess_tail"].min())),
        "worst": str(table["ess_tail"].idxmin()),
        "mean": {n: float(f"{v:.6g}") for n, v in table["mean"].items()},
        "mcse": {n: float(f"{v:.3g}") for n, v in table["mcse_mean"].items()},
        "mass": float(np.mean(fit.posterior.draws[..., list(table.index).index(row.two_modes)] > 0.0))
        if row.two_modes else None,
    }  # fmt: skip


def faults(name, row):
    """What is wrong with a run, in words."""
    out = []
    if not (row["r_hat"] < 1.01 and row["bulk"] > 400 and row["tail"] > 400):
        out.append(f"R-hat {row['r_hat']}, ESS {row['bulk']} and {row['tail']} ({row['worst']})")
    known = stored().get(name)
    if known is None:
        return out
    for p in known["mean"].keys() & row["mean"].keys():
        mean = known["mean"][p]
        error = math.hypot(row["mcse"][p], known["mcse"][p])
        away = (row["mean"][p] - mean) / error
        if not abs(away) < APART:
            out.append(f"the mean of {p} is {away:+.1f} Monte Carlo errors off")
    if known["mass"] is not None and row["mass"] is not None and not abs(row["mass"] - known["mass"]) < MASS:
        out.append(f"the mass above zero is {row['mass']:.3f}, not {known['mass']:.3f}")
    return out


def stored():
    """References by model."""
    return json.loads(STORED.read_text()) if STORED.exists() else {}


def test_faults_are_seen():
    row = {"r_hat": 1.002, "bulk": 900, "tail": 800, "worst": "b", "mcse": {}, "mean": {}, "mass": None}
    known = stored()["two modes"]
    good = {**row, "mean": known["mean"], "mcse": known["mcse"], "mass": known["mass"]}
    assert not faults("two modes", good)
    moved = {p: v + 6.0 * known["mcse"][p] for p, v in known["mean"].items()}
    assert "Monte Carlo errors off" in faults("two modes", {**good, "mean": moved})[0]
    assert "mass" in faults("two modes", {**good, "mass": known["mass"] + 0.06})[0]
    assert "R-hat" in faults("two modes", {**good, "tail": 399})[0]


@pytest.mark.calibrate
@pytest.mark.parametrize("name", HARD)
def test_a_reference_is_stored(name):
    every = stored()
    if name not in every:
        made = reference(HARD[name])
        every = stored() | {name: {"date": pd.Timestamp.now().strftime("%Y-%m-%d"), "version": mm.__version__, **made}}
        STORED.write_text(json.dumps(every, indent=1) + "\n")
    assert every[name]["ess"] > 1000


@pytest.mark.calibrate
@pytest.mark.parametrize("name", HARD)
def test_default_mcmc_samples_it(name):
    seeds = range(1, 1 + int(os.environ.get("SEEDS", "20")))
    records = Records("hard", ("model", "seed"))
    rows = [records.get((name, seed), lambda seed=seed: run(name, seed)) for seed in seeds]
    bad = {r["seed"]: found for r in rows if (found := faults(name, r))}
    assert len(bad) <= math.floor(0.05 * len(rows)), bad
