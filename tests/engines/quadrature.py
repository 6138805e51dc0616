"""Exact posteriors of tiny Gaussian models on a grid of theta; shares no code with the package.

y - L b = X c + W(b1) u + e with u ~ N(0, sd^2), e ~ N(0, sigma^2), c normal (precision zero: flat). Given theta =
(b1, b, sd, sigma) everything is closed form; theta is summed over a grid whose spacing is known in each entry.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np


class Exact(NamedTuple):
    """Posterior means and sds by name; of the effects too."""

    mean: dict[str, float]
    sd: dict[str, float]
    effect_mean: np.ndarray
    effect_sd: np.ndarray


def log_grid(low, high, points):
    """Geometric nodes and their widths."""
    u = np.linspace(np.log(low), np.log(high), points)
    return np.exp(u), np.exp(u) * (u[1] - u[0])


def flat_grid(low, high, points):
    """Midpoints of equal cells, and their widths."""
    edges = np.linspace(low, high, points + 1)
    return 0.5 * (edges[1:] + edges[:-1]), np.diff(edges)


def posterior(y, X, W_of, precision, center, axes, log_prior, loose=None, shift=None, names=()):
    """Sum over the grid.

    Parameters
    ----------
    y : (N,)
    X : (N, p) or function of b1
        Columns of the coefficients with a normal or flat prior, centred as the package does.
    W_of : function of b1 -> (N, J)
    precision, center : (p,)
        Of their prior.
    axes : dict
        b1, b, sd, sigma -> (nodes, widths); b1 and b may be missing.
    log_prior : dict
        The same keys -> log density of an array.
    loose : (N,), optional
        Centred column of the coefficient b with another prior.
    shift : (p + 1,), optional
        Reported first coefficient = c_0 - shift[1:p] c - shift[p] b.
    names : sequence
        Of the p coefficients.
    """
    p = len(precision)
    one = (np.zeros(1), np.ones(1))
    b1s, bs = axes.get("b1", one), axes.get("b", one)
    sds, sigmas = axes["sd"], axes["sigma"]
    sd, sigma = (a.ravel() for a in np.meshgrid(sds[0], sigmas[0], indexing="ij"))
    width = np.multiply.outer(sds[1], sigmas[1]).ravel()
    base = np.log(width) + log_prior["sd"](sd) + log_prior["sigma"](sigma)
    D = np.diag(precision)
    back = np.eye(p)
    if shift is not None:
        back[0, 1:] -= shift[1:p]
    log_weights, parts = [], []
    for (b1, w1), (b, wb) in product(zip(*b1s, strict=True), zip(*bs, strict=True)):
        W, A = W_of(b1), X(b1) if callable(X) else X
        lam, U = np.linalg.eigh(W @ W.T)
        lam = np.maximum(lam, 0.0)
        column = loose if loose is not None else np.zeros(len(y))
        Xt, r = U.T @ A, U.T @ (y - A @ center - b * column)
        d = np.multiply.outer(sd**2, lam) + (sigma**2)[:, None]
        P = np.einsum("gn,ni,nj->gij", 1 / d, Xt, Xt) + D
        g = (r / d) @ Xt
        c = np.linalg.solve(P, g[..., None])[..., 0]
        value = -0.5 * (np.log(d).sum(1) + (r * r / d).sum(1) - (g * c).sum(1) + np.linalg.slogdet(P)[1])
        value = value + base + np.log(w1) + np.log(wb)
        for key, at in (("b1", b1), ("b", b)):
            value = value + (log_prior[key](at) if key in axes else 0.0)
        log_weights.append(value)
        S = np.linalg.inv(P)
        coefficients = (center + c) @ back.T
        if shift is not None:
            coefficients[:, 0] -= shift[p] * b
        spread = np.einsum("ij,gjk,ik->gi", back, S, back)
        B = W.T @ U  # effects: sd^2 W'V^-1 (y - X c - L b)
        rest = (r - c @ Xt.T) / d
        u = sd[:, None] ** 2 * (rest @ B.T)
        K = sd[:, None, None] ** 2 * np.einsum("jn,gn,ni->gji", B, 1 / d, Xt)
        u_var = sd[:, None] ** 2 - sd[:, None] ** 4 * ((1 / d) @ (B * B).T) + np.einsum("gji,gik,gjk->gj", K, S, K)
        at = np.column_stack([np.full_like(sd, b1), np.full_like(sd, b), sd, sigma])
        values = np.hstack([at, coefficients, u])
        variances = np.hstack([np.zeros_like(at), spread, u_var])
        top = value.max()
        w = np.exp(value - top)
        parts.append((top, w.sum(), w @ values, w @ (variances + values**2)))
    top = max(part[0] for part in parts)
    total = sum(np.exp(t - top) * s for t, s, _, _ in parts)
    mean = sum(np.exp(t - top) * m for t, _, m, _ in parts) / total
    square = sum(np.exp(t - top) * q for t, _, _, q in parts) / total
    spread = np.sqrt(square - mean**2)
    keys = ["b1", "b", "sd", "sigma", *names]
    k = 4 + p
    return Exact(dict(zip(keys, mean[:k], strict=True)), dict(zip(keys, spread[:k], strict=True)), mean[k:], spread[k:])
