"""One constructor of Model, whoever makes it; nothing is built that the engine does not need."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.model import public

FRAME = pd.DataFrame({"y": np.random.default_rng(2).normal(size=30), "x": np.arange(30.0), "u": np.arange(30) % 6})


@pytest.fixture
def built(monkeypatch):
    made = []
    whole = public.specify

    def counted(*args, flat):
        made.append(flat)
        return whole(*args, flat=flat)

    monkeypatch.setattr(public, "specify", counted)
    return made


def test_fit_builds_the_specification_of_its_engine_alone(built):
    fit = mm.fit("y ~ x", FRAME, engine="ml")
    assert built == [True]
    fit.update(formula="y ~ 1")
    assert built == [True, True]


def test_a_model_is_built_at_once_and_once(built):
    model = mm.Model("y ~ x", FRAME)
    assert built == [False]
    model.fit("laplace", draws=50, random_seed=1)
    model.explain()
    assert built == [False]


def test_errors_come_in_one_order():
    with pytest.raises(mm.ModelError, match="family"):
        mm.fit("y ~ x +", FRAME, family="gausian", engine="nothing")
    with pytest.raises(mm.FormulaError):
        mm.fit("y ~ x +", FRAME, engine="nothing")
    with pytest.raises(mm.DataError):
        mm.fit("y ~ z", FRAME, engine="nothing")
    with pytest.raises(mm.EngineError, match="no engine"):
        mm.fit("y ~ x + (1 | u)", FRAME, engine="nothing", priors={"zz": mm.prior.normal()})
    with pytest.raises(mm.ModelError, match="zz"):
        mm.fit("y ~ x", FRAME, engine="ml", priors={"zz": mm.prior.normal()})


def test_a_loaded_model_is_the_same_model(tmp_path):
    fit = mm.fit("y ~ x + (1 | u)", FRAME, engine="ml")
    fit.save(tmp_path / "fit.nc")
    loaded = mm.load(tmp_path / "fit.nc")
    assert loaded.model.formula == fit.model.formula
    assert loaded.update(engine="REML").loglik == fit.update(engine="reml").loglik
    assert loaded.update(formula="y ~ x").loglik == fit.update(formula="y ~ x").loglik
