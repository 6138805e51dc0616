"""Every kind of terms whose rows lie in partitions has the likelihood of one table, or is refused by name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from micromacro.engines.marginals import marginal_of
from micromacro.engines.solver import impossible
from micromacro.errors import ModelError
from micromacro.latent.apart.crew import Here
from micromacro.partitioned.specifying import specify_apart

from .subjects import quietly, subject
from .tables import KINDS, pairs, rare

APART = {"unit", "power, total", "unit by type", "block by type"}  # kinds that must not be refused, whatever else is


def rows():
    """Every kind with a Gaussian outcome, some with families that need Laplace's formula."""
    for kind, family in pairs():
        if family == "gaussian" or (family in ("poisson", "student", "ordinal") and kind in APART):
            marks = [pytest.mark.slow] if rare(kind) and kind not in APART else []
            yield pytest.param(kind, family, marks=marks)


def value_and_slope(specification):
    """The likelihood by iteration at the start, moved a little."""
    marginal = marginal_of(specification, maximised=True, searched=True)
    room = marginal.workspace()
    point = np.array([p.start for p in marginal.arguments]) + 0.03
    return marginal.gradient(point, room)


@pytest.mark.parametrize(("kind", "family"), list(rows()))
def test_pieces_have_the_likelihood_of_one_table(kind, family):
    s = subject(kind, family)
    arguments, table = s.model._draft.arguments, s.data
    number = table["g"].rank(method="dense").astype(int) % 3 if KINDS[kind].has_members else np.arange(len(table)) % 3
    pieces = [table[number == k] for k in range(3)]
    crew = Here(3)
    said, apart = "", None
    try:
        _, apart = quietly(specify_apart, replace(arguments, data=None), tuple(table), pieces, crew, False, 0)
    except ModelError as error:
        said = str(error)
    if apart is None:
        assert "data in partitions" in said
        assert "as one table" in said
        assert kind not in APART
        return
    whole = replace(s.model._specified(False), factor="none", seed=0)
    assert not impossible(whole)
    (value, slope), (ours, our_slope) = value_and_slope(whole), value_and_slope(apart)
    assert np.isfinite(value) and ours == pytest.approx(value, rel=1e-7)
    np.testing.assert_allclose(our_slope, slope, rtol=1e-4, atol=1e-5 * np.abs(slope).max())
