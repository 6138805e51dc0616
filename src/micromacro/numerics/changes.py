r"""What the change of an aggregate between two spells of a unit is made of.

With weights :math:`w` and values :math:`x` before (0) and after (1), bars for the mean of the two, and
:math:`A = \sum_j w_j x_j`,

.. math::

    A_1 - A_0 = \sum_{stay} (w_1 - w_0)(\bar x - c) + \sum_{stay} \bar w (x_1 - x_0)
              + \sum_{enter} w_1 (x_1 - c) - \sum_{leave} w_0 (x_0 - c),

where :math:`c = (A_0 + A_1) / 2` if both sums of weights are 1 and 0 otherwise, so that the parts add up exactly
(Griliches and Regev 1995, with the midpoints of Bennet 1920).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PARTS = ("reallocation", "attributes", "entry", "exit", "total")

#: How far from 1 a sum of weights may lie to count as 1.
NEAR = 1e-8


@dataclass(frozen=True, eq=False)
class Moves:
    """Who stays, enters and leaves between the spells of each pair.

    Attributes
    ----------
    item : (memberships,) int array
        Member of a spell to which each membership belongs: a member listed twice is one.
    counts : (items,) int array
        How often each is listed.
    spell : (items,) int array
        The spell of each.
    before, after : (pairs,) int arrays
        Spells.
    stays : (3, stayers) int array
        Pair, item before, item after.
    enters, leaves : (2, k) int arrays
        Pair and item.
    spells : int
    """

    item: np.ndarray
    counts: np.ndarray
    spell: np.ndarray
    before: np.ndarray
    after: np.ndarray
    stays: np.ndarray
    enters: np.ndarray
    leaves: np.ndarray
    spells: int

    def totals(self, weight: np.ndarray) -> np.ndarray:
        """Weights (items,) of members in a spell from those of memberships."""
        return np.bincount(self.item, weight, len(self.counts))

    def values(self, weight: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Values (items,): of a member listed several times the weighted mean."""
        summed = np.bincount(self.item, x, len(self.counts))
        mean = summed / self.counts
        if self.counts.max(initial=1) == 1:
            return mean
        total = self.totals(weight)
        weighted = np.bincount(self.item, weight * x, len(self.counts))
        return np.where((self.counts > 1) & (total != 0.0), weighted / np.where(total == 0.0, 1.0, total), mean)


def pairs_of(unit: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Spells (pairs,) before and after of all pairs of successive spells, by unit and then in order.

    Parameters
    ----------
    unit, order : (spells,) int arrays
        Codes of the unit and of the time of each spell.
    """
    place = np.lexsort([order, unit])
    same = unit[place][1:] == unit[place][:-1]
    return place[:-1][same], place[1:][same]


def tied(unit: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Two spells of a unit that have the same order (2,), the first such; none (0,) where each has its own."""
    pairs = np.stack(pairs_of(unit, order), axis=1)
    return pairs[order[pairs[:, 0]] == order[pairs[:, 1]]][:1].ravel()


def moves_of(spell: np.ndarray, member: np.ndarray, pairs: tuple[np.ndarray, np.ndarray], spells: int) -> Moves:
    """Who stays, enters and leaves; every spell is the first and the second of at most one pair each.

    Parameters
    ----------
    spell, member : (memberships,) int arrays
        Codes.
    pairs : two (pairs,) int arrays
        Spells before and after.
    spells : int
    """
    width = int(member.max(initial=0)) + 1
    key, item, counts = np.unique(spell * width + member, return_inverse=True, return_counts=True)
    own, who = np.divmod(key, width)
    before, after = pairs
    first, second = np.full(spells, -1), np.full(spells, -1)
    first[before] = second[after] = np.arange(len(before))
    old, new = np.flatnonzero(first[own] >= 0), np.flatnonzero(second[own] >= 0)
    old_key, new_key = first[own[old]] * width + who[old], second[own[new]] * width + who[new]
    shared, at_old, at_new = np.intersect1d(old_key, new_key, assume_unique=True, return_indices=True)
    left, entered = np.delete(old, at_old), np.delete(new, at_new)
    return Moves(
        item.reshape(-1), counts, own, before, after, np.stack([shared // width, old[at_old], new[at_new]]),
        np.stack([second[own[entered]], entered]), np.stack([first[own[left]], left]), spells,
    )  # fmt: skip


def decomposed(moves: Moves, weight: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The parts of each change, and their sum (pairs, 5), in the order of :data:`PARTS`.

    Parameters
    ----------
    moves : Moves
    weight, x : (memberships,) arrays
    """
    w, v = moves.totals(weight), moves.values(weight, x)
    sums = np.bincount(moves.spell, w, moves.spells)
    aggregate = np.bincount(moves.spell, w * v, moves.spells)
    one = np.abs(sums - 1.0) <= NEAR
    middle = 0.5 * (aggregate[moves.before] + aggregate[moves.after])
    centre = np.where(one[moves.before] & one[moves.after], middle, 0.0)
    pairs = len(moves.before)
    (pair, old, new), (into, entered), (out_of, left) = moves.stays, moves.enters, moves.leaves
    moved = (w[new] - w[old]) * (0.5 * (v[old] + v[new]) - centre[pair])
    return np.column_stack(
        [
            np.bincount(pair, moved, pairs),
            np.bincount(pair, 0.5 * (w[old] + w[new]) * (v[new] - v[old]), pairs),
            np.bincount(into, w[entered] * (v[entered] - centre[into]), pairs),
            -np.bincount(out_of, w[left] * (v[left] - centre[out_of]), pairs),
            aggregate[moves.after] - aggregate[moves.before],
        ]
    )


def turned_over(moves: Moves, weight: np.ndarray) -> dict[str, np.ndarray]:
    """How much of each pair's membership is new: counts of members, shares of weight, distances.

    Parameters
    ----------
    moves : Moves
    weight : (memberships,) array

    Returns
    -------
    dict of (pairs,) arrays
        stayed, entered, left (numbers of members); entry_weight, exit_weight (their sums of weights); moved (half the
        sum of all absolute differences of weights); jaccard (share of members of either spell that are not in both).
    """
    pairs, w = len(moves.before), moves.totals(weight)
    (pair, old, new), (into, entered), (out_of, left) = moves.stays, moves.enters, moves.leaves
    stay, enter, leave = (np.bincount(p, minlength=pairs) for p in (pair, into, out_of))
    moved = np.bincount(pair, np.abs(w[new] - w[old]), pairs)
    moved = moved + np.bincount(into, np.abs(w[entered]), pairs) + np.bincount(out_of, np.abs(w[left]), pairs)
    either = stay + enter + leave
    return {
        "stayed": stay, "entered": enter, "left": leave, "entry_weight": np.bincount(into, w[entered], pairs),
        "exit_weight": np.bincount(out_of, w[left], pairs), "moved": 0.5 * moved,
        "jaccard": np.divide(enter + leave, either, out=np.zeros(pairs), where=either > 0),
    }  # fmt: skip
