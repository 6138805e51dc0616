"""What a verb, a table, a plot or a file may ask of a fit: the protocol :class:`Fitted`.

The class ``Fit`` binds the verbs as its methods; the verbs know this protocol and never that class.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeGuard

import pandas as pd

from ..engines.health import Health
from ..families.base import Family
from ..model.specification import Specification
from ..posterior.base import Posterior


class Fitted(Protocol):
    """A fitted model: what was fitted, its posterior, and the tables that other verbs build upon."""

    @property
    def specification(self) -> Specification:
        """The model that was fitted, with its tables."""
        ...

    @property
    def posterior(self) -> Posterior:
        """The arrays behind the tables."""
        ...

    @property
    def model(self) -> Any:
        """The Model, with its own verbs; an error where the fit was made without one."""
        ...

    @property
    def formula(self) -> str:
        """The formula as it was written."""
        ...

    @property
    def family(self) -> Family:
        """The family of the outcome."""
        ...

    @property
    def engine(self) -> str:
        """The engine that fitted it."""
        ...

    @property
    def health(self) -> Health:
        """How far the fit may be trusted."""
        ...

    @property
    def notes(self) -> list[str]:
        """Remarks of the tables, the model and the engine."""
        ...

    @property
    def nobs(self) -> int:
        """Number of outcomes."""
        ...

    @property
    def seconds(self) -> float:
        """Wall time that the engine took."""
        ...

    @property
    def params(self) -> pd.Series:
        """Estimates or posterior means by parameter."""
        ...

    @property
    def bse(self) -> pd.Series:
        """Standard errors or posterior standard deviations by parameter."""
        ...

    @property
    def loglik(self) -> float:
        """The maximised log-likelihood; an error where there is none."""
        ...

    @property
    def aic(self) -> float:
        """Akaike's information criterion."""
        ...

    @property
    def bic(self) -> float:
        """Bayesian information criterion."""
        ...

    def summary(self, /, ci: float = 0.95) -> pd.DataFrame:
        """Table of all parameters."""
        ...

    def weights(self, /, block: str | None = None, ci: float = 0.95) -> pd.DataFrame:
        """Weights of all memberships."""
        ...

    def random_effects(self, /, name: str | None = None, ci: float = 0.95) -> pd.DataFrame:
        """Effects of members or units."""
        ...

    def variance_components(self, /, ci: float = 0.95) -> pd.DataFrame:
        """What each level contributes to the variance."""
        ...

    def predict(
        self, /, data: Any = None, kind: Any = "mean", *, draws: bool = False, random_seed: int | None = None
    ) -> Any:
        """Predictions of every group."""
        ...

    def predictions(self, /, *arguments: Any, **options: Any) -> pd.DataFrame:
        """Average predictions."""
        ...

    def comparisons(self, /, *arguments: Any, **options: Any) -> pd.DataFrame:
        """How the outcome changes when a variable changes."""
        ...

    def slopes(self, /, *arguments: Any, **options: Any) -> pd.DataFrame:
        """Derivatives of the outcome."""
        ...

    def interpret(self, /, ci: float = 0.95) -> pd.DataFrame:
        """Every estimate read in a sentence."""
        ...

    def loo_pit(self, /, *, integrated: bool = True, random_seed: int | None = None) -> pd.Series:
        """Probability integral transforms of groups left out."""
        ...

    @property
    def plot(self) -> Any:
        """Plots of this fit."""
        ...

    def loo(self, /, integrated: bool = False) -> Any:
        """Leave-one-out cross-validation."""
        ...

    def waic(self, /) -> Any:
        """Widely applicable information criterion."""
        ...

    def log_evidence(self, /, method: Any = "bridge", *, random_seed: int | None = None) -> Any:
        """Log marginal likelihood of the data."""
        ...

    def ppc(self, /, stat: Any = "mean", *, by: Any = None) -> pd.DataFrame:
        """Posterior predictive check."""
        ...

    def residuals(self, /, kind: Any = "response", *, random_seed: int | None = None) -> pd.Series:
        """What is left of each outcome."""
        ...

    def report(self, /, path: Any = None, *, ci: float = 0.95) -> Any:
        """The report as text, or as a file."""
        ...

    def update(self, /, **changes: Any) -> Any:
        """A fit with some arguments changed."""
        ...


def is_fit(value: Any) -> TypeGuard[Fitted]:
    """Whether an object is a fit, told from its class (no property is evaluated)."""
    return hasattr(type(value), "posterior") and hasattr(type(value), "specification")
