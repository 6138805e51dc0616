r"""How do members combine? Rival micro-macro links of one member block, fitted and compared.

Each link is the same model with one block rewritten. Links are judged by leave-one-out with effects and
coefficients integrated out. A difference counts where it is larger than :data:`CLEAR` and than twice its error (small
differences and those of the size of their error are not to be relied on: Sivula, Magnusson, Matamoros and Vehtari
2020). A link that contains another, as ``power`` contains the mean, can never be much worse than it; where it is better
by less than :data:`CLEAR`, the simpler one is preferred.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from ...engines.base import Sample, split
from ...engines.mcmc.given import effects_given
from ...errors import FormulaError, ModelError
from ...language.nodes import Binary, Call, Formula, MemberCall, Name, Node, Number, names_in
from ...language.parse import parse_formula
from ...language.printing import member_text
from ...model.specification import Specification
from ...posterior.leaveout.integrated import Cavities
from ...posterior.leaveout.joint import LeaveSetsOut
from ...posterior.leaveout.pointwise import log_likelihood
from ...posterior.leaveout.propagation import nearly_normal
from ...posterior.leaveout.scores import standard_error
from ...table.columns import unknown_column
from ..criticism.loo import outcome_sets, psis_loo
from ..fitted import Fitted
from ..folding import folded
from ..labels import MARK
from .compare import stacking

CLEAR = 4.0
EFFECTS = 500  # draws of the effects given an estimate
SAME = 0.05  # elpd and its error below which two links are one model on these data
NONE, ONE = Name("none"), Number(1.0, "1")
SUM = Name("sum")
#: What a link contains as a limiting case; what it contains at zero parameters is seen from its weights.
CONTAINS = {
    "smax": ("mean", "max", "min"), "aggregate=smax(kappa)": ("mean", "max", "min"),
    **dict.fromkeys(("combine=smax", "combine=smax(kappa)"), ("mean", "combine=max", "combine=min")),
}  # fmt: skip
PLAIN = ("mean", "sum", "max", "min", "smax")
#: Options of ``mm()`` that a link may change.
ASKED = ("weights", "normalize", "aggregate", "combine", "signed", "parameters")
OPTION = re.compile(rf"\s*({'|'.join(ASKED)})\s*=(?!=)")
LARGEST = re.compile(r"largest\(")
OF_WEIGHTS = ("hhi", "effn", "entropy")  # aggregates of weights alone
DEFAULT = parse_formula("y ~ mm(a, b)").members[0]
KINDS = (
    "links are mean, sum, max, min, largest(x), power(x + z), smax, options as in mm() ('aggregate = var', 'combine = "
    "smax'), or an "
    "expression of weights ('softmax(x)', 'exp(b * x)', 'x')"
)


# -- writing links -----------------------------------------------------------------------------------------------------


def member_block(formula: Formula, block: str | None) -> MemberCall:
    """The member block of that name, or the only one."""
    calls = {call.name or call.member_name: call for call in formula.members}
    if block is None and len(calls) == 1:
        return next(iter(calls.values()))
    if block not in calls:
        given = "has several" if block is None and calls else f"has no block {block!r}" if calls else "has none"
        raise ModelError(
            f"aggregations() rewrites one member block, and the model {given}: {', '.join(calls) or 'mm()'}"
        )
    return calls[block]


@dataclass(frozen=True)
class Rival:
    """A link as it was asked for.

    Attributes
    ----------
    text : str
    word : str
        One of the plain words or ``largest``, or empty for options of ``mm()``.
    largest : Node or None
        The x of ``largest(x)``.
    options : MemberCall or None
        ``weights =``, ``aggregate =``, ``combine =``, ``normalize =``, ``signed =``, as they were written.
    """

    text: str
    word: str = ""
    largest: Node | None = None
    options: MemberCall | None = None

    @property
    def moves(self) -> bool:
        """Whether effects get a block of their own."""
        return self.word in ("max", "min", "smax") or (self.options is not None and self.options.aggregate != SUM)


def read_link(text: str, columns: Collection[str] = ()) -> Rival:
    """A plain word, options as in ``mm()``, or an expression of weights.

    Parameters
    ----------
    text : str
    columns : collection of str
        Columns of the data: one alone is a weight, and ``largest()`` takes nothing else.
    """
    if text in PLAIN:
        return Rival(text, text)
    if LARGEST.match(text):
        return Rival(text, "largest", _largest(text, columns))
    options = text if OPTION.match(text) else f"weights = {text}"
    try:
        call = parse_formula(f"y ~ mm(a, b, {options})").members[0]
    except FormulaError as error:
        raise ModelError(f"{text!r} is not a link: {KINDS}") from error
    if call != replace(DEFAULT, **{key: getattr(call, key) for key in ASKED}):
        raise ModelError(f"{text!r} is not a link, which changes {', '.join(ASKED)} and nothing else: {KINDS}")
    bare = call.weights if isinstance(call.weights, Name) else None
    if options != text and bare is not None and bare.name not in columns:
        raise ModelError(f"{text!r} is not a link: {KINDS}")
    return Rival(text, options=call)


def _largest(text: str, columns: Collection[str]) -> Node:
    """The x of ``largest(x)``, a column or an expression of columns."""
    try:
        call = parse_formula(f"y ~ mm(a, b, weights = max{text.removeprefix('largest')})").members[0].weights
    except FormulaError as error:
        raise ModelError(f"{text!r} is not a link: {KINDS}") from error
    if not isinstance(call, Call) or call.function != "max" or len(call.args) != 1 or call.keywords:
        raise ModelError(f"{text!r} is not a link: {KINDS}")
    for name in names_in(call.args[0]):
        if columns and name.name not in columns:
            raise unknown_column(name.name, f"{text} is about the data, which", list(columns))
    return call.args[0]


def tidy(text: Any) -> str:
    """A link without blanks that mean nothing."""
    if not isinstance(text, str):
        raise ModelError(f"{text!r} is not a link: {KINDS}")
    return " ".join(text.split()).replace(" (", "(").replace("( ", "(").replace(" )", ")")


def write_link(formula: Formula, call: MemberCall, link: Rival) -> str:
    """The formula with one block rewritten to a link."""
    rule = call.normalize if call.normalize in ("total", "group") else "group"
    own = call
    if link.options is None or link.moves or "combine" in link.text:  # words mean what they mean of a sum
        own = replace(call, combine=link.options.combine if link.options else SUM)
        rule = "group" if own.combine != SUM else rule
    call, place = own, call.span
    if link.options is not None:
        blocks = _with_options(call, link, rule)
    elif link.word in ("max", "min", "smax"):
        blocks = _features(call, link.word)
    else:
        weights: dict[str, Node] = {"mean": Binary("/", ONE, Name("n")), "sum": ONE}
        if link.largest is not None:
            weights["largest"] = Binary("==", link.largest, Call("max", (link.largest,)))
        chosen = weights[link.word]
        rule = {"sum": "none", "largest": "group"}.get(link.word, rule)
        blocks = [replace(call, weights=chosen, normalize=rule, parameters=None)]
    call_text = " + ".join(member_text(c) for c in blocks)
    return formula.text[: place.start] + call_text + formula.text[place.stop :]


def _with_options(call: MemberCall, link: Rival, rule: str) -> list[MemberCall]:
    """The block with options of ``mm()`` in place of its own."""
    asked = link.options
    assert asked is not None
    if not link.moves:
        weights = call.weights if asked.weights is None else asked.weights
        if isinstance(weights, Call) and weights.function == "softmax":
            rule = "group"
        aggregate = SUM if "aggregate" in link.text else call.aggregate
        new = replace(call, weights=weights, normalize=asked.normalize or rule, aggregate=aggregate)
        return [replace(new, signed=asked.signed, parameters=asked.parameters)]
    aggregate = asked.aggregate
    word = aggregate.function if isinstance(aggregate, Call) else aggregate.name if isinstance(aggregate, Name) else ""
    own = replace(
        call, weights=asked.weights, normalize=asked.normalize, aggregate=asked.aggregate, signed=asked.signed
    )
    if word in OF_WEIGHTS:
        own = replace(own, covariates=(), weights=asked.weights or call.weights)
    if word in OF_WEIGHTS or word == "cov":
        name = call.name or call.member_name
        feature = replace(own, effects=NONE, by=None, name=name, parameters=None)
        rest = [] if call.effects == NONE else [replace(call, covariates=(), name=f"{name}_effects")]
        return [feature, *rest]
    return _features(call, word, own)


def _features(call: MemberCall, word: str, like: MemberCall | None = None) -> list[MemberCall]:
    """A block for the feature of each covariate, and one with the effects, whose weights stay what they were.

    `like` has the features' weights and aggregate, if they are not those of a plain word.
    """
    name = call.name or call.member_name
    if not call.covariates or call.intercept or call.fixes or any(sign == "-" for sign, _ in call.covariates):
        raise ModelError(
            f"{word} applies to covariates, but block {name!r} has "
            + ("none" if not call.covariates else "1 +, fix() or a minus among them")
        )
    out = []
    for k, (sign, node) in enumerate(call.covariates):
        own = name if len(call.covariates) == 1 else f"{name}_{node.name if isinstance(node, Name) else k + 1}"
        base = replace(like or call, covariates=((sign, node),), effects=NONE, by=None, name=own, parameters=None)
        if like is not None:
            out.append(base)
        elif word == "smax":
            out.append(
                replace(base, weights=None, normalize=None, signed=False, aggregate=Call("smax", (Name("kappa"),)))
            )
        else:
            out.append(replace(base, weights=Binary("==", node, Call(word, (node,))), normalize="group"))
    if call.effects != NONE:
        out.append(replace(call, covariates=(), name=f"{name}_effects"))
    return out


def carried(given: Any, name: str, link: Rival) -> Any:
    """Priors (or fixed values) by parameter name, as far as the rewritten block has the parameters."""
    if not isinstance(given, dict):
        return given
    out = {}
    for key, value in given.items():
        if link.moves and (key == f"{name}.sd" or key.startswith(f"{name}.w.")):
            out[f"{name}_effects{key[len(name) :]}"] = value
        elif not key.startswith(f"{name}.w."):  # the weights of other links have other parameters
            out[key] = value
    return out


# -- judging them ------------------------------------------------------------------------------------------------------


def pointwise(fit: Fitted) -> np.ndarray:
    """Log density of each group left out: over theta's posterior, or at the maximum less one for each of theta."""
    normal = nearly_normal(fit.specification)
    if fit.posterior.kind.draws:
        return fit.loo(integrated=normal).column("elpd")
    theta = fit.posterior.theta
    free = sum(not p.fixed for p in fit.specification.system.hypers)
    if not normal:
        return _given(fit.specification, theta) - free / fit.nobs
    if fit.specification.several_rows:
        return LeaveSetsOut(fit.specification, outcome_sets(fit.specification)).at(theta) - free / fit.nobs
    return Cavities(fit.specification).at(theta).log_density - free / fit.nobs


