"""Dense likelihoods of a random model, their maxima and curvature.

Gaussian outcomes: the normal density with covariance sigma^2 I + Z Z'. Others: Laplace's formula at the mode of the
standard normal numbers behind the effects, found by Newton's method in dense matrices.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize

from .generator import Case
from .terms import psd_root

LOG_2PI = np.log(2 * np.pi)
Values = dict[str, float]


class Dense:
    """One model.

    Parameters
    ----------
    case : Case
    reml : bool
        Whether coefficients are integrated too, under a flat prior.
    """

    def __init__(self, case: Case, reml: bool = False):
        self.case, self.reml = case, reml
        self.gaussian = case.family.word == "gaussian"
        self.theta = list(case.theta)
        self.coefficients = list(case.columns(case.truth))
        self.center = {} if case.family.word != "cox" else self.centers()
        self._last = np.empty(0)

    def centers(self) -> Values:
        """Means of the columns over groups, at neutral weights and the starts of shapes.

        Columns of effects that are not pooled, ``B[a]``, stay as they are.
        """
        p = dict(self.case.truth) | self.case.start
        return {n: float(c.mean()) for n, c in self.case.columns(p).items() if n != "Intercept" and "[" not in n}

    def design(self, p: Values) -> tuple[np.ndarray, np.ndarray]:
        """Columns of coefficients (centred for cox), and the matrix of effects."""
        columns = self.case.columns(p)
        return np.column_stack([c - self.center.get(n, 0.0) for n, c in columns.items()]), self.case.effects(p)

    # -- Gaussian outcomes --------------------------------------------------------------------------------------------

    def profiled(self, p: Values) -> tuple[float, np.ndarray, np.ndarray]:
        """Log-likelihood with the best coefficients, these, and their covariance."""
        x, z = self.design(p)
        y = self.case.groups["y"]
        cov = z @ z.T + p["sigma"] ** 2 * np.eye(len(y))
        factor = cho_factor(cov, lower=True)
        inner = np.linalg.inv(x.T @ cho_solve(factor, x))
        b = inner @ (x.T @ cho_solve(factor, y))
        r = y - x @ b
        value = -0.5 * (len(y) * LOG_2PI + 2 * np.log(np.diag(factor[0])).sum() + r @ cho_solve(factor, r))
        if self.reml:
            value += 0.5 * (x.shape[1] * LOG_2PI + np.linalg.slogdet(inner)[1])
        return value, b, inner

    def gaussian_loglik(self, p: Values) -> float:
        """Log-likelihood at given coefficients."""
        x, z = self.design(p)
        y = self.case.groups["y"]
        factor = cho_factor(z @ z.T + p["sigma"] ** 2 * np.eye(len(y)), lower=True)
        r = y - x @ np.array([p[n] for n in self.coefficients])
        return -0.5 * (len(y) * LOG_2PI + 2 * np.log(np.diag(factor[0])).sum() + r @ cho_solve(factor, r))

    # -- other outcomes -----------------------------------------------------------------------------------------------

    def mode(
        self,
        a: np.ndarray,
        fixed: np.ndarray,
        own: Values,
        prior: tuple[np.ndarray, np.ndarray] | None = None,
        start: np.ndarray | None = None,
    ) -> tuple[float, np.ndarray, np.ndarray]:
        """Maximum of log p(y | fixed + a x) - (x - m)'D(x - m) / 2 over x: value, x and the negative Hessian.

        `prior` are m and the diagonal of D; standard normal by default.
        """  # fmt: skip
        k = a.shape[1]
        m, d = prior if prior is not None else (np.zeros(k), np.ones(k))
        x = m.copy() if start is None or len(start) != k else start.copy()
        family, data = self.case.family, self.case.groups

        def at(x: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
            with np.errstate(all="ignore"):
                v, g, h = family.slopes(data, fixed + a @ x, own)
            value = v.sum() - 0.5 * d @ (x - m) ** 2
            return (value if np.isfinite(value) else -np.inf), g, h

        value, g, h = at(x)
        if not np.isfinite(value) and start is not None:
            return self.mode(a, fixed, own, prior)
        for _ in range(100):
            slope = a.T @ g - d * (x - m)
            hessian = a.T @ (-h[:, None] * a) + np.diag(d)
            try:
                step = cho_solve(cho_factor(hessian), slope)
            except (LinAlgError, ValueError):
                step = np.linalg.solve(a.T @ (np.maximum(-h, 1e-3)[:, None] * a) + np.diag(d), slope)
            size, gain = 1.0, float(slope @ step)
            while size > 1e-6:
                trial = at(x + size * step)
                if trial[0] >= value - 1e-11 * (1 + abs(value)):
                    break
                size *= 0.5
            else:
                break
            x, (value, g, h) = x + size * step, trial
            if size == 1.0 and gain < 1e-14:
                break
        return value, x, a.T @ (-h[:, None] * a) + np.diag(d)

    def laplace_loglik(self, p: Values) -> float:
        """Laplace's formula over the effects."""
        x, z = self.design(p)
        z = z if z.shape[1] <= len(z) else psd_root(z @ z.T)  # the same distribution in fewer numbers
        own = {n: p[n] for n in self.case.family.truth}
        fixed = x @ np.array([p[n] for n in self.coefficients])
        start = None if self.case.family.word == "student" else self._last
        value, at, hessian = self.mode(z, fixed, own, start=start)
        if not np.isfinite(value):
            return -np.inf
        self._last = at
        sign, log_det = np.linalg.slogdet(hessian)
        return value - 0.5 * log_det if sign > 0 else -np.inf

    # -- all of them --------------------------------------------------------------------------------------------------

    def loglik(self, p: Values) -> float:
        """Log-likelihood at all parameters (restricted: at theta)."""
        if not self.gaussian:
            return self.laplace_loglik(p)
        return self.profiled(p)[0] if self.reml else self.gaussian_loglik(p)

    @property
    def searched(self) -> list[str]:
        """Parameters of the search: coefficients are profiled out of a Gaussian likelihood."""
        return self.theta if self.gaussian else [*self.theta, *self.coefficients]

    def to_natural(self, u: np.ndarray) -> Values:
        """Parameters from coordinates without bounds."""
        kinds, own, out = self.case.theta, self.case.family.truth, {}
        for name, value in zip(self.searched, u, strict=True):
            if kinds.get(name) == "sd":
                out[name] = abs(value)
            elif kinds.get(name) == "cor":
                out[name] = float(np.tanh(value))
            elif kinds.get(name) == "rho":
                out[name] = float(1 / (1 + np.exp(-value)))
            elif name in own and not name.startswith(("cut", "baseline")):
                out[name] = float(np.exp(np.clip(value, -30, 30)))
            else:
                out[name] = float(value)
        return out

    def to_free(self, p: Values) -> np.ndarray:
        """Coordinates without bounds."""
        kinds, own, out = self.case.theta, self.case.family.truth, []
        for name in self.searched:
            v = p[name]
            if kinds.get(name) == "cor":
                v = np.arctanh(np.clip(v, -0.9999, 0.9999))
            elif kinds.get(name) == "rho":
                v = np.clip(v, 1e-4, 1 - 1e-4)
                v = np.log(v / (1 - v))
            elif name in own and not name.startswith(("cut", "baseline")):
                v = np.log(v)
            out.append(v)
        return np.array(out)

    def objective(self, u: np.ndarray) -> float:
        """Minus the log-likelihood at coordinates."""
        p = self.to_natural(u)
        try:
            with np.errstate(all="ignore"):
                value = self.profiled(p)[0] if self.gaussian else self.laplace_loglik(p)
        except (LinAlgError, ValueError):
            return 1e10
        return -value if np.isfinite(value) else 1e10

    def search(self, starts: list[np.ndarray], most: int = 120) -> tuple[float, Values]:
        """The highest maximum from some starts."""
        best = (-np.inf, {})
        for start in starts:
            self._last = np.empty(0)
            out = minimize(self.objective, start, method="BFGS", options={"maxiter": most, "gtol": 1e-4})
            if -out.fun > best[0]:
                best = (-float(out.fun), self.to_natural(out.x))
        return best

    def starts(self, at: Values, rng: np.random.Generator, count: int) -> list[np.ndarray]:
        """The estimate moved a little; neutral values; random weights and sds."""
        first = self.to_free(at)
        out = [first + 0.2 * rng.standard_normal(len(first))]
        for k in range(1, count):
            p = dict(at)
            for name, kind in self.case.theta.items():
                if kind in ("w", "aggregate"):
                    p[name] = 0.0 if k == 1 and kind == "w" else 1.5 * rng.standard_normal()
                elif kind == "sd":
                    p[name] = 0.5 if k == 1 else abs(rng.standard_normal())
                elif kind == "cor":
                    p[name] = 0.0 if k == 1 else rng.uniform(-0.8, 0.8)
                elif kind == "rho":
                    p[name] = 0.5 if k == 1 else rng.uniform(0.1, 0.9)
                elif name in ("sigma", "shape", "phi", "nu"):
                    p[name] = self.case.family.truth[name]
            out.append(self.to_free(p))
        return out

    # -- standard errors ----------------------------------------------------------------------------------------------

    def standard_errors(self, p: Values, free: list[str], scale: Values) -> Values:
        """Square roots of the diagonal of the inverse of minus the Hessian in `free`, natural scale.

        `scale` are rough standard errors, by which the steps are chosen.
        """
        names = [n for n in free if not (self.reml and n in self.coefficients)]

        def at(u: np.ndarray) -> float:
            return self.loglik(p | dict(zip(names, u, strict=True)))

        start = np.array([p[n] for n in names])
        steps = np.array([self._step(n, p[n], scale[n]) for n in names])
        alone = np.diag(curvature(at, start, 0.3 * steps))  # the sds given the others, which a ridge makes small
        steps = np.array(
            [self._step(n, p[n], 0.5 * max(-v, scale[n] ** -2.0) ** -0.5) for n, v in zip(names, alone, strict=True)]
        )
        hessian = curvature(at, start, steps)
        cov = np.linalg.inv(-hessian)
        out = dict(zip(names, np.sqrt(np.maximum(np.diag(cov), 0.0)), strict=True))
        if self.reml:
            out |= self._restricted(p, names, steps, cov)
        return out

    def _step(self, name: str, value: float, scale: float) -> float:
        step = 0.02 * scale if np.isfinite(scale) and scale > 0 else 1e-3
        kind = self.case.theta.get(name)
        if kind in ("sd", "own") and not name.startswith(("cut", "baseline")):
            step = min(step, 0.2 * value)
        if kind in ("cor", "rho"):
            step = min(step, 0.2 * (1 - abs(value)), 0.2 * abs(value) if kind == "rho" else 1.0)
        return max(step, 1e-7)

    def _restricted(self, p: Values, names: list[str], steps: np.ndarray, cov: np.ndarray) -> Values:
        """Of coefficients that are integrated: their variance given theta, and that of their means over theta."""
        inner = self.profiled(p)[2]
        slope = np.empty((len(self.coefficients), len(names)))
        for k, (n, h) in enumerate(zip(names, steps, strict=True)):
            slope[:, k] = (self.profiled(p | {n: p[n] + h})[1] - self.profiled(p | {n: p[n] - h})[1]) / (2 * h)
        total = inner + slope @ cov @ slope.T
        return dict(zip(self.coefficients, np.sqrt(np.diag(total)), strict=True))


def curvature(function: Callable[[np.ndarray], float], at: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Hessian by central differences of fourth order along axes, second order across."""
    n = len(at)
    out = np.empty((n, n))
    here = function(at)

    def moved(*pairs: tuple[int, float]) -> float:
        u = at.copy()
        for k, h in pairs:
            u[k] += h * steps[k]
        return function(u)

    for i in range(n):
        near, far = moved((i, 1)) + moved((i, -1)), moved((i, 2)) + moved((i, -2))
        out[i, i] = (16 * near - far - 30 * here) / (12 * steps[i] ** 2)
        for j in range(i):
            both = moved((i, 1), (j, 1)) - moved((i, 1), (j, -1)) - moved((i, -1), (j, 1)) + moved((i, -1), (j, -1))
            out[i, j] = out[j, i] = both / (4 * steps[i] * steps[j])
    return out


def inner_root(hessian: np.ndarray) -> np.ndarray:
    """L^-T of a positive definite matrix, so that L^-T z has its inverse as covariance."""
    lower = np.linalg.cholesky(hessian)
    return solve_triangular(lower, np.eye(len(lower)), lower=True).T
