"""The table of plots: a new one is a file beside this one and a row here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .chains import rank, trace
from .coefficients import coefficients
from .effects import effects
from .heatmap import heatmap
from .left_out import loo
from .margins import comparisons, predictions, slopes
from .network import network
from .predictive import predictive
from .prior import prior
from .residuals import residuals
from .shares import variance
from .survival import survival
from .weights import weights

PICTURES: dict[str, Callable[..., Any]] = {
    "weights": weights,
    "heatmap": heatmap,
    "coefficients": coefficients,
    "effects": effects,
    "caterpillar": effects,
    "variance": variance,
    "predictive": predictive,
    "trace": trace,
    "rank": rank,
    "prior": prior,
    "network": network,
    "survival": survival,
    "residuals": residuals,
    "predictions": predictions,
    "comparisons": comparisons,
    "slopes": slopes,
    "loo": loo,
}
