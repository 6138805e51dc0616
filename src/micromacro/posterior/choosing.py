r"""Estimands of choices: what is read of an alternative depends on the linear predictors of all of its set.

What effects that are integrated out bring to a set is then several Gaussian numbers with a covariance. They are drawn
from their population, the same draws at any theta (in pairs of opposite sign, so that linear parts have no error), and
the quantity is averaged over them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from ..families.base import Quantity
from ..model.specification import Specification
from ..table.memberships import Tables
from .design import Predictor, Scenario, scenario_of, share_unseen
from .estimand import FARTHEST, PAIRS, SEED, Contrast, Estimand, only
from .quantities import find_quantity
from .scales import transform
from .treatment import AS_ESTIMATED, Treatment


class ChoiceEstimand(Estimand):
    """A contrast of averaged quantities of groups that stand together in sets.

    Attributes
    ----------
    rest : Predictor or None
        What the others of a group's set are when it changes. None: they change with it.
    """

    rest: Predictor | None = None

    def beside(self, rest: Scenario) -> ChoiceEstimand:
        """The same of each group changed alone, the others of its set as they are in a scenario."""
        if self.quantity.alone is not None:
            self.rest = Predictor(rest, self.system)
        return self

    # -- values --------------------------------------------------------------------------------------------------------

    def averages(self, theta: np.ndarray, x: np.ndarray, unseen: np.ndarray | None = None) -> np.ndarray:
        self._prepare(theta)
        each = (self._values(predictor, theta, x, unseen) for predictor in self.predictors)
        return np.stack([(self.average @ values.T).T for values in each])

    def _values(self, predictor: Predictor, theta: np.ndarray, x: np.ndarray, unseen: np.ndarray | None) -> np.ndarray:
        """The quantity (categories, groups) in a scenario."""
        extended = self._extended(theta, x, unseen)
        through, new = self._draws(theta, unseen is None)
        if not self.scaled:
            return self._at(predictor, theta, x, extended[:, None] + through + new).mean(axis=1)
        return self._on_scale(self._given(predictor, theta, x, extended, through, new))[0].mean(axis=1)

    def _given(
        self, predictor: Predictor, theta: np.ndarray, x: np.ndarray, extended: np.ndarray, through: np.ndarray,
        new: np.ndarray,
    ) -> np.ndarray:  # fmt: skip
        """The quantity (categories, draws, groups) at each draw of unseen effects, marginal ones integrated out."""
        if through.shape[1] == 1:
            return self._at(predictor, theta, x, extended[:, None] + through + new)
        each = [extended[:, None] + through + new[:, [s]] for s in range(new.shape[1])]
        return np.stack([self._at(predictor, theta, x, latent).mean(axis=1) for latent in each], axis=1)

    def _on_scale(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values on the scale of their interval, and its slope."""
        with np.errstate(all="ignore"):
            on_scale, slope = transform(self.quantity.scale, values)
        return np.clip(on_scale, -FARTHEST, FARTHEST), np.where(np.isfinite(slope), slope, 0.0)

    def _draws(self, theta: np.ndarray, unseen: bool) -> tuple[np.ndarray, np.ndarray]:
        """Deviations (width, draws) of marginal effects and of unseen ones; a column of zeros where there are none."""
        none = np.zeros((len(self.reads), 1))
        rng = np.random.default_rng(SEED)
        through = self._marginal_draws(theta, rng) if self.treatment.marginal else none
        new = self._unseen_draws(theta, rng) if unseen and self.unseen else none
        return through, new

    def _marginal_draws(self, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        out, places = np.zeros((len(self.reads), PAIRS)), self.system.places
        unseen = self.predictors[0].where.unseen
        for part in self.treatment.marginal:
            structure = self.system.parts[part].structure
            assert structure is not None
            own = theta[places.effect_theta(part)]
            out[places.effects(part)] = np.stack([structure.sample(own, rng) for _ in range(PAIRS)], axis=1)
            new = self.system.size + np.array([k for k, key in enumerate(unseen) if key[0] == part], dtype=np.int64)
            out[new] = rng.standard_normal((len(new), PAIRS))
        return np.concatenate([out, -out], axis=1)

    def _unseen_draws(self, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        out = np.zeros((len(self.reads), PAIRS))
        out[self.system.size :] = self.varying[:, None] * rng.standard_normal((self.fresh, PAIRS))
        for idle in self._idle or ():
            out[idle.columns] = idle.sample(theta, rng, PAIRS)
        return np.concatenate([out, -out], axis=1)

    def _etas(self, predictor: Predictor, theta: np.ndarray, latent: np.ndarray) -> np.ndarray:
        """Linear predictors (draws, groups) at draws of the extended x (width, draws)."""
        if latent.shape[1] == 1 or self.sampled:
            return np.stack([predictor.eta(theta, one) for one in latent.T])
        return predictor.entries(theta) + (predictor.matrix(len(latent)) @ latent).T

    def _at(self, predictor: Predictor, theta: np.ndarray, x: np.ndarray, latent: np.ndarray) -> np.ndarray:
        """The quantity (categories, draws, groups) at draws of the extended x (width, draws)."""
        eta, own = self._etas(predictor, theta, latent), self.specification.own(theta, x)
        if self.rest is None:
            return self.quantity.of(eta, own)
        assert self.quantity.alone is not None
        return self.quantity.alone(eta, own, self._etas(self.rest, theta, latent))

    # -- derivatives and variances -------------------------------------------------------------------------------------

    def slope_in_x(self, theta: np.ndarray, x: np.ndarray) -> Any:
        """Derivative of the value in the extended x: sparse (categories * rows, size + fresh)."""
        (outer,) = np.stack(self.contrast.of(self.averages(theta, x))[1], axis=1)  # there is one category
        extended = self._extended(theta, x, None)
        through, new = self._draws(theta, True)
        latent = extended[:, None] + through + new
        each = (
            sparse.diags_array(of) @ (self.average @ self._inner(predictor, theta, x, latent))
            for predictor, of in zip(self.predictors, outer, strict=True)
        )
        return sparse.csr_array(sum(each, sparse.csr_array((len(self.single), len(extended)))))

    def _inner(self, predictor: Predictor, theta: np.ndarray, x: np.ndarray, latent: np.ndarray) -> Any:
        """Derivative of the quantity in the extended x, sparse (groups, width), averaged over the draws."""
        keep, own, draws = sparse.diags_array(self.reads), self.specification.own(theta, x), latent.shape[1]
        etas = self._etas(predictor, theta, latent)
        design = predictor.matrix(len(latent)) @ keep
        factor = np.ones(etas.shape)
        if self.scaled:
            factor = self._on_scale(self._at(predictor, theta, x, latent)[0])[1]
        quantity = self.quantity
        if self.rest is None:
            assert quantity.slope is not None
            slopes = [sparse.diags_array(f) @ quantity.slope(eta, own) for f, eta in zip(factor, etas, strict=True)]
            return sum(slopes[1:], slopes[0]) @ design / draws
        assert quantity.alone_slope is not None
        rest = self._etas(self.rest, theta, latent)
        both = [quantity.alone_slope(eta, own, r) for eta, r in zip(etas, rest, strict=True)]
        through = sum(f * own for f, (own, _) in zip(factor, both, strict=True))
        across = [sparse.diags_array(f) @ s for f, (_, s) in zip(factor, both, strict=True)]
        others = self.rest.matrix(len(latent)) @ keep
        return (sparse.diags_array(through) @ design + sum(across[1:], across[0]) @ others) / draws

    def variance_over_unseen(self, theta: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Variance (categories, rows) that unseen effects bring beyond what the slope in them says."""
        self._prepare(theta)
        through, new = self._draws(theta, True)
        given = self._given(self.predictors[0], theta, x, self._extended(theta, x, None), through, new)
        given = self._on_scale(given)[0] if self.scaled else given
        made = np.stack([(self.average @ one.T).T for one in np.moveaxis(given, 1, 0)])
        slope = self.slope_in_x(theta, x)[:, self.system.size :]
        first = np.asarray(slope.multiply(slope).sum(axis=1)).reshape(made[0].shape)
        return np.var(made, axis=0) - first


# -- making them -------------------------------------------------------------------------------------------------------


def make_estimand(
    specification: Specification, scenarios: list[Scenario], quantity: Quantity, contrast: Contrast, average: Any,
    treatment: Treatment = AS_ESTIMATED, rest: Scenario | None = None,
) -> Estimand:  # fmt: skip
    """A contrast of averaged quantities, see :class:`~micromacro.posterior.estimand.Estimand`.

    Parameters
    ----------
    rest : Scenario, optional
        Where groups stand together: each changes alone, the others of its set are as they are there.
    """
    if quantity.slope is None:
        return Estimand(specification, scenarios, quantity, contrast, average, treatment)
    every = [*scenarios, *([] if rest is None else [rest])]
    *those, last = share_unseen(every, specification.system.size)
    made = ChoiceEstimand(specification, [*those, last][: len(scenarios)], quantity, contrast, average, treatment)
    return made if rest is None else made.beside(last)


def of_groups(
    specification: Specification, tables: Tables | None, quantity: Quantity, treatment: Treatment = AS_ESTIMATED
) -> Estimand:
    """A quantity of each group."""
    where = scenario_of(specification, tables)
    each = sparse.eye_array(where.groups, format="csr")
    return make_estimand(specification, [where], quantity, only(quantity.scale), each, treatment)


def group_estimand(
    specification: Specification, tables: Tables | None, kind: str, treatment: Treatment = AS_ESTIMATED,
    dpar: str | None = None,
) -> Estimand:  # fmt: skip
    """The same by the word for the quantity."""
    return of_groups(specification, tables, find_quantity(specification, kind, dpar, tables), treatment)
