"""What the random probes of an iterative likelihood are made from: the ids of members and units.

A probe's sign for an effect depends on the term and the id alone, so the order of rows and the other ids in the data do
not matter, and two fits of the same members have the same probes.
"""

from __future__ import annotations

import numpy as np

from ..model.specification import Specification

_PRIME = np.uint64(0x100000001B3)
_BASIS = np.uint64(0xCBF29CE484222325)


def probe_keys(specification: Specification) -> np.ndarray:
    """A number (effects,) for each effect, in natural order."""
    system = specification.system
    out = np.arange(system.n_effects, dtype=np.uint64)
    basis = _hashed(np.array([str(specification.seed)]), _BASIS)[0]
    for k, part in enumerate(system.parts):
        where = system.places.effects(k)
        count = where.stop - where.start
        named = part.structure.labels() if part.structure is not None and count else ()
        labels = [values for _, values in named if len(values) == count] or [np.arange(count)]
        keys = np.full(count, _hashed(np.array([part.name]), basis)[0], dtype=np.uint64)
        for values in labels:
            keys = _hashed(np.asarray(values), keys)
        out[where] = keys
    return out


def _hashed(values: np.ndarray, keys: np.ndarray | np.uint64) -> np.ndarray:
    """Numbers made from the text of some values, on top of `keys` (as Fowler, Noll and Vo's function)."""
    text = np.ascontiguousarray(values.astype(str))
    characters = text.view(np.uint32).reshape(len(text), -1) if len(text) else np.empty((0, 0), dtype=np.uint32)
    out = np.broadcast_to(np.asarray(keys, dtype=np.uint64), len(text)).copy()
    for column in characters.T:
        there = column > 0
        out[there] = (out[there] ^ column[there].astype(np.uint64)) * _PRIME
    return (out ^ np.uint64(0x7C)) * _PRIME
