"""Tests of a smaller model within a larger one: what ``Fit.lr_test`` gives."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import Literal

from ...errors import EngineError, ModelError
from ..fitted import Fitted, is_fit
from .bootstrap import bootstrap_lr
from .inference import LikelihoodRatio, likelihood_ratio


def lr_test(
    fit: Fitted,
    smaller: Fitted,
    method: Literal["chi2", "bootstrap"] = "chi2",
    *,
    n: int = 200,
    random_seed: int | None = None,
    executor: Executor | None = None,
) -> LikelihoodRatio:
    """Likelihood-ratio test of a smaller model nested in this one; see the class for its p-value.

    With ``method="bootstrap"`` it comes from `n` data sets simulated under the smaller model, to which both are
    fitted: for weights that are not identified there, and small samples.

    Parameters
    ----------
    smaller : Fit
        A fit by ml of a model that is this one at some value of its parameters.
    method : {"chi2", "bootstrap"}
    n : int
        Number of data sets of the bootstrap.
    random_seed : int, optional
    executor : concurrent.futures.Executor, optional
        Where the bootstrap runs.

    Returns
    -------
    LikelihoodRatio

    Raises
    ------
    EngineError
        For fits that are not by maximum likelihood, are penalised, or not at their maxima.
    ModelError
        For models that are not nested, or that have different outcomes.
    """
    if method not in ("chi2", "bootstrap"):
        raise EngineError(f'method= is "chi2" or "bootstrap", not {method!r}')
    if not is_fit(smaller):
        raise ModelError(f"lr_test() takes the fit of a smaller model, not {type(smaller).__name__}")
    if method == "bootstrap":
        return bootstrap_lr(fit, smaller, n, random_seed, executor)
    return likelihood_ratio(fit.posterior, smaller.posterior)
