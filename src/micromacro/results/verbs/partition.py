r"""How variance divides, by group and on the scale of the outcome; correlation of groups; R squared.

On the link scale a level contributes a'a to group i, a being the level's entries of the group's row of A. On the scale
of the outcome levels do not add up: with :math:`\mu_i(u)` the expected outcome given all effects, a level's part is its
first-order variance :math:`\mathrm{Var}(E[\mu_i \mid u_k])` (Sobol 1993), what is left of :math:`\mathrm{Var}(\mu_i)`
is their interaction, and the residual is :math:`E[\mathrm{Var}(y_i \mid u)]`. This is the partition that Goldstein,
Browne and Rasbash (2002) simulate (their method B); as :math:`\eta_i` is normal, the integrals are done by
Gauss-Hermite quadrature.

R squared is that of Gelman, Goodrich, Gabry and Vehtari (2019) for draws, of Nakagawa, Johnson and Schielzeth (2017) at
a maximum. There, uncertainty comes from draws of the normal approximation (:mod:`.normal`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from ...errors import DataError, EngineError, ModelError
from ...posterior.base import Posterior, Statistic
from ...posterior.choosing import group_estimand
from ...posterior.design import Predictor, scenario_of
from ...posterior.treatment import treatment_of
from ...posterior.variance import level_shares, link_variance, residuals, shares
from ..fitted import Fitted
from ..labels import group_index, shown_order
from ..tables.labelled import labelled
from ..tables.variance import variance_table

MOST = 400
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(21)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


def summarised(
    posterior: Posterior, statistic: Statistic, ci: float, random_seed: int | None, index: pd.Index, most: int = MOST,
    effects: bool = True,
) -> pd.DataFrame:  # fmt: skip
    """A statistic (k,) of (theta, x) that has no simple standard error, as a table; whether it reads the effects."""
    numbers = posterior.numbers_by_draws(statistic, ci, np.random.default_rng(random_seed), most, effects)
    return labelled(numbers, posterior.words, index)


def refuse_several(posterior: Posterior, what: str) -> None:
    """Refuse what one linear predictor per outcome is needed for."""
    family = posterior.specification.family
    if family.several:
        raise EngineError(
            f"there is no {what} for family {family.name}: {family.several}; see predictions() and comparisons()"
        )


class LevelVariances:
    """Variances that every level contributes to every group, at any (theta, x)."""

    def __init__(self, posterior: Posterior):
        self.specification = posterior.specification
        self.family = self.specification.family
        self.predictor = Predictor(scenario_of(self.specification, None), self.specification.system)
        self.names = self.predictor.level_names()

    def fixed(self, theta: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Linear predictor (groups,) with effects of members and units at zero; fills the design."""
        still, where = x.copy(), self.specification.layout
        for k, structure in self.specification.structures.values():
            if not structure.coefficients:
                still[where.effects(k)] = 0.0
        return self.predictor.eta(theta, still)

    def mean(self, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Expected outcome at eta (..., groups)."""
        flat = eta.reshape(-1, eta.shape[-1])
        mean = self.family.mean(flat, own, self.specification.response.values)
        return np.asarray(mean).reshape(eta.shape)

    def outcome_variance(self, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Variance of the outcome given eta."""
        return self.family.variance(eta, own, self.specification.response.values)

    def link(self, theta: np.ndarray) -> np.ndarray:
        """Variance (levels + 1, groups) on the link scale, the residual last."""
        self.predictor.entries(theta)
        rest = link_variance(self.specification, theta, each=True)
        if rest is None:
            raise EngineError(
                f'family {self.family.name} has no agreed variance on the link scale: ask for scale="response"'
            )
        v = self.predictor.level_variances()
        return np.concatenate([v, np.zeros((len(residuals(self.specification)), v.shape[1])) + rest])

    def response(self, theta: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Variance (levels + 2, groups) on the outcome's scale: of each level, their interaction, the residual."""
        f, parameters = self.fixed(theta, x), self.predictor.own(self.specification, x)
        v = self.predictor.level_variances()
        total = v.sum(axis=0)
        eta = f + np.multiply.outer(_NODES, np.sqrt(total))
        mu = self.mean(eta, parameters)
        middle = _WEIGHTS @ mu
        everything = _WEIGHTS @ (mu - middle) ** 2
        out = []
        for own in v:
            inner = np.multiply.outer(_NODES, np.sqrt(own))[:, None]
            outer = np.multiply.outer(_NODES, np.sqrt(np.maximum(total - own, 0.0)))[None]
            given = np.tensordot(self.mean(f + inner + outer, parameters), _WEIGHTS, axes=(1, 0))
            out.append(_WEIGHTS @ (given - middle) ** 2)
        rest = np.maximum(everything - np.sum(out, axis=0), 0.0) if len(out) > 1 else np.zeros_like(middle)
        return np.stack([*out, rest, _WEIGHTS @ self.outcome_variance(eta, parameters)])


def variance_components(
    fit: Fitted,
    ci: float = 0.95,
    *,
    by: Literal["group"] | None = None,
    scale: Literal["link", "response"] = "link",
    random_seed: int | None = None,
) -> pd.DataFrame:
    """What each level contributes to the variance of the outcome given the covariates.

    Parameters
    ----------
    ci : float
    by : {"group"}, optional
        A row for each group and level: weights differ between groups.
    scale : {"link", "response"}
        Of the linear predictor, or of the outcome itself, where levels do not add up: the first-order variance of
        each level, their ``interaction`` and the residual (Goldstein, Browne and Rasbash 2002).
    random_seed : int, optional
        Of the normal approximation from which ml and reml take the intervals of these.

    Returns
    -------
    DataFrame
        Indexed by level: sd (of one effect), variance (mean over groups of what reaches the outcome; for a member
        block sd^2 times the sum of squared weights), share (VPC / ICC) with its sd or se and its interval. Without
        sd where `by` or `scale` is given. Student's t has no variance where nu <= 2: the residual's share is 1 there,
        and its sd and variance are medians over the draws (infinite if most are).
    """
    if by is None and scale == "link":
        return variance_table(fit.posterior, ci)
    return partition(fit.posterior, ci, by, scale, random_seed)


def partition(
    posterior: Posterior, ci: float, by: str | None, scale: str, random_seed: int | None = None
) -> pd.DataFrame:  # fmt: skip
    """Variance components by group or on the scale of the outcome."""
    for word, value, known in (("by", by, (None, "group")), ("scale", scale, ("link", "response"))):
        if value not in known:
            raise EngineError(f"{word}= is one of {', '.join(map(repr, known))}, not {value!r}")
    if scale == "response":
        refuse_several(posterior, "a partition of the outcome's variance")
    levels = LevelVariances(posterior)
    names = [*levels.names, *(["interaction"] if scale == "response" else []), *residuals(levels.specification)]

    def at(theta: np.ndarray, x: np.ndarray) -> np.ndarray:
        v = levels.link(theta) if scale == "link" else levels.response(theta, x)
        return v if by == "group" else v.mean(axis=1, keepdims=True)

    def both(theta: np.ndarray, x: np.ndarray) -> np.ndarray:
        v = at(theta, x)
        parts = level_shares(levels.specification, v) if scale == "link" else shares(v, 0)
        return np.concatenate([parts.T.ravel(), v.T.ravel()])

    level = pd.Index(names, name="level")
    index: pd.Index = level
    if by == "group":
        groups = group_index(posterior.specification, None)
        index = pd.MultiIndex.from_arrays(
            [*(groups.get_level_values(k).repeat(len(level)) for k in range(groups.nlevels)),
             np.tile(level, len(groups))], names=[*groups.names, "level"],
        )  # fmt: skip
    most = MOST if scale == "link" else MOST // 2
    everything = summarised(posterior, both, ci, random_seed, index.append(index), most, scale != "link")
    table = everything.iloc[: len(index)]
    words = posterior.words
    table = table.rename(columns={words.point: "share", words.spread: f"share_{words.spread}"})
    table.insert(0, "variance", everything.iloc[len(index) :, 0].to_numpy())
    if by == "group":  # groups as users see them
        rows = shown_order(posterior.specification, None)[:, None] * len(level) + np.arange(len(level))
        table = table.iloc[rows.ravel()]
    if scale == "response" and len(levels.names) < 2:
        table = table[table.index.get_level_values("level") != "interaction"]
    return table


# -- correlation of groups -------------------------------------------------------------------------------------


def group_correlation(
    fit: Fitted,
    groups: Any,
    other: Any = None,
    *,
    of: str = "correlation",
    ci: float = 0.95,
    random_seed: int | None = None,
) -> pd.DataFrame:
    """How strongly groups are correlated because they share members and units.

    Parameters
    ----------
    groups : id or list of ids
        One group, and `other`, or a list of groups.
    other : id, optional
    of : {"correlation", "covariance", "outcome"}
        For a list: correlation or covariance of the linear predictors given the covariates, or the correlation of the
        outcomes on the link scale (the residual added to the variances).
    ci : float
    random_seed : int, optional
        Of the normal approximation (ml, reml).

    Returns
    -------
    DataFrame
        For two groups mean, sd, lower, upper (estimate, se, lower, upper) of the covariance through each level, of
        their sum ``total``, of ``correlation`` and, where the family has a link-scale variance, of
        ``outcome correlation``. For a list the matrix of posterior means or estimates.

    Raises
    ------
    ModelError, DataError
        For models without effects, families without a variance on the link scale (``of="outcome"``), and unknown
        groups.
    """
    if of not in ("correlation", "covariance", "outcome"):
        raise EngineError(f'of= is "correlation", "covariance" or "outcome", not {of!r}')
    posterior = fit.posterior
    refuse_several(posterior, "one correlation of groups")
    levels = LevelVariances(posterior)
    if not levels.names:
        raise ModelError("this model has no effects of members or units, so its groups are independent")
    pair = other is not None
    places = _places(posterior, [groups, other] if pair else groups)

    def covariance(theta: np.ndarray) -> np.ndarray:
        levels.predictor.entries(theta)
        return levels.predictor.level_covariances(places)

    if not pair:
        labels = group_index(posterior.specification, None)[places]
        labels = labels.to_flat_index() if labels.nlevels > 1 else labels
        table = summarised(posterior, lambda t, _: _matrix(posterior, covariance(t).sum(axis=0), t, of).ravel(), ci,
                           random_seed, pd.RangeIndex(len(places) ** 2), effects=False)  # fmt: skip
        return pd.DataFrame(table.iloc[:, 0].to_numpy().reshape(len(places), -1), labels, labels.rename(None))
    starts = np.array([p.start for p in posterior.specification.system.hypers])
    residual = link_variance(posterior.specification, starts) is not None
    names = [*levels.names, "total", "correlation", *(["outcome correlation"] if residual else [])]

    def statistic(theta: np.ndarray, _: np.ndarray) -> np.ndarray:
        c = covariance(theta)
        total = c.sum(axis=0)
        out = [*c[:, 0, 1], total[0, 1], _matrix(posterior, total, theta, "correlation")[0, 1]]
        return np.array([*out, _matrix(posterior, total, theta, "outcome")[0, 1]] if residual else out)

    return summarised(posterior, statistic, ci, random_seed, pd.Index(names, name="covariance"), effects=False)


def _matrix(posterior: Posterior, covariance: np.ndarray, theta: np.ndarray, of: str) -> np.ndarray:
    """A covariance matrix, or the correlations that it makes."""
    if of == "covariance":
        return covariance
    if of == "outcome":
        rest = link_variance(posterior.specification, theta)
        if rest is None:
            raise EngineError(f"family {posterior.specification.family.name} has no agreed variance on the link scale")
        if np.isinf(rest):
            return np.eye(len(covariance))
        covariance = covariance + rest * np.eye(len(covariance))
    sd = np.sqrt(np.diag(covariance))
    with np.errstate(divide="ignore", invalid="ignore"):
        return covariance / np.outer(sd, sd)


def _places(posterior: Posterior, groups: Sequence[Any]) -> np.ndarray:
    index = group_index(posterior.specification, None)
    asked = list(groups) if np.ndim(groups) and not isinstance(groups, str) else [groups]
    if len(asked) < 2:
        raise DataError("give two groups, or a list of them")
    if not index.is_unique:
        raise DataError("labels of the data's index occur twice, so they do not say which row: use reset_index()")
    out = index.get_indexer(pd.Index(asked))
    unknown = [g for g, at in zip(asked, out, strict=True) if at < 0]
    if unknown:
        raise DataError(f"there is no group {unknown[0]!r} in {index.name or 'the index'!r}")
    return np.asarray(out)


# -- R squared -----------------------------------------------------------------------------------------------


def r2(fit: Fitted, method: str | None = None, *, ci: float = 0.95, random_seed: int | None = None) -> pd.DataFrame:
    """R squared of the covariates alone (marginal) and with the effects (conditional).

    Parameters
    ----------
    method : {"bayes", "nakagawa"}, optional
        Gelman et al. (2019), the default with draws: variance of the expected outcomes over their variance plus the
        expected variance of an outcome around them, on the outcome's scale; marginal, with effects integrated out.
        Nakagawa et al. (2017), the default at a maximum: variances on the link scale. Categories and choices have the
        first one by every engine, of the indicators of all categories (as Goodman and Kruskal's tau), or of what is
        chosen, around one over the size of its set.
    ci : float
    random_seed : int, optional
        Of the normal approximation (ml, reml).

    Returns
    -------
    DataFrame
        Indexed by marginal and conditional: mean, sd, lower, upper, or estimate, se, lower, upper.

    Raises
    ------
    ModelError
        For an unknown `method`, and for families without a variance on the scale that it needs.
    """
    posterior = fit.posterior
    if method not in (None, "bayes", "nakagawa"):
        raise EngineError(f'method= is "bayes" or "nakagawa", not {method!r}')
    index = pd.Index(["marginal", "conditional"], name="r2")
    if fit.specification.family.several and method != "nakagawa":
        return summarised(posterior, _of_shares(fit), ci, random_seed, index)
    refuse_several(posterior, "variance on the link scale")
    method = posterior.r_squared if method is None else method
    levels = LevelVariances(posterior)
    if method == "nakagawa" and link_variance(fit.specification, posterior.theta) is None:
        raise EngineError(
            f"family {fit.specification.family.name} has no agreed variance on the link scale: ask for the other R "
            'squared, r2(method="bayes")'
        )

    def bayes(theta: np.ndarray, x: np.ndarray) -> np.ndarray:
        eta, own = levels.predictor.eta(theta, x), levels.predictor.own(fit.specification, x)
        fitted, noise = np.var(levels.mean(eta, own), ddof=1), np.mean(levels.outcome_variance(eta, own))
        f = levels.fixed(theta, x)
        around = f + np.multiply.outer(_NODES, np.sqrt(levels.predictor.level_variances().sum(axis=0)))
        mu = levels.mean(around, own)
        middle = _WEIGHTS @ mu
        rest = _WEIGHTS @ (mu - middle) ** 2 + _WEIGHTS @ levels.outcome_variance(around, own)
        marginal = np.var(middle, ddof=1)
        return np.array([marginal / (marginal + np.mean(rest)), fitted / (fitted + noise)])

    def nakagawa(theta: np.ndarray, x: np.ndarray) -> np.ndarray:
        v = levels.link(theta).mean(axis=1)
        fixed = np.var(levels.fixed(theta, x), ddof=1)
        return np.array([fixed, fixed + v[:-1].sum()]) / (fixed + v.sum())

    of = bayes if method == "bayes" else nakagawa
    curves = any(part.effects and part.structure is None for part in posterior.specification.system.parts)
    return summarised(posterior, of, ci, random_seed, index, effects=of is bayes or curves)


def _of_shares(fit: Fitted) -> Statistic:
    """R squared of the indicators of categories or of choices, marginal and conditional."""
    s = fit.specification
    family: Any = s.family  # one whose outcomes have probabilities that sum to one
    each = [
        group_estimand(s, None, "probability", treatment_of(s, word, "draw")) for word in ("marginal", "conditional")
    ]

    def statistic(theta: np.ndarray, x: np.ndarray) -> np.ndarray:
        parts = (family.divided(e.averages(theta, x)[0], s.response) for e in each)
        return np.array([between / (between + left) for between, left in parts])

    return statistic
