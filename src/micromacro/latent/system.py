r"""The latent Gaussian system: the pattern of A and D, fixed once, and their values at a theta.

A model is a list of *parts* (fixed terms, member blocks, unit terms). Given theta = (weight parameters, sds, ...),

.. math:: \eta = A(\theta)\,x + o(\theta), \qquad x \mid \theta \sim N(m_0, D^{-1}),

with x the standardised effects of all parts, then the coefficients of all parts. A has one row per group, or rows that
repeat groups (:mod:`micromacro.latent.expansion`); each part owns some entries of A and may add to the offset o. The
engines see nothing else of a model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from ..numerics.aggregation import ROUNDING
from ..numerics.exposure import Cross
from ..numerics.rows import times
from ..numerics.symbolic import Symbolic, analyse
from ..parameters import Parameter
from ..priors import Normal
from .beside import Beside, predictors_of
from .blocks import Meeting, products
from .coupling import cross_of, cross_pairs
from .expansion import Expansion, Repeats, repeat
from .part import Part
from .places import Places
from .representation.base import Representation
from .representation.choice import Side, choose
from .representation.direct import direct
from .representation.paired import paired
from .workspace import Workspace, new_workspace


class System:
    """Parts put together: index maps, the analysed pattern, the prior of x.

    Parameters
    ----------
    parts : sequence of Part
    groups : int
        Number of groups: rows of A, unless there is an expansion.
    family : sequence of Parameter
        The family's own entries of theta; they come last.
    base_offset : (groups,) array
        Known part of the linear predictor.
    expansion : Expansion, optional
        Rows of A that repeat groups, with a part of their own (the last one).
    beside : Beside, optional
        Parameters of the family with a linear predictor of their own: parts without entries of A, whose offsets it is.

    Attributes
    ----------
    rows : int
        Number of rows of A.
    hypers : tuple of Parameter
        theta, in order: each part's, then the family's.
    coefficients : tuple of Parameter
        All parts' coefficients; they are the last entries of x.
    places : Places
        Where each part's entries of theta and x are.
    size, n_effects : int
        Length of x; number of effects among it (they come first).
    center : (size,) array
        m0, in elimination order.
    start : (size,) array
        Where a search for the mode of x begins, in elimination order.
    d_value : array
        Values of D on its pattern: each part's effects in turn, then the coefficients (diagonal). Where D depends on
        theta, those at the starting values.
    log_det : float
        log|D| of the effects whose D is constant.
    varies : bool
        Whether D depends on theta.
    apart : bool
        Whether parameters of the family have linear predictors that are known numbers given theta.
    edges : tuple of int
        Parts beyond whose edge theta is impossible.
    border, border_row, border_column : int arrays
        Where held coefficients have their entries among the values of A, and the row and coefficient of each.
    cross : Cross or None
        Where pairs of columns meet of which no row has both.
    meeting : Meeting or None
        The same where units read several rows; ``slots`` is then the number of rows and of their pairs, else of rows.
    numbers : tuple of slice
        Numbers that each part fills for the likelihood; ``number_row`` has a row that reads each.
    scattered : Scattered or None
        Who has its rows, where they are elsewhere (:mod:`.apart`).
    """

    def __init__(
        self, parts: list[Part], groups: int, family: tuple[Parameter, ...], base_offset: np.ndarray,
        expansion: Expansion | None = None, beside: Beside | None = None,
    ):  # fmt: skip
        self.expansion, self.beside = expansion, beside
        self.scattered: Any = None
        self.parts = (*parts, expansion.part) if expansion else tuple(parts)
        self.groups = groups
        self.rows = expansion.rows if expansion else groups
        self.base_offset = np.ascontiguousarray(base_offset, dtype=float)
        self.hypers: tuple[Parameter, ...] = tuple(h for p in self.parts for h in p.hypers) + tuple(family)
        self.coefficients = tuple(c for p in self.parts for c in p.coefficients)
        self.places = Places(self.parts, len(family), expansion is not None, [p.name for p in family])
        self.n_effects, self.size = self.places.n_effects, self.places.size
        self._predictor = [part.predictor for part in self.parts]
        if beside is not None and beside.stacked:
            self._predictor = [*beside.part, 0]
        self.apart = beside is not None and not beside.stacked
        self._aside = predictors_of(beside if self.apart else None, len(self.parts))
        every = range(len(self.parts))
        self._reads = [self.places.reads(k) for k in every]
        self.edges = tuple(k for k in every if self.parts[k].edge)
        self._structure_theta = [self.places.effect_theta(k) for k in every]
        self.symbolic: Symbolic
        self.cross: Cross | None = None
        self.meeting: Meeting | None = None
        blocks = expansion.blocks if expansion else None
        self.slots = self.rows + (blocks.pairs if blocks else 0)
        self._of_rows = [part.of_rows for part in self.parts]
        self._members = [k for k, part in enumerate(self.parts) if part.combines]  # terms whose members have rows
        self.combines = bool(self._members)  # because they combine in another way than by their sum
        if expansion:
            self._of_rows[-1] = True
        self.number_row = np.concatenate([np.empty(0, dtype=np.int64), *(p.number_rows for p in self.parts)])
        ends = np.cumsum([0, *(len(p.number_rows) for p in self.parts)])
        self.numbers = tuple(slice(int(a), int(b)) for a, b in pairwise(ends))
        self._slots: list[np.ndarray]
        self._held: System | None = None
        self._whole = False  # whether an order for a factor is looked for at any cost
        self._analyse()
        self._prior()

    def held(self) -> System:
        """The same system for coefficients that are held: its factor is that of the effects alone.

        H has an identity block for the coefficients, whose entries of A stand after those of the rows, in ``border``.
        """
        if self._held is None:
            self._held = self._again(held=True)
        return self._held

    def ordered(self) -> System:
        """The same system in an order for a factor, where none was looked for because a factor would take too long."""
        return self if self.symbolic.pattern.ordered else self._again(whole=True)

    def _again(self, held: bool = False, whole: bool = False) -> System:
        out = copy(self)
        out._held, out._whole = None, self._whole or whole
        out._analyse(held)
        out._prior()
        return out

    def _analyse(self, held: bool = False) -> None:
        """Fix the pattern of A and D, and hand each part the places of its entries."""
        rows, columns, lengths = [], [], []
        for k, part in enumerate(self.parts):
            r, c = part.entries()
            own = len(part.coefficients)
            effect, coefficient = self.places.effects(k).start, self.places.coefficients(k).start
            columns.append(np.where(c < own, c + coefficient, c - own + effect))
            rows.append(r)
            lengths.append(len(r))
        self._repeats = self._repeat(rows, columns)
        d_row, d_column, self._d_slots = self._precision_pattern()
        empty = np.empty(0, dtype=np.int64)
        all_rows, all_columns = np.concatenate([empty, *rows]), np.concatenate([empty, *columns])
        own_parts = [k for k, own in enumerate(self._of_rows) if own]
        if self._repeats is not None:  # repeated entries of groups, then those of parts whose entries are rows' own
            all_rows = np.concatenate([self._repeats.row, *(rows[k] for k in own_parts)])
            all_columns = np.concatenate([self._repeats.column[self._repeats.source], *(columns[k] for k in own_parts)])
        inside = all_columns < (self.n_effects if held else self.size)
        self.border_row, self.border_column = all_rows[~inside], all_columns[~inside] - self.n_effects
        group, own = self._coupled(columns, held)
        more_row, more_column = cross_pairs(group, own)
        blocks = self.expansion.blocks if self.expansion else None
        met = None if blocks is None else products(blocks, all_rows[inside], all_columns[inside], self.size)
        if met is not None:
            more_row, more_column = met.columns
        made = analyse(
            self.rows, self.size, all_rows[inside], all_columns[inside], np.concatenate([d_row, more_row]),
            np.concatenate([d_column, more_column]), self.size if len(own) and not held else self.n_effects,
            self._whole or len(own) > 0 or met is not None,
        )  # fmt: skip
        n_d = len(d_row)
        self.symbolic = replace(made, d_row=made.d_row[:n_d], d_column=made.d_column[:n_d])
        if self.expansion is not None and self.expansion.coupled:
            self.cross = cross_of(self.symbolic, self.groups, group, own, made.d_place[n_d:])
        if met is not None:
            assert blocks is not None
            self.meeting = met.meeting(blocks, self.symbolic, made.entry, made.d_place[n_d:])
        self._direct = paired if len(own) or met is not None else direct
        self._representations: dict[Side | None, Representation] = {}
        entry = np.empty(len(inside), dtype=np.int64)
        entry[inside] = made.entry
        self.border = np.arange(len(made.columns), len(inside))
        entry[~inside] = self.border
        ends = np.cumsum([0, *lengths])
        if self._repeats is None:
            self._slots = [entry[a:b] for a, b in pairwise(ends)]
        else:  # parts of groups write to values of their own, which are then repeated
            at, of_groups, self._slots = len(self._repeats.source), 0, []
            for own, length in zip(self._of_rows, lengths, strict=True):
                self._slots.append(entry[at : at + length] if own else np.arange(of_groups, of_groups + length))
                at, of_groups = (at + length, of_groups) if own else (at, of_groups + length)
            self._repeats = replace(self._repeats, into=entry[: len(self._repeats.source)])

    def _coupled(self, columns: list[np.ndarray], held: bool) -> tuple[np.ndarray, np.ndarray]:
        """Columns of groups and of own rows that meet in pairs (natural order); none where rows stand alone."""
        if self.expansion is None or not self.expansion.coupled:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        below = self.n_effects if held else self.size
        group, own = np.unique(np.concatenate([np.empty(0, dtype=np.int64), *columns[:-1]])), np.unique(columns[-1])
        return group[group < below], own[own < below]

    def _repeat(self, rows: list[np.ndarray], columns: list[np.ndarray]) -> Repeats | None:
        """How entries of groups are repeated on the rows; None where the rows are the groups."""
        if self.expansion is None:
            return None
        each = zip(rows, columns, self._predictor, self._of_rows, strict=True)
        return repeat(self.expansion, self.groups, [(r, c, number) for r, c, number, own in each if not own])

    def _precision_pattern(self) -> tuple[np.ndarray, np.ndarray, list[slice]]:
        """Rows and columns of D's lower triangle, and which of its values are each part's."""
        rows, columns, slots, at = [], [], [], 0
        for k, part in enumerate(self.parts):
            effect = self.places.effects(k).start
            plain = (np.arange(part.effects),) * 2
            own = part.structure.precision_pattern() if part.structure and part.effects else plain
            rows.append(own[0] + effect)
            columns.append(own[1] + effect)
            slots.append(slice(at, at + len(own[0])))
            at += len(own[0])
        coefficients = np.arange(self.n_effects, self.size)
        return np.concatenate([*rows, coefficients]), np.concatenate([*columns, coefficients]), slots

    def _prior(self) -> None:
        """m0 and D: the precision of each part's effects; a coefficient's own, or zero if flat."""
        mean, start = np.zeros(self.size), np.zeros(self.size)
        precision = np.ones(self.size)
        effects = self._d_slots[-1].stop if self._d_slots else 0
        values = np.ones(effects)
        self.log_det, self.varies = 0.0, False
        for part, slot in zip(self.parts, self._d_slots, strict=True):
            if part.structure and part.effects:
                own = np.array([p.start for p in part.hypers[part.structure_theta]])
                log_det = part.structure.precision(own, values[slot])
                self.varies |= part.structure.varies
                self.log_det += 0.0 if part.structure.varies else log_det
        self.flat = 0
        log_precision = 0.0
        for k, parameter in enumerate(self.coefficients, start=self.n_effects):
            start[k] = parameter.start
            if isinstance(parameter.prior, Normal):
                mean[k] = parameter.prior.mean
                precision[k] = parameter.prior.sd**-2.0
                log_precision -= 2.0 * math.log(parameter.prior.sd)
            else:
                precision[k] = 0.0
                self.flat += 1
        self.log_det_coefficients = log_precision
        self.center = mean[self.symbolic.order]
        self.start = start[self.symbolic.order]
        self.d_value = np.concatenate([values, precision[self.n_effects :]])

    @property
    def direct(self) -> Representation:
        """The factor of H itself, whose panels are in the work space."""
        return self.representation("effects")

    def representation(self, side: Side | None = None) -> Representation:
        """What is factorised to maximise a likelihood: what was asked for, or what takes the fewest operations."""
        if side not in self._representations:
            bound = self.varies or self.cross is not None or self.meeting is not None
            self._representations[side] = choose(
                self.symbolic, partial(self._direct, self.symbolic), self.n_effects, bound, side
            )
        return self._representations[side]

    def with_parts(self, parts: Sequence[Part]) -> System:
        """The same system with other parts in the places of these, of the same pattern."""
        out = copy(self)
        out._held = None
        out.parts = tuple(parts)
        out.hypers = tuple(h for p in out.parts for h in p.hypers) + self.hypers[self.places.family]
        family = [p.name for p in self.hypers[self.places.family]]
        out.places = Places(out.parts, len(family), self.expansion is not None, family)
        return out

    def values_of(self, part: int, room: Workspace) -> np.ndarray:
        """A part's entries as it gave them (group by group where rows are not groups), at the work space's values."""
        of_groups = self._repeats is not None and not self._of_rows[part]
        return (room.group_values if of_groups else room.values)[self._slots[part]]

    def workspace(self, gradient: bool = True) -> Workspace:
        """Fresh work space for one thread."""
        repeats = self._repeats
        room = new_workspace(
            self.symbolic, self.rows, self.d_value.copy() if self.varies else self.d_value, gradient,
            group_values=np.zeros(0 if repeats is None else len(repeats.group)),
            group_offset=np.zeros((self.expansion.predictors if self.expansion else 0, self.groups)),
            scratch=[p.scratch(gradient) for p in self.parts], log_det=self.log_det, border=len(self.border),
            beside=np.zeros((len(self.beside.rows) if self.beside and self.apart else 0, self.groups)),
            numbers=np.zeros(len(self.number_row)),
        )  # fmt: skip
        if gradient:
            room.d_beside, room.d_numbers = np.zeros_like(room.beside), np.zeros_like(room.numbers)
            if self.slots > self.rows:
                room.leverage = np.empty(self.slots)
        if self.symbolic.short is None and not self.symbolic.pattern.large:
            self.direct.prepare(room, gradient)
        return room

    def fill(self, theta: np.ndarray, room: Workspace) -> bool:
        """Values of A, the offset and D at theta; False where a part says that theta is impossible."""
        if not self._fill_rows(theta, room) or (self.varies and not self._fill_precision(theta, room)):
            return False
        return not any(self.parts[k].beyond(room.scratch[k]) for k in self.edges)

    def inside(self, theta: np.ndarray) -> bool:
        """Whether theta is within all edges."""
        distances = (self.parts[k].distances(theta[self._reads[k]])[0] for k in self.edges)
        return all(values.min(initial=0.0) >= -ROUNDING for values in distances)

    def sound(self, theta: np.ndarray) -> bool:
        """Whether theta is a place for a chain to start, where it exists at all."""
        return all(part.sound(theta[where]) for part, where in zip(self.parts, self._reads, strict=True))

    def lifted(self) -> System:
        """The same system without edges, for whoever minds them himself."""
        out = copy(self)
        out.edges, out._held = (), None if self._held is None else self._held.lifted()
        return out

    def _fill_rows(self, theta: np.ndarray, room: Workspace) -> bool:
        """Values of A and the offset."""
        repeats = self._repeats
        if repeats is None:
            room.offset[:] = self.base_offset
            if self.beside is not None:
                room.beside[:] = self.beside.offset
            for k, number in enumerate(self._aside):
                if not self._fill(k, theta, room, room.values, room.beside[number - 1] if number else room.offset):
                    return False
            return True
        assert self.expansion is not None
        room.group_offset[:] = 0.0
        room.group_offset[0] = self.base_offset
        others = room.beside if self.apart else room.group_offset[1:]
        if self.beside is not None:
            others[:] = self.beside.offset
        for k, own in enumerate(self._of_rows):
            to = room.beside[self._aside[k] - 1] if self._aside[k] else room.group_offset[self._predictor[k]]
            if not own and not self._fill(k, theta, room, room.group_values, to):
                return False
        room.values[repeats.into] = room.group_values[repeats.source]
        self.expansion.spread(room.group_offset, room.offset)
        every = enumerate(self._of_rows)
        return all(self._fill(k, theta, room, room.values, room.offset) for k, own in every if own)

    def _fill(self, k: int, theta: np.ndarray, room: Workspace, values: np.ndarray, offset: np.ndarray) -> bool:
        """Let a part write its entries."""
        part, own = self.parts[k], theta[self._reads[k]]
        if not part.fill(own, room.scratch[k], self._slots[k], values, offset):
            return False
        if len(room.numbers) and self.numbers[k].stop > self.numbers[k].start:
            part.fill_numbers(own, room.scratch[k], room.numbers[self.numbers[k]])
        return True

    def own(self, theta: np.ndarray, room: Workspace) -> np.ndarray:
        """The family's own numbers at the theta last filled; where members combine, on one line with those of parts."""
        own = self.own_of_family(theta, room)
        return np.concatenate([own.ravel(), room.numbers]) if self.combines else own

    def own_of_family(self, theta: np.ndarray, room: Workspace) -> np.ndarray:
        """The same without what parts fill: (k,), or (k, groups) where some have a linear predictor without effects."""
        constant = theta[self.places.family].copy()
        return self.beside.own(constant, room.beside) if self.beside and self.apart else constant

    def gather(self, of_row: np.ndarray) -> np.ndarray:
        """Sums of numbers of the rows (rows,) over each group (groups,); what belongs to pairs of rows is left out."""
        if self.expansion is None:
            return of_row
        return self.expansion.gather(of_row[: self.rows], self.groups).sum(axis=0)

    def _fill_precision(self, theta: np.ndarray, room: Workspace) -> bool:
        """Values of D that depend on theta, and log|D|; False where it is not finite."""
        room.log_det = self.log_det
        for part, where, slot in zip(self.parts, self._structure_theta, self._d_slots, strict=True):
            if part.structure and part.structure.varies:
                room.log_det += part.structure.precision(theta[where], room.d_value[slot])
        return math.isfinite(room.log_det)

    def pull(self, theta: np.ndarray, room: Workspace) -> np.ndarray:
        """Derivative in the parts' theta (the family's entries are left at zero).

        The work space holds the derivatives in the entries of A (`slope`), of D (`d_entry`, log|D| left out) and in the
        offset.
        """
        out = np.zeros(len(self.hypers))
        slope, offsets, repeats = room.slope, None, self._repeats
        if repeats is not None:
            assert self.expansion is not None
            slope = np.bincount(repeats.source, room.slope[repeats.into], len(repeats.group))
            offsets = self.expansion.gather(room.d_offset, self.groups)
        for k, (part, where) in enumerate(zip(self.parts, self._reads, strict=True)):
            if isinstance(where, slice) and where.stop == where.start:
                continue
            of_rows = offsets is None or self._of_rows[k]
            d_offset = room.d_offset if of_rows or offsets is None else offsets[self._predictor[k]]
            if self._aside[k]:
                d_offset = room.d_beside[self._aside[k] - 1]
            entries = room.slope if of_rows else slope
            out[where] += part.pull(theta[where], room.scratch[k], self._slots[k], entries, d_offset)
            if self.numbers[k].stop > self.numbers[k].start:
                out[where] += part.pull_numbers(theta[where], room.scratch[k], room.d_numbers[self.numbers[k]])
        if self.varies:
            for part, where, slot in zip(self.parts, self._structure_theta, self._d_slots, strict=True):
                if part.structure and part.structure.varies:
                    out[where] += part.structure.pull_precision(theta[where], room.d_entry[slot])
        return out

    def predictor(self, room: Workspace, x: np.ndarray) -> np.ndarray:
        """Linear predictor of the groups (groups,) at the values in the work space and x in natural order.

        Where rows are not groups: what the terms bring to the first linear predictor, the rows' own part left out.
        """
        repeats = self._repeats
        if repeats is None or (self.beside is not None and self.beside.stacked):
            return self.row_predictor(room, x)[: self.groups]
        value = room.group_values * x[repeats.column] * (repeats.predictor == 0)
        out = np.bincount(repeats.group, value, self.groups) + room.group_offset[0]
        eta = self.row_predictor(room, x) if self._members else np.empty(0)
        for k in self._members:
            met = self.parts[k].together(room.scratch[k], eta)
            out += 0.0 if met is None else met[0]
        return out

    def predictors(self, room: Workspace, x: np.ndarray) -> np.ndarray:
        """All linear predictors (predictors, groups) where their rows are stacked, at x in natural order."""
        return self.row_predictor(room, x).reshape(-1, self.groups)

    def row_predictor(self, room: Workspace, x: np.ndarray) -> np.ndarray:
        """A x + offset (rows,) at the values in the work space and x in natural order."""
        out = np.empty(self.rows)
        s = self.symbolic
        times(s.row_start, s.columns, room.values, np.ascontiguousarray(x[s.order]), out)
        return out + room.offset

    def matrix(self, room: Workspace, of_groups: bool = False) -> Any:
        """A (rows, size) at the values in the work space, sparse, in natural order.

        `of_groups` leaves out the rows' own part: what the terms bring to each group (groups, size).
        """
        s, repeats = self.symbolic, self._repeats
        if repeats is None or not of_groups:
            inner = room.values[: len(s.columns)]
            inner = csr_array((inner.copy(), s.order[s.columns], s.row_start), shape=(self.rows, self.size))
            where = (self.border_row, self.border_column + self.n_effects)
            if len(self.border):
                inner += csr_array((room.values[self.border], where), shape=inner.shape)
            return inner
        group, column, values = [repeats.group], [repeats.column], [room.group_values]
        for k in self._members:  # linearised
            rows, local = self.parts[k].entries()
            own = len(self.parts[k].coefficients)
            to, value = self.parts[k].of_groups(room.scratch[k], rows, room.values[self._slots[k]])
            group.append(to)
            values.append(value)
            start = self.places.coefficients(k).start, self.places.effects(k).start - own
            column.append(local + np.where(local < own, *start))
        places = (np.concatenate(group), np.concatenate(column))
        return csr_array((np.concatenate(values), places), shape=(self.groups, self.size))

    def coefficient_columns(self, room: Workspace, of_groups: bool = False) -> np.ndarray:
        """Columns of the coefficients at the values in the work space, dense.

        Of all of them (rows, c), or (`of_groups`) of the terms' coefficients, which come first (groups, c).
        """
        own = len(self.expansion.part.coefficients) if self.expansion and of_groups else 0
        return self.matrix(room, of_groups)[:, self.n_effects : self.size - own].toarray()

    def leverages(self, room: Workspace) -> np.ndarray:
        """a_i' H^-1 a_i of each row (rows,), and H^-1 A' into ``room.slope``, at the factor in the work space."""
        self.direct.slopes(room, self.size)
        return room.leverage

    def natural_order(self, x: np.ndarray) -> np.ndarray:
        """x (..., size) from elimination order to (effects of part 0, part 1, ..., coefficients)."""
        out = np.empty_like(x)
        out[..., self.symbolic.order] = x
        return out
