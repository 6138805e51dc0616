r"""Features of the groups made from a block's members, as functions of theta, with their derivatives.

A *feature* is a column over the groups: the weighted sum of a covariate, an emergent feature
(:mod:`micromacro.numerics.features`), an expression in ``E()``, or the product of such columns. All of them compute

- ``room["feature"]`` (k, groups), zero for a group without a member, and
- ``room["d_feature"]`` (k, q, groups), its derivatives in the entries of ``parameters``,

and know nothing of coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from ...errors import DataError
from ...language.nodes import Node
from ...numerics import features as kernels
from ...numerics.tape import run
from ...parameters import Parameter
from ...table.memberships import Memberships, Tables
from ..design import Design
from .expectation import expectation_tape
from .tape import Tape
from .weighing import Weighing


class Features(Protocol):
    """Columns over the groups as functions of some entries of theta."""

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What they depend on."""
        ...

    @property
    def count(self) -> int:
        """How many columns."""
        ...

    def scratch(self, gradient: bool = True) -> dict[str, Any]:
        """Work space of one thread."""
        ...

    def compute(self, theta: np.ndarray, room: dict[str, Any]) -> bool:
        """Values and derivatives at the parameters' values, into the work space; False where they do not exist."""
        ...

    def on(self, tables: Tables) -> Features:
        """The same columns on other tables."""
        ...

    def held(self, old: Features, theta: np.ndarray) -> Features:
        """The same columns with the constants that `old`, on the tables of the fit, has at theta."""
        ...

    def with_parameters(self, parameters: tuple[Parameter, ...]) -> Features:
        """The same columns with other starting values of their parameters."""
        ...


@dataclass(frozen=True)
class Covariates:
    """How a block's covariates become the rows that a kernel reads.

    Attributes
    ----------
    kind : int
        Of :mod:`micromacro.numerics.features`.
    design : Design
    fixed : tuple of Design
        Covariates whose coefficient is known.
    ones : bool
        Whether a column of ones comes first.
    block : str
        For messages.
    """

    kind: int
    design: Design
    fixed: tuple[Design, ...] = ()
    ones: bool = False
    block: str = ""

    def rows(self, memberships: Memberships) -> tuple[np.ndarray, np.ndarray]:
        """First and second covariate (k, m) of each feature; the second counts for COV only."""
        table = memberships.table
        if self.kind in (kernels.HHI, kernels.EFFN, kernels.ENTROPY):
            nothing = np.zeros((1, table.n_rows))
            return nothing, nothing
        columns = [np.ones((table.n_rows, 1))] if self.ones else []
        columns += [self.design.matrix(table), *(d.matrix(table) for d in self.fixed)]
        x = np.ascontiguousarray(np.column_stack(columns).T)
        if self.kind == kernels.COV:
            return np.ascontiguousarray(x[:1]), np.ascontiguousarray(x[1:])
        if self.kind == kernels.GMEAN:
            x = self._logarithms(x)
        return x, x

    def _logarithms(self, x: np.ndarray) -> np.ndarray:
        for row, name in zip(x, (*self.design.names, *(n for d in self.fixed for n in d.names)), strict=True):
            bad = np.flatnonzero(~(row > 0.0))
            if len(bad):
                shown = ", ".join(map(str, bad[:5]))
                raise DataError(
                    f"aggregate=gmean of block {self.block!r} needs positive numbers, but {name!r} is zero or negative "
                    f"in {len(bad)} of {len(row)} memberships (first, counted in order of group and member: {shown}; "
                    f"the first is {row[bad[0]]:g}): shift the column, or use smax, which takes any numbers"
                )
        return np.log(x)


