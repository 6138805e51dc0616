r"""Effects on the scale of the outcome: predictions, comparisons and slopes, averaged over groups.

A comparison puts a variable to two values in every group, everything else staying as it is, and contrasts the
averages of the quantity asked for. Contrasts are of averages: a ratio is a ratio of two mean outcomes, not a mean of
ratios. Weights and the number of members follow the change, with the constant of ``normalize=total`` that the fit had.

With draws, intervals are equal-tailed; at a maximum they are Wald intervals by the delta method, joint in theta,
coefficients and effects (:mod:`.estimand`), made on the log scale for ratios and positive means, on the logit for
probabilities. Effects that are marginal, and those that the fit has not seen, are integrated out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from ...errors import DataError, EngineError, ModelError
from ...families.base import Quantity
from ...families.registry import names_where
from ...posterior.base import Posterior
from ...posterior.choosing import make_estimand
from ...posterior.design import new_tables, scenario_of
from ...posterior.estimand import Contrast, only
from ...posterior.quantities import find_quantity
from ...posterior.scales import transform
from ...posterior.treatment import treatment_of
from ...table.memberships import Tables
from ..fitted import Fitted
from ..labels import group_column, shown_order
from ..tables.labelled import labelled
from .scenarios import (
    Where,
    affected,
    changed,
    check_moves,
    check_slope,
    constant,
    covariates,
    homes,
    listed,
    names_of_where,
    nudged,
    numeric,
    pairs,
    range_of_spline,
    stepped,
    without,
)

CONTRASTS = ("difference", "ratio", "log_ratio", "odds_ratio", "log_odds_ratio", "hazard_ratio", "time_ratio")
_MOST = 1000


def predictions(
    fit: Fitted,
    data: Any = None,
    *,
    kind: str = "mean",
    dpar: str | None = None,
    at: Mapping[str, Any] | None = None,
    by: str | Sequence[str] | None = None,
    where: Where = None,
    without: Any = None,
    effects: str | Mapping[str, str] = "conditional",
    new_effects: str = "draw",
    memberships: Any = None,
    members: Any = None,
    ci: float = 0.95,
    random_seed: int | None = None,
) -> pd.DataFrame:
    """Average predictions, as the data are or with columns set to values.

    Parameters
    ----------
    data, memberships, members : tables, optional
        As in :func:`micromacro.fit`, without the outcome; the groups of the fit without them.
    kind : {"mean", "linear", "median", "probability", "zero"}
        As in :meth:`predict`.
    dpar : str, optional
        A parameter of the family, ``"sigma"`` or ``"zi"``, that is read instead of the outcome: itself, or
        (``kind="linear"``) its linear predictor; or ``"mu[b]"``, the log odds of one category against the first.
    at : dict, optional
        Columns (of groups or of memberships) to a value, or to a list of values: every combination is predicted with
        the columns set to it in all groups. ``"mean"``, ``"median"``, ``"min"``, ``"max"`` mean those of the column.
    by : str or list of str, optional
        ``"group"``: a row for each group. Columns of groups: a row for each of their values. Else one average.
    where : str, dict or function, optional
        Memberships in which the columns of `at` are set: an expression (``"prime == 1"``), values of columns
        (``{"pid": 17}``), or a function of their table; ids count as columns.
    without : id, list or dict, optional
        Members that leave all their groups: an id, or block to ids.
    effects : {"conditional", "marginal", "zero"} or dict
        As in :meth:`predict`: effects as estimated, integrated out over their population (of new members in new
        units), or at zero; or a dict from names of terms to these words.
    new_effects : {"draw", "zero"}
        Effects that the fit has not seen, where they are conditional: averages and contrasts of averages integrate them
        out, and their spread is that of these groups; or zero.
    ci : float
    random_seed : int, optional
        Of the draws for unseen effects.

    Returns
    -------
    DataFrame
        Columns of `at`, of `by`, ``category`` (probabilities of an ordinal outcome), mean, sd, lower, upper (draws) or
        estimate, se, lower, upper, and ``groups`` (``observations`` where there are no members), the number averaged
        over. Indexed by group for ``by="group"``.
    """
    task = _Task(fit, data, memberships, members, kind, dpar, effects, new_effects, by, ci, random_seed, where)
    base, _ = _leave(task.tables, without)
    rows = []
    for labels, tables in task.settings(at, base, where):
        everywhere = np.ones(tables.groups.n_rows, dtype=bool)
        rows.append(task.table([tables], only(task.quantity.scale), everywhere, labels))
    return _under_each_other(rows)


def comparisons(
    fit: Fitted,
    variables: str | Sequence[str] | Mapping[str, Any] | None = None,
    data: Any = None,
    *,
    contrast: str = "difference",
    kind: str = "mean",
    dpar: str | None = None,
    at: Mapping[str, Any] | None = None,
    by: str | Sequence[str] | None = None,
    where: Where = None,
    without: Any = None,
    effects: str | Mapping[str, str] = "conditional",
    new_effects: str = "draw",
    memberships: Any = None,
    members: Any = None,
    ci: float = 0.95,
    random_seed: int | None = None,
) -> pd.DataFrame:
    """How the outcome changes when a variable changes, or when a member leaves.

    Parameters
    ----------
    variables : str, list or dict, optional
        Columns of groups or of memberships (all covariates without it; none of them where `without` is given), each
        optionally with the values to compare: a number to add (1 by default), ``"sd"`` to add a standard deviation
        (over the rows of the fit), ``"iqr"``, ``"minmax"``, a pair (low, high); for text and categories (numbers in
        ``C()``, too) ``"reference"`` (the default: each against the first), ``"sequential"``, ``"pairwise"`` or a pair;
        for units one of these, which must be given. Columns of 0 and 1 go from 0 to 1. A column changes in covariates
        and weights alike.
    contrast : str
        Of the two averages: ``difference``, ``ratio``, ``log_ratio``, ``odds_ratio``, ``log_odds_ratio``; for durations
        also ``hazard_ratio`` and ``time_ratio``, which are of average linear predictors (geometric means over groups).
    dpar : str, optional
        As in :meth:`predict`: a parameter of the family instead of the outcome.
    where : str, dict or function, optional
        Memberships in which the variable changes; see :meth:`predictions`.
    without : id, list or dict, optional
        What if these members left? An id, or block to ids; everyone else stays, the number of members falls, and the
        constant of ``normalize=total`` remains the fit's.
    data, memberships, members, kind, at, by, effects, new_effects, ci, random_seed
        As in :meth:`predictions`.

    Returns
    -------
    DataFrame
        variable, contrast, and the columns of :meth:`predictions`. Averages run over the groups in which something
        changes; ``groups`` is their number.

    Raises
    ------
    ModelError, DataError
        For unknown columns, columns that are not covariates, values that they cannot have, and contrasts that the
        family does not have.
    """
    if contrast not in CONTRASTS:
        raise EngineError(f"contrast= is one of {', '.join(CONTRASTS)}, not {contrast!r}")
    task = _Task(fit, data, memberships, members, kind, dpar, effects, new_effects, by, ci, random_seed, where)
    task.quantity, made = _contrast(task, contrast)
    asked = _asked(task, variables, without is not None)
    rows = []
    if not asked and without is None:
        none = "the model has no covariate" if variables is None else "variables= names none"
        raise ModelError(f"{none}, so there is nothing to compare; without= compares with a group without a member")
    for labels, base in task.settings(at, task.tables, None):
        if without is not None:
            after, what = _leave(base, without)
            rows.append(task.compare(base, after, made, labels | {"variable": "members", "contrast": what}))
        for name, what in asked.items():
            for pair in pairs(task.posterior.specification, base, name, what):
                low, high = (changed(base, name, values, where) for values in (pair.low, pair.high))
                rows.append(task.compare(low, high, made, labels | {"variable": name, "contrast": pair.label}))
    return _under_each_other(rows)


def slopes(
    fit: Fitted,
    variables: str | Sequence[str] | None = None,
    data: Any = None,
    *,
    kind: str = "mean",
    dpar: str | None = None,
    at: Mapping[str, Any] | None = None,
    by: str | Sequence[str] | None = None,
    where: Where = None,
    effects: str | Mapping[str, str] = "conditional",
    new_effects: str = "draw",
    memberships: Any = None,
    members: Any = None,
    ci: float = 0.95,
    random_seed: int | None = None,
) -> pd.DataFrame:
    """Derivatives of the outcome with respect to numeric covariates, averaged over groups.

    A member covariate changes in all memberships (or in those of `where`) at once, including its effect on the weights.
    By central differences of 1e-4 standard deviations, by one-sided ones at the ends of what a spline has seen.

    Parameters
    ----------
    variables : str or list of str, optional
        All numeric covariates without it, but those in ``C()``, which have none.
    data, memberships, members, kind, dpar, at, by, where, effects, new_effects, ci, random_seed
        As in :meth:`predictions`; `where` selects the memberships in which the variable changes.

    Returns
    -------
    DataFrame
        As of :meth:`comparisons`, without ``contrast``.

    Raises
    ------
    ModelError
        For columns that are not numeric covariates.
    """
    task = _Task(fit, data, memberships, members, kind, dpar, effects, new_effects, by, ci, random_seed, where)
    specification = task.posterior.specification
    if variables is None:
        steps = stepped(specification)
        names = [
            n for n in covariates(specification) if n not in steps and all(numeric(c) for c in homes(task.tables, n))
        ]
    else:
        names = [variables] if isinstance(variables, str) else list(variables)
    for name in names:
        check_slope(specification, name)
    rows = []
    for labels, base in task.settings(at, task.tables, None):
        for name in names:
            column = homes(specification.tables, name)[-1]
            step = 1e-4 * (float(np.std(column.values.astype(float))) or 1.0)
            moves = nudged(step, range_of_spline(specification, name))
            low, high = (changed(base, name, move, where) for move in moves)
            contrast = Contrast(_per(step))
            rows.append(task.compare(low, high, contrast, labels | {"variable": name}))
    if not rows:
        none = "the model has no numeric covariate" if variables is None else "variables= names none"
        raise ModelError(f"{none}, so there is no slope")
    return _under_each_other(rows)


def _per(step: float) -> Any:
    return lambda m: ((m[1] - m[0]) / step, [np.full_like(m[0], -1.0 / step), np.full_like(m[0], 1.0 / step)])


class _Task:
    """What the three calls share: the tables, the quantity, how averages are made and labelled."""

    def __init__(
        self,
        fit: Fitted,
        data: Any,
        memberships: Any,
        members: Any,
        kind: str,
        dpar: str | None,
        effects: str | Mapping[str, str],
        new_effects: str,
        by: str | Sequence[str] | None,
        ci: float,
        random_seed: int | None,
        where: Where,
    ):
        self.posterior: Posterior = fit.posterior
        specification = self.posterior.specification
        self.treatment = treatment_of(specification, effects, new_effects)
        self.ci, self.random_seed = ci, random_seed
        self.by = [by] if isinstance(by, str) else list(by or [])
        self.own = data is None
        if self.own:
            self.tables: Tables = specification.tables
        else:
            keys = {specification.request.group, *(c for b in specification.request.blocks for c in b.keys)}
            more = tuple(n for n in names_of_where(where) if n not in keys)
            self.tables = new_tables(specification, data, memberships, members, self.posterior.theta, kind, more)
        self.quantity, self.dpar = find_quantity(specification, kind, dpar, None if self.own else self.tables), dpar

    def settings(self, at: Mapping[str, Any] | None, base: Tables, where: Where) -> list[tuple[dict[str, Any], Tables]]:
        """Every combination of the values in `at`: labels, and the tables set to it."""
        out = []
        if at is not None and not isinstance(at, Mapping):
            raise ModelError(f"at= is a dict of columns to values, not {type(at).__name__}")
        values = {name: listed(given) for name, given in (at or {}).items()}
        for name, given in values.items():
            check_moves(self.posterior.specification, name, "at= cannot set")
            if not given:
                raise ModelError(f"at= has no value of {name!r}: give one, or a list of them")
        for combination in product(*values.values()):
            tables, labels = base, dict(zip(values, combination, strict=True))
            for name, value in labels.items():
                tables = changed(tables, name, constant(value), where)
            out.append((labels, tables))
        return out

    def compare(self, before: Tables, after: Tables, contrast: Contrast, labels: dict[str, Any]) -> pd.DataFrame:
        """A contrast of two scenarios over the groups that differ between them."""
        moved = affected(before, after)
        if not moved.any():
            raise ModelError(f"nothing changes in any group ({', '.join(str(v) for v in labels.values())})")
        return self.table([before, after], contrast, moved, labels)

    def table(
        self, scenarios: list[Tables], contrast: Contrast, mask: np.ndarray, labels: dict[str, Any]
    ) -> pd.DataFrame:
        """One row for each set of groups (and category)."""
        sets, average, counts = self._sets(scenarios[0], mask)
        specification = self.posterior.specification
        there = [scenario_of(specification, None if t is specification.tables else t) for t in scenarios]
        rest = scenario_of(specification, None if self.own else self.tables)
        estimand = make_estimand(specification, there, self.quantity, contrast, average, self.treatment, rest)
        rng = np.random.default_rng(self.random_seed)
        numbers = self.posterior.estimand(estimand, self.ci, rng, _MOST)
        if np.isnan(numbers.point).any():
            raise DataError(
                f"the model is not finite with {labels or 'these data'}: a transformation has no value there"
            )
        categories = self.quantity.categories
        many = max(len(categories), 1)
        left = pd.concat([sets] * many, ignore_index=True)
        table = labelled(numbers, self.posterior.words, left.index)
        if categories:
            left["category"] = np.repeat(list(categories), len(sets))
        for k, (name, value) in enumerate(labels.items()):
            left.insert(k, name, [value] * len(left), allow_duplicates=True)
        table = pd.concat([left, table.assign(**{f"{scenarios[0].noun}s": np.tile(counts, many)})], axis=1)
        return table.set_index(self._ids(scenarios[0])) if self.by == ["group"] else table

    def _ids(self, tables: Tables) -> str:
        """The name of the ids of groups."""
        return group_column(self.posterior.specification, tables)[0]

    def _sets(self, tables: Tables, mask: np.ndarray) -> tuple[pd.DataFrame, Any, np.ndarray]:
        """Labels of the sets of groups, the matrix that averages over each, and their sizes."""
        rows = np.flatnonzero(mask)
        if self.by == ["group"]:
            name, ids = group_column(self.posterior.specification, tables)
            order = shown_order(self.posterior.specification, tables)
            rows = order[mask[order]]
            labels, codes = pd.DataFrame({name: ids[rows]}), np.arange(len(rows))
        elif self.by:
            frame = pd.DataFrame({n: self._column(tables, n)[rows] for n in self.by})
            codes = frame.groupby(self.by, sort=True).ngroup().to_numpy()
            labels = frame.drop_duplicates().sort_values(self.by, ignore_index=True)
        else:
            codes, labels = np.zeros(len(rows), dtype=int), pd.DataFrame(index=[0])
        counts = np.bincount(codes, minlength=len(labels))
        average = sparse.csr_array((1.0 / counts[codes], (codes, rows)), shape=(len(labels), len(mask)))
        return labels, average, counts

    def _column(self, tables: Tables, name: str) -> np.ndarray:
        if name not in tables.groups:
            known = ", ".join(tables.groups.names) or "none"
            raise ModelError(f'by= is "group" or columns of groups that the model uses ({known}), not {name!r}')
        return tables.groups[name].values


def _under_each_other(rows: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """One table; ids of groups stay its index, else rows are numbered."""
    return pd.concat(rows, ignore_index=rows[0].index.name is None)


def _leave(tables: Tables, gone: Any) -> tuple[Tables, str]:
    return (tables, "") if gone is None else without(tables, gone)


def _asked(task: _Task, variables: Any, leaving: bool) -> dict[str, Any]:
    """Variables and what is compared of each."""
    if variables is None:
        return {} if leaving else dict.fromkeys(covariates(task.posterior.specification))
    if isinstance(variables, str):
        return {variables: None}
    if not isinstance(variables, Iterable):
        raise ModelError(f"variables= is a column, a list of them or a dict, not {variables!r}")
    return dict(variables) if isinstance(variables, Mapping) else dict.fromkeys(variables)


def _contrast(task: _Task, word: str) -> tuple[Quantity, Contrast]:
    """The contrast of that name, and its quantity."""
    quantity, family = task.quantity, task.posterior.specification.family
    if word in ("hazard_ratio", "time_ratio"):
        if word not in family.ratios:
            those = names_where(lambda f: word in f.ratios)
            raise EngineError(f'contrast="{word}" is for {those}, not {family.name}')
        if task.dpar is not None or task.posterior.specification.system.beside is not None:
            raise EngineError(
                f'contrast="{word}" is one number where other parameters of the family are the same for all; with a '
                'linear predictor of theirs it depends on time: compare survival() or kind="median"'
            )
        of = Quantity("linear", lambda eta, own: family.log_ratio(word, eta, own)[None])
        return of, Contrast(_through("plain", True), "log")
    inner = {"difference": "plain", "ratio": "log", "log_ratio": "log"}.get(word, "logit")
    if inner == "logit" and quantity.scale != "logit":
        raise EngineError(f'contrast="{word}" is for probabilities, not for kind={quantity.kind!r} of {family.name}')
    if inner == "log" and quantity.scale == "plain":
        raise EngineError(
            f'contrast="{word}" is for positive outcomes and probabilities, not for kind={quantity.kind!r} of '
            f"{family.name}"
        )
    natural = word in ("ratio", "odds_ratio")
    return quantity, Contrast(_through(inner, natural), "log" if natural else "plain")


def _through(inner: str, exponentiate: bool) -> Any:
    """The difference of two averages on a scale, perhaps exponentiated, with its derivatives."""

    def of(m: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        (low, d_low), (high, d_high) = transform(inner, m[0]), transform(inner, m[1])
        value = high - low
        if not exponentiate:
            return value, [-d_low, d_high]
        value = np.exp(value)
        return value, [-value * d_low, value * d_high]

    return of
