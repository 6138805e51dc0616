r"""Member blocks whose effects belong together: the same members in several roles.

``effects = shared(other)`` puts one effect of each member in several blocks (times a scale), ``effects =
correlated_with(other)`` gives each member an effect in every role, with a correlation:

.. math:: \sum_r \sum_{j \in z_r(i)} w_{rij}\,(L u^*_j)_r, \qquad LL' = \mathrm{Var}(u_j) \text{ over the roles}.

The blocks keep their covariates and weights; their effects are a part of their own, which borrows the blocks' weight
parameters.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ...effects.base import Effects, Rows
from ...effects.correlated import Correlated
from ...effects.iid import Independent
from ...effects.phrases import Noun
from ...effects.shared import make_shared
from ...errors import DataError, FormulaError, ModelError
from ...language.nodes import Call, MemberCall, Name, Node, Number, Unary
from ...latent.part import Equations
from ...parameters import Parameter
from ...priors import Normal
from ...table.levels import Levels
from ...table.memberships import Memberships, Tables
from ..base import Context
from ..pieces import CommonEffects, Share
from ..slopes import effective_number, reach
from .term import MemberPart
from .weighing import Weighing

WORDS = ("shared", "correlated_with")


@dataclass(frozen=True, eq=False)
class RolesPart(CommonEffects):
    """Effects of members in several blocks.

    Attributes
    ----------
    name : str
        The names of the blocks, joined by a plus sign.
    roles : tuple of str
        Names of the blocks.
    weighings : tuple of Weighing
    structure : Effects
        Its memberships are those of all blocks, one after the other.
    shown : tuple of str
        The effect in each role in words.
    """

    name: str
    roles: tuple[str, ...]
    weighings: tuple[Weighing, ...]
    structure: Effects
    shown: tuple[str, ...]

    @property
    def effect_names(self) -> tuple[str, ...]:
        """The names of the blocks, and its own."""
        return (self.name, *self.roles)

    @cached_property
    def shares(self) -> tuple[Share, ...]:
        """The blocks."""
        each = zip(self.roles, self.weighings, strict=True)
        return tuple(Share(role, w, len(w.memberships.group)) for role, w in each)

    @property
    def nouns(self) -> tuple[Noun, ...]:
        """An effect in each role."""
        return tuple(Noun(f"effect in {role}") for role in self.roles)

    @property
    def filled(self) -> int:
        """Groups with a member in any of the blocks."""
        return len(np.unique(np.concatenate([w.memberships.group for w in self.weighings])))

    def on(self, tables: Tables) -> RolesPart:
        """The same effects on other memberships."""
        blocks = [tables.blocks[name] for name in self.roles]
        weighings = tuple(w.on(rows) for w, rows in zip(self.weighings, blocks, strict=True))
        return replace(self, weighings=weighings, structure=self.structure.on(role_rows(self.roles, blocks, tables)))

    def held(self, old: RolesPart, theta: np.ndarray) -> RolesPart:
        """The same part with the constants of ``normalize=total`` that `old` has at theta."""
        pairs = zip(self.weighings, old.weighings, self.weight_theta(theta), strict=True)
        return replace(self, weighings=tuple(w.held(before, own) for w, before, own in pairs))

    def words(self) -> Equations:
        """The effects in each role; weights are the blocks' own words."""
        terms = [f"sum over members j of w_{r}[i,j] * {u}" for r, u in zip(self.roles, self.shown, strict=True)]
        return Equations(tuple(terms), tuple(self.structure.sentences()))


def role_rows(roles: tuple[str, ...], blocks: list[Memberships], tables: Tables) -> Rows:
    """Memberships of all blocks, one after the other; z marks the block of each."""
    kinds = {b.members.values.dtype.kind for b in blocks if len(b.members)}
    if "U" in kinds and len(kinds) > 1:
        raise DataError(
            f"the member ids of the blocks {' and '.join(roles)} are text in one and numbers in another, so no member "
            "can be in both: give them one type"
        )
    values = np.unique(np.concatenate([b.members.values for b in blocks if len(b.members)]))
    level = [np.searchsorted(values, b.members.values)[b.member] for b in blocks]
    sizes = [len(b.member) for b in blocks]
    z = np.repeat(np.eye(len(blocks)), sizes, axis=1)
    ids = tables.group_levels.values if tables.group_levels is not None else np.arange(tables.groups.n_rows)
    group = np.concatenate([b.group for b in blocks])
    return Rows(group, np.concatenate(level), Levels(roles[0], values), z, roles, blocks[0].table, ids)


# -- from the formula ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wish:
    """What a block asks: to share the effects of another one, or to have its own, correlated with them."""

    block: str
    word: str
    other: str
    scale: float | None
    node: Node


