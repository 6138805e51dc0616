"""The demonstration: house values in Boston, with equal and with estimated weights of the neighbours.

Two models that differ in their weights alone, each by maximum likelihood and by draws from the posterior.
"""

from __future__ import annotations

import shutil
import sys
from itertools import zip_longest
from pathlib import Path

import pandas as pd

from ._optional import MissingExtraError, require
from .api import Model
from .datasets import boston
from .engines.registry import engine_of
from .results.fit import Fit

_FORMULA = (
    "log_value ~ nox + crim + rm + dis + age"
    " + mm(neighbour, tract, nox_nb + crim_nb + rm_nb + dis_nb + age_nb,"
    " weights = {weights}, normalize = group)"
)
_WEIGHTS = {"equal": "1/n", "estimated": "power(dissimilarity)"}
WIDE = 200  # characters, where the output goes to no terminal
_ENGINES = ("ml", "mcmc")


def run(out: Path, *, quick: bool = False) -> None:
    """Fit, print both reports of each engine side by side, test, and save a picture of the weights.

    Parameters
    ----------
    out : Path
        Folder for ``weights.png``; made where it does not exist.
    quick : bool
        Fewer draws.
    """
    data = boston().data
    draws, chains = (250, 2) if quick else (1000, 4)
    print(f"Outcome and terms: {_FORMULA.format(weights='...')}")
    print("Weights: " + "; ".join(f"{name}: {weights}" for name, weights in _WEIGHTS.items()))
    estimated: dict[str, Fit] = {}
    for engine in _ENGINES:
        fits: dict[str, Fit] = {}
        for name, weights in _WEIGHTS.items():
            model = Model(_FORMULA.format(weights=weights), data)
            fits[name] = model.fit(
                engine, draws=draws, tune=draws, chains=chains, random_seed=1, progress=sys.stderr.isatty()
            )
        print(f"\n{engine_of(engine).title} ({engine})\n")
        print(compare(fits, shutil.get_terminal_size(fallback=(WIDE, 24)).columns))
        if not engine_of(engine).draws:
            print(f"\nestimated against equal weights: {fits['estimated'].lr_test(fits['equal'])}")
        estimated[engine] = fits["estimated"]
    try:
        print(f"\nThe estimated weights: {picture(estimated, out)}")
    except MissingExtraError as error:
        print(f"\nNo picture of the weights. {error}")


def compare(fits: dict[str, Fit], width: int) -> str:
    """Reports side by side; where `width` characters are not enough, one below the other and a table of both."""
    reports = [f"{name} weights\n\n{fitted!r}" for name, fitted in fits.items()]
    table = parameter_table(fits).to_string(na_rep="", float_format="{:.3f}".format)
    return beside(reports, width) or "\n\n".join([*reports, table])


def beside(texts: list[str], width: int, gap: int = 4) -> str | None:
    """Texts in columns; None where `width` characters are not enough."""
    columns = [text.splitlines() for text in texts]
    widths = [max(map(len, lines)) for lines in columns]
    if sum(widths) + gap * (len(texts) - 1) > width:
        return None
    rows = zip_longest(*columns, fillvalue="")
    return "\n".join(
        (" " * gap).join(line.ljust(w) for line, w in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def parameter_table(fits: dict[str, Fit]) -> pd.DataFrame:
    """Estimates and standard errors (posterior means and sds) of several fits, a row per parameter."""
    tables = {name: fitted.summary().iloc[:, :2] for name, fitted in fits.items()}
    names = dict.fromkeys(parameter for table in tables.values() for parameter in table.index)
    return pd.concat(tables, axis="columns").reindex(list(names))


def picture(fits: dict[str, Fit], out: Path) -> Path:
    """Draw the weights of each fit in a panel of its own; returns the file."""
    # A bare Figure needs no display and leaves pyplot's state alone.
    figure = require("matplotlib.figure", "plots").Figure(figsize=(6 * len(fits), 5), layout="constrained")
    panels = figure.subplots(1, len(fits), squeeze=False)[0]
    for ax, (engine, fitted) in zip(panels, fits.items(), strict=True):
        fitted.plot.weights(ax=ax)
        ax.set_title(engine_of(engine).title)
    out.mkdir(parents=True, exist_ok=True)
    file = out / "weights.png"
    figure.savefig(file, dpi=150)
    return file