def _given(specification: Specification, theta: np.ndarray) -> np.ndarray:
    """Log density of each group left out at theta, from draws of the effects, where they are far from normal."""
    x = effects_given(specification, theta, EFFECTS, np.random.default_rng(np.random.SeedSequence(3)))
    effects, coefficients = split(x[None], specification.system.n_effects)
    sample = Sample(np.broadcast_to(theta, (1, EFFECTS, len(theta))), effects, coefficients)
    return psis_loo(log_likelihood(specification, sample))[0]


@dataclass(frozen=True, eq=False)
class Aggregations:
    """Rival links and what the data say of them.

    Attributes
    ----------
    table : DataFrame
        Indexed by link, the best one first: ``elpd``, ``difference`` from the best and ``se_difference``, stacking
        ``weight``, ``shape`` (the link's own parameters with their standard errors), ``verdict``. Links that are one
        model on these data share a row.
    preferred : tuple of str
        The link that the data prefer; several if the data cannot decide.
    verdict : str
        The same in words.
    formulas : dict of str
        What was fitted.
    fits : dict of Fit
    """

    table: pd.DataFrame
    preferred: tuple[str, ...]
    verdict: str
    formulas: dict[str, str] = field(repr=False)
    fits: dict[str, Fitted] = field(repr=False)

    def __len__(self) -> int:
        """The number of links."""
        return len(self.fits)

    @property
    def decided(self) -> bool:
        """Whether the data prefer one link."""
        return len(self.preferred) == 1

    def __repr__(self) -> str:
        shapes = [f"{link}: {shape}" for link, shape in self.table["shape"].items() if str(shape)]
        table = self.table.drop(columns="shape").round(2).to_string(index_names=False)
        return folded("\n".join([table, *shapes, self.verdict]))

    def plot(self, ax: Any = None) -> Any:
        """Plot the differences from the best link, with bars of two standard errors (extra ``[plots]``).

        Parameters
        ----------
        ax : matplotlib Axes, optional

        Returns
        -------
        matplotlib Axes
        """
        from ..plots.style import GREY, ORANGE, axes, finish

        table = self.table.iloc[::-1]
        ax = axes(ax, (6.4, 0.45 * len(table) + 1.2))
        at = np.arange(len(table))
        chosen = [bool(set(names.split(" = ")) & set(self.preferred)) for names in table.index]
        ax.axvspan(-CLEAR, 0.0, color=GREY, alpha=0.15, lw=0)
        ax.axvline(0.0, color=GREY, lw=0.8)
        for here, difference, error, ours in zip(at, table["difference"], table["se_difference"], chosen, strict=True):
            ax.errorbar(difference, here, xerr=2.0 * error, fmt="o", color=ORANGE if ours else "black", capsize=0)
        ax.set_yticks(at, table.index)
        ax.set_xlabel("difference in elpd from the best (2 standard errors; shaded: too small to distinguish)")
        return finish(ax)


