"""The proof that a loaded fit is the fit that was saved: densities computed again at stored values."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...posterior.base import Posterior

TOLERANCE = 1e-8
"""Difference that sums in another order may make, in parts of the value (or of 1)."""


def check_to_plain(posterior: Posterior, with_effects: bool) -> dict[str, Any]:
    """Values of the density that a later :func:`mismatch` computes again.

    Parameters
    ----------
    with_effects : bool
        Whether the effects at these points are stored too, because the draws are stored without theirs.
    """
    points = posterior.checkpoints()
    values = np.array(list(posterior.densities_at(points).values()))
    stored = {name: None if name == "effects" and not with_effects else v for name, v in points.items()}
    return stored | {"values": values}


def mismatch(posterior: Posterior, plain: dict[str, Any]) -> str | None:
    """What differs, in words, if a density is not what it was when the fit was saved."""
    points = {name: value for name, value in plain.items() if name != "values"}
    found = posterior.densities_at(points)
    for (what, now), then in zip(found.items(), plain["values"], strict=True):
        if not (now == then or abs(now - then) <= TOLERANCE * max(1.0, abs(then))):
            return f"{what} is {now:.10g}, and was {then:.10g} when the fit was saved"
    return None
