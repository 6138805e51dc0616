"""Health of a fit: whether the engine converged, and which parameters the data inform."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from ..model.specification import Specification
from ..notes import Note, caution, remark, trouble
from ..parameters import Parameter
from ..table.screen import counted
from .base import Optimum, Outcome
from .edges import STALLED
from .perfect import perfect_draws, perfect_fit
from .signs import of_signed

R_HAT = 1.01
ESS = 400.0
CONTRACTION = 0.5
LEVEL, UNCERTAIN = 0.95, 0.1  # Monte Carlo error of an end of an interval, relative to its width, that is too large
LEAST_DF = 5
LEAST_LEVELS, FEW_LEVELS = 3, 6  # under an sd: below the first it cannot be told, below the second it is known poorly
CERTAIN = 1e-7  # distance from 0 or 1 at which a probability has run off
UNCENTRED = 1e6
RIDGE = 1e-3  # log-likelihood by which maxima far apart must differ not to be one ridge


@dataclass(frozen=True)
class Health:
    """What can be said of how far a fit may be trusted.

    Attributes
    ----------
    notes : tuple of Note
        All that is to be said, each with its ``code``, its ``severity`` and the parameters that it is ``about``.
    contraction : dict
        Of each hyper parameter with a proper prior: 1 - (posterior sd / prior sd)^2 in the coordinate in which the
        prior is standard normal; 0 means that the data said nothing, 1 that they said all. Empty for ml.
    evaluations : int
        How often the search evaluated the likelihood; 0 for draws.
    """

    notes: tuple[Note, ...] = ()
    contraction: dict[str, float] = field(default_factory=dict)
    evaluations: int = 0

    @property
    def ok(self) -> bool:
        """Whether no problem was found."""
        return not self.troubles

    @property
    def troubles(self) -> tuple[Note, ...]:
        """What went wrong, each with what to try."""
        return tuple(n for n in self.notes if n.severity == "trouble")

    @property
    def doubtful(self) -> frozenset[str]:
        """Parameters whose numbers should not be read as they stand; tables mark them."""
        return frozenset(name for note in self.troubles for name in note.about)

    @property
    def remarks(self) -> tuple[Note, ...]:
        """What else to know: zero variances, weakly identified parameters, notes of the engine; cautions too."""
        return tuple(n for n in self.notes if n.severity != "trouble")

    @property
    def cautions(self) -> tuple[Note, ...]:
        """Remarks that users should not overlook."""
        return tuple(n for n in self.notes if n.severity == "caution")

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is worth a warning: all problems in one message, and each caution."""
        return (("; ".join(self.troubles),) if self.troubles else ()) + self.cautions


@dataclass(frozen=True)
class Diagnostics:
    """R-hat, effective sample sizes and Monte Carlo errors of the columns of some draws, each (k,)."""

    r_hat: np.ndarray
    ess_bulk: np.ndarray
    ess_tail: np.ndarray
    mcse_mean: np.ndarray

    def limited(self, draws: int, effective: float) -> Diagnostics:
        """The same of draws that importance weights made: `draws` of them, worth no more than `effective`."""
        more = np.sqrt(max(1.0, draws / effective))
        return Diagnostics(
            self.r_hat,
            np.minimum(self.ess_bulk, effective),
            np.minimum(self.ess_tail, effective),
            more * self.mcse_mean,
        )


def diagnose(draws: np.ndarray) -> Diagnostics:
    """Diagnostics of draws (chain, draw, k): rank-normalised R-hat, bulk and tail ESS (Vehtari et al. 2021).

    R-hat is nan for a single chain; all are nan for a constant column.
    """
    from arviz_stats.base.array import array_stats

    k = draws.shape[-1]
    columns = np.ascontiguousarray(np.moveaxis(draws, -1, 0))
    out = np.full((4, k), np.nan)
    for i, column in enumerate(columns):
        if column.shape[1] < 4 or np.ptp(column) == 0.0:
            continue
        if np.all(np.ptp(column, axis=1) == 0.0):  # every chain stuck, each at its own value
            out[0, i], out[1:3, i], out[3, i] = np.inf, 0.0, np.inf
            continue
        out[0, i] = array_stats.rhat(column, chain_axis=0, draw_axis=1) if len(column) > 1 else np.nan
        out[1, i] = array_stats.ess(column, chain_axis=0, draw_axis=1, method="bulk")
        out[2, i] = array_stats.ess(column, chain_axis=0, draw_axis=1, method="tail", prob=(0.05, 0.95))
        out[3, i] = array_stats.mcse(column, chain_axis=0, draw_axis=1, method="mean")
    return Diagnostics(*out)


