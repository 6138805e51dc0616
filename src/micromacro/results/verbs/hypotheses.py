r"""Hypotheses about parameters: expressions in their names, tested by draws or by the delta method.

For an inequality the evidence ratio is the posterior odds P / (1 - P). For an equality g = 0 it is the Savage-Dickey
density ratio (Dickey 1971; Wagenmakers, Lodewyckx, Kuriyal and Grasman 2010), the posterior density of g at 0 over
its prior density there; above 1 it favours the equality. The prior density is exact, so it must be known: g linear in
parameters with normal priors, or in a single parameter with any proper prior. The posterior density is a kernel
estimate from the draws.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from ...errors import EngineError, FormulaError, ModelError
from ...model.specification import Specification
from ...posterior.intervals import normal_quantile, quantiles
from ...priors import Normal
from ..fitted import Fitted

Value = Callable[[Mapping[str, Any]], Any]
_NUMBER = re.compile(r"\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?")
_WORD = re.compile(r"[^\W\d][\w.]*")
_FUNCTIONS = {"exp": np.exp, "log": np.log, "sqrt": np.sqrt, "abs": np.abs}


# -- reading -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Statement:
    """A comparison of an expression with zero.

    Attributes
    ----------
    text : str
    difference : function
        From parameters by name to left side minus right side.
    sign : {"=", ">", "<"}
    names : tuple of str
        The parameters in it.
    """

    text: str
    difference: Value
    sign: str
    names: tuple[str, ...]


def read_statement(text: str, names: Sequence[str]) -> Statement:
    """Read ``"a - b > 0"``, ``"a = b"`` and the like; the names of parameters may hold dots, brackets and operators."""
    if not isinstance(text, str):
        raise FormulaError(f"a hypothesis is text such as 'a > 0', not {text!r}")
    reader = _Reader(text, names)
    left = reader.sum()
    sign = reader.sign()
    right = reader.sum()
    reader.end()
    if not reader.used:
        raise FormulaError("the hypothesis names no parameter", text, 0, len(text))
    return Statement(text, lambda v: left(v) - right(v), sign, tuple(dict.fromkeys(reader.used)))


class _Reader:
    """Recursive descent over sums and products; names are matched whole, the longest first."""

    def __init__(self, text: str, names: Sequence[str]):
        self.text, self.at = text, 0
        self.names = sorted(names, key=len, reverse=True)
        self.used: list[str] = []

    def error(self, message: str, stop: int | None = None) -> FormulaError:
        return FormulaError(message, self.text, self.at, stop or self.at + 1)

    def peek(self) -> str:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1
        return self.text[self.at : self.at + 1]

    def sign(self) -> str:
        mark = self.peek()
        if mark not in ("=", ">", "<") or not mark:
            raise self.error("a hypothesis compares two sides by =, > or <")
        self.at += 2 if self.text[self.at : self.at + 2] in ("==", ">=", "<=") else 1
        return mark

    def end(self) -> None:
        if self.peek():
            raise self.error("the hypothesis should end here")

    def sum(self) -> Value:
        out = self.product()
        while self.peek() in ("+", "-") and self.peek():
            out = self._joined(self.text[self.at], out, self.product)
        return out

    def product(self) -> Value:
        out = self.signed()
        while self.peek() in ("*", "/") and self.peek():
            out = self._joined(self.text[self.at], out, self.signed)
        return out

    def signed(self) -> Value:
        mark = self.peek()
        if mark not in ("-", "+") or not mark:
            return self.power()
        self.at += 1
        inner = self.signed()
        return (lambda v: -inner(v)) if mark == "-" else inner

    def power(self) -> Value:
        base = self.atom()
        self.peek()
        mark = next((m for m in ("**", "^") if self.text.startswith(m, self.at)), None)
        if mark is None:
            return base
        self.at += len(mark)
        start, known = self.at, len(self.used)
        exponent = self.signed()
        if len(self.used) > known:
            raise FormulaError("an exponent is a number", self.text, start, self.at)
        return lambda v: np.power(base(v), exponent(v))

    def _joined(self, op: str, left: Value, below: Callable[[], Value]) -> Value:
        self.at += 1
        right = below()
        if op == "+":
            return lambda v: left(v) + right(v)
        if op == "-":
            return lambda v: left(v) - right(v)
        return (lambda v: left(v) * right(v)) if op == "*" else (lambda v: left(v) / right(v))

    def atom(self) -> Value:
        mark = self.peek()
        name = self._name()
        if name is not None:
            self.used.append(name)
            return lambda v: v[name]
        if mark == "(":
            self.at += 1
            inner = self.sum()
            if self.peek() != ")":
                raise self.error("a closing bracket is missing here")
            self.at += 1
            return inner
        number = _NUMBER.match(self.text, self.at)
        if number:
            self.at = number.end()
            value = np.float64(number.group())  # which divides by zero without an error
            return lambda _: value
        return self._function()

    def _name(self) -> str | None:
        """The longest parameter name that begins here and does not go on."""
        quoted = self.text[self.at : self.at + 1] == "`"
        if quoted:
            stop = self.text.find("`", self.at + 1)
            name = self.text[self.at + 1 : stop]
            if stop < 0 or name not in self.names:
                raise self.error(f"there is no parameter {name!r}", None if stop < 0 else stop)
            self.at = stop + 1
            return name
        for name in self.names:
            stop = self.at + len(name)
            follows = self.text[stop : stop + 1]
            if self.text.startswith(name, self.at) and not (
                (follows.isalnum() or follows in ("_", ".", "[")) and follows
            ):
                self.at = stop
                return name
        return None

    def _function(self) -> Value:
        word = _WORD.match(self.text, self.at)
        if word is None:
            raise self.error("a parameter, a number or an opening bracket is expected here")
        name = word.group()
        if name in _FUNCTIONS and self.text[word.end() : word.end() + 1] == "(":
            self.at = word.end()
            inner = self.atom()
            return lambda v: _FUNCTIONS[name](inner(v))
        near = difflib.get_close_matches(name, self.names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        known = ", ".join(sorted(self.names))
        raise self.error(f"there is no parameter {name!r}{hint} (parameters: {known})", word.end())


# -- hypotheses ----------------------------------------------------------------------------------------------


def hypothesis(fit: Fitted, statements: str | Sequence[str], *, ci: float = 0.95) -> pd.DataFrame:
    """Test hypotheses about parameters, such as ``"B.w.prime > 0"`` or ``"a - b = 0"``.

    Parameters
    ----------
    statements : str or list of str
        Two sides in names of parameters, numbers, ``+ - * /``, ``^`` or ``**`` with a number, brackets and ``exp log
        sqrt abs``, compared by ``=``, ``>`` or ``<``. A name that could be read otherwise may stand in backquotes.
    ci : float
        Of the intervals, which are two-sided for one-sided hypotheses too.

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
    rows = [_by_draws(fit, s, ci) if fit.posterior.sampled else _by_delta(fit, s, ci) for s in read]
    return pd.DataFrame(rows, index=pd.Index(texts, name="hypothesis"))


