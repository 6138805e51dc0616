"""A misspelt argument of anything public is answered with the one that was meant; warnings point to the user's line."""

from __future__ import annotations

import inspect
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro._public import nearest, public

FRAME = pd.DataFrame({"y": np.random.default_rng(1).normal(size=30), "x": np.arange(30.0)})

CALLS = {
    "fit": (lambda fit: mm.fit("y ~ x", FRAME, seed=1), "random_seed"),
    "fit: of another package": (lambda fit: mm.fit("y ~ x", FRAME, warmup=10), "tune"),
    "Model": (lambda fit: mm.Model("y ~ x", FRAME, famly="gaussian"), "family"),
    "Model.fit": (lambda fit: mm.Model("y ~ x", FRAME).fit(n_jobs=2), "executor"),
    "Model.simulate": (lambda fit: mm.Model("y ~ x", FRAME).simulate(ndraws=2), "draws"),
    "update": (lambda fit: fit.update(prior="flat"), "priors"),
    "predict": (lambda fit: fit.predict(newdata=FRAME), "data"),
    "summary": (lambda fit: fit.summary(level=0.9), "ci"),
    "plot": (lambda fit: fit.plot.coefficients(axis=None), "ax"),
    "table": (lambda fit: mm.table([fit], digit=2), "digits"),
    "family": (lambda fit: mm.families.cox(interval=3), "intervals"),
    "prior": (lambda fit: mm.prior.normal(0, std=1), "sd"),
    "memberships": (lambda fit: mm.memberships.from_wide(FRAME, ["x"], weight=[1]), "weights"),
    "simulate": (lambda fit: mm.simulate.coalitions(seed=1), "random_seed"),
}


@pytest.fixture(scope="module")
def fit():
    return mm.fit("y ~ x", FRAME, engine="ml")


@pytest.mark.parametrize("name", CALLS)
def test_a_misspelt_argument_has_a_suggestion(name, fit):
    call, meant = CALLS[name]
    with pytest.raises(mm.ArgumentError, match=f"did you mean {meant}=") as caught:
        call(fit)
    assert isinstance(caught.value, TypeError)
    assert "self" not in str(caught.value) and "takes fit," not in str(caught.value)


def test_every_public_method_of_model_and_fit_suggests():
    for cls in (mm.Model, mm.Fit):
        for name, value in vars(cls).items():
            if inspect.isfunction(value) and not name.startswith("_"):
                taken = inspect.signature(value).parameters.values()
                open_ended = any(p.kind is p.VAR_KEYWORD for p in taken)
                assert open_ended or getattr(value, "suggests", False), (cls.__name__, name)


def test_signatures_and_pickles_stay_what_they_are():
    assert list(inspect.signature(mm.fit).parameters)[:3] == ["formula", "data", "family"]
    assert pickle.loads(pickle.dumps(mm.families.cox(intervals=4))).intervals == 4
    once = public(nearest)
    assert public(once) is once and once("famly", known=["family"]) == "family"


@pytest.mark.parametrize(
    ("given", "meant"), [("Draws", "draws"), ("alpha", "ci"), ("famly", "family"), ("xyz", None), ("ci_level", "ci")]
)
def test_the_nearest_name(given, meant):
    assert nearest(given, ["draws", "family", "ci"]) == meant


def test_a_warning_points_to_the_line_of_the_user():
    frame = FRAME.assign(y=FRAME["y"].where(FRAME.index != 3))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mm.fit("y ~ x", frame, engine="ml", missing="drop")
        mm.Model("y ~ x", frame, missing="drop")
    assert [w.filename for w in caught] == [__file__, __file__]
