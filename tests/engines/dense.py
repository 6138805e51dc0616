"""The oracle: a model written out with dense matrices, straight from the formulas, sharing no code with the package.

y = X(b) beta + W(b) u + Z v + e, X(b) = [1, x, W(b)-weighted z],
u ~ N(0, sd_u^2), v ~ N(0, sd_v^2), e ~ N(0, sigma^2).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

FORMULA = "y ~ x + mm(member, group, z, weights = 1 / n ** exp(-(b1 * s)), normalize = {rule}) + (1 | unit)"
NAMES = ("Intercept", "x", "member.z", "member.w.b1", "member.sd", "unit.sd", "sigma")
START = np.array([0.5, 0.0, 0.3, 0.3, 1.0, 0.5, 0.6])


def make_data(seed=1, groups=80, members=24, units=8, sd=1.2, unit_sd=0.5, sigma=0.5, b1=1.5, rule="group"):
    """A small long table whose members recur, with an outcome from the model."""
    rng = np.random.default_rng(seed)
    rows = []
    for g in range(groups):
        chosen = rng.choice(members, size=rng.integers(2, 6), replace=False)
        rows += [(g, m) for m in chosen]
    data = pd.DataFrame(rows, columns=["group", "member"])
    data["s"] = rng.standard_normal(len(data))
    data["z"] = rng.standard_normal(members)[data["member"]]
    x, unit = rng.standard_normal(groups), rng.integers(0, units, groups)
    data["x"], data["unit"] = x[data["group"]], unit[data["group"]]
    dense = Dense(data.assign(y=0.0), rule)
    W, X, Z = dense.parts(b1)
    y = X @ [0.5, 0.4, -0.6] + W @ (sd * rng.standard_normal(members)) + sigma * rng.standard_normal(groups)
    y += Z @ (unit_sd * rng.standard_normal(units))
    data["y"] = y[data["group"]]
    data["group"], data["member"], data["unit"] = data["group"] + 1, data["member"] + 100, data["unit"] + 10
    return data.sample(frac=1.0, random_state=seed).reset_index(drop=True)


class Dense:
    """The model on a long table with columns group, member, unit, x, z, s, y."""

    def __init__(self, data, rule="group"):
        self.rule = rule
        data = data.sort_values(["group", "member"], ignore_index=True)
        self.groups, self.g = np.unique(data["group"], return_inverse=True)
        self.members, self.m = np.unique(data["member"], return_inverse=True)
        first = data.groupby("group").first()
        self.units, unit = np.unique(first["unit"], return_inverse=True)
        self.Z = np.eye(len(self.units))[unit]
        self.s, self.z = data["s"].to_numpy(), data["z"].to_numpy()
        self.x, self.y = first["x"].to_numpy(), first["y"].to_numpy()
        self.n = np.bincount(self.g)[self.g]

    def weights(self, b1):
        """Weights of the memberships, sorted by group and member."""
        with np.errstate(over="ignore"):  # a weight that vanishes
            raw = 1.0 / self.n ** np.exp(-(b1 * self.s))
        if self.rule == "group":
            return raw / np.bincount(self.g, raw)[self.g]
        return raw * len(self.groups) / raw.sum() if self.rule == "total" else raw

    def parts(self, b1):
        """W (N, J), X (N, 3), Z (N, C)."""
        w = self.weights(b1)
        W = np.zeros((len(self.groups), len(self.members)))
        np.add.at(W, (self.g, self.m), w)
        z = np.bincount(self.g, w * self.z)
        return W, np.column_stack([np.ones(len(z)), self.x, z]), self.Z

    def marginal(self, theta, reml=False):
        """Log-likelihood profiled over beta (restricted: integrated), beta, and its covariance given theta."""
        b1, sd, unit_sd, sigma = theta
        W, X, Z = self.parts(b1)
        V = sd**2 * W @ W.T + unit_sd**2 * Z @ Z.T + sigma**2 * np.eye(len(W))
        c = cho_factor(V)
        cov = np.linalg.inv(X.T @ cho_solve(c, X))
        beta = cov @ X.T @ cho_solve(c, self.y)
        r = self.y - X @ beta
        n, p = X.shape
        value = -0.5 * (r @ cho_solve(c, r) + 2 * np.log(np.diag(c[0])).sum() + n * np.log(2 * np.pi))
        if reml:
            value += 0.5 * (np.linalg.slogdet(cov)[1] + p * np.log(2 * np.pi))
        return value, beta, cov

    def loglik(self, parameters):
        """Log-likelihood at all parameters, in the order of NAMES."""
        beta, (b1, sd, unit_sd, sigma) = np.asarray(parameters[:3]), parameters[3:]
        W, X, Z = self.parts(b1)
        V = sd**2 * W @ W.T + unit_sd**2 * Z @ Z.T + sigma**2 * np.eye(len(W))
        c = cho_factor(V)
        r = self.y - X @ beta
        return -0.5 * (r @ cho_solve(c, r) + 2 * np.log(np.diag(c[0])).sum() + len(r) * np.log(2 * np.pi))

    def maximise(self, reml=False, held=None, start=(0.3, 1.0, 0.5, 0.6)):
        """Maximum over theta (entries of `held`, a dict from place to value, stay): theta, value, beta."""
        held = held or {}
        free = [k for k in range(4) if k not in held]

        def full(u):
            theta = np.array(start, dtype=float)
            theta[free] = u
            for k, v in held.items():
                theta[k] = v
            theta[3] = np.exp(theta[3]) if 3 in free else theta[3]
            return theta

        u = np.array(start, dtype=float)
        u[3] = np.log(u[3])
        out = None
        for _ in range(2):
            out = minimize(
                lambda v: -self.marginal(full(v), reml)[0],
                u[free] if out is None else out.x,
                method="BFGS",
                options={"gtol": 1e-6},
            )
        theta = full(out.x)
        theta[1:3] = np.abs(theta[1:3])
        value, beta, _ = self.marginal(theta, reml)
        return theta, value, beta

    def blup(self, theta):
        """Best linear unbiased predictions of (u, v), beta estimated with them: Henderson's equations."""
        b1, sd, unit_sd, sigma = theta
        W, X, Z = self.parts(b1)
        A = np.hstack([W, Z, X])
        d = np.concatenate([np.full(W.shape[1], sd**-2.0), np.full(Z.shape[1], unit_sd**-2.0), np.zeros(3)])
        H = A.T @ A / sigma**2 + np.diag(d)
        return np.linalg.solve(H, A.T @ self.y / sigma**2), np.linalg.inv(H)


def gradient(function, at, h=1e-5):
    """Central differences of a function of a vector (values may be arrays)."""
    at = np.asarray(at, dtype=float)
    out = []
    for k in range(len(at)):
        step = np.zeros_like(at)
        step[k] = h * max(1.0, abs(at[k]))
        out.append((np.asarray(function(at + step)) - np.asarray(function(at - step))) / (2 * step[k]))
    return np.array(out)


def hessian(function, at, h=1e-4):
    """Second differences of a scalar function of a vector."""
    at = np.asarray(at, dtype=float)
    q = len(at)
    out = np.empty((q, q))
    steps = np.diag(h * np.maximum(1.0, np.abs(at)))
    for i in range(q):
        for j in range(i, q):
            a, b = steps[i], steps[j]
            out[i, j] = function(at + a + b) - function(at + a - b) - function(at - a + b) + function(at - a - b)
            out[i, j] /= 4 * a[i] * b[j]
            out[j, i] = out[i, j]
    return out
