r"""Correlated effects ``correlated(1 + x)`` and ``(1 + x | unit)``: :math:`u_j = \mathrm{diag}(sd)\,C\,u^*_j`.

C is the lower Cholesky factor of the correlation matrix R. Theta holds, after the sds, canonical partial correlations
row by row: :math:`p_{ij}`, the correlation of terms i and j given the terms before j, of which each may be any number
between -1 and 1:

.. math:: C_{ij} = p_{ij}\prod_{l<j}\sqrt{1 - p_{il}^2}, \qquad C_{ii} = \prod_{l<i}\sqrt{1 - p_{il}^2}.

Under the LKJ prior they are independent, each a beta stretched to (-1, 1) (Lewandowski, Kurowicka and Joe 2009), for
which :class:`~micromacro.priors.Lkj` is given `terms` and `given`. Tables report the correlations themselves; with two
terms, or beside the first one, they are the same numbers. Where a correlation is held at a value, one of its terms is
therefore made the first (:class:`Order`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from ..errors import FormulaError, ModelError
from ..priors import FLAT
from .base import Setting, Smooth
from .iid import Independent, sd_parameters

MOST, ALWAYS = 50, 10  # terms of one level: never more, and as many with however few rows
LEAST = 1e-8  # of sqrt(1 - p^2) where it divides: the derivative in p has a pole at -1 and 1


@dataclass(frozen=True, eq=False)
class Correlated(Independent):
    """Effects of a level that are correlated with each other.

    Attributes
    ----------
    order : Order
        In which the terms are given to each other.
    """

    order: Order = field(default_factory=lambda: Order(()))

    def correlation_root(self, theta: np.ndarray) -> np.ndarray:
        """A root (k, k) of the correlation matrix, lower triangular in the order of the terms."""
        k = len(self.terms)
        return self.order.back(cholesky(self.order.into(theta[k:], k), k))

    def root(self, theta: np.ndarray) -> np.ndarray:
        return theta[: len(self.terms), None] * self.correlation_root(theta)

    def pull_root(self, theta: np.ndarray, d_root: np.ndarray) -> np.ndarray:
        k = len(self.terms)
        d_sd = np.einsum("ij,ij->i", d_root, self.correlation_root(theta))
        d = self.order.rows(theta[:k, None] * d_root)
        return np.concatenate([d_sd, self.order.out_of(pull_cholesky(self.order.into(theta[k:], k), d), k)])

    def reported(self, theta: np.ndarray) -> np.ndarray:
        k = len(self.terms)
        if k < 3:
            return theta
        flat = theta.reshape(-1, theta.shape[-1])
        low = np.tril_indices(k, -1)
        out = flat.copy()
        for row, own in zip(out, flat, strict=True):
            c = self.correlation_root(own)
            row[k:] = (c @ c.T)[low]
        return out.reshape(theta.shape)

    def from_reported(self, reported: np.ndarray) -> np.ndarray:
        k = len(self.terms)
        if k < 3:
            return reported
        return np.concatenate([reported[:k], self.order.out_of(partial(self.order.into(reported[k:], k), k), k)])

    def smooth(self) -> Smooth | None:
        """The signed root, unless a prior is on standard deviations or correlations, or one is fixed."""
        if any(p.prior.proper for p in self.hypers):
            return None
        made, k = SignedRoot(self.name, self.rows, self.hypers, self.fresh), len(self.terms)
        usual = np.array([p.start for p in self.hypers])
        size = np.array([1.0 if t == "1" else np.std(z) for t, z in zip(self.terms, self.rows.z, strict=True)])
        start = np.where(np.arange(len(usual)) < k, float(np.mean(usual[:k] * size)), 0.0)
        hypers = tuple(replace(p, kind="root", prior=FLAT, start=at) for p, at in zip(self.hypers, start, strict=True))
        made = replace(made, hypers=hypers)
        made.__dict__["entries"] = self.entries  # the pattern is the same

        def into(theta: np.ndarray) -> np.ndarray:
            """The usual start has its own: without correlation whatever the zeros of the covariates."""
            return start if np.allclose(theta, usual, rtol=1e-9, atol=0.0) else made.signed(theta)

        return Smooth(made, into, made.unsigned)

    def moments(self, theta: np.ndarray) -> np.ndarray:
        k = len(self.terms)
        root = self.root(theta)
        covariance = root @ root.T
        return np.concatenate([np.diag(covariance), covariance[np.tril_indices(k, -1)]])

    def sentences(self) -> list[str]:
        sds = ", ".join(p.name for p in self.hypers[: len(self.terms)])
        names = ", ".join(p.name for p in self.hypers[len(self.terms) :])
        terms = ", ".join(self.terms)
        return [f"u_{self.name}[j,({terms})] ~ multivariate normal(0), sds {sds}, correlations {names}"]


@dataclass(frozen=True, eq=False)
class SignedRoot(Correlated):
    """The same effects with the root itself as theta, in which a search meets no boundary.

    Theta holds the diagonal of the lower triangular root, then the entries below it row by row; all of them may have
    either sign. The covariance is smooth in them everywhere, also where standard deviations are zero or correlations
    are 1 or -1, where :class:`Correlated` has edges. It is the root of the effects of standardised covariates
    (:attr:`basis`), so that neither their units nor their zeros matter.
    """

    @cached_property
    def basis(self) -> np.ndarray:
        """Inverse of R (k, k), where Z'Z / m = R'R for the covariates Z (m, k): Z times it has orthogonal columns."""
        z = self.rows.z
        try:
            return np.linalg.inv(np.linalg.cholesky(z @ z.T / z.shape[1]).T)
        except np.linalg.LinAlgError:  # columns that are collinear
            return np.eye(len(z))

    def root(self, theta: np.ndarray) -> np.ndarray:
        return self.basis @ triangular(theta, len(self.terms))

    def smooth(self) -> None:
        """There are no edges in it."""

    def pull_root(self, theta: np.ndarray, d_root: np.ndarray) -> np.ndarray:
        own = self.basis.T @ d_root
        return np.concatenate([np.diag(own), own[np.tril_indices(len(own), -1)]])

    def signed(self, theta: np.ndarray) -> np.ndarray:
        """Its theta from that of :class:`Correlated`."""
        k = len(self.terms)
        root = _lower(np.linalg.solve(self.basis, theta[:k, None] * cholesky(theta[k:], k)))
        return np.concatenate([np.diag(root), root[np.tril_indices(k, -1)]])

    def unsigned(self, theta: np.ndarray) -> np.ndarray:
        """The theta of :class:`Correlated`."""
        return from_root(_lower(self.root(theta)))


@dataclass(frozen=True)
class Order:
    """The order in which terms are given to each other: the partial correlation of two is given those before both.

    Attributes
    ----------
    terms : tuple of int
        Numbers of the terms in that order; empty: as they are written.
    """

    terms: tuple[int, ...]

    def _slots(self, k: int) -> np.ndarray:
        """Number of the written pair, row by row, of each pair of terms in this order."""
        pairs = [(self.terms[i], self.terms[j]) for i in range(k) for j in range(i)]
        return np.array([max(p) * (max(p) - 1) // 2 + min(p) for p in pairs], dtype=np.int64)

    def into(self, pairs: np.ndarray, k: int) -> np.ndarray:
        """Numbers of pairs of terms, from the order in which they are written to this one."""
        return pairs[self._slots(k)] if self.terms else pairs

    def out_of(self, pairs: np.ndarray, k: int) -> np.ndarray:
        """The inverse of :meth:`into`."""
        if not self.terms:
            return pairs
        out = np.empty_like(pairs)
        out[self._slots(k)] = pairs
        return out

    def rows(self, matrix: np.ndarray) -> np.ndarray:
        """Rows of a matrix, one per term, from the order in which they are written to this one."""
        return matrix[list(self.terms)] if self.terms else matrix

    def back(self, matrix: np.ndarray) -> np.ndarray:
        """The inverse of :meth:`rows`."""
        return matrix[np.argsort(self.terms)] if self.terms else matrix

    def given(self, k: int) -> list[int]:
        """How many terms each written pair is given."""
        return self.out_of(np.array([j for i in range(k) for j in range(i)]), k).tolist()


def order_for(held: list[bool], k: int) -> Order | None:
    """An order in which the correlations that are held are partial ones given nothing: their common term first.

    None where they have no term in common.
    """
    pairs = [(i, j) for i in range(k) for j in range(i)]
    common = set(range(k)).intersection(*(set(pair) for pair, known in zip(pairs, held, strict=True) if known))
    if not any(held) or 0 in common:
        return Order(())
    if not common:
        return None
    first = min(common)
    return Order((first, *(t for t in range(k) if t != first)))


def partial(correlations: np.ndarray, k: int) -> np.ndarray:
    """Partial correlations row by row from correlations; nan where no distribution has them."""
    r = np.eye(k)
    r[np.tril_indices(k, -1)] = correlations
    try:
        c = np.linalg.cholesky(r + np.tril(r, -1).T)
    except np.linalg.LinAlgError:
        return np.full_like(correlations, np.nan)
    rest = np.sqrt(np.cumsum((c * c)[:, ::-1], axis=1)[:, ::-1])  # what is left of each row from column j on
    return (c / np.where(rest > 0, rest, 1.0))[np.tril_indices(k, -1)]


def triangular(theta: np.ndarray, k: int) -> np.ndarray:
    """A lower triangle (k, k) from its diagonal and the entries below it."""
    out = np.diag(theta[:k])
    out[np.tril_indices(k, -1)] = theta[k:]
    return out


def _lower(root: np.ndarray) -> np.ndarray:
    """The lower triangular root of the same covariance."""
    return np.asarray(np.linalg.qr(root.T, mode="r")).T


def from_root(root: np.ndarray) -> np.ndarray:
    """Standard deviations and partial correlations from a lower triangular root (k, k).

    A correlation with an effect whose standard deviation is zero is given as zero.
    """
    k = len(root)
    root = root * np.where(np.diag(root) < 0.0, -1.0, 1.0)
    sd = np.linalg.norm(root, axis=1)
    rows = root / np.where(sd > 0.0, sd, 1.0)[:, None]
    partial = []
    for i in range(k):
        rest = 1.0
        for j in range(i):
            ratio = rows[i, j] / math.sqrt(rest) if rest > 1e-300 else 0.0
            partial.append(min(max(ratio, -1.0), 1.0))
            rest = max(rest - rows[i, j] ** 2, 0.0)
    return np.concatenate([sd, partial])


def cholesky(p: np.ndarray, k: int) -> np.ndarray:
    """Cholesky factor (k, k) of the correlation matrix with partial correlations p, row by row."""
    out = np.zeros((k, k))
    at = 0
    for i in range(k):
        rest = 1.0
        for j in range(i):
            out[i, j] = p[at] * rest
            rest *= np.sqrt(max((1.0 - p[at]) * (1.0 + p[at]), 0.0))
            at += 1
        out[i, i] = rest
    return out


def pull_cholesky(p: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Derivative in the partial correlations from the derivatives in the entries of the factor (k, k)."""
    out = np.empty(len(p))
    at = 0
    for i in range(len(d)):
        own = p[at : at + i]
        s = np.sqrt(np.maximum((1.0 - own) * (1.0 + own), 0.0))
        for m in range(i):
            total = d[i, m] * np.prod(s[:m])
            for j in range(m + 1, i + 1):  # every later entry of the row has the factor sqrt(1 - p_m^2)
                others = np.prod(s[:m]) * np.prod(s[m + 1 : j])
                total -= d[i, j] * (own[j] if j < i else 1.0) * others * own[m] / max(s[m], LEAST)
            out[at + m] = total
        at += i
    return out


