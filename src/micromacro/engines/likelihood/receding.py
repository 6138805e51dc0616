r"""Where likelihoods recede whose members meet in another way than by their sum.

Along a direction d in coefficients and effects the predictor of group i moves as :math:`t\,a_i'd + F(\zeta + t z_i'd)`.
A soft maximum F is convex in t for :math:`\kappa > 0`, concave for :math:`\kappa < 0`, and so never falls

- from the estimate on, if its slope there, :math:`a_i'd + \sum_j p_j z_{ij}'d` with the shares p, is not negative and F
  is convex;
- anywhere, if :math:`a_i'd + z_{ij}'d` is not negative for all members j and F is concave;

with both signs turned where it is not to rise, and never moves if the second is zero for all members. So each
outcome gives one constraint, or one for each member. A mean of powers is neither convex nor concave: there the
constraints are that neither the group's own predictor nor that of any member falls, which suffices. Each direction
found is one along which no outcome loses; some others are not seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from ...families.base import Recession
from ...latent.combined import Combined, Meets
from ...numerics.ragged import runs


@dataclass(frozen=True, eq=False)
class OfMembers(Recession):
    """Constraints on sums of rows: of the groups' own ones and of those of members.

    Attributes
    ----------
    reading : sparse (m, rows) array
    """

    reading: Any = None

    def differences(self, columns: Any) -> Any:
        """Columns (rows, k), sparse or not, at the constraints (m, k)."""
        return self.reading @ columns

    def of(self, which: np.ndarray) -> OfMembers:
        """Some of the constraints."""
        made: Any = super().of(which)
        return replace(made, reading=self.reading[np.flatnonzero(which) if which.dtype == bool else which])


def of_members(
    combined: Combined, values: np.ndarray, eta: np.ndarray, own: np.ndarray, parameters: int
) -> OfMembers | None:  # fmt: skip
    """The constraints at a predictor of all rows; None where outcomes are compared with each other (choices).

    Parameters
    ----------
    values : (c, rows) array
        As the likelihood reads them.
    eta : (rows,) array
    own : array
        The numbers of the family and those that parts fill.
    parameters : int
        How many entries of theta are the family's own.
    """
    at = combined.at(eta, own, 1)
    base = combined.family.recession(np.ascontiguousarray(values[:, : len(combined.group)]), parameters)
    if base.others is not None:
        return None
    m, group = len(base.row), combined.group[base.row]
    entries = [(np.arange(m), base.row, np.ones(m))]
    joined, apart, taken = [], [], np.zeros(m, dtype=bool)
    for block in combined.combinations:
        lean = block.lean(own[combined.own :])
        straight = ~base.interior & (base.sign * lean > 0.0) if lean is not None else np.zeros(m, dtype=bool)
        straight = straight | (lean == 0.0)
        which, row = _members(block, group, np.flatnonzero(straight))
        entries.append((which, row, (at.share * at.first)[row]))
        bent = np.flatnonzero(~straight)
        with_own = bent[~taken[bent]] if lean is not None else bent[:0]
        joined.append(_members(block, group, with_own))
        apart.append(_members(block, group, np.setdiff1d(bent, with_own)))
        taken[joined[-1][0]] = True
    which, row, value = (np.concatenate(part) for part in zip(*entries, strict=True))
    linear = sparse.csr_array((value, (which, row)), shape=(m, combined.rows))
    (with_own, member), (alone, other) = (tuple(map(np.concatenate, zip(*p, strict=True))) for p in (joined, apart))
    kept = np.flatnonzero(~taken)
    reading: Any = sparse.vstack(
        [linear[kept], linear[with_own] + _ones(member, combined.rows), _ones(other, combined.rows)], format="csr"
    )
    source = np.concatenate([kept, with_own, alone])
    made = base.of(source)
    made.own[len(source) - len(alone) :] = 0.0
    return OfMembers(made.row, made.sign, made.own, made.interior, made.counts, None, reading)


def _members(block: Meets, group: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Constraints, each as often as its group has members, and the rows of these."""
    which = which[group[which] >= 0]
    first, count = block.start[group[which]], np.diff(block.start)[group[which]]
    return np.repeat(which, count), block.first + runs(first, count)


def _ones(row: np.ndarray, rows: int) -> Any:
    return sparse.csr_array((np.ones(len(row)), (np.arange(len(row)), row)), shape=(len(row), rows))
