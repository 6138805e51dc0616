"""Simulated data with known truth: coalitions, designs with several kinds of members, outcomes from any model."""

from __future__ import annotations

from .._public import public_all
from .coalitions import Coalitions, coalitions
from .designs import SimulatedDesign, friends, opposition, roles

__all__ = ["Coalitions", "SimulatedDesign", "coalitions", "friends", "opposition", "roles"]


def __dir__() -> list[str]:
    return list(__all__)


public_all(globals(), __all__)