def end_errors(draws: np.ndarray, ci: float, copies: np.ndarray | None = None) -> np.ndarray:
    """Monte Carlo standard errors of the ends of equal-tailed intervals of draws (chain, draw, k): (2, k).

    By the order statistics around a quantile, given its own effective sample size (Vehtari et al. 2021); nan for a
    constant column, infinite where every chain is stuck at its own value. For draws that importance weights made,
    `copies` says how many came from the same proposal as each: the fewer proposals lie beyond an end, the larger is its
    error.
    """
    from arviz_stats.base.array import array_stats

    out = np.full((2, draws.shape[-1]), np.nan)
    for i, column in enumerate(np.ascontiguousarray(np.moveaxis(draws, -1, 0))):
        if column.shape[1] < 4 or np.ptp(column) == 0.0:
            continue
        if np.all(np.ptp(column, axis=1) == 0.0):
            out[:, i] = np.inf
            continue
        for side, prob in enumerate((0.5 - 0.5 * ci, 0.5 + 0.5 * ci)):
            out[side, i] = array_stats.mcse(column, chain_axis=0, draw_axis=1, method="quantile", prob=prob)
            if copies is not None:
                beyond = column.ravel() <= np.quantile(column, prob)
                out[side, i] *= math.sqrt(max(1.0, np.mean(copies * (beyond - prob) ** 2) / (prob * (1.0 - prob))))
    return out


def judge(outcome: Outcome, draws: np.ndarray | None, diagnostics: Diagnostics | None) -> Health:
    """Judge a fit.

    Parameters
    ----------
    draws : (chain, draw, parameters) array, optional
        All parameters on their natural scale.
    diagnostics : Diagnostics, optional
        Of the same columns.
    """
    if draws is None or outcome.draws is None:
        assert outcome.optimum is not None
        made, theta = _judge_optimum(outcome), outcome.optimum.theta
    else:
        assert diagnostics is not None
        made, theta = _judge_draws(outcome, draws, diagnostics), outcome.draws.theta.mean(axis=(0, 1))
    return replace(made, notes=(*made.notes, *of_signed(outcome.specification, theta)))


def idle(specification: Specification, zero: np.ndarray) -> dict[str, str]:
    """Correlations that have no meaning because an sd is zero, and that sd.

    Parameters
    ----------
    zero : (q,) bool array
        Entries of theta that are zero, or may be.
    """
    out = {}
    for k, structure in specification.structures.values():
        for own in structure.covariances:
            at_zero, hypers = zero[specification.system.places.effect_theta(k)][own], structure.hypers[own]
            sds = [j for j, p in enumerate(hypers) if p.kind == "sd"]
            pairs = iter([(i, j) for row, i in enumerate(sds) for j in sds[:row]])  # the order of correlations
            for p in hypers:
                gone = [j for j in (next(pairs) if p.kind == "cor" else ()) if at_zero[j]]
                gone = sds if p.kind == "rho" and all(at_zero[j] for j in sds) else gone
                if gone and not p.fixed:
                    out[p.name] = hypers[gone[0]].name
    return out


