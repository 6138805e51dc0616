"""Hypotheses about parameters, tested by draws or by the delta method.

For an inequality the evidence ratio is the posterior odds P / (1 - P), for an equality the Savage-Dickey density ratio
(:mod:`micromacro.posterior.hypotheses`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from ...errors import FormulaError, ModelError
from ...posterior.statements import read_statement
from ..fitted import Fitted
from ..tables.summary import NO_DF


def hypothesis(fit: Fitted, statements: str | Sequence[str], *, ci: float = 0.95, df: bool = False) -> pd.DataFrame:
    """Test hypotheses about parameters, such as ``"B.w.prime > 0"`` or ``"a - b = 0"``.

    Parameters
    ----------
    statements : str or list of str
        Two sides in names of parameters, numbers, ``+ - * /``, ``^`` or ``**`` with a number, brackets and ``exp log
        sqrt abs``, compared by ``=``, ``>`` or ``<``. Put a name that could be read in another way into backquotes.
    ci : float
        Of the intervals, which are two-sided for one-sided hypotheses too.
    df : bool
        Whether statements about coefficients are tested by a t distribution, as in :meth:`summary`; t and df then take
        the place of z.

    Returns
    -------
    DataFrame
        Indexed by hypothesis. Of the left side minus the right: with draws mean, sd, lower, upper, ``probability`` that
        the hypothesis holds (nan for an equality), ``evidence_ratio`` (posterior odds; for an equality the
        Savage-Dickey density ratio) and ``note``, which says why a ratio is missing; for ml and reml estimate, se
        (delta method), lower, upper, z, p (one-sided for an inequality: small p speaks for it) and ``note``, which says
        where a Wald test does not hold. Where the difference of the sides is not finite there are no numbers.

    Raises
    ------
    FormulaError
        With the place marked.
    """
    texts = [statements] if isinstance(statements, str) else list(statements)
    read = [read_statement(text, fit.specification.names) for text in texts]
    if df:
        best = fit.posterior.maximised(NO_DF)
        rows = [best.small_sample_hypothesis(statement, ci) for statement in read]
    else:
        rows = [fit.posterior.hypothesis(statement, ci) for statement in read]
    return pd.DataFrame(rows, index=pd.Index(texts, name="hypothesis"))


# -- Wald tests ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WaldTest:
    """A joint test of equalities by estimates and their covariance.

    Attributes
    ----------
    statistic : float
        g' (cov g)^-1 g; with `df_residual` an F.
    df : int
    p : float
        From chi-squared(df), or from F(df, df_residual).
    statements : tuple of str
    note : str
    df_residual : float
        Degrees of freedom of the denominator; infinite for chi-squared.
    """

    statistic: float
    df: int
    p: float
    statements: tuple[str, ...]
    note: str = ""
    df_residual: float = math.inf

    def __str__(self) -> str:
        df = f"{self.df}" if math.isinf(self.df_residual) else f"({self.df}, {self.df_residual:.4g})"
        kind = "Wald" if math.isinf(self.df_residual) else "F"
        text = f"{kind} test of {', '.join(self.statements)}: {self.statistic:.2f}, df = {df}, p = {self.p:.3g}"
        return text + (f"\n{self.note}" if self.note else "")

    __repr__ = __str__


def wald_test(fit: Fitted, statements: str | Sequence[str], *, df: bool = False) -> WaldTest:
    """Test equalities jointly, such as ``["a = 0", "b = c"]``.

    Parameters
    ----------
    statements : str or list of str
        Equalities, written as for :meth:`hypothesis`; linear or not (delta method).
    df : bool
        Whether equalities of coefficients are tested by an F distribution, with degrees of freedom as in
        :meth:`summary`.

    Returns
    -------
    WaldTest
        With draws, from posterior means and covariances.

    Raises
    ------
    FormulaError, ModelError, EngineError
        For inequalities, equalities that follow from others or are not finite, parameters on a boundary.
    """
    texts = [statements] if isinstance(statements, str) else list(statements)
    read = [read_statement(text, fit.specification.names) for text in texts]
    for s in read:
        if s.sign != "=":
            raise FormulaError(
                "wald_test is for equalities; hypothesis() takes inequalities too", s.text, 0, len(s.text)
            )
    value, covariance = fit.posterior.delta_of_statements(read)
    for s, one, variance in zip(read, value, np.diag(covariance), strict=True):
        if not np.isfinite(one + variance):
            raise ModelError(f"{s.text!r}: the difference of the sides (or its slope) is not finite at the estimates")
    scale = np.sqrt(np.diag(covariance))
    standard = covariance / np.outer(scale, scale) if np.all(scale > 0) else np.zeros_like(covariance)
    if not len(read) or np.linalg.matrix_rank(standard, tol=1e-8) < len(read):
        raise ModelError(
            f"the equalities {', '.join(texts)} are not independent: leave out those that follow from others"
        )
    statistic = float((value / scale) @ np.linalg.solve(standard, value / scale))
    notes = [fit.posterior.wald_note, *(fit.posterior.boundary_note(s) for s in read)]
    if df:
        statistic, rest = fit.posterior.maximised(NO_DF).f_test(read)
        p = float(special.fdtrc(len(read), rest, statistic))
        return WaldTest(statistic, len(read), p, tuple(texts), "; ".join(filter(None, notes)), rest)
    p = float(special.chdtrc(len(read), statistic))
    return WaldTest(statistic, len(read), p, tuple(texts), "; ".join(filter(None, notes)))
