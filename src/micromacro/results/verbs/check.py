"""What the data cannot distinguish: ``Model.check()`` before a fit, ``fit.identification()`` after it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse import csgraph

from ...engines.marginals import has_exact_marginal
from ...errors import EngineError
from ...latent.part import Unit
from ...model.specification import Specification
from ...table.screen import counted
from ...terms.member.weighing import Block
from ..fitted import Fitted
from ..folding import folded

FEW_UNITS, FEW_EACH = 5, 3  # units over which weights vary, and groups of each
FEW_GROUPS = 30  # with several members, below which little can be said of how they combine
EXAMPLES = 3  # named of what was found many times
SIMILAR = 0.95  # cosine between two parameters' effects on the weights from which they are called collinear
COLUMNS = ["term", "check", "level", "count", "message"]


@dataclass(frozen=True)
class Finding:
    """One thing found.

    Attributes
    ----------
    term : str
        Member block or unit term.
    check : str
        What was looked for, in a word or two.
    level : {"problem", "note"}
        A problem leaves a parameter without information or two terms the same; a note is to be known.
    count : int
        Members, groups, parameters or sets concerned.
    message : str
    """

    term: str
    check: str
    level: str
    count: int
    message: str


@dataclass(frozen=True)
class Check:
    """What ``Model.check()`` found; prints as a list.

    Attributes
    ----------
    findings : tuple of Finding
    """

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether no problem was found (notes do not count)."""
        return not any(f.level == "problem" for f in self.findings)

    @property
    def table(self) -> pd.DataFrame:
        """A row per finding: term, check, level, count, message."""
        return pd.DataFrame([vars(f) for f in self.findings], columns=COLUMNS)

    def __str__(self) -> str:
        if not self.findings:
            return "check: the data can distinguish everything in the model"
        marks = {"problem": "!", "note": "-"}
        return "\n".join(["check:", *(f"  {marks[f.level]} {f.term}: {f.message}" for f in self.findings)])

    def __repr__(self) -> str:
        return folded(str(self))


def check(specification: Specification) -> Check:
    """Look through a model for things that its data cannot distinguish; see ``Model.check``."""
    found: list[Finding] = []
    layout, ids = specification.layout, specification.tables.group_levels
    for name, block in specification.members.items():
        if layout.effects_name(name) in layout.pooled:
            found += _members(block, ids.values if ids else None)
        found += _weights(block, block.informed or layout.has_effects(name))
        if block.weight_effects:
            found += _units_of_weights(block, specification.units[block.weight_effects])
        elif block.of_rows:
            found += _combined(block, layout.has_effects(name))
    reached = _reached(specification)
    for each in reached:
        found += _singles(each, specification)
    found += _same_effects(reached)
    found.sort(key=lambda f: f.level != "problem")
    return Check(tuple(found))


def _units_of_weights(block: Block, unit: Unit) -> Iterator[Finding]:
    """Whether weights can differ between units: there are several, and each has more than a group or two."""
    sizes = np.bincount(unit.codes[unit.codes >= 0], minlength=len(unit.levels))
    if len(sizes) < FEW_UNITS:
        yield Finding(
            block.weight_effects, "few-units", "note", len(sizes),
            f"the weights vary over {len(sizes)} units of {unit.column}, which say little about the standard deviation "
            "between them: its prior matters",
        )  # fmt: skip
    few = np.count_nonzero(sizes < FEW_EACH)
    if 2 * few > len(sizes):
        yield Finding(
            block.weight_effects, "small-units", "note", int(few),
            f"{few} of {len(sizes)} units of {unit.column} have fewer than {FEW_EACH} groups with members: how weights "
            "differ between units rests on the others",
        )  # fmt: skip


# -- members -------------------------------------------------------------------------------------------------------


def _some(values: Any) -> str:
    """The first few of what was found."""
    return ", ".join(str(v) for v in values[:EXAMPLES]) + (", ..." if len(values) > EXAMPLES else "")


