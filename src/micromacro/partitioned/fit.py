"""Fits of data in partitions: what they answer, and what they refuse because no machine has all rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from html import escape
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from .._public import public_class
from ..engines.base import Outcome, Settings
from ..engines.registry import check_engine, check_settings, engine_of, run_engine
from ..errors import EngineError, warn
from ..latent.apart.crew import Crew, Here
from ..model.draft import Arguments
from ..model.public import Model
from ..results.fit import Fit
from ..results.labels import percent
from ..results.report.sections import Piece, heading, health_lines, likelihood_line
from ..results.report.text import laid_out
from ..results.report.words import weight_lines
from ..results.store import SavedFile
from ..table.columns import column_names
from ..table.screen import counted
from .cluster import Cluster, is_client, partitions_of
from .sources import files_of, names_of
from .specifying import specify_apart

ANSWERED = frozenset(
    "summary params bse conf_int cov_params loglik aic bic hypothesis wald_test health notes nobs seconds "
    "formula family engine specification posterior random_effects predict weights by_partition write partitions tidy "
    "glance save report".split()
)


@public_class
class PartitionedFit(Fit):
    """A fit of data in partitions.

    It has parameters, tests of them, effects and predictions for new tables as any fit has; weights and predictions
    for its own groups come partition by partition (:meth:`by_partition`, :meth:`write`).
    """

    def __init__(self, outcome: Outcome, model: Model, sources: Sequence[Any]):
        super().__init__(outcome, model)
        self._sources = list(sources)

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("_") and name not in ANSWERED and hasattr(Fit, name):
            raise EngineError(
                f"{name} needs all rows of the data in one place, and this fit has them in partitions: use what it "
                "answers (summary, random_effects, predict(data), by_partition), or fit the data as one table"
            )
        return super().__getattribute__(name)

    def weights(
        self, /, block: str | None = None, ci: float = 0.95, *, data: Any = None, **tables: Any
    ) -> pd.DataFrame:
        """Weights of memberships of other tables, as :meth:`Fit.weights` gives them; `data` must be given.

        Parameters
        ----------
        block : str, optional
        ci : float
        data : table
            Long: one row per membership. Those of the fit itself come from :meth:`by_partition`.
        **tables
            Of :meth:`Fit.weights`.

        Returns
        -------
        DataFrame

        Raises
        ------
        EngineError
            Without `data`.
        """
        if data is None:
            raise EngineError(
                'the weights of this fit lie in partitions: use by_partition("weights"), write(folder, "weights"), or '
                "weights(data=...) for other tables"
            )
        return super().weights(block, ci, data=data, **tables)

    @property
    def partitions(self) -> int:
        """Number of partitions."""
        return len(self._sources)

    def by_partition(self, what: str, **options: Any) -> Iterator[pd.DataFrame]:
        """Weights or predictions of one partition after the other, each made when it is asked for.

        Parameters
        ----------
        what : {"weights", "predict"}
        **options
            Of that method, but for its data.

        Returns
        -------
        iterator of DataFrame
            Each as :meth:`weights` or :meth:`predict` gives it for the groups of a partition.

        Raises
        ------
        EngineError
            For anything else.
        """
        _check_kind(what)
        tables = (self._made(what, k, options) for k in range(self.partitions))
        return (table for table in tables if table is not None)

    def write(self, folder: Any, what: str, **options: Any) -> list[Path]:
        """Write weights or predictions to a parquet file per partition.

        Files that are there already are left as they are, so that an interrupted call is continued by the same call.

        Parameters
        ----------
        folder : str or Path
            Made if it does not exist.
        what : {"weights", "predict"}
        **options
            Of that method, but for its data.

        Returns
        -------
        list of Path
        """
        _check_kind(what)
        at = Path(folder)
        at.mkdir(parents=True, exist_ok=True)
        paths = [at / f"{what}-{k:05d}.parquet" for k in range(self.partitions)]
        for k, path in enumerate(paths):
            made = None if path.exists() else self._made(what, k, options)
            if made is not None:
                unfinished = path.with_suffix(".unfinished")
                made.to_parquet(unfinished)
                unfinished.rename(path)
        return [path for path in paths if path.exists()]

    def save(self, path: Any, **options: Any) -> SavedFile:
        """Write tables of results to a file: the summary, the effects, the report.

        Rows of the data and what is computed from them stay in the partitions, so that :func:`micromacro.load` gives
        these tables and nothing else.

        Parameters
        ----------
        path : str or Path
        **options
            Of :meth:`Fit.save`: none of them has a meaning here, and each is refused by name.

        Returns
        -------
        SavedFile

        Raises
        ------
        EngineError
            For any option.
        FileError
            Where the file cannot be written.
        """
        if options:
            raise EngineError(
                f"save({', '.join(f'{name}=' for name in options)}) is for fits of one table: a fit of partitions is "
                "saved as tables of results"
            )
        from ..results.store import Keep, save

        return save(self, path, Keep(contents="summary", data=False))

    def report(self, path: Any = None, *, ci: float = 0.95) -> str:
        """What was fitted, its parameters and its health, as text.

        Parameters
        ----------
        path : None
            There is no report as a file.
        ci : float

        Returns
        -------
        str

        Raises
        ------
        EngineError
            For a path.
        """
        if path is not None:
            raise EngineError("a report as a file needs all rows of the data: print(fit.report()), or use save(path)")
        pieces = [
            Piece("heading", (heading(self),)),
            Piece("formula", (self.formula,)),
            Piece("facts", (*self._counts(), *weight_lines(self.specification))),
            Piece("table", (f"Parameters  ({percent(ci)} intervals)",), self.summary(ci)),
            Piece("figures", (likelihood_line(self) or "",)),
            Piece("verdict", tuple(health_lines(self))),
        ]
        return laid_out(pieces)

    def _counts(self) -> list[str]:
        """How many groups, members, memberships and units there are."""
        s = self.specification
        noun = f"{s.tables.noun}{'' if self.nobs == 1 else 's'}"
        lines = [f"{self.nobs:,} {noun} in {counted(self.partitions, 'partition')}"]
        for name, block in s.members.items():
            lines.append(f"block {name}: {len(block.levels):,} members, {block.memberships.count:,} memberships")
        lines += [f"units {name}: {len(unit.levels):,}" for name, unit in s.units.items()]
        return lines

    def __repr__(self) -> str:
        return self.report()

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"

    def _made(self, what: str, number: int, options: dict[str, Any]) -> pd.DataFrame | None:
        """Weights or predictions of one partition; None where it has no rows."""
        table = self._sources[number].load()
        return getattr(self, what)(data=table, **options) if len(table) else None


def _check_kind(what: str) -> None:
    """Refuse what partitions do not make."""
    if what not in ("weights", "predict"):
        raise EngineError(f'by_partition() makes "weights" or "predict", not {what!r}')


def fit_partitions(arguments: Arguments, engine: str, settings: Settings) -> PartitionedFit:
    """Fit data in partitions, each kept by a worker of the executor.

    Raises
    ------
    MicromacroError
    """
    engine = check_engine(engine)
    check_settings(settings)
    if engine_of(engine).draws or settings.solver == "direct" or settings.factor is not None:
        raise EngineError(
            'data in partitions are fitted by iteration: use engine="ml" or "reml", without factor= and with '
            'solver="iterative" or none'
        )
    sources, columns = _opened(arguments.data, settings.executor)
    crew = _crew(len(sources), settings.executor)
    row = engine_of(engine)
    model, specification = specify_apart(
        replace(arguments, data=None), columns, [s.sent() for s in sources], crew, row.priors, settings.random_seed or 0
    )
    asked = replace(settings, executor=None, solver="iterative")
    outcome = run_engine(engine, specification, asked, partial=True)
    crew.settle()
    fitted = PartitionedFit(outcome, model, sources)
    apart: Any = fitted.specification.system
    apart.scattered.reached(apart, fitted.posterior.theta)  # predictions ask, and workers can answer now
    for message in fitted.health.warnings:
        warn(message)
    return fitted


def _opened(data: Any, executor: Any) -> tuple[list[Any], tuple[str, ...]]:
    """What each partition is read from, and the columns of the data."""
    if isinstance(data, (str, PathLike)):
        files = files_of(data)
        return list(files), names_of(files)
    sources = partitions_of(data, executor if is_client(executor) else None)
    return sources, column_names(data._meta)


def _crew(pieces: int, executor: Executor | Any) -> Crew:
    """Who keeps the partitions: workers of a Dask cluster, or this process and its threads."""
    if is_client(executor):
        return Cluster(executor, pieces)
    if executor is not None and not isinstance(executor, ThreadPoolExecutor):
        raise EngineError(
            "executor= of data in partitions is a client of a Dask cluster, whose workers keep them, or a "
            "ThreadPoolExecutor: a pool of processes does not send a task to the process that has its partition"
        )
    return Here(pieces, executor)
