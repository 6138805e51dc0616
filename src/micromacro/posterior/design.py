r"""Predictions for the groups of the fit and for new ones.

For new tables every part of the model is made again on them (same coding, same centring, the training constant of
``normalize=total``); known members and units keep their effects, unseen ones get effects of their own: drawn from
their population, or zero. Given theta and x the linear predictor is then the same sum as in the fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from ..errors import DataError, EngineError, warn
from ..latent.part import Part
from ..latent.system import System
from ..model.others import offset_of
from ..model.specification import Specification
from ..numerics.aggregation import ROUNDING
from ..numerics.cubature import normal_points
from ..table.memberships import TableRequest, Tables, assemble
from ..terms.expression import evaluate
from .quantities import outcome_columns
from .together import population


@dataclass(frozen=True, eq=False)
class Scenario:
    """The model on some tables: parts, and where each entry of their design meets an extended x.

    The extended x is the fit's x in natural order followed by the effects of unseen members and units.

    Attributes
    ----------
    unseen : tuple
        Whose each of those effects is (number of the part, id, and what else the kind tells them apart by).
    new : bool
        Whether the tables are not those of the fit.
    """

    parts: tuple[Part, ...]
    rows: tuple[np.ndarray, ...]
    columns: tuple[np.ndarray, ...]
    groups: int
    unseen: tuple[tuple, ...]
    offset: np.ndarray
    beside: np.ndarray
    new: bool = False
    strata: np.ndarray | None = None

    @property
    def fresh(self) -> int:
        """Number of effects that the fit has not seen."""
        return len(self.unseen)

    def sharing(self, unseen: tuple[tuple, ...], size: int) -> Scenario:
        """The same with the effects of all of `unseen`, in that order, behind an x of `size` entries."""
        if unseen == self.unseen:
            return self
        where = {key: size + k for k, key in enumerate(unseen)}
        moved = np.concatenate([np.arange(size), np.array([where[k] for k in self.unseen], dtype=np.int64)])
        return replace(self, columns=tuple(moved[c] for c in self.columns), unseen=unseen)


def share_unseen(scenarios: list[Scenario], size: int) -> list[Scenario]:
    """Scenarios in which a member or unit that the fit has not seen has one effect, whoever else is there."""
    every = tuple(dict.fromkeys(key for p in scenarios for key in p.unseen))
    return [p.sharing(every, size) for p in scenarios]


def scenario_of(specification: Specification, tables: Tables | None) -> Scenario:
    """The model on new tables, or on its own."""
    system = specification.system
    if tables is None and system.scattered is not None:
        raise EngineError(system.scattered.refusal)
    on = specification.tables if tables is None else tables
    n = on.groups.n_rows
    rows, columns, parts, unseen = [], [], [], []
    where, first = system.places, 0
    for k in where.terms:  # a baseline is not in the linear predictor of a group
        old = system.parts[k]
        part = (old if tables is None else old.on(tables)).placed(first)
        first += part.row_count if part.combines else 0
        own, known = len(part.coefficients), old.effects
        r, c = part.entries()
        local = c - own
        seen = where.effects(k).start + local
        extended = np.where(local < known, seen, system.size + len(unseen) + local - known)
        rows.append(r)
        columns.append(np.where(c < own, where.coefficients(k).start + c, extended))
        parts.append(part)
        if part.structure is not None and part.effects > known:
            unseen += [(k, *key) for key in part.structure.unseen()]
    offset = np.zeros(n)
    for node in specification.formula.offsets:
        offset += evaluate(node, on.groups, specification.formula.text, "offset", on)
    others = [offset_of(o, on) for o in specification.reading.others]
    count = len(system.beside.rows) if system.beside else 0
    beside = np.stack(others) if others else np.zeros((count, n))
    if specification.family.copies(specification.response):
        beside[:] = offset  # they are made of the same terms
    strata = None if specification.strata is None else specification.strata.of(on)
    own = (offset, beside, tables is not None, strata)
    return Scenario(tuple(parts), tuple(rows), tuple(columns), n, tuple(unseen), *own)


class Predictor:
    """Linear predictors of a :class:`Scenario` for many (theta, x)."""

    def __init__(self, where: Scenario, system: System):
        self.where = where
        self.system = system
        self.scratch = [p.scratch(gradient=False) for p in where.parts]
        self.values = [np.zeros(len(r)) for r in where.rows]
        self.slots = [np.arange(len(r)) for r in where.rows]
        self.new = where.new
        self.shares: dict[int, np.ndarray] = {}  # of members that combine, where a predictor was last evaluated
        self.theta, self.beside = np.empty(0), where.beside
        self.numbers = system.beside.part if system.beside else (0,) * len(where.parts)
        self.members = np.zeros(sum(part.row_count for part in where.parts if part.combines))  # offsets of their rows
        self.pieces = self._in_pieces()

    def _in_pieces(self) -> list[tuple[int, int, Any]]:
        """Linear predictor, part and which of its entries; those of a term of several predictors are apart."""
        out: list[tuple[int, int, Any]] = []
        for k, part in enumerate(self.where.parts):
            if not part.reaches:
                out.append((self.numbers[k], k, slice(None)))
            number_of = self.where.rows[k] // max(self.where.groups, 1)
            out += [(number, k, np.flatnonzero(number_of == number)) for number in sorted(set(part.reaches))]
        return out

    def entries(self, theta: np.ndarray) -> np.ndarray:
        """Fill the design at theta; returns the offset (groups,)."""
        self.theta = theta
        offset = self.where.offset.copy()
        self.beside = self.where.beside.copy()
        self.members[:] = 0.0
        to = [offset, *self.beside]
        for k, part in enumerate(self.where.parts):
            own = theta[self.system.places.reads(k)]
            if self.new:
                part = part.held(self.system.parts[k], own)
            where = self.members if part.combines else to[self.numbers[k]]
            if not part.fill(own, self.scratch[k], self.slots[k], self.values[k], where):
                raise DataError(
                    f"the weights of {part.name} are not finite on these data: look at the columns that they are "
                    "made from"
                )
        return offset

    def eta(self, theta: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Linear predictor (groups,) at theta and an extended x; those of parameters of the family into ``beside``."""
        out = self.entries(theta)
        to, of_members = [out, *self.beside], self.members.copy()
        for number, k, some in self.pieces:
            part, rows = self.where.parts[k], self.where.rows[k]
            each = (self.values[k] * x[self.where.columns[k]])[some]
            if part.combines:
                of_members += np.bincount(rows, each, len(of_members))
            else:
                to[number] += np.bincount(rows[some] - self._first(number, k), each, self.where.groups)
        for k, part in enumerate(self.where.parts):
            if not part.combines:
                continue
            met = part.together(self.scratch[k], of_members)
            assert met is not None
            coefficients = x[self.system.places.coefficients(k)]
            out += met[0] + part.absent(theta[self.system.places.reads(k)], coefficients)
            self.shares[k] = met[1]
        return out

    def own(self, specification: Specification, x: np.ndarray) -> np.ndarray:
        """The family's own numbers where :meth:`eta` was last: (k,), or (k, groups) of these groups."""
        if self.system.beside is None:
            return specification.own(self.theta, x, self.where.strata)
        return self.system.beside.own(self.theta[self.system.places.family], self.beside)

    def owns(self, spreads: Sequence[np.ndarray]) -> list[tuple[float, np.ndarray]]:
        """The same with weights, where effects bring normal numbers with these sds (groups,) to each of ``beside``."""
        assert self.system.beside is not None
        some = [k for k, spread in enumerate(spreads) if spread.any()]
        points, weights = normal_points(len(some)) if some else (np.zeros((1, 0)), np.ones(1))
        out, family = [], self.theta[self.system.places.family]
        for point, weight in zip(points, weights, strict=True):
            moved = self.beside.copy()
            for k, z in zip(some, point, strict=True):
                moved[k] += z * spreads[k]
            out.append((float(weight), self.system.beside.own(family, moved)))
        return out

    def variances_beside(self) -> list[np.ndarray]:
        """Variance (groups,) that all effects bring to each of ``beside``, over their populations."""
        numbers = range(1, 1 + len(self.beside))
        return [self.population_variance(self.levels_of(number), number) for number in numbers]

    def matrix(self, width: int, number: int = 0) -> Any:
        """The design of a linear predictor as last filled: sparse (groups, width), columns as in an extended x."""
        some = [piece for piece in self.pieces if piece[0] == number]
        each = [self._of_groups(*piece) for piece in some]
        rows, values = np.concatenate([r for r, _ in each]), np.concatenate([v for _, v in each])
        columns = np.concatenate([self.where.columns[k][of] for _, k, of in some])
        return sparse.csr_array((values, (rows, columns)), shape=(self.where.groups, width))

    def _first(self, number: int, k: int) -> int:
        """The first row of a linear predictor among those of a part's entries."""
        return number * self.where.groups if self.where.parts[k].reaches else 0

    def _of_groups(self, number: int, k: int, some: Any) -> tuple[np.ndarray, np.ndarray]:
        """Groups and values of some of a part's entries.

        Those of members that combine are linearised where a predictor was last read.
        """
        part, rows, values = self.where.parts[k], self.where.rows[k], self.values[k]
        if part.reaches:
            return rows[some] - self._first(number, k), values[some]
        return part.of_groups(self.scratch[k], rows, values, self.shares.get(k))

    def level_names(self) -> list[str]:
        """Member blocks and units with effects."""
        return [self.where.parts[k].name for k in self.levels]

    @property
    def levels(self) -> list[int]:
        """Numbers of the outcome's parts with effects that have a distribution."""
        return self.levels_of(0)

    def levels_of(self, number: int) -> list[int]:
        """The same of any linear predictor."""
        parts = self.where.parts
        return [k for of, k, _ in self.pieces if of == number and parts[k].pooled and parts[k].summand]

    def level_variances(self) -> np.ndarray:
        """Variance a'D^-1 a (levels, groups) that each level brings to the linear predictor, over its population."""
        out = [self._variance(k, *entries) for k, *entries in self._of_levels()]
        return np.stack(out) if out else np.zeros((0, self.where.groups))

    def level_covariances(self, places: np.ndarray) -> np.ndarray:
        """Covariance (levels, k, k) of some groups' linear predictors through each level.

        By polarisation: 2 a'D^-1 b is the variance of a + b less those of a and b.
        """
        out = []
        for k, rows, latent, values in self._of_levels():
            if self.where.parts[k].combines:
                made = self._population(k)[:, places]
                out.append(np.cov(made, rowvar=False, bias=True).reshape(len(places), len(places)))
                continue
            single = self._variance(k, rows, latent, values)[places]
            block = np.diag(single)
            for i in range(len(places)):
                for j in range(i):
                    inside = (rows == places[i]) | (rows == places[j])
                    both, at = np.unique(latent[inside], return_inverse=True)
                    summed = np.bincount(at.reshape(-1), values[inside], len(both))
                    variance = self._variance(k, np.zeros(len(both), dtype=np.int64), both, summed)[0]
                    block[i, j] = block[j, i] = 0.5 * (variance - single[i] - single[j])
            out.append(block)
        return np.stack(out)

    def _variance(self, k: int, rows: np.ndarray, latent: np.ndarray, values: np.ndarray) -> np.ndarray:
        if self.where.parts[k].combines:
            return self._population(k).var(axis=0)
        structure = self.where.parts[k].structure
        assert structure is not None
        return structure.variance(self.theta[self.system.places.effect_theta(k)], rows, latent, values)

    def _population(self, k: int) -> np.ndarray:
        """Draws (draws, groups) of what members bring that combine in another way than by their sum."""
        return population(self.where.parts[k], self.scratch[k], self.theta[self.system.places.reads(k)])

    def _of_levels(self, number: int = 0) -> list[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
        """Part, and group, latent effect and value of the entries of effects in the design as last filled."""
        out = []
        for piece in self.pieces:
            of, k, some = piece
            part = self.where.parts[k]
            if of != number or not (part.pooled and part.summand):
                continue
            columns = part.entries()[1][some]
            rows, values = self._of_groups(*piece)
            inside = columns >= len(part.coefficients)
            out.append((k, rows[inside], columns[inside] - len(part.coefficients), values[inside]))
        return out

    def population_variance(self, parts: Sequence[int], number: int = 0) -> np.ndarray:
        """Variance (groups,) that the effects of some parts bring to a linear predictor, over their populations."""
        out = np.zeros(self.where.groups)
        for k, *entries in self._of_levels(number):
            if k in parts:
                out += self._variance(k, *entries)
        return out

    def unseen_variance(self, varying: np.ndarray, number: int = 0) -> np.ndarray:
        """Variance (groups,) that unseen effects bring, those of them that are `varying` (fresh,)."""
        out, counted = np.zeros(self.where.groups), np.append(np.zeros(self.system.size), varying)
        for piece in self.pieces:
            if piece[0] == number:
                rows, values = self._of_groups(*piece)
                columns = self.where.columns[piece[1]][piece[2]]
                out += np.bincount(rows, values * values * counted[columns], self.where.groups)
        return out


def new_tables(
    specification: Specification, data: Any, memberships: Any, members: Any, theta: np.ndarray, kind: str = "mean",
    more: tuple[str, ...] = (),
) -> Tables:  # fmt: skip
    """Tables for prediction: what the formula needs, the outcome apart.

    Parameters
    ----------
    theta : (q,) array
        The estimate, or the posterior mean: groups whose weights are negative there are named in a warning.
    kind : str
        What is to be predicted: trials and sets of alternatives are read where it needs them.
    more : tuple of str
        Further columns of memberships to read.
    """
    request = specification.request
    needed = set(specification.used) | set(outcome_columns(specification, kind))
    columns = tuple(c for c in request.group_columns if c not in request.outcome_columns or c in needed)
    blocks = tuple(replace(b, columns=tuple(dict.fromkeys((*b.columns, *more)))) for b in request.blocks)
    tables = assemble(TableRequest(request.group, columns, blocks, droppable=False), data, memberships, members)
    _mind_edges(specification, tables, theta)
    return tables


def _mind_edges(specification: Specification, tables: Tables, theta: np.ndarray) -> None:
    """Warn of groups that the fit has not seen and whose weights lie beyond its edge."""
    system = specification.system
    for k in system.edges:
        own = theta[system.places.reads(k)]
        if not system.parts[k].blocks and np.any(system.parts[k].on(tables).distances(own)[0] < -ROUNDING):
            raise DataError(
                "the cuts of nominal() cross at some of these covariates, at the estimate: a category would have a "
                "negative probability there; stay nearer to the data of the fit, or leave the term out of nominal()"
            )
        for name, block in system.parts[k].blocks.items():
            other = block.on(tables)
            values, _ = other.distances(own)
            groups = np.unique(other.memberships.group[values < -ROUNDING])
            if not len(groups) or tables.group_levels is None:
                continue
            first = ", ".join(str(i) for i in tables.group_levels.values[groups[:5]])
            warn(
                f"raw weights of block {name!r} are negative in {len(groups)} of these groups (first: {first}) at the "
                "estimate, which a fit does not allow on its own data: weights there have both signs; look at the "
                "columns that they are made from, or use a form that cannot be negative, such as exp()"
            )
