"""What every term is built from: the tables, the formula's text, and how default priors are scaled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..effects.base import Effects
from ..effects.correlated import Order, order_for, partial
from ..errors import ModelError, warn
from ..notes import Note, caution
from ..parameters import Parameter, PriorBook
from ..priors import Fixed, HalfStudent, Lkj, Normal, Prior
from ..table.memberships import Tables
from .design import Design


@dataclass
class Context:
    """What the builders of terms share.

    Attributes
    ----------
    text : str
        The formula, for messages.
    tables : Tables
    book : PriorBook
    scale : float
        s of the default priors: sd of the outcome on the link scale.
    location : float
        Centre of the default prior of the intercept, on the link scale.
    flat : bool
        Whether parameters without a prior of the user's have none (ml and reml).
    columns : tuple of str
        All columns of the user's tables, for messages about near misses.
    notes : list of Note
        Remarks for `explain()`.
    sources : mapping
        Graphs and covariances that the user gave by name.
    others : dict
        Effects of the terms built so far, by the name of the term.
    prefix : str
        ``sigma.`` for terms of the linear predictor of sigma, whose coefficients are entries of theta.
    dropped : frozenset of str
        Coefficients that are left out because their columns are collinear (``collinear="drop"``).
    reach : float
        By how much weights multiply an effect before it reaches the outcome, where that is far from 1: the default
        prior for its sd is, and searches for it begin, where the outcome's spread lets one expect it.
    """

    text: str
    tables: Tables
    book: PriorBook
    scale: float
    location: float
    columns: tuple[str, ...]
    flat: bool = False
    notes: list[Note] = field(default_factory=list)
    named: dict[str, str] = field(default_factory=dict)
    sources: Mapping[str, Any] = field(default_factory=dict)
    others: dict[str, Effects] = field(default_factory=dict)
    prefix: str = ""
    dropped: frozenset[str] = frozenset()
    reach: float = 1.0

    def kept(self, design: Design, matrix: np.ndarray, prefix: str) -> tuple[Design, np.ndarray]:
        """A design and its columns (rows, k) without those whose coefficients are left out."""
        keep = [k for k, name in enumerate(design.names) if f"{prefix}{name}" not in self.dropped]
        return (design, matrix) if len(keep) == len(design.names) else (design.only(keep), matrix[:, keep])

    def coefficient(self, name: str, spread: float) -> Parameter:
        """A coefficient whose column has standard deviation `spread`."""
        default: Prior = Normal(0.0, 2.5 * self.scale / spread if spread > 0 else 2.5 * self.scale)
        return self._placed(self.book.parameter(name, "b", default, flat=self.flat))

    def intercept(self) -> Parameter:
        """The intercept, at mean covariates."""
        default: Prior = Normal(self.location, 2.5 * self.scale)
        name = f"{self.prefix}Intercept"
        return self._placed(self.book.parameter(name, "Intercept", default, start=self.location, flat=self.flat))

    def _placed(self, coefficient: Parameter) -> Parameter:
        """A coefficient where those of this linear predictor are: in x, or in theta."""
        return replace(coefficient, aside=True) if self.prefix else coefficient

    def sd(self, name: str, effective: float = 1.0, spread: float = 1.0) -> Parameter:
        """The sd of effects of which `effective` reach a group together; of slopes on a covariate with a `spread`."""
        unit = (self.scale / spread if spread > 0 else self.scale) / self.reach
        default: Prior = HalfStudent(3.0, 0.0, 2.5 * unit * float(np.sqrt(effective)))
        return self.book.parameter(name, "sd", default, start=0.5 * unit, flat=self.flat)

    def correlations(self, names: Sequence[str], terms: int) -> tuple[tuple[Parameter, ...], Order]:
        """Partial correlations of `terms` effects row by row, under one LKJ prior for all, and the terms' order.

        Some may be held: all of them, or such as have a term in common.
        """
        made = [self.book.parameter(n, "cor", Lkj(1.0), flat=self.flat) for n in names]
        if terms == 2:
            return tuple(made), Order(())
        held = [p.fixed for p in made]
        if all(held):
            return self._all_held(made, terms), Order(())
        priors = {p.prior for p in made if not p.fixed}
        if len(priors) > 1 or not all(isinstance(p, Lkj) or not p.proper for p in priors):
            raise ModelError(
                f"the correlations {', '.join(names)} have one joint prior: give it for the class, as in "
                "priors={'cor': mm.prior.lkj(2)}; a single correlation cannot be given a prior"
            )
        order = order_for(held, terms)
        if order is None:
            shown = ", ".join(p.name for p in made if p.fixed)
            raise ModelError(
                f"fixed= holds correlations that have no term in common ({shown}): the others could then not move "
                "freely; hold those of one term, or all of them"
            )
        out = []
        for p, given in zip(made, order.given(terms), strict=True):
            out.append(replace(p, prior=Lkj(p.prior.eta, terms, given)) if isinstance(p.prior, Lkj) else p)
        return tuple(out), order

    @staticmethod
    def _all_held(made: list[Parameter], terms: int) -> tuple[Parameter, ...]:
        """Correlations that are all fixed: theta has the partial ones that make them."""
        found = partial(np.array([p.held for p in made]), terms)
        if not np.all(np.isfinite(found)):
            shown = ", ".join(f"{p.name} = {p.held:g}" for p in made)
            raise ModelError(f"fixed=: no distribution has these correlations ({shown}): their matrix is not "
                             "positive definite")  # fmt: skip
        return tuple(
            replace(p, start=float(v), prior=Fixed(float(v), p.held)) for p, v in zip(made, found, strict=True)
        )

    def hyper(self, name: str, kind: str, default: Prior, start: float) -> Parameter:
        """Any other entry of theta."""
        return self.book.parameter(name, kind, default, start=start, flat=self.flat)

    def weight(self, name: str) -> Parameter:
        """A weight parameter."""
        return self.book.parameter(name, "w", Normal(0.0, 1.0), flat=self.flat)

    def shape(self, name: str, default: Prior, start: float = 0.0, positive: bool = False) -> Parameter:
        """A shape of an aggregation feature."""
        return self.book.parameter(name, "aggregate", default, start=start, flat=self.flat, positive=positive)

    def claim(self, name: str, what: str) -> None:
        """Reserve the name of a block or unit term; using one twice is an error."""
        if name in self.named:
            units = all(w.startswith("hm(") for w in (self.named[name], what))
            both = f" (independent slopes of one unit are written (1 + x || {name}))" if units else ""
            raise ModelError(
                f"two terms are called {name!r}: {self.named[name]} and {what}; tell them apart with name= "
                f"(for instance {what[:-1]}, name={name}2)){both}"
            )
        self.named[name] = what

    def warn(self, code: str, message: str, *about: str) -> None:
        """Warn the user and remember the note."""
        self.notes.append(caution(code, message, *about))
        warn(message)


@dataclass(frozen=True)
class Columns:
    """Columns of covariates of a term, sorted by how their coefficients are treated.

    Attributes
    ----------
    linear : tuple of Parameter
        Coefficients that sit in x; ``inside`` (k,) are their columns.
    loose : tuple of Parameter
        Coefficients with a prior that is not normal: entries of theta; ``outside`` are their columns.
    known : (c,) array
        Coefficients fixed by the user; ``beside`` are their columns.
    """

    linear: tuple[Parameter, ...]
    inside: np.ndarray
    loose: tuple[Parameter, ...]
    outside: np.ndarray
    known: np.ndarray
    beside: np.ndarray


def sort_columns(parameters: list[Parameter], known: list[float]) -> Columns:
    """Sort a design's columns: first those with a coefficient to estimate, then those with a known one."""
    inside = [k for k, p in enumerate(parameters) if p.inside]
    outside = [k for k, p in enumerate(parameters) if not p.inside]
    return Columns(
        tuple(parameters[k] for k in inside),
        np.array(inside, dtype=np.int64),
        tuple(parameters[k] for k in outside),
        np.array(outside, dtype=np.int64),
        np.array(known, dtype=float),
        np.arange(len(parameters), len(parameters) + len(known), dtype=np.int64),
    )


def constant(column: np.ndarray) -> bool:
    """Whether a column over the groups is the same everywhere but for rounding."""
    return len(column) > 1 and bool(np.ptp(column) <= 1e-12 * max(1.0, abs(column[0])))


def spread(column: np.ndarray) -> float:
    """Standard deviation of a column (divisor n - 1), zero for a single row."""
    return float(np.std(column, ddof=1)) if len(column) > 1 else 0.0