@dataclass(frozen=True, eq=False)
class SetFeatures:
    """Features of one kind, one for each covariate (or pair), that share their shapes.

    Attributes
    ----------
    weighing : Weighing
    covariates : Covariates
    first, second : (k, m) arrays
    shapes : tuple of float or Parameter
    """

    weighing: Weighing
    covariates: Covariates
    first: np.ndarray
    second: np.ndarray
    shapes: tuple[float | Parameter, ...] = ()

    @property
    def free(self) -> tuple[Parameter, ...]:
        """The estimated shapes."""
        return tuple(s for s in self.shapes if isinstance(s, Parameter))

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Weight parameters, then shapes."""
        return self.weighing.parameters + self.free

    @property
    def count(self) -> int:
        """How many features."""
        return len(self.first)

    def scratch(self, gradient: bool = True) -> dict[str, Any]:
        q = len(self.parameters) if gradient else 0
        return self.weighing.scratch(gradient) | {
            "shape": np.array([0.0 if isinstance(s, Parameter) else s for s in self.shapes]),
            "free": np.array([k for k, s in enumerate(self.shapes) if isinstance(s, Parameter)], dtype=np.int64),
            "feature": np.zeros((self.count, self.weighing.groups)),
            "d_feature": np.zeros((self.count, q, self.weighing.groups)),
            "settled": False,
        }

    def compute(self, theta: np.ndarray, room: dict[str, Any]) -> bool:
        if room["settled"]:
            return True
        if not self.weighing.weigh(theta, room):
            return False
        p = len(self.weighing.parameters)
        room["shape"][room["free"]] = theta[p : p + len(room["free"])]
        kernels.features(
            self.covariates.kind, room["w"], room["d_w"], self.weighing.memberships.start, self.first, self.second,
            room["shape"], room["free"], room["feature"], room["d_feature"],
        )  # fmt: skip
        room["settled"] = not self.parameters
        return bool(np.all(np.isfinite(room["feature"])))

    def on(self, tables: Tables) -> SetFeatures:
        rows = tables.blocks[self.weighing.memberships.block]
        first, second = self.covariates.rows(rows)
        return replace(self, weighing=self.weighing.on(rows), first=first, second=second)

    def held(self, old: Features, theta: np.ndarray) -> SetFeatures:
        assert isinstance(old, SetFeatures)
        return replace(self, weighing=self.weighing.held(old.weighing, theta))

    def with_parameters(self, parameters: tuple[Parameter, ...]) -> SetFeatures:
        p = len(self.weighing.parameters)
        free = iter(parameters[p:])
        shapes = tuple(next(free) if isinstance(s, Parameter) else s for s in self.shapes)
        return replace(self, weighing=replace(self.weighing, parameters=parameters[:p]), shapes=shapes)


@dataclass(frozen=True, eq=False)
class ExpressionFeature:
    """An expression in E(): one feature.

    Attributes
    ----------
    weighing : Weighing
    tape : Tape
        The expression for these memberships; its parameters are the weight parameters, then `symbols`.
    weight_register : int
        The register of the tape that the weights are loaded into.
    symbols : tuple of Parameter
    names : tuple of str
        The symbols as the user wrote them.
    node, text
        The expression and the formula.
    """

    weighing: Weighing
    tape: Tape
    weight_register: int
    symbols: tuple[Parameter, ...]
    names: tuple[str, ...]
    node: Node
    text: str

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Weight parameters, then free symbols."""
        return self.weighing.parameters + self.symbols

    @property
    def count(self) -> int:
        """One."""
        return 1

    def scratch(self, gradient: bool = True) -> dict[str, Any]:
        q = len(self.parameters) if gradient else 0
        start = self.weighing.memberships.start
        m = len(self.weighing.memberships.group)
        filled = np.flatnonzero(np.diff(start))
        return self.weighing.scratch(gradient) | {
            "registers": self.tape.constants.copy(),
            "d_registers": np.zeros((len(self.tape.constants), q, m)),
            "has_member": filled,
            "first": start[filled],
            "feature": np.zeros((1, self.weighing.groups)),
            "d_feature": np.zeros((1, q, self.weighing.groups)),
            "settled": False,
        }

    def compute(self, theta: np.ndarray, room: dict[str, Any]) -> bool:
        if room["settled"]:
            return True
        if not self.weighing.weigh(theta, room):
            return False
        values, slopes, at = room["registers"], room["d_registers"], self.weight_register
        values[at] = room["w"]
        slopes[at, : len(room["d_w"])] = room["d_w"]
        start = self.weighing.memberships.start
        run(self.tape.steps, self.tape.moves, theta[: len(self.parameters)], start, values, slopes)
        room["feature"][0, room["has_member"]] = values[self.tape.output, room["first"]]
        room["d_feature"][0][:, room["has_member"]] = slopes[self.tape.output][:, room["first"]]
        room["settled"] = not self.parameters
        return bool(np.all(np.isfinite(room["feature"])))

    def on(self, tables: Tables) -> ExpressionFeature:
        rows = tables.blocks[self.weighing.memberships.block]
        tape, register = expectation_tape(self.node, self.text, len(self.weighing.parameters), self.names, rows)
        return replace(self, weighing=self.weighing.on(rows), tape=tape, weight_register=register)

    def held(self, old: Features, theta: np.ndarray) -> ExpressionFeature:
        return self  # weights that sum to one in the group have no constant

    def with_parameters(self, parameters: tuple[Parameter, ...]) -> ExpressionFeature:
        p = len(self.weighing.parameters)
        return replace(self, weighing=replace(self.weighing, parameters=parameters[:p]), symbols=parameters[p:])


