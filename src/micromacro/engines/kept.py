"""Which effects' draws a run of mcmc keeps: ``keep="all"``, ``"parameters"``, or names of terms."""

from __future__ import annotations

import numpy as np

from ..errors import EngineError
from ..model.specification import Specification
from ..table.columns import did_you_mean


def as_keep(keep: object) -> str | tuple[str, ...]:
    """``keep=`` as settings hold it.

    Raises
    ------
    EngineError
        Where it is neither text nor a sequence of names.
    """
    if isinstance(keep, str):
        return keep
    names = tuple(keep) if isinstance(keep, (list, tuple)) else ()
    if not names or not all(isinstance(name, str) for name in names):
        raise EngineError(f"keep= is 'all', 'parameters' or a list of names of terms, not {keep!r}")
    return names


def kept_effects(specification: Specification, keep: str | tuple[str, ...]) -> np.ndarray | None:
    """Places of the effects (k,) whose draws are kept; None for all of them.

    Raises
    ------
    EngineError
        For the name of a term that has no effects.
    """
    if keep == "all":
        return None
    known = specification.structures
    names = () if keep == "parameters" else (keep,) if isinstance(keep, str) else tuple(keep)
    parts, where = specification.system.parts, specification.layout
    of_nobody = [where.effects(k) for k, part in enumerate(parts) if part.structure is None]  # bends of curves
    places = [np.empty(0, dtype=np.int64), *(np.arange(own.start, own.stop) for own in of_nobody)]
    for name in names:
        if name not in known:
            raise EngineError(
                f"keep= is 'all', 'parameters' or a list of terms with effects, and {name!r} is not such a term"
                f"{did_you_mean(str(name), tuple(known))} (terms with effects: {', '.join(known) or 'none'})"
            )
        place = specification.layout.latents(known[name][0])
        if place.start < specification.system.n_effects:  # without pooling they are coefficients
            places.append(np.arange(place.start, place.stop))
    kept = np.unique(np.concatenate(places))
    return None if len(kept) == specification.system.n_effects else kept
