"""The weights of a member block as functions of its weight parameters: expression, tape, rule and their kernels.

A :class:`Weighing` computes weights and their derivatives; what is done with them (sums with effects, emergent
features, interactions) is the business of the parts that own one. :class:`Block` is what such parts have in common.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np

from ...language.printing import to_text
from ...latent.part import Term
from ...numerics import aggregation, ragged
from ...numerics.tape import run
from ...parameters import Parameter
from ...table.columns import Column, Table
from ...table.levels import Levels
from ...table.memberships import Memberships, Tables
from ..base import Columns
from .tape import Tape
from .weights import WeightExpression, make_tape

POLE = 0.05  # sum of raw weights, relative to the sum of their sizes, below which they nearly cancel
ROUNDED = 1e-10  # of the derivatives of raw weights: what is left of them below it is rounding
RULES = {"total": aggregation.TOTAL, "group": aggregation.GROUP, "none": aggregation.NONE}


@dataclass(frozen=True, eq=False)
class Weighing:
    """The weights of one set of memberships.

    Attributes
    ----------
    memberships : Memberships
        Rows sorted by group.
    expression : WeightExpression
    tape : Tape
        The expression compiled for these memberships.
    rule : str
        The normalisation: total, group or none.
    parameters : tuple of Parameter
        The weight parameters.
    scale : float
        The constant of ``normalize=total`` to use (nan: that of these memberships).
    edge : bool
        Whether raw weights, which must not be negative here, could be so at some values of the parameters.
    signed : bool
        Whether weights may be negative though they are normalised.
    common : callable or None
        Gives the constant of ``normalize=total`` at a theta, where these memberships are not all.
    """

    memberships: Memberships
    expression: WeightExpression
    tape: Tape
    rule: str
    parameters: tuple[Parameter, ...]
    scale: float = float("nan")
    edge: bool = False
    signed: bool = False
    common: Callable[[np.ndarray], float] | None = None

    @property
    def groups(self) -> int:
        """Number of groups, those without a member included."""
        return len(self.memberships.start) - 1

    def scratch(self, gradient: bool = True) -> dict[str, Any]:
        """Work space: registers of the tape, weights ``w`` (m,) and their derivatives ``d_w`` (parameters, m)."""
        m = len(self.memberships.group)
        p = len(self.parameters) if gradient else 0
        return {
            "value": self.tape.constants.copy(),
            "slope": np.zeros((len(self.tape.constants), p, m)),
            "w": np.empty(m),
            "d_w": np.zeros((p, m)),
            "scale": np.ones(1),
            "fixed": False,
            "tape": (self.tape.steps, self.tape.output, int(self.tape.logarithm)) if p else self.tape.quick,
            "filled": int(np.count_nonzero(np.diff(self.memberships.start))),
            "beyond": False,
        }

    def weigh(self, theta: np.ndarray, room: dict[str, Any]) -> bool:
        """Weights and their derivatives at the first entries of theta, into the work space.

        Returns
        -------
        bool
            False where they are not finite.
        """
        p = len(self.parameters)
        if room["fixed"]:
            return True
        steps, out, given = room["tape"]
        run(steps, self.tape.moves, theta[:p], self.memberships.start, room["value"], room["slope"])
        if self.edge:
            room["beyond"] = aggregation.beyond_edge(room["value"][out], self.memberships.start, self.rule == "group")
        good = aggregation.normalise(
            room["value"][out], room["slope"][out], given, RULES[self.rule], self.memberships.start,
            room["filled"], self.scale, room["w"], room["d_w"], room["scale"],
        )  # fmt: skip
        room["fixed"] = p == 0
        return bool(good)

    def raw(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Raw weights (m,), or their logarithms where the tape computes these, and derivatives (parameters, m)."""
        room = self._run_in(self.scratch(), theta)
        return room["value"][self.tape.output], room["slope"][self.tape.output]

    def raw_values(self, theta: np.ndarray) -> np.ndarray:
        """Raw weights (m,), or their logarithms, as in :meth:`raw`; derivatives, which take most room, are not made."""
        return self._run_in(self.scratch(gradient=False), theta)["value"][self.tape.output]

    def _run_in(self, room: dict[str, Any], theta: np.ndarray) -> dict[str, Any]:
        """A room in which the tape has run at a theta."""
        p = len(self.parameters)
        with np.errstate(all="ignore"):
            run(self.tape.steps, self.tape.moves, theta[:p], self.memberships.start, room["value"], room["slope"])
        return room

    def sums(self, theta: np.ndarray) -> np.ndarray:
        """Size of the sum of raw weights relative to the sum of their sizes: of each group, or of all under ``total``.

        Weights have a pole where it is zero; it is 1 where no weight is negative, and in a group without a member.
        """
        raw = self.raw_values(theta)
        start = self.memberships.start if self.rule == "group" else np.array([0, len(raw)])
        filled, out = np.flatnonzero(np.diff(start)), np.ones(len(start) - 1)
        size = np.add.reduceat(np.abs(raw), start[filled])
        out[filled] = np.abs(np.add.reduceat(raw, start[filled])) / np.where(size > 0.0, size, 1.0)
        return out

    def distances(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Raw weights relative to the largest of their group (of all, under ``total``), with slopes (m, parameters).

        They are distances from the edge, which lies where they are zero; the divisor counts as a constant.
        """
        raw, slope = self.raw(theta)
        start = self.memberships.start
        top = np.full(len(raw), np.abs(raw).max(initial=0.0))
        if self.rule == "group":
            filled = np.flatnonzero(np.diff(start))
            own = np.maximum.reduceat(np.abs(raw), start[filled])
            top = np.where((each := np.repeat(own, np.diff(start)[filled])) > 0.0, each, top)
        top[top == 0.0] = 1.0
        return raw / top, (slope / top).T

    def sensitivity(self, theta: np.ndarray) -> np.ndarray:
        """Root mean square over the memberships of the derivative of the log weights in each parameter."""
        room = self.scratch()
        if not self.parameters or not self.weigh(theta, room):
            return np.zeros(len(self.parameters))
        there = room["w"] != 0.0
        if not there.any():
            return np.zeros(len(self.parameters))
        relative = room["d_w"][:, there] / room["w"][there]
        raw, slope = self.raw(theta)
        before = slope[:, there] if self.tape.logarithm else slope[:, there] / raw[there]
        out, most = (np.sqrt(np.mean(one**2, axis=1)) for one in (relative, before))
        return np.where(out > ROUNDED * most, out, 0.0)  # what cancels in normalised weights leaves rounding

    @cached_property
    def even(self) -> tuple[bool, bool]:
        """Whether the weights of every group that has members sum to 1, and whether they are equal within it.

        Weights that are estimated are neither but where they are normalised.
        """
        if self.parameters:
            return self.rule == "group", False
        room = self.scratch(gradient=False)
        self.weigh(np.empty(0), room)
        start, w = self.memberships.start, room["w"]
        filled = np.flatnonzero(np.diff(start))
        most, least = (f.reduceat(w, start[filled]) for f in (np.maximum, np.minimum))
        sums = np.add.reduceat(w, start[filled])
        return bool(np.allclose(sums, 1.0, rtol=1e-9)), bool(np.allclose(most, least, rtol=1e-9))

    def total_scale(self, theta: np.ndarray) -> float:
        """The constant of ``normalize=total`` at theta (prediction keeps it)."""
        if self.common is not None:
            return self.common(theta[: len(self.parameters)])
        return self._total_scale(theta) if self.parameters else self._known_scale

    def _total_scale(self, theta: np.ndarray) -> float:
        room = self.scratch(gradient=False)
        self.weigh(theta, room)
        return float(room["scale"][0])

    @cached_property
    def _known_scale(self) -> float:
        """The constant where no parameter moves it."""
        return self._total_scale(np.empty(0))

    def held(self, old: Weighing, theta: np.ndarray) -> Weighing:
        """The same weights with the constant of ``normalize=total`` that `old` has at theta."""
        return replace(self, scale=old.total_scale(theta)) if self.rule == "total" else self

    def on(self, rows: Memberships) -> Weighing:
        """The same weights on other memberships."""
        return replace(self, memberships=rows, tape=make_tape(self.expression, rows.table, rows.start))

    def grid(self, covariate: str, values: np.ndarray, size: int, levels: Levels, rest: Any = None) -> Weighing:
        """Weights of made-up groups of `size`: in each the first member's `covariate` takes one of `values`.

        All other numbers are at their means over the memberships, text at its most frequent value; the `covariate` of
        other members is `rest`, where that is given.
        """
        old = self.memberships.table
        m = len(values) * size
        columns = {name: _typical(column, name, size, m) for name, column in old.columns.items()}
        if covariate in columns:
            values_of = columns[covariate].values
            if rest is not None:
                values_of[:] = rest
            values_of[::size] = values
        group = np.repeat(np.arange(len(values)), size)
        rows = Memberships(
            self.memberships.block, group, np.zeros(m, dtype=np.int64), levels, Table(old.name, columns, m),
            np.arange(0, m + 1, size),
        )  # fmt: skip
        return self.on(rows)

    def sized(self, size: int, levels: Levels) -> Weighing:
        """Weights of one made-up group of `size`, all of whose members are typical."""
        return self.grid("", np.empty(1), size, levels)

    def moved(self, covariate: str, values: np.ndarray, chosen: np.ndarray) -> tuple[Weighing, np.ndarray]:
        """Weights in copies of the groups that exist, in each of which one membership's covariate takes one value.

        Parameters
        ----------
        covariate : str
        values : (points,) array
        chosen : (k,) int array
            Memberships, each of which moves in copies of its own group; the others there keep their values.

        Returns
        -------
        Weighing
            Of points * k copies, those of a value one after the other.
        (points, k) int array
            Which of its memberships are those that moved.
        """
        old = self.memberships
        first, size = old.start[old.group[chosen]], np.diff(old.start)[old.group[chosen]]
        start = ragged.starts(size)
        take = np.tile(ragged.runs(first, size), len(values))
        places = (start[:-1] + chosen - first)[None, :] + start[-1] * np.arange(len(values))[:, None]
        table = old.table.take(take)
        column = table[covariate]
        new = column.values.astype(float)
        new[places] = values[:, None]
        columns = table.columns | {covariate: Column(covariate, new, "number", column.missing, column.categories)}
        sizes = np.tile(size, len(values))
        group = np.repeat(np.arange(len(sizes)), sizes)
        rows = Memberships(
            old.block, group, old.member[take], old.members, Table(table.name, columns, len(take)), ragged.starts(sizes)
        )
        return self.on(rows), places


def _typical(column: Column, name: str, size: int, m: int) -> Column:
    """A column of `m` typical values."""
    if name == "n":
        typical = np.full(m, size)
    elif column.kind in ("text", "category", "bool", "time"):
        kinds, count = np.unique(column.values.astype(str), return_counts=True)
        first = column.values[np.flatnonzero(column.values.astype(str) == kinds[count.argmax()])[0]]
        typical = np.full(m, first, dtype=column.values.dtype)
    else:
        typical = np.full(m, float(np.mean(column.values)))
    kind = column.kind if typical.dtype.kind != "f" else "number"
    return Column(name, typical, kind, np.zeros(m, dtype=bool), column.categories)


class Block(Term):
    """What all parts that stand for an ``mm(...)`` have in common: a frozen dataclass with these fields.

    Attributes
    ----------
    name : str
    weighing : Weighing
    written : tuple of Parameter
        Coefficients in the order in which the user wrote them.
    center : (k,) array
        What is subtracted from the column of each.
    levels : Levels
        The members.
    """

    name: str
    weighing: Weighing
    written: tuple[Parameter, ...]
    columns: Columns
    center: np.ndarray
    levels: Levels

    @property
    def meets(self) -> str:
        """How members' whole effects meet, as in the formula; empty for their weighted sum."""
        return ""

    def on(self, tables: Tables) -> Self:
        """The same block on other tables."""
        raise NotImplementedError

    @property
    def blocks(self) -> dict[str, Block]:
        """Itself."""
        return {self.name: self}

    @property
    def reported(self) -> tuple[Parameter, ...]:
        """Coefficients of covariates or features, then those of members without pooling."""
        return self.written + (self.structure.coefficients if self.structure else ())

    @property
    def centers(self) -> dict[str, float]:
        """Means at the starting weights, where they were subtracted."""
        return {p.name: float(c) for p, c in zip(self.written, self.center, strict=False)}

    @property
    def filled(self) -> int:
        """Groups with a member."""
        return int(np.count_nonzero(np.diff(self.memberships.start)))

    @property
    def typical_size(self) -> int:
        """Median number of members of the groups that have any."""
        sizes = np.diff(self.memberships.start)
        return int(np.median(sizes[sizes > 0]))

    @property
    def informed(self) -> bool:
        """Whether it has a covariate or a feature, with an estimated or a known coefficient."""
        return bool(self.written) or len(self.columns.known) > 0

    def covariates_of_memberships(self, theta: np.ndarray, coefficients: np.ndarray) -> np.ndarray | None:
        """Covariates times their coefficients (draws, memberships), before the weights; None without such a sum.

        Parameters
        ----------
        theta, coefficients : (draws, k) arrays
            The block's own.
        """
        return None

    def _weights_in_words(self) -> str:
        sign = ", signed" if self.weighing.signed else " (not negative anywhere)" if self.edge else ""
        return f"w_{self.name}[i,j] = {to_text(self.expression.node)}, normalize = {self.rule}{sign}"

    @property
    def memberships(self) -> Memberships:
        """The memberships, sorted by group."""
        return self.weighing.memberships

    @property
    def expression(self) -> WeightExpression:
        """The weights as the user wrote them."""
        return self.weighing.expression

    @property
    def tape(self) -> Tape:
        """The weight expression, compiled."""
        return self.weighing.tape

    @property
    def rule(self) -> str:
        """The normalisation of the weights."""
        return self.weighing.rule

    @property
    def scale(self) -> float:
        """The constant of ``normalize=total`` to use (nan: that of these memberships)."""
        return self.weighing.scale

    @property
    def weight_parameters(self) -> tuple[Parameter, ...]:
        """The weight parameters; they come first in the part's theta."""
        return self.weighing.parameters

    @property
    def groups(self) -> int:
        """Number of groups, those without a member included."""
        return self.weighing.groups

    @property
    def edge(self) -> bool:
        """Whether raw weights, which must not be negative, would be so at some values of the parameters."""
        return self.weighing.edge

    def distances(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distances from the edge (m,) and their slopes (m, len(theta)); see :meth:`Weighing.distances`."""
        values, slopes = self.weighing.distances(theta)
        out = np.zeros((len(values), len(theta)))
        out[:, : slopes.shape[1]] = slopes
        return values, out

    def sound(self, theta: np.ndarray) -> bool:
        """Whether no weights that may be negative nearly cancel."""
        if not self.weighing.signed or self.rule == "none" or self.tape.logarithm:
            return True
        return bool(self.weighing.sums(theta).min(initial=1.0) >= POLE)

    def beyond(self, scratch: dict[str, Any]) -> bool:
        """Whether raw weights were negative when the weights in the work space were made."""
        return scratch["beyond"]

    @property
    def weight_effects(self) -> str:
        """The term that has the effects of its weights, where their coefficients vary over units; else nothing."""
        return ""

    def weights(self, theta: np.ndarray, room: dict[str, Any]) -> np.ndarray:
        """Weights (m,) at the block's theta; their derivatives are in ``room["d_w"]``."""
        self.weighing.weigh(theta, room)
        return room["w"]

    def held(self, old: Self, theta: np.ndarray) -> Self:
        """The same block with the constant that `old`, on the tables of the fit, has at the block's theta."""
        return replace(self, weighing=self.weighing.held(old.weighing, theta))  # type: ignore[type-var]
