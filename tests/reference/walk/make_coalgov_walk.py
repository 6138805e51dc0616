"""The posterior of a random walk on the coalition data by quadrature, in plain NumPy: nothing of micromacro is used.

    log(dur_wkb) ~ majority + mwc + mm(pid, gid, cohesion, weights = 1/n, normalize = group, effects = walk) + (1 | cid)

The k-th participation of a party (in order of gid) has the state s_k = s_{k-1} + N(0, pid.sd^2), s_0 = 0, so two
participations of one party, the j-th and the k-th, have covariance pid.sd^2 min(j, k). With W the weights of
participations in governments, K that matrix at pid.sd = 1 and C the incidence of countries,

    y ~ N(X b, sigma^2 R),  R = a^2 W K W' + c^2 C C' + I,  a = pid.sd / sigma, c = cid.sd / sigma.

b ~ N(0, 100^2) is integrated in closed form by Woodbury's identity (4 x 4 at each sigma, one dense Cholesky of R at
each (a, c)); (a, c, sigma) by the Gauss-Legendre rule on a box, under half_cauchy(25) for each sd, the Jacobian of
(pid.sd, cid.sd) being sigma^2. Moments of b are those of the mixture of its normal conditionals.

Run:  python make_coalgov_walk.py path/to/coalgov.csv > coalgov_walk.json   (about a minute)
"""

from __future__ import annotations

import json
import sys

import numpy as np
import pandas as pd
from scipy.linalg import cho_factor, cho_solve

NAMES = ["Intercept", "majority", "mwc", "pid.cohesion"]
BOX = {"a": (0.0, 0.9), "c": (0.0, 1.5), "sigma": (0.66, 1.06)}
COEFFICIENT_SD, CAUCHY_SCALE = 100.0, 25.0


def matrices(data):
    """y, X, W K W' and C C' of the long table."""
    data = data.sort_values(["gid", "pid"])
    assert not data.duplicated(["gid", "pid"]).any()
    assert data[["pid", "gid", "cid", "cohesion"]].notna().all(axis=None)
    groups = data.drop_duplicates("gid")
    weight = (data["gid"].to_numpy() == groups["gid"].to_numpy()[:, None]).astype(float)
    weight /= weight.sum(axis=1, keepdims=True)
    rank = data.groupby("pid").cumcount().to_numpy() + 1.0
    pid, cid = data["pid"].to_numpy(), groups["cid"].to_numpy()
    states = np.where(pid[:, None] == pid, np.minimum(rank[:, None], rank), 0.0)
    x = np.column_stack([np.ones(len(groups)), groups["majority"], groups["mwc"], weight @ data["cohesion"].to_numpy()])
    same = (cid[:, None] == cid).astype(float)
    return np.log(groups["dur_wkb"].to_numpy()), x, weight @ states @ weight.T, same


def rule(box, nodes):
    """Gauss-Legendre nodes and log weights on an interval."""
    at, weight = np.polynomial.legendre.leggauss(nodes)
    low, high = box
    return low + (high - low) * (at + 1) / 2, np.log(weight * (high - low) / 2)


def log_half_cauchy(sd):
    return np.log(2 / (np.pi * CAUCHY_SCALE)) - np.log1p((sd / CAUCHY_SCALE) ** 2)


def quadrature(y, x, walk, country, nodes):
    """Log weights of all nodes, theta there (k, 3), mean and variance of b there (k, 4)."""
    (a, wa), (c, wc), (sigma, ws) = (rule(BOX[k], nodes) for k in ("a", "c", "sigma"))
    n, p = x.shape
    log_weight, theta, mean, variance = [], [], [], []
    for i in range(nodes):
        for j in range(nodes):
            factor = cho_factor(a[i] ** 2 * walk + c[j] ** 2 * country + np.eye(n), lower=True)
            log_r = 2 * np.log(np.diag(factor[0])).sum()
            solved = cho_solve(factor, np.column_stack([x, y]))
            xx, xy, yy = x.T @ solved[:, :p], x.T @ solved[:, p], y @ solved[:, p]
            for s, log_ws in zip(sigma, ws, strict=True):
                v = np.linalg.inv(xx / s**2 + np.eye(p) / COEFFICIENT_SD**2)
                m = v @ xy / s**2
                # log N(y; 0, s^2 R + 100^2 X X'): determinant lemma and Woodbury
                log_det = log_r + 2 * n * np.log(s) + 2 * p * np.log(COEFFICIENT_SD) - np.linalg.slogdet(v)[1]
                loglik = -0.5 * (n * np.log(2 * np.pi) + log_det + yy / s**2 - xy @ m / s**2)
                sds = np.array([a[i] * s, c[j] * s, s])
                log_weight.append(
                    loglik + log_half_cauchy(sds).sum() + 2 * np.log(s) + wa[i] + wc[j] + log_ws
                )  # fmt: skip
                theta.append(sds)
                mean.append(m)
                variance.append(np.diag(v))
    return tuple(map(np.array, (log_weight, theta, mean, variance)))


def moments(log_weight, theta, mean, variance):
    """Log evidence, and mean and sd by parameter."""
    top = log_weight.max()
    weight = np.exp(log_weight - top)
    evidence = top + np.log(weight.sum())
    weight /= weight.sum()
    out = {}
    for k, name in enumerate(NAMES):
        m = weight @ mean[:, k]
        out[name] = {"mean": m, "sd": np.sqrt(weight @ (variance[:, k] + (mean[:, k] - m) ** 2))}
    for k, name in enumerate(["pid.sd", "cid.sd", "sigma"]):
        m = weight @ theta[:, k]
        out[name] = {"mean": m, "sd": np.sqrt(weight @ (theta[:, k] - m) ** 2)}
    return evidence, out


def main():
    y, x, walk, country = matrices(pd.read_csv(sys.argv[1]))
    coarse, fine = (moments(*quadrature(y, x, walk, country, nodes)) for nodes in (32, 48))
    change = max(abs(coarse[1][n][k] - fine[1][n][k]) for n in fine[1] for k in ("mean", "sd"))
    document = {
        "model": "log(dur_wkb) ~ majority + mwc + mm(pid, gid, cohesion, weights=1/n, normalize=group, effects=walk)"
        " + (1 | cid)",
        "data": "coalgov.csv",
        "priors": "vague: every coefficient normal(0, 100), every sd half_cauchy(25)",
        "origin": "make_coalgov_walk.py: dense algebra and Gauss-Legendre quadrature, 48 nodes a dimension",
        "log_evidence": fine[0],
        "largest_change_from_32_nodes": change,
        "parameters": fine[1],
    }
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