def _members(block: Block, ids: np.ndarray | None) -> Iterator[Finding]:
    """Members seen once, members always together, groups and sets of groups that share no member with others."""
    rows, names = block.weighing.memberships, block.levels.values
    keys = np.unique(rows.member * np.int64(len(rows.start)) + rows.group)  # a member listed twice is there once
    member, group = keys // len(rows.start), keys % len(rows.start)
    seen = np.bincount(member, minlength=len(names))
    single = np.flatnonzero(seen == 1)
    if len(single):
        yield Finding(
            block.name, "seen once", "note", len(single),
            f"{len(single)} of {counted(len(names), 'member')} are in one group only (first: {_some(names[single])}): "
            "only the distribution of effects distinguishes theirs from the residual of that group",
        )  # fmt: skip
    together = _together(member, group, len(names))
    if together:
        first = "; ".join(" and ".join(str(names[m]) for m in t[:EXAMPLES]) for t in together[:EXAMPLES])
        yield Finding(
            block.name, "always together", "note", sum(map(len, together)),
            f"{counted(len(together), 'set')} of members are in exactly the same groups (first: {first}): the data "
            "inform only the weighted sum of their effects",
        )  # fmt: skip
    sets = _components(member, group, len(names), len(rows.start) - 1)
    alone = [int(s[0]) for s in sets if len(s) == 1]
    linked = [s for s in sets if len(s) > 1]
    if alone and len(sets) > 1:
        where = "" if ids is None else f" (first: {_some(ids[sorted(alone)])})"
        yield Finding(
            block.name, "alone", "note", len(alone),
            f"{counted(len(alone), 'group')} of {sum(map(len, sets))} share no member with any other{where}: "
            "their members are compared with others only through what else the groups have in common",
        )  # fmt: skip
    if len(linked) > 1:
        where = "" if ids is None else f" (smallest: {_some(ids[linked[0]])})"
        shown = ", ".join(str(len(s)) for s in linked[:EXAMPLES]) + (", ..." if len(linked) > EXAMPLES else "")
        yield Finding(
            block.name, "disconnected", "note", len(linked),
            f"the groups fall into {len(linked)} sets that share no member, of {shown} groups{where}: members of "
            "different sets are compared only through what else the groups have in common",
        )  # fmt: skip


def _combined(block: Block, effects: bool) -> Iterator[Finding]:
    """Whether the data could tell the way in which members combine from their weighted mean.

    It differs from the mean by how far the members of a group differ, which has to be known: by covariates, or by
    effects that are known one by one because members are seen often and in other company.
    """
    rows = block.weighing.memberships
    size = np.diff(rows.start)
    several = int(np.count_nonzero(size > 1))
    what = "the way in which members combine"
    if several < FEW_GROUPS:
        yield Finding(
            block.name, "combine", "note", several,
            f"{counted(several, 'group')} of {int(np.count_nonzero(size))} have more than one member: too few to tell "
            f"{what} from their mean",
        )  # fmt: skip
    elif np.median(size[size > 0]) < 3:
        few = int(np.count_nonzero((size > 0) & (size < 3)))
        yield Finding(
            block.name, "combine", "note", few,
            f"{counted(few, 'group')} of {int(np.count_nonzero(size))} have one or two members, which say little of "
            f"{what}",
        )  # fmt: skip
    if not effects:
        return
    inside = (size > 1)[rows.group]
    seen = np.bincount(rows.member[inside], minlength=len(block.levels.values))
    often, mean = (
        float(np.mean(seen[seen > 0])) if inside.any() else 0.0,
        float(np.mean(size[size > 1])) if several else 0.0,
    )
    if often < 2.0 * mean:
        yield Finding(
            block.name, "combine", "note", int(np.count_nonzero(seen)),
            f"members are in {often:.1f} groups each, in the mean, which have {mean:.1f} members: their effects are "
            f"hardly known one by one, so the data can hardly tell {what} from their mean by effects; expect its "
            "parameter to stay near its prior",
        )  # fmt: skip


def _together(member: np.ndarray, group: np.ndarray, count: int) -> list[list[int]]:
    """Sets of members with the same groups (input sorted by member, then group)."""
    start = np.searchsorted(member, np.arange(count + 1))
    alike: dict[bytes, list[int]] = {}
    for m in range(count):
        alike.setdefault(group[start[m] : start[m + 1]].tobytes(), []).append(m)
    return [m for key, m in alike.items() if len(m) > 1 and key]


def _components(member: np.ndarray, group: np.ndarray, members: int, groups: int) -> list[np.ndarray]:
    """Groups of each set that shares no member with the others, the smallest set first."""
    links = sparse.coo_array(
        (np.ones(len(member)), (group, groups + member)), shape=(groups + members, groups + members)
    )
    label = csgraph.connected_components(links, directed=False)[1][:groups]
    filled = np.unique(group)
    order = np.argsort(label[filled], kind="stable")
    sets = np.split(filled[order], np.flatnonzero(np.diff(label[filled][order])) + 1)
    return sorted(sets, key=len)


# -- weights -------------------------------------------------------------------------------------------------------


