"""What every term is built from: the tables, the formula's text, and how default priors are scaled."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import MicromacroWarning, ModelError
from ..parameters import Parameter, PriorBook, is_conjugate
from ..priors import HalfStudent, Normal, Prior
from ..table.memberships import Tables


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
    notes : list of str
        Remarks for `explain()`.
    """

    text: str
    tables: Tables
    book: PriorBook
    scale: float
    location: float
    columns: tuple[str, ...]
    flat: bool = False
    notes: list[str] = field(default_factory=list)
    named: dict[str, str] = field(default_factory=dict)

    def coefficient(self, name: str, spread: float) -> Parameter:
        """A coefficient whose column has standard deviation `spread`."""
        default: Prior = Normal(0.0, 2.5 * self.scale / spread if spread > 0 else 2.5 * self.scale)
        return self.book.parameter(name, "b", default, flat=self.flat)

    def intercept(self) -> Parameter:
        """The intercept, at mean covariates."""
        default: Prior = Normal(self.location, 2.5 * self.scale)
        return self.book.parameter("Intercept", "Intercept", default, start=self.location, flat=self.flat)

    def sd(self, name: str, effective: float = 1.0) -> Parameter:
        """The sd of effects of which `effective` reach a group's outcome together."""
        default: Prior = HalfStudent(3.0, 0.0, 2.5 * self.scale * float(np.sqrt(effective)))
        return self.book.parameter(name, "sd", default, start=0.5 * self.scale, flat=self.flat)

    def weight(self, name: str) -> Parameter:
        """A weight parameter."""
        return self.book.parameter(name, "w", Normal(0.0, 1.0), flat=self.flat)

    def claim(self, name: str, what: str) -> None:
        """Reserve the name of a block or unit term; using one twice is an error."""
        if name in self.named:
            raise ModelError(
                f"two terms are called {name!r}: {self.named[name]} and {what}; tell them apart with name= "
                f"(for instance {what[:-1]}, name={name}2))"
            )
        self.named[name] = what

    def warn(self, message: str) -> None:
        """Warn the user and remember the remark."""
        self.notes.append(message)
        warnings.warn(message, MicromacroWarning, stacklevel=2)


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
        Coefficients fixed by the user; ``given`` are their columns.
    """

    linear: tuple[Parameter, ...]
    inside: np.ndarray
    loose: tuple[Parameter, ...]
    outside: np.ndarray
    known: np.ndarray
    given: np.ndarray


def sort_columns(parameters: list[Parameter], known: list[float]) -> Columns:
    """Sort a design's columns: first those with a coefficient to estimate, then those with a known one."""
    inside = [k for k, p in enumerate(parameters) if is_conjugate(p.prior)]
    outside = [k for k, p in enumerate(parameters) if not is_conjugate(p.prior)]
    return Columns(
        tuple(parameters[k] for k in inside),
        np.array(inside, dtype=np.int64),
        tuple(parameters[k] for k in outside),
        np.array(outside, dtype=np.int64),
        np.array(known, dtype=float),
        np.arange(len(parameters), len(parameters) + len(known), dtype=np.int64),
    )


def spread(column: np.ndarray) -> float:
    """Standard deviation of a column (divisor n - 1), zero for a single row."""
    return float(np.std(column, ddof=1)) if len(column) > 1 else 0.0


Scratch = dict[str, Any]
