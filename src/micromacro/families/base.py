"""What a family says about itself.

Whoever holds a family calls it and never asks which one it is: everything that readers want to know of a distribution
is an attribute or a method here, with a default where one is honest. A family of one's own is a subclass of
:class:`Family` (of :class:`~micromacro.families.durations.Duration` for durations) under any name.

Rows and groups
---------------
Most families have one row of the linear predictor per group. A family that needs others (``expands``) lays them out in
``expand``: which group each row repeats, what its kernel reads there, and a part of its own with entries of rows.
``cox`` has a row for each group and then one for each interval, whose curvatures meet in pairs. Everything below the
families (modes, Laplace, the sampler) works on rows; what is asked of a group (means, simulated outcomes) gets the
family's numbers as ``own``.

Several linear predictors
-------------------------
A model of the spread (``sigma="~ x"``) or of zeros has its coefficients in theta (:mod:`micromacro.latent.beside`):
given theta the family's parameters are numbers, one for each group, and `own` is an array (parameters, groups).
Families whose methods take such an array name the parameters in ``predictors``.

Units that read several rows
----------------------------
Where the log density of a unit depends on several rows, the expansion that ``expand`` returns says which (``blocks``),
and ``slopes`` fills what belongs to rows and then what to pairs of rows of a unit: see ``latent.blocks.Together``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ..errors import EngineError
from ..latent.expansion import Expansion
from ..notes import Note
from ..numerics.exposure import Exposure
from ..numerics.roots import falling_root
from ..parameters import Parameter, PriorBook
from .intervals import Intervals
from .recession import Recession
from .response import Limits, Raw, Response, Sets
from .words import Worded

FAR = 100.0  # how far from eta its likeliest value is searched for; on links other than the identity
Of = Callable[[np.ndarray, np.ndarray], np.ndarray]
SdsOf = Mapping[str, Callable[[np.ndarray], np.ndarray]]


@dataclass(frozen=True)
class Quantity:
    """A function of the linear predictor and of the family's parameters.

    Attributes
    ----------
    kind : str
    of : function
        From eta (..., groups) and the family's own parameters to (categories, ..., groups); one category unless the
        quantity has several values per group.
    categories : tuple of str
        Their names; empty where there is one value per group.
    scale : str
        Where intervals are made: ``plain``, ``log`` or ``logit``.
    slope : function, optional
        Of a quantity of one group that the linear predictors of others move: its derivative, from eta (groups,) and the
        family's parameters to a sparse (groups, groups) array.
    alone, alone_slope : function, optional
        The same where each group changes alone: from eta (..., groups), the parameters, and the eta of all groups as
        they are otherwise. Its derivatives are in the group's own eta (groups,) and in the others' (groups, groups).
    together : function, optional
        What is made of a population whose eta vary, where it is not the mean of `of`: from eta (nodes, ..., groups),
        the nodes' weights (nodes,) and the family's parameters to (categories, ..., groups).
    """

    kind: str
    of: Of
    categories: tuple[str, ...] = ()
    scale: str = "plain"
    together: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray] | None = None
    slope: Callable[[np.ndarray, np.ndarray], Any] | None = None
    alone: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray] | None = None
    alone_slope: Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, Any]] | None = None


@dataclass(frozen=True, eq=False)
class Expanded:
    """What a family makes of an outcome whose rows are not its groups.

    Attributes
    ----------
    family : Family
        The family with what it has learned from the outcome (cut points).
    rows : Expansion
    values : (c, rows) array
        Rows as the family's kernel reads them.
    notes : tuple of Note
        Remarks for `explain()`.
    intervals : Intervals or None
        Of a baseline hazard.
    plain : function or None
        Makes the same with rows that stand for themselves, where the likelihood of a row of a group reads others too.
    pairs : int
        How many rows these would be.
    """

    family: Family
    rows: Expansion
    values: np.ndarray
    notes: tuple[Note, ...] = ()
    intervals: Intervals | None = None
    plain: Callable[[], Expanded] | None = None
    pairs: int = 0


class Family(Worded):
    """A distribution of the outcome given the linear predictor eta.

    A family is one file. Its numbers come from two sources that the tests hold together: ``slopes``, a Numba
    kernel, and ``log_density``, the same density written plainly for NumPy and JAX alike. To be supplied: ``name``,
    ``link``, and the methods that raise NotImplementedError here.

    Attributes
    ----------
    name, link : str
        For people to read; nothing is decided by the name.
    no_intercept : str or None
        Why the family has no intercept, where it has none.
    cancels : str
        What is wrong with a term that is the same within every set of groups, where there are sets.
    conjugate : bool
        Whether the outcome is Gaussian given eta, so that the marginal likelihood of theta is exact.
    discrete : bool
        Whether it gives probabilities; else densities, which depend on the outcome's unit.
    durations : bool
        Whether outcomes are durations: ``cumulative_hazard`` is there, and outcomes may be censored and enter late.
    nominal : bool
        Whether outcomes are categories without an order, whose numbers have no mean.
    several : str
        Where an outcome depends on more than one linear predictor: on which. What is said of it by one number does not
        exist then.
    quantities : tuple of str
        What can be said of an outcome beside its linear predictor: ``mean``, ``median``, ``probability``, ``zero``.
    residuals : tuple of str
        Kinds of residuals: ``response``, ``pearson``, ``deviance``, ``quantile``, ``martingale``.
    ratios : tuple of str
        Contrasts that differences of :meth:`log_ratio` give: ``hazard_ratio``, ``time_ratio``.
    expands : bool
        Whether rows of the linear predictor are not the groups, or stand together: ``expand`` is there.
    has_baseline : bool
        Whether ``expand`` brings a baseline hazard: its parameters stand at mean covariates.
    kinked : bool
        Whether derivatives of its density in the linear predictor jump.
    centred : bool
        Whether columns are centred although there is no intercept: something is in its place, or it cancels.
    ordered : bool
        Whether its parameters are cuts between categories, which ``nominal()`` may let depend on covariates.
    predictors : mapping
        Parameters that may have a linear predictor of their own, and its link (``log``, ``logit``). Wherever a method
        takes the parameters as `own`, those of such a model are an array (parameters, groups).
    limits : mapping
        Classes of its parameters that may diverge, the distribution becoming a simpler one: the value at which that is
        reached, and what to say of it (``{name}`` stands for the parameter).
    residual_sd : mapping
        Of a parameter that scatters the outcome: from its values to the residual's sd, about, on the link scale.
    stable : bool
        Whether the model of another outcome of the same groups has the same parameters.
    """

    name: str
    link: str
    no_intercept: str | None = None
    cancels: str = ""
    limits: ClassVar[Mapping[str, tuple[float, str]]] = {}
    residual_sd: ClassVar[SdsOf] = {}
    conjugate: bool = False
    discrete: bool = False
    durations: bool = False
    nominal: bool = False
    several: str = ""
    quantities: tuple[str, ...] = ("mean",)
    residuals: tuple[str, ...] = ("response", "pearson", "deviance", "quantile")
    ratios: tuple[str, ...] = ()
    expands: bool = False
    has_baseline: bool = False
    kinked: bool = False
    centred: bool = False
    ordered: bool = False
    predictors: ClassVar[Mapping[str, str]] = {}

    @property
    def stable(self) -> bool:
        return True

    # -- the outcome and its parameters ------------------------------------------------------------------------------

    def read(self, raw: Raw) -> Response:
        """Check the outcome and lay it out for the kernel; DataError for outcomes the family cannot have."""
        raise NotImplementedError(f"family {self.name} has no read()")

    def scale(self, response: Response, offset: np.ndarray) -> tuple[float, float]:
        """Spread and centre of the outcome on the link scale, for default priors and starts."""
        raise NotImplementedError(f"family {self.name} has no scale()")

    def parameters(self, book: PriorBook, scale: float, flat: bool, response: Response) -> tuple[Parameter, ...]:
        """The family's own parameters; they are the last entries of theta."""
        return ()

    def copies(self, response: Response) -> tuple[str, ...]:
        """Names of its linear predictors, where it has several that are made of the same terms each; else none."""
        return ()

    def possible(self, own: np.ndarray) -> bool:
        """Whether the parameters (parameters,), or those of all groups (parameters, groups), are in their domain."""
        return True

    def known(self, response: Response) -> Limits:
        """Between what each outcome is known to lie, on the scale of :meth:`simulate`."""
        return Limits(response.observed, response.observed)

    def trials(self, values: np.ndarray) -> np.ndarray | None:
        """Trials (groups,) of which `simulate` counts successes; None where outcomes are not counts of successes."""
        return None

    def with_trials(self, trials: np.ndarray) -> np.ndarray:
        """What `simulate` reads of groups of which the trials alone are known."""
        raise NotImplementedError(f"family {self.name} has no trials")

    def with_sets(self, sets: Sets) -> np.ndarray:
        """What `simulate` reads of groups of which it is known only what they are alternatives to."""
        raise NotImplementedError(f"family {self.name} has no sets")

    # -- density -----------------------------------------------------------------------------------------------------

    def slopes(self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, out: np.ndarray) -> None:
        """Fill out (4, groups): log density of each outcome, its two derivatives in eta, and a positive curvature.

        The last row is minus the second derivative where that is never negative, else some positive stand-in.
        """
        raise NotImplementedError(f"family {self.name} has no slopes()")

    def densities(self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, out: np.ndarray) -> None:
        """Fill the first line of what :meth:`slopes` fills; the others may be anything."""
        self.slopes(values, eta, own, out)

    def log_density(self, values: Any, eta: Any, own: Any, xp: Any = np, special: Any = None) -> Any:
        """Log density of each outcome (groups,), in the functions of `xp` (numpy or jax.numpy) and `special`."""
        raise NotImplementedError(f"family {self.name} has no log_density()")

    def group_density(self, values: Any, eta: Any, own: Any, xp: Any = np, special: Any = None) -> Any:
        """Log density of each group (groups,), plainly; eta (groups,) is the sum of the formula's terms."""
        return self.log_density(values, eta, own, xp, special)

    def weighed(self, values: np.ndarray, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
        """What the kernel reads, powers of the rows put in where it has to know them; and what is left of these."""
        return values, weight

    def exposure(self, values: np.ndarray) -> Exposure | None:
        """Who is at risk when, where curvatures are of pairs of rows (see ``latent.coupling.Coupled``)."""
        return None

    def without_own(self, values: np.ndarray) -> Any:
        """The likelihood of the groups alone, what its other rows have integrated out; None where that is not known.

        See ``latent.pooled.PooledLikelihood``; `values` have the powers of the rows in them.
        """
        return None

    def stacked_slopes(self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, out: np.ndarray) -> bool:
        """What ``stacked.Stacked`` fills, where it is known: `eta` are all linear predictors (predictors * groups,)."""
        return False

    def stacked_skew(
        self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, leverage: np.ndarray, out: np.ndarray
    ) -> bool:  # fmt: skip
        """The same of :meth:`skew`."""
        return False

    def skew(
        self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, leverage: np.ndarray, out: np.ndarray
    ) -> bool:  # fmt: skip
        """Third derivatives where units read several rows (see ``latent.blocks.Together``); by default differences."""
        return False

    def number_slopes(
        self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, leverage: np.ndarray, row: np.ndarray,
        out: np.ndarray,
    ) -> np.ndarray | None:  # fmt: skip
        """Derivatives in the numbers that parts fill (see ``latent.blocks.Together``); by default differences."""
        return None

    def recession(self, values: np.ndarray, own: int) -> Recession:
        """What changes of the linear predictor take nothing from a row, however large; see :class:`Recession`.

        Parameters
        ----------
        values : (c, rows) array
            Rows as the kernel reads them.
        own : int
            How many parameters the family has.
        """
        neither = np.zeros(values.shape[1], dtype=bool)
        return Recession.of_ends(neither, neither, own)

    # -- moments and quantities --------------------------------------------------------------------------------------

    def mean(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        """Expected outcome (response scale) at eta (..., groups); `values` where it depends on them (trials)."""
        raise NotImplementedError(f"family {self.name} has no mean()")

    def variance(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        """Variance of an outcome around :meth:`mean` (response scale), at eta (..., groups); as `mean` otherwise."""
        raise EngineError(f"the variance of an outcome of family {self.name} is not known")

    def link_variance(self, own: np.ndarray, mean: float) -> np.ndarray | float | None:
        """Variance of the outcome around eta on the link scale, at a mean outcome; None where none is agreed on."""
        return None

    def median(self, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Median outcome at eta (..., groups)."""
        raise NotImplementedError(f"family {self.name} has no median()")

    def median_of(self, eta: np.ndarray, weight: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Median outcome of a population whose eta (nodes, ..., groups) have these weights (nodes,).

        The default is for outcomes that are symmetric around a function of eta: in the mixture they are, too.
        """
        return self.median(np.tensordot(weight, eta, axes=1), own)

    def zero(self, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Probability that an outcome is zero, at eta (..., groups)."""
        raise NotImplementedError(f"family {self.name} has no zero()")

    def probabilities(self, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Probability of each category (categories, ...) at eta (...); one row is that of a success."""
        return self.mean(eta, own, None)[None]

    @property
    def mean_scale(self) -> str:
        """Where intervals of an expected outcome are made: ``plain``, ``log`` (positive) or ``logit`` (shares)."""
        if self.link in ("logit", "probit", "cloglog"):
            return "logit"
        return "log" if self.link == "log" else "plain"

    def quantity(self, kind: str, response: Response) -> Quantity | None:
        """The quantity of that name; None where it has no meaning."""
        if kind == "linear":
            return Quantity(kind, lambda eta, _: eta[None])
        if kind not in self.quantities:
            return None
        if kind == "median":
            return Quantity(
                kind, lambda eta, own: self.median(eta, own)[None], scale=self.mean_scale,
                together=lambda eta, weight, own: self.median_of(eta, weight, own)[None],
            )  # fmt: skip
        if kind == "zero":
            return Quantity(kind, lambda eta, own: self.zero(eta, own)[None], scale="logit")
        if kind == "probability":
            return Quantity(kind, self.probabilities, response.categories, "logit")
        return Quantity(kind, lambda eta, own: self.mean(eta, own, None)[None], scale=self.mean_scale)

    def log_ratio(self, word: str, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        """What differs by the log of a ratio (one of ``ratios``) between two linear predictors."""
        raise NotImplementedError(f"family {self.name} has no {word}")

    # -- residuals ---------------------------------------------------------------------------------------------------

    def pearson(self, response: Response, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Outcomes less their mean, over their standard deviation (groups,); nan where an outcome was not seen."""
        seen, weight, values = self.known(response).exact, np.sqrt(response.weight), response.values
        away = weight * (response.observed - self.mean(eta, own, values))
        return np.where(seen, away / np.sqrt(self.variance(eta, own, values)), np.nan)

    def deviance(self, response: Response, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Signed roots of each outcome's contribution to the deviance (groups,).

        The contribution is twice what its log density is below the highest at any eta, times :meth:`dispersion`; it is
        positive where a larger eta would be likelier.
        """
        values, room = response.values, np.empty((4, len(eta)))
        self.slopes(values, eta, own, room)
        density, sign = room[0].copy(), np.sign(room[1])
        gap = np.maximum(self.highest(values, eta, own) - density, 0.0)
        out = sign * np.sqrt(2.0 * self.dispersion(own) * response.weight * gap)
        return np.where(np.isnan(response.observed), np.nan, out)

    def highest(self, values: np.ndarray, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        """The highest log density of each outcome (groups,), whatever its eta."""
        room = np.empty((4, len(eta)))

        def score(at: np.ndarray) -> np.ndarray:
            self.slopes(values, at, own, room)
            return room[1].copy()

        with np.errstate(all="ignore"):
            best = self.likeliest(values)
            best = falling_root(score, eta - FAR, eta + FAR) if best is None else best
            self.slopes(values, best, own, room)
        return room[0]

    def likeliest(self, values: np.ndarray) -> np.ndarray | None:
        """The eta (groups,) at which each outcome is likeliest, where it is known; else it is searched for."""
        return None

    def dispersion(self, own: np.ndarray) -> np.ndarray | float:
        """What scales log densities apart from their mean: sigma squared, 1 / shape."""
        return 1.0

    def tails(self, response: Response, eta: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities (groups,) of an outcome below what was seen of each, and above it."""
        raise EngineError(f"quantile residuals of family {self.name} are not known: it does not say its tails")

    def martingale(self, response: Response, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Events less the cumulative hazard over the time at risk (groups,)."""
        raise NotImplementedError(f"family {self.name} has no durations")

    # -- simulation --------------------------------------------------------------------------------------------------

    def simulate(
        self, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator, values: np.ndarray | None
    ) -> np.ndarray:
        """Draw outcomes."""
        raise NotImplementedError(f"family {self.name} has no simulate()")

    def draw(self, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator, values: np.ndarray) -> np.ndarray:
        """Replicated outcomes (groups,); durations given that they last until their entry."""
        entry = self.entry(values)
        if entry is None or not entry.any():
            return self.simulate(eta, own, rng, values)
        made = self.simulate_after(eta, own, rng, entry)
        return np.maximum(made, np.nextafter(entry, np.inf))  # whatever rounding does

    def redraw(self, response: Response, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator) -> Response:
        """A replicated outcome, observed as this one was: the same trials, entry, censoring and weights."""
        made = self.simulate(eta, own, rng, response.values)
        return self.again(response, "plain", made)

    def again(self, response: Response, form: str, *columns: np.ndarray, **how: Any) -> Response:
        """A simulated outcome as the family reads it, with the weights of the one that it replaces."""
        ids = np.arange(len(response.weight))
        return replace(self.read(Raw(form, columns, "the simulated outcome", ids, **how)), weight=response.weight)

    # -- durations ---------------------------------------------------------------------------------------------------

    def entry(self, values: np.ndarray) -> np.ndarray | None:
        """Times (groups,) until which outcomes are known to last, zero without one; None of other outcomes."""
        return None

    def simulate_after(
        self, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator, entry: np.ndarray
    ) -> np.ndarray:
        """Draw outcomes (..., groups) that are known to last until `entry` (groups,)."""
        raise NotImplementedError(f"family {self.name} has no durations")

    def mean_after(self, eta: np.ndarray, own: np.ndarray, entry: np.ndarray) -> np.ndarray:
        """Expected outcome (..., groups) of groups that are known to last until `entry` (groups,)."""
        raise NotImplementedError(f"family {self.name} has no durations")

    def cumulative_hazard(self, times: np.ndarray, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Cumulative hazard (..., times) at times (times,) from zero on and eta (...,)."""
        raise NotImplementedError(f"family {self.name} has no durations")

    # -- other models ------------------------------------------------------------------------------------------------

    def nests(self, smaller: Family) -> str | None:
        """Whether a model of another family is within one of this; None if not.

        Returns
        -------
        str or None
            The parameter that is infinite under the smaller family, ``""`` if there is none.
        """
        same = type(self) is type(smaller) or self.name == smaller.name
        return "" if same and self.link == smaller.link else None

    def settled(self) -> Family:
        """The family for models of other outcomes of the same groups: what it has learned (cut points) stays."""
        return self

    @property
    def plain(self) -> Family:
        """The family as it is given, without what it has learned."""
        return self

    def own_of(self, own: np.ndarray, strata: np.ndarray | None, values: np.ndarray) -> np.ndarray:
        """Its own numbers of groups in some strata (those of `values` where None), from the numbers (..., k) in x."""
        return own

    def hazards_of(self, own: np.ndarray) -> np.ndarray:
        """The log hazards (intervals,) of all baselines, from its own numbers."""
        return own

    def expand(self, response: Response, offset: np.ndarray, book: PriorBook, flat: bool, what: str) -> Expanded:
        """Lay out the rows, where the family ``expands``; `what` is the outcome's text, for messages."""
        raise NotImplementedError(f"family {self.name} has one row per group")

    def sentences(self, outcome: str, own: Sequence[str], expanded: Expanded | None) -> list[str]:
        """The distribution of the outcome in words, for ``explain()``; `own` are names of the family's parameters."""
        inside = "eta[i]" if self.link == "identity" else f"{self.link} link of eta[i]"
        return [f"{outcome}[i] ~ {self.name}({', '.join([inside, *own])})"]