def _by_draws(fit: Fitted, statement: Statement, ci: float) -> dict[str, Any]:
    flat = fit.posterior.draws.reshape(-1, len(fit.specification.names))
    values = dict(zip(fit.specification.names, flat.T, strict=True))
    g = evaluated(statement, values)
    lost = int(np.count_nonzero(~np.isfinite(g)))
    if lost:
        note = f"the difference of the sides is not finite in {lost} of {len(g)} draws"
        return dict.fromkeys(("mean", "sd", "lower", "upper", "probability", "evidence_ratio"), math.nan) | {
            "note": note
        }
    low, high = quantiles(g, ci)
    out = {"mean": g.mean(), "sd": g.std(ddof=1), "lower": low, "upper": high}
    if statement.sign == "=":
        ratio, note = savage_dickey(fit.specification, statement, g)
        return out | {"probability": math.nan, "evidence_ratio": ratio, "note": note}
    holds = float(np.mean(g > 0) if statement.sign == ">" else np.mean(g < 0))
    note = "" if 0.0 < holds < 1.0 else f"all {len(g)} draws agree: the odds are beyond what they can tell"
    return out | {"probability": holds, "evidence_ratio": holds / (1 - holds) if holds < 1 else math.inf, "note": note}


def evaluated(statement: Statement, values: Mapping[str, Any]) -> np.ndarray:
    """Left side minus right side, nan or infinite where there is none (the logarithm of a negative number)."""
    with np.errstate(all="ignore"):
        return np.asarray(statement.difference(values), dtype=float)


