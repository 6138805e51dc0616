"""What the likelihood engines share: where searches start, and notes on where they end."""

from __future__ import annotations

import numpy as np

from ...model.specification import Specification
from ...notes import Note, caution, remark
from ...parameters import Parameter
from ...priors import Prior
from ..base import Optimum
from ..coordinates import Ratios, Steps
from ..health import RIDGE, idle, zero_sds
from ..search import Peak


def starting_points(coordinates: Ratios | Steps, point: np.ndarray) -> list[np.ndarray]:
    """The default start; where anything non-linear is estimated, further ones from its prior.

    Shapes of features are often two-humped, so each is also begun on either side of its middle.
    """
    first = coordinates.from_theta(point)
    starts = [first]
    free = [k for k, p in enumerate(coordinates.hypers) if p.kind in ("w", "aggregate")]
    if free:
        rng = np.random.default_rng(np.random.SeedSequence(0))
        for _ in range(3):
            start = first.copy()
            for k in free:
                prior = _source(coordinates.hypers[k])
                value = float(prior.sample(rng)) if prior.proper else float(rng.standard_normal())
                start[k] = _coordinate(coordinates, k, value)
            starts.append(start)
    for k in free:
        p = coordinates.hypers[k]
        if p.kind == "aggregate" and _source(p).proper:
            for score in (-1.5, 1.5):
                start = first.copy()
                start[k] = _coordinate(coordinates, k, _source(p).from_score(score))
                starts.append(start)
    return starts


def _source(p: Parameter) -> Prior:
    """Where starts come from: the prior, or, where that is flat, the one scaled by the data."""
    return p.prior if p.prior.proper else p.guess


def _coordinate(coordinates: Ratios | Steps, k: int, value: float) -> float:
    """The coordinate of a weight parameter or a shape."""
    if coordinates.log[k]:
        return float(np.log(value))
    return float((value - coordinates.middle[k]) / coordinates.spread[k])


def distinct(specification: Specification, coordinates: Ratios | Steps, peaks: list[Peak]) -> list[Peak]:
    """The peaks without those that differ in correlations only that have no meaning, an sd being zero."""
    names = [p.name for p in specification.system.hypers]
    points = [coordinates.theta(peak.u) for peak in peaks]
    out: list[int] = []
    for k, point in enumerate(points):
        without = idle(specification, zero_sds(specification, point[: len(names)]))
        told = np.array([n not in without for n in names] + [True] * (len(point) - len(names)), dtype=bool)
        same = (
            abs(peaks[k].value - peaks[j].value) < RIDGE and np.allclose(point[told], points[j][told], atol=0.02)
            for j in out
        )
        if not without or not any(same):
            out.append(k)
    return [peaks[k] for k in out]


def remarks(specification: Specification, optimum: Optimum, restricted: bool) -> list[Note]:
    """What is to be said of an optimum: boundaries, several maxima, a flat likelihood, what reml means."""
    notes = []
    hypers = specification.system.hypers
    zero = [p.name for p, at in zip(hypers, optimum.boundary, strict=True) if at and p.kind == "sd"]
    if zero:
        text = f"estimated as zero, on the boundary: {', '.join(zero)} (no standard error)"
        notes.append(remark("boundary", text, *zero))
    others = [p.name for p, at in zip(hypers, optimum.boundary, strict=True) if at and p.kind != "sd"]
    if others:
        notes.append(remark("boundary", f"at the end of its range: {', '.join(others)} (no standard error)", *others))
    if len(optimum.peaks) > 1 and optimum.peaks[0] - optimum.peaks[1] > RIDGE:
        gaps = ", ".join(f"{optimum.peaks[0] - p:.2f}" for p in optimum.peaks[1:])
        text = f"{len(optimum.peaks)} local maxima were found; the others lie lower by {gaps}"
        notes.append(remark("several-maxima", text))
    q = len(hypers)
    without = idle(specification, zero_sds(specification, optimum.theta))
    told = np.array([p.name not in without for p in hypers], dtype=bool)
    if np.any(optimum.lost[:q] & ~optimum.boundary & told):
        notes.append(remark("flat", "the likelihood is flat at its maximum: standard errors are not available (nan)"))
    if restricted and specification.weight_parameters:
        text = (
            "REML with estimated weights depends on how the weights are scaled: use ml to estimate weights; no AIC, "
            "BIC or likelihood-ratio test from this fit"
        )
        notes.append(caution("reml-weights", text, *(p.name for p in specification.weight_parameters)))
    if restricted and any(p.prior.proper for p in specification.system.coefficients):
        text = "coefficients with a prior are integrated under that prior, not under a flat one"
        notes.append(remark("reml-priors", text))
    given = [p for p in hypers if p.fixed]
    if given:
        values = ", ".join(f"{p.name} = {p.start:g}" for p in given)
        notes.append(remark("fixed", f"fixed, not estimated: {values}", *(p.name for p in given)))
    return notes