def nesting(fits: dict[str, Fitted], name: str) -> dict[str, tuple[str, ...]]:
    """For each link those that it contains: whose weights, all known, it has where its own parameters are zero.

    Links whose block has another aggregate or other covariates, or whose members meet otherwise, are not compared.
    """
    at_zero, known = {}, {}
    for link, fit in fits.items():
        block = fit.specification.members.get(name)
        if block is None or any(p.kind == "aggregate" for p in block.hypers):
            continue
        theta = np.zeros(len(block.hypers))
        with np.errstate(all="ignore"):
            weights = block.weights(theta, block.weighing.scratch(gradient=False)).copy()
        key = (tuple(p.name for p in block.written), bool(block.structure), len(weights), block.meets)
        (at_zero if block.weight_parameters else known)[link] = (key, weights)
    return {
        wide: tuple(link for link, (k, w) in known.items() if k == key and np.allclose(w, weights, rtol=1e-12, atol=0))
        for wide, (key, weights) in at_zero.items()
    }


def judge(
    fits: dict[str, Fitted], formulas: dict[str, str], own: dict[str, str], inside: Mapping[str, tuple[str, ...]]
) -> Aggregations:
    """Table and verdict.

    Parameters
    ----------
    own : dict of str
        The shape parameters of each link, as text.
    inside : dict of tuples
        The links that each contains (:func:`nesting`).
    """
    values = {name: pointwise(fit) for name, fit in fits.items()}
    groups = _coinciding(values)
    order = sorted(groups, key=lambda names: -values[names[0]].sum())
    stacked = np.stack([values[names[0]] for names in order])
    gap = stacked.sum(axis=1) - stacked[0].sum()
    errors = np.array([0.0, *(standard_error(v - stacked[0]) for v in stacked[1:])])
    close = [k for k in range(len(order)) if -gap[k] < CLEAR or -gap[k] < 2.0 * errors[k]]
    near = [order[k] for k in close]
    value = dict(zip(order, stacked.sum(axis=1), strict=True))
    simplest = [
        names for names in near
        if all(names is o or (_contains(o, names, inside) and value[o] - value[names] < CLEAR) for o in near)
    ]  # fmt: skip
    best = simplest[:1] or near
    preferred = tuple(name for names in best for name in names)
    words = ["preferred" if names in best and len(preferred) == 1 else "undecided" if names in best
             else f"contains {best[0][0]}" if names in near else "worse" for names in order]  # fmt: skip
    table = pd.DataFrame(
        {
            "elpd": stacked.sum(axis=1), "difference": gap, "se_difference": errors, "weight": stacking(stacked.T),
            "shape": ["; ".join(filter(None, (own[n] for n in names))) for names in order], "verdict": words,
        },
        index=pd.Index([" = ".join(names) for names in order], name="link"),
    )  # fmt: skip
    words = _words(best, near, order, gap, errors) + (_nothing_varies(fits) if len(preferred) > 1 else "")
    return Aggregations(table, preferred, words, formulas, fits)


