r"""Effects without pooling, ``fixed`` and ``fixed(1 + x)``: coefficients for each level, no distribution and no sd.

Where the weights of every group sum to the same number and the model has an intercept, a constant added to all
levels is a change of the intercept: the first level is then the reference and has effect zero. Slopes have no
reference: each level has its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import sparse

from ..errors import DataError, ModelError
from ..parameters import Parameter, kept_in_x
from .base import Effects, Rows, Setting


@dataclass(frozen=True, eq=False)
class NoPooling(Effects):
    """A coefficient for each term of each level, that of the reference left out.

    Attributes
    ----------
    own : tuple of Parameter
        Term by term.
    place : (levels, terms) int array
        Which of them each is; -1 for one that is zero: the reference, or left out as collinear.
    """

    own: tuple[Parameter, ...] = ()
    place: np.ndarray = None  # type: ignore[assignment]  # always given: the fields before it have defaults

    @property
    def coefficients(self) -> tuple[Parameter, ...]:
        return self.own

    @property
    def latents(self) -> int:
        """Number of coefficients."""
        return len(self.own)

    @cached_property
    def _pieces(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Membership, coefficient and covariate of each piece."""
        column = self.place[self.rows.level]
        membership, term = np.nonzero(column >= 0)
        return membership, column[membership, term], self.rows.z[term, membership]

    def pattern(self) -> tuple[np.ndarray, np.ndarray]:
        return self._pieces[:2]

    def loads(self, theta: np.ndarray, out: np.ndarray) -> None:
        out[:] = self._pieces[2]

    def pull_loads(self, theta: np.ndarray, d_load: np.ndarray) -> np.ndarray:
        return np.empty(0)

    def natural(self, theta: np.ndarray) -> sparse.csr_array:
        row = np.flatnonzero(self.place.ravel() >= 0)
        column = self.place.ravel()[row]
        return sparse.csr_array((np.ones(len(row)), (row, column)), shape=(self.place.size, len(self.own)))

    def on(self, rows: Rows) -> Effects:
        mapped, fresh = self._recoded(rows)
        if fresh:
            shown = ", ".join(map(str, fresh[:5]))
            raise DataError(
                f"effects = fixed of {self.name!r} has no coefficients for {len(fresh)} levels that the fit has not "
                f"seen (first: {shown}): there is no population to draw them from; leave these rows out, or use "
                "effects = iid"
            )
        return replace(self, rows=mapped)

    def moved(self, name: str) -> str:
        at = next(k for k, p in enumerate(self.own) if p.name == name)
        level, term = (int(v[0]) for v in np.nonzero(self.place == at))
        shown, column = self.levels.values.tolist(), self.levels.name
        zero = [shown[k] for k in np.flatnonzero(self.place[:, term] < 0)]
        if self.terms[term] != "1":
            return f"{self.terms[term]} is one higher and {column} is {shown[level]}"
        return f"{column} is {shown[level]}" + (f" instead of {zero[0]}" if len(zero) == 1 else "")

    def sentences(self) -> list[str]:
        zero = self.levels.values[self.place[:, 0] < 0].tolist() if "1" in self.terms else []
        first = "".join(f", u_{self.name}[{level}] = 0" for level in zero)
        several = self.terms != ("1",)
        of = (
            f"u_{self.name}[j,({', '.join(self.terms)})] coefficients" if several else f"u_{self.name}[j] a coefficient"
        )
        return [f"{of} per level, without pooling{first}"]


def make_fixed(setting: Setting) -> NoPooling:
    """Build ``fixed`` or ``fixed(1 + x)``."""
    rows, w = setting.rows, setting.weight
    total = np.bincount(rows.group, w, rows.groups)
    reference = setting.intercept and bool(np.ptp(total) <= 1e-9 * max(1.0, float(np.abs(total).max(initial=0.0))))
    own, place = [], np.full((len(rows.levels), len(rows.terms)), -1, dtype=np.int64)
    for k, term in enumerate(rows.terms):
        of = setting.name if term == "1" else f"{setting.name}.{term}"
        for code in range(int(reference and term == "1"), len(rows.levels)):
            member = rows.level == code
            column = np.bincount(rows.group[member], w[member] * rows.z[k, member], rows.groups)
            name = f"{of}[{rows.levels.values[code]}]"
            if name in setting.dropped:
                continue
            place[code, k] = len(own)
            made = kept_in_x(setting.priors.coefficient(name, float(np.std(column, ddof=1))))
            own.append(replace(made, aside=False))  # in x as effects are, whatever the linear predictor
    if not own:
        raise ModelError(
            f"effects = fixed of {setting.name!r} has one level only, which cannot be distinguished from the "
            "intercept: leave it out"
        )
    if not all(p.inside for p in own):
        raise ModelError(
            f"the coefficients of {setting.name!r} (effects = fixed) take normal or flat priors, or fixed values, only"
        )
    return NoPooling(setting.name, rows, (), (), tuple(own), place)
