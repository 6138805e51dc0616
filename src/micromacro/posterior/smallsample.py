r"""Coefficients of Gaussian outcomes in small samples: cluster-robust covariances and degrees of freedom.

With :math:`V(\theta)` the marginal covariance of the outcome and X the columns of the coefficients,
:math:`\Phi = (X'V^{-1}X)^{-1}`. The *sandwich* of clusters c with residuals :math:`e_c = y_c - X_c\hat\beta` is

.. math:: k\;\Phi\Bigl(\sum_c X_c'V_c^{-1}A_c\,e_c e_c'\,A_c'V_c^{-1}X_c\Bigr)\Phi

with A the identity and k = 1 (CR0), m / (m - 1) (CR1) or m (N - 1) / ((m - 1)(N - p)) (CR1S) for m clusters, N
outcomes and p coefficients; or with k = 1 and Bell and McCaffrey's A (CR2; Pustejovsky and Tipton 2018), or
:math:`A_c = (I - H_{cc})^{-1}` (CR3). *Degrees of freedom* are those of Kenward and Roger (1997), with
:math:`P_r = X'V^{-1}\dot V_r V^{-1}X` and W the covariance of the parameters by the expected information,

.. math:: 2\,\Phi_{jj}^2 \Big/ \sum_{rs} W_{rs}(\Phi P_r\Phi)_{jj}(\Phi P_s\Phi)_{jj},

in covariance parameters in which V is linear; their standard errors are of the adjusted covariance
:math:`\Phi + 2\Phi\{\sum_{rs} W_{rs}(Q_{rs} - P_r\Phi P_s)\}\Phi`. Where estimated weights change X, Satterthwaite's
take the place of both: :math:`2\Phi_{jj}^2/(g'Cg)`, g the derivative of :math:`\Phi_{jj}` in theta and C theta's
covariance from the joint Hessian.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

from ..errors import EngineError, ModelError
from ..model.specification import Specification
from ..numerics.differences import relative_step, slopes
from ..numerics.memory import check_memory
from .design import Predictor, scenario_of

CORRECTIONS = ("CR0", "CR1", "CR1S", "CR2", "CR3")
LARGEST = 4000  # groups that hang together, whose covariance is dense


@dataclass(frozen=True, eq=False)
class DegreesOfFreedom:
    """Degrees of freedom of coefficients.

    Attributes
    ----------
    method : str
        ``kenward-roger`` or ``satterthwaite``.
    covariance : (coefficients, coefficients) array or None
        Kenward and Roger's adjusted covariance of the coefficients in x.
    df : function
        From contrasts (k, coefficients) of the coefficients in x to their degrees of freedom (k,).
    joint : function
        From independent contrasts to the factor of their Wald statistic over k that is an F, and its denominator's
        degrees of freedom.
    """

    method: str
    covariance: np.ndarray | None
    df: Callable[[np.ndarray], np.ndarray]
    joint: Callable[[np.ndarray], tuple[float, float]]

    @property
    def words(self) -> str:
        """The method, and whether it is an approximation only."""
        return self.method if self.covariance is not None else f"{self.method}, approximate"


class Covariances:
    """The marginal covariance of a Gaussian outcome and the columns of its coefficients, at any theta.

    Parameters
    ----------
    specification : Specification
    """

    def __init__(self, specification: Specification):
        if specification.system.beside is not None:
            raise EngineError(
                "small-sample corrections and sandwich covariances are for one sigma, not for sigma=: use "
                "bootstrap(), or leave df= and the sandwich out"
            )
        self.specification = specification
        self.system = specification.system
        self.predictor = Predictor(scenario_of(specification, None), self.system)

    def design(self, theta: np.ndarray) -> tuple[np.ndarray, Any, np.ndarray]:
        """Columns of coefficients (groups, c), dense; those of effects, sparse; the offset (groups,)."""
        offset = self.predictor.entries(theta)
        a, kept = self.predictor.matrix(self.system.size), self.system.n_effects
        return a[:, kept:].toarray(), sparse.csr_array(a[:, :kept]), offset

    def precision(self, theta: np.ndarray) -> Any:
        """Prior precision of the effects, sparse."""
        blocks = []
        for k, part in enumerate(self.system.parts):
            structure = part.structure
            if structure is None or not part.effects:
                blocks += [sparse.eye_array(part.effects)] if part.effects else []
                continue
            row, column = structure.precision_pattern()
            values = np.empty(len(row))
            structure.precision(theta[self.system.places.effect_theta(k)], values)
            lower = sparse.csr_array((values, (row, column)), shape=(structure.latents, structure.latents))
            blocks.append(lower + sparse.tril(lower, -1).T)
        return sparse.csc_array(sparse.block_diag(blocks)) if blocks else sparse.csc_array((0, 0))

    def blocks(self, theta: np.ndarray, sets: Iterable[np.ndarray]) -> list[np.ndarray]:
        """The covariance of each set of groups, dense; nothing is asked of what sets have in common."""
        _, z, _ = self.design(theta)
        solve = splu(self.precision(theta)).solve if z.shape[1] else None
        sigma = theta[self.specification.layout.family.start]
        out = []
        for rows in sets:
            v = np.diag(sigma**2 / self.specification.response.weight[rows])
            if solve is not None:
                some = z[rows]
                used = np.unique(some.indices)
                dense = np.zeros((z.shape[1], len(rows)))
                dense[used] = some[:, used].toarray().T
                v = v + some @ solve(dense)
            out.append(v)
        return out

    def tied(self, theta: np.ndarray, part: int | None = None) -> np.ndarray:
        """Which groups hang together through effects, of one part or of all: a number for each group."""
        _, z, _ = self.design(_inside(self.specification, theta))
        link = abs(z)
        if part is not None:
            keep = np.zeros(z.shape[1])
            keep[self.system.places.effects(part)] = 1.0
            link = link @ sparse.diags_array(keep)
        across = link @ abs(self.precision(theta)) @ link.T
        return connected_components(across, directed=False)[1]


def _inside(specification: Specification, theta: np.ndarray) -> np.ndarray:
    """Theta with sds away from zero, where every effect reaches its groups, and no correlation."""
    out = theta.copy()
    sigma = theta[specification.layout.family.start]
    for k, p in enumerate(specification.system.hypers):
        if p.kind == "sd":
            out[k] = max(theta[k], 0.3 * sigma)
        if p.kind == "cor":
            out[k] = 0.3
    return out


# -- clusters ----------------------------------------------------------------------------------------------------------


@contextmanager
def _with_a_residual() -> Iterator[None]:
    """For what needs the inverse of the outcome's covariance."""
    try:
        yield
    except np.linalg.LinAlgError as error:
        raise EngineError(
            "the covariance of the outcome is singular at the estimate, as where the residual is zero, so there are "
            "neither degrees of freedom nor a sandwich: read health, and look for covariates or effects that are the "
            "outcome"
        ) from error