def _coinciding(values: dict[str, np.ndarray]) -> list[tuple[str, ...]]:
    """Links in groups that are one model on these data."""
    out: list[list[str]] = []
    for name, own in values.items():
        for group in out:
            apart = own - values[group[0]]
            if abs(apart.sum()) < SAME and math.sqrt(len(apart)) * float(np.std(apart)) < SAME:
                group.append(name)
                break
        else:
            out.append([name])
    return [tuple(group) for group in out]


def _contains(wide: tuple[str, ...], narrow: tuple[str, ...], inside: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether a link contains another as a special case."""
    return any(
        n in inside.get(w, ()) or n.replace(" ", "") in CONTAINS.get(w.replace(" ", ""), ())
        for w in wide for n in narrow
    )  # fmt: skip


def _words(
    best: list[tuple[str, ...]], near: list[tuple[str, ...]], order: list[tuple[str, ...]], gap: np.ndarray,
    errors: np.ndarray,
) -> str:  # fmt: skip
    said = [" = ".join(names) for names in best]
    worse = [k for k in range(len(order)) if order[k] not in near]
    rest = ""
    if worse:
        k = worse[0]
        rest = f"; the next, {' = '.join(order[k])}, is behind by {-gap[k]:.1f} (se {errors[k]:.1f})"
    if len(best) == 1 and len(best[0]) == 1:
        also = [" = ".join(n) for n in near if n not in best]
        more = f" ({', '.join(also)} contains it and is no better)" if also else ""
        return f"the data prefer {said[0]}{more}{rest}"
    if len(best) == 1:
        return f"undecided between {' and '.join(best[0])}, which are one model on these data{rest}"
    return f"undecided between {', '.join(said)}: they differ by less than {CLEAR:g} or than twice the error{rest}"


def _nothing_varies(fits: dict[str, Fitted]) -> str:
    """Why links cannot be told apart: members differ neither by covariates nor, in any fit, by their effects."""
    for fit in fits.values():
        specification = fit.specification
        if any(block.written for block in specification.members.values()):
            return ""
        small = {name for note in fit.health.notes if note.code in ("boundary", "near-zero") for name in note.about}
        pooled = [
            specification.structures[name][1] for name in specification.members if name in specification.structures
        ]
        sds = {p.name for structure in pooled for p in structure.hypers if p.kind == "sd"}
        if not sds <= small:
            return ""
    return "; members have no covariates, and their effects hardly vary in any fit: there is nothing to combine"


def shape_text(fit: Fitted, name: str) -> str:
    """The parameters of a block's weights and shapes, with standard errors; those not to be read so are marked."""
    inside = [p.name for p in fit.specification.system.hypers if p.kind in ("w", "aggregate") and not p.linear]
    inside = [n for n in inside if n.split(".")[0] in (name, f"{name}_effects") or n.startswith(f"{name}_")]
    marks = {n: MARK if n in fit.health.doubtful else "" for n in inside}
    return ", ".join(f"{n}{mark} {fit.params[n]:.2f} ({fit.bse[n]:.2f})" for n, mark in marks.items())