def _check_number(name: str, terms: tuple[str, ...], rows: int) -> None:
    """Refuse covariances that no data determine and no search ends with."""
    k = len(terms)
    numbers = k * (k + 1) // 2
    if k > MOST or (k > ALWAYS and numbers > rows):
        raise ModelError(
            f"the effects of {name!r} have {k} correlated terms ({', '.join(terms[:3])}, ...), that is {numbers} "
            f"standard deviations and correlations, for {rows} rows: leave terms out, write them independent (|| in a "
            "unit term, iid() in a block), or make the categories units of their own, as in (1 | unit:category)"
        )


def make_correlated(setting: Setting) -> Independent:
    """Build ``correlated(1 + x)``."""
    terms = setting.rows.terms
    if len(terms) < 2:
        raise FormulaError(
            f"correlated effects need two terms that vary, as in correlated(1 + x), but here is {' + '.join(terms)} "
            "alone: write iid",
            setting.text, setting.node.span.start, setting.node.span.stop,
        )  # fmt: skip
    _check_number(setting.name, terms, len(setting.rows.group))
    names = [f"{setting.name}.cor.{terms[j]}.{terms[i]}" for i in range(len(terms)) for j in range(i)]
    cors, order = setting.priors.correlations(names, len(terms))
    return Correlated(setting.name, setting.rows, sd_parameters(setting) + cors, order=order)
