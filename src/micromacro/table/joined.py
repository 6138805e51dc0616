"""Units of several columns, ``a:b``: their ids joined by a colon, and what each id was made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError
from .columns import Column, Table
from .levels import KINDS_OF_IDS, id_values


@dataclass(frozen=True, eq=False)
class Joined:
    """How the ids of a unit of several columns were made when the model was made.

    Attributes
    ----------
    names : tuple of str
        The columns.
    kinds : tuple of str
        What each column held: numbers, text, times, true or false.
    examples : tuple
        An id of each column, for messages.
    parts : dict
        Joined id to the ids that it was made of, as text.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    examples: tuple[Any, ...]
    parts: dict[str, tuple[str, ...]]


def unit_column(
    names: tuple[str, ...], table: Table, known: Joined | None = None
) -> tuple[Column, Joined | None]:  # fmt: skip
    """The column of a unit; of several columns their ids joined by a colon.

    Parameters
    ----------
    known : Joined, optional
        What the model was made with: the same columns must hold ids of the same kinds now.

    Raises
    ------
    DataError
        For ids of another kind, and for two units that would have one name.
    """
    if len(names) == 1:
        return table[names[0]], None
    values = [id_values(table[n]) for n in names]
    missing = np.any([table[n].missing for n in names], axis=0)
    kinds, examples = zip(*((KINDS_OF_IDS[v.dtype.kind], v.tolist()[0]) for v in values), strict=True)
    made = Joined(names, kinds, examples, {})
    if known is not None and not missing.all():
        _check_kinds(made, known, table.name)
    rows = list(zip(*(map(_written, v.tolist()) for v in values), strict=True))
    ids = [":".join(parts) for parts in rows]
    before = known.parts if known is not None else {}
    for one, parts, gap in zip(ids, rows, missing.tolist(), strict=True):
        if not gap and (made.parts.setdefault(one, parts) != parts or before.get(one, parts) != parts):
            raise DataError(
                f"ids of {' and '.join(names)} hold colons, so that two units of {':'.join(names)} would have one name "
                f"({one!r}): combine them into one column yourself"
            )
    out = np.empty(len(ids), dtype=object)
    out[:] = ids
    return Column(":".join(names), out, "text", missing), made


def _written(value: Any) -> str:
    """An id as text; a whole number is written alike whether its column has fractions or not."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _check_kinds(made: Joined, known: Joined, table: str) -> None:
    for name, now, then, value, before in zip(
        made.names, made.kinds, known.kinds, made.examples, known.examples, strict=True
    ):
        if now != then:
            raise DataError(
                f"the ids in column {name!r} of {table} are {now} (such as {value!r}), but they were {then} (such as "
                f"{before!r}) when the model was made: give both the same type"
            )
