"""Expressions in ``E()``, the weighted mean in the group, compiled to a tape that reads the weights as an input."""

from __future__ import annotations

import numpy as np

from ...language.functions import WEIGHT
from ...language.nodes import Call, Name, Node
from ...numerics import tape as op
from ...table.memberships import Memberships
from .aggregate import MEAN
from .tape import Tape, TapeMaker


class _ExpectationMaker(TapeMaker):
    """A maker of tapes whose first register is the weights, loaded before each run; inside E() they are called w."""

    within = 0  # how many E() are open

    def load_weights(self) -> int:
        """The register of the weights: it moves, and no operation writes it."""
        self.value.append(None)
        self.weight = len(self.value) - 1
        return self.weight

    def call(self, node: Call) -> int:
        if node.function != MEAN:
            return super().call(node)
        self.within += 1
        inner = self.build(node.args[0])
        self.within -= 1
        return self.emit(op.GROUP_SUM, weighted := self.binary(op.MULTIPLY, self.weight, inner), inputs=(weighted,))

    def _name(self, node: Name) -> int:
        if self.within and node.name == WEIGHT and not node.quoted:
            return self.weight
        return super()._name(node)


def expectation_tape(
    node: Node, text: str, weight_parameters: int, symbols: tuple[str, ...], rows: Memberships
) -> tuple[Tape, int]:
    """Compile an expression for some memberships.

    Parameters
    ----------
    weight_parameters : int
        How many entries of the tape's parameters come before those of the symbols.
    symbols : tuple of str

    Returns
    -------
    Tape, int
        The tape and its register of weights.
    """
    size = np.repeat(np.diff(rows.start), np.diff(rows.start)).astype(float)
    hidden = tuple(f" w{k}" for k in range(weight_parameters))  # no symbol begins with a space
    maker = _ExpectationMaker(rows.table, size, rows.start, hidden + symbols, text)
    weight = maker.load_weights()
    tape = maker.finish(maker.build(node), False, (weight,))
    return tape, maker.place[weight]
