"""On data that follow the model nothing false is said of them, and what is said twice agrees.

Each kind has a Gaussian outcome, or hazards, on enough groups that no remark is called for.
"""

from __future__ import annotations

import numpy as np
import pytest

import micromacro as mm

from .failing import marked
from .subjects import Subject, point, quietly, subject
from .tables import KINDS, SOUND


def check_finds_no_problem(s: Subject) -> None:
    found = s.model.check()
    assert found.ok, str(found)


def health_is_good(s: Subject) -> None:
    health = s.fit().health
    assert health.ok, health.troubles
    assert not health.cautions


def a_nested_model_is_not_better(s: Subject) -> None:
    """lr_test: no less than zero, a probability, as many degrees of freedom as parameters fewer."""
    fit, smaller = s.fit(), s.smaller()
    test = fit.lr_test(smaller)
    assert test.statistic == pytest.approx(2 * (fit.loglik - smaller.loglik), abs=1e-6)
    assert test.statistic >= 0
    assert 0 <= test.p <= 1
    free = [sum(not p.fixed for p in f.specification.parameters) for f in (fit, smaller)]
    assert test.df == free[0] - free[1]
    assert "worse" not in str(test.note)


def comparisons_are_in_order(s: Subject) -> None:
    """compare: the better first, differences from it, and the criterion that the fits themselves give."""
    fits = {"whole": s.fit(), "smaller": s.smaller()}
    table = mm.compare(fits)
    aic = [fits[name].aic for name in table.index]
    assert aic == sorted(aic)
    column = next(c for c in table if c.lower() == "aic")
    np.testing.assert_allclose(table[column], aic, rtol=1e-10)


def comparisons_of_draws_are_in_order(s: Subject) -> None:
    """compare: the higher expected log density first."""
    draws = {"whole": s.fit("laplace"), "smaller": s.smaller("laplace")}
    elpd = [quietly(draws[name].loo).elpd for name in quietly(mm.compare, draws).index]
    assert elpd == sorted(elpd, reverse=True)


def criticism_is_finite(s: Subject) -> None:
    """loo, waic and ppc on draws: finite, with fewer effective parameters than observations, p-values in [0, 1]."""
    fit = s.fit("laplace")
    for out in (quietly(fit.loo), quietly(fit.waic)):
        assert np.isfinite(out.elpd) and np.isfinite(out.se)
        assert len(out.pointwise) == s.size.groups
    if "surv" in s.row.outcome:  # both refuse what is censored (see the table of verbs)
        return
    check = quietly(fit.ppc, random_seed=1)
    p = check[next(c for c in check if c.startswith("p"))].to_numpy(float)
    assert np.all((p >= 0) & (p <= 1))
    pit = quietly(fit.loo_pit, random_seed=1).to_numpy()
    assert len(pit) == s.size.groups and np.all((pit >= 0) & (pit <= 1))


def shares_sum_to_one(s: Subject, engine: str = "ml") -> None:
    """variance_components: shares of all levels sum to one, none is negative, and r2 lies between zero and one."""
    fit = s.fit(engine)
    table = fit.variance_components()
    share = table["share"].to_numpy(float)
    assert share.sum() == pytest.approx(1.0, abs=1e-8)
    assert np.all(share >= 0)
    names = {name for name in fit.specification.structures if fit.specification.system.n_effects}
    assert len(table) >= len(names) * bool(s.effects_of_members)
    both = point(fit.r2(random_seed=1))
    assert np.all((both > -1e-12) & (both < 1 + 1e-12)) and both[0] <= both[1] + 1e-12


def shares_of_draws_sum_to_one(s: Subject) -> None:
    """The same of draws."""
    shares_sum_to_one(s, "laplace")


def tables_say_what_the_summary_says(s: Subject) -> None:
    """table(): every number as in the summary, to its digits."""
    fit = s.fit()
    shown = mm.table({"fit": fit}, digits=4, below="none")
    cells = {str(index[-1] if isinstance(index, tuple) else index): row for index, row in shown.iterrows()}
    for name, value in fit.params.items():
        assert name in cells, name
        assert f"{value:.4f}" in str(cells[name].iloc[0]).replace("\u2212", "-"), (name, value)


def effects_are_where_they_belong(s: Subject) -> None:
    """Every term with effects has a table of them, all finite; weights() has every membership."""
    fit = s.fit()
    for name, (_, structure) in fit.specification.structures.items():
        table = fit.random_effects(name)
        assert np.all(np.isfinite(point(table))), name
        assert len(table) >= 2
        assert structure is not None
    for name in fit.specification.members:
        memberships = fit.weights(name)
        assert len(memberships) == len(s.data if name != "some" else s.data.dropna(subset=["some"]))


CLAIMS = {
    claim.__name__: claim
    for claim in (
        check_finds_no_problem,
        health_is_good,
        a_nested_model_is_not_better,
        comparisons_are_in_order,
        comparisons_of_draws_are_in_order,
        criticism_is_finite,
        shares_sum_to_one,
        shares_of_draws_sum_to_one,
        tables_say_what_the_summary_says,
        effects_are_where_they_belong,
    )
}


def rows():
    for kind, row in KINDS.items():
        family = "gaussian" if row.families is None else row.families[0]
        yield from (marked(name, kind, family) for name in CLAIMS)


@pytest.mark.parametrize(("claim", "kind", "family"), list(rows()))
def test_contract(claim, kind, family):
    CLAIMS[claim](subject(kind, family, SOUND))
