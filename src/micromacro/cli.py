"""A thin command line: fit tables, read fits that were saved, predict, compare, report, see the demonstration."""

from __future__ import annotations

import json
import os
import re
import sys
import tomllib
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from . import __version__
from .errors import DataError, MicromacroError, MicromacroWarning

if TYPE_CHECKING:
    import pandas as pd

    from .results.fit import Fit


class _File(click.Path):
    """A file that exists; a formula in its place is told from a file that is not there."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if "~" in str(value)[1:] and not Path(value).exists():
            self.fail("this is a formula; the table comes first, as in micromacro fit table.csv FORMULA", param, ctx)
        return super().convert(value, param, ctx)


_TABLE = _File(exists=True, dir_okay=False, path_type=Path)
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
    excel = ": save the sheet as csv" if ending.lower() in (".xlsx", ".xls", ".ods") else ""
    raise DataError(f"{path}: a table's file name ends in .csv, .tsv or .parquet, not {ending!r}{excel}")


def check_out(out: Path, endings: Sequence[str]) -> None:
    """Refuse a place where nothing can be saved, or an ending of which nothing is known, before anything is fitted."""
    if out.suffix.lower() not in endings:
        raise DataError(f"--out {out}: the file's name ends in one of {', '.join(endings)}, not {out.suffix!r}")
    folder = out.absolute().parent
    if not folder.is_dir():
        raise DataError(f"--out {out}: there is no folder {folder}; make it first")
    if not os.access(folder, os.W_OK):
        raise DataError(f"--out {out}: the folder {folder} cannot be written to; choose another one")


# -- options from a file -----------------------------------------------------------------------------------------------

_PRIOR = re.compile(r"\s*([a-z_]+)\s*\(([^()]*)\)\s*")
_TABLES = ("data", "memberships", "members")
_WORDS = ("formula", "family", "engine", "missing", "observation_weights", "collinear", "solver")
_NUMBERS = ("draws", "tune", "chains", "seed", "nAGQ", "ci")
_SECTIONS = ("priors", "fixed", "start", "graphs")


def read_prior(name: str, text: Any) -> Any:
    """A prior as it is written in the tables: ``half_normal(1)``.

    Raises
    ------
    DataError
        For text that is no prior.
    """
    from . import prior
    from .table.columns import did_you_mean

    match = _PRIOR.fullmatch(text) if isinstance(text, str) else None
    if match is None or match[1] not in prior.__all__:
        near = did_you_mean(match[1], prior.__all__) if match else ""
        raise DataError(
            f"priors: {name} = {text!r} is not a prior, such as 'normal(0, 1)'{near}; there are "
            f"{', '.join(prior.__all__)}"
        )
    try:
        values = [float(v) for v in match[2].split(",") if v.strip()]
        return getattr(prior, match[1])(*values)
    except (TypeError, ValueError) as error:
        raise DataError(f"priors: {name} = {text!r}: {match[1]}() takes numbers, as in 'normal(0, 1)'") from error


def read_options(path: Path | None) -> dict[str, Any]:
    """What a TOML file says of a model and its fit, as keywords of ``fit``; tables and graphs are read.

    Raises
    ------
    DataError
        For a file that is no TOML, and for keys that are not known.
    """
    if path is None:
        return {}
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path} cannot be read as TOML: {error}") from error
    from .model.others import KEYWORDS
    from .table.columns import did_you_mean

    known = (*_TABLES, *_WORDS, *KEYWORDS, *_NUMBERS, *_SECTIONS)
    odd = [key for key in given if key not in known]
    if odd:
        raise DataError(
            f"{path}: there is no option {odd[0]!r}{did_you_mean(odd[0], known)}; there are {', '.join(known)}"
        )
    for key in _SECTIONS:
        if key in given and not isinstance(given[key], dict) and not (key == "priors" and isinstance(given[key], str)):
            raise DataError(f"{path}: {key} is a section, as in [{key}]")
    out: dict[str, Any] = {k: v for k, v in given.items() if k not in ("seed", *_TABLES)}
    out |= {k: _named_table(path, given[k]) for k in _TABLES if k in given}
    if "seed" in given:
        out["random_seed"] = given["seed"]
    if isinstance(given.get("priors"), dict):
        out["priors"] = {name: read_prior(name, text) for name, text in given["priors"].items()}
    if "graphs" in given:
        out["graphs"] = {name: _named_table(path, file) for name, file in given["graphs"].items()}
    return out


def _named_table(path: Path, file: Any) -> pd.DataFrame:
    """The table that a file of options names, beside which it lies."""
    if not isinstance(file, str):
        raise DataError(f"{path} has {file!r} where the name of a file is expected, in quotes")
    if not (path.parent / file).is_file():
        raise DataError(f"{path} names the file {file!r}, which is not in {path.parent.absolute()}")
    return read_table(path.parent / file)


# -- what is written ---------------------------------------------------------------------------------------------------


def write_table(table: pd.DataFrame, out: Path | None, index: bool = True) -> None:
    """A table as csv or json by the file's ending, or printed as csv."""
    if out is None:
        click.echo(table.to_csv(index=index), nl=False)
    elif out.suffix.lower() == ".json":
        plain = table.reset_index() if index else table
        out.write_text(f"{plain.to_json(orient='records', indent=1)}\n", encoding="utf-8")
    elif out.suffix.lower() == ".html":
        out.write_text(table.to_html(index=index), encoding="utf-8")
    else:
        table.to_csv(out, index=index)


