"""Contracts: what must hold of every subject. Each takes a :class:`~contracts.subjects.Subject` and asserts."""

from __future__ import annotations

import numpy as np
import pandas as pd

from micromacro.engines.joint import log_joint
from micromacro.engines.marginals import marginal_of

from .subjects import Subject, point
from .tables import groups

CLOSE = {"rtol": 1e-8, "atol": 1e-8}


# -- prediction --------------------------------------------------------------------------------------------------------


def own_tables_are_fitted(s: Subject) -> None:
    """Prediction on the fit's own tables, without their outcome, is fitted()."""
    fit = s.fit()
    anew = fit.predict(s.covariates)
    np.testing.assert_allclose(point(anew), fit.fitted().to_numpy(), **CLOSE)
    close = (
        {"rtol": 1e-6, "atol": 1e-6} if s.row.sets else CLOSE
    )  # of a choice that is certain one minus it is rounding
    pd.testing.assert_frame_equal(anew, s.predicted, check_exact=False, **close)


def some(s: Subject) -> np.ndarray:
    """Some of the groups, not the first ones and not in a row; whole sets of those that belong together."""
    if s.row.sets:
        sets = groups(s.size)[s.row.sets]
        return np.flatnonzero(sets % 3 == 1)
    return np.arange(s.size.groups)[3 : 3 * s.size.groups // 4 : 4]


def by_group(s: Subject, table: pd.DataFrame) -> np.ndarray:
    """Point estimates (groups, categories)."""
    values = point(table)
    return values.reshape(-1, values.size // s.size.groups)


def a_subset_is_the_subset_of_the_whole(s: Subject) -> None:
    """Some groups alone are predicted as they are among all, whatever the order of their rows."""
    fit, chosen = s.fit(), some(s)
    whole = by_group(s, s.predicted)[chosen].ravel()
    part = s.covariates[s.covariates["g"].isin(chosen)]
    np.testing.assert_allclose(point(fit.predict(part)), whole, **CLOSE)
    if s.kind.has_members:
        np.testing.assert_allclose(point(fit.predict(part[::-1])), whole, **CLOSE)


def other_group_ids_predict_alike(s: Subject) -> None:
    """Groups under ids that the fit has not seen are predicted as under their own: members make them."""
    fit, chosen = s.fit(), some(s)
    part = s.covariates[s.covariates["g"].isin(chosen)]
    part = part.assign(g=part["g"] + 1000)
    np.testing.assert_allclose(point(fit.predict(part)), by_group(s, s.predicted)[chosen].ravel(), **CLOSE)


def a_contrast_is_the_difference_of_predictions(s: Subject) -> None:
    """comparisons() of a covariate is the mean change by hand, of the groups that it reaches."""
    fit, name = s.fit(), s.kind.moved
    step = 0.25
    up = s.covariates.assign(**{name: s.covariates[name] + step})
    if s.row.sets:  # of groups that belong together each changes alone
        _each_alone(s, up, step)
        return
    change = by_group(s, fit.predict(up)) - by_group(s, s.predicted)
    np.testing.assert_allclose(point(fit.comparisons({name: step})), change[s.reached].mean(axis=0), **CLOSE)


def _each_alone(s: Subject, up: pd.DataFrame, step: float) -> None:
    """The same of a few groups, the others of whose sets stay as they are."""
    fit, chosen = s.fit(), [g for g in some(s) if s.reached[g]][:4]
    made = fit.comparisons({s.kind.moved: step}, by="group")
    for g in chosen:
        alone = fit.predict(up.where(s.covariates["g"] == g, s.covariates))
        change = (point(alone) - point(s.predicted))[g]
        np.testing.assert_allclose(point(made.loc[[g]]), change, **CLOSE)


def weights_of_other_tables_keep_the_constants(s: Subject) -> None:
    """weights() of some groups, of tables or of the whole, are the same numbers."""
    fit, chosen = s.fit(), some(s)
    part = s.covariates[s.covariates["g"].isin(chosen)]
    for block in fit.specification.members:
        whole = fit.weights(block)
        id_of_group = whole.columns[0] if "g" not in whole else "g"
        if "g" in whole.index.names:
            mine = whole[whole.index.get_level_values("g").isin(chosen)]
        else:
            mine = whole[whole[id_of_group].isin(chosen)]
        np.testing.assert_allclose(fit.weights(block, data=part)["weight"], mine["weight"], **CLOSE)


# -- densities ---------------------------------------------------------------------------------------------------------


def place(s: Subject, specification) -> np.ndarray:
    """An ordinary theta, a little away from where the outcome was drawn."""
    rng = np.random.default_rng(5)
    hypers = specification.system.hypers
    given = np.array([s.truth[p.name] for p in hypers])
    theta = specification.layout.from_reported(given)
    assert np.all(np.isfinite(theta))
    return theta * np.exp(0.1 * rng.uniform(-1, 1, len(theta)))


def gradients_are_differences(s: Subject) -> None:
    """The gradient of the marginal likelihood is its central differences, coefficients integrated or held."""
    specification = s.model.specification
    for held in (False, True):
        marginal = marginal_of(specification, held)
        size = len(marginal.arguments)
        room, theta = marginal.workspace(), place(s, specification)
        at = np.concatenate([theta, np.full(size - len(theta), 0.1)])
        slope = marginal.gradient(at, room)[1]
        for k in range(len(at)):
            h = 1e-5 * np.eye(len(at))[k] * max(1.0, abs(at[k]))
            up, down = (marginal.value(at + d, room) for d in (h, -h))
            assert np.isclose(slope[k], (up - down) / (2 * h[k]), rtol=2e-5, atol=2e-5), (held, k)


def nuts_has_the_same_density(s: Subject) -> None:
    """The joint density that NUTS samples, written from the parts' data, is that of the latent system."""
    import jax

    from micromacro.engines.nuts.density import Joint
    from micromacro.engines.nuts.engine import double_precision

    specification = s.model.specification
    rng = np.random.default_rng(7)
    theta, x = place(s, specification), 0.3 * rng.standard_normal(specification.system.size)
    with double_precision(), jax.disable_jit():
        told = float(Joint(specification).log_density(jax.numpy.asarray(theta), jax.numpy.asarray(x)))
    assert np.isfinite(told)
    np.testing.assert_allclose(told, log_joint(specification, theta, x), rtol=1e-10)


#: Claims that every pair of a kind and a family is held to.
OF_PAIRS = {
    claim.__name__: claim
    for claim in (
        own_tables_are_fitted,
        a_subset_is_the_subset_of_the_whole,
        other_group_ids_predict_alike,
        a_contrast_is_the_difference_of_predictions,
        gradients_are_differences,
        nuts_has_the_same_density,
    )
}
