"""The specification of a model: formula and tables to terms to latent system.

:func:`read` does what needs no data but the names of its columns, :func:`specify` the rest. Engines take the
:class:`Specification` and know nothing of formulas and tables; the public ``Model`` is in :mod:`micromacro.api`.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from ..effects.base import Effects
from ..errors import CollinearError, DataError, MicromacroWarning, ModelError
from ..families.base import Expanded, Family
from ..families.registry import with_strata
from ..families.response import Response
from ..families.stacked import Stacked
from ..language.nodes import Formula
from ..language.printing import to_text
from ..latent.beside import Beside
from ..latent.collinear import check_collinear, check_within
from ..latent.combined import Combined
from ..latent.part import Part, Unit
from ..latent.system import System
from ..notes import Note, remark
from ..parameters import CLASSES, Parameter, PriorBook
from ..table.memberships import TableRequest, Tables
from ..table.screen import counted
from ..terms.base import Context
from ..terms.copied import copies
from ..terms.expression import evaluate
from ..terms.member.weighing import Block
from ..terms.registry import build_parts
from ..terms.together import join_terms
from .combined import check_alone, combine_members
from .layout import ModelLayout, centers_of
from .nominal import nominal_of
from .others import build_others
from .reading import Reading, columns_of_terms, read_outcome
from .strata import Strata, read_strata


@dataclass(frozen=True, eq=False)
class Specification:
    """A model on data: everything an engine needs.

    Attributes
    ----------
    formula : Formula
    family : Family
    tables : Tables
    system : System
    response : Response
        The outcome on the scale that the family sees (after ``log(y)``).
    offset : (groups,) array
    book : PriorBook
    reading : Reading
        What was read of the formula before there were data.
    notes : tuple of Note
        Remarks made while it was built.
    expanded : Expanded or None
        Rows of the linear predictor, where they are not the groups (cox).
    stacked : Stacked or None
        The likelihood of all linear predictors, where those of the family's parameters have effects.
    nodes : int
        Points of the quadrature over an effect, where the likelihood is maximised; 1 is Laplace's formula.
    factor : {"effects", "groups", "least"} or None
        What is factorised where the likelihood is maximised: one side, or the one that takes least work.
    combined : Combined or None
        The likelihood where members' whole effects meet in another way than by their sum.
    strata : Strata or None
        Groups that have a baseline of their own.
    """

    formula: Formula
    family: Family
    tables: Tables
    system: System
    response: Response
    offset: np.ndarray
    book: PriorBook
    request: TableRequest
    reading: Reading
    notes: tuple[Note, ...] = field(default=())
    expanded: Expanded | None = None
    stacked: Stacked | None = None
    nodes: int = 1
    factor: Literal["effects", "groups", "least", "none"] | None = None
    probes: int = 16
    seed: int = 0
    combined: Combined | None = None
    strata: Strata | None = None

    @cached_property
    def used(self) -> frozenset[str]:
        """Group columns that anything but the outcome uses."""
        return frozenset(columns_of_terms(*self.reading.formulas))

    @property
    def outcome(self) -> np.ndarray:
        """The observed outcome (groups,): y, a share of successes, the time, the number of a category from 1."""
        return self.response.observed

    @property
    def outcome_name(self) -> str:
        """The outcome as the user wrote it."""
        return to_text(self.formula.outcome)

    @property
    def group_ids(self) -> np.ndarray:
        """Ids of the groups, or numbers of the rows where each row is a group."""
        return self.tables.ids

    @property
    def groups(self) -> int:
        """Number of groups."""
        return self.system.groups

    @cached_property
    def entry(self) -> np.ndarray | None:
        """Times (groups,) until which durations are known to last; None where no group entered late."""
        entry = self.family.entry(self.response.values)
        return None if entry is None or not entry.any() else entry

    @property
    def several(self) -> bool:
        """Whether there are effects in several linear predictors."""
        return self.system.beside is not None and self.system.beside.stacked

    @property
    def effects_in_probabilities(self) -> bool:
        """Whether there are effects in several linear predictors, beside the outcome's in probabilities only (zi)."""
        beside, parts = self.system.beside, self.system.parts
        if beside is None or not beside.stacked:
            return False
        read = {
            number
            for part, own in zip(parts, beside.part, strict=False)  # a last one without terms has none
            if part.effects or part.coefficients
            for number in part.reaches or (own,)
        }
        return all(beside.links[number - 1] == "logit" for number in read - {0})

    @property
    def several_rows(self) -> bool:
        """Whether an outcome reads several rows of the linear predictor, which are left out together."""
        return self.expanded is not None or self.system.meeting is not None

    @property
    def n_outcomes(self) -> int:
        """How many outcomes there are: one for each group, or for each set of groups."""
        return self.groups if self.response.sets is None else len(self.response.sets)

    def whole(self, groups: np.ndarray) -> np.ndarray:
        """Groups with all that have an outcome together with them."""
        sets = self.response.sets
        return groups if sets is None else np.flatnonzero(np.isin(sets.codes, np.unique(sets.codes[groups])))

    def outcomes(self, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Replicated outcomes (groups,) of these groups; durations given that they last until their entry."""
        return self.family.draw(eta, own, rng, self.response.values)

    @property
    def likelihood(self) -> Any:
        """What gives the log density of the rows of the linear predictor: the family, or what puts rows together."""
        return self.combined or self.stacked or self.family

    @property
    def row_values(self) -> np.ndarray:
        """What the likelihood's kernel reads (c, rows); rows are groups in most families."""
        if self.stacked is not None:
            return self.stacked.row_values(self.response.values)
        values = self.expanded.values if self.expanded else self.response.values
        return values if self.combined is None else self.combined.padded(values)

    def row_weight(self, prior: bool = True) -> np.ndarray:
        """Powers of the likelihood (rows,); pseudo-observations, which are priors, count or not."""
        if self.system.expansion is None:
            return self.response.weight
        return np.append(self.response.weight, 1.0 if prior else 0.0)[self.row_groups]

    @cached_property
    def row_groups(self) -> np.ndarray:
        """The group of each row of the linear predictor, those of members too; -1 for a pseudo-observation."""
        if self.combined is not None:
            return self.combined.row_groups
        return np.arange(self.groups) if self.system.expansion is None else self.system.expansion.group

    @cached_property
    def by_rows(self) -> Specification:
        """The same model with a row of the linear predictor for each term of the likelihood, if its rows are fewer."""
        if self.expanded is None or self.expanded.plain is None:
            return self
        expanded, old = self.expanded.plain(), self.system
        own = old.hypers[old.places.family]
        parts = [*old.parts[:-1]]
        system = System(parts, self.groups, own, self.offset, expanded.rows)
        system.hypers = old.hypers
        return replace(self, family=expanded.family, system=system, expanded=expanded)

    def groups_of(self, rows: np.ndarray) -> np.ndarray:
        """The group of some rows of the linear predictor."""
        return self.row_groups[rows]

    def rows_of(self, groups: np.ndarray) -> np.ndarray:
        """Rows of the linear predictor that belong to some groups."""
        if self.system.expansion is None:
            return groups
        return np.flatnonzero(np.isin(self.row_groups, groups))

    def own(self, theta: np.ndarray, x: np.ndarray, strata: np.ndarray | None = None) -> np.ndarray:
        """The family's own numbers (..., k), those in x included: log hazards of a baseline.

        Where a parameter has a linear predictor they are those of each group of the fit, (..., k, groups).

        Parameters
        ----------
        theta : (..., q) array
        x : (..., size or more) array
            In natural order; where it is empty, effects in these linear predictors are at zero.
        strata : (groups,) array, optional
            The stratum of each group, where they are not the groups of the fit.
        """
        where = self.layout
        if self.system.beside is not None:
            return self._own_of_groups(theta, x)
        if where.rows_part is None or self.expanded is None or not self.family.has_baseline:
            return theta[..., where.family]
        last = where.rows_part
        part: Any = self.system.parts[last]
        own = part.own(theta[..., where.theta(last)], x[..., where.coefficients(last)], x[..., where.effects(last)])
        return self.family.own_of(own, strata, self.response.values)

    @property
    def own_names(self) -> tuple[str, ...]:
        """Names of the family's own parameters, those with a linear predictor among them."""
        left = [p.name for p in self.system.hypers[self.layout.family]]
        if self.system.beside is None:
            return tuple(left)
        named = self.family.copies(self.response)[1:] or tuple(o.name for o in self.reading.others)
        if not named:
            return tuple(left)
        found = dict(zip(self.system.beside.rows, named, strict=True))
        rest = iter(left)
        return tuple(found[k] if k in found else next(rest) for k in range(self.system.beside.count))

    def _own_of_groups(self, theta: np.ndarray, x: np.ndarray) -> np.ndarray:
        """The family's own numbers of each group (..., k, groups), at theta (..., q) and x."""
        system, room = self.system, self.system.workspace(gradient=False)
        flat = theta.reshape(math.prod(theta.shape[:-1]), theta.shape[-1])
        still = np.zeros((*theta.shape[:-1], system.size))
        each = np.broadcast_to(x[..., : system.size] if x.size else still, still.shape).reshape(len(flat), system.size)
        out = []
        for at, latent in zip(flat, each, strict=True):
            system.fill(at, room)
            if system.apart:
                out.append(system.own_of_family(at, room))
            else:
                assert system.beside is not None
                out.append(system.beside.own(at[self.layout.family], system.predictors(room, latent)[1:]))
        return np.stack(out).reshape(*theta.shape[:-1], *out[0].shape)

    @cached_property
    def layout(self) -> ModelLayout:
        """Where theta and x of each part are, and the parameters of the tables."""
        return ModelLayout(self.system)

    @cached_property
    def members(self) -> dict[str, Block]:
        """Member blocks by name."""
        return {name: block for part in self.system.parts for name, block in part.blocks.items()}

    @cached_property
    def units(self) -> dict[str, Unit]:
        """Units of the unit terms by the name of the term."""
        return {part.name: part.unit for part in self.system.parts if part.unit is not None}

    @property
    def structures(self) -> dict[str, tuple[int, Effects]]:
        """Effects of each term that has any, with the number of its part."""
        return self.layout.structures

    def effects_name(self, name: str) -> str:
        """The part that has the effects of a block or unit: blocks whose effects belong together have one."""
        return self.layout.effects_name(name)

    @cached_property
    def weight_parameters(self) -> tuple[Parameter, ...]:
        """Weight parameters that are estimated."""
        return tuple(p for p in self.system.hypers if p.kind == "w" and not p.fixed)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All parameters in the order of the tables: coefficients, weights, sds, the family's own."""
        return self.layout.parameters

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all parameters, as in every table."""
        return self.layout.names

    def collect(self, theta: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        """All parameters on their natural scale, see :meth:`ModelLayout.collect`."""
        return self.layout.collect(theta, coefficients)


def specify(reading: Reading, tables: Tables, family: Family, book: PriorBook, flat: bool) -> Specification:
    """Build the model on its tables, without collinear columns where the user wants them dropped.

    Parameters
    ----------
    flat : bool
        Whether parameters have no prior unless the user gave one (ml and reml).
    """
    dropped: dict[str, str] = {}
    while reading.drops:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MicromacroWarning)  # the model that is left gives its own
            try:
                _specified(reading, tables, family, book, flat, frozenset(dropped))
                break
            except CollinearError as error:
                if not set(error.names) - set(dropped):
                    raise
                dropped |= error.names
            finally:
                book.restart()
    made = _specified(reading, tables, family, book, flat, frozenset(dropped))
    if not dropped:
        return made
    text = f"left out because their columns are linear combinations of others: {', '.join(dropped.values())}"
    return replace(made, notes=(*made.notes, remark("dropped", text, *dropped)))


def _specified(
    reading: Reading, tables: Tables, family: Family, book: PriorBook, flat: bool, dropped: frozenset[str]
) -> Specification:
    """The model without some coefficients."""
    formula = reading.formula
    family, response, strata = _outcome(reading, tables, family)
    offset = np.zeros(tables.groups.n_rows)
    for node in formula.offsets:
        offset += evaluate(node, tables.groups, formula.text, "offset", tables)
    scale, location = family.scale(response, offset)
    context = Context(formula.text, tables, book, scale, location, reading.columns, flat, sources=reading.sources)
    context.dropped = dropped
    parts = _parts(reading, family, response, context)
    own = family.parameters(book, scale, flat, response)
    built = build_others(reading.others, family, own, context, len(parts))
    numbers = built.beside.part if built.beside else (0,) * len(parts)
    prefixes = {0: "", **{k: f"{o.name}." for k, o in enumerate(reading.others, start=1)}}
    parts, numbers = join_terms([*parts, *built.parts], numbers, prefixes, context)
    own, beside = built.own, replace(built.beside, part=tuple(numbers)) if built.beside else None
    nominal, cuts = nominal_of(formula, family, own, context, parts)
    parts, beside = [*parts, *nominal], cuts or beside
    expanded, stacked, rows = None, None, None
    if beside is not None and beside.stacked:
        stacked = Stacked(family, beside, tables.groups.n_rows)
        rows = stacked.rows
    if family.expands:
        expanded = family.expand(response, offset, book, flat, to_text(formula.outcome))
        family, rows = expanded.family, expanded.rows
    combined = None
    if any(part.combines for part in parts):
        check_alone(stacked is not None)
        expanded = expanded.plain() if expanded and expanded.plain else expanded
        family = expanded.family if expanded else family
        parts, rows, combined = combine_members(parts, family, len(own), tables.groups.n_rows, expanded, beside)
    beside = _beside_each_other(parts, offset) if family.copies(response) else beside
    system = System(parts, tables.groups.n_rows, own, offset, rows, beside)
    checks = [lambda: _check_enough(system, tables), lambda: _check_columns(system, response, family)]
    for check in reversed(checks) if reading.drops else checks:
        check()
    notes = (*tables.notes, *context.notes, *(expanded.notes if expanded else ()))
    specification = Specification(
        formula, family, tables, system, response, offset, book, reading.request, reading, notes, expanded, stacked,
        combined=combined, strata=strata,
    )  # fmt: skip
    kinds = {p.kind for p in specification.parameters}
    if (again := book.respelled(kinds)) is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MicromacroWarning)  # they were given the first time
            return _specified(reading, tables, family, again, flat, dropped)
    book.check_all_used(kinds)
    _check_names(specification)
    return specification


def _outcome(reading: Reading, tables: Tables, family: Family) -> tuple[Family, Response, Strata | None]:
    """The outcome as the family reads it, with the strata and the weights that it has."""
    response = family.read(read_outcome(reading.formula, tables))
    strata = read_strata(reading.formula, tables)
    if strata is not None:
        family = with_strata(family, strata.column, strata.labels)
        response = replace(response, values=np.vstack([response.values, strata.of(tables)]))
    if reading.observation_weights is not None:
        response = replace(response, weight=_observation_weights(reading.observation_weights, tables))
        _check_weights_within(response, reading.observation_weights)
    return family, response, strata


def _parts(reading: Reading, family: Family, response: Response, context: Context) -> list[Part]:
    """The terms of the outcome's linear predictor, or of each of several that are made of the same terms."""

    def build(own: Context) -> list[Part]:
        return build_parts(reading.formula, reading.weights, own, family.no_intercept, centred=family.centred)

    names = family.copies(response)
    return copies(names, context, build) if names else build(context)


def _beside_each_other(parts: Sequence[Part], offset: np.ndarray) -> Beside | None:
    """Linear predictors that are made of the same terms: all after the first are numbers of the family."""
    numbers = tuple(part.predictor for part in parts)
    others = max(numbers)
    if not others:
        return None
    links = ("identity",) * others
    return Beside(tuple(range(others)), links, others, numbers, np.tile(offset, (others, 1)), stacked=True)


def _check_names(specification: Specification) -> None:
    """Every parameter has its own name; no column may have the name of a parameter that is not its coefficient."""
    seen: dict[str, Parameter] = {}
    for p in specification.parameters:
        if p.name in seen:
            what = " and ".join(sorted({CLASSES[q.kind].split(" (")[0] for q in (seen[p.name], p)}))
            columns = " or ".join(repr(c) for c in dict.fromkeys([p.name.rsplit(".", 1)[-1], p.name.split(".")[0]]))
            raise ModelError(
                f"two parameters would be called {p.name!r} ({what}), and tables could not tell them apart: rename the "
                f"column {columns} of the data, give a term another name (name=), or leave out the term that is there "
                "twice"
            )
        seen[p.name] = p


def _observation_weights(name: str, tables: Tables) -> np.ndarray:
    """Powers of the likelihood: numbers from zero, not all zero."""
    column = tables.groups[name]
    if column.kind not in ("number", "integer"):
        raise DataError(f"observation_weights= names {name!r}, which holds {column.kind} values, not numbers")
    values = np.asarray(column.values, dtype=float)
    bad = np.flatnonzero(values < 0)
    if len(bad):
        raise DataError(
            f"the observation weights {name!r} are negative in {counted(len(bad), tables.noun)} (first: "
            f"{values[bad[0]]:g}): give each {tables.noun} a weight of zero or more"
        )
    if not values.any():
        raise DataError(f"the observation weights {name!r} are all zero")
    return values


def _check_columns(system: System, response: Response, family: Family) -> None:
    """Refuse terms that the outcome says nothing of: the same within every set, or combinations of others."""
    within = response.sets.within if response.sets else None
    if within is not None:
        check_within(system, within, family.cancels)
    check_collinear(system, centers_of(system.parts), within)


def _check_weights_within(response: Response, name: str) -> None:
    """What has one outcome together has one weight."""
    if response.sets is not None:
        away = np.abs(response.sets.within(response.weight[:, None])[:, 0])
        differ = response.sets.sums((away > 1e-9 * response.weight.max()).astype(float)) > 0.0
        response.sets.refuse(differ, f"the observation weights {name!r} differ between the alternatives")


def _check_enough(system: System, tables: Tables) -> None:
    """More coefficients than groups cannot be estimated; one group says nothing about spread."""
    if system.groups < 2:
        if tables.group_levels is None:
            raise ModelError("the data have one observation only: there is nothing to estimate from")
        raise ModelError(
            "the data have one group only, and each group is one observation: there is nothing to estimate from; check "
            "the group column"
        )
    count = len(system.coefficients) - (len(system.expansion.part.coefficients) if system.expansion else 0)
    if count >= system.groups:
        there = counted(system.groups, tables.noun)
        many = Counter(p.name.partition("[T.")[0] for p in system.coefficients if "[T." in p.name).most_common(1)
        most = f"; {many[0][1]} are of the categories of {many[0][0]}" if many and many[0][1] > 1 else ""
        raise ModelError(f"{count} coefficients cannot be estimated from {there}{most}; leave out terms")