def read_wish(block: str, call: MemberCall, text: str) -> Wish | None:
    """The ``effects = shared(other)`` or ``correlated_with(other)`` of a call, if it has one."""
    node = call.effects
    if not (isinstance(node, Call) and node.function in WORDS):
        return None
    most = 2 if node.function == "shared" else 1
    good = 1 <= len(node.args) <= most and isinstance(node.args[0], Name) and not node.keywords
    scale = _number(node.args[1]) if good and len(node.args) == 2 else None
    if not good or (len(node.args) == 2 and scale is None):
        form = "shared(block) or shared(block, 1)" if most == 2 else "correlated_with(block)"
        raise FormulaError(f"write effects = {form}", text, node.span.start, node.span.stop)
    assert isinstance(node.args[0], Name)
    return Wish(block, node.function, node.args[0].name, scale, node)


def _number(node: Node) -> float | None:
    if isinstance(node, Unary) and node.op == "-" and isinstance(node.operand, Number):
        return -node.operand.value
    return float(node.value) if isinstance(node, Number) else None


def join_roles(parts: list[Any], wishes: list[Wish], context: Context) -> list[Any]:
    """Take the effects out of blocks that are named in wishes and give them to parts of their own, after the blocks."""
    owners: dict[str, list[Wish]] = {}
    for wish in wishes:
        owners.setdefault(wish.other, []).append(wish)
    out = list(parts)
    for owner, own in owners.items():
        out.append(_joined(out, owner, own, context))
        place = next(k for k, p in enumerate(out) if isinstance(p, MemberPart) and p.name == owner)
        out[place] = replace(out[place], structure=None)
        context.others.pop(owner, None)
    return out


def _joined(parts: list[Any], owner: str, wishes: list[Wish], context: Context) -> RolesPart:
    blocks = {p.name: p for p in parts if isinstance(p, MemberPart) and not p.combines}
    first = wishes[0]
    span = first.node.span
    if owner not in blocks or owner == first.block:
        have = ", ".join(n for n in blocks if n != first.block) or "none"
        raise FormulaError(
            f"effects = {first.word}({owner}) of block {first.block!r} names no other block of the "
            f"sum (there is: {have})",
            context.text, span.start, span.stop,
        )  # fmt: skip
    if {w.word for w in wishes} != {first.word}:
        raise ModelError(
            f"the effects of block {owner!r} are shared by one block and correlated with another: choose one"
        )
    if type(blocks[owner].structure) is not Independent or blocks[owner].structure.terms != ("1",):  # type: ignore[union-attr]
        raise ModelError(
            f"effects = {first.word}({owner}) needs effects = iid in block {owner!r}, an intercept for each member"
        )
    roles = (owner, *(w.block for w in wishes))
    members = [blocks[r] for r in roles]
    rows = role_rows(roles, [m.weighing.memberships for m in members], context.tables)
    sd = blocks[owner].structure.hypers[0]  # type: ignore[union-attr]
    if first.word == "shared":
        scales = [context.hyper(f"{w.block}.scale", "scale", Normal(1.0, 1.0), 1.0) if w.scale is None else w.scale
                  for w in wishes]  # fmt: skip
        structure: Effects = make_shared(owner, rows, sd, scales)
        factors = ["", *(f"{s.name if isinstance(s, Parameter) else f'{s:g}'} * " for s in scales)]
        shown = [f"{factor}u_{owner}[j]" for factor in factors]
    else:
        sds = (sd, *(_sd_of(m, context) for m in members[1:]))
        names = [f"{roles[i]}.cor.{roles[j]}" for i in range(len(roles)) for j in range(i)]
        cors, order = context.correlations(names, len(roles))
        structure = Correlated(owner, rows, sds + cors, order=order)
        shown = [f"u_{owner}[j,{role}]" for role in roles]
    _check_overlap(rows, roles, first.word)
    return RolesPart("+".join(roles), roles, tuple(m.weighing for m in members), structure, tuple(shown))


def _sd_of(part: MemberPart, context: Context) -> Parameter:
    """The sd of a role's effects."""
    room = part.weighing.scratch(gradient=False)
    part.weighing.weigh(np.array([p.start for p in part.weight_parameters]), room)
    acting = part.memberships.group, room["w"], part.groups
    return replace(context, reach=reach(*acting)).sd(f"{part.name}.sd", effective_number(*acting))


def _check_overlap(rows: Rows, roles: tuple[str, ...], word: str) -> None:
    """Members that are in several roles are what a correlation is learnt from."""
    seen = np.zeros((len(roles), len(rows.levels)), dtype=bool)
    seen[rows.z.argmax(axis=0), rows.level] = True
    for r, role in enumerate(roles[1:], start=1):
        if not np.any(seen[0] & seen[r]):
            raise ModelError(
                f"no member is in both {roles[0]!r} and {role!r}, so effects that are {word} cannot be estimated: "
                "write effects = iid, or check that both columns hold ids of the same kind"
            )
