"""What formulas of other programs contain, and how it is written here: remedies for messages."""

from __future__ import annotations

import re

#: Functions of formulas in R, and what is written in place of them.
FUNCTIONS = {
    "as.factor": "write C(x)",
    "factor": "write C(x)",
    "cbind": "write trials(successes, n), where n counts successes and failures",
    "I": "compute the column beforehand",
    "ifelse": "write where(condition, x, z) in weights, or compute the column beforehand",
    "mo": "write C(x) for one effect per category, or x for a linear effect of its codes",
    "ns": "write cr(x, df=4) for a natural cubic spline, or s(x)",
    "offset": "write offset(x) on the right side of ~",
    "re": "write (1 | unit) for units, and effects= in mm() for members",
    "te": "write s(x) + s(z) + x:z",
}

_BF = "leave out bf(): other parameters have their formulas in mm.fit, as in mm.fit('y ~ x', data, sigma='~ z')"
_SIDE_BY_SIDE = (
    "members are a term of their own, mm(member, group), with one row per membership; mm.memberships.from_wide makes "
    "these rows from members in columns side by side, as brms has them"
)
_BML = (
    "this is bml's notation; here the block is written mm(member, group, x + z, weights = 1 / n, normalize = group), "
    "and hm(id = id(unit)) is (1 | unit)"
)

#: Pieces of text by which another program's notation is known, and what is written here.
_NOTATIONS = (
    (r"^\s*(bf|brmsformula|mvbf)\s*\(", _BF),
    (r"\b(id\s*=\s*id|vars\s*=\s*vars|mmc\s*=\s*vars|fn\s*=\s*fn|mmw\s*=\s*w)\s*\(", _BML),
    (r"\|\s*mm\s*\(", _SIDE_BY_SIDE),
    (r"\|\s*gr\s*\(", "write the unit alone, (1 | unit, by=type); known covariances are effects = known(K)"),
    (r"^[^~]*\|\s*trials\s*\(", "write trials(successes, n) ~ ..."),
    (r"^[^~]*\|\s*cens\s*\(", "write surv(time, event) ~ ..., with event 1 where the end was seen and 0 elsewhere"),
    (r"^[^~]*\|\s*weights\s*\(", "name the column in observation_weights=, an argument of mm.fit"),
)  # fmt: skip


def instead_of_function(name: str) -> str:
    """``; write C(x)`` for a function that is called otherwise here, else nothing."""
    return f"; {FUNCTIONS[name]}" if name in FUNCTIONS else ""


def instead_of_notation(text: str) -> str:
    """How a formula in another program's notation is written here, as a message; else nothing."""
    return next((remedy for pattern, remedy in _NOTATIONS if re.search(pattern, text)), "")