@_with_a_residual()
def sandwich(specification: Specification, theta: np.ndarray, clusters: np.ndarray, word: str, how: str) -> np.ndarray:
    """Cluster-robust covariance of the coefficients in x (c, c).

    Parameters
    ----------
    clusters : (groups,) int array
    word : str
        What the clusters are, for messages.
    how : str
        One of `CORRECTIONS`.
    """
    moments = Covariances(specification)
    _check_within(moments, theta, clusters, word)
    sets = [np.flatnonzero(clusters == c) for c in np.unique(clusters)]
    if len(sets) < 2:
        raise ModelError(f"by={word!r} has one level only: a sandwich needs several clusters")
    check_memory(
        3.0 * max(map(len, sets)) ** 2, f"the covariance of the largest cluster of {word!r}", "give a finer one"
    )
    x, _, offset = moments.design(theta)
    y = specification.outcome - offset
    covariances = moments.blocks(theta, sets)
    weighted = [np.linalg.solve(v, x[rows]) for v, rows in zip(covariances, sets, strict=True)]
    phi = np.linalg.inv(sum(x[rows].T @ w for rows, w in zip(sets, weighted, strict=True)))
    beta = phi @ sum(w.T @ y[rows] for rows, w in zip(sets, weighted, strict=True))
    scores = np.stack([
        w.T @ _adjusted(how, v, x[rows], w, phi, y[rows] - x[rows] @ beta)
        for rows, v, w in zip(sets, covariances, weighted, strict=True)
    ])  # fmt: skip
    m, (n, p) = len(sets), x.shape
    factor = {"CR1": m / (m - 1.0), "CR1S": m / (m - 1.0) * (n - 1.0) / (n - p)}.get(how, 1.0)
    return factor * phi @ (scores.T @ scores) @ phi


def _adjusted(how: str, v: np.ndarray, x: np.ndarray, w: np.ndarray, phi: np.ndarray, e: np.ndarray) -> np.ndarray:
    """Residuals of a cluster times its adjustment matrix."""
    if how == "CR3":
        return np.linalg.lstsq(np.eye(len(e)) - x @ phi @ w.T, e, rcond=None)[0]
    if how != "CR2":
        return e
    root = np.linalg.cholesky(v).T
    values, vectors = np.linalg.eigh(root @ (v - x @ phi @ x.T) @ root.T)
    inverse = np.where(values > 1e-10 * values.max(), np.abs(values), np.inf) ** -0.5
    return root.T @ (vectors @ (inverse * (vectors.T @ (root @ e))))


