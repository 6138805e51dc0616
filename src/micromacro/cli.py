"""A thin command line: fit a table, or see the demonstration."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from . import __version__
from .errors import DataError, MicromacroError, MicromacroWarning

if TYPE_CHECKING:
    import pandas as pd

_TABLE = click.Path(exists=True, dir_okay=False, path_type=Path)
_COMPRESSED = {".gz", ".bz2", ".xz", ".zst", ".zip"}


class _Reported(click.ClickException):
    """An error of ours, shown as its message alone."""

    exit_code = 2


@contextmanager
def _plain_messages() -> Iterator[None]:
    """Show our errors and warnings as text for users, without a traceback or a line of source."""
    with warnings.catch_warnings():
        usual = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, MicromacroWarning):
                click.echo(f"Warning: {message}", err=True)
            else:
                usual(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        try:
            yield
        except MicromacroError as error:
            raise _Reported(str(error)) from error


def read_table(path: Path) -> pd.DataFrame:
    """Read a table whose format the file's name tells: csv, tsv (compressed or not) or parquet.

    Raises
    ------
    DataError
        For an unknown ending, or a file that cannot be read.
    """
    import pandas as pd  # here, so that --help answers at once

    endings = [suffix for suffix in path.suffixes if suffix.lower() not in _COMPRESSED]
    ending = endings[-1] if endings else ""
    try:
        match ending.lower():
            case ".csv":
                return pd.read_csv(path)
            case ".tsv" | ".tab":
                return pd.read_csv(path, sep="\t")
            case ".parquet" | ".pq":
                return pd.read_parquet(path)
    except ImportError as error:
        raise DataError(f"{path}: pandas needs another package to read this. pip install pyarrow") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a {ending[1:]} table: {error}") from error
    raise DataError(f"{path}: a table's file name ends in .csv, .tsv or .parquet, not {ending!r}")


def _check_out(out: Path) -> None:
    """Refuse a place where nothing can be saved, before anything is fitted."""
    folder = out.absolute().parent
    if not folder.is_dir():
        raise DataError(f"--out {out}: there is no folder {folder}; make it first")
    if not os.access(folder, os.W_OK):
        raise DataError(f"--out {out}: the folder {folder} cannot be written to; choose another one")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="micromacro")
def main() -> None:
    """Multiple-membership multilevel models whose weights are estimated."""


@main.command()
@click.argument("data", type=_TABLE)
@click.argument("formula")
@click.option("--family", default="gaussian", show_default=True, help="Distribution of the outcome.")
@click.option("--engine", default="mcmc", show_default=True, help="mcmc, laplace, ml, reml or nuts.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Save the fit here (fit.nc).")
@click.option("--ci", default=0.95, show_default=True, help="Coverage probability of the intervals.")
@click.option("--draws", default=1000, show_default=True, help="Kept draws of each chain.")
@click.option("--tune", default=1000, show_default=True, help="Tuning iterations of each chain.")
@click.option("--chains", default=4, show_default=True, help="How many chains.")
@click.option("--seed", type=int, help="Fixes the draws.")
@click.option(
    "--memberships", type=_TABLE, help="Edge table with one row per membership; DATA then has one row per group."
)
@click.option("--members", type=_TABLE, help="Table with one row per member.")
@click.option("--missing", default="error", show_default=True, help="error, or drop.")
def fit(
    data: Path,
    formula: str,
    family: str,
    engine: str,
    out: Path | None,
    ci: float,
    draws: int,
    tune: int,
    chains: int,
    seed: int | None,
    memberships: Path | None,
    members: Path | None,
    missing: str,
) -> None:
    """Fit FORMULA to the table in the file DATA (csv, tsv or parquet) and print the report.

    For example: micromacro fit governments.csv "duration ~ majority + mm(party, government, cohesion)"
    """
    with _plain_messages():
        from .api import fit as fit_model
        from .posterior.intervals import check_level

        check_level(ci)
        if out is not None:
            _check_out(out)
        fitted = fit_model(
            formula,
            read_table(data),
            family=family,
            engine=engine,
            memberships=None if memberships is None else read_table(memberships),
            members=None if members is None else read_table(members),
            missing=missing,
            draws=draws,
            tune=tune,
            chains=chains,
            random_seed=seed,
            progress=sys.stderr.isatty(),
        )
        try:  # each even if the other fails: what was computed is not to be lost
            if out is not None:
                fitted.save(out)
        finally:
            click.echo(fitted.report(ci=ci))
        if out is not None:
            click.echo(f"\nSaved to {out}")


@main.command()
@click.option("--quick", is_flag=True, help="Fewer draws: for a quick look only.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("micromacro-demo"),
    show_default=True,
    help="Folder for the picture.",
)
def demo(quick: bool, out: Path) -> None:
    """House values in Boston: neighbours that weigh the same, against estimated weights."""
    with _plain_messages():
        from .demo import run

        run(out, quick=quick)
