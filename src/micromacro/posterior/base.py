"""What is behind a fit: parameters, effects, weights and functions of them, each with its uncertainty.

A posterior is sampled (:mod:`.sampled`: draws) or a maximum with its curvature (:mod:`.maximum`). Whoever holds one
calls it and never asks which it is; what only one of them can give is asked for by :meth:`Posterior.drawn` and
:meth:`Posterior.maximised`, which answer by a :class:`Drawn` or a :class:`Maximised`, or refuse.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from ..effects.base import Effects
from ..engines.base import Draws, Outcome
from ..engines.health import Health
from ..engines.registry import EvidenceMethod, Row, engine_of
from ..errors import EngineError
from ..model.specification import Specification
from ..numerics.differences import slopes
from ..table.memberships import Tables
from ..terms.member.weighing import Block
from .estimand import Estimand
from .hypotheses import at_the_end
from .intervals import Numbers, Words
from .statements import Statement, evaluated

OfTheta = Callable[[np.ndarray], np.ndarray]
Statistic = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Posterior(ABC):
    """Arrays behind a fit; everything that has labels is made from these.

    Parameters
    ----------
    outcome : Outcome
        What the engine returned.
    """

    words: ClassVar[Words]
    r_squared: ClassVar[str]  # whose R squared is the usual one
    wald_note: ClassVar[str]  # what a Wald test is made of, where that is not plain
    instead_of_wald: ClassVar[str]  # what to do where a Wald test does not hold

    def __init__(self, outcome: Outcome):
        self.outcome = outcome

    @property
    def specification(self) -> Specification:
        """The model."""
        return self.outcome.specification

    @property
    def kind(self) -> Row:
        """What the engine says of itself."""
        return engine_of(self.outcome.engine)

    # -- parameters --------------------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def health(self) -> Health:
        """The engine's verdict on the fit."""

    @property
    @abstractmethod
    def estimate(self) -> np.ndarray:
        """Posterior means, or the maximum (parameters,)."""

    @property
    @abstractmethod
    def theta(self) -> np.ndarray:
        """Posterior means of theta, or the maximum (q,)."""

    @property
    @abstractmethod
    def covariance(self) -> np.ndarray:
        """Posterior covariance, or the inverse joint Hessian (parameters, parameters); nan on a boundary."""

    @property
    @abstractmethod
    def sd(self) -> np.ndarray:
        """Posterior sds or standard errors (parameters,)."""

    @property
    @abstractmethod
    def loglik(self) -> float:
        """The maximised log-likelihood; EngineError for draws."""

    @abstractmethod
    def information(self, criterion: str) -> float:
        """The criterion called aic or bic; the number of groups counts as the sample size. EngineError for draws."""

    @property
    @abstractmethod
    def figures(self) -> dict[str, float]:
        """Numbers of the whole fit: loglik, aic and bic where they mean something; draws and the largest r_hat."""

    @property
    @abstractmethod
    def run(self) -> str:
        """How the engine came to it, in brackets, or nothing."""

    @property
    @abstractmethod
    def verdict(self) -> str:
        """How far the run went well, in a few words."""

    @abstractmethod
    def parameters(self, ci: float) -> Numbers:
        """All parameters: equal-tailed intervals, or Wald (on the log scale for positive parameters)."""

    @abstractmethod
    def summary_columns(self, ci: float) -> dict[str, np.ndarray]:
        """The columns of the table of all parameters, in order."""

    # -- what the model is made of -------------------------------------------------------------------------------------

    @abstractmethod
    def effects(self, part: int, ci: float) -> Numbers:
        """Effects of a part on the scale of the linear predictor, in the order of their labels."""

    @abstractmethod
    def weights(self, name: str, ci: float, tables: Tables | None = None) -> Numbers:
        """Weights of a block's memberships, on the tables of the fit or on others."""

    # -- anything else -------------------------------------------------------------------------------------------------

    @abstractmethod
    def estimand(self, estimand: Estimand, ci: float, rng: np.random.Generator, most: int) -> Numbers:
        """An estimand (categories * rows,): at at most `most` draws, or by the delta method.

        The point is the estimand with unseen effects integrated out; the spread is that with these effects varying.
        """

    @abstractmethod
    def responses(self, made: np.ndarray, mean: Estimand | None, trials: np.ndarray, ci: float) -> Numbers:
        """Outcomes of groups, of which draws (draws, groups) were made.

        At a maximum the point is their expected value, `mean` times the numbers of trials (groups,), where it is given.
        """

    @abstractmethod
    def numbers_of(self, function: OfTheta, ci: float, scale: str = "plain", most: int = 1000) -> Numbers:
        """A function (k,) of theta: over at most `most` draws, or by the delta method with intervals on `scale`."""

    @abstractmethod
    def hypothesis(self, statement: Statement, ci: float) -> dict[str, Any]:
        """One row of the table of hypotheses: the difference of the sides and what it says of the statement."""

    def delta_of_statements(self, statements: Sequence[Statement]) -> tuple[np.ndarray, np.ndarray]:
        """Left minus right sides, and their covariance by the delta method; EngineError where one has none."""
        names = self.specification.names

        def differences(values: np.ndarray) -> np.ndarray:
            named = dict(zip(names, values, strict=True))
            return np.array([float(evaluated(s, named)) for s in statements])

        involved = [names.index(n) for n in dict.fromkeys(n for s in statements for n in s.names)]
        return self.delta_of_parameters(differences, involved)

    def boundary_note(self, statement: Statement) -> str:
        """That a statement puts a parameter on its boundary, and what to do instead; nothing where it does not."""
        note = at_the_end(self.specification, statement, self.estimate)
        return f"{note}: {self.instead_of_wald}" if note else ""

    def delta_of_parameters(self, function: OfTheta, places: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """A function (k,) of the parameters at `places` as tables report them: its value and covariance (k, k).

        By the delta method from estimates and their covariance, or from posterior means and theirs.
        """
        at = self.estimate
        steps = 1e-6 * np.maximum(np.maximum(np.abs(at), self.sd), 1e-6)
        slope = slopes(function, at, steps, places)
        return function(at), slope @ np.nan_to_num(self.covariance) @ slope.T

    @abstractmethod
    def numbers_by_draws(
        self, statistic: Statistic, ci: float, rng: np.random.Generator, most: int, effects: bool = True
    ) -> Numbers:
        """A statistic (k,) of (theta, x) that has no simple standard error, over at most `most` draws.

        At a maximum these are draws of the normal approximation, and the point is the statistic at the maximum. A
        statistic that does not read the effects says so by `effects`, and finds zeros there.
        """

    @abstractmethod
    def average(self, statistic: Statistic, most: int) -> np.ndarray:
        """A statistic of (theta, x) averaged over at most `most` draws, or at the maximum."""

    # -- one kind or the other -----------------------------------------------------------------------------------------

    @abstractmethod
    def as_sampled(self, draws: int, rng: np.random.Generator) -> Drawn:
        """Itself, or `draws` draws of the normal approximation at the maximum (one chain)."""

    @abstractmethod
    def drawn(self, refusal: str) -> Drawn:
        """Itself if it has draws, else an EngineError that says `refusal`."""

    def chains(self) -> Drawn:
        """Itself if its draws are chains with the posterior as their limit, else an EngineError."""
        refusal = f'there are no chains in a fit by {self.outcome.engine}: fit with engine="mcmc"'
        if not self.kind.chains:
            raise EngineError(refusal)
        return self.drawn(refusal)

    @property
    def approximate(self) -> bool:
        """Whether it is of draws that are not exact ones of the posterior."""
        return self.kind.draws and not self.kind.exact

    @property
    def evidence_method(self) -> EvidenceMethod:
        """How the log evidence is best found."""
        return self.kind.evidence

    @abstractmethod
    def maximised(self, refusal: str) -> Maximised:
        """Itself if it is a maximum, else an EngineError that says `refusal`."""

    # -- stored and read back ------------------------------------------------------------------------------------------

    @abstractmethod
    def checkpoints(self) -> dict[str, np.ndarray]:
        """Where its density is computed again once it was stored: what tells these points apart, as arrays."""

    @abstractmethod
    def densities_at(self, points: dict[str, np.ndarray]) -> dict[str, float]:
        """The density at such points, by what each value is in words."""

    # -- the parts -----------------------------------------------------------------------------------------------------

    def structure(self, part: int) -> Effects:
        """The effects of a part."""
        return dict(self.specification.structures.values())[part]

    def block(self, name: str) -> tuple[int, Block]:
        """A member block and its number among the parts."""
        for index, part in enumerate(self.specification.system.parts):
            if name in part.blocks:
                return index, part.blocks[name]
        raise KeyError(name)


class Drawn(Posterior):
    """A posterior that has draws."""

    made: Draws

    @property
    @abstractmethod
    def draws(self) -> np.ndarray:
        """All parameters (chain, draw, parameters), natural scale, the intercept at zero covariates."""

    @abstractmethod
    def effect_draws(self, part: int) -> np.ndarray:
        """Effects (chain, draw, effects) on the scale of the linear predictor, in the order of their labels."""

    @abstractmethod
    def weight_draws(self, name: str, most: int = 1000, tables: Tables | None = None) -> np.ndarray:
        """Weights of a block (draws, memberships), on the tables of the fit or on others."""

    @abstractmethod
    def thinned(self, most: int, effects: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """At most `most` evenly spaced draws of (theta, x), chains one after the other, with effects or zeros."""

    @abstractmethod
    def thetas(self, most: int) -> np.ndarray:
        """The theta of :meth:`thinned`, which does not need the effects."""

    @abstractmethod
    def chosen(self, most: int) -> np.ndarray:
        """Which draws :meth:`thinned` gives, counted over all chains."""

    @abstractmethod
    def estimand_draws(self, estimand: Estimand, rng: np.random.Generator, most: int) -> np.ndarray:
        """An estimand at at most `most` draws (draws, categories, rows), its unseen effects drawn, too."""

    @abstractmethod
    def populated(
        self, estimand: Estimand, rng: np.random.Generator, most: int
    ) -> list[tuple[np.ndarray, np.ndarray]]:  # fmt: skip
        """Linear predictors (groups,) and the family's own numbers at at most `most` draws.

        Unseen and marginal effects are drawn.
        """

    @abstractmethod
    def statistics(self, statistic: Statistic, most: int, effects: bool = True) -> np.ndarray:
        """A statistic of (theta, x) at at most `most` draws (draws, k)."""


class Maximised(Posterior):
    """A posterior that is known by the maximum of a likelihood."""

    @property
    @abstractmethod
    def x(self) -> np.ndarray:
        """Effects and coefficients at the maximum (size,), in natural order."""

    @property
    @abstractmethod
    def theta_error(self) -> np.ndarray:
        """Standard errors of theta (q,); zero on a boundary."""

    @property
    @abstractmethod
    def objective(self) -> float:
        """What was maximised: the log-likelihood plus the log density of the priors that were given."""

    @property
    @abstractmethod
    def penalised(self) -> bool:
        """Whether any prior was given."""

    @property
    @abstractmethod
    def scaled(self) -> bool:
        """Whether the likelihood depends on how the weights are scaled (restricted, with estimated weights)."""

    @property
    @abstractmethod
    def free(self) -> int:
        """How many parameters are estimated."""

    @abstractmethod
    def moved_to(self, theta: np.ndarray, x: np.ndarray) -> Maximised:
        """The same fit as if its maximum were elsewhere, to simulate there; its covariance stays what it was."""

    # -- small samples ------------------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def coefficients(self) -> np.ndarray:
        """Which parameters are coefficients in x (parameters,)."""

    @abstractmethod
    def sandwich(self, clusters: np.ndarray, word: str, how: str) -> np.ndarray:
        """Cluster-robust covariance of the coefficients, theta held at the maximum."""

    @abstractmethod
    def adjusted(self) -> np.ndarray:
        """Kenward and Roger's covariance of the coefficients; EngineError where weights are estimated with them."""

    @abstractmethod
    def small_sample_columns(self, ci: float) -> dict[str, np.ndarray]:
        """estimate, se, df, t, p, lower, upper, df_method; other parameters than coefficients have infinite df."""

    @abstractmethod
    def small_sample_hypothesis(self, statement: Statement, ci: float) -> dict[str, Any]:
        """estimate, se, lower, upper; df, t, p (one-sided for an inequality), note."""

    @abstractmethod
    def f_test(self, statements: Sequence[Statement]) -> tuple[float, float]:
        """F of equalities of coefficients, and its denominator's degrees of freedom."""


def weights_there(part: Block, other: Block, theta: np.ndarray) -> np.ndarray:
    """Weights on other tables at the block's theta, with the constant of ``normalize=total`` of the fit."""
    held = other.held(part, theta)
    return held.weights(theta, held.weighing.scratch(gradient=False))
