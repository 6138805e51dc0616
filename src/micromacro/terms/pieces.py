"""How effects reach A: an entry is the weight of a membership times a load, piece by piece."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from ..effects.base import Effects
from ..effects.phrases import Noun, Phrase
from ..latent.part import Term
from ..numerics.loadings import fill_pieces, pull_pieces
from ..parameters import Parameter


@dataclass(eq=False)
class Pieces:
    """Work space of one thread for the entries of effects.

    Attributes
    ----------
    structure : Effects
    membership : (pieces,) int array
        The membership that each piece is of.
    load, d_load : (pieces,) arrays
        Loads, and the derivatives in them.
    reach : (memberships,) array
        The derivative in the weight of each membership, after `pull`.
    place : (pieces,) int array or None
        Where each piece is among the values of A; known with the first `fill`.
    """

    structure: Effects
    membership: np.ndarray
    load: np.ndarray
    d_load: np.ndarray
    reach: np.ndarray
    place: np.ndarray | None = None

    @classmethod
    def of(cls, structure: Effects) -> Self:
        """Fresh work space."""
        membership, _ = structure.pattern()
        pieces, memberships = len(membership), len(structure.rows.group)
        return cls(structure, membership, np.zeros(pieces), np.empty(pieces), np.zeros(memberships))

    def fill(self, theta: np.ndarray, weight: np.ndarray, slots: np.ndarray, values: np.ndarray) -> None:
        """Write the entries, whose places are `slots`, at theta of the effects and weights (memberships,)."""
        if self.place is None:
            self.place = np.ascontiguousarray(slots[self.structure.entries[2]])
        self.structure.loads(theta, self.load)
        fill_pieces(weight, self.membership, self.load, self.place, values)

    def pull(self, theta: np.ndarray, weight: np.ndarray, slope: np.ndarray) -> np.ndarray:
        """Derivatives in theta of the effects from those in the values of A; fills `reach`."""
        pull_pieces(weight, self.membership, self.load, self.place, slope, self.reach, self.d_load)
        return self.structure.pull_loads(theta, self.d_load)


@dataclass(frozen=True, eq=False)
class Share:
    """A term with a share in common effects: its name, its weights (None: all are 1), how many memberships it has."""

    name: str
    weighing: Any
    count: int

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Those of its weights."""
        return self.weighing.parameters if self.weighing else ()


class CommonEffects(Term):
    """Effects that several terms have in common: a part without covariates, which borrows the weights of the terms.

    The memberships of its `structure` are those of all terms, one after the other. A child is frozen and says what
    `shares` the terms have.
    """

    structure: Effects

    @property
    def nouns(self) -> Sequence[Noun]:
        """What its effects are called, term by term."""
        return self.structure.nouns

    def phrase(self, name: str) -> Phrase | None:
        """As its effects say, under the names of the terms."""
        return self.structure.phrase_of(name, self.nouns)

    @cached_property
    def shares(self) -> Sequence[Share]:
        """The terms, in the order of their memberships."""
        raise NotImplementedError

    @property
    def borrowed(self) -> tuple[str, ...]:
        """The terms' weight parameters: theta begins with them."""
        return tuple(p.name for share in self.shares for p in share.parameters)

    @cached_property
    def _places(self) -> dict[str, slice]:
        """Where the memberships of each term are."""
        ends = np.cumsum([0, *(share.count for share in self.shares)]).tolist()
        return {share.name: slice(ends[k], ends[k + 1]) for k, share in enumerate(self.shares)}

    def memberships_of(self, block: str) -> slice:
        """Those of one term."""
        return self._places[block]

    def weight_theta(self, theta: np.ndarray) -> list[np.ndarray]:
        """The weight parameters of each term."""
        ends = np.cumsum([len(share.parameters) for share in self.shares])
        return np.split(theta[: ends[-1]], ends[:-1])

    def _effects_theta(self, theta: np.ndarray) -> np.ndarray:
        return theta[len(theta) - len(self.structure.hypers) :]

    def entries(self) -> tuple[np.ndarray, np.ndarray]:
        row, latent, _ = self.structure.entries
        return row, latent

    def scratch(self, gradient: bool = True) -> dict[str, Any]:
        rooms = [None if s.weighing is None else s.weighing.scratch(gradient) for s in self.shares]
        return {"rooms": rooms, "w": np.ones(len(self.structure.rows.group)), "pieces": Pieces.of(self.structure)}

    def fill(self, theta: np.ndarray, scratch: Any, slots: np.ndarray, values: np.ndarray, offset: np.ndarray) -> bool:
        for share, own, room in zip(self.shares, self.weight_theta(theta), scratch["rooms"], strict=True):
            if room is not None:
                if not share.weighing.weigh(own, room):
                    return False
                scratch["w"][self._places[share.name]] = room["w"]
        scratch["pieces"].fill(self._effects_theta(theta), scratch["w"], slots, values)
        return True

    def pull(
        self, theta: np.ndarray, scratch: Any, slots: np.ndarray, slope: np.ndarray, d_offset: np.ndarray
    ) -> np.ndarray:
        pieces: Pieces = scratch["pieces"]
        own = pieces.pull(self._effects_theta(theta), scratch["w"], slope)
        each = zip(self.shares, scratch["rooms"], strict=True)
        weights = [r["d_w"] @ pieces.reach[self._places[s.name]] for s, r in each if r is not None]
        return np.concatenate([*weights, own])
