"""What the replications share: numbers side by side, files that may be absent, the stored tables."""

from __future__ import annotations

import argparse
import datetime
import json
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

import micromacro as mm

ROOT = Path(__file__).parents[1]
STORED = Path(__file__).parent / "stored"
#: Where tables and reference results are looked for that are not part of the project.
FOLDER = ROOT.parent / "shared"

COLUMNS = ["model", "engine", "parameter", "reference", "reference_sd", "ours", "our_sd", "ok", "seconds"]


class AbsentError(Exception):
    """A file that a replication needs is not there."""


@dataclass(frozen=True)
class Reference:
    """Numbers to compare with: of another program, or the truth of a simulation.

    Attributes
    ----------
    values, spreads : dict by parameter
        Estimates (posterior means), and standard errors (posterior sds).
    """

    values: dict[str, float]
    spreads: dict[str, float]


NOTHING = Reference({}, {})


def table_of(folder: Path, name: str) -> pd.DataFrame:
    """A table of ``data/`` in the folder."""
    path = folder / "data" / name
    if not path.is_file():
        raise AbsentError(f"{name} is not in {path.parent}")
    return pd.read_csv(path)


def reference_of(folder: Path, name: str) -> dict[str, Any]:
    """A reference result of ``reference/`` in the folder; nothing where it is absent."""
    path = folder / "reference" / name
    return json.loads(path.read_text()) if path.is_file() else {}


def posterior(folder: Path, name: str) -> Reference:
    """Posterior means and sds of a reference result."""
    found = reference_of(folder, name).get("parameters", {})
    return Reference({k: v["mean"] for k, v in found.items()}, {k: v["sd"] for k, v in found.items()})


def fitted(formula: str, data: Any, **options: Any) -> tuple[Any, float]:
    """A fit and the seconds of the processor that it took, compiling included."""
    begin = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mm.MicromacroWarning)  # the column `ok` says so
        fit = mm.fit(formula, data, progress=False, random_seed=1, **options)
    return fit, time.process_time() - begin


def beside(
    model: str, fit: Any, seconds: float, other: Reference = NOTHING, names: dict[str, str] | None = None
) -> list[dict[str, Any]]:
    """One row per parameter: the reference and ours; `names` are those of the reference where they differ."""
    rows = []
    for parameter in fit.params.index:
        theirs = (names or {}).get(parameter, parameter)
        rows.append({
            "model": model, "engine": fit.engine, "parameter": parameter, "reference": other.values.get(theirs),
            "reference_sd": other.spreads.get(theirs), "ours": fit.params[parameter], "our_sd": fit.bse[parameter],
            "ok": fit.health.ok, "seconds": seconds,
        })  # fmt: skip
    if fit.engine in ("ml", "reml") and "loglik" in other.values:
        rows.append({
            "model": model, "engine": fit.engine, "parameter": "log-likelihood", "reference": other.values["loglik"],
            "ours": fit.loglik, "ok": fit.health.ok, "seconds": seconds,
        })  # fmt: skip
    return rows


def write(name: str, rows: Sequence[dict[str, Any]]) -> Path:
    """Store a table; its first line says when and by which version."""
    STORED.mkdir(exist_ok=True)
    path = STORED / f"{name}.csv"
    out = pd.DataFrame(rows, columns=COLUMNS)
    out["seconds"] = out["seconds"].round(1)
    head = f"# {datetime.datetime.now(tz=datetime.UTC).date().isoformat()}, micromacro {mm.__version__}\n"
    path.write_text(head + out.to_csv(index=False, float_format="%.6g"))
    return path


def stored(name: str) -> tuple[str, pd.DataFrame]:
    """When a stored table was made, and the table."""
    with (STORED / f"{name}.csv").open() as file:
        return file.readline().lstrip("# ").strip(), pd.read_csv(file)


def shown(rows: pd.DataFrame) -> pd.DataFrame:
    """A table for the eye, by model and parameter: how far ours is from the reference, in sds of the reference."""
    out = rows.set_index(["model", "parameter"]).drop(columns="seconds")
    away = (out["ours"] - out["reference"]) / out["reference_sd"]
    return out.assign(away=away.round(3) + 0.0).dropna(axis=1, how="all").round(3)


def main(name: str, replicate: Callable[[Path], list[dict[str, Any]]]) -> None:
    """Run one replication from the command line, print its table and store it."""
    parser = argparse.ArgumentParser(description=replicate.__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER, help="has data/ and reference/")
    run(name, replicate, parser.parse_args().folder)


def run(name: str, replicate: Callable[[Path], list[dict[str, Any]]], folder: Path) -> float:
    """Run one replication, print and store its table; the seconds that it took."""
    begin = time.perf_counter()
    try:
        rows = replicate(folder)
    except AbsentError as error:
        print(f"{name}: skipped, {error}")
        return 0.0
    seconds = time.perf_counter() - begin
    write(name, rows)
    with pd.option_context("display.width", 140, "display.max_rows", None, "display.max_columns", None):
        print(f"{name}: {seconds:.1f} s\n{shown(pd.DataFrame(rows, columns=COLUMNS)).to_string(na_rep='')}\n")
    return seconds