def _judge_optimum(outcome: Outcome) -> Health:
    optimum = outcome.optimum
    assert optimum is not None
    hypers = outcome.specification.system.hypers
    without = idle(outcome.specification, zero_sds(outcome.specification, optimum.theta))
    troubles = []
    edge = any(note.code == "laplace-edge" and note.severity == "trouble" for note in outcome.notes)
    perfect = perfect_fit(outcome, optimum)
    if not optimum.gradient_norm <= STALLED and not edge and not perfect:
        text = (
            f"the search stopped where the gradient is still {optimum.gradient_norm:.2g}: standardise the covariates, "
            "or give the weight parameters priors"
        )
        troubles.append(trouble("not-converged", text))
    if len(optimum.peaks) > 1 and optimum.peaks[0] - optimum.peaks[1] <= RIDGE:
        text = (
            "several values of theta are equally likely (searches from different starts end far apart at the same "
            "height): the weights are not determined; leave a parameter out or give priors"
        )
        troubles.append(trouble("ridge", text))
    troubles += perfect + too_little(outcome.specification) + _uncentred(outcome.specification)
    troubles += _run_off(outcome.specification, optimum)
    q = len(optimum.theta)
    flat = optimum.lost[:q] & ~optimum.boundary & (not edge)
    variance = np.where(flat, np.nan, np.diag(optimum.covariance)[:q])
    for k, p in enumerate(hypers):
        if p.name in without or not flat[k] or p.kind == "w":  # the engine looks at weights' profiles
            continue
        text = f"the likelihood does not determine {p.name}: give it a prior, or leave it out"
        troubles.append(trouble("flat", text, p.name))
    remarks = list(outcome.notes)
    remarks += [
        remark("not-identified", f"{cor} is not identified: {sd} is zero, so nothing in the model depends on it", cor)
        for cor, sd in without.items()
    ]
    for k, p in enumerate(hypers):
        if p.kind == "sd" and optimum.theta[k] > 0 and variance[k] > (0.5 * optimum.theta[k]) ** 2:
            text = f"{p.name} is close to zero for its standard error: use profile({p.name!r}) for an interval"
            remarks.append(remark("near-zero", text, p.name))
        if p.kind == "nu":
            remarks += _without_variance(p.name, optimum.theta[k : k + 1])
        if p.kind == "aggregate" and not p.fixed and p.guess.proper and not optimum.boundary[k]:
            remarks += _vague_shape(p, float(optimum.theta[k]), float(np.sqrt(variance[k])))
    return Health((*troubles, *remarks), evaluations=optimum.evaluations)


def too_little(specification: Specification) -> list[Note]:
    """Too few residual degrees of freedom, or too few levels under an sd without a proper prior."""
    out, system = [], specification.system
    left = specification.groups - sum(not p.prior.proper for p in system.coefficients)
    if left < LEAST_DF:
        text = (
            f"{left} residual degrees of freedom are left of {specification.groups} {specification.tables.noun}s: "
            "standard errors and intervals are not reliable; leave out terms, or give the coefficients priors"
        )
        out.append(trouble("few-df", text))
    for _, structure in specification.structures.values():
        for k, p in enumerate(structure.hypers):
            count = structure.under(k)
            if p.kind != "sd" or p.fixed or count >= FEW_LEVELS:
                continue
            few = f"{p.name} is the sd of {count} levels only"
            if count < LEAST_LEVELS and not p.prior.proper:
                text = (
                    f"{few}, which do not determine it: give it a prior, or make the levels a factor of the fixed terms"
                )
                out.append(trouble("few-levels", text, p.name))
            else:
                text = f"{few}: its estimate is imprecise, and a prior matters"
                if specification.family.conjugate and system.beside is None and not p.prior.proper:
                    text += "; coefficients are better judged with degrees of freedom: summary(df=True)"
                out.append(remark("few-levels", text, p.name))
    return out


def _uncentred(specification: Specification) -> list[Note]:
    """An outcome whose digits are mostly a constant."""
    if not specification.family.conjugate:
        return []
    y = specification.outcome
    size = float(np.std(y))
    if abs(float(np.mean(y))) > UNCENTRED * size:
        text = (
            f"the outcome's mean is {abs(float(np.mean(y))) / max(size, 1e-300):.1g} times its sd, so that few of its "
            f"digits are left for what differs between {specification.tables.noun}s: subtract a constant"
        )
        return [caution("uncentred", text)]
    return []


def _run_off(specification: Specification, optimum: Optimum) -> list[Note]:
    """Parameters with a linear predictor that are at the end of their range in some groups, unless others tell."""
    out, family, theta = [], specification.family, optimum.theta
    own = specification.own(theta, np.empty(0)) if specification.reading.others else np.empty(0)
    for other in specification.reading.others:
        values = own[specification.own_names.index(other.name)]
        if family.predictors[other.name] == "logit":
            far = (values < CERTAIN) | (values > 1.0 - CERTAIN)
        else:
            far = values > 0.01 * family.limits[other.name][0] if other.name in family.limits else values > math.inf
        if far.any() and not _known_elsewhere(specification, optimum, other.name, ~far):
            names = [p.name for p in specification.parameters if p.name.startswith(f"{other.name}.")]
            text = (
                f"{other.name} has run off to the end of its range in "
                f"{counted(int(far.sum()), specification.tables.noun)}, so the likelihood does not determine its "
                f"coefficients: give them priors, or leave {other.name}= out"
            )
            out.append(trouble("run-off", text, *names))
    return out


