"""Reference posteriors by importance sampling, the importance weights judged by their own effective size.

Parameters phi (all but the coefficients, on scales without bounds) are drawn from a mixture of t's that is fitted to
what was seen so far. Coefficients and effects are normal given phi for a Gaussian outcome. For others they are drawn
in pairs around the mode of their conditional density, each pair with its own weights, so that nothing is left of
Laplace's approximation. Priors are read as the package states them, and their densities written here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.optimize import minimize

import micromacro as mm

from .dense import LOG_2PI, Dense, curvature, inner_root
from .generator import MANY_EFFECTS, Case
from .terms import psd_root

ROUNDS, PILOT, PAIRS = 3, 350, 6
DRAWS = (1600, 3200, 6400)  # more where the effective size is too small
LEAST_EFFECTIVE, WORST_K = 300, 0.7
DF = 5.0


def log_prior(text: str) -> Callable[[float], float]:
    """Log density of a prior by its text, as in ``half_student(3, 0, 2.5)``."""
    word, arguments = re.fullmatch(r"(\w+)\((.*)\)", text).groups()  # type: ignore[union-attr]
    a = [float(v) for v in arguments.split(",")] if arguments else []
    if word == "normal":
        return lambda x: -0.5 * ((x - a[0]) / a[1]) ** 2 - np.log(a[1]) - 0.5 * LOG_2PI
    if word == "exponential":
        return lambda x: np.log(a[0]) - a[0] * x
    if word == "gamma":
        return lambda x: a[0] * np.log(a[1]) - special.gammaln(a[0]) + (a[0] - 1.0) * np.log(x) - a[1] * x
    if word == "uniform":
        return lambda x: -np.log(a[1] - a[0]) if a[0] <= x <= a[1] else -np.inf
    if word in ("student", "half_student"):
        constant = (
            special.gammaln((a[0] + 1) / 2) - special.gammaln(a[0] / 2) - 0.5 * np.log(a[0] * np.pi) - np.log(a[2])
        )
        constant += np.log(2.0) if word == "half_student" else 0.0
        return lambda x: constant - (a[0] + 1) / 2 * np.log1p(((x - a[1]) / a[2]) ** 2 / a[0])
    if word == "log_gamma":  # of a logarithm whose exponential is gamma
        return lambda x: a[0] * (np.log(a[1]) + x) - a[1] * np.exp(x) - special.gammaln(a[0])
    if word == "lkj":  # of one correlation
        return lambda x: (a[0] - 1.0) * np.log1p(-x * x) if a[0] != 1.0 else 0.0
    raise ValueError(f"the density of {text} is not written here")


@dataclass(frozen=True)
class Reference:
    """Weighted draws of all parameters: values by name (draws,), weights, the number of each draw's phi."""

    values: dict[str, np.ndarray]
    weight: np.ndarray
    owner: np.ndarray
    effective: float
    k: float

    @property
    def good(self) -> bool:
        """Whether it is worth comparing with."""
        return self.effective >= LEAST_EFFECTIVE and self.k < WORST_K

    @property
    def sd(self) -> dict[str, float]:
        """Posterior standard deviations."""
        w = self.weight
        return {n: float(np.sqrt(w @ (v - w @ v) ** 2)) for n, v in self.values.items()}

    def of(self, name: str, column: str, blocks: int = 20) -> tuple[float, float]:
        """Mean or end of the 95% interval, and its Monte Carlo error by a jackknife over blocks of phi."""
        v, w = self.values[name], self.weight
        block = self.owner % blocks
        each = [self._statistic(v[block != b], w[block != b], column) for b in range(blocks)]
        return self._statistic(v, w, column), float(
            np.sqrt((blocks - 1) / blocks * np.sum((each - np.mean(each)) ** 2))
        )

    @staticmethod
    def _statistic(v: np.ndarray, w: np.ndarray, column: str) -> float:
        if column == "mean":
            return float(w @ v / w.sum())
        order = np.argsort(v)
        below = np.cumsum(w[order]) / w.sum()
        return float(np.interp(0.025 if column == "lower" else 0.975, below - 0.5 * w[order] / w.sum(), v[order]))


