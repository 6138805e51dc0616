"""The tables that a model reads, as plain values and back, and their fingerprint."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ...notes import Note
from ...table.columns import Column, Table
from ...table.levels import Levels
from ...table.memberships import Memberships, Tables
from ...table.request import TableRequest
from .plain import Arrays, pack


def tables_to_plain(tables: Tables) -> dict[str, Any]:
    """Tables as nested dicts of arrays (see :mod:`.plain`)."""
    return {
        "groups": _table(tables.groups),
        "levels": _levels(tables.group_levels),
        "blocks": {name: _memberships(rows) for name, rows in tables.blocks.items()},
        "notes": [note.plain() for note in tables.notes],
        "order": tables.order,
        "labels": _plain_labels(tables.labels),
    }


def _table(table: Table) -> dict[str, Any]:
    columns = {name: _column(column) for name, column in table.columns.items()}
    return {"name": table.name, "rows": table.n_rows, "columns": columns}


def _column(column: Column) -> dict[str, Any]:
    missing = column.missing if column.missing.any() else None
    return {
        "values": column.values, "kind": column.kind, "missing": missing, "categories": column.categories,
        "ordered": column.ordered,
    }  # fmt: skip


def _levels(levels: Levels | None) -> dict[str, Any] | None:
    return None if levels is None else {"name": levels.name, "values": levels.values}


def _memberships(rows: Memberships) -> dict[str, Any]:
    return {
        "group": rows.group,
        "member": rows.member,
        "members": _levels(rows.members),
        "table": _table(rows.table),
        "start": rows.start,
    }


def tables_from_plain(plain: dict[str, Any]) -> Tables:
    """What :func:`tables_to_plain` was given."""
    blocks = {
        name: Memberships(
            name, b["group"], b["member"], _read_levels(b["members"]), _read_table(b["table"]), b["start"]
        )
        for name, b in plain["blocks"].items()
    }
    levels = None if plain["levels"] is None else _read_levels(plain["levels"])
    notes = tuple(Note(**note) for note in plain["notes"])
    labels = plain["labels"]
    index = None if labels is None else pd.Index(labels["values"], name=labels["name"])
    return Tables(_read_table(plain["groups"]), levels, blocks, notes, plain["order"], index)


def _plain_labels(labels: Any) -> dict[str, Any] | None:
    """The labels of rows, where they are numbers, text or times without a zone; others are left to row numbers."""
    if labels is None or labels.nlevels > 1 or not (labels.name is None or isinstance(labels.name, str)):
        return None
    values = labels.to_numpy()
    if values.dtype.kind == "O":
        if not all(type(v) is str for v in values):
            return None
        values = values.astype(str)
    return {"name": labels.name, "values": values} if values.dtype.kind in "iufMU" else None


def _read_levels(plain: dict[str, Any]) -> Levels:
    return Levels(plain["name"], plain["values"])


def _read_table(plain: dict[str, Any]) -> Table:
    rows = plain["rows"]
    columns = {}
    for name, c in plain["columns"].items():
        missing = np.zeros(rows, dtype=bool) if c["missing"] is None else c["missing"]
        columns[name] = Column(name, c["values"], c["kind"], missing, c["categories"], c["ordered"])
    return Table(plain["name"], columns, rows)


# -- fingerprint -------------------------------------------------------------------------------------------------


def fingerprint(tables: Tables) -> str:
    """A hash of the tables as the model reads them: equal for equal data in any row order, frame type and shape."""
    plain = tables_to_plain(tables)
    for key in ("notes", "order", "labels"):  # where rows stood, not what they say
        del plain[key]
    for table in (plain["groups"], *(b["table"] for b in plain["blocks"].values())):
        del table["name"]
        for column in table["columns"].values():
            del column["ordered"]
    arrays: Arrays = {}
    text = json.dumps(pack(plain, "tables", arrays), sort_keys=True)
    hashed = hashlib.blake2b(text.encode(), digest_size=16)
    for name in sorted(arrays):
        hashed.update(digest(arrays[name]).encode())
    return hashed.hexdigest()


def digest(array: np.ndarray) -> str:
    """A hash of an array's values, the same whatever file it has been through."""
    hashed = hashlib.blake2b(digest_size=16)
    kind = array.dtype.kind
    if kind in "OUTS":
        for item in array.flat:
            text = str(item).encode("utf-8", "surrogatepass")
            hashed.update(len(text).to_bytes(8, "little") + text)
        shape = f"text{array.shape}"
    else:
        if kind == "M":
            array = array.astype("datetime64[us]").view(np.int64)
        if kind == "b":
            array = array.astype(np.int8)
        plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        hashed.update(plain.tobytes())
        shape = f"{plain.dtype.str}{plain.shape}"
    hashed.update(shape.encode())
    return hashed.hexdigest()


def counts(tables: Tables) -> str:
    """How many groups, memberships and members there are."""
    parts = [f"{tables.groups.n_rows} groups"]
    for name, rows in tables.blocks.items():
        parts.append(f"{len(rows.group)} memberships of {len(rows.members)} members in block {name}")
    return ", ".join(parts)


# -- as data again -----------------------------------------------------------------------------------------------


def as_data(tables: Tables, request: TableRequest) -> tuple[Table, dict[str, Table]]:
    """Tables in the shape that :func:`~micromacro.fit` takes: one row per group, and edge tables by block.

    Columns of a block that belong to groups are left to the table of groups, where they are found again.
    """
    groups = tables.groups
    if tables.group_levels is None:
        assert tables.order is not None
        return groups.take(np.argsort(tables.order, kind="stable")), {}
    assert request.group is not None
    key = _id_column(request.group, tables.group_levels.values)
    data = Table("data", {**groups.columns, request.group: key}, groups.n_rows)
    edges = {}
    for block in request.blocks:
        rows = tables.blocks[block.block]
        own = {n: c for n, c in rows.table.columns.items() if n not in data}
        own[request.group] = key.take(rows.group)
        if not block.parts:
            own.setdefault(block.member, _id_column(block.member, rows.members.values[rows.member]))
        edges[block.block] = Table("memberships", own, len(rows.group))
    return data, edges


def relabelled(tables: Tables, stored: Tables) -> Tables:
    """Tables that were made of :func:`as_data` of others, with the labels that the rows had there."""
    if tables.order is None or stored.order is None or stored.labels is None:
        return tables
    return replace(tables, labels=stored.labels.take(np.argsort(stored.order, kind="stable")[tables.order]))


def _id_column(name: str, values: np.ndarray) -> Column:
    kinds = {"i": "integer", "f": "number", "b": "bool", "M": "time"}
    kind: Any = kinds.get(values.dtype.kind, "text")
    values = values.astype(object) if kind == "text" else values
    return Column(name, values, kind, np.zeros(len(values), dtype=bool))
