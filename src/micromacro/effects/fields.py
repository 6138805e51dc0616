r"""Effects of neighbours in a graph: ``icar(graph)`` and ``car(graph)``, conditional autoregressions (Besag 1974).

With W the weights of the edges and M their sums by node, the effects are :math:`sd \cdot s`,

.. math:: \text{car:}\quad s \sim N(0, (M - \rho W)^{-1}), \quad 0 \le \rho < 1; \qquad
   \text{icar:}\quad p(s) \propto \exp\bigl(-\tfrac12\sum_{i \sim j} w_{ij}(s_i - s_j)^2\bigr),
   \quad \sum_{\text{component}} s_i = 0,

so that given its neighbours an effect has mean rho times their (weighted) mean and standard deviation
``sd / sqrt(m_i)``: ``B.sd`` is not the sd of an effect at a place. All nodes of the graph have an effect, those
too that the data do not show. To sum to zero exactly, one node of each component has no entry in x: its effect is
minus the sum of the others'. This makes H dense among the nodes of a component.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
from scipy import sparse

from ..errors import DataError, FormulaError, ModelError
from ..language.nodes import Name, Text
from ..numerics import precision
from ..parameters import HIGHEST
from ..priors import Uniform
from ..table.graphs import Graph
from .base import Effects, Rows, Setting

MOST = 5000  # nodes, whose eigenvectors are held


@dataclass(frozen=True, eq=False)
class Field(Effects):
    """Effects of the nodes of a graph; the levels are the nodes.

    Attributes
    ----------
    graph : Graph
    """

    graph: Graph = None  # type: ignore[assignment]  # always given: the fields before it have defaults

    @property
    def latents(self) -> int:
        """An entry for each node, then one for each fresh level."""
        return self.graph.size + len(self.fresh)

    def pattern(self) -> tuple[np.ndarray, np.ndarray]:
        return np.arange(len(self.rows.level)), self.rows.level

    def loads(self, theta: np.ndarray, out: np.ndarray) -> None:
        out[:] = theta[0]

    def pull_loads(self, theta: np.ndarray, d_load: np.ndarray) -> np.ndarray:
        out = np.zeros(len(self.hypers))
        out[0] = d_load.sum()
        return out

    def natural(self, theta: np.ndarray) -> sparse.csr_array:
        return sparse.csr_array(theta[0] * sparse.eye_array(self.graph.size, self.latents, format="csr"))

    def root(self, theta: np.ndarray) -> np.ndarray:
        """R (nodes, nodes) with R R' the covariance of the standardised effects."""
        raise NotImplementedError

    def variance(self, theta: np.ndarray, row: np.ndarray, latent: np.ndarray, value: np.ndarray) -> np.ndarray:
        shape = (self.rows.groups, self.graph.size)
        known = latent < self.graph.size
        a = sparse.csr_array((value[known], (row[known], latent[known])), shape=shape)
        out = ((a @ self.root(theta)) ** 2).sum(axis=1)
        return out + np.bincount(row[~known], value[~known] ** 2, self.rows.groups)

    def sample(self, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        z = rng.standard_normal(self.latents)
        return np.concatenate([self.root(theta) @ z[: self.graph.size], z[self.graph.size :]])


@dataclass(frozen=True, eq=False)
class Proper(Field):
    """A proper conditional autoregression, its dependence estimated."""

    varies: ClassVar[bool] = True

    @cached_property
    def _degree(self) -> np.ndarray:
        return self.graph.degree()

    @cached_property
    def _eigen(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues of M^-1/2 W M^-1/2, and M^-1/2 times its eigenvectors."""
        g, root = self.graph, 1.0 / np.sqrt(np.where(self._degree > 0, self._degree, 1.0))
        dense = np.zeros((g.size, g.size))
        dense[g.low, g.high] = dense[g.high, g.low] = g.weight * root[g.low] * root[g.high]
        values, vectors = np.linalg.eigh(dense)
        return values, root[:, None] * vectors

    def precision_pattern(self) -> tuple[np.ndarray, np.ndarray]:
        row, column = precision.graph_pattern(self.graph.size, self.graph.low, self.graph.high)
        new = np.arange(self.graph.size, self.latents)
        return np.concatenate([row, new]), np.concatenate([column, new])

    def precision(self, theta: np.ndarray, out: np.ndarray) -> float:
        if not 0.0 <= theta[1] <= HIGHEST:
            return float("nan")
        known = len(out) - len(self.fresh)
        out[:known] = precision.graph_precision(self._degree, self.graph.weight, theta[1])
        out[known:] = 1.0
        return precision.graph_log_determinant(self._degree, self._eigen[0], theta[1])[0]

    def pull_precision(self, theta: np.ndarray, d_entry: np.ndarray) -> np.ndarray:
        n = self.graph.size
        edges = d_entry[n : n + len(self.graph.weight)]
        slope = precision.graph_log_determinant(self._degree, self._eigen[0], theta[1])[1]
        return np.array([0.0, 0.5 * slope - float(self.graph.weight @ edges)])

    def root(self, theta: np.ndarray) -> np.ndarray:
        values, vectors = self._eigen
        return vectors / np.sqrt(1.0 - theta[1] * values)

    def sentences(self) -> list[str]:
        n = self.name
        return [f"u_{n} ~ normal(0, {n}.sd^2 (M - {n}.rho W)^-1), W the graph {self.graph.name}, M its sums by node"]


@dataclass(frozen=True, eq=False)
class Intrinsic(Field):
    """An intrinsic conditional autoregression, its effects summing to zero in each component.

    Attributes
    ----------
    left_out : (components,) int array
        One node of each component, whose effect is minus the sum of the others'.
    """

    left_out: np.ndarray = None  # type: ignore[assignment]  # always given: the fields before it have defaults

    @property
    def latents(self) -> int:
        """An entry for each node that is not left out."""
        return self.graph.size - len(self.left_out)

    @cached_property
    def _basis(self) -> sparse.csr_array:
        """Standardised effects of all nodes as a matrix times the entries (nodes, latents)."""
        size, component = self.graph.size, self.graph.components()[1]
        kept = np.setdiff1d(np.arange(size), self.left_out)
        minus = self.left_out[component[kept]] if len(kept) else kept  # components are numbered as in left_out
        entry = np.arange(len(kept))
        rows, values = np.concatenate([kept, minus]), np.repeat([1.0, -1.0], len(kept))
        return sparse.csr_array((values, (rows, np.concatenate([entry, entry]))), shape=(size, len(kept)))

    @cached_property
    def _pieces(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Membership, latent entry and sign of each piece."""
        basis, level = self._basis, self.rows.level
        count = np.diff(basis.indptr)[level]
        membership = np.repeat(np.arange(len(level)), count)
        within = np.arange(len(membership)) - np.repeat(np.cumsum(count) - count, count)
        at = basis.indptr[level[membership]] + within
        return membership, basis.indices[at].astype(np.int64), basis.data[at]

    @cached_property
    def _dense(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]:
        """Pattern of the precision of the entries, its values there and as a matrix, and its log-determinant."""
        g, basis = self.graph, self._basis
        laplacian = precision.laplacian(g.size, g.low, g.high, g.weight)
        dense = basis.T @ (basis.T @ laplacian).T
        component = g.components()[1][np.setdiff1d(np.arange(g.size), self.left_out)]
        rows, columns = np.nonzero(np.tril(component[:, None] == component[None, :]))
        return rows, columns, dense[rows, columns], dense, float(np.linalg.slogdet(dense)[1])

    @cached_property
    def _root(self) -> np.ndarray:
        """R (latents, latents) with R R' the covariance of the entries."""
        lower = np.linalg.cholesky(self._dense[3])
        return np.linalg.inv(lower).T

    def pattern(self) -> tuple[np.ndarray, np.ndarray]:
        return self._pieces[:2]

    def loads(self, theta: np.ndarray, out: np.ndarray) -> None:
        out[:] = theta[0] * self._pieces[2]

    def pull_loads(self, theta: np.ndarray, d_load: np.ndarray) -> np.ndarray:
        return np.array([self._pieces[2] @ d_load])

    def natural(self, theta: np.ndarray) -> sparse.csr_array:
        return theta[0] * self._basis

    def precision_pattern(self) -> tuple[np.ndarray, np.ndarray]:
        return self._dense[0], self._dense[1]

    def precision(self, theta: np.ndarray, out: np.ndarray) -> float:
        out[:] = self._dense[2]
        return self._dense[4]

    def variance(self, theta: np.ndarray, row: np.ndarray, latent: np.ndarray, value: np.ndarray) -> np.ndarray:
        a = sparse.csr_array((value, (row, latent)), shape=(self.rows.groups, self.latents))
        return ((a @ self._root) ** 2).sum(axis=1)

    def sample(self, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return self._root @ rng.standard_normal(self.latents)

    def on(self, rows: Rows) -> Effects:
        out = super().on(rows)
        if out.fresh:
            raise DataError(
                f"{len(out.fresh)} ids of {self.name!r} are not nodes of the graph {self.graph.name!r} (first: "
                f"{out.fresh[0]!s}), and an intrinsic autoregression does not define effects of places without "
                "neighbours: give a graph that has them, or fit effects = car"
            )
        return out

    def sentences(self) -> list[str]:
        n, g = self.name, self.graph.name
        return [
            f"u_{n}[i] - u_{n}[j] ~ normal(0, {n}.sd / sqrt(w_ij)) along the edges of {g}; sums to zero by component"
        ]


def _graph(setting: Setting) -> Graph:
    """The graph in parentheses."""
    node = setting.node
    argument = setting.arguments[0] if len(setting.arguments) == 1 else None
    if not isinstance(argument, (Name, Text)):
        raise FormulaError(
            f"effects = {setting.word} takes the name of one graph, as in {setting.word}(g) with graphs={{'g': ...}}",
            setting.text, node.span.start, node.span.stop,
        )  # fmt: skip
    name = argument.name if isinstance(argument, Name) else argument.value
    if name not in setting.sources:
        have = f"given are {', '.join(map(repr, setting.sources))}" if setting.sources else "none is given"
        raise ModelError(
            f"there is no graph {name!r} ({have}): pass it to mm.fit or mm.Model as graphs={{{name!r}: ...}}"
        )
    graph = setting.sources[name]
    if not isinstance(graph, Graph):
        raise ModelError(f"{name!r} is a covariance, not a graph: effects = known({name}), or give it by graphs=")
    if graph.size > MOST:
        raise ModelError(
            f"the graph {name!r} has {graph.size:,} nodes; {setting.word} holds its eigenvectors and is made for "
            f"at most {MOST:,}: merge places, or write effects = iid"
        )
    return graph


def _on_graph(setting: Setting, graph: Graph) -> Rows:
    place = graph.of(setting.rows.levels, f"{setting.name!r}")
    return replace(setting.rows, level=place[setting.rows.level], levels=replace(graph.levels, name=setting.name))


def make_car(setting: Setting) -> Proper:
    """Build ``car(graph)``."""
    graph = _graph(setting)
    sd = setting.priors.sd(f"{setting.name}.sd", setting.effective)
    rho = setting.priors.hyper(f"{setting.name}.rho", "rho", Uniform(0.0, 1.0), 0.5)
    return Proper(setting.name, _on_graph(setting, graph), (sd, rho), (), graph)


def make_icar(setting: Setting) -> Intrinsic:
    """Build ``icar(graph)``."""
    graph = _graph(setting)
    alone = graph.levels.values[graph.degree() == 0]
    if len(alone):
        raise ModelError(
            f"{len(alone)} nodes of the graph {graph.name!r} have no neighbour (first: {alone[0]!s}), and an intrinsic "
            "autoregression does not define their effects: remove them, connect them, or fit effects = car"
        )
    sd = setting.priors.sd(f"{setting.name}.sd", setting.effective)
    rows = _on_graph(setting, graph)
    return Intrinsic(setting.name, rows, (sd,), (), graph, _fewest(graph, rows.level))


def _fewest(graph: Graph, level: np.ndarray) -> np.ndarray:
    """The node of each component that has the fewest memberships (components,), the last one of several."""
    count, component = graph.components()
    seen = np.bincount(level, minlength=graph.size)
    order = np.lexsort((-np.arange(graph.size), seen, component))
    return order[np.searchsorted(component[order], np.arange(count))]
