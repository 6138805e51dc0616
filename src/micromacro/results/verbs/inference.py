"""Likelihood-ratio tests and profile intervals of fits by maximum likelihood."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from ...errors import EngineError, ModelError
from ...model.specification import Specification
from ...notes import Note, caution, remark
from ...posterior.base import Maximised, Posterior
from ...terms.member.weighing import Block
from ..outcomes import matched, outcomes_of, same_multiset


@dataclass(frozen=True)
class LikelihoodRatio:
    """A likelihood-ratio test of a smaller model within a larger one.

    Attributes
    ----------
    statistic : float
        Twice the difference of the log-likelihoods.
    df : int
        Parameters that the smaller model leaves out.
    p : float
        From chi-squared(df), or from the mixture where `boundary` parameters are at a bound under the smaller model.
    boundary : int
        Parameters at their bound under the smaller model: sds at zero, `phi` or `nu` at infinity (poisson within
        negative_binomial, gaussian within student).
    notes : tuple of Note
        What else to know; a caution says that the p-value may mean nothing.
    """

    statistic: float
    df: int
    p: float
    boundary: int
    notes: tuple[Note, ...] = ()

    @property
    def note(self) -> str:
        """All notes as one text."""
        return "; ".join(self.notes)

    @property
    def valid(self) -> bool:
        """Whether the p-value has its meaning."""
        return not any(n.severity == "caution" for n in self.notes)

    def __str__(self) -> str:
        count = "1 parameter at its bound" if self.boundary == 1 else f"{self.boundary} parameters at their bounds"
        mix = f" (mixture for {count})" if self.boundary else ""
        text = f"likelihood-ratio test: 2 x difference = {self.statistic:.2f}, df = {self.df}, p = {self.p:.3g}{mix}"
        return text + (f"\n{self.note}" if self.note else "")

    __repr__ = __str__


def likelihood_ratio(large: Posterior, small: Posterior) -> LikelihoodRatio:
    r"""Test a smaller model within a larger one.

    With k of the dropped parameters at their bound (sds at zero, what tells a family from its limit) and d others, the
    null distribution is the mixture :math:`2^{-k}\sum_j \binom{k}{j} \chi^2_{d+j}` (Self and Liang 1987, for
    independent boundaries; conservative otherwise).
    """
    larger, smaller = _comparable(large), _comparable(small)
    if larger.kind != smaller.kind:
        engines = (larger.outcome.engine, smaller.outcome.engine)
        raise EngineError(f"one fit is by {engines[0]}, the other by {engines[1]}: fit both by ml")
    a, b = larger.specification, smaller.specification
    limit = _limit(a, b)
    if not same_rows(a, b):
        raise ModelError("the two fits have different outcomes: a likelihood-ratio test needs equal data")
    big = {p.name: p for p in a.parameters if not p.fixed}
    few = {p.name: p for p in b.parameters if not p.fixed}
    _check_fixed(a, b)
    for other in a.reading.others:  # one number for all groups is an intercept alone
        if other.name in few and f"{other.name}.Intercept" in big:
            few[f"{other.name}.Intercept"] = few.pop(other.name)
    extra = [n for n in few if n not in big]
    if larger.kind.restricted and not same_columns(a, b):
        raise EngineError(
            "REML likelihoods of models with different coefficients or columns cannot be compared: use ml"
        )
    df = len(big) - len(few)
    if df <= 0:
        raise ModelError(
            f"the model to compare with must be the smaller one: it has {len(few)} parameters, this {len(big)}; write "
            "larger.lr_test(smaller)"
        )
    if extra:
        raise ModelError(
            f"the models are not nested: the smaller one has {', '.join(extra)}, which the larger one does not have; "
            "compare them by AIC"
        )
    statistic = 2.0 * (larger.loglik - smaller.loglik)
    statistic = 0.0 if abs(statistic) < 1e-6 else statistic
    dropped = [p for n, p in big.items() if n not in few]
    held = {p.name: p.start for p in b.parameters if p.fixed}
    boundary = sum((p.kind == "sd" and held.get(p.name, 0.0) == 0.0) or p.name == limit for p in dropped)
    notes = []
    if limit:
        end = "zero" if limit in big and big[limit].share else "infinite"
        text = f"under the smaller model {limit} is {end}, so the reference is a mixture as for an sd at zero"
        notes.append(remark("at-a-limit", text, limit))
    notes += [*_unidentified(a, b), *_other_weights(a, b), *_at_edges(larger, smaller)]
    if statistic < -1e-6:
        notes.append(remark("not-at-maximum", "the larger model fits worse: one of the fits is not at its maximum"))
    others = df - boundary
    x = max(statistic, 0.0)
    p = sum(math.comb(boundary, j) * 0.5**boundary * _upper(x, others + j) for j in range(boundary + 1))
    return LikelihoodRatio(float(statistic), df, float(p), boundary, tuple(notes))


def _at_edges(larger: Posterior, smaller: Posterior) -> list[Note]:
    """Weights at the edge beyond which they would be negative, in either model."""
    held = [
        name for fit in (larger, smaller) for note in fit.health.notes if note.code == "edge" for name in note.about
    ]
    if not held:
        return []
    names = tuple(dict.fromkeys(held))
    text = (
        f"the weights ({', '.join(names)}) are at the edge beyond which some would be negative, where the chi-squared "
        'reference is not exact: use method="bootstrap"'
    )
    return [caution("edge", text, *names)]


def _limit(larger: Specification, smaller: Specification) -> str:
    """The parameter that is infinite where the smaller model's family is the limit of the larger one's, if it is."""
    one, other = larger.family, smaller.family
    name = one.nests(other)
    if name is None:
        raise ModelError(
            f"the models are not nested: family {other.name} ({other.link} link) is not nested in {one.name} "
            f"({one.link} link); compare them by AIC"
        )
    return name


def _check_fixed(larger: Specification, smaller: Specification) -> None:
    """What the larger model fixes the smaller one must fix at the same value, or not have (an sd at zero)."""
    other = {p.name: p for p in smaller.parameters}
    for p in larger.parameters:
        if not p.fixed:
            continue
        if p.name not in other and p.start == 0.0:
            continue
        if p.name not in other or not other[p.name].fixed or other[p.name].start != p.start:
            raise ModelError(
                f"the models are not nested: the larger one has {p.name} fixed at {p.start:g}, the smaller one does not"
            )


def same_columns(a: Specification, b: Specification) -> bool:
    """Whether the coefficients of two models are the same and their columns too, at the starting values."""
    grams = []
    for s in (a, b):
        system = s.system
        room = system.workspace(gradient=False)
        system.fill(np.array([p.start for p in system.hypers]), room)
        columns = system.coefficient_columns(room, of_groups=True)
        names = [p.name for p in system.coefficients][: columns.shape[1]]
        order = np.argsort(names)
        grams.append((sorted(names), (columns.T @ columns)[np.ix_(order, order)]))  # whatever the order of the groups
    (names, gram), (others, other) = grams
    return names == others and np.allclose(gram, other, rtol=1e-8, atol=1e-8 * np.abs(gram).max(initial=0.0))


def same_rows(a: Specification, b: Specification) -> bool:
    """Whether two models see the same outcomes; of rows beside groups with ties, as far as their values say."""
    one, other = outcomes_of(a), outcomes_of(b)
    return matched(one, other) is not None or (one.rows != other.rows and same_multiset(one, other))


def _other_weights(larger: Specification, smaller: Specification) -> list[Note]:
    """Blocks of the smaller model whose weights the larger one does not have where its parameters are zero, or one."""
    out = []
    for name, part in smaller.members.items():
        other = larger.members.get(name)
        if other is None or any(not p.fixed for p in part.weight_parameters) or not other.weight_parameters:
            continue
        if len(other.memberships.group) != len(part.memberships.group):
            continue
        if not any(_same_weights(part, other, value) for value in (0.0, 1.0)):
            out.append(name)
    if not out:
        return []
    text = (
        "with its other weight parameters at zero (or at one, as for a power) the larger model does not have the "
        f"smaller one's weights in {', '.join(out)}: the models may not be nested, in which case the p-value is not "
        "valid"
    )
    return [caution("not-nested", text, *out)]


def _same_weights(part: Block, other: Block, value: float) -> bool:
    """Whether a block whose weight parameters are fixed has the weights of another whose free ones are at a value."""
    given = {p.name: p.start for p in part.weight_parameters}
    theta = np.array([given.get(p.name, p.start if p.fixed else value) for p in other.hypers])
    room, other_room = part.weighing.scratch(gradient=False), other.weighing.scratch(gradient=False)
    part.weighing.weigh(np.array([p.start for p in part.hypers]), room)
    there = other.weighing.weigh(theta, other_room)
    return bool(there and np.allclose(room["w"], other_room["w"], rtol=1e-8, atol=1e-12))


def _upper(x: float, df: int) -> float:
    """P(chi-squared(df) >= x); a point mass at zero for df = 0."""
    return float(special.chdtrc(df, x)) if df > 0 else float(x <= 0.0)


def _comparable(posterior: Posterior) -> Maximised:
    """The maximum, where its likelihood may be compared."""
    best = posterior.maximised('lr_test compares fits by maximum likelihood: fit both with engine="ml"')
    if best.scaled:
        raise EngineError(
            "no likelihood-ratio test from REML with estimated weights: its likelihood depends on their scale"
        )
    if best.penalised:
        raise EngineError("no likelihood-ratio test from a penalised fit: leave the priors out")
    return best


def _unidentified(larger: Specification, smaller: Specification) -> list[Note]:
    """Weight parameters that mean nothing under the smaller model."""
    lost = []
    for name, part in larger.members.items():
        under = smaller.members.get(name)
        gone = under is None or not (under.informed or smaller.layout.has_effects(name))
        if gone:
            lost += [p.name for p in part.hypers if p.kind in ("w", "aggregate") and not p.fixed]
    if not lost:
        return []
    text = (
        f"under the smaller model {', '.join(lost)} cannot be identified (no coefficient and no effect is left in the "
        "block), so the chi-squared reference is not valid: use a parametric bootstrap"
    )
    return [caution("not-identified", text, *lost)]
