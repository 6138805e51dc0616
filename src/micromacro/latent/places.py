"""Where everything is: each part's entries of theta, its effects and its coefficients in x.

Theta holds the entries of each part in turn, then those of the family; x (in natural order) the effects of each part
in turn, then the coefficients of each. Nobody else works this out.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from .part import Part


class Places:
    """Where the entries of theta and x of each part are, by the number of the part.

    Parameters
    ----------
    parts : sequence of Part
    family : int
        How many entries of theta are the family's own.
    rows_part : bool
        Whether the last part is that of an expansion: no term of the formula, its entries are those of rows.

    Attributes
    ----------
    n_effects, size : int
        Number of effects in x (they come first); length of x.
    hypers : int
        Length of theta.
    family : slice
        The family's entries of theta.
    terms : range
        Numbers of the parts that are terms of the formula.
    rows_part : int or None
        Number of the part of an expansion.
    """

    def __init__(self, parts: Sequence[Part], family: int, rows_part: bool = False, own: Sequence[str] = ()):
        self.parts, self.own_names = tuple(parts), tuple(own)
        self._theta = _runs([len(p.hypers) for p in self.parts])
        self._effects = _runs([p.effects for p in self.parts])
        self.n_effects = self._effects[-1].stop if self.parts else 0
        self._coefficients = _runs([len(p.coefficients) for p in self.parts], self.n_effects)
        self.size = self._coefficients[-1].stop if self.parts else 0
        end = self._theta[-1].stop if self.parts else 0
        self.hypers = end + family
        self.family = slice(end, self.hypers)
        self.terms = range(len(self.parts) - bool(rows_part))
        self.rows_part = len(self.parts) - 1 if rows_part else None
        names = {h.name: k for k, h in enumerate(h for p in self.parts for h in p.hypers)}
        names |= {name: end + k for k, name in enumerate(own)}
        self._reads = [self._read([names[n] for n in p.borrowed], k) for k, p in enumerate(self.parts)]

    def _read(self, borrowed: list[int], part: int) -> slice | np.ndarray:
        own = self._theta[part]
        return np.array([*borrowed, *range(own.start, own.stop)], dtype=np.int64) if borrowed else own

    def theta(self, part: int) -> slice:
        """A part's own entries of theta."""
        return self._theta[part]

    def reads(self, part: int) -> slice | np.ndarray:
        """The theta that a part's methods take: its own, after what it borrows from other parts."""
        return self._reads[part]

    def effect_theta(self, part: int) -> slice:
        """Theta of a part's effects."""
        start, own = self._theta[part].start, self.parts[part].structure_theta
        return slice(start + own.start, start + own.stop)

    def effects(self, part: int) -> slice:
        """A part's latent effects in x."""
        return self._effects[part]

    def coefficients(self, part: int) -> slice:
        """A part's coefficients in x."""
        return self._coefficients[part]

    def latents(self, part: int) -> slice:
        """What a part's effects are made of, in x: latent effects, or coefficients without pooling."""
        structure = self.parts[part].structure
        if structure is None or not structure.coefficients:
            return self._effects[part]
        end = self._coefficients[part].stop
        return slice(end - len(structure.coefficients), end)


def _runs(lengths: list[int], start: int = 0) -> list[slice]:
    """Slices of these lengths, one after the other."""
    ends = np.cumsum([start, *lengths]).tolist()
    return [slice(a, b) for a, b in pairwise(ends)]
