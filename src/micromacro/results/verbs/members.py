r"""Members: their ranks, what each contributes to its groups, how a group's weight is spread.

A membership contributes :math:`w_{ij}(x_{1ij}'b_1 + u_j)` to the linear predictor, a member the sum of that over its
groups, :math:`u_j` being what its effects amount to in that membership: with slopes :math:`z_{ij}'u_j`, with a walk its
state at the time. The effective number of members of a group is :math:`1/\sum_j \tilde w_{ij}^2` with weights
normalised to sum to one, those of a member listed twice added first. At a maximum all of it is worked out from draws of
the normal approximation (:mod:`.normal`): ranks, for example, have no simple standard error.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from ...effects.base import Effects
from ...errors import EngineError, ModelError
from ...posterior.base import Drawn, Posterior
from ...posterior.intervals import Numbers, check_level, quantiles
from ...posterior.unitweights import UnitWeights, unit_weights
from ...table.levels import Levels
from ..fitted import Fitted
from ..tables.labelled import labelled, of_memberships

MOST = 1000


def members(fit: Fitted, block: str | None = None, *, random_seed: int | None = None) -> Members:
    """Members of a block: ``.ranking()``, ``.contributions()``, ``.spread()``.

    Parameters
    ----------
    block : str, optional
        Which member block; may be left out where there is one.
    random_seed : int, optional
        Of the draws from the normal approximation (ml, reml).

    Returns
    -------
    Members

    Raises
    ------
    ModelError
        For models without member blocks, unknown blocks, and several blocks if none is named.
    EngineError
        For families with a linear predictor per category.
    """
    family = fit.specification.family
    if family.nominal and fit.specification.members:
        raise EngineError(
            f"members() reads one linear predictor, but with family {family.name} {family.several}: see "
            "random_effects() and weights()"
        )
    blocks = fit.specification.members
    if not blocks:
        raise ModelError("this model has no member block")
    if block is None and len(blocks) > 1:
        raise ModelError(f"this model has several member blocks: say which ({', '.join(blocks)})")
    name = next(iter(blocks)) if block is None else block
    if name not in blocks:
        raise ModelError(f"there is no member block {name!r}; this model has: {', '.join(blocks)}")
    return Members(fit.posterior, name, random_seed)


class Members:
    """The members of one block; see :meth:`Fit.members`.

    Uses at most 1,000 draws; of ml and reml they come from the normal approximation at the maximum.
    """

    def __init__(self, posterior: Posterior, name: str, random_seed: int | None):
        self.name = name
        self._fitted = posterior
        self._seed = random_seed

    def __repr__(self) -> str:
        rows = self._part.memberships
        return (
            f"Members of {self.name}: {len(self._part.levels)} members, {len(rows.group)} memberships in "
            f"{len(rows.start) - 1} groups; .ranking(), .contributions(), .spread()"
        )

    @cached_property
    def _posterior(self) -> Drawn:
        return self._fitted.as_sampled(MOST, np.random.default_rng(self._seed))

    @cached_property
    def _index(self) -> int:
        return self._posterior.block(self.name)[0]

    @property
    def _part(self) -> Any:
        return self._posterior.specification.members[self.name]

    # -- ranks -------------------------------------------------------------------------------------------------------

    def ranking(
        self, top: int = 10, *, term: str | None = None, largest: bool = True, ci: float = 0.95
    ) -> pd.DataFrame:  # fmt: skip
        """Members ordered by their expected rank.

        Parameters
        ----------
        top : int
            k of the column ``top``, the probability of being among the first k.
        term : str, optional
            Which of a member's effects, where there are several: ``"1"`` for its intercept, the covariate of a slope,
            the block of a role.
        largest : bool
            Whether the largest effect has rank 1 (else the smallest).
        ci : float

        Returns
        -------
        DataFrame
            Indexed by member: the effect (mean, sd, lower, upper, or estimate, se, lower, upper, as in
            :meth:`Fit.random_effects`), rank (expected), rank_lower, rank_upper, top, memberships.

        Raises
        ------
        ModelError
            For blocks without effects, or with effects that change from one participation to the next; for `top` or
            `term` out of range.
        """
        from scipy.stats import rankdata  # half a second, which no other result needs

        index, chosen, ids, memberships = self._one_effect(term)
        effects = self._posterior.effect_draws(index)
        effects = effects.reshape(-1, effects.shape[-1])[self._posterior.chosen(MOST)][:, chosen]
        if isinstance(top, bool) or not 1 <= top <= effects.shape[1] or int(top) != top:
            raise ModelError(
                f"top= is a whole number from 1 to the number of members ({effects.shape[1]}), not {top!r}"
            )
        check_level(ci)
        ranks = rankdata(-effects if largest else effects, axis=1)  # equal ones (all zero, say) share their rank
        low, high = quantiles(ranks, ci)
        numbers = self._fitted.effects(index, ci)
        table = labelled(numbers, self._fitted.words, pd.RangeIndex(len(numbers.point)))[chosen]
        table = table.set_axis(pd.Index(ids, name=self._part.levels.name)).assign(
            rank=ranks.mean(axis=0), rank_lower=low, rank_upper=high, top=(ranks <= top).mean(axis=0),
            memberships=memberships,
        )  # fmt: skip
        return table.sort_values("rank", kind="stable")

    def _structure(self) -> tuple[int, Effects, slice] | None:
        """The part that has the block's effects, the effects, and where the block's memberships are among theirs."""
        specification = self._posterior.specification
        name = specification.effects_name(self.name)
        if name not in specification.structures:
            return None
        index, structure = specification.structures[name]
        return index, structure, specification.system.parts[index].memberships_of(self.name)

    def _one_effect(self, term: str | None) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
        """The part with the effects, which of them is meant (effects,), ids of members, memberships in this block."""
        found = self._structure()
        if found is None:
            raise ModelError(f"block {self.name!r} has no effects (effects=none), so its members have no rank")
        index, structure, _ = found
        labels = list(structure.labels())
        if len(labels) > 1 and labels[1][0] != "term":
            raise ModelError(
                f"the effects of block {self.name!r} change from one participation to the next, so its members have no "
                "one rank: see contributions(), or random_effects() for the states"
            )
        ids = labels[0][1]
        chosen = np.ones(len(ids), dtype=bool)
        if len(labels) > 1:
            chosen = labels[1][1] == self._term(term, structure.terms)
            ids = ids[chosen]
        elif term not in (None, "1"):
            raise ModelError(f"term={term!r}: a member of block {self.name!r} has one effect, so leave term= out")
        codes = Levels(self.name, ids).find(self._part.levels)[self._part.memberships.member]
        return index, chosen, ids, np.bincount(codes, minlength=len(ids))

    def _term(self, term: str | None, terms: tuple[str, ...]) -> str:
        """Which of several effects is meant."""
        if term is None and self.name in terms:  # the block's own role
            return self.name
        if term not in terms:
            raise ModelError(
                f"each member of block {self.name!r} has several effects: say which with term= (one of "
                f"{', '.join(terms)}), not {term!r}"
            )
        return term

    # -- contributions -----------------------------------------------------------------------------------------------

    def contributions(self, by: str = "member", *, ci: float = 0.95) -> pd.DataFrame:
        """What members contribute to the linear predictor: weight times (covariates times coefficients, plus effect).

        Parameters
        ----------
        by : {"member", "membership", "group"}
            Summed over a member's groups, each membership, or summed over a group's members.
        ci : float

        Returns
        -------
        DataFrame
            mean, sd, lower, upper, or estimate, se, lower, upper, indexed by member or group, or as
            :meth:`Fit.weights` by membership. Covariates count from zero, not from their means.

        Raises
        ------
        ModelError
            For blocks that are not weighted sums, and for an unknown `by`.
        """
        if by not in ("member", "membership", "group"):
            raise ModelError(f'by= is "member", "membership" or "group", not {by!r}')
        rows, groups = self._part.memberships, self._posterior.specification.tables.group_levels
        assert groups is not None
        members = self._part.levels
        if by == "membership":
            numbers = self._numbers(lambda each: each, ci)
            return of_memberships(numbers, self._fitted.words, groups, rows.group, members, rows.member)
        codes, levels = (rows.member, members) if by == "member" else (rows.group, groups)
        numbers = self._numbers(lambda each: np.bincount(codes, each, len(levels)), ci)
        return labelled(numbers, self._fitted.words, pd.Index(levels.values, name=levels.name))

    def _numbers(self, of: Callable[[np.ndarray], np.ndarray], ci: float) -> Numbers:
        """A function of the contributions of all memberships."""

        def statistic(theta: np.ndarray, x: np.ndarray) -> np.ndarray:
            return of(self._each_membership(theta[None], x[None])[0])

        return self._fitted.numbers_by_draws(statistic, ci, np.random.default_rng(self._seed), MOST)

    def _each_membership(self, theta: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Contributions (draws, memberships) at theta and x (draws, k)."""
        return self._each_value(theta, x) * np.stack([self._weights(t, own) for t, own in zip(theta, x, strict=True)])

    def _each_value(self, theta: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Contributions before the weights (draws, memberships) at theta and x (draws, k)."""
        part, posterior = self._part, self._posterior
        where = posterior.specification.layout
        covariates = part.covariates_of_memberships(
            theta[:, where.theta(self._index)], x[:, where.coefficients(self._index)]
        )
        if covariates is None:
            raise ModelError(
                f"block {self.name!r} is not a weighted sum, so its members have no contributions of their own"
            )
        return covariates + self._effects_there(theta, x)

    def _effects_there(self, theta: np.ndarray, x: np.ndarray) -> np.ndarray:
        """What a member's effects amount to in each membership (draws, memberships), whatever their kind."""
        found = self._structure()
        out = np.zeros((len(theta), len(self._part.memberships.group)))
        if found is None:
            return out
        index, structure, own = found
        latent = x[:, self._posterior.specification.layout.latents(index)]
        where = self._posterior.specification.layout.effect_theta(index)
        membership, entry = structure.pattern()
        load = np.empty(len(membership))
        for row, t, values in zip(out, theta, latent, strict=True):
            structure.loads(t[where], load)
            row[:] = np.bincount(membership, load * values[entry], len(structure.rows.group))[own]
        return out

    def _weights(self, theta: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Weights (memberships,) at theta and x."""
        if self._of_units is not None:
            return self._of_units(theta, x)
        where = self._posterior.specification.layout.theta(self._index)
        return self._part.weights(theta[where], self._room).copy()

    @property
    def reads_effects(self) -> bool:
        """Whether the weights depend on effects."""
        return self._of_units is not None

    @cached_property
    def _of_units(self) -> UnitWeights | None:
        return unit_weights(self._posterior.specification, self.name)

    @cached_property
    def _room(self) -> Any:
        return self._part.weighing.scratch(gradient=False)

    # -- how weight is spread ----------------------------------------------------------------------------------------

    def spread(self, *, ci: float = 0.95) -> pd.DataFrame:
        """How the weight of each group is spread over its members.

        Parameters
        ----------
        ci : float

        Returns
        -------
        DataFrame
            Indexed by group (those with members): members (distinct), total (sum of weights), smallest and largest
            weight of a member (mean or estimate), heaviest (the member with the largest), effective (number of members:
            1 / sum of squared shares) with its sd or se, lower and upper.
        """
        rows, groups = self._part.memberships, self._posterior.specification.tables.group_levels
        assert groups is not None
        width = len(self._part.levels)
        keys, places = np.unique(rows.group * width + rows.member, return_inverse=True)
        group, start = keys // width, np.flatnonzero(np.diff(keys // width, prepend=-1))
        sizes = np.diff(np.append(start, len(keys)))

        def statistic(theta: np.ndarray, x: np.ndarray) -> np.ndarray:
            merged = np.bincount(places.reshape(-1), self._weights(theta, x), len(keys))
            total = np.add.reduceat(merged, start)
            with np.errstate(divide="ignore", invalid="ignore"):
                effective = total**2 / np.add.reduceat(merged**2, start)
            return np.concatenate([effective, total, merged])

        numbers = self._fitted.numbers_by_draws(statistic, ci, np.random.default_rng(self._seed), MOST)
        many = len(start)
        total, middle = numbers.point[many : 2 * many], numbers.point[2 * many :]
        heaviest = [keys[a + int(np.argmax(middle[a : a + n]))] % width for a, n in zip(start, sizes, strict=True)]
        columns = {
            "members": sizes, "total": total, "smallest": np.minimum.reduceat(middle, start),
            "largest": np.maximum.reduceat(middle, start), "heaviest": self._part.levels.values[heaviest],
        }  # fmt: skip
        index = pd.Index(groups.values[group[start]], name=groups.name)
        words = self._fitted.words
        rest = labelled(numbers, words, pd.RangeIndex(len(numbers.point))).iloc[:many].set_axis(index)
        return pd.concat([pd.DataFrame(columns, index=index), rest.rename(columns={words.point: "effective"})], axis=1)
