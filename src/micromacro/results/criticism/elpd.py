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

from ...errors import EngineError
from ...posterior.leaveout.scores import standard_error
from ..outcomes import Outcomes

EFFECTIVE = ("p_loo", "p_waic")
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
        Indexed by what was left out (groups, members or units): ``elpd``; ``p_loo`` or ``p_waic``, its effective number
        of parameters (not of kfold); ``pareto_k``, the shape of the tail of its importance weights (loo).
    draws : int
        Draws that were used.
    good_k : float
        Largest Pareto k at which so many draws are enough (Vehtari et al. 2024).
    outcomes : Outcomes, optional
        Of which rows and which outcomes: what must agree for a comparison.
    by : str
        What each row of `pointwise` left out: ``group``, or a member block or unit term.
    together : str, optional
        Whose groups were left out together, where that is not what the rows of `pointwise` are (kfold).
    notes : tuple of str
    """

    kind: str
    pointwise: pd.DataFrame
    draws: int
    good_k: float = float("nan")
    outcomes: Outcomes | None = None
    by: str = "group"
    together: str | None = None
    notes: tuple[str, ...] = field(default=())

    def column(self, name: str) -> np.ndarray:
        """A column of `pointwise` as an array.

        Parameters
        ----------
        name : {"elpd", "p", "pareto_k"}

        Returns
        -------
        (n,) float array
        """
        return np.asarray(self.pointwise[name], dtype=float)

    @cached_property
    def elpd(self) -> float:
        """Sum of the pointwise values."""
        return float(self.column("elpd").sum())

    @cached_property
    def se(self) -> float:
        """Standard error of `elpd` over the groups."""
        return standard_error(self.column("elpd"))

    @property
    def effective(self) -> str | None:
        """What the effective number of parameters is called here: ``p_loo`` or ``p_waic``; None for kfold."""
        return next((name for name in EFFECTIVE if name in self.pointwise), None)

    @property
    def p_loo(self) -> float:
        """Effective number of parameters: by how much the fit flatters itself on its own data (loo)."""
        return self._effective("p_loo")

    @property
    def p_waic(self) -> float:
        """Effective number of parameters: the variance of the log-likelihoods over the posterior (waic)."""
        return self._effective("p_waic")

    def _effective(self, name: str) -> float:
        if name != self.effective:
            has = f"it has {self.effective}" if self.effective else "it has no effective number of parameters"
            raise EngineError(f"{NAMES[self.kind]} has no {name}: {has}")
        return float(self.column(name).sum())

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
        """A row each for elpd, -2 elpd and the effective number of parameters: estimate and se."""
        rows = {"elpd": (self.elpd, self.se), "deviance": (-2.0 * self.elpd, 2.0 * self.se)}
        if self.effective:
            rows[self.effective] = (self._effective(self.effective), math.nan)
        return pd.DataFrame.from_dict(rows, orient="index", columns=["estimate", "se"])

    def __repr__(self) -> str:
        left_out = self.pointwise.index.name or "group"
        lines = [
            f"{NAMES[self.kind]}, {len(self.pointwise)} x {left_out}, {self.draws} draws",
            f"elpd {self.elpd:.2f} (se {self.se:.2f})"
            + (f", {self.effective} {self._effective(self.effective):.2f}" if self.effective else ""),
        ]
        if "pareto_k" in self.pointwise:
            worst = self.column("pareto_k").max()
            lines.append(f"Pareto k: largest {worst:.2f}; above {self.good_k:.2f} in {self.bad}")
        return "\n".join([*lines, *self.notes])
