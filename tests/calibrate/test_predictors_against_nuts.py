"""`mcmc` against plain NUTS where outcomes have several linear predictors, and for the terms and families beside them.

One row per model: small data drawn from it at known parameters. As in :mod:`.test_against_nuts` two densities that
share no code, and no sampler, must agree: every posterior mean within 4 combined Monte Carlo standard errors. Runs are
resumed (:mod:`.records`), and the page on calibration shows their table.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

import micromacro as mm

from .records import Records
from .test_against_nuts import drawn, long_run

pytest.importorskip("numpyro")
pytestmark = pytest.mark.filterwarnings("ignore::micromacro.errors.MicromacroWarning")

GROUPS, MEMBERS, UNITS = 120, 20, 12
WANTED = 400  # effective draws of every parameter, by each sampler, where a row does not ask for more
FARTHEST = 4.0
RUNS = {"mcmc": {"draws": 500, "tune": 500, "chains": 4}, "nuts": {"draws": 1000, "tune": 500, "chains": 2}}


class Row(NamedTuple):
    """A model: its formulas, its family, and the parameters at which its outcomes are drawn (others are 0.5).

    `wanted` are the effective draws of every parameter: with 475 by nuts an sd of the beta-binomial row was 4.7 of its
    errors away, which was the errors (over seeds with 3,000 they are twice what is stated).
    """

    formula: str
    truth: dict[str, float]
    family: str = "gaussian"
    others: Mapping[str, str] = MappingProxyType({})
    wanted: int = WANTED


BLOCK = "mm(pid, gid, x, weights = softmax(q), normalize = group)"

ROWS = {
    "sigma ~ z + (1 | c)": Row("y ~ v", {"sigma.Intercept": -0.5}, others={"sigma": "~ z + (1 | c)"}),
    "sigma, id=": Row(
        "y ~ v + (1 | c, id = a)", {"sigma.Intercept": -0.5, "c.sd": 0.8, "c.cor.1.sigma.1": 0.5},
        others={"sigma": "~ (1 | c, id = a)"},
    ),
    "member block in sigma": Row(f"y ~ {BLOCK}", {"sigma.Intercept": -0.5}, others={"sigma": f"~ {BLOCK}"}),
    "zi ~ (1 | c)": Row(
        "y ~ v", {"Intercept": 1.2, "zi.Intercept": -1.0, "zi.c.sd": 0.8}, "zero_inflated_poisson", {"zi": "~ (1 | c)"}
    ),
    "zi ~ v + (1 | c), weights": Row(
        f"y ~ v + {BLOCK}", {"Intercept": 1.5, "zi.Intercept": -1.0, "phi": 4.0}, "zero_inflated_negative_binomial",
        {"zi": "~ v + (1 | c)"},
    ),
    "hu ~ v + (1 | c)": Row(
        "y ~ v + (1 | c)", {"Intercept": 1.2, "hu.Intercept": -1.0, "phi": 4.0}, "hurdle_negative_binomial",
        {"hu": "~ v + (1 | c)"},
    ),
    "phi ~ v + (1 | c)": Row(
        "trials(y, nine) ~ v", {"phi.Intercept": 1.5}, "beta_binomial", {"phi": "~ v + (1 | c)"}, 2000
    ),
    "categories": Row(
        "y ~ v + mm(pid, gid)", {"mu[2].Intercept": 0.3, "mu[3].Intercept": -0.2, "mu[3].v": -0.8}, "categorical"
    ),
    "choices": Row(f"choice(y, three) ~ v + {BLOCK}", {"pid.sd": 1.0}, "conditional_logit"),
    "nominal(v)": Row(
        "y ~ nominal(v) + (1 | c)", {"cut.1": -1.0, "cut.2": 0.2, "cut.3": 1.4, "cut.1.v": -0.2, "cut.2.v": -0.4}
        | {"cut.3.v": -0.6}, "ordinal",
    ),
    "by=": Row("y ~ v + (1 | c, by = kind)", {"c.sd[a]": 0.4, "c.sd[b]": 1.0}),
    "s(x)": Row("y ~ s(v, k=8) + (1 | c)", {"s.v.sd": 1.0}),
    "sigma, id= and by=": Row(
        "y ~ v + (1 | c, id = a, by = kind)", {"sigma.Intercept": -0.5, "c.cor.1.sigma.1[b]": -0.5},
        others={"sigma": "~ (1 | c, id = a, by = kind)"},
    ),
}  # fmt: skip


def table() -> pd.DataFrame:
    """One row per membership; the outcome stands in until one is drawn."""
    rng = np.random.default_rng(16)
    rows = [(g, m) for g in range(GROUPS) for m in rng.choice(MEMBERS, rng.integers(2, 5), replace=False)]
    out = pd.DataFrame(rows, columns=["gid", "pid"])
    out["x"], out["q"] = rng.standard_normal((2, len(out)))
    gid, (v, z) = out["gid"].to_numpy(), rng.standard_normal((2, GROUPS))
    unit = rng.permutation(np.arange(GROUPS) % UNITS)[gid]
    return out.assign(v=v[gid], z=z[gid], c=unit, kind=np.where(unit % 2, "a", "b"), nine=9, three=gid // 3)


def model_of(row: Row) -> mm.Model:
    data = table()
    stand_in = {
        "conditional_logit": (data["gid"] % 3 == 0).astype(int), "categorical": 1 + data["gid"] % 3
    }.get(row.family, data["gid"] % 4)  # fmt: skip
    return drawn(row.formula, data.assign(y=stand_in), row.truth, family=row.family, **row.others)


def compared(name: str) -> dict[str, Any]:
    """Distances of posterior means in Monte Carlo errors, relative ones of sds, and effective draws."""
    model = model_of(ROWS[name])
    exact, nuts = (long_run(model, engine, ROWS[name].wanted, **run) for engine, run in RUNS.items())
    assert list(exact.index) == list(nuts.index)
    away = (exact["mean"] - nuts["mean"]) / np.hypot(exact["mcse_mean"], nuts["mcse_mean"])
    sd = (exact["sd"] - nuts["sd"]) / np.hypot(exact["mcse_sd"], nuts["mcse_sd"])
    return {
        "away": away.round(3).to_dict(), "sd_away": sd.round(3).to_dict(),
        "ess": [float(exact["ess"].min()), float(nuts["ess"].min())],
    }  # fmt: skip


@pytest.mark.calibrate
@pytest.mark.parametrize("name", list(ROWS))
def test_both_samplers_agree(name):
    found = Records("nuts", ("model",)).get((name,), lambda: compared(name))
    worst = {k: v for key in ("away", "sd_away") for k, v in found[key].items() if not abs(v) < FARTHEST}
    assert not worst, worst


def test_every_model_has_its_truth():
    """Truths name parameters of the model (on the first row of each kind; building is all that it takes)."""
    for name in ("sigma, id=", "nominal(v)", "by="):
        row = ROWS[name]
        names = set(model_of(row).specification.names)
        assert set(row.truth) <= names, (name, set(row.truth) - names)
