r"""Functions of the model's quantities over scenarios: their value at a (theta, x), their derivative in x.

An estimand takes the model to one or more *scenarios* (tables, perhaps changed), reads a quantity of every group
there, averages over groups, and contrasts the averages. A posterior
(:mod:`.base`) makes draws of it, or its standard error.

Effects that the fit has not seen (of new levels, and those of :mod:`.idle`) and those that are to be marginal are
integrated out over their population: what they bring to a group's linear predictor is one Gaussian number, so that the
quantity is

.. math:: E\,g(\eta) = \int g(\eta_0 + s z)\,\varphi(z)\,dz, \qquad
   s^2 = \sum_{\text{unseen}} a^2 + \sum_{\text{marginal}} a'D^{-1}a,

with a the group's loadings (:mod:`micromacro.numerics.mixture`). A median is that of the mixture. Where members combine
in another way than by their sum what they bring is no Gaussian number: there the integral is a mean over seeded draws.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from ..families.base import Quantity
from ..latent.beside import place
from ..model.specification import Specification
from ..numerics.differences import central
from ..numerics.mixture import mixed
from .design import Predictor, Scenario, share_unseen
from .even import coordinates, even_draws
from .idle import Idle, idle_effects
from .scales import transform
from .treatment import AS_ESTIMATED, Treatment

FARTHEST = 700.0  # on the scale of an interval: where a quantity is 0 or 1 but for rounding

PAIRS, SEED = 100, 17  # antithetic pairs of draws of effects that reach a group in another way than by their sum
EVEN = 128  # the same of those that are spread evenly

Slope = Callable[[np.ndarray], tuple[np.ndarray, list[np.ndarray]]]


@dataclass(frozen=True)
class Contrast:
    """How averages of scenarios are set against each other.

    Attributes
    ----------
    of : function
        From averages (scenarios, categories, rows) to a value (categories, rows) and its derivative in each scenario.
    scale : str
        Where the value's interval is made.
    itself : bool
        Whether it is the average of the one scenario itself.
    """

    of: Slope
    scale: str = "plain"
    itself: bool = False


def only(scale: str) -> Contrast:
    """No contrast: the one scenario itself."""
    return Contrast(lambda m: (m[0], [np.ones_like(m[0])]), scale, itself=True)


class Estimand:
    """A contrast of averaged quantities.

    Parameters
    ----------
    specification : Specification
    scenarios : list of Scenario
        The scenarios; all of the same groups.
    quantity : Quantity
    contrast : Contrast
    average : (rows, groups) sparse array
        Weights that sum to one in each row.
    treatment : Treatment
        What is done with the effects of each term.
    """

    def __init__(
        self,
        specification: Specification,
        scenarios: list[Scenario],
        quantity: Quantity,
        contrast: Contrast,
        average: Any,
        treatment: Treatment = AS_ESTIMATED,
    ):
        self.specification = specification
        self.system = specification.system
        self.predictors = [Predictor(p, self.system) for p in share_unseen(scenarios, self.system.size)]
        self.quantity, self.contrast, self.average = quantity, contrast, sparse.csr_array(average)
        self.treatment = treatment
        self.scaled = False
        self._idle: list[Idle] | None = None
        self._even: tuple[np.ndarray, np.ndarray] | None = None
        where = self.predictors[0].where
        self.varying = np.array([treatment.new and treatment.conditional(key[0]) for key in where.unseen], dtype=float)
        self.sampled = self._combined()
        self.curved = quantity.kind != "linear" or self.sampled
        self.reads = np.append(np.ones(self.system.size), self.varying)  # which entries of the extended x count
        for part in treatment.words:
            if not treatment.conditional(part):
                self.reads[self.system.places.effects(part)] = 0.0

    @property
    def fresh(self) -> int:
        """Number of effects that the fit has not seen, over all scenarios (they share them)."""
        return self.predictors[0].where.fresh

    @property
    def unseen(self) -> bool:
        """Whether effects that the fit has not seen add their population's variance."""
        return bool(self.varying.any()) or bool(self._idle)

    @property
    def integrates(self) -> bool:
        """Whether any effects are integrated out."""
        return self.unseen or bool(self.treatment.marginal)

    @property
    def reads_effects(self) -> bool:
        """Whether its value depends on the effects (of a baseline, too)."""
        return bool(self.reads[: self.system.n_effects].any()) or self.system.expansion is not None

    def _combined(self) -> bool:
        """Whether effects are to be integrated of which what they bring to a group is no Gaussian number."""
        parts, treatment = self.predictors[0].where.parts, self.treatment
        keys = {key[0] for key, varies in zip(self.predictors[0].where.unseen, self.varying, strict=True) if varies}
        return any(part.combines and (k in keys or k in treatment.marginal) for k, part in enumerate(parts))

    @property
    def single(self) -> np.ndarray:
        """Which rows are of one group each (rows,)."""
        return np.diff(self.average.indptr) == 1

    def on_scale(self) -> Estimand:
        """The estimand of the quantity on the scale of its interval, averaged over unseen effects there."""
        out = copy.copy(self)
        out.scaled, out.contrast = True, only("plain")
        return out

    # -- values --------------------------------------------------------------------------------------------------------

    def _prepare(self, theta: np.ndarray) -> None:
        """Find the effects that no row of the fit reaches, at any theta."""
        if self._idle is None:
            self._idle = []
            if self.treatment.new and any(p.new for p in self.predictors):
                wanted = np.zeros(len(self.reads), dtype=bool)
                for columns in (c for p in self.predictors for c in p.where.columns):
                    wanted[columns] = True
                self._idle = idle_effects(self.specification, theta, wanted & (self.reads > 0.0))

    def _extended(self, theta: np.ndarray, x: np.ndarray, unseen: np.ndarray | None) -> np.ndarray:
        """The extended x; without unseen effects given, these are at their mean."""
        out = np.concatenate([x, np.zeros(self.fresh) if unseen is None else unseen]) * self.reads
        for idle in (self._idle or ()) if unseen is None else ():
            out[idle.columns] = idle.mean(theta, x)
        return out

    def _spreads(self, predictor: Predictor, unseen: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Standard deviations (groups,) of what marginal effects bring, and of what unseen ones do."""
        none = np.zeros(predictor.where.groups)
        if not self.curved or self.sampled:
            return none, none
        marginal = self.treatment.marginal
        through = np.sqrt(predictor.population_variance(marginal)) if marginal else none
        if not (unseen and self.unseen):
            return through, none
        variance = predictor.unseen_variance(self.varying)
        for idle in self._idle or ():
            loads = predictor.matrix(self.system.size + self.fresh)[:, idle.columns]
            variance += idle.variance(predictor.theta, loads)
        return through, np.sqrt(variance)

    def _owns(self, predictor: Predictor, x: np.ndarray, unseen: bool = True) -> list[tuple[float, np.ndarray]]:
        """The family's own numbers, with weights where marginal and unseen effects in them are integrated out."""
        spreads = []
        if self.specification.several and self.curved:
            for number in range(1, 1 + len(predictor.beside)):
                variance = predictor.population_variance(self.treatment.marginal, number)
                variance += predictor.unseen_variance(self.varying, number) if unseen and self.unseen else 0.0
                spreads.append(np.sqrt(variance))
        if not any(s.any() for s in spreads):
            return [(1.0, predictor.own(self.specification, x))]
        return predictor.owns(spreads)

    def _over(
        self, eta: np.ndarray, spreads: tuple[np.ndarray, np.ndarray], owns: list[tuple[float, np.ndarray]]
    ) -> np.ndarray:  # fmt: skip
        """The quantity (categories, groups) over these numbers of the family."""
        if len(owns) == 1:
            return self._read(eta, spreads, owns[0][1])
        return np.sum([weight * self._read(eta, spreads, own) for weight, own in owns], axis=0)

    def _read(self, eta: np.ndarray, spreads: tuple[np.ndarray, np.ndarray], own: np.ndarray) -> np.ndarray:
        """The quantity (categories, groups), marginal and unseen effects integrated out."""
        marginal, unseen = spreads
        if self.scaled:
            return mixed(self._given_unseen(marginal, own), eta, unseen)
        out = self.quantity.of(eta, own)
        spread = np.hypot(marginal, unseen)
        some = spread > 0.0
        if some.any():
            out = np.array(out)
            out[:, some] = self._mixed(eta[some], spread[some], place(own, some))
        return out

    def _mixed(self, eta: np.ndarray, spread: np.ndarray, own: np.ndarray) -> np.ndarray:
        """The quantity (categories, ..., groups) of a population, eta (..., groups)."""
        together = self.quantity.together
        return mixed(
            lambda e: self.quantity.of(e, own), eta, spread,
            None if together is None else lambda e, weight: together(e, weight, own),
        )  # fmt: skip

    def _given_unseen(self, marginal: np.ndarray, own: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """The quantity as a function of eta with unseen effects; on the scale of its interval where asked for."""

        def of(eta: np.ndarray) -> np.ndarray:
            out = self._mixed(eta, marginal, own)
            if not self.scaled or self.quantity.scale == "plain":
                return out
            with np.errstate(all="ignore"):
                return np.clip(transform(self.quantity.scale, out)[0], -FARTHEST, FARTHEST)

        return of

    def averages(self, theta: np.ndarray, x: np.ndarray, unseen: np.ndarray | None = None) -> np.ndarray:
        """Averages (scenarios, categories, rows); unseen effects integrated out unless they are given."""
        self._prepare(theta)
        out = []
        for predictor in self.predictors:
            if self.sampled and unseen is None:
                etas = np.stack([predictor.eta(theta, e) for e in self._population(theta, x)])
                values = self._over_population(etas, self._owns(predictor, x))
            else:
                eta = predictor.eta(theta, self._extended(theta, x, unseen))
                spreads, owns = self._spreads(predictor, unseen is None), self._owns(predictor, x, unseen is None)
                values = self._over(eta, spreads, owns)
            out.append((self.average @ values.T).T)
        return np.stack(out)

    def _population(self, theta: np.ndarray, x: np.ndarray) -> Iterator[np.ndarray]:
        """Extended x with unseen and marginal effects drawn, the same draws at every theta, in antithetic pairs."""
        rng = np.random.default_rng(np.random.SeedSequence(SEED))
        start = self._extended(theta, x, np.zeros(self.fresh))
        for idle in self._idle or ():
            start[idle.columns] = idle.mean(theta, x)
        entries, points = self._evenly(theta, start)
        for k in range(EVEN):
            step = self._step(theta, rng)
            step[entries] = points[k]
            yield start + step
            yield start - step

    def _evenly(self, theta: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Unseen and marginal effects that are independent of all others (k,), and their draws (EVEN, k)."""
        if self._even is None:
            there = np.append(np.zeros(self.system.size, dtype=bool), self.varying > 0.0)
            places = self.system.places
            for part in self.treatment.marginal:
                structure = self.system.parts[part].structure
                assert structure is not None
                there[places.effects(part)] = structure.standard(theta[places.effect_theta(part)])
            for k, key in enumerate(self.predictors[0].where.unseen):
                there[self.system.size + k] |= key[0] in self.treatment.marginal
            entries, designs = np.flatnonzero(there), []
            for predictor in self.predictors:
                predictor.eta(theta, start)
                designs.append(predictor.matrix(len(start))[:, entries])
            coordinate = coordinates(sparse.vstack(designs, format="csr"))
            some = coordinate >= 0
            points = even_draws(coordinate[some], EVEN) if some.any() else np.empty((EVEN, 0))
            self._even = entries[some], points
        return self._even

    def _step(self, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Unseen and marginal effects drawn from their population, all other entries of an extended x zero."""
        out = np.append(np.zeros(self.system.size), self._unseen_draw(rng))
        unseen = self.predictors[0].where.unseen
        for part in self.treatment.marginal:
            structure, places = self.system.parts[part].structure, self.system.places
            assert structure is not None
            out[places.effects(part)] = structure.sample(theta[places.effect_theta(part)], rng)
            new = self.system.size + np.array([k for k, key in enumerate(unseen) if key[0] == part], dtype=np.int64)
            out[new] = rng.standard_normal(len(new))
        return out

    def _over_population(self, etas: np.ndarray, owns: list[tuple[float, np.ndarray]]) -> np.ndarray:
        """The quantity (categories, groups) of a population with these predictors (draws, groups)."""
        if self.quantity.together is not None and not self.scaled:
            return self.quantity.together(etas, np.full(len(etas), 1.0 / len(etas)), owns[0][1])
        none = np.zeros(etas.shape[1])
        return np.mean([self._over(eta, (none, none), owns) for eta in etas], axis=0)

    def value(self, theta: np.ndarray, x: np.ndarray, unseen: np.ndarray | None = None) -> np.ndarray:
        """The contrast (categories, rows)."""
        with np.errstate(all="ignore"):
            return self.contrast.of(self.averages(theta, x, unseen))[0]

    def drawn(self, theta: np.ndarray, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The contrast with unseen effects drawn from their population."""
        return self.value(theta, x, self._unseen_draw(rng))

    def _unseen_draw(self, rng: np.random.Generator) -> np.ndarray:
        return rng.standard_normal(self.fresh) * self.varying if self.varying.any() else np.zeros(self.fresh)

    def populated(
        self, theta: np.ndarray, x: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        """Linear predictors (groups,) of the first scenario with unseen and marginal effects drawn; own numbers."""
        extended = self._extended(theta, x, np.zeros(self.fresh)) + self._step(theta, rng)
        eta = self.predictors[0].eta(theta, extended)
        return eta, self.predictors[0].own(self.specification, x)

    # -- derivatives and variances -------------------------------------------------------------------------------------

    def slope_in_x(self, theta: np.ndarray, x: np.ndarray) -> Any:
        """Derivative of the value in the extended x: sparse (categories * rows, size + fresh)."""
        outer = self.contrast.of(self.averages(theta, x))[1]
        if self.sampled:
            every = [self._slope_at(theta, x, extended, outer) for extended in self._population(theta, x)]
            total = sum(every[1:], every[0]) / len(every)
        else:
            total = self._slope_at(theta, x, self._extended(theta, x, None), outer)
        return sparse.csr_array(total + self._slope_through_own(theta, x, self.system.size + self.fresh))

    def _slope_at(self, theta: np.ndarray, x: np.ndarray, extended: np.ndarray, outer: list[np.ndarray]) -> Any:
        """Derivative of the value in the extended x at one of them, given those of the contrast in the averages."""
        width = self.system.size + self.fresh
        total: Any = None
        for predictor, outer_slope in zip(self.predictors, outer, strict=True):
            eta = predictor.eta(theta, extended)
            for number, inner in enumerate(self._slopes_in_predictors(predictor, eta, x)):
                matrix = predictor.matrix(width, number) @ sparse.diags_array(self.reads)
                rows = [
                    sparse.diags_array(outer_slope[c]) @ (self.average @ (sparse.diags_array(inner[c]) @ matrix))
                    for c in range(len(inner))
                ]
                block = sparse.vstack(rows, format="csr")
                total = block if total is None else total + block
        return total

    def _slopes_in_predictors(self, predictor: Predictor, eta: np.ndarray, x: np.ndarray) -> list[np.ndarray]:
        """Derivatives (categories, groups) in the linear predictor of the outcome, and in those that have effects."""
        spreads = self._spreads(predictor)
        out = [self._slope_in_eta(eta, spreads, self._owns(predictor, x))]
        if not self.specification.several:
            return out
        for row in predictor.beside:
            at = row.copy()

            def along(h: float, row: np.ndarray = row, at: np.ndarray = at) -> np.ndarray:
                row[:] = at + h
                return self._over(eta, spreads, self._owns(predictor, x))

            out.append(central(along, 1e-5))
            row[:] = at
        return out

    def _slope_in_eta(
        self, eta: np.ndarray, spreads: tuple[np.ndarray, np.ndarray], owns: list[tuple[float, np.ndarray]]
    ) -> np.ndarray:  # fmt: skip
        """Derivative (categories, groups) of what is read in each group's linear predictor."""

        def along(h: float) -> np.ndarray:
            return self._over(eta + h, spreads, owns)

        return central(along, 1e-5)

    def variance_over_unseen(self, theta: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Variance (categories, rows) that unseen effects bring beyond what the slope in them says.

        Of one scenario. A row's variance is that of its groups' means, whose covariances are those of first order.
        """
        predictor = self.predictors[0]
        if self.sampled:  # what the slope in them says is the average over the population already
            return np.zeros(self.averages(theta, x)[0].shape)
        eta = predictor.eta(theta, self._extended(theta, x, None))
        own = predictor.own(self.specification, x)
        spreads = self._spreads(predictor)
        given = self._given_unseen(spreads[0], own)
        middle = mixed(given, eta, spreads[1])
        variance = mixed(lambda e: (given(e) - middle[:, None]) ** 2, eta, spreads[1])
        first = (spreads[1] * self._slope_in_eta(eta, spreads, [(1.0, own)])) ** 2
        return (self.average.power(2) @ (variance - first).T).T

    def _slope_through_own(self, theta: np.ndarray, x: np.ndarray, width: int) -> Any:
        """Derivative in the effects that the family's own numbers are made of (the steps of a baseline)."""
        rows = len(self.value(theta, x).ravel())
        out = sparse.lil_array((rows, width))
        if self.system.expansion is not None and self.curved:
            for k in range(*self.system.places.effects(len(self.system.parts) - 1).indices(len(x))):
                step = np.zeros(len(x))
                step[k] = 1.0
                out[:, [k]] = central(lambda h, s=step: self.value(theta, x + h * s), 1e-5).reshape(-1, 1)
        return out.tocsr()
