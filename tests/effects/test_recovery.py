"""For every kind of effects: truth recovered by maximum likelihood from one simulated data set of 600 groups."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.effects.registry import KINDS

nx = pytest.importorskip("networkx")

IDS = list(range(60))


class Case(NamedTuple):
    """`word` is the kind it is about, `terms` stand beside ``y ~ 1 + z``."""

    word: str
    terms: str
    truth: dict[str, float]
    options: tuple[str, ...] = ()


def member(effects: str) -> str:
    return f"mm(m, g, weights = exp(b1 * s), normalize = group, effects = {effects})"


W = {"m.w.b1": 0.8}
CASES = [
    Case("none", "mm(m, g, x, weights = exp(b1 * s), normalize = group, effects = none)", W | {"m.x": 1.0}),
    Case("iid", member("iid"), W | {"m.sd": 1.0}),
    Case("iid", member("iid(1 + x)"), W | {"m.sd": 1.0, "m.sd.x": 0.7}),
    Case("correlated", member("correlated(1 + x)"), W | {"m.sd": 1.0, "m.sd.x": 0.7, "m.cor.1.x": 0.6}),
    Case("walk", member("walk"), W | {"m.sd": 0.5}),
    Case("walk", member("walk(year)"), W | {"m.sd": 0.5}),
    Case("ar1", member("ar1(year)"), W | {"m.sd": 1.0, "m.rho": 0.9}),
    Case("car", member("car(map)"), W | {"m.sd": 1.5, "m.rho": 0.9}, ("graphs",)),
    Case("icar", member("icar(map)"), W | {"m.sd": 1.5}, ("graphs",)),
    Case("known", member("known(K)"), W | {"m.sd": 1.0}, ("known",)),
    Case("fixed", "mm(bloc, g, weights = exp(b1 * s), normalize = group, effects = fixed)", {"bloc.w.b1": 0.8}),
    Case("shared", "mm(m, g) + mm(other, g, effects = shared(m))", {"m.sd": 1.0, "other.scale": -0.6}),
    Case(
        "correlated_with",
        "mm(m, g) + mm(other, g, effects = correlated_with(m))",
        {"m.sd": 1.0, "other.sd": 0.8, "other.cor.m": 0.6},
    ),
    Case("unit", "(1 + z | u)", {"u.sd": 1.0, "u.sd.z": 0.7, "u.cor.1.z": -0.5}),
    Case("unit", "(1 + z || u)", {"u.sd": 1.0, "u.sd.z": 0.7}),
    Case("unit", "(1 | big / u)", {"big.sd": 0.8, "big:u.sd": 0.6}),
]


def table() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(600), rng.integers(2, 7, 600))
    z, year = rng.standard_normal(600), 1950 + np.sort(rng.integers(0, 70, 600))
    m = np.concatenate([IDS, rng.integers(0, 60, len(g) - 60)])
    s, x = rng.standard_normal((2, len(g)))
    return pd.DataFrame(
        {
            "g": g, "m": m, "other": rng.permutation(m), "bloc": m % 6, "s": s, "x": x, "z": z[g], "year": year[g],
            "u": g % 50, "big": g % 10, "y": z[g],
        }
    )  # fmt: skip


def sources() -> dict[str, Any]:
    far = np.abs(np.subtract.outer(IDS, IDS))
    return {
        "graphs": {"map": nx.circulant_graph(60, [1, 7])},
        "known": {"K": pd.DataFrame(0.6**far, index=IDS, columns=IDS)},
    }


def test_every_kind_has_its_case() -> None:
    assert set(KINDS) <= {case.word for case in CASES}


SLOW = "effects = walk)"  # of members, with weights: the dearest search


@pytest.mark.parametrize(
    "case",
    [pytest.param(c, marks=[pytest.mark.slow] if c.terms.endswith(SLOW) and "exp" in c.terms else []) for c in CASES],
    ids=lambda case: case.terms,
)
def test_ml_recovers_the_truth(case: Case) -> None:
    data = table() if "mm(" in case.terms else table().drop_duplicates("g", ignore_index=True)
    options = {k: v for k, v in sources().items() if k in case.options}
    model = mm.Model(f"y ~ 1 + z + {case.terms}", data, **options)
    truth = {"Intercept": 0.5, "z": 0.7, "sigma": 0.4} | case.truth
    unsaid = {name: 0.4 * k for k, name in enumerate(model.specification.names)}  # coefficients of effects = fixed
    truth = unsaid | truth
    assert set(truth) == set(unsaid)
    made = model.simulate(truth, random_seed=3)
    data = data.assign(y=made.outcome[0][data["g"]])
    fit = mm.fit(model.formula, data, engine="ml", **options)
    off = (fit.params - pd.Series(truth)[fit.params.index]) / fit.bse
    assert off.abs().max() < 3.5, pd.DataFrame({"truth": truth, "found": fit.params, "se": fit.bse})
    spread = [name for name in fit.params.index if ".sd" in name or ".w." in name or name.endswith("scale")]
    assert fit.bse[spread].max() < 0.3, fit.bse
