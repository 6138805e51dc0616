"""Coefficients of a Gaussian outcome at a maximum: robust covariances, and tests by t distributions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from scipy import special

from ..engines.base import Optimum
from ..engines.marginals import has_exact_marginal
from ..errors import EngineError
from ..numerics.differences import slopes
from .base import Maximised
from .intervals import check_level
from .smallsample import DegreesOfFreedom, degrees_of_freedom, sandwich
from .statements import Statement, evaluated


class OfCoefficients(Maximised):
    """What a maximum says of its coefficients in small samples and in clusters."""

    optimum: Optimum

    def _gaussian(self, what: str) -> None:
        """Refuse what is for Gaussian outcomes without priors."""
        if not has_exact_marginal(self.specification):
            family = self.specification.family
            rest = " whose likelihood is exact; here it is not" if family.conjugate else f", not {family.name}"
            raise EngineError(f"{what} of coefficients are for Gaussian outcomes{rest}")
        if self.optimum.penalised:
            raise EngineError(f"{what} are not defined for a penalised fit: leave the priors out")

    @property
    def _contrasts(self) -> np.ndarray:
        """Matrix (parameters, coefficients) from the coefficients in x to the parameters of the tables."""
        return self.specification.layout.collector[:, len(self.optimum.theta) :]

    @property
    def coefficients(self) -> np.ndarray:
        """Which parameters are coefficients in x (parameters,)."""
        return np.any(self._contrasts != 0.0, axis=1)

    def sandwich(self, clusters: np.ndarray, word: str, how: str) -> np.ndarray:
        """Cluster-robust covariance of the coefficients, theta held at the maximum."""
        self._gaussian("sandwich errors")
        rows = self._contrasts[self.coefficients]
        return rows @ sandwich(self.specification, self.optimum.theta, clusters, word, how) @ rows.T

    @cached_property
    def small_sample(self) -> DegreesOfFreedom:
        """Degrees of freedom of the coefficients, found when they are first asked for."""
        self._gaussian("degrees of freedom")
        q = len(self.optimum.theta)
        return degrees_of_freedom(self.specification, self.optimum.theta, self.optimum.covariance[:q, :q])

    def adjusted(self) -> np.ndarray:
        """Kenward and Roger's covariance of the coefficients; EngineError where weights are estimated with them."""
        made = self.small_sample.covariance
        if made is None:
            raise EngineError(
                "estimated parameters change the columns of the coefficients, for which Kenward and Roger's covariance "
                "is not known: hold the weights (fixed=), or use the covariance of the model"
            )
        rows = self._contrasts[self.coefficients]
        return rows @ made @ rows.T

    def small_sample_columns(self, ci: float) -> dict[str, np.ndarray]:
        """estimate, se, df, t, p, lower, upper, df_method; other parameters than coefficients have infinite df."""
        made, columns, here = self.small_sample, self.summary_columns(ci), self.coefficients
        rows = self._contrasts[here]
        df = np.full(len(here), np.inf)
        df[here] = made.df(rows)
        if made.covariance is not None:
            columns["se"] = columns["se"].copy()
            columns["se"][here] = np.sqrt(np.einsum("ki,ij,kj->k", rows, made.covariance, rows))
        t = np.where(here, columns["estimate"] / columns["se"], columns["z"])
        half = special.stdtrit(df, 0.5 + 0.5 * check_level(ci)) * columns["se"]
        return {
            "estimate": columns["estimate"], "se": columns["se"], "df": df, "t": t,
            "p": np.where(here, 2.0 * special.stdtr(df, -np.abs(t)), columns["p"]),
            "lower": np.where(here, columns["estimate"] - half, columns["lower"]),
            "upper": np.where(here, columns["estimate"] + half, columns["upper"]),
            "df_method": np.where(here, made.words, ""),
        }  # fmt: skip

    def small_sample_hypothesis(self, statement: Statement, ci: float) -> dict[str, Any]:
        """estimate, se, lower, upper; df, t, p (one-sided for an inequality), note."""
        made = self.small_sample
        contrast = self._of_coefficients([statement])
        out = self.hypothesis(statement, ci)
        if contrast is not None:
            if made.covariance is not None:
                out["se"] = float(np.sqrt(contrast @ made.covariance @ contrast.T)[0, 0])
            df = float(made.df(contrast)[0])
        else:
            df = math.inf
        t = out["estimate"] / out["se"] if out["se"] > 0 else math.nan
        p = {"=": 2.0 * special.stdtr(df, -abs(t)), ">": special.stdtr(df, -t), "<": special.stdtr(df, t)}
        half = float(special.stdtrit(df, 0.5 + 0.5 * check_level(ci))) * out["se"]
        numbers = {"estimate": out["estimate"], "se": out["se"], "lower": out["estimate"] - half}
        numbers |= {"upper": out["estimate"] + half, "df": df, "t": t, "p": float(p[statement.sign])}
        return numbers | {"note": out["note"]}

    def _of_coefficients(self, statements: Sequence[Statement]) -> np.ndarray | None:
        """Slopes (statements, coefficients) of the differences of sides; None where other parameters are in them."""
        names = self.specification.names
        involved = [names.index(n) for s in statements for n in s.names]
        if not np.all(self.coefficients[involved]):
            return None

        def sides(values: np.ndarray) -> np.ndarray:
            named = dict(zip(names, values, strict=True))
            return np.array([float(evaluated(s, named)) for s in statements])

        steps = 1e-6 * np.maximum(np.maximum(np.abs(self.estimate), np.nan_to_num(self.sd)), 1e-6)
        return slopes(sides, self.estimate, steps, involved) @ self._contrasts

    def f_test(self, statements: Sequence[Statement]) -> tuple[float, float]:
        """F of equalities of coefficients, and its denominator's degrees of freedom."""
        made, contrasts = self.small_sample, self._of_coefficients(statements)
        if contrasts is None:
            raise EngineError("an F test is of coefficients only: leave df= out where other parameters are in it")
        value, covariance = self.delta_of_statements(statements)
        if made.covariance is not None:
            covariance = contrasts @ made.covariance @ contrasts.T
        factor, df = made.joint(contrasts)
        return float(factor * value @ np.linalg.solve(covariance, value) / len(value)), df
