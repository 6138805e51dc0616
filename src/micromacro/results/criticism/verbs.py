"""What ``fit.loo()``, ``fit.ppc()`` and the other verbs of criticism do: each a method of :class:`Fit`."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd

from ...posterior import evidence
from ...posterior.evidence import Evidence
from ...posterior.intervals import check_level
from ..fitted import Fitted
from ..labels import shown_order
from . import calibration, predictive
from . import kfold as folds
from . import loo as leaving
from . import sensitivity as scaling
from .elpd import Elpd


def loo(fit: Fitted, integrated: bool = False, *, by: str | None = None, draws: int | None = None) -> Elpd:
    """Leave-one-out cross-validation by Pareto-smoothed importance sampling.

    Parameters
    ----------
    integrated : bool
        Whether member and unit effects are integrated out before a group is left out. Without it (the usual
        PSIS-LOO) a group is predicted with effects that its own outcome has shaped, the weights must undo that, and
        with a few groups per member they often cannot: look at Pareto k.
    by : str, optional
        A member block or unit term: leaves out all groups of each member or unit together (effects integrated).
    draws : int, optional
        How many draws to use, evenly spaced; all of them, or 2,000 where effects are integrated (500 of outcomes that
        are categories or choices).

    Returns
    -------
    Elpd
        ``.elpd``, ``.se``, ``.pointwise`` (DataFrame by group with elpd, p and pareto_k).
    """
    return leaving.leave_one_out(fit.posterior, integrated, by, draws)


def waic(fit: Fitted, *, draws: int | None = None) -> Elpd:
    """Widely applicable information criterion, conditional on the effects; :meth:`loo` is more reliable.

    Parameters
    ----------
    draws : int, optional
        How many draws to use, evenly spaced; all by default.

    Returns
    -------
    Elpd
    """
    return leaving.waic(fit.posterior, draws)


def kfold(
    fit: Fitted, k: int | None = 10, *, by: str = "group", random_seed: int | None = None
) -> Elpd:  # fmt: skip
    """Cross-validation by refitting with the same engine and settings.

    Parameters
    ----------
    k : int or None
        Number of folds; None leaves out one at a time.
    by : str
        ``"group"``, a member block or a unit term: what is assigned to the folds. A member takes all its groups with
        it; a group that is left out with several of its members in turn has the mean of its values.
    random_seed : int, optional
        Of the folds and the refits.

    Returns
    -------
    Elpd
        Pointwise by group. Members and units that are in no other group are drawn from their population; the
        constant of ``normalize=total`` and the priors stay what they are.
    """
    return folds.kfold(fit.posterior, k, by, random_seed)


def loo_pit(fit: Fitted, *, integrated: bool = True, random_seed: int | None = None) -> pd.Series:
    """Probability integral transform of each outcome with its group left out: uniform if the model is right.

    Categories and choices have no order; theirs is that of their predicted probabilities, so that a number near zero is
    of an outcome that was thought to be unlikely.

    Parameters
    ----------
    integrated : bool
        As in :meth:`loo`.
    random_seed : int, optional
        Of the replicated outcomes, and of the place within an atom (counts, categories) or of a censored outcome.

    Returns
    -------
    Series
        A number between 0 and 1 by group, or by set of alternatives.
    """
    return calibration.loo_pit(fit.posterior, integrated, random_seed)


def ppc(
    fit: Fitted, stat: Any = predictive.DEFAULT, *, by: Any = None, ci: float = 0.95,
    random_seed: int | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Posterior predictive check: statistics of the outcomes against those of outcomes replicated from the fit.

    Parameters
    ----------
    stat : str, function, or list or dict of these
        mean, sd, min, max, median, q10, q90, zeros (share of them), or a function of an array of outcomes.
    by : str or Series, optional
        A unit term, a member block (all groups of each member), a column of groups that the model uses, or a Series
        by group id: the statistic within each value.
    ci : float
    random_seed : int, optional

    Returns
    -------
    DataFrame
        Indexed by statistic (and value of `by`): groups (observations without members), observed, replicated (mean),
        sd, lower, upper, and p, the share of replicates above the observed value (ties count half).
    """
    drawn = fit.predict(kind="response", draws=True, random_seed=random_seed)
    back = np.argsort(shown_order(fit.specification, None))
    replicated = drawn.to_numpy()[:, back]
    return predictive.check(fit.posterior, replicated, stat, by, check_level(ci))


def contraction(fit: Fitted) -> pd.DataFrame:
    """How much the data have narrowed each prior: 1 - (posterior sd / prior sd)^2; 0 means not at all.

    Returns
    -------
    DataFrame
        Indexed by parameter: prior, sd (posterior, natural scale), contraction (in the coordinate in which the
        prior is standard normal; for the intercept, at mean covariates).
    """
    return scaling.contraction_table(fit.posterior)


def sensitivity(fit: Fitted, of: str | None = None, *, draws: int | None = None) -> pd.DataFrame:
    """Power-scaling sensitivity: how each posterior moves if the prior or the likelihood counts a little more or less.

    Parameters
    ----------
    of : str, optional
        A parameter or class (``"w"``): scale only these priors. The priors of all parameters without it; the
        distribution of effects is never scaled.
    draws : int, optional

    Returns
    -------
    DataFrame
        Indexed by parameter: prior, likelihood, diagnosis. Above 0.05 the posterior moves: with the prior alone,
        the prior is strong or the data say little; with both, prior and data disagree.
    """
    return scaling.sensitivity_table(fit.posterior, of, draws)


def log_evidence(
    fit: Fitted, method: Literal["bridge", "importance", "laplace"] = "bridge", *, draws: int = 2000,
    random_seed: int | None = None,
) -> Evidence:  # fmt: skip
    """Log marginal likelihood of the data, with its Monte Carlo error: for Bayes factors.

    Parameters
    ----------
    method : {"bridge", "importance", "laplace"}
        Bridge sampling between the draws of mcmc and a proposal fitted to them; importance sampling from that
        proposal; or Laplace's approximation, its integral over weights and sds by importance sampling, which needs
        no draws and is exact for Gaussian outcomes.
    draws : int
        From the proposal.
    random_seed : int, optional

    Returns
    -------
    Evidence
        ``.value``, ``.se``; a number where one is asked for.

    Raises
    ------
    EngineError
        Under flat priors, for which it does not exist; vague priors, which dominate it, give a warning.
    """
    return evidence.log_evidence(fit.posterior, method, draws, random_seed)