def _known_elsewhere(specification: Specification, optimum: Optimum, name: str, near: np.ndarray) -> bool:
    """Whether groups that are not at the end of a parameter's range determine the coefficients of its predictor.

    Their columns (differences of the predictor, which is linear in them) must then be independent within these groups,
    and the estimates must be larger than their standard errors, for a search that runs off stops somewhere.
    """
    row, logit = specification.own_names.index(name), specification.family.predictors[name] == "logit"
    free = [k for k, p in enumerate(specification.system.hypers)
            if p.linear and not p.fixed and p.name.startswith(f"{name}.")]  # fmt: skip

    def predictor(theta: np.ndarray) -> np.ndarray:
        values = np.broadcast_to(specification.own(theta, np.empty(0))[row], near.shape)[near]
        return np.log(values) - (np.log1p(-values) if logit else 0.0)

    if not free or near.sum() < len(free):
        return False
    middle, moves = predictor(optimum.theta), np.eye(len(optimum.theta))
    columns = np.column_stack([predictor(optimum.theta + 1e-3 * moves[k]) - middle for k in free])
    size = np.linalg.norm(columns, axis=0)
    if np.any(size == 0.0) or np.linalg.matrix_rank(columns / size, tol=1e-6) < len(free):
        return False
    se = np.sqrt(np.diag(optimum.covariance)[free])
    return bool(np.all(se > 0.0) and np.any(np.abs(optimum.theta[free]) > se))


def zero_sds(specification: Specification, theta: np.ndarray) -> np.ndarray:
    """Which entries of theta (q,) are sds at zero."""
    sds = np.array([p.kind == "sd" for p in specification.system.hypers], dtype=bool)
    return sds & (theta == 0.0)


def _without_variance(name: str, nu: np.ndarray) -> list[Note]:
    """Degrees of freedom at which Student's t has no variance."""
    if not np.any(nu <= 2.0):
        return []
    where = f"in {np.mean(nu <= 2.0):.0%} of the draws" if len(nu) > 1 else f"({nu[0]:.3g})"
    text = (
        f"{name} is at most 2 {where}, where the outcome has no variance: there the residual's share of it counts "
        "as 1, R squared and the correlation of outcomes as 0"
    )
    return [remark("no-variance", text, name)]


def _vague_shape(p: Parameter, value: float, se: float) -> list[Note]:
    """A shape whose standard error is as wide as what is thought possible beforehand."""
    if not np.isfinite(se):
        return []
    ends = [max(x, 1e-12) if p.positive else x for x in (value - se, value + se)]
    width = 0.5 * (p.guess.to_score(ends[1]) - p.guess.to_score(ends[0]))
    if width < 0.7:
        return []
    text = (
        f"the data say little about the shape {p.name}: its likelihood is nearly flat (standard error {se:.3g}), "
        "which makes the coefficient of its feature uncertain too; fix it at a number, or give it a prior"
    )
    return [remark("vague-shape", text, p.name)]


