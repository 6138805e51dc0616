"""Strata, ``strata(x)``: groups that have a baseline of their own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import DataError, FormulaError
from ..language.nodes import Formula, Name
from ..table.joined import Joined, unit_column
from ..table.levels import Levels, encode
from ..table.memberships import Tables


@dataclass(frozen=True, eq=False)
class Strata:
    """The strata of a model.

    Attributes
    ----------
    columns : tuple of str
    levels : Levels
    joined : Joined or None
        How ids of several columns were joined.
    """

    columns: tuple[str, ...]
    levels: Levels
    joined: Joined | None

    @property
    def column(self) -> str:
        """As it is written."""
        return ":".join(self.columns)

    @property
    def labels(self) -> tuple[str, ...]:
        """Their values as text."""
        return tuple(map(str, self.levels.values.tolist()))

    def of(self, tables: Tables) -> np.ndarray:
        """The stratum of each group (groups,); one that the fit has not seen is an error."""
        column = unit_column(self.columns, tables.groups, self.joined)[0]
        codes = self.levels.find(column)
        unknown = np.flatnonzero(codes < 0)
        if len(unknown):
            raise DataError(
                f"strata({', '.join(self.columns)}): {column.values[unknown[0]]!s} is not among the strata of the fit "
                f"({', '.join(self.labels[:20])}), so nothing is known of its baseline: leave these rows out"
            )
        return codes.astype(float)


def read_strata(formula: Formula, tables: Tables) -> Strata | None:
    """The strata that a formula asks for."""
    calls = [call for call in formula.calls if call.function == "strata"]
    if not calls:
        return None
    names = [node for call in calls for node in call.args]
    for node in names:
        if not isinstance(node, Name):
            raise FormulaError("strata() takes columns", formula.text, node.span.start, node.span.stop)
    columns = tuple(dict.fromkeys(node.name for node in names if isinstance(node, Name)))
    column, joined = unit_column(columns, tables.groups)
    return Strata(columns, encode(column)[1], joined)