class Posterior:
    """The posterior of a case under the priors that a fit states."""

    def __init__(self, case: Case, fit: mm.Fit):
        self.case, self.dense = case, Dense(case)
        prior = fit.model.parameters["prior"].astype(str)
        self.names = self.dense.theta
        self.priors = {n: log_prior(prior[n]) for n in self.names}
        centered = case.family.intercept or case.family.word == "cox"  # cuts are those at zero covariates
        centers = self.dense.centers() if centered else {}
        self.center = np.array([centers.get(n, 0.0) for n in self.dense.coefficients])
        normal = [re.fullmatch(r"normal\((.*), (.*)\)", prior[n]).groups() for n in self.dense.coefficients]  # type: ignore[union-attr]
        self.b_mean, self.b_sd = (np.array([float(v[k]) for v in normal]) for k in (0, 1))
        self.sd_scale = {n: max(case.truth[n], 0.3) for n in self.names if case.theta[n] == "sd"}
        self.rng = np.random.default_rng([16, case.seed])
        self.last = None

    # -- coordinates --------------------------------------------------------------------------------------------------

    def natural(self, u: np.ndarray) -> tuple[dict[str, float], float]:
        """Parameters from coordinates (an sd is |s sinh u|), and the log of the Jacobian."""
        out, log_slope = {}, 0.0
        for name, value in zip(self.names, u, strict=True):
            kind = self.case.theta[name]
            if kind == "sd":
                out[name] = abs(self.sd_scale[name] * np.sinh(value))
                log_slope += np.log(self.sd_scale[name] * np.cosh(value))
            elif kind == "cor":
                out[name] = float(np.tanh(value))
                log_slope += 2.0 * (np.log(2.0) - np.logaddexp(value, -value))
            elif kind == "rho":
                out[name] = float(special.expit(value))
                log_slope += -np.logaddexp(0, -value) - np.logaddexp(0, value)
            elif kind == "own" and not name.startswith(("cut", "baseline")):
                out[name] = float(np.exp(value))
                log_slope += value
            else:
                out[name] = float(value)
        return out, log_slope

    # -- the density of phi, and draws given phi ----------------------------------------------------------------------

    def parts(self, p: dict[str, float]) -> tuple[np.ndarray, int]:
        """The matrix of (effects, coefficients), columns centred, and the number of effects."""
        columns, z = self.case.columns(p), self.case.effects(p)
        z = z if z.shape[1] <= len(z) else psd_root(z @ z.T)
        x = np.column_stack([c - m for c, m in zip(columns.values(), self.center, strict=True)])
        return np.hstack([z, x]), z.shape[1]

    def at(self, u: np.ndarray, pairs: int) -> tuple[float, np.ndarray, np.ndarray]:
        """Log density of phi up to the weights of the draws: value, log weights (k,), coefficients (k, c).

        Without pairs by Laplace's formula alone.
        """
        p, log_slope = self.natural(u)
        base = log_slope + sum(float(self.priors[n](p[n])) for n in self.names)
        none = -np.inf, np.zeros(1), np.zeros((1, len(self.center)))
        if not np.isfinite(base):
            return none
        a, k = self.parts(p)
        m = np.concatenate([np.zeros(k), self.b_mean])
        d = np.concatenate([np.ones(k), self.b_sd**-2.0])
        try:
            if self.dense.gaussian:
                return self._exact(p, a, m, d, k, base, pairs)
            return self._approximate(p, a, m, d, k, base, pairs)
        except (LinAlgError, ValueError):
            return none

    def _exact(self, p, a, m, d, k, base, pairs):
        y, v = self.case.groups["y"], p["sigma"] ** 2
        hessian = a.T @ a / v + np.diag(d)
        factor = cho_factor(hessian, lower=True)
        x = m + cho_solve(factor, a.T @ (y - a @ m) / v)
        r = y - a @ x
        value = -0.5 * (r @ r / v + d @ (x - m) ** 2 + len(y) * (LOG_2PI + np.log(v)) - np.log(d).sum())
        value -= np.log(np.diag(factor[0])).sum()
        z = self.rng.standard_normal((len(x), max(pairs, 1)))
        return base + value, np.zeros(z.shape[1]), (x[:, None] + inner_root(hessian) @ z)[k:].T

    def _approximate(self, p, a, m, d, k, base, pairs):
        own = {n: p[n] for n in self.case.family.truth}
        nothing = np.zeros(len(a))
        value, x, hessian = self.dense.mode(a, nothing, own, (m, d), self.last)
        self.last = None if self.case.family.word == "student" else x
        root = inner_root(hessian)
        top = base + value + 0.5 * np.log(d).sum() + np.log(np.diag(root)).sum()
        if not pairs:
            return top, np.zeros(1), x[None, k:]
        half = self.rng.standard_normal((len(x), pairs))
        z = np.hstack([half, -half])
        draws = x[:, None] + root @ z
        with np.errstate(all="ignore"):
            eta = (a @ draws).T
            rows = self.case.family.log_density(self.case.groups, eta, own).sum(axis=1)
        logs = rows - 0.5 * d @ (draws - m[:, None]) ** 2 - value + 0.5 * (z**2).sum(axis=0)
        return top, np.where(np.isfinite(logs), logs, -np.inf), draws[k:].T

    # -- the proposal -------------------------------------------------------------------------------------------------

    def begin(self) -> list[tuple[float, np.ndarray, np.ndarray]]:
        """A t at the mode and a wider one, from Laplace's formula."""
        truth = self.case.truth
        start = np.array([self._coordinate(n, truth[n]) for n in self.names])
        out = minimize(
            lambda u: -max(self.at(u, 0)[0], -1e8), start, method="BFGS", options={"maxiter": 40, "gtol": 1e-2}
        )
        values, vectors = np.linalg.eigh(
            -curvature(lambda u: max(self.at(u, 0)[0], -1e8), out.x, np.full(len(start), 0.05))
        )
        scale = vectors / np.sqrt(np.maximum(values, 0.2))
        return [(0.5, out.x, scale), (0.5, out.x, 2.0 * scale)]

    def _coordinate(self, name: str, value: float) -> float:
        kind = self.case.theta[name]
        if kind == "sd":
            return float(np.arcsinh(max(value, 0.1) / self.sd_scale[name]))
        if kind == "cor":
            return float(np.arctanh(value))
        if kind == "rho":
            return float(special.logit(value))
        own = kind == "own" and not name.startswith(("cut", "baseline"))
        return float(np.log(value)) if own else float(value)

    def log_proposal(self, mixture: list, u: np.ndarray) -> np.ndarray:
        """Log density of the mixture, folded at zero of each sd."""
        q = u.shape[1]
        signs = np.array([[1.0]])
        for name in self.names:
            flip = (1.0, -1.0) if self.case.theta[name] == "sd" else (1.0,)
            signs = np.array([[*row, s] for row in signs for s in flip])
        terms = []
        for share, mean, scale in mixture:
            inverse = np.linalg.inv(scale)
            for sign in signs[:, 1:]:
                e = (u * sign - mean) @ inverse.T
                terms.append(
                    np.log(share) - 0.5 * (DF + q) * np.log1p((e * e).sum(axis=1) / DF) + np.linalg.slogdet(inverse)[1]
                )
        constant = special.gammaln((DF + q) / 2) - special.gammaln(DF / 2) - 0.5 * q * np.log(DF * np.pi)
        return special.logsumexp(terms, axis=0) + constant

    def draw(self, mixture: list, count: int) -> np.ndarray:
        """Draws of phi, sds' coordinates not negative."""
        q = len(self.names)
        picked = self.rng.choice(len(mixture), count, p=[m[0] for m in mixture])
        z = self.rng.standard_normal((count, q)) / np.sqrt(self.rng.chisquare(DF, count) / DF)[:, None]
        u = np.array([mixture[k][1] + mixture[k][2] @ e for k, e in zip(picked, z, strict=True)])
        positive = [self.case.theta[n] == "sd" for n in self.names]
        u[:, positive] = np.abs(u[:, positive])
        return u

    def fitted(self, u: np.ndarray, logs: np.ndarray, first: list) -> list:
        """A mixture for what was seen: a t at its mean, a wider one, and the first one."""
        w = np.exp(logs - logs.max())
        w /= w.sum()
        w = np.minimum(w, 10.0 / len(w))
        w /= w.sum()
        mean = w @ u
        cov = (w[:, None] * (u - mean)).T @ (u - mean) + 1e-6 * np.eye(u.shape[1])
        scale = np.linalg.cholesky(cov)
        return [(0.6, mean, scale), (0.2, mean, 2.0 * scale), (0.2, first[1][1], first[1][2])]

    def sample(self) -> Reference:
        """Rounds of pilots, then the draws that count."""
        first = self.begin()
        mixture, seen = first, []
        for _ in range(ROUNDS):
            u = self.draw(mixture, PILOT)
            logs = np.array([self.at(row, 0)[0] for row in u]) - self.log_proposal(mixture, u)
            seen.append((u, logs))
            mixture = self.fitted(np.vstack([s[0] for s in seen]), np.concatenate([s[1] for s in seen]), first)
        dear = self.case.effects(self.case.truth).shape[1] > MANY_EFFECTS
        for count in DRAWS[:1] if dear else DRAWS:
            u = self.draw(mixture, count)
            made = [self.at(row, PAIRS) for row in u]
            base = np.array([m[0] for m in made]) - self.log_proposal(mixture, u)
            found = self._packed(u, base, made)
            if found.good:
                break
            means = np.array([special.logsumexp(m[1]) - np.log(len(m[1])) for m in made])
            mixture = self.fitted(u, base + means, first)
        return found

    def _packed(self, u: np.ndarray, base: np.ndarray, made: list) -> Reference:
        owner = np.concatenate([np.full(len(m[1]), i) for i, m in enumerate(made)])
        logs = np.concatenate([b + m[1] - np.log(len(m[1])) for b, m in zip(base, made, strict=True)])
        weight = np.exp(logs - logs.max())
        weight /= weight.sum()
        of_phi = np.bincount(owner, weight, len(u))
        natural = [self.natural(row)[0] for row in u]
        values = {n: np.array([p[n] for p in natural])[owner] for n in self.names}
        b = np.vstack([m[2] for m in made])
        if self.case.family.intercept:
            b[:, 0] -= b[:, 1:] @ self.center[1:]
        values |= {n: b[:, k] for k, n in enumerate(self.dense.coefficients)}
        return Reference(values, weight, owner, float(1.0 / (of_phi @ of_phi)), tail_index(of_phi))


def tail_index(weight: np.ndarray) -> float:
    """Pareto k of the largest weights (Hill's estimator of the upper fifth's logarithms, bounded below by 0)."""
    top = np.sort(weight)[::-1]
    m = int(min(0.2 * len(top), 3 * np.sqrt(len(top))))
    return float(np.mean(np.log(top[:m])) - np.log(top[m] + 1e-300))


def reference(case: Case, fit: mm.Fit) -> Reference:
    """The reference posterior of a case."""
    return Posterior(case, fit).sample()
