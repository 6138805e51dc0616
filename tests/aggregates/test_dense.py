"""Marginal likelihoods of models with features against plain loops and dense matrices, one row an aggregate."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import micromacro as mm
from micromacro.engines.marginals import laplace_marginal, marginal_of
from micromacro.terms.member.aggregate import AGGREGATES, MEAN

_spec = importlib.util.spec_from_file_location("aggregates_plain", Path(__file__).with_name("plain.py"))
plain = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(plain)

POINTS = 2
PRIORS = {"Intercept": mm.prior.normal(*plain.INTERCEPT), "b": mm.prior.normal(*plain.COEFFICIENT)}


def model(name, left="y", priors=PRIORS, **options):
    """A row's model and its oracle."""
    row = plain.ROWS[name]
    text = f"{left} ~ u + {row.blocks} + (1 | maj)"
    s = mm.Model(text, plain.DATA, priors=priors, **options).specification
    start = {p.name: p.start for part in s.system.parts for p in part.hypers}  # where blocks centre their features
    return s, plain.Plain(row, plain.DATA, start)


def points(s, seed=2, count=POINTS):
    """Random theta by name: every real entry of order one, every positive one of order e."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        z = rng.normal(size=len(s.system.hypers))
        yield {
            p.name: float(np.exp(0.4 * v)) if p.positive else float(v) for p, v in zip(s.system.hypers, z, strict=True)
        }


def array(t):
    return np.array(list(t.values()))


def test_every_aggregate_has_its_row():
    assert {row.words for row in plain.ROWS.values()} == {*AGGREGATES, MEAN, "sum", "interaction"}


@pytest.mark.parametrize("name", plain.ROWS)
def test_the_gaussian_marginal_is_that_of_dense_algebra(name):
    """Coefficients integrated under their priors and under flat ones, and maximised."""
    s, oracle = model(name)
    flat, _ = model(name, priors=PRIORS | {"b": "flat", "Intercept": "flat"})
    marginals = {
        "prior": marginal_of(s), "flat": marginal_of(flat), "maximum": marginal_of(flat, True)
    }  # fmt: skip
    assert sorted(p.name for p in s.system.coefficients) == sorted(oracle.parts(next(points(s))).names)
    for t in points(s):
        for how, marginal in marginals.items():
            value = marginal.value(array(t), marginal.workspace())
            assert value == pytest.approx(oracle.gaussian(t, how), rel=1e-9), (how, t)


def test_a_coefficient_whose_prior_is_not_normal_is_part_of_theta():
    own = {"B.smax.x": mm.prior.student(4, 0, 1), "A.z:B.smax.x": mm.prior.student(4, 0, 1)}
    s, oracle = model("B1:B2", priors=PRIORS | own)
    assert set(own) <= {p.name for p in s.system.hypers}
    marginal = marginal_of(s)
    for t in points(s):
        assert marginal.value(array(t), marginal.workspace()) == pytest.approx(oracle.gaussian(t, "prior"), rel=1e-9)


def with_families():
    """Every row with every family; a row has one of them in the quick tests."""
    for k, name in enumerate(plain.ROWS):
        for j, family in enumerate(plain.FAMILIES):
            yield pytest.param(name, family, marks=() if k % 3 == j else pytest.mark.slow)


@pytest.mark.parametrize(("name", "family"), list(with_families()))
def test_the_marginal_by_laplace_is_that_of_dense_algebra(name, family):
    """Coefficients integrated with the effects, as by `laplace`, and held, as by `ml`."""
    left, density = plain.FAMILIES[family]
    s, oracle = model(name, left, family=family)
    integrated, held = laplace_marginal(s, held=False), laplace_marginal(s, held=True)
    names = [p.name for p in s.system.coefficients]
    rng = np.random.default_rng(3)
    for t in points(s):
        value = integrated.value(array(t), integrated.workspace())
        assert value == pytest.approx(oracle.laplace(t, density), rel=1e-9), t
        b = dict(zip(names, 0.5 * rng.normal(size=len(names)), strict=True))
        value = held.value(np.append(array(t), list(b.values())), held.workspace())
        assert value == pytest.approx(oracle.laplace(t, density, b), rel=1e-9), (t, b)
