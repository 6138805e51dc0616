"""Scenarios: the tables of a model with some columns set to other values, or without some members."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from ...errors import DataError, ModelError
from ...language.nodes import Call, Formula, Node, units_in, walk, without_bars
from ...language.parse import parse_expression
from ...language.printing import names_in
from ...model.specification import Specification
from ...numerics.ragged import starts
from ...table.columns import Column, Table, unknown_column
from ...table.memberships import Memberships, Tables
from ...terms.design import categorical_names, stepped_names
from ...terms.expression import evaluate

SPLINES = ("bs", "cr", "cs", "cc")
Values = Callable[[Column], np.ndarray]
Where = str | Mapping[str, Any] | Callable[[pd.DataFrame], Any] | None


@dataclass(frozen=True)
class Pair:
    """Two values of a variable that are compared: how each is made from the column as it is."""

    label: str
    low: Values
    high: Values


# -- what stands where ---------------------------------------------------------------------------------------


def covariates(specification: Specification) -> tuple[str, ...]:
    """Columns of fixed terms, then those that member blocks read (covariates and weights)."""
    names = [
        n.name
        for f in specification.reading.formulas
        for node in (*(node for _, node in f.fixed), *f.calls)
        for n in names_in(node)
    ]
    names += [c for b in specification.request.blocks for c in b.columns if c not in ("n", *b.parts)]
    return tuple(dict.fromkeys(names))


def term_nodes(specification: Specification) -> list[Node]:
    """Every term of the formula that makes columns: fixed, of units, of blocks, of interactions, and the weights."""
    return [node for f in specification.reading.formulas for node in _term_nodes(f)]


def _term_nodes(f: Formula) -> list[Node]:
    nodes: list[Node] = [
        *(n for _, n in f.fixed),
        *(x.term for x in f.fixes),
        *(n for i in f.interactions for n in i.terms),
    ]
    nodes += [*f.calls, *(n for u in f.units for n in (u.effects, *(term for _, term in u.slopes)))]
    for call in f.members:
        nodes += [call.effects, *(n for _, n in call.covariates), *(x.term for x in call.fixes)]
        nodes += [] if call.weights is None else [without_bars(call.weights)]
    return nodes


def unit_names(specification: Specification) -> frozenset[str]:
    """Columns that say which unit a group is in, and of what type the unit is."""
    units = specification.formula.units
    of_types = (u.by.name for u in units if u.by is not None)
    of_weights = (name for call in specification.formula.members for name in units_in(call.weights))
    return frozenset((*(n.name for u in units for n in names_in(u.unit)), *of_types, *of_weights))


def check_moves(specification: Specification, name: str, verb: str) -> None:
    """Refuse a column that the predictions do not depend on: the outcome, ids of groups and members, others."""
    s = specification
    if name in s.used or any(name in b.columns and name not in b.parts for b in s.request.blocks):
        return
    known = f"(there are {', '.join(covariates(s)) or 'none'})"
    if name in s.request.outcome_columns:
        what = "the outcome, or belongs to it," if name != s.reading.observation_weights else "the observation weights"
        raise ModelError(f"{verb} {name!r}: it is {what} and not a covariate {known}")
    if name == s.request.group:
        raise ModelError(f"{verb} {name!r}: it contains the group ids and is not a covariate {known}")
    if any(name in (b.member, *b.keys) for b in s.request.blocks):
        raise ModelError(
            f"{verb} {name!r}: it contains the member ids and is not a covariate {known}; what happens when a member "
            f"leaves is comparisons(without={{{name!r}: id}})"
        )


def stepped(specification: Specification) -> tuple[str, ...]:
    """Columns that the model takes by categories, in ``C()``."""
    return stepped_names(term_nodes(specification))


def check_slope(specification: Specification, name: str) -> None:
    """Refuse a column that has no derivative: not numeric, not a covariate, or used as categories."""
    check_moves(specification, name, "there is no slope of")
    column = homes(specification.tables, name)[-1]
    if not numeric(column):
        raise ModelError(f"column {name!r} holds {column.kind} values, so it has no slope: use comparisons()")
    if name in unit_names(specification) and name not in covariates(specification):
        raise ModelError(
            f"column {name!r} contains unit ids, so it has no slope: use comparisons({{{name!r}: (a, b)}})"
        )
    if name in stepped(specification):
        raise ModelError(f"column {name!r} is used as categories, in C(), so it has no slope: use comparisons()")


def range_of_spline(specification: Specification, name: str) -> tuple[float, float] | None:
    """Least and greatest value in the fit of a column that a spline takes, which may have no value beyond."""
    calls = [c for n in term_nodes(specification) for c in walk(n) if isinstance(c, Call) and c.function in SPLINES]
    if not any(n.name == name for c in calls for n in names_in(c)):
        return None
    values = np.concatenate([c.values.astype(float) for c in homes(specification.tables, name)])
    return float(values.min()), float(values.max())


def homes(tables: Tables, name: str) -> list[Column]:
    """The column wherever it is: among the groups, then in each block."""
    out = [tables.groups[name]] if name in tables.groups else []
    out += [rows.table[name] for rows in tables.blocks.values() if name in rows.table]
    if not out:
        known = [*tables.groups.names, *(c for rows in tables.blocks.values() for c in rows.table.names)]
        raise unknown_column(name, "the model", list(dict.fromkeys(known)))
    return out


def numeric(column: Column) -> bool:
    """Whether a column holds numbers."""
    return column.kind in ("number", "integer")


def names_of_where(where: Where) -> tuple[str, ...]:
    """Columns that a condition on memberships reads, as far as its text says."""
    if isinstance(where, str):
        return tuple(dict.fromkeys(n.name for n in names_in(parse_expression(where))))
    return tuple(where) if isinstance(where, Mapping) else ()


def chosen(tables: Tables, rows: Memberships, where: Where) -> np.ndarray:
    """Memberships (m,) of a block for which the condition holds."""
    if where is None:
        return np.ones(len(rows.group), dtype=bool)
    table = _with_ids(tables, rows)
    if callable(where):
        mask = np.asarray(where(table.to_pandas()))
        if mask.dtype.kind != "b" or mask.shape != (table.n_rows,):
            raise ModelError(f"where= must give one true or false per membership ({table.n_rows} of them)")
        return mask
    lacking = [name for name in names_of_where(where) if name not in table]
    if lacking:
        remedy = "a fit keeps the columns of its formula only: give data= that has it, too"
        raise DataError(f"{unknown_column(lacking[0], table.name, table.names)}; {remedy}")
    if isinstance(where, str):
        return evaluate(parse_expression(where), table, where, "where=") != 0.0
    mask = np.ones(table.n_rows, dtype=bool)
    for name, values in where.items():
        mask &= np.isin(table[name].values, listed(values))
    return mask


def _with_ids(tables: Tables, rows: Memberships) -> Table:
    """A block's columns with the ids of groups and members."""
    columns = dict(rows.table.columns)
    assert tables.group_levels is not None
    for name, ids in (
        (tables.group_levels.name, tables.group_levels.values[rows.group]),
        (rows.members.name, rows.members.values[rows.member]),
    ):
        text = ids.dtype.kind == "U"
        columns[name] = Column(
            name, ids.astype(object) if text else ids, "text" if text else "integer", np.zeros(len(ids), dtype=bool)
        )
    return Table(f"block {rows.block!r}", columns, len(rows.group))


