"""What is to be said of the signs of weights: of an edge that holds a maximum, of weights that may be negative."""

from __future__ import annotations

import numpy as np

from ..model.specification import Specification
from ..notes import Note, caution, remark
from ..terms.member.weighing import POLE
from .base import Optimum
from .edges import CLOSE


def at_edge(specification: Specification, optimum: Optimum) -> list[Note]:
    """Blocks whose weights an edge holds, with the groups that do, and what became of standard errors."""
    out, system = [], specification.system
    for k in system.edges:
        part, where = system.parts[k], system.places.reads(k)
        values, slopes = part.distances(optimum.theta[where])
        held = np.flatnonzero((values < CLOSE) & np.any(slopes != 0.0, axis=1))
        if not len(held):
            continue
        if words := part.at_edge(held):
            out.append(remark("edge", words))
        for name, block in part.blocks.items():
            hypers = block.weight_parameters
            fixed = [p.name for p, at in zip(hypers, optimum.boundary[where], strict=False) if at and not p.fixed]
            if all(p.fixed for p in hypers):
                continue
            groups = np.unique(block.memberships.group[held])
            errors = (
                f"{', '.join(fixed)} cannot move and {'has' if len(fixed) == 1 else 'have'} no standard error"
                if fixed
                else "standard errors are those along the edge"
            )
            text = (
                f"the weights of {name} are at the edge beyond which some would be negative: "
                f"{_some(specification, groups)} {'holds' if len(groups) == 1 else 'hold'} them there ({len(held)} "
                f"{'membership' if len(held) == 1 else 'memberships'} with weight zero); {errors}; a "
                "form that cannot be negative, such as exp(), has no edge, and signed = yes lifts it"
            )
            out.append(remark("edge", text, *(p.name for p in hypers if not p.fixed)))
    return out


def of_signed(specification: Specification, theta: np.ndarray) -> list[Note]:
    """How many weights that may be negative are so at theta, and the groups in which they hardly can be normalised."""
    out, system = [], specification.system
    for k, part in enumerate(system.parts):
        for name, block in part.blocks.items():
            weighing = block.weighing
            if not weighing.signed or weighing.tape.logarithm:
                continue
            own = theta[system.places.theta(k)]
            w = block.weights(own, weighing.scratch(gradient=False))
            count = int(np.count_nonzero(w < 0.0))
            groups = len(np.unique(block.memberships.group[w < 0.0]))
            where = f" (in {groups} of {block.filled} groups)" if count else ""
            text = f"{count} of {len(w)} weights of {name}, which may be negative, are so at the estimate{where}"
            out.append(remark("negative-weights", text, name))
            sums = weighing.sums(own)
            near = np.flatnonzero(sums < POLE)
            if len(near):
                what = "all groups together" if weighing.rule == "total" else _some(specification, near)
                text = (
                    f"the raw weights of {name} nearly cancel in {what} (their sum is below {POLE:g} of the sum of "
                    "their sizes), so that weights which add up to 1 become very large there: look at these groups, or "
                    "use normalize = none"
                )
                out.append(caution("near-pole", text, name))
    return out


def _some(specification: Specification, groups: np.ndarray) -> str:
    """Some groups by their ids."""
    ids = specification.group_ids[groups]
    more = f" and {len(ids) - 5} more" if len(ids) > 5 else ""
    return f"{'group' if len(ids) == 1 else 'groups'} {', '.join(str(i) for i in ids[:5])}{more}"
