"""Maxima of models with correlated slopes against lme4's optimisers, at boundaries too.

``r/slopes.py`` makes the data sets, ``r/slopes.R`` computed the best of what three optimisers reach, in
``r/slopes.json``. Slopes of members, which lme4 has not, are
compared with searches from random starts. ``make test`` looks at some data sets, ``make calibrate`` at all.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import micromacro as mm

HERE = Path(__file__).parent / "r"
REFERENCE = json.loads((HERE / "slopes.json").read_text())
SOME = {"slope": (7, 25, 71, 100), "three": (3, 14, 33), "reml": (14, 27), "poisson": (9, 30)}


def load():
    spec = importlib.util.spec_from_file_location("slopes", HERE / "slopes.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MADE = load()


def rows():
    for kind, (count, *_) in MADE.KINDS.items():
        for number in range(count):
            marks = () if number in SOME[kind] else (pytest.mark.calibrate,)
            yield pytest.param(kind, number, marks=marks, id=f"{kind}-{number}")


@pytest.mark.parametrize(("kind", "number"), list(rows()))
@pytest.mark.filterwarnings("ignore::micromacro.MicromacroWarning")
def test_no_optimiser_of_lme4_finds_a_higher_likelihood(kind, number):
    data, reference = MADE.slopes(kind, number), REFERENCE[kind][number]
    assert data["y"].sum() == pytest.approx(reference["sum"], rel=1e-8), "other data than lme4 had"
    _, terms, family, restricted = MADE.KINDS[kind]
    right = " + ".join(terms)
    fit = mm.fit(f"y ~ {right} + ({right} | g)", data, family=family, engine="reml" if restricted else "ml")
    assert fit.loglik > reference["loglik"] - 1e-4, f"{reference['by']} reached {reference['loglik']:.6f}"


@pytest.mark.parametrize("number", [1, 4])
def test_units_and_zeros_of_covariates_do_not_matter(number):
    data = MADE.slopes("three", number)
    other = data.assign(x=-1e3 * data["x"] + 500.0, z=0.01 * data["z"] - 7.0, y=1e4 * data["y"])
    one, two = (mm.fit("y ~ x + z + (x + z | g)", d, engine="ml") for d in (data, other))
    assert two.loglik + len(data) * np.log(1e4) == pytest.approx(one.loglik, abs=1e-6)


def block_rows():
    return [pytest.param(n, marks=() if n in (2, 5) else (pytest.mark.calibrate,)) for n in range(MADE.BLOCKS)]


@pytest.mark.parametrize("number", block_rows())
@pytest.mark.filterwarnings("ignore::micromacro.MicromacroWarning")
def test_slopes_of_members_have_no_higher_maximum_from_random_starts(number):
    model = mm.Model("y ~ 1 + mm(m, g, effects = correlated(1 + x))", MADE.blocks(number))
    fit, rng = model.fit("ml"), np.random.default_rng(number)
    scale = float(fit.model.specification.outcome.std())
    for _ in range(20):
        sds = scale * np.exp(rng.normal(-1.0, 1.5, size=3))
        start = dict(zip(("m.sd", "m.sd.x", "sigma"), sds, strict=True)) | {"m.cor.1.x": rng.uniform(-0.98, 0.98)}
        assert fit.loglik > model.fit("ml", start=start).loglik - 1e-3, start
