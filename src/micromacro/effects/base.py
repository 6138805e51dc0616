r"""What a kind of effects offers to the terms, the latent system and the results.

A kind describes the effects of some levels (members or units) on the rows of A. With w the weight of a membership
(1 for a unit), the effect that reaches its row is :math:`w\,\sum_e c_e(\theta)\,x_{l(e)}` over its *pieces* e, each
with a latent entry :math:`l(e)` of x and a loading :math:`c_e`; the latent entries are
:math:`N(0, D(\theta)^{-1})`.

The base class is complete for kinds whose D is the identity; a new kind overrides what is different. Theta is, in
every method, the kind's own part of it, in the order of `hypers`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Protocol

import numpy as np
from scipy import sparse

from ..language.nodes import Node
from ..parameters import Parameter
from ..priors import Prior
from ..table.columns import Table
from ..table.levels import Levels
from .phrases import Noun, Phrase, noun_of, of_correlation, of_sd, pairs


@dataclass(frozen=True, eq=False)
class Rows:
    """Which level each membership has (a unit term has one membership per group).

    Attributes
    ----------
    group : (m,) int array
        Row of A.
    level : (m,) int array
        Code among the levels; codes from ``len(levels)`` on are levels that the fit has not seen.
    levels : Levels
    z : (k, m) array
        Covariates of the terms that vary (a row of ones for the intercept).
    terms : tuple of str
        Their names, ``1`` for the intercept.
    table : Table
        The columns of the memberships (of the groups, for a unit).
    ids : array
        Ids of the groups in their natural type (row numbers where each row is a group).
    """

    group: np.ndarray
    level: np.ndarray
    levels: Levels
    z: np.ndarray
    terms: tuple[str, ...]
    table: Table
    ids: np.ndarray

    @property
    def groups(self) -> int:
        """Number of groups."""
        return len(self.ids)


class PriorMaker(Protocol):
    """What makes a kind's parameters: their priors are the user's, else scaled by the data."""

    def sd(self, name: str, effective: float = 1.0, spread: float = 1.0) -> Parameter: ...

    def correlations(self, names: Sequence[str], terms: int) -> tuple[tuple[Parameter, ...], Any]: ...

    def coefficient(self, name: str, spread: float) -> Parameter: ...

    def hyper(self, name: str, kind: str, default: Prior, start: float) -> Parameter: ...


@dataclass(frozen=True, eq=False)
class Setting:
    """What a kind is made from.

    Attributes
    ----------
    name : str
        Of the block or the unit term: parameters are called ``name.sd`` and so on.
    word : str
        The kind's word in the formula.
    arguments : tuple of Node
        The arguments in parentheses after it, as written.
    node : Node
        The whole of ``effects=``, for the place of messages.
    text : str
        The formula.
    rows : Rows
    spread : (k,) array
        Standard deviation of each varying covariate (1 for the intercept).
    effective : float
        How many effects reach a group's outcome together.
    weight : (m,) array
        Weights at the starting values.
    intercept : bool
        Whether the model has an intercept.
    priors : PriorMaker
    sources : mapping
        What the user gave by name: graphs and known covariances.
    others : mapping
        Effects of the terms built before this one, by name.
    dropped : frozenset of str
        Coefficients that are left out because their columns are collinear.
    """

    name: str
    word: str
    arguments: tuple[Node, ...]
    node: Node
    text: str
    rows: Rows
    spread: np.ndarray
    effective: float
    weight: np.ndarray
    intercept: bool
    priors: PriorMaker
    sources: Mapping[str, Any] = field(default_factory=dict)
    others: Mapping[str, Effects] = field(default_factory=dict)
    dropped: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Smooth:
    """Effects with another theta, in which a search meets no edge.

    Attributes
    ----------
    effects : Effects
        The same effects, of the same pattern, with the other theta.
    into, back : callable
        From theta (q,) to the other one (q,), and from that to theta.
    """

    effects: Effects
    into: Callable[[np.ndarray], np.ndarray]
    back: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Effects:
    """Effects of the levels of one term; the base of all kinds.

    Attributes
    ----------
    name : str
        Of the block or the unit term.
    rows : Rows
    hypers : tuple of Parameter
        The kind's entries of theta.
    fresh : tuple
        Ids of levels that the fit has not seen (prediction only).
    """

    name: str
    rows: Rows
    hypers: tuple[Parameter, ...]
    fresh: tuple = ()

    varies: ClassVar[bool] = False
    """Whether D depends on theta."""

    divides: ClassVar[bool] = False
    """Whether its rows on some groups, made by :meth:`on`, are those that it has there with all groups; D is 1."""

    # -- what there is -----------------------------------------------------------------------------------------------

    @property
    def levels(self) -> Levels:
        """The levels that the fit has seen."""
        return self.rows.levels

    @property
    def terms(self) -> tuple[str, ...]:
        """What varies over the levels: ``1``, names of covariates."""
        return self.rows.terms

    @property
    def coefficients(self) -> tuple[Parameter, ...]:
        """Coefficients instead of latent effects (no pooling); the pattern then counts in these."""
        return ()

    @property
    def latents(self) -> int:
        """Number of latent entries, those of fresh levels last."""
        raise NotImplementedError

    @property
    def covariances(self) -> tuple[slice, ...]:
        """Where the sds and correlations of each covariance matrix are among `hypers`."""
        return (slice(0, len(self.hypers)),)

    @property
    def of_types(self) -> tuple[str, tuple[Any, ...]] | None:
        """The column of types of levels and its values, where each type has parameters of its own."""
        return None

    @property
    def each_kind(self) -> tuple[Effects, ...]:
        """The effects of levels of each type."""
        return (self,)

    def under(self, hyper: int) -> int:
        """How many levels an entry of theta is about."""
        return len(self.levels)

    # -- entries of A ------------------------------------------------------------------------------------------------

    def pattern(self) -> tuple[np.ndarray, np.ndarray]:
        """Membership and latent entry of each piece, (e,) int arrays."""
        raise NotImplementedError

    def loads(self, theta: np.ndarray, out: np.ndarray) -> None:
        """Loading of each piece into `out` (e,)."""
        raise NotImplementedError

    def pull_loads(self, theta: np.ndarray, d_load: np.ndarray) -> np.ndarray:
        """Derivative in theta (q,) from the derivatives in the loadings (e,)."""
        raise NotImplementedError

    # -- the prior of x: N(0, D^-1) ----------------------------------------------------------------------------------

    def precision_pattern(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the lower triangle of D (row >= column), the whole diagonal among them."""
        every = np.arange(self.latents)
        return every, every

    def precision(self, theta: np.ndarray, out: np.ndarray) -> float:
        r"""Values of D on its pattern into `out`; returns log|D|.

        Of a D of deficient rank it is the pseudo-determinant plus :math:`\log 2\pi` for each dimension that lacks, so
        that :math:`\log p(x|\theta) = \tfrac12(\log|D| - x'Dx - n\log 2\pi)` holds for every kind.
        """
        out[:] = 1.0
        return 0.0

    def standard(self, theta: np.ndarray) -> bool:
        """Whether its entries are independent standard normal numbers."""
        row, column = self.precision_pattern()
        out = np.empty(len(row))
        self.precision(theta, out)
        return np.array_equal(row, column) and bool(np.all(out == 1.0))

    def pull_precision(self, theta: np.ndarray, d_entry: np.ndarray) -> np.ndarray:
        """Derivative in theta (q,) of the log-likelihood through D, half of log|D| included.

        `d_entry` has the derivatives in the entries of D on its pattern, log|D| left out (an entry beside the
        diagonal stands for both of its places). Only called where D varies.
        """
        raise NotImplementedError

    def unseen(self) -> tuple[tuple, ...]:
        """Whose each latent entry is that the fit has not seen, in their order: what two sets of tables share by it."""
        return tuple((level,) for level in self.fresh)

    # -- effects as users see them -----------------------------------------------------------------------------------

    def natural(self, theta: np.ndarray) -> sparse.csr_array:
        """Effects on the scale of the linear predictor as a matrix times the latent entries (effects, latents)."""
        raise NotImplementedError

    def labels(self) -> tuple[tuple[str, np.ndarray], ...]:
        """What the rows of :meth:`natural` are: names and values of their labels, the id first."""
        if len(self.terms) == 1 and self.terms == ("1",):
            return ((self.name, self.levels.values),)
        k = len(self.terms)
        terms = np.tile(np.array(self.terms, dtype=object), len(self.levels))
        return ((self.name, np.repeat(self.levels.values, k)), ("term", terms))

    def spread(self, theta: np.ndarray) -> float:
        """Standard deviation of one effect; nan where there is no single one."""
        sds = [k for k, p in enumerate(self.hypers) if p.kind == "sd"]
        return float(theta[sds[0]]) if len(sds) == 1 else float("nan")

    def variance(self, theta: np.ndarray, row: np.ndarray, latent: np.ndarray, value: np.ndarray) -> np.ndarray:
        """Variance a'D^-1 a that the effects contribute to each group (groups,), from the entries of A."""
        return np.bincount(row, value * value, self.rows.groups)

    def sample(self, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Latent entries drawn from their prior (latents,)."""
        return rng.standard_normal(self.latents)

    def reported(self, theta: np.ndarray) -> np.ndarray:
        """The parameters of the tables (..., q) from theta (..., q): the same, but for partial correlations."""
        return theta

    def from_reported(self, reported: np.ndarray) -> np.ndarray:
        """The inverse of :meth:`reported` for one (q,) array; nan where no theta has these values."""
        return reported

    def smooth(self) -> Smooth | None:
        """The same effects with another theta, in which the likelihood has no edges; nothing where theta has none."""
        return None

    def moments(self, theta: np.ndarray) -> np.ndarray:
        """Theta (q,) in parameters in which the effects' covariance is linear, where there are such: variances."""
        return np.array([t * t if p.kind == "sd" else t for t, p in zip(theta, self.hypers, strict=True)])

    def sentences(self) -> list[str]:
        """The distribution of the effects in words, for `explain()`."""
        return [f"u_{self.name}[j] ~ normal(0, {self.name}.sd)"]

    who: ClassVar[str] = "{A}{whose} one standard deviation above the average"
    """Who has an effect of one sd."""

    @property
    def nouns(self) -> tuple[Noun, ...]:
        """What each of its terms makes vary."""
        return tuple(noun_of(term) for term in self.terms)

    def phrase(self, hyper: int, nouns: Sequence[Noun]) -> Phrase | None:
        """How an entry of theta is read, its terms being called `nouns`; None where there is nothing special to say."""
        p, k = self.hypers[hyper], len(self.terms)
        if p.kind == "cor":
            one, other = pairs(k)[hyper - k]
            return of_correlation(nouns[one], nouns[other])
        return of_sd(nouns[hyper], self.who) if p.kind == "sd" else None

    def phrase_of(self, name: str, nouns: Sequence[Noun] = ()) -> Phrase | None:
        """How a parameter of this name is read."""
        where = next((k for k, p in enumerate(self.hypers) if p.name == name), None)
        return None if where is None else self.phrase(where, nouns or self.nouns)

    def moved(self, name: str) -> str:
        """What moves with a coefficient of a level (no pooling)."""
        return ""

    # -- new tables --------------------------------------------------------------------------------------------------

    def on(self, rows: Rows) -> Effects:
        """The same effects on other rows, whose codes are those of their own levels.

        Known levels keep their latent entries, in the same places; what fresh levels need comes after them and must be
        independent standard normal given theta and the known entries: write what they share with known levels as
        pieces.
        """
        mapped, fresh = self._recoded(rows)
        return replace(self, rows=mapped, fresh=fresh)

    def _recoded(self, rows: Rows) -> tuple[Rows, tuple]:
        """Rows with codes among the known levels, then the fresh ones; and the ids of these."""
        codes = self.levels.find(rows.levels)[rows.level] if len(rows.level) else rows.level
        unseen = np.unique(rows.level[codes < 0])
        codes = np.where(codes < 0, len(self.levels) + np.searchsorted(unseen, rows.level), codes)
        mapped = replace(rows, level=codes, levels=self.levels)
        return mapped, tuple(rows.levels.values[unseen].tolist())

    @cached_property
    def entries(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Row and latent entry of each distinct entry of A, and which of them each piece goes to."""
        membership, latent = self.pattern()
        width = max(int(latent.max(initial=0)) + 1, 1)
        keys, entry = np.unique(self.rows.group[membership] * width + latent, return_inverse=True)
        return keys // width, keys % width, entry.reshape(-1)
