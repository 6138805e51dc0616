"""Sizes that do not depend on units but for a power of ten, so that numbers of ordinary size stay what they are."""

from __future__ import annotations


def power_of_ten(logarithm: float, ordinary: float = 0.0) -> float:
    """The power of ten next to a size with this logarithm to base ten; 1 where that is within `ordinary` of zero."""
    return 10.0 ** round(logarithm) if abs(logarithm) > ordinary else 1.0
