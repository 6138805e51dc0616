"""The tables of a fit whose draws or data were not kept: what can be shown without them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from ...errors import EngineError, ModelError
from ..fitted import Fitted

LEVEL = 0.95


def tables_of(fit: Fitted, with_data: bool) -> dict[str, Any]:
    """The tables of a fit as plain values; weights, which list the memberships, only `with_data`."""
    s = fit.specification
    out: dict[str, Any] = {
        "report": fit.report(),
        "summary": frame_to_plain(fit.summary(LEVEL)),
        "effects": {name: frame_to_plain(fit.random_effects(name, LEVEL)) for name in s.structures},
        "components": frame_to_plain(fit.variance_components(LEVEL)) if s.system.scattered is None else None,
        "covariance": fit.posterior.covariance,
        "loglik": fit.posterior.figures.get("loglik"),
        "weights": None,
    }
    if with_data:
        out["weights"] = {name: frame_to_plain(fit.weights(name, LEVEL)) for name in s.members}
    return out


def frame_to_plain(table: pd.DataFrame) -> dict[str, Any]:
    """A data frame of numbers and text."""
    columns = {str(c): _plain(table[c].to_numpy()) for c in table.columns}
    index = [_plain(table.index.get_level_values(k).to_numpy()) for k in range(table.index.nlevels)]
    return {"index": index, "names": list(table.index.names), "columns": columns}


def frame_from_plain(plain: dict[str, Any]) -> pd.DataFrame:
    """What :func:`frame_to_plain` was given."""
    index, names = plain["index"], plain["names"]
    several = len(index) > 1
    return pd.DataFrame(
        plain["columns"],
        pd.MultiIndex.from_arrays(index, names=names) if several else pd.Index(index[0], name=names[0]),
    )


def _plain(values: np.ndarray) -> np.ndarray:
    return values.astype(str) if values.dtype == object else values


class SavedResults:
    """Tables of a saved fit that was kept without its draws or without its data.

    It has ``summary``, ``params``, ``bse``, ``random_effects``, ``variance_components``, ``weights`` (where they were
    kept), the report and what was noted of the fit (``description``: priors, settings, versions, fingerprint of the
    data), all as they were when the fit was saved. Anything that has to be computed is refused with what to do.
    """

    def __init__(self, path: Path, description: dict[str, Any], tables: dict[str, Any], contents: str, of: type):
        self._path, self._tables, self._contents, self._of = path, tables, contents, of
        self.description = description
        self.formula: str = description["formula"]
        self.family: str = description["family"]["name"]
        self.engine: str = description["engine"]

    def summary(self, ci: float = LEVEL) -> pd.DataFrame:
        """Table of all parameters, with 95% intervals.

        Parameters
        ----------
        ci : float
            Must be 0.95, the level that was stored.

        Returns
        -------
        DataFrame

        Raises
        ------
        EngineError
            For another `ci`.
        """
        self._check(ci)
        return frame_from_plain(self._tables["summary"])

    @property
    def params(self) -> pd.Series:
        """Estimates, or posterior means."""
        return self.summary().iloc[:, 0]

    @property
    def bse(self) -> pd.Series:
        """Standard errors, or posterior standard deviations."""
        return self.summary().iloc[:, 1]

    def cov_params(self) -> pd.DataFrame:
        """Covariance matrix of all parameters.

        Returns
        -------
        DataFrame
        """
        index = self.summary().index
        return pd.DataFrame(self._tables["covariance"], index=index, columns=index.rename(None))

    @property
    def loglik(self) -> float:
        """The maximised log-likelihood (ml, reml)."""
        if self._tables["loglik"] is None:
            raise EngineError(f"a fit by {self.engine} has no maximised log-likelihood")
        return self._tables["loglik"]

    def random_effects(self, name: str | None = None, ci: float = LEVEL, **options: Any) -> pd.DataFrame:
        """Effects of members or units, with 95% intervals.

        Parameters
        ----------
        name : str, optional
            A member block or unit term; all of them by default.
        ci : float
            Must be 0.95, the level that was stored.
        **options
            Options of the verb of a whole fit: none of them was stored, so each is refused by name.

        Returns
        -------
        DataFrame

        Raises
        ------
        EngineError
            For another `ci` or any option, and where the effects were not stored.
        ModelError
            For an unknown name.
        """
        self._plain_only("random_effects", options)
        self._check(ci)
        return self._several("effects", name, "effects", ["block", "id"])

    def weights(self, block: str | None = None, ci: float = LEVEL, **options: Any) -> pd.DataFrame:
        """Weights of all memberships, with 95% intervals.

        Parameters
        ----------
        block : str, optional
            A member block; all of them by default.
        ci : float
            Must be 0.95, the level that was stored.
        **options
            Options of the verb of a whole fit: none of them was stored, so each is refused by name.

        Returns
        -------
        DataFrame

        Raises
        ------
        EngineError
            For another `ci` or any option, and where the weights were not stored.
        ModelError
            For an unknown block.
        """
        self._plain_only("weights", options)
        self._check(ci)
        if self._tables["weights"] is None:
            return self._refuse("weights")
        return self._several("weights", block, "weights", ["block"])

    def variance_components(self, ci: float = LEVEL, **options: Any) -> pd.DataFrame:
        """What each level contributes to the variance, with 95% intervals.

        Parameters
        ----------
        ci : float
            Must be 0.95, the level that was stored.
        **options
            Options of the verb of a whole fit: none of them was stored, so each is refused by name.

        Returns
        -------
        DataFrame

        Raises
        ------
        EngineError
            For another `ci` or any option.
        """
        self._plain_only("variance_components", options)
        self._check(ci)
        if self._tables["components"] is None:
            return self._refuse("variance_components")
        return frame_from_plain(self._tables["components"])

    def report(self) -> str:
        """The report of the fit when it was saved.

        Returns
        -------
        str
        """
        return self._tables["report"]

    def _several(self, key: str, name: str | None, what: str, names: list[str]) -> pd.DataFrame:
        tables = {k: frame_from_plain(v) for k, v in self._tables[key].items()}
        if name is None and tables:
            return pd.concat(tables, names=names) if len(tables) > 1 else next(iter(tables.values()))
        if name not in tables:
            raise ModelError(f"there are no {what} called {name!r}; the file has: {', '.join(tables) or 'none'}")
        return tables[name]

    def _plain_only(self, name: str, options: dict[str, Any]) -> None:
        """Refuse options that ask for another table than the one that was kept."""
        asked = [option for option, value in options.items() if value is not None]
        if asked:
            self._refuse(f"{name}({', '.join(f'{option}=' for option in asked)})")

    @staticmethod
    def _check(ci: float) -> None:
        if ci != LEVEL:
            raise EngineError(f"only the intervals of {LEVEL:.0%} were kept, not those of ci={ci!r}")

    def __repr__(self) -> str:
        return f"(saved {self.description['saved']}, read from {self._path.name})\n{self.report()}"

    def __getattr__(self, name: str) -> Any:

        if name.startswith("_") or not hasattr(self._of, name):
            raise AttributeError(name)
        return self._refuse(name)

    def _refuse(self, name: str) -> NoReturn:
        if self._contents == "summary":
            raise EngineError(
                f'{self._path.name} was saved with contents="summary": it has tables and no draws, so there is no '
                f"{name}. Save the fit whole for that"
            )
        raise EngineError(
            f"{self._path.name} was saved with data=False, and {name} needs the data: give them, "
            f'mm.load("{self._path.name}", data=...)'
        )