def _check_within(moments: Covariances, theta: np.ndarray, clusters: np.ndarray, word: str) -> None:
    """Refuse clusters that an effect crosses."""
    for part in moments.predictor.levels:
        tied = moments.tied(theta, part)
        order = np.argsort(tied, kind="stable")
        same = tied[order][1:] == tied[order][:-1]
        if np.any(same & (clusters[order][1:] != clusters[order][:-1])):
            raise ModelError(
                f"the effects of {moments.system.parts[part].name!r} cross {word!r}: groups of different {word} share "
                "them, so clusters are not independent; give by= a unit that contains every effect, or leave the term "
                "out"
            )


# -- degrees of freedom ------------------------------------------------------------------------------------------------


@_with_a_residual()
def degrees_of_freedom(specification: Specification, theta: np.ndarray, covariance: np.ndarray) -> DegreesOfFreedom:
    """Degrees of freedom of the coefficients in x.

    Parameters
    ----------
    theta : (q,) array
    covariance : (q, q) array
        Of theta, from the joint Hessian; zero where an entry is on its boundary.
    """
    moments = Covariances(specification)
    tied = moments.tied(theta)
    sets = [np.flatnonzero(tied == c) for c in np.unique(tied)]
    largest = max(map(len, sets))
    if largest > LARGEST:
        raise EngineError(
            f"degrees of freedom need the covariance of {largest:,} groups that share effects, and {LARGEST:,} are the "
            "most: with as many groups the normal distribution serves"
        )
    free = np.array([k for k, p in enumerate(specification.system.hypers) if not p.fixed], dtype=np.int64)
    if _moves_columns(moments, theta, free):
        return _satterthwaite(moments, theta, covariance, sets)
    return _kenward_roger(moments, theta, free, sets)


def _moves_columns(moments: Covariances, theta: np.ndarray, free: np.ndarray) -> bool:
    """Whether estimated parameters change the columns of coefficients."""
    x = moments.design(theta)[0]
    for k in free:
        moved = theta.copy()
        moved[k] += 1e-3 * max(1.0, abs(theta[k]))
        if not np.allclose(moments.design(moved)[0], x, rtol=1e-12, atol=0.0):
            return True
    return False


def _phi(moments: Covariances, theta: np.ndarray, sets: list[np.ndarray]) -> np.ndarray:
    x = moments.design(theta)[0]
    each = zip(moments.blocks(theta, sets), sets, strict=True)
    return np.linalg.inv(sum(x[rows].T @ np.linalg.solve(v, x[rows]) for v, rows in each))


def _satterthwaite(
    moments: Covariances, theta: np.ndarray, covariance: np.ndarray, sets: list[np.ndarray]
) -> DegreesOfFreedom:
    phi = _phi(moments, theta, sets)
    steps = np.array([relative_step(t, 1e-4) for t in theta])
    places = np.flatnonzero(np.diag(covariance) > 0.0)
    slope = slopes(lambda t: _phi(moments, t, sets).ravel(), theta, steps, places).reshape(*phi.shape, -1)

    def df(contrasts: np.ndarray) -> np.ndarray:
        g = np.einsum("ki,ijq,kj->kq", contrasts, slope, contrasts)
        return _ratio(np.einsum("ki,ij,kj->k", contrasts, phi, contrasts), np.einsum("kq,qr,kr->k", g, covariance, g))

    def joint(contrasts: np.ndarray) -> tuple[float, float]:
        """As lmerTest (Fai and Cornelius 1996): by the contrasts that are independent of each other."""
        _, vectors = np.linalg.eigh(contrasts @ phi @ contrasts.T)
        each = df(vectors.T @ contrasts)
        total = float(np.sum(each / (each - 2.0))) if np.all(each > 2.0) else 0.0
        k = len(contrasts)
        return 1.0, (float(each[0]) if k == 1 else 2.0 * total / (total - k) if total > k else 2.0)

    return DegreesOfFreedom("satterthwaite", None, df, joint)


