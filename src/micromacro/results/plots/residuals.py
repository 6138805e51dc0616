"""Residuals against the linear predictor."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..fitted import Fitted
from .style import BLUE, GREY, axes, finish

STANDARD = ("pearson", "deviance", "quantile")  # kinds of which most lie between -2 and 2


def residuals(fit: Fitted, kind: str = "quantile", *, random_seed: int | None = None, ax: Any = None) -> Any:
    """Residuals of the groups against their linear predictors, with lines at zero and, of standardised ones, at +-2.

    Parameters
    ----------
    kind : str
        As in :meth:`micromacro.Fit.residuals`; quantile residuals are standard normal where the model is right, so that
        neither their mean nor their spread should depend on the linear predictor.
    random_seed : int, optional
        Of quantile residuals.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes
    """
    values = fit.residuals(kind, random_seed=random_seed).to_numpy()
    eta = fit.predict(kind="linear").iloc[:, 0].to_numpy()
    ax = axes(ax, (5.2, 3.6))
    seen = np.isfinite(values)
    ax.axhline(0.0, color=GREY, lw=1)
    if kind in STANDARD:
        for height in (-2.0, 2.0):
            ax.axhline(height, color=GREY, lw=0.8, ls="--")
    ax.plot(eta[seen], values[seen], "o", color=BLUE, ms=4, alpha=0.6)
    ax.set_xlabel("linear predictor")
    ax.set_ylabel(f"{kind} residual")
    return finish(ax)