def write_fit(fitted: Fit, out: Path, ci: float) -> None:
    """A fit by the file's ending: whole (nc), its report (html), its table of parameters (csv), both as json."""
    ending = out.suffix.lower()
    if ending == ".nc":
        fitted.save(out)
    elif ending == ".html":
        fitted.report(out, ci=ci)
    elif ending == ".json":
        tidy, glance = fitted.tidy(ci), fitted.glance()
        parts = {
            "fit": json.loads(glance.to_json(orient="records"))[0],
            "parameters": json.loads(tidy.to_json(orient="records")),
        }
        out.write_text(json.dumps(parts, indent=1) + "\n", encoding="utf-8")
    else:
        write_table(fitted.summary(ci), out)


def tell_of(out: Path | None) -> None:
    """Say where something was written, if it was."""
    if out is not None:
        click.echo(f"Saved to {out}")


def announce_compiling() -> None:
    """Say that the first fit takes longer, where no kernel has been compiled yet."""
    from . import numerics

    places = [Path(folder) for folder in numerics.__path__]
    cache = os.environ.get("NUMBA_CACHE_DIR")
    if cache:
        places = [Path(cache)]
    if not any(next(place.rglob("*.nbi"), None) for place in places):
        click.echo("Compiling, once for this installation: the first fit takes some seconds longer.", err=True)


def open_fit(path: Path) -> Fit:
    """A saved fit with its data.

    Raises
    ------
    DataError
        Where the file has tables of results only.
    """
    from .api import load
    from .results.fit import Fit

    if path.suffix.lower() not in _SAVED:
        raise DataError(f"{path} is not a saved fit (.nc or .zarr): micromacro fit ... --out fit.nc writes one")
    found = load(path)
    if not isinstance(found, Fit):
        raise DataError(f"{path} has the tables of a fit only: save it with its data, and contents='all'")
    return found


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="micromacro")
def main() -> None:
    """Multiple-membership multilevel models whose weights are estimated."""


_SAVED = (".nc", ".zarr")
_FIT = click.Path(exists=True, path_type=Path)
_OUT = click.Path(dir_okay=False, path_type=Path)
_FIT_ENDINGS = (".nc", ".html", ".csv", ".json")
_TABLE_ENDINGS = (".csv", ".json", ".html")


