r"""Effects of neighbours in a graph: ``icar(graph)`` and ``car(graph)``, conditional autoregressions (Besag 1974).

With W the weights of the edges and M their sums by node, the effects are :math:`sd \cdot s`,

.. math:: \text{car:}\quad s \sim N(0, (M - \rho W)^{-1}), \quad 0 \le \rho < 1; \qquad
   \text{icar:}\quad p(s) \propto \exp\bigl(-\tfrac12\sum_{i \sim j} w_{ij}(s_i - s_j)^2\bigr),
   \quad \sum_{\text{component}} s_i = 0,

so that given its neighbours an effect has mean rho times their (weighted) mean and standard deviation
``sd / sqrt(m_i)``: ``B.sd`` is not the sd of an effect at a place. All nodes of the graph have an effect, those
too that the data do not show. Everything is sparse, so a map may have 100,000 places: log|M - rho W| and its slope come
from the factor of M - rho W and entries of its inverse, and effects of icar, which sum to zero exactly, are made of
contrasts between regions of the map (:mod:`micromacro.numerics.regions`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
from scipy import sparse

from ..errors import DataError, FormulaError, ModelError
from ..language.nodes import Name, Text
from ..numerics import precision
from ..numerics.factored import Factor, Pattern
from ..numerics.ragged import runs
from ..numerics.regions import contrasts
from ..parameters import HIGHEST
from ..priors import Uniform
from ..table.graphs import Graph
from .base import Effects, Rows, Setting
from .phrases import Noun, Phrase, of_sd

FEW = 300  # nodes up to which eigenvalues are quicker than a factor at each rho


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

    expected: ClassVar[str] = "their mean"
    """Where an effect is expected, given its neighbours."""

    def phrase(self, hyper: int, nouns: Sequence[Noun]) -> Phrase | None:
        if self.hypers[hyper].kind != "sd":
            given = f"Given the neighbours in {self.graph.name}, the effect of {{a}} is expected at"
            return Phrase(f"{given} {{value}} times their mean", "dependence on neighbours")
        degree = self.graph.degree()
        m = float(np.median(degree[degree > 0])) if np.any(degree > 0) else 1.0
        who = f"{{A}} with {m:.3g} neighbours in {self.graph.name} (the median){{whose}} one standard deviation above "
        return of_sd(nouns[hyper], who + self.expected, 1.0 / math.sqrt(m))


@dataclass(frozen=True, eq=False)
class Proper(Field):
    """A proper conditional autoregression, its dependence estimated."""

    varies: ClassVar[bool] = True
    expected = "rho times their mean"

    @cached_property
    def _degree(self) -> np.ndarray:
        return self.graph.degree()

    @cached_property
    def _eigenvalues(self) -> np.ndarray:
        """Eigenvalues of M^-1/2 W M^-1/2; of small graphs alone."""
        g, root = self.graph, 1.0 / np.sqrt(np.where(self._degree > 0, self._degree, 1.0))
        dense = np.zeros((g.size, g.size))
        dense[g.low, g.high] = dense[g.high, g.low] = g.weight * root[g.low] * root[g.high]
        return np.linalg.eigvalsh(dense)

    @cached_property
    def _pattern(self) -> Pattern:
        """M - rho W without data, analysed."""
        return Pattern.of(*precision.graph_pattern(self.graph.size, self.graph.low, self.graph.high), self.graph.size)

    def _factor(self, rho: float) -> Factor:
        """Of M - rho W; the last one is kept, since value and slope are asked for in turn."""
        last: tuple[float, Factor] | None = self.__dict__.get("_last")
        if last is None or last[0] != rho:
            last = (rho, self._pattern.factor(precision.graph_precision(self._degree, self.graph.weight, rho)))
            self.__dict__["_last"] = last
        return last[1]

    def _log_determinant(self, rho: float, slope: bool = False) -> tuple[float, float]:
        """log|M - rho W| and, if asked for, its derivative in rho: minus the trace of (M - rho W)^-1 W."""
        if self.graph.size <= FEW:
            return precision.graph_log_determinant(self._degree, self._eigenvalues, rho)
        factor = self._factor(rho)
        edges = factor.inverse()[self.graph.size :] if slope else np.zeros(len(self.graph.weight))
        return factor.log_det, -2.0 * float(self.graph.weight @ edges)

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
        return self._log_determinant(theta[1])[0]

    def pull_precision(self, theta: np.ndarray, d_entry: np.ndarray) -> np.ndarray:
        n = self.graph.size
        edges = d_entry[n : n + len(self.graph.weight)]
        slope = self._log_determinant(theta[1], slope=True)[1]
        return np.array([0.0, 0.5 * slope - float(self.graph.weight @ edges)])

    def variance(self, theta: np.ndarray, row: np.ndarray, latent: np.ndarray, value: np.ndarray) -> np.ndarray:
        shape = (self.rows.groups, self.graph.size)
        known = latent < self.graph.size
        a = sparse.csr_array((value[known], (row[known], latent[known])), shape=shape)
        return self._factor(theta[1]).quadratics(a) + np.bincount(row[~known], value[~known] ** 2, self.rows.groups)

    def sample(self, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        z = rng.standard_normal(self.latents)
        return np.concatenate([self._factor(theta[1]).draw(z[: self.graph.size]), z[self.graph.size :]])

    def sentences(self) -> list[str]:
        n = self.name
        return [f"u_{n} ~ normal(0, {n}.sd^2 (M - {n}.rho W)^-1), W the graph {self.graph.name}, M its sums by node"]


@dataclass(frozen=True, eq=False)
class Intrinsic(Field):
    """An intrinsic conditional autoregression, its effects summing to zero in each component.

    Attributes
    ----------
    basis : sparse array (nodes, latents)
        Standardised effects of all nodes as a matrix times the entries of x, its columns summing to zero.
    """

    basis: sparse.csr_array = None  # type: ignore[assignment]  # always given: the fields before it have defaults

    @property
    def latents(self) -> int:
        """One less than nodes for each component."""
        return self.basis.shape[1]  # type: ignore[index]

    @cached_property
    def _pieces(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Membership, latent entry and coefficient of each piece."""
        basis, level = self.basis, self.rows.level
        count = np.diff(basis.indptr)[level]
        membership = np.repeat(np.arange(len(level)), count)
        at = runs(basis.indptr[level], count)
        return membership, basis.indices[at].astype(np.int64), basis.data[at]

    @cached_property
    def _lower(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Lower triangle of the precision of the entries: rows, columns, values."""
        g, basis = self.graph, self.basis
        of_entries = sparse.tril(basis.T @ (precision.laplacian(g.size, g.low, g.high, g.weight) @ basis)).tocoo()
        rows, columns = of_entries.coords
        return rows.astype(np.int64), columns.astype(np.int64), of_entries.data

    @cached_property
    def _factor(self) -> Factor:
        """Of the precision of the entries."""
        return Factor.of(*self._lower, self.latents)

    def pattern(self) -> tuple[np.ndarray, np.ndarray]:
        return self._pieces[:2]

    def loads(self, theta: np.ndarray, out: np.ndarray) -> None:
        out[:] = theta[0] * self._pieces[2]

    def pull_loads(self, theta: np.ndarray, d_load: np.ndarray) -> np.ndarray:
        return np.array([self._pieces[2] @ d_load])

    def natural(self, theta: np.ndarray) -> sparse.csr_array:
        return theta[0] * self.basis

    def precision_pattern(self) -> tuple[np.ndarray, np.ndarray]:
        return self._lower[:2]

    def precision(self, theta: np.ndarray, out: np.ndarray) -> float:
        out[:] = self._lower[2]
        return self._factor.log_det

    def variance(self, theta: np.ndarray, row: np.ndarray, latent: np.ndarray, value: np.ndarray) -> np.ndarray:
        return self._factor.quadratics(sparse.csr_array((value, (row, latent)), shape=(self.rows.groups, self.latents)))

    def sample(self, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return self._factor.draw(rng.standard_normal(self.latents))

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
    return Intrinsic(setting.name, rows, (sd,), (), graph, _basis(graph, rows.level))


def _basis(graph: Graph, level: np.ndarray) -> sparse.csr_array:
    """Contrasts between regions of a graph, where the data say least about those that are left out."""
    ends, others = np.concatenate([graph.low, graph.high]), np.concatenate([graph.high, graph.low])
    adjacency = sparse.csr_array((np.ones(len(ends)), (ends, others)), shape=(graph.size, graph.size))
    return contrasts(adjacency, graph.components()[1], np.bincount(level, minlength=graph.size))