@dataclass(frozen=True, eq=False)
class ProductFeatures:
    """Products of the features of some blocks and of some columns of the groups.

    Attributes
    ----------
    factors : tuple of Features
    matrix : (groups, c) array
        Columns of the groups; a column of ones where there are only blocks.
    design : Design or None
        Of the columns of the groups.
    alone : bool
        Whether a column of ones comes before those of the design.
    """

    factors: tuple[Features, ...]
    matrix: np.ndarray
    design: Design | None
    alone: bool = False

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Those of the factors, one factor after the other."""
        return tuple(p for f in self.factors for p in f.parameters)

    @property
    def count(self) -> int:
        """Every combination of a column of each."""
        return int(np.prod([f.count for f in self.factors])) * self.matrix.shape[1]

    def scratch(self, gradient: bool = True) -> dict[str, Any]:
        return {"rooms": [f.scratch(gradient) for f in self.factors], "columns": np.ascontiguousarray(self.matrix.T)}

    def compute(self, theta: np.ndarray, room: dict[str, Any]) -> bool:
        begin = 0
        for factor, own in zip(self.factors, room["rooms"], strict=True):
            if not factor.compute(theta[begin : begin + len(factor.parameters)], own):
                return False
            begin += len(factor.parameters)
        value = room["columns"]
        slope = np.zeros((len(value), 0, value.shape[1]))
        for own in reversed(room["rooms"]):  # the last factor runs fastest
            feature, d_feature = own["feature"], own["d_feature"]
            left = d_feature[:, None] * value[None, :, None]
            right = feature[:, None, None] * slope[None]
            groups = value.shape[1]
            value = (feature[:, None] * value[None]).reshape(-1, groups)
            slope = np.concatenate([left, right], axis=2).reshape(len(value), -1, groups)
        room["feature"], room["d_feature"] = value, slope
        return True

    def on(self, tables: Tables) -> ProductFeatures:
        ones = np.ones((tables.groups.n_rows, 1))
        matrix = self.design.matrix(tables.groups) if self.design else ones
        matrix = np.column_stack([ones, matrix]) if self.design and self.alone else matrix
        return replace(self, factors=tuple(f.on(tables) for f in self.factors), matrix=matrix)

    def held(self, old: Features, theta: np.ndarray) -> ProductFeatures:
        assert isinstance(old, ProductFeatures)
        out, begin = [], 0
        for factor, before in zip(self.factors, old.factors, strict=True):
            out.append(factor.held(before, theta[begin : begin + len(factor.parameters)]))
            begin += len(factor.parameters)
        return replace(self, factors=tuple(out))

    def with_parameters(self, parameters: tuple[Parameter, ...]) -> ProductFeatures:
        out, begin = [], 0
        for factor in self.factors:
            count = len(factor.parameters)
            out.append(factor.with_parameters(parameters[begin : begin + count]))
            begin += count
        return replace(self, factors=tuple(out))
