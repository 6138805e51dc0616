r"""Effects without pooling, ``fixed``: a coefficient for each level, no distribution and no sd.

Where the weights of every group sum to the same number and the model has an intercept, a constant added to all
levels is a change of the intercept: the first level is then the reference and has effect zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from ..errors import DataError, ModelError
from ..parameters import Parameter, kept_in_x
from .base import Effects, Rows, Setting


@dataclass(frozen=True, eq=False)
class NoPooling(Effects):
    """A coefficient for each level, that of the reference left out.

    Attributes
    ----------
    own : tuple of Parameter
    reference : bool
        Whether the first level is the reference.
    """

    own: tuple[Parameter, ...] = ()
    reference: bool = False

    @property
    def coefficients(self) -> tuple[Parameter, ...]:
        return self.own

    @property
    def latents(self) -> int:
        """Number of coefficients."""
        return len(self.own)

    def pattern(self) -> tuple[np.ndarray, np.ndarray]:
        column = self.rows.level - int(self.reference)
        membership = np.flatnonzero(column >= 0)
        return membership, column[membership]

    def loads(self, theta: np.ndarray, out: np.ndarray) -> None:
        out[:] = 1.0

    def pull_loads(self, theta: np.ndarray, d_load: np.ndarray) -> np.ndarray:
        return np.empty(0)

    def natural(self, theta: np.ndarray) -> sparse.csr_array:
        column = np.arange(len(self.own))
        shape = (len(self.levels), len(self.own))
        return sparse.csr_array((np.ones(len(column)), (column + int(self.reference), column)), shape=shape)

    def on(self, rows: Rows) -> Effects:
        mapped, fresh = self._recoded(rows)
        if fresh:
            shown = ", ".join(map(str, fresh[:5]))
            raise DataError(
                f"effects = fixed of {self.name!r} has no coefficients for {len(fresh)} levels that the fit has not "
                f"seen (first: {shown}): there is no population to draw them from; leave these rows out, or use "
                "effects = iid"
            )
        return NoPooling(self.name, mapped, self.hypers, (), self.own, self.reference)

    def sentences(self) -> list[str]:
        first = f", u_{self.name}[{self.levels.values[0]}] = 0" if self.reference else ""
        return [f"u_{self.name}[j] a coefficient per level, without pooling{first}"]


def make_fixed(setting: Setting) -> NoPooling:
    """Build ``fixed``."""
    rows, w = setting.rows, setting.weight
    total = np.bincount(rows.group, w, rows.groups)
    reference = setting.intercept and bool(np.ptp(total) <= 1e-9 * max(1.0, float(np.abs(total).max(initial=0.0))))
    own = []
    for code in range(int(reference), len(rows.levels)):
        member = rows.level == code
        column = np.bincount(rows.group[member], w[member], rows.groups)
        name = f"{setting.name}[{rows.levels.values[code]}]"
        own.append(kept_in_x(setting.priors.coefficient(name, float(np.std(column, ddof=1)))))
    if not own:
        raise ModelError(
            f"effects = fixed of {setting.name!r} has one level only, which cannot be distinguished from the "
            "intercept: leave it out"
        )
    if not all(p.inside for p in own):
        raise ModelError(
            f"the coefficients of {setting.name!r} (effects = fixed) take normal or flat priors, or fixed values, only"
        )
    return NoPooling(setting.name, rows, (), (), tuple(own), reference)