def _ratio(variance: np.ndarray, of_variance: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return 2.0 * variance**2 / of_variance


def _kenward_roger(
    moments: Covariances, theta: np.ndarray, free: np.ndarray, sets: list[np.ndarray]
) -> DegreesOfFreedom:
    x = moments.design(theta)[0]
    p, q = x.shape[1], len(free)
    slope = _covariance_slopes(moments, theta, free, sets)
    p_all, q_all, traces = np.zeros((q, p, p)), np.zeros((q, q, p, p)), np.zeros((q, q))
    gram = np.zeros((p, p))
    for b, (v, rows) in enumerate(zip(moments.blocks(theta, sets), sets, strict=True)):
        factor = linalg.cho_factor(v, lower=True)
        vx = linalg.cho_solve(factor, x[rows])
        gram += x[rows].T @ vx
        moved = [linalg.cho_solve(factor, d[b]) for d in slope]  # V^-1 dV
        through = [d[b] @ vx for d in slope]  # dV V^-1 X
        for r in range(q):
            p_all[r] += vx.T @ through[r]
            for s in range(r + 1):
                traces[r, s] += float(np.sum(moved[r] * moved[s].T))
                q_all[r, s] += through[r].T @ linalg.cho_solve(factor, through[s])
    for r in range(q):
        for s in range(r):
            traces[s, r], q_all[s, r] = traces[r, s], q_all[r, s].T
    phi = np.linalg.inv(gram)
    pp = np.einsum("rab,bc,scd->rsad", p_all, phi, p_all)
    information = 0.5 * (traces - 2.0 * np.einsum("ab,rsba->rs", phi, q_all) + np.einsum("ab,rsba->rs", phi, pp))
    w = np.linalg.pinv(information)
    u = np.einsum("rs,rsab->ab", w, q_all - pp)
    adjusted = phi + 2.0 * phi @ u @ phi
    inner = phi @ p_all @ phi

    def df(contrasts: np.ndarray) -> np.ndarray:
        g = np.einsum("ki,rij,kj->kr", contrasts, inner, contrasts)
        return _ratio(np.einsum("ki,ij,kj->k", contrasts, phi, contrasts), np.einsum("kr,rs,ks->k", g, w, g))

    def joint(contrasts: np.ndarray) -> tuple[float, float]:
        t = contrasts.T @ np.linalg.solve(contrasts @ phi @ contrasts.T, contrasts)
        tm = np.einsum("ij,rjk->rik", t, inner)
        first = np.trace(tm, axis1=1, axis2=2)
        return _matched(len(contrasts), float(first @ w @ first), float(np.einsum("rs,rij,sji->", w, tm, tm)))

    return DegreesOfFreedom("kenward-roger", 0.5 * (adjusted + adjusted.T), df, joint)


def _matched(k: int, a1: float, a2: float) -> tuple[float, float]:
    """Kenward and Roger's factor and degrees of freedom, which match two moments of an F with k numerator ones."""
    b, g = (a1 + 6.0 * a2) / (2.0 * k), ((k + 1.0) * a1 - (k + 4.0) * a2) / ((k + 2.0) * a2)
    c1, c2, c3 = np.array([g, k - g, k + 2.0 - g]) / (3.0 * k + 2.0 * (1.0 - g))
    mean = 1.0 / (1.0 - a2 / k)
    variance = 2.0 / k * (1.0 + c1 * b) / ((1.0 - c2 * b) ** 2 * (1.0 - c3 * b))
    df = 4.0 + (k + 2.0) / (k * variance / (2.0 * mean**2) - 1.0)
    return float(df / (mean * (df - 2.0))), float(df)


def _covariance_slopes(
    moments: Covariances, theta: np.ndarray, free: np.ndarray, sets: list[np.ndarray]
) -> list[list[np.ndarray]]:
    """Derivatives of the blocks of V in parameters in which it is linear (as far as there are such).

    In variances and covariances instead of sds and correlations the derivatives are the same everywhere, so they are
    taken away from the boundary.
    """
    at = _inside(moments.specification, theta)
    jacobian = np.eye(len(theta))
    for k in range(len(theta)):
        steps = np.full(len(theta), 1e-5)
        jacobian[:, k] = slopes(lambda t: _linear(moments.specification, t), at, steps, [k])[:, k]
    inverse = np.linalg.inv(jacobian[np.ix_(free, free)])
    raw = []
    for k in free:
        p = moments.specification.system.hypers[k]
        exact = p.kind == "sd" or k == moments.specification.layout.family.start  # V is quadratic in these
        h = 0.5 * abs(at[k]) if exact else 1e-5 * max(1.0, abs(at[k]))
        up, down = at.copy(), at.copy()
        up[k], down[k] = at[k] + h, at[k] - h
        pairs = zip(moments.blocks(up, sets), moments.blocks(down, sets), strict=True)
        raw.append([(a - b) / (2.0 * h) for a, b in pairs])
    return [
        [sum(inverse[k, r] * raw[k][b] for k in range(len(free))) for b in range(len(sets))] for r in range(len(free))
    ]  # type: ignore[return-value]


def _linear(specification: Specification, theta: np.ndarray) -> np.ndarray:
    """Theta in variances and covariances, where effects have these."""
    out = np.array([t * t if p.kind == "sd" else t for t, p in zip(theta, specification.system.hypers, strict=True)])
    for k, structure in specification.structures.values():
        own = specification.system.places.effect_theta(k)
        out[own] = structure.moments(theta[own])
    first = specification.layout.family.start
    out[first] = theta[first] ** 2
    return out