def savage_dickey(specification: Specification, statement: Statement, g: np.ndarray) -> tuple[float, str]:
    """Posterior over prior density of g at zero, or nan and the reason."""
    prior, why = prior_density(specification, statement)
    if why:
        return math.nan, why
    spread = g.std(ddof=1)
    if abs(g.mean()) > 4.0 * spread:
        return math.nan, "zero lies more than 4 posterior sds away, where draws cannot tell the posterior density"
    width = 1.06 * min(spread, float(np.subtract(*np.quantile(g, [0.75, 0.25]))) / 1.349) * len(g) ** -0.2
    posterior = float(np.mean(np.exp(-0.5 * (g / width) ** 2)) / (width * math.sqrt(2.0 * math.pi)))
    return posterior / prior, ""


def prior_density(specification: Specification, statement: Statement) -> tuple[float, str]:
    """Density of g at zero under the priors, or nan and why it is not known."""
    names = specification.names
    linear = linear_form(statement, names)
    if linear is None:
        return math.nan, "the prior density is known for linear expressions only"
    constant, slope = linear
    if "Intercept" in names and slope[names.index("Intercept")]:  # its prior is on its value at mean covariates
        slope = slope - slope[names.index("Intercept")] * specification.centers
    parts = [(p, c) for p, c in zip(specification.parameters, slope, strict=True) if c]
    fixed = [p.name for p, _ in parts if p.fixed]
    if fixed:
        return math.nan, f"{', '.join(fixed)} is fixed"
    flat = [p.name for p, _ in parts if not p.prior.proper]
    if flat:
        return math.nan, f"{', '.join(flat)} has a flat prior, so the equality has no prior density"
    if any(p.kind in ("cor", "cut") for p, _ in parts):
        return math.nan, "the marginal prior density of correlations and cuts is not known"
    if all(isinstance(p.prior, Normal) for p, _ in parts):
        mean = constant + sum(c * p.prior.mean for p, c in parts if isinstance(p.prior, Normal))
        sd = math.sqrt(sum((c * p.prior.sd) ** 2 for p, c in parts if isinstance(p.prior, Normal)))
        return math.exp(Normal(mean, sd).log_density(0.0)), ""
    if len(parts) > 1:
        return math.nan, "the prior density is known for normal priors, or for a single parameter"
    parameter, c = parts[0]
    at = -constant / c + 0.0  # no negative zero
    low, high = parameter.prior.support
    if not low < at < high:
        return math.nan, f"{at:g} is not inside the values that {parameter.name} can have ({low:g} to {high:g})"
    return math.exp(parameter.prior.log_density(at)) / abs(c), ""


def linear_form(statement: Statement, names: Sequence[str]) -> tuple[float, np.ndarray] | None:
    """Constant and slopes (parameters,) of g where it is linear, else None: told from values at fixed points."""
    rng = np.random.default_rng(0)
    points = rng.uniform(0.5, 1.5, (6, len(statement.names)))

    def g(row: np.ndarray) -> float:
        return float(statement.difference(dict(zip(statement.names, row, strict=True))))

    with np.errstate(all="ignore"):
        origin = points[0]
        slope = np.array([g(origin + e) - g(origin) for e in np.eye(len(origin))])
        constant = g(origin) - slope @ origin
        if not all(math.isclose(g(p), constant + slope @ p, rel_tol=1e-9, abs_tol=1e-9) for p in 3.0 * points[1:]):
            return None
    out = np.zeros(len(names))
    out[[names.index(n) for n in statement.names]] = slope
    return constant, out


def _by_delta(fit: Fitted, statement: Statement, ci: float) -> dict[str, Any]:
    value, covariance = delta(fit, [statement])
    if not np.isfinite(value[0] + covariance[0, 0]):
        note = "the difference of the sides (or its slope) is not finite at the estimates"
        return dict.fromkeys(("estimate", "se", "lower", "upper", "z", "p"), math.nan) | {"note": note}
    estimate, se = float(value[0]), math.sqrt(max(float(covariance[0, 0]), 0.0))
    half = normal_quantile(ci) * se
    z = estimate / se if se > 0 else math.nan
    p = {"=": 2.0 * special.ndtr(-abs(z)), ">": special.ndtr(-z), "<": special.ndtr(z)}[statement.sign]
    out = {"estimate": estimate, "se": se, "lower": estimate - half, "upper": estimate + half}
    return out | {"z": z, "p": float(p), "note": boundary_note(fit, statement)}