def listed(values: Any) -> list[Any]:
    """Several values as a list, one (a text, too) as a list of it."""
    return list(values) if isinstance(values, Iterable) and not isinstance(values, str) else [values]


# -- changes -------------------------------------------------------------------------------------------------


def changed(tables: Tables, name: str, values: Values, where: Where = None) -> Tables:
    """The tables with new values of a column wherever it is; with `where`, in the selected memberships only."""
    homes(tables, name)
    groups, blocks = tables.groups, dict(tables.blocks)
    if name in groups and where is None:
        groups = _with(groups, groups[name], values(groups[name]))
    for key, rows in tables.blocks.items():
        if name not in rows.table:
            continue
        column = rows.table[name]
        new = np.where(chosen(tables, rows, where), values(column), column.values)
        blocks[key] = replace(rows, table=_with(rows.table, column, new))
    if where is not None and not any(name in rows.table for rows in tables.blocks.values()):
        raise ModelError(f"where= selects memberships, but {name!r} is a column of groups: restrict the data instead")
    return replace(tables, groups=groups, blocks=blocks)


def _with(table: Table, column: Column, values: np.ndarray) -> Table:
    kind = "number" if numeric(column) and values.dtype.kind == "f" else column.kind
    new = Column(column.name, values, kind, np.zeros(len(values), dtype=bool), column.categories)
    return Table(table.name, table.columns | {column.name: new}, table.n_rows)


def constant(value: Any) -> Values:
    """The same value in every row; the words mean, median, min and max stand for those of a numeric column."""

    def values(column: Column) -> np.ndarray:
        if numeric(column):
            if value in ("mean", "median", "min", "max"):
                return np.full(len(column.values), float(getattr(np, value)(column.values)))
            if isinstance(value, str):
                raise ModelError(f"column {column.name!r} holds numbers, so it cannot be set to {value!r}")
            return np.full(len(column.values), float(value))
        if column.kind == "bool":
            return np.full(len(column.values), bool(value))
        return np.full(len(column.values), str(value), dtype=object)

    return values


def shifted(by: float) -> Values:
    """Every value moved."""
    return lambda column: column.values.astype(float) + by


def nudged(step: float, inside: tuple[float, float] | None) -> tuple[Values, Values]:
    """Every value half a step down and half a step up; at an end of a range, a whole step inward."""
    if inside is None:
        return shifted(-0.5 * step), shifted(0.5 * step)
    least, most = inside

    def low(column: Column) -> np.ndarray:
        x = column.values.astype(float)
        moved = np.clip(x - 0.5 * step, least, max(least, most - step))
        return np.where((x >= least) & (x <= most), moved, x - 0.5 * step)

    return low, lambda column: low(column) + step


