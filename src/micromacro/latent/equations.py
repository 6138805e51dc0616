"""What a part is in the equations of ``explain()``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Equations:
    """A part in the equations of ``explain()``.

    Attributes
    ----------
    terms : tuple of str
        Summands of eta[i].
    below : tuple of str
        Lines under the equations: weights, distributions of effects.
    aside : mapping
        Summands of other linear predictors, by their number.
    """

    terms: tuple[str, ...] = ()
    below: tuple[str, ...] = ()
    aside: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