def _fitting(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of commands that fit."""
    options = [
        click.option("--options", "toml", type=_TABLE, help="TOML file: these options, priors, fixed, start, graphs."),
        click.option("--family", help="Distribution of the outcome.  [default: gaussian]"),
        click.option("--engine", help="mcmc, laplace, ml, reml or nuts.  [default: mcmc]"),
        click.option("--ci", type=float, help="Coverage probability of the intervals.  [default: 0.95]"),
        click.option("--draws", type=int, help="Kept draws of each chain.  [default: 1000]"),
        click.option("--tune", type=int, help="Tuning iterations of each chain.  [default: 1000]"),
        click.option("--chains", type=int, help="How many chains.  [default: 4]"),
        click.option("--seed", "random_seed", type=int, help="Fixes the draws."),
        click.option("--memberships", type=_TABLE, help="One row per membership; DATA then has a row per group."),
        click.option("--members", type=_TABLE, help="Table with one row per member."),
        click.option("--missing", help="error, or drop.  [default: error]"),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def _fit(data: Path | None, formula: str | None, toml: Path | None, given: dict[str, Any]) -> tuple[Fit, float]:
    """A fit of what the command line and the file of options say; the command line counts where both speak."""
    from .api import fit as fit_model
    from .posterior.intervals import check_level

    asked = read_options(toml)
    asked |= {key: value for key, value in given.items() if value is not None}
    ci = check_level(asked.pop("ci", 0.95))
    asked |= {key: read_table(given[key]) for key in ("memberships", "members") if given[key] is not None}
    if data is not None:
        asked["data"] = read_table(data)
    if formula is not None:
        asked["formula"] = formula
    for key in ("data", "formula"):
        if key not in asked:
            raise DataError(f"no {key} was given, neither on the command line nor in a file of --options")
    announce_compiling()
    return fit_model(asked.pop("formula"), asked.pop("data"), progress=sys.stderr.isatty(), **asked), ci


@main.command()
@click.argument("data", type=_TABLE, required=False)
@click.argument("formula", required=False)
@_fitting
@click.option(
    "--out", type=_OUT, multiple=True, help="Write the fit here: fit.nc, its report.html, its table.csv or .json."
)
def fit(data: Path | None, formula: str | None, toml: Path | None, out: tuple[Path, ...], **given: Any) -> None:
    """Fit FORMULA to the table in the file DATA (csv, tsv or parquet) and print the report.

    For example: micromacro fit governments.csv "duration ~ majority + mm(party, government, cohesion)"
    """
    with _plain_messages():
        for place in out:
            check_out(place, _FIT_ENDINGS)
        fitted, ci = _fit(data, formula, toml, given)
        try:  # each even if the other fails: what was computed is not to be lost
            for place in out:
                write_fit(fitted, place, ci)
        finally:
            click.echo(fitted.report(ci=ci))
        for place in out:
            click.echo(f"\nSaved to {place}")


@main.command()
@click.argument("saved", type=_FIT)
@click.argument("data", type=_TABLE)
@click.option("--kind", default="mean", show_default=True, help="linear, mean, response, median, probability.")
@click.option("--ci", default=0.95, show_default=True, help="Coverage probability of the intervals.")
@click.option("--memberships", type=_TABLE, help="Edge table of the new groups.")
@click.option("--members", type=_TABLE, help="Table of the members.")
@click.option("--out", type=_OUT, help="Write here (csv, json or html) instead of printing csv.")
def predict(
    saved: Path, data: Path, kind: str, ci: float, memberships: Path | None, members: Path | None, out: Path | None
) -> None:
    """Predict the groups in the file DATA from the fit in the file SAVED."""
    with _plain_messages():
        if out is not None:
            check_out(out, _TABLE_ENDINGS)
        fitted = open_fit(saved)
        tables = {k: read_table(v) for k, v in (("memberships", memberships), ("members", members)) if v is not None}
        made = fitted.predict(read_table(data), kind=kind, ci=ci, **tables)
        write_table(made, out)
        tell_of(out)


@main.command()
@click.argument("saved", type=_FIT, nargs=-1, required=True)
@click.option("--ic", help="loo, integrated, waic or evidence (fits with draws); aic or bic (ml).")
@click.option("--out", type=_OUT, help="Write here (csv, json or html) instead of printing csv.")
def compare(saved: tuple[Path, ...], ic: str | None, out: Path | None) -> None:
    """Compare the fits in the files SAVED, the best first."""
    with _plain_messages():
        if out is not None:
            check_out(out, _TABLE_ENDINGS)
        from .api import compare as compare_fits

        if len(saved) < 2 or len(set(saved)) < len(saved):
            raise DataError(f"name two or more files of different fits, not {' '.join(map(str, saved))}")
        names = [path.stem for path in saved]
        keys = names if len(set(names)) == len(names) else [str(path) for path in saved]
        write_table(compare_fits({key: open_fit(path) for key, path in zip(keys, saved, strict=True)}, ic), out)
        tell_of(out)


@main.command()
@click.argument("source", type=_FIT)
@click.argument("formula", required=False)
@_fitting
@click.option(
    "--out", type=_OUT, default=Path("report.html"), show_default=True, help="Where to write the report (html)."
)
def report(source: Path, formula: str | None, toml: Path | None, out: Path, **given: Any) -> None:
    """Write the report of a fit as one HTML file: of a saved fit SOURCE, or of FORMULA fitted to the table SOURCE."""
    with _plain_messages():
        check_out(out, (".html",))
        if source.suffix.lower() in _SAVED:
            if formula is not None:
                raise DataError(f"{source} is a fit, which has its formula: leave out {formula!r}")
            fitted, ci = open_fit(source), 0.95 if given.get("ci") is None else given["ci"]
        else:
            fitted, ci = _fit(source, formula, toml, given)
        fitted.report(out, ci=ci)
        tell_of(out)


_SHOWN = ("report", "summary", "interpret", "weights", "random_effects", "variance_components", "residuals")


@main.command()
@click.argument("saved", type=_FIT)
@click.argument("what", type=click.Choice(_SHOWN), default="report")
@click.option("--ci", default=0.95, show_default=True, help="Coverage probability of the intervals.")
@click.option("--out", type=_OUT, help="Write a table here (csv, json or html) instead of printing it as csv.")
def show(saved: Path, what: str, ci: float, out: Path | None) -> None:
    """Show a saved fit: its report, or one of its tables."""
    with _plain_messages():
        if out is not None:
            check_out(out, _FIT_ENDINGS if what == "report" else _TABLE_ENDINGS)
        fitted = open_fit(saved)
        if what == "report":
            click.echo(fitted.report(ci=ci)) if out is None else write_fit(fitted, out, ci)
            tell_of(out)
            return
        made = fitted.residuals().to_frame() if what == "residuals" else getattr(fitted, what)(ci=ci)
        if what == "weights":  # whose ids are columns too
            made = made.reset_index(level=[n for n in made.index.names if n == "block"]).reset_index(drop=True)
        write_table(made, out, index=what != "weights")
        tell_of(out)


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