_ENDS = {"cor": (-1.0, 1.0), "rho": (0.0, 1.0)}


def boundary_note(fit: Fitted, statement: Statement) -> str:
    """That a statement puts a parameter on the boundary of what it can be, if it does."""
    estimates = dict(zip(fit.specification.names, fit.posterior.estimate, strict=True))
    for p in fit.specification.parameters:
        ends = (0.0,) if p.positive else _ENDS.get(p.kind, ())
        for end in ends if p.name in statement.names else ():
            if evaluated(statement, estimates | {p.name: np.float64(end)}) == 0.0:
                remedy = 'use lr_test, which knows the mixture, or its bootstrap (method="bootstrap")'
                if fit.posterior.sampled:
                    remedy = "compare with the model without it by loo() or log_evidence()"
                return f"at {end:g} {p.name} is on its boundary, where a Wald test does not hold: {remedy}"
    return ""


def delta(fit: Fitted, statements: Sequence[Statement]) -> tuple[np.ndarray, np.ndarray]:
    """Values of the left minus the right sides, and their covariance by the delta method."""
    posterior, names = fit.posterior, fit.specification.names
    at = posterior.estimate

    def g(values: np.ndarray) -> np.ndarray:
        named = dict(zip(names, values, strict=True))
        return np.array([float(evaluated(s, named)) for s in statements])

    involved = [names.index(n) for n in dict.fromkeys(n for s in statements for n in s.names)]
    lost = [names[k] for k in involved if not np.isfinite(posterior.sd[k])]
    optimum = posterior.outcome.optimum
    at_end = np.zeros(0, dtype=bool) if optimum is None else optimum.boundary
    ended = [p.name for p, there in zip(fit.specification.system.hypers, at_end, strict=False) if there]
    free = [name for name in lost if name not in ended]
    if free and optimum is not None:
        raise EngineError(
            f"the likelihood does not determine {', '.join(free)}, which has no standard error: give a prior, or leave "
            "it out"
        )
    if lost:
        raise EngineError(
            f"{', '.join(lost)} is on its boundary and has no standard error, so no Wald test: use lr_test, which "
            'knows the mixture, or its bootstrap (method="bootstrap")'
        )
    slope = np.zeros((len(statements), len(names)))
    for k in involved:
        h = 1e-6 * max(abs(at[k]), posterior.sd[k], 1e-6)
        step = np.zeros(len(names))
        step[k] = h
        slope[:, k] = (g(at + step) - g(at - step)) / (2.0 * h)
    return g(at), slope @ np.nan_to_num(posterior.covariance) @ slope.T


# -- Wald tests ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WaldTest:
    """A joint test of equalities by estimates and their covariance.

    Attributes
    ----------
    statistic : float
        g' (cov g)^-1 g.
    df : int
    p : float
        From chi-squared(df).
    statements : tuple of str
    note : str
    """

    statistic: float
    df: int
    p: float
    statements: tuple[str, ...]
    note: str = ""

    def __str__(self) -> str:
        text = f"Wald test of {', '.join(self.statements)}: {self.statistic:.2f}, df = {self.df}, p = {self.p:.3g}"
        return text + (f"\n{self.note}" if self.note else "")

    __repr__ = __str__


def wald_test(fit: Fitted, statements: str | Sequence[str]) -> WaldTest:
    """Test equalities jointly, such as ``["a = 0", "b = c"]``.

    Parameters
    ----------
    statements : str or list of str
        Equalities, written as for :meth:`hypothesis`; linear or not (delta method).

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
    value, covariance = delta(fit, read)
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
    notes = ["from posterior means and covariances"] if fit.posterior.sampled else []
    notes += [note for s in read if (note := boundary_note(fit, s))]
    p = float(special.chdtrc(len(read), statistic))
    return WaldTest(statistic, len(read), p, tuple(texts), "; ".join(notes))
