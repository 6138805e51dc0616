"""What the likelihood engines share: where searches start, and notes on where they end."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ...latent.marginal.laplace import LaplaceMarginal
from ...model.specification import Specification
from ...notes import Note, caution, remark, trouble
from ...parameters import Parameter
from ...priors import Prior
from ..base import Optimum
from ..coordinates import Coordinates
from ..edges import STALLED
from ..health import RIDGE, idle, zero_sds
from ..progress import SearchProgress
from ..search import Peak
from ..signs import at_edge
from .limits import near_family_limit
from .problem import Problem

LOOKED = 3  # pairs of candidates for further starts that are looked at, for each parameter
MORE = 3  # of which at most so many are searched from
REACH = (0.6, 1.5, 4.0)  # how far away they are, in prior sds or units in which the weights change by a factor of e
FAR = 2.5  # prior sds
WORTH = 1.0  # log-likelihood that a parameter costs by AIC
APART = 0.4  # distance in the coordinates, below which two starts are one
SEARCH = 30.0  # evaluations that a search takes, about
SPARING = 10  # and a sparing one from one start, beside one for each parameter
BUDGET = 2e10  # operations that further starts may cost
SHRINKS = 8  # steps by which sds become smaller where the likelihood does not exist at a start
NEAR_ZERO = 0.25  # of the start of an sd: values below it say that it is about zero


def starting_points(problem: Problem) -> list[np.ndarray]:
    """The default start; where anything non-linear is estimated, the best of further ones.

    Candidates are drawn from the priors, or in units of the coordinates, uphill or downhill from the default start, so
    that they move with the units and the sign of a covariate. Each is looked at once, and the best are kept, as many as
    the work of a search allows. Shapes of features are often two-humped, so each is also begun on either side of its
    middle.
    """
    coordinates = problem.coordinates
    first, usual = coordinates.from_theta(problem.start), coordinates.from_theta(problem.usual)
    if problem.dear:
        first = _rescaled(problem, first)
    first, usual = (where_it_exists(problem, u) for u in (first, usual))
    free = [k for k, p in enumerate(coordinates.hypers) if p.kind in ("w", "aggregate")]
    more = more_starts(problem)
    if not free or not more:
        return [first]
    starts = _best(problem, first, _candidates(problem, free, usual), min(more, 1 + len(free)))
    for k in free:
        p = coordinates.hypers[k]
        if p.kind == "aggregate" and _source(p).proper and more == MORE:
            for score in (-1.5, 1.5):
                start = usual.copy()
                start[k] = _coordinate(coordinates, k, _source(p).from_score(score))
                starts.append(where_it_exists(problem, start))
    return starts


def searching(problem: Problem, visible: bool) -> SearchProgress:
    """Progress of a search to come, where its evaluations take long; it is then announced in words."""
    q = len(problem.coordinates.hypers)
    expected = (1 + more_starts(problem)) * (q + SPARING) + 2 * q + 3
    progress = SearchProgress(expected, visible and problem.dear)
    problem.smooth.tick = progress.tick
    return progress


def more_starts(problem: Problem) -> int:
    """How many further starts may be searched from."""
    return min(MORE, int(BUDGET / (SEARCH * problem.marginal.factor.work)))


def _rescaled(problem: Problem, u: np.ndarray) -> np.ndarray:
    """A start with the sigma that is best given the sds relative to it; sparing searches lose no steps with it."""
    if not problem.coordinates.scaled or not math.isfinite(problem.objective(u)[0]):
        return u
    out = u.copy()
    out[-1] += math.log(problem.marginal.scale(problem.room))
    return out


def where_it_exists(problem: Problem, u: np.ndarray) -> np.ndarray:
    """A start with sds small enough for Laplace's formula: far from zero, effects that combine have several modes."""
    if problem.marginal.exact:
        return u
    sds, out = problem.coordinates.sd, u.copy()
    for _ in range(SHRINKS):
        if math.isfinite(problem.objective(out)[0]):
            return out
        out[sds] *= 0.6
    return u


def _best(problem: Problem, first: np.ndarray, candidates: list[np.ndarray], count: int) -> list[np.ndarray]:
    """A start and the highest candidates, no two of them close to each other."""
    heights = np.array([problem.objective(u)[0] for u in candidates])
    starts = [first]
    for k in np.argsort(np.where(np.isfinite(heights), -heights, np.inf), kind="stable"):
        away = min(float(np.linalg.norm(candidates[k] - u)) for u in starts)
        if len(starts) <= count and away > APART and np.isfinite(heights[k]):
            starts.append(candidates[k])
    return starts


