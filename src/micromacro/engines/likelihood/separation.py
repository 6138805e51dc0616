"""Likelihoods that have run off: outcomes that are certain, groups without any risk of an event."""

from __future__ import annotations

from ...latent.mode import ModeRoom
from ...model.specification import Specification
from ...notes import Note


def separation(specification: Specification, room: ModeRoom) -> list[Note]:
    """A note where the likelihood of outcomes that are certain at the maximum runs off: the family knows."""
    density = specification.system.gather(room.slopes[0])
    note = specification.family.ran_off(specification.response, room.eta, density)
    return [] if note is None else [note]