def _weights(block: Block, informed: bool) -> Iterator[Finding]:
    """Weight parameters that no data can inform, that do not move the weights, that move them alike."""
    weighing = block.weighing
    free = [k for k, p in enumerate(weighing.parameters) if not p.fixed]
    if not free:
        return
    names = [weighing.parameters[k].name for k in free]
    if not informed:
        yield Finding(
            block.name, "nothing to weigh", "problem", len(free),
            f"the block has neither a covariate nor effects, so no data can inform {', '.join(names)}: give it one",
        )  # fmt: skip
        return
    slopes = [s[free] for s in _slopes(block)]
    still = (
        np.all([np.abs(s).max(axis=1) < 1e-10 for s in slopes], axis=0) if slopes else np.zeros(len(free), dtype=bool)
    )
    if still.any():
        yield _uninformed(block, [names[k] for k in np.flatnonzero(still)])
    if weighing.rule == "group":
        partly = [c for c in weighing.expression.columns if _constant_within(block, c)]
        if partly and not still.any():
            yield Finding(
                block.name, "constant within groups", "note", len(partly),
                f"{_some(partly)} does not vary within any group: under normalize = group it matters only together "
                "with a covariate that does",
            )  # fmt: skip
    yield from _alike(block, names, slopes, still)


def _uninformed(block: Block, names: list[str]) -> Finding:
    """Parameters that do not change any weight, and why."""
    weighing = block.weighing
    constant = [c for c in weighing.expression.columns if _constant_within(block, c)]
    why = "it does not change any weight" if len(names) == 1 else "they do not change any weight"
    if weighing.rule == "group" and constant:
        why = f"{_some(constant)} does not vary within groups, and normalize = group removes everything else"
    remedy = "use a covariate that differs among the members of a group, or normalize = total"
    if np.diff(weighing.memberships.start).max(initial=0) == 1:
        why, remedy = "every group has one member only, and its weight does not change", "write weights = 1/n"
    return Finding(
        block.name, "no effect on weights", "problem", len(names), f"no data can inform {_some(names)}: {why}; {remedy}"
    )


def _alike(block: Block, names: list[str], slopes: list[np.ndarray], still: np.ndarray) -> Iterator[Finding]:
    """Pairs of parameters that move the weights in nearly the same direction wherever we look."""
    if not slopes:
        return
    cosines = []
    for s in slopes:
        norm = np.linalg.norm(s, axis=1, keepdims=True)
        unit = s / np.where(norm > 0, norm, 1.0)
        cosines.append(np.abs(unit @ unit.T))
    least = np.min(cosines, axis=0)
    moving = [k for k in range(len(names)) if not still[k]]
    found = sorted((p for p in combinations(moving, 2) if least[p] > SIMILAR), key=lambda p: -least[p])
    if found:
        pairs = [f"{names[j]} and {names[k]} (cosine {least[j, k]:.3f})" for j, k in found]
        yield Finding(
            block.name, "collinear weights", "note", len({k for pair in found for k in pair}),
            f"{_some(pairs)} change the weights in almost the same way: their covariates are nearly collinear; leave "
            "one out, or combine them",
        )  # fmt: skip


def _slopes(block: Block) -> list[np.ndarray]:
    """Derivatives of the weights (parameters, memberships) at the start and at two places near it."""
    weighing = block.weighing
    start = np.array([p.start for p in weighing.parameters])
    rng = np.random.default_rng(np.random.SeedSequence(1))
    room, out = weighing.scratch(), []
    for step in (0.0, 0.3, 0.3):
        at = start.copy()
        for k, p in enumerate(weighing.parameters):
            low, high = p.prior.support
            if not p.fixed:
                at[k] = np.clip(start[k] + step * rng.standard_normal(), low, high)
        if weighing.weigh(at, room):
            out.append(room["d_w"].copy())
    return out


def _constant_within(block: Block, name: str) -> bool:
    """Whether a column of numbers has one value in every group (and some group has several members)."""
    rows = block.weighing.memberships
    column = rows.table[name]
    if column.kind not in ("number", "integer", "bool") or not np.any(np.diff(rows.start) > 1):
        return False
    inside = np.flatnonzero(rows.group[1:] == rows.group[:-1])
    return bool(np.all(column.values[inside] == column.values[inside + 1]))


# -- terms that are the same ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Reach:
    """How the effects of a term reach the groups, where they are independent of each other.

    Attributes
    ----------
    term : str
    matrix : (groups or rows, effects) sparse array
        Entries of A at the starting values.
    number : int
        The linear predictor.
    """

    term: str
    matrix: sparse.csc_array
    number: int


