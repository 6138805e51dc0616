r"""What members do: who ranks where, what each brings to its groups, how a group's weight is spread.

A membership contributes :math:`w_{ij}(x_{1ij}'b_1 + u_j)` to the linear predictor, a member the sum of that over its
groups, :math:`u_j` being what its effects amount to in that membership: with slopes :math:`z_{ij}'u_j`, with a walk its
state at the time. The effective number of members of a group is :math:`1/\sum_j \tilde w_{ij}^2` with weights
normalised to sum to one, those of a member listed twice added first. At a maximum all of it is worked out from draws of
the normal approximation (:mod:`.normal`): ranks and the like have no simple standard error.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from ...effects.base import Effects
from ...errors import ModelError
from ...posterior.base import Posterior
from ...posterior.intervals import check_level, of_draws, quantiles
from ...posterior.sampled import Sampled
from ...table.levels import Levels
from ..fitted import Fitted
from ..tables.labelled import labelled

MOST = 1000


def members(fit: Fitted, block: str | None = None, *, random_seed: int | None = None) -> Members:
    """Members of a block: ``.ranking()``, ``.contributions()``, ``.spread()``.

    Parameters
    ----------
    block : str, optional
        Which member block; may be left out where there is one.
    random_seed : int, optional
        Of the draws from the normal approximation (ml, reml).
    """
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
    def _posterior(self) -> Sampled:
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
            Indexed by member: effect (posterior mean, or mean of the normal approximation), sd, rank (expected), lower,
            upper (of the rank), top, memberships.
        """
        from scipy.stats import rankdata  # half a second, which no other result needs

        ids, effects, memberships = self._one_effect(term)
        if isinstance(top, bool) or not 1 <= top <= effects.shape[1] or int(top) != top:
            raise ModelError(
                f"top= is a whole number from 1 to the number of members ({effects.shape[1]}), not {top!r}"
            )
        check_level(ci)
        ranks = rankdata(-effects if largest else effects, axis=1)  # equal ones (all zero, say) share their rank
        low, high = quantiles(ranks, ci)
        columns = {
            "effect": effects.mean(axis=0), "sd": effects.std(axis=0, ddof=1), "rank": ranks.mean(axis=0), "lower": low,
            "upper": high, "top": (ranks <= top).mean(axis=0),
            "memberships": memberships,
        }  # fmt: skip
        table = pd.DataFrame(columns, index=pd.Index(ids, name=self.name))
        return table.sort_values("rank", kind="stable")

    def _structure(self) -> tuple[int, Effects, slice] | None:
        """The part that has the block's effects, the effects, and where the block's memberships are among theirs."""
        specification = self._posterior.specification
        name = specification.effects_name(self.name)
        if name not in specification.structures:
            return None
        index, structure = specification.structures[name]
        return index, structure, specification.system.parts[index].memberships_of(self.name)

    def _one_effect(self, term: str | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ids of members, one effect of each (draws, members), and how many memberships each has in this block."""
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
        effects = self._posterior.effect_draws(index)
        effects = effects.reshape(-1, effects.shape[-1])
        effects, ids = effects[self._posterior.kept(MOST)], labels[0][1]
        if len(labels) > 1:
            effects, ids = effects[:, labels[1][1] == self._term(term, structure.terms)], ids[:: len(structure.terms)]
        elif term not in (None, "1"):
            raise ModelError(f"term={term!r}: a member of block {self.name!r} has one effect, so leave term= out")
        codes = Levels(self.name, ids).find(self._part.levels)[self._part.memberships.member]
        return ids, effects, np.bincount(codes, minlength=len(ids))

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
        """What members bring to the linear predictor: weight times (covariates times coefficients, plus effect).

        Parameters
        ----------
        by : {"member", "membership", "group"}
            Summed over a member's groups, each membership, or summed over a group's members.
        ci : float

        Returns
        -------
        DataFrame
            mean, sd, lower, upper, indexed by member or group, or with columns group and member. Covariates count from
            zero, not from their means.
        """
        rows, levels = self._part.memberships, self._posterior.specification.tables.group_levels
        assert levels is not None
        each = self._each_membership()
        members, groups = self._part.levels.values, levels.values
        if by == "membership":
            left = pd.DataFrame({"group": groups[rows.group], "member": members[rows.member]})
            return pd.concat([left, labelled(of_draws(each, ci), Sampled.words, left.index)], axis=1)
        if by not in ("member", "group"):
            raise ModelError(f'by= is "member", "membership" or "group", not {by!r}')
        codes, ids = (rows.member, members) if by == "member" else (rows.group, groups)
        summed = np.stack([np.bincount(codes, e, len(ids)) for e in each])
        index = pd.Index(ids, name=self.name if by == "member" else levels.name)
        return labelled(of_draws(summed, ci), Sampled.words, index)

    def _each_membership(self) -> np.ndarray:
        """Contributions (draws, memberships)."""
        part, posterior = self._part, self._posterior
        theta, x = posterior.thinned(MOST)
        where = posterior.specification.layout
        covariates = part.covariates_of_memberships(
            theta[:, where.theta(self._index)], x[:, where.coefficients(self._index)]
        )
        if covariates is None:
            raise ModelError(
                f"block {self.name!r} is not a weighted sum, so its members have no contributions of their own"
            )
        return (covariates + self._effects_there(theta, x)) * self._weights()

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

    def _weights(self) -> np.ndarray:
        return self._posterior.weight_draws(self.name, MOST)

    # -- how weight is spread ----------------------------------------------------------------------------------------

    def spread(self, *, ci: float = 0.95) -> pd.DataFrame:
        """How the weight of each group is spread over its members.

        Returns
        -------
        DataFrame
            Indexed by group (those with members): members (distinct), total (sum of weights), smallest, largest (means
            of a member's weight), heaviest (the member with the largest mean weight), effective (number of members:
            1 / sum of squared shares) with its sd, lower and upper.
        """
        rows, levels = self._part.memberships, self._posterior.specification.tables.group_levels
        assert levels is not None
        width = len(self._part.levels)
        keys, places = np.unique(rows.group * width + rows.member, return_inverse=True)
        group, start = keys // width, np.flatnonzero(np.diff(keys // width, prepend=-1))
        merged = np.stack([np.bincount(places.reshape(-1), w, len(keys)) for w in self._weights()])
        total = np.add.reduceat(merged, start, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            effective = total**2 / np.add.reduceat(merged**2, start, axis=1)
        middle = merged.mean(axis=0)
        sizes = np.diff(np.append(start, len(keys)))
        heaviest = [keys[a + int(np.argmax(middle[a : a + n]))] % width for a, n in zip(start, sizes, strict=True)]
        columns = {
            "members": sizes, "total": total.mean(axis=0), "smallest": np.minimum.reduceat(middle, start),
            "largest": np.maximum.reduceat(middle, start), "heaviest": self._part.levels.values[heaviest],
        }  # fmt: skip
        index = pd.Index(levels.values[group[start]], name=levels.name)
        rest = labelled(of_draws(effective, ci), Sampled.words, index).rename(columns={"mean": "effective"})
        return pd.concat([pd.DataFrame(columns, index=index), rest], axis=1)
