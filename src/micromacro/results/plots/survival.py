"""Survival curves of the groups, or of all of them beside what was observed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import DataError, ModelError
from ...families.registry import names_where
from ...latent.beside import place
from ...model.specification import Specification
from ...posterior.choosing import group_estimand
from ...posterior.intervals import quantiles
from ..fitted import Fitted
from ..labels import group_index, percent
from .style import BLUE, COLOURS, LINES, axes, finish

DRAWS = 300
POINTS = 80


def survival(
    fit: Fitted, groups: Sequence[Any] | None = None, *, ci: float = 0.95, random_seed: int = 0, ax: Any = None
) -> Any:
    """The probability of lasting longer than t, with a band.

    Without `groups` the mean over all groups, beside the Kaplan-Meier estimate of what was observed (where times are
    censored on the right only): a check of the family. With `groups` a curve for each.

    Parameters
    ----------
    groups : sequence, optional
        Ids of groups (numbers of rows where each row is a group).
    ci : float
    random_seed : int
        Of the draws from the normal approximation of an ml fit.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ModelError
        For families that are not families of durations.
    DataError
        For unknown groups.
    """
    s = fit.specification
    if not s.family.durations:
        those = names_where(lambda f: f.durations)
        raise ModelError(f"family {s.family.name} has no durations: survival curves are for {those}")
    times = np.linspace(0.0, float(np.nanquantile(s.outcome, 0.99)), POINTS + 1)[1:]
    eta, own = _draws(fit, random_seed)
    ax = axes(ax, (5.2, 3.6))
    if groups is None:
        curve = _curves(fit, eta, own, times, np.arange(s.groups)).mean(axis=1)
        _band(ax, times, curve, ci, BLUE, "-", f"model, {percent(ci)} interval")
        if _watched_from_the_start(s):
            ax.step(*kaplan_meier(*_watched(s)), where="post", color="black", lw=1.2,
                    label="observed (Kaplan-Meier)")  # fmt: skip
    else:
        places = _places(fit, groups)
        curves = _curves(fit, eta, own, times, places)
        for k, group in enumerate(groups):
            _band(ax, times, curves[:, k], ci, COLOURS[k % len(COLOURS)], LINES[k % len(LINES)], str(group))
    ax.set_xlim(0, times[-1])
    ax.set_ylim(0, 1.02)
    ax.set_xlabel(s.outcome_name)
    ax.set_ylabel("probability of lasting longer")
    ax.legend(frameon=False, fontsize=8)
    return finish(ax)


def _watched(s: Specification) -> tuple[np.ndarray, np.ndarray]:
    """Times that were watched, and which of them ended in an event."""
    there = np.isfinite(s.outcome)
    return s.outcome[there], s.family.known(s.response).exact[there]


def _watched_from_the_start(s: Specification) -> bool:
    """Whether times are censored on the right only and nobody entered late: what Kaplan and Meier take."""
    known = s.family.known(s.response)
    return bool(np.all(known.exact | known.endless)) and s.entry is None


def _places(fit: Fitted, groups: Sequence[Any]) -> np.ndarray:
    known = {v: k for k, v in enumerate(group_index(fit.specification, None).tolist())}
    missing = [g for g in groups if g not in known]
    if missing or not len(groups):
        raise DataError(f"there is no group {missing[0]!r}" if missing else "groups= names no group")
    return np.array([known[g] for g in groups])


def _draws(fit: Fitted, random_seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Linear predictors (draws, groups) and the family's own numbers (draws, k)."""
    rng = np.random.default_rng(random_seed)
    sampled = fit.posterior.as_sampled(DRAWS, rng)
    eta = sampled.estimand_draws(group_estimand(fit.specification, None, "linear"), rng, DRAWS)[:, 0]
    return eta, fit.specification.own(*sampled.thinned(DRAWS))


def _curves(
    fit: Fitted, eta: np.ndarray, own: np.ndarray, times: np.ndarray, places: np.ndarray
) -> np.ndarray:  # fmt: skip
    """Survival (draws, groups, times)."""
    family = fit.specification.family
    return np.stack(
        [np.exp(-family.cumulative_hazard(times, e[places], place(o, places))) for e, o in zip(eta, own, strict=True)]
    )


def _band(ax: Any, times: np.ndarray, curve: np.ndarray, ci: float, colour: str, line: str, label: str) -> None:
    low, high = quantiles(curve, ci)
    x = np.r_[0.0, times]
    ax.fill_between(x, np.r_[1.0, low], np.r_[1.0, high], color=colour, alpha=0.2, lw=0)
    ax.plot(x, np.r_[1.0, curve.mean(axis=0)], color=colour, ls=line, lw=2, label=label)


def kaplan_meier(time: np.ndarray, event: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times and the product-limit estimate of surviving them (Kaplan and Meier 1958)."""
    at = np.unique(time[event])
    risk = (time[None, :] >= at[:, None]).sum(axis=1)
    died = ((time[None, :] == at[:, None]) & event).sum(axis=1)
    return np.r_[0.0, at], np.r_[1.0, np.cumprod(1.0 - died / risk)]