def _reached(specification: Specification) -> list[_Reach]:
    """Terms whose effects are independent: of others, a graph or a known covariance tells them from a residual."""
    system = specification.system
    room, out = system.workspace(gradient=False), []
    if not system.fill(np.array([p.start for p in system.hypers]), room):
        return out
    for name, (k, structure) in specification.layout.pooled.items():
        row, column = structure.precision_pattern()
        d = np.empty(len(row))
        structure.precision(np.array([p.start for p in structure.hypers]), d)
        if structure.varies or not np.array_equal(d, row == column):
            continue
        part = system.parts[k]
        if not part.summand:
            continue
        _, latent, _ = structure.entries
        rows, values = part.entries()[0][-len(latent) :], system.values_of(k, room)[-len(latent) :]
        rows, values = part.of_groups(room.scratch[k], rows, values)
        shape = (system.rows if part.reaches else system.groups, part.effects)
        matrix = sparse.csc_array(sparse.coo_array((values, (rows, latent)), shape=shape))
        out.append(_Reach(name, matrix, system.beside.part[k] if system.beside else 0))
    return out


def _singles(term: _Reach, specification: Specification) -> Iterator[Finding]:
    """Effects that reach one group each, and all groups alike: they are a residual."""
    groups = specification.groups
    if np.diff(term.matrix.indptr).max(initial=0) > 1:
        return
    brought = np.asarray(term.matrix.multiply(term.matrix).sum(axis=1)).ravel()
    if np.ptp(brought) > 1e-9 * brought.max(initial=0.0) or not brought.any():
        return
    if has_exact_marginal(specification):
        what, level = "its sd cannot be distinguished from sigma: leave the term out", "problem"
    else:
        what, level = "its sd measures spread beyond the family's (overdispersion)", "note"
    yield Finding(term.term, "one group per unit", level, groups, f"every unit has one group only, so {what}")


def _same_effects(terms: list[_Reach]) -> Iterator[Finding]:
    """Terms whose effects enter every group alike."""
    for one, other in combinations(terms, 2):
        if one.number == other.number and _same_columns(one.matrix, other.matrix):
            yield Finding(
                other.term, "same as another term", "problem", 2,
                f"its effects enter every group as those of {one.term} do (at the starting weights), so the two sds "
                "cannot be distinguished: leave one term out",
            )  # fmt: skip


def _same_columns(a: Any, b: Any) -> bool:
    """Whether two matrices have the same columns up to their order and one common factor."""
    if a.shape[0] != b.shape[0] or a.nnz != b.nnz or a.shape[1] != b.shape[1] or not a.nnz:
        return False
    factor = a.data.sum() / b.data.sum() if b.data.sum() else 1.0
    keys = []
    for matrix, scale in ((a, 1.0), (b, factor)):
        matrix.sort_indices()
        values = np.round(matrix.data * scale, 9)
        ends = matrix.indptr
        keys.append(sorted((matrix.indices[i:j].tobytes(), values[i:j].tobytes()) for i, j in pairwise(ends)))
    return keys[0] == keys[1]


# -- after the fit -------------------------------------------------------------------------------------------------


def identification(fit: Fitted, threshold: float = 0.9) -> pd.DataFrame:
    """How well weight parameters (and shapes of aggregation) can be distinguished from the others.

    Parameters
    ----------
    threshold : float
        Absolute correlation above which a pair is flagged.

    Returns
    -------
    DataFrame
        One row per pair, the strongest first: parameter, other, correlation (posterior, or of the estimates by the
        joint Hessian), flagged, contraction (of `parameter`, with draws: 0 if the data said nothing, 1 if the prior
        does not matter).

    Raises
    ------
    EngineError
        For a threshold that is not a correlation.
    """
    posterior = fit.posterior
    if not 0.0 < threshold <= 1.0:
        raise EngineError(f"threshold= is a correlation between 0 and 1 (0.9), not {threshold!r}")
    parameters = posterior.specification.parameters
    sd = posterior.sd
    contraction = posterior.health.contraction
    rows = []
    for j, p in enumerate(parameters):
        if p.kind not in ("w", "aggregate") or p.fixed:
            continue
        for k, other in enumerate(parameters):
            twice = other.kind in ("w", "aggregate") and k <= j
            if twice or other.fixed or not (sd[j] > 0 and sd[k] > 0):
                continue
            r = float(posterior.covariance[j, k] / (sd[j] * sd[k]))
            rows.append((p.name, other.name, r, abs(r) > threshold, contraction.get(p.name, np.nan)))
    table = pd.DataFrame(rows, columns=["parameter", "other", "correlation", "flagged", "contraction"])
    order = np.argsort(-np.abs(np.asarray(table["correlation"], dtype=float)), kind="stable")
    return table.iloc[order].reset_index(drop=True)