def _judge_draws(outcome: Outcome, draws: np.ndarray, diagnostics: Diagnostics) -> Health:
    specification = outcome.specification
    assert outcome.draws is not None
    troubles = [trouble("chain-failed", text) for text in outcome.draws.failures]
    troubles += [note for note in too_little(specification) if note.severity == "trouble"]
    small = _near_zero(specification, draws)
    without = idle(specification, np.array([p in small for p in specification.system.hypers], dtype=bool))
    names = np.array(specification.names)
    judged = ~np.isin(names, list(without))  # a correlation without information mixes badly, which is not a problem
    bad = names[judged & (diagnostics.r_hat > R_HAT)]
    if len(bad):
        worst = float(np.nanmax(diagnostics.r_hat[judged]))
        text = (
            f"R-hat above {R_HAT} for {', '.join(bad)} (worst {worst:.3f}): run longer (draws=, tune=) and look at the "
            "trace; the posterior may have several modes"
        )
        troubles.append(trouble("r-hat", text, *bad.tolist()))
    given = np.array([p.fixed for p in specification.parameters], dtype=bool)
    unknown = names[judged & ~np.isfinite(diagnostics.ess_bulk) & ~given]
    if len(unknown):
        text = (
            f"the draws of {', '.join(unknown)} cannot be judged ({draws.shape[1]} per chain, or all the same): "
            "draw more"
        )
        troubles.append(trouble("not-judged", text, *unknown.tolist()))
    troubles += perfect_draws(specification, draws, ~np.isfinite(diagnostics.ess_bulk))
    low = names[judged & ((diagnostics.ess_bulk < ESS) | (diagnostics.ess_tail < ESS))]
    if len(low):
        least = float(np.nanmin(np.minimum(diagnostics.ess_bulk, diagnostics.ess_tail)[judged]))
        text = f"effective sample size below {ESS:.0f} for {', '.join(low)} (least {least:.0f}): draw more (draws=)"
        troubles.append(trouble("few-draws", text, *low.tolist()))
    troubles += _uncertain_ends(draws, names, judged, outcome.copies)
    contraction = contractions(specification, draws)
    remarks = list(outcome.notes)
    if given.any():
        values = ", ".join(f"{p.name} = {p.held:g}" for p in specification.parameters if p.fixed)
        held = [p.name for p in specification.parameters if p.fixed]
        remarks.append(remark("fixed", f"fixed, not estimated: {values}", *held))
    for name, value in contraction.items():
        parameter = next(p for p in specification.parameters if p.name == name)
        if parameter.kind in ("w", "aggregate") and value < CONTRACTION:
            text = (
                f"the data say little about {name}: its posterior sd is {np.sqrt(max(0.0, 1 - value)):.0%} "
                "of its prior's, so the prior matters"
            )
            remarks.append(remark("little-known", text, name))
        elif parameter.kind not in ("w", "aggregate") and value < 0.1 and name not in without:
            text = f"{name} is hardly informed by the data: its posterior is close to its prior"
            remarks.append(remark("little-known", text, name))
    for p in specification.parameters:
        if p.kind == "nu":
            remarks += _without_variance(p.name, draws[..., specification.names.index(p.name)].ravel())
    for p in small:
        low_end = np.quantile(draws[..., specification.names.index(p.name)], 0.025)
        text = f"{p.name} may be zero: its posterior reaches down to {low_end:.3g} (2.5%)"
        remarks.append(remark("near-zero", text, p.name))
    for cor, sd in without.items():
        text = f"{cor} is hardly identified: {sd} may be zero, where it has no meaning (its draws are not judged)"
        remarks.append(remark("not-identified", text, cor))
    return Health((*troubles, *remarks), contraction)


def _uncertain_ends(draws: np.ndarray, names: np.ndarray, judged: np.ndarray, copies: np.ndarray | None) -> list[Note]:
    """Intervals whose ends are known too poorly for their width."""
    tail = 0.5 - 0.5 * LEVEL
    low, high = np.quantile(draws, [tail, 1.0 - tail], axis=(0, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.max(end_errors(draws, LEVEL, copies), axis=0) / (high - low)
    poor = names[judged & (error > UNCERTAIN)]
    if not len(poor):
        return []
    text = (
        f"the ends of the {LEVEL:.0%} intervals of {', '.join(poor)} have Monte Carlo errors of up to "
        f"{float(np.nanmax(error[judged])):.0%} of their width (mcse_lower, mcse_upper in summary()): draw more "
        "(draws=)"
    )
    return [trouble("uncertain-ends", text, *poor.tolist())]


def contractions(specification: Specification, draws: np.ndarray) -> dict[str, float]:
    """Prior-to-posterior contraction of the hyper parameters, in the coordinates of the prior's normal score."""
    out = {}
    for p in specification.system.hypers:
        if not p.prior.proper or p.fixed:
            continue
        values = draws[..., specification.names.index(p.name)].ravel()
        thin = values[:: max(1, len(values) // 500)]
        scores = np.array([p.prior.to_score(float(v)) for v in thin])
        scores = scores[np.isfinite(scores)]
        if len(scores) > 1:
            out[p.name] = float(1.0 - np.var(scores, ddof=1))
    return out


def _near_zero(specification: Specification, draws: np.ndarray) -> list[Parameter]:
    """Standard deviations whose posterior reaches down to zero."""
    out = []
    for p in specification.system.hypers:
        if p.kind != "sd" or p.fixed:
            continue
        values = draws[..., specification.names.index(p.name)].ravel()
        if np.quantile(values, 0.025) < 0.15 * np.median(values):
            out.append(p)
    return out
