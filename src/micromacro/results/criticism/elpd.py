r"""What out-of-sample measures return: the expected log predictive density, pointwise, with its error.

.. math:: \mathrm{elpd} = \sum_i \log p(y_i \mid y_{-i}), \qquad \mathrm{se} = \sqrt{N\,\mathrm{var}_i},

the sum over groups (or over whatever is left out together) and the error of its being a sum over these groups and
no others (Vehtari, Gelman and Gabry 2017).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from ...posterior.leaveout.scores import standard_error

NAMES = {
    "loo": "leave-one-out (conditional on the effects)",
    "integrated": "leave-one-out (effects integrated out)",
    "waic": "widely applicable information criterion",
    "kfold": "cross-validation by refitting",
}


@dataclass(frozen=True, eq=False)
class Elpd:
    """Expected log predictive density for data that were left out.

    Attributes
    ----------
    kind : str
        ``loo``, ``integrated``, ``waic`` or ``kfold``.
    pointwise : DataFrame
        Indexed by what was left out (groups, members or units): ``elpd``; ``p``, its effective number of parameters;
        ``pareto_k``, the shape of the tail of its importance weights (loo and integrated).
    draws : int
        Draws that were used.
    good_k : float
        Largest Pareto k at which so many draws are enough (Vehtari et al. 2024).
    outcome : tuple
        Name of the outcome, the groups and their outcomes: what must agree for a comparison.
    notes : tuple of str
    """

    kind: str
    pointwise: pd.DataFrame
    draws: int
    good_k: float = float("nan")
    outcome: tuple = ()
    notes: tuple[str, ...] = field(default=())

    def column(self, name: str) -> np.ndarray:
        """A column of `pointwise` as an array."""
        return np.asarray(self.pointwise[name], dtype=float)

    @cached_property
    def elpd(self) -> float:
        """Sum of the pointwise values."""
        return float(self.column("elpd").sum())

    @cached_property
    def se(self) -> float:
        """Standard error of `elpd` over the groups."""
        return standard_error(self.column("elpd"))

    @cached_property
    def p(self) -> float:
        """Effective number of parameters: by how much the fit flatters itself on its own data (nan for kfold)."""
        return float(self.column("p").sum()) if "p" in self.pointwise else math.nan

    @property
    def pareto_k(self) -> pd.Series:
        """Pareto k of each group."""
        return pd.Series(self.column("pareto_k"), self.pointwise.index, name="pareto_k")

    @cached_property
    def bad(self) -> int:
        """How many groups have a Pareto k that is too large."""
        if "pareto_k" not in self.pointwise:
            return 0
        return int(np.count_nonzero(self.column("pareto_k") > self.good_k))

    @property
    def table(self) -> pd.DataFrame:
        """A row each for elpd, p and -2 elpd: estimate and se."""
        rows = {"elpd": (self.elpd, self.se), "p": (self.p, math.nan), "deviance": (-2.0 * self.elpd, 2.0 * self.se)}
        return pd.DataFrame.from_dict(rows, orient="index", columns=["estimate", "se"])

    def __repr__(self) -> str:
        left_out = self.pointwise.index.name or "group"
        lines = [
            f"{NAMES[self.kind]}, {len(self.pointwise)} x {left_out}, {self.draws} draws",
            f"elpd {self.elpd:.2f} (se {self.se:.2f})"
            + (f", effective parameters {self.p:.2f}" if math.isfinite(self.p) else ""),
        ]
        if "pareto_k" in self.pointwise:
            worst = self.column("pareto_k").max()
            lines.append(f"Pareto k: largest {worst:.2f}; above {self.good_k:.2f} in {self.bad}")
        return "\n".join([*lines, *self.notes])
