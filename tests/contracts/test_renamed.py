"""What a model is called, and in what order it is written down, changes nothing.

Rows in another order and other kinds of tables give the same bits. Other names of ids, ids of other types, blocks in
another order and covariates in other units change last digits only: the search begins elsewhere, so log-likelihoods
agree within 1e-7 of their size and predictions within 1e-4 of the outcome's spread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from .failing import marked
from .subjects import Subject, point, subject
from .tables import KINDS

IDS = ("g", "m", "m2", "some", "part", "c", "k3")

# -- names of ids ------------------------------------------------------------------------------------------------------

Name = Callable[[Any], Any]


def other_text(i: Any) -> str:
    return f"{(7 * int(i)) % 101:03d} é{int(i)}"


def even_text(i: Any) -> str:
    return f"{int(i):04d}"


NAMES: dict[str, tuple[Name, Name]] = {  # in any order, and in the order that they had
    "text": (other_text, even_text),
    "numbers the other way round": (lambda i: 1000 - int(i), lambda i: 1000 + int(i)),
    "dates": (lambda i: pd.Timestamp("2001-02-03") - pd.Timedelta(days=31 * int(i)),
              lambda i: pd.Timestamp("2001-02-03") + pd.Timedelta(days=31 * int(i))),
    "categories": (other_text, even_text),
}  # fmt: skip


def renamed(s: Subject, how: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The data and the graphs and covariances under other ids."""
    free, ordered = NAMES[how]
    data = s.data
    for column in set(IDS) & set(data):
        name = ordered if column == "g" and s.kind.by_group else free
        new = data[column].map(lambda i, name=name: name(i), na_action="ignore")
        data = data.assign(**{column: new.astype("category") if how == "categories" else new})
    options = s.kind.sources(s.size)
    if "graphs" in options:
        graph = options["graphs"]["G"]
        options = {"graphs": {"G": {free(i): [free(k) for k in near] for i, near in graph.items()}}}
    if "known" in options:
        k = options["known"]["K"]
        ids = [free(i) for i in k.index]
        options = {"known": {"K": k.set_axis(ids, axis=0).set_axis(ids, axis=1)}}
    return data, options


def close(s: Subject, fit: Any, groups: Callable[[pd.Series], np.ndarray] | None = None) -> None:
    """Another fit says the same of the same groups, up to where the search stopped."""
    first = s.fit()
    assert fit.loglik == pytest.approx(first.loglik, rel=1e-7, abs=1e-6)
    one, two = first.fitted(), fit.fitted()
    if groups is not None:
        two = two.loc[groups(one.index.to_series())]
    np.testing.assert_allclose(two.to_numpy(), one.to_numpy(), rtol=0, atol=1e-4 * s.data["y"].std())


def other_names(s: Subject, how: str) -> None:
    data, options = renamed(s, how)
    fit = s.again(data, **options)
    name = NAMES[how][1 if s.kind.by_group else 0]
    close(s, fit, (lambda ids: ids.map(name).to_numpy()) if s.kind.has_members else None)


# -- units of covariates -----------------------------------------------------------------------------------------------

SCALED = {"v": (2.0, 3.0), "x": (-5.0, 0.0), "z": (2.0, 0.0), "q": (3.0, 0.0)}
UNITS: dict[str, dict[str, tuple[float, float]]] = {  # where a model is the same under more, or fewer, changes
    "offset and fix": {},
    "unit slopes apart": {"v": (2.0, 0.0)},
    "unit slope alone": {"v": (2.0, 0.0)},
    "threshold": {"v": (2.0, 3.0), "x": (1.0, 2.0)},
    **{kind: {**SCALED, "x": (-5.0, 100.0)}
       for kind in ("block", "block known", "block by group", "softmax, group", "block without effects", "var", "cov", "E")},
    **{kind: {"v": (2.0, 3.0), "x": (-5.0, 100.0)} for kind in ("block with an edge", "block signed")},
    **{kind: {**SCALED, "x": (5.0, 100.0)} for kind in ("max", "min")},
    **{kind: {"v": (2.0, 3.0), "x": (-5.0, 100.0)} for kind in ("block with an edge", "block signed")},
}  # fmt: skip


def other_units(s: Subject, how: str) -> None:
    """Covariates in other units (and from another zero, where the weights of a group sum to one)."""
    changes = UNITS.get(s.kind_name, SCALED)
    data = s.data.assign(**{c: a * s.data[c] + b for c, (a, b) in changes.items() if c in s.data})
    close(s, s.again(data))


# -- order of what is written ------------------------------------------------------------------------------------------

SWAPPED = {
    "crossed": "(1 | h) + v + (1 | c)",
    "nested": "(1 | k3 / c) + v",
    "unit slopes": "(1 + v | c) + v",
    "power, total": "mm(m, g, x, weights = power(z)) + v",
    "two blocks and a unit": (
        "(1 | c) + mm(some, g, z, normalize = none) + mm(m, g, x, weights = power(z), normalize = group, name = B) + v"
    ),
    "shared, total": "mm(m2, g, weights = power(x), effects = shared(m)) + mm(m, g, weights = power(z)) + v",
    "correlated roles": "mm(m2, g, effects = correlated_with(m)) + mm(m, g, x) + v",
}


def other_order(s: Subject, how: str) -> None:
    """Terms of the formula in another order."""
    fit = s.again(formula=f"{s.row.outcome} ~ {SWAPPED[s.kind_name]}")
    close(s, fit)
    assert set(fit.params.index) == set(s.fit().params.index)


# -- order and kind of tables ------------------------------------------------------------------------------------------

TABLES: dict[str, Callable[[pd.DataFrame], Any]] = {
    "rows shuffled": lambda d: d.sample(frac=1.0, random_state=3),
    "polars": pl.from_pandas,
    "arrow": lambda d: pa.Table.from_pandas(d[d.columns[::-1]], preserve_index=False),
    "arrays": lambda d: {k: d[k].to_numpy() for k in d},
}


def other_tables(s: Subject, how: str) -> None:
    """The same bits from the same rows, in whatever order and whoever holds them."""
    fit, first = s.again(TABLES[how](s.data)), s.fit()
    if not s.kind.has_members and how == "rows shuffled":  # rows are the groups, and sums follow their order
        assert fit.loglik == pytest.approx(first.loglik, rel=1e-9)
        return
    assert fit.loglik == first.loglik
    np.testing.assert_array_equal(fit.params, first.params)
    np.testing.assert_array_equal(point(fit.predict()), point(first.predict()))


CLAIMS = {claim.__name__: claim for claim in (other_names, other_units, other_order, other_tables)}


def rows():
    for kind, row in KINDS.items():
        family = "gaussian" if row.families is None else row.families[0]
        yield from (marked("other_names", kind, family, how) for how in NAMES)
        yield marked("other_units", kind, family, "")
        yield from (marked("other_tables", kind, family, how) for how in TABLES)
    yield from (marked("other_order", kind, "gaussian", "") for kind in SWAPPED)


@pytest.mark.parametrize(("claim", "kind", "family", "how"), list(rows()))
def test_contract(claim, kind, family, how):
    CLAIMS[claim](subject(kind, family), how)
