"""What moves with a coefficient, as the clause of a sentence that begins with ``Where``."""

from __future__ import annotations

import re

LEVEL = re.compile(r"(?:C\()?(.+?)\)?\[T\.(.+)\]")
LOG = re.compile(r"log\((.+)\)")


def clause(name: str, reference: str | None = None) -> str:
    """Of a column of the design: ``x is one higher``, ``season is 2 instead of 1``, the `reference`."""
    if ":" in name:
        return f"the product of {' and '.join(name.split(':'))} is one higher"
    if match := LEVEL.fullmatch(name):
        return f"{match[1]} is {match[2]} instead of {reference or 'the reference level'}"
    if match := LOG.fullmatch(name):
        return f"{name} is one higher ({match[1]} 2.72 times as large)"
    return f"{name} is one higher"


def resting(name: str, reference: str | None = None) -> str:
    """Where a column of the design is zero: ``x is zero``, ``season is 1``, the `reference`."""
    match = LEVEL.fullmatch(name)
    return f"{match[1]} is {reference or 'at its reference level'}" if match else f"{name} is zero"


def over_members(name: str, block: str, mean: bool, equal: bool) -> str:
    """Of a covariate of members that reaches their group by a sum of weights.

    Parameters
    ----------
    mean : bool
        Whether the weights sum to 1 in every group.
    equal : bool
        Whether they are equal within every group.
    """
    weighted = "" if equal else "weighted "
    members = f"the members ({block}) of a group"
    if name == "Intercept":
        return f"the sum of the weights of {block} in a group is one higher"
    if match := LEVEL.fullmatch(name):
        if mean:
            return f"all members ({block}) of a group instead of none have {match[1]} = {match[2]}"
        return f"the {weighted}number of {members} with {match[1]} = {match[2]} is one higher"
    return f"the {weighted}{'mean' if mean else 'sum'} of {name} over {members} is one higher"