def without(tables: Tables, gone: Any) -> tuple[Tables, str]:
    """The tables without the memberships of some members, and what that is called.

    Parameters
    ----------
    gone : dict, or an id or list of ids
        Block or member column to id or ids; without a dict, ids of the only block.
    """
    if not isinstance(gone, Mapping):
        if len(tables.blocks) != 1:
            raise ModelError(
                f"without= must name the block: a dict such as {{{next(iter(tables.blocks), 'block')!r}: id}}"
            )
        gone = {next(iter(tables.blocks)): gone}
    blocks, labels = dict(tables.blocks), []
    for key, ids in gone.items():
        keys = [k for k, rows in tables.blocks.items() if key in (k, rows.members.name)]
        if not keys:
            raise ModelError(f"there is no block or member column {key!r}; blocks: {', '.join(tables.blocks)}")
        for k in keys:
            blocks[k] = _dropped(blocks[k], listed(ids))
        labels.append(f"{key} {', '.join(map(str, listed(ids)))}")
    return replace(tables, blocks=blocks), "without " + "; ".join(labels)


def _dropped(rows: Memberships, ids: Sequence[Any]) -> Memberships:
    gone = np.zeros(len(rows.members), dtype=bool)
    for one in ids:
        found = rows.members.values == one
        if not np.any(found):
            raise DataError(f"no group has a member {one!r} in block {rows.block!r}, so it cannot leave")
        gone |= found
    keep = np.flatnonzero(~gone[rows.member])
    group = rows.group[keep]
    start = starts(np.bincount(group, minlength=len(rows.start) - 1))
    table = rows.table.take(keep)
    if "n" in table:  # the number of members is one less
        table = _with(table, table["n"], np.repeat(np.diff(start), np.diff(start)).astype(float))
    return replace(rows, group=group, member=rows.member[keep], table=table, start=start)


def affected(before: Tables, after: Tables) -> np.ndarray:
    """Groups (n,) in which anything differs between two scenarios."""
    out = np.zeros(before.groups.n_rows, dtype=bool)
    for name, column in before.groups.columns.items():
        out |= column.values != after.groups[name].values
    for key, rows in before.blocks.items():
        other = after.blocks[key]
        if len(rows.group) != len(other.group):
            out |= np.diff(rows.start) != np.diff(other.start)
            continue
        for name, column in rows.table.columns.items():
            out[rows.group[column.values != other.table[name].values]] = True
    return out


# -- values to compare -----------------------------------------------------------------------------------------


def pairs(specification: Specification, tables: Tables, name: str, asked: Any) -> list[Pair]:
    """The comparisons of one variable; see ``Fit.comparisons`` for what may be asked."""
    check_moves(specification, name, "comparisons() cannot change")
    column = homes(tables, name)[-1]
    coded = name in categorical_names(term_nodes(specification))
    unit = name in unit_names(specification) and name not in covariates(specification)
    if unit and not (isinstance(asked, tuple) or asked in ("reference", "sequential", "pairwise")):
        raise ModelError(
            f"comparisons() of {name!r}, a unit, needs to know which: a pair, as in comparisons({{{name!r}: (a, b)}}), "
            'or "reference", "sequential" or "pairwise"'
        )
    if isinstance(asked, tuple) and len(asked) == 2:
        low, high = asked
        return [Pair(f"{high} - {low}", constant(low), constant(high))]
    if column.kind == "bool":
        return [Pair("True - False", constant(False), constant(True))]
    if not numeric(column) or coded or unit:
        return _level_pairs(homes(specification.tables, name)[-1], asked)
    x = column.values.astype(float)
    if asked is None:
        if set(np.unique(x)) <= {0.0, 1.0}:
            return [Pair("1 - 0", constant(0.0), constant(1.0))]
        asked = 1.0
    if asked == "sd":
        spread = float(np.std(homes(specification.tables, name)[-1].values.astype(float), ddof=1))
        return [Pair("+sd", shifted(0.0), shifted(spread))]
    if asked in ("minmax", "iqr"):
        low, high = np.quantile(x, [0.0, 1.0] if asked == "minmax" else [0.25, 0.75])
        return [Pair("max - min" if asked == "minmax" else "q3 - q1", constant(low), constant(high))]
    if isinstance(asked, (int, float)) and not isinstance(asked, bool):
        return [Pair(f"{asked:+g}", shifted(0.0), shifted(float(asked)))]
    raise ModelError(
        f'the comparison of {name!r} is a number to add, "sd", "iqr", "minmax" or a pair (low, high), not {asked!r}'
    )


def _level_pairs(column: Column, asked: Any) -> list[Pair]:
    levels = list(column.categories or sorted(set(column.values.tolist())))
    if asked in (None, "reference"):
        both = [(levels[0], level) for level in levels[1:]]
    elif asked == "sequential":
        both = list(pairwise(levels))
    elif asked == "pairwise":
        both = [(a, b) for k, a in enumerate(levels) for b in levels[k + 1 :]]
    else:
        raise ModelError(
            f'the comparison of {column.name!r} is "reference", "sequential", "pairwise" or a pair of its categories, '
            f"not {asked!r}"
        )
    return [Pair(f"{b} - {a}", constant(a), constant(b)) for a, b in both]