def _candidates(problem: Problem, free: list[int], usual: np.ndarray) -> list[np.ndarray]:
    """Pairs of points on either side of the usual start; that start too, if the user has another."""
    uphill = np.where(problem.objective(problem.inside(usual))[1] < 0.0, -1.0, 1.0)
    rng = np.random.default_rng(np.random.SeedSequence(0))
    out = [] if np.array_equal(problem.start, problem.usual) else [usual]
    for size in np.resize(REACH, LOOKED * min(len(free), 3)):
        direction = rng.standard_normal(len(free)) * uphill[free]
        scores = size * np.sqrt(len(free)) * direction / np.linalg.norm(direction)
        pair = (_candidate(problem.coordinates, free, usual, sign * scores) for sign in (1.0, -1.0))
        out += [problem.inside(u) for u in pair]
    return out


def _candidate(coordinates: Coordinates, free: list[int], first: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The default start with weight parameters and shapes at scores of their priors, or so far from it."""
    out = first.copy()
    for k, score in zip(free, scores, strict=True):
        prior = _source(coordinates.hypers[k])
        own = coordinates.hypers[k].prior.proper or coordinates.hypers[k].kind == "aggregate"
        if own and prior.proper:
            out[k] = _coordinate(coordinates, k, prior.from_score(float(np.clip(score, -FAR, FAR))))
        else:
            out[k] += score
    return out


def _source(p: Parameter) -> Prior:
    """Where starts come from: the prior, or, where that is flat, the one scaled by the data."""
    return p.prior if p.prior.proper else p.guess


def _coordinate(coordinates: Coordinates, k: int, value: float) -> float:
    """The coordinate of a weight parameter or a shape."""
    if coordinates.log[k]:
        return float(np.log(value))
    return float((value - coordinates.middle[k]) / coordinates.spread[k])


def distinct(specification: Specification, coordinates: Coordinates, peaks: list[Peak]) -> list[Peak]:
    """The peaks without those that are no other maximum.

    Two of one height are one where they differ in correlations only that have no meaning, an sd being zero, in how
    near an sd is to zero, or in how near a parameter of the family is to its limit.
    """
    hypers = specification.system.hypers
    names = [p.name for p in hypers]
    points = [coordinates.theta(peak.u) for peak in peaks]
    out: list[int] = []
    for k, point in enumerate(points):
        without = [*idle(specification, zero_sds(specification, point[: len(names)]))]
        without += near_family_limit(specification, point[: len(names)])
        told = np.array([n not in without for n in names] + [True] * (len(point) - len(names)), dtype=bool)
        near = 0.02 + 0.02 * np.abs(point)
        near[: len(names)] += [NEAR_ZERO * p.start if p.kind == "sd" else 0.0 for p in hypers]
        same = (
            abs(peaks[k].value - peaks[j].value) < RIDGE and np.all(np.abs(point - points[j])[told] < near[told])
            for j in out
        )
        if not any(same):
            out.append(k)
    return [peaks[k] for k in out]


def without_breaking(problem: Problem, peaks: list[Peak]) -> tuple[list[Peak], list[Note]]:
    """The peaks at which Laplace's formula holds, if there are any, and what is said of the others.

    Where the curvature of the effects is about to vanish the formula rises without end, and a search stops at the edge
    of such a region with a slope left: no maximum.
    """
    marginal, notes = problem.marginal, []
    if not isinstance(marginal, LaplaceMarginal):
        return peaks, notes
    broken = [p.slope > STALLED and marginal.breaks_down(problem.coordinates.theta(p.u), problem.room) for p in peaks]
    kept = [p for p, gone in zip(peaks, broken, strict=True) if not gone]
    why = "the curvature of the effects nearly vanishes there (they are about to have two modes), and the formula "
    if kept and broken[0]:
        above = peaks[0].value - kept[0].value
        text = (
            f"Laplace's formula is higher by {above:.2f} at the edge of values at which it breaks down: {why}is no "
            'likelihood there; compare with engine="mcmc", which is exact'
        )
        notes.append(remark("laplace-edge", text))
    elif not kept:
        text = (
            f"Laplace's formula breaks down where the search ended: {why}rises without a maximum; estimates are where "
            'it was stopped and have no standard errors: use engine="mcmc", which is exact, or give priors'
        )
        notes.append(trouble("laplace-edge", text, *(p.name for p in marginal.arguments if not p.fixed)))
        kept = [replace(peaks[0], hessian=np.full_like(peaks[0].hessian, np.nan))]
    return kept, notes


def blind_to_idle(specification: Specification, coordinates: Coordinates, peak: Peak) -> Peak:
    """A peak whose curvature is exactly zero in correlations that have no meaning, an sd being zero.

    Rounding leaves a little of it, of which standard errors of any size are made.
    """
    hypers = specification.system.hypers
    theta = coordinates.theta(peak.u)[: len(hypers)]
    without = idle(specification, zero_sds(specification, theta))
    if not without:
        return peak
    hessian = peak.hessian.copy()
    at = [coordinates.place(k) for k, p in enumerate(hypers) if p.name in without]
    hessian[at] = hessian[:, at] = 0.0
    return replace(peak, hessian=hessian)


def several(specification: Specification, coordinates: Coordinates, peaks: list[Peak]) -> list[Note]:
    """Local maxima; one that lies lower by less than a parameter is thought to be worth is described."""
    if len(peaks) < 2 or peaks[0].value - peaks[1].value <= RIDGE:
        return []
    gaps = ", ".join(f"{peaks[0].value - p.value:.2f}" for p in peaks[1:])
    text = f"{len(peaks)} local maxima were found; the others lie lower by {gaps}"
    if peaks[0].value - peaks[1].value > WORTH:
        return [remark("several-maxima", text)]
    hypers = specification.system.hypers
    here, there = (coordinates.theta(p.u)[: len(hypers)] for p in peaks[:2])
    moved = np.abs(peaks[0].u - peaks[1].u)[: len(coordinates.free)]
    order = [int(coordinates.free[k]) for k in np.argsort(-moved) if moved[k] > 0.1][:3]
    shown = ", ".join(f"{hypers[k].name} = {there[k]:.3g} (here {here[k]:.3g})" for k in order)
    text += (
        f", the next at {shown}: the data hardly prefer one to the other, and standard errors are those of the highest "
        "alone; look at both (start=), or give priors"
    )
    return [remark("several-maxima", text, *(hypers[k].name for k in order))]


def remarks(specification: Specification, optimum: Optimum, restricted: bool, limits: list[Note]) -> list[Note]:
    """What is to be said of an optimum: boundaries and limits, a flat likelihood, what reml means."""
    notes = [*limits]
    hypers = specification.system.hypers
    zero = [p.name for p, at in zip(hypers, optimum.boundary, strict=True) if at and p.kind == "sd"]
    if zero:
        text = f"estimated as zero, on the boundary: {', '.join(zero)} (no standard error)"
        notes.append(remark("boundary", text, *zero))
    edges = at_edge(specification, optimum)
    notes += edges
    told_of = {"sd": zero, "w": [name for note in edges for name in note.about]}
    limited = [name for note in limits for name in note.about]
    others = [
        p.name
        for p, at in zip(hypers, optimum.boundary, strict=True)
        if at and p.name not in (*told_of.get(p.kind, []), *limited)
    ]
    if others:
        notes.append(remark("boundary", f"at the end of its range: {', '.join(others)} (no standard error)", *others))
    q = len(hypers)
    without = idle(specification, zero_sds(specification, optimum.theta))
    told = np.array([p.name not in without for p in hypers], dtype=bool)
    if np.any(optimum.lost[:q] & ~optimum.boundary & told) and optimum.gradient_norm <= STALLED:
        notes.append(remark("flat", "the likelihood is flat at its maximum: standard errors are not available (nan)"))
    if restricted and specification.weight_parameters:
        text = (
            "REML with estimated weights depends on how the weights are scaled: use ml to estimate weights; no AIC, "
            "BIC or likelihood-ratio test from this fit"
        )
        notes.append(caution("reml-weights", text, *(p.name for p in specification.weight_parameters)))
    if restricted and any(p.prior.proper and not p.fixed for p in specification.system.coefficients):
        text = "coefficients with a prior are integrated under that prior, not under a flat one"
        notes.append(remark("reml-priors", text))
    given = [p for p in specification.parameters if p.fixed]
    if given:
        values = ", ".join(f"{p.name} = {p.held:g}" for p in given)
        notes.append(remark("fixed", f"fixed, not estimated: {values}", *(p.name for p in given)))
    return notes
