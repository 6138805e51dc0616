"""The tables that the page on calibration shows: ``python -m tests.calibrate.tables`` writes them from the runs so far.

Each begins with a line that says when it was written, and by which version of micromacro its runs were made.
"""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pandas as pd

import micromacro as mm

from . import test_combine_coverage as combine
from . import test_coverage as coverage
from . import test_hard_posteriors as hard
from . import test_predictors_against_nuts as nuts
from . import test_ranks as ranks
from .designs import DESIGNS
from .hard import HARD
from .kinds import KINDS
from .ranks import LIKELIHOOD
from .records import FOLDER, lines
from .references import STORED
from .uniform import binomial_interval, combined, p_value


def finished(name: str, keys: tuple[str, ...]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """All runs of a file by this version of micromacro, whichever state of the code made them; the last of a key."""
    rows = [r for r in lines(FOLDER / f"{name}.jsonl") if r["version"] == mm.__version__]
    return {tuple(r[k] for k in keys): r for r in rows}


def of_ranks() -> pd.DataFrame:
    """One row per kind: data sets, p-values of its test quantities."""
    known, out = finished("ranks", ("kind", "seed")), []
    for name, kind in KINDS.items():
        rows = [row for (of, _), row in known.items() if of == name]
        if len(rows) < 2:
            continue
        p = {q: p_value(u) for q, u in ranks.uniform_of(name, rows).items()}
        own = {q: v for q, v in p.items() if q != LIKELIHOOD}
        worst = min(own, key=lambda q: own[q])
        out.append({
            "kind": name, "family": kind.family, "terms": kind.terms, "sets": len(rows),
            "refused": sum("ranks" not in r for r in rows), "parameters": len(own),
            "p": combined(np.array([*own.values()])), "smallest": own[worst], "of": worst,
            "log_likelihood": p[LIKELIHOOD],
        })  # fmt: skip
    return pd.DataFrame(out)


def of_coverage() -> pd.DataFrame:
    """One row per design and kind of interval, over all data sets and over those whose verdict by ml is ok."""
    known = {name: finished(name, coverage.KEYS) for name in dict.fromkeys(coverage.FILES.values())}
    out = []
    for design in DESIGNS:
        ok = {key for key, r in known["coverage_ml"].items() if r["ok"]}
        for by in coverage.BY:
            rows = {key: r[by] for key, r in known[coverage.FILES[by]].items() if key[0] == design}
            if not rows:
                continue
            low, high = binomial_interval(sum(rows.values()), len(rows))
            good = [v for key, v in rows.items() if key in ok]
            out.append({
                "design": design, "interval": by, "sets": len(rows), "coverage": np.mean([*rows.values()]),
                "lower": low, "upper": high, "ok_sets": len(good), "coverage_ok": np.mean(good),
            })  # fmt: skip
    return pd.DataFrame(out)


def of_combine_coverage() -> pd.DataFrame:
    """One row per family and kind of interval of kappa, over all data sets and over those whose fit is ok."""
    known, out = finished("combine_coverage", combine.KEYS), []
    for family in combine.DESIGNS:
        rows = [r for (of, _), r in known.items() if of == family]
        good = [r for r in rows if r["ok"]]
        for by in combine.BY if rows else ():
            low, high = binomial_interval(sum(r[by] for r in rows), len(rows))
            out.append({
                "family": family, "interval": by, "sets": len(rows), "coverage": np.mean([r[by] for r in rows]),
                "lower": low, "upper": high, "ok_sets": len(good), "coverage_ok": np.mean([r[by] for r in good]),
            })  # fmt: skip
    return pd.DataFrame(out)


def of_spread() -> pd.DataFrame:
    """One row per parameter of the model of the spread: coverage, mean and sd of distances in standard errors."""
    rows = [*finished("spread", ("seed",)).values()]
    inside, away = (pd.DataFrame([r[name] for r in rows]) for name in ("inside", "away"))
    if not rows:
        return inside
    low, high = zip(*(binomial_interval(int(inside[p].sum()), len(rows)) for p in inside), strict=True)
    columns = {"sets": len(rows), "coverage": inside.mean(), "lower": low, "upper": high}
    columns |= {"mean_away": away.mean(), "sd_away": away.std()}
    return pd.DataFrame(columns).rename_axis("parameter").reset_index()


def of_nuts() -> pd.DataFrame:
    """One row per model by mcmc and by nuts: effective draws, and the mean and the sd that differ most (in errors)."""
    known, out = finished("nuts", ("model",)), []
    for name, model in nuts.ROWS.items():
        row = known.get((name,))
        if row is None:
            continue
        mean, sd = (max(row[key], key=lambda p, each=row[key]: abs(each[p])) for key in ("away", "sd_away"))
        out.append({
            "model": name, "family": model.family, "parameters": len(row["away"]), "ess_mcmc": row["ess"][0],
            "ess_nuts": row["ess"][1], "furthest_mean": row["away"][mean], "mean_of": mean,
            "furthest_sd": row["sd_away"][sd], "sd_of": sd,
        })  # fmt: skip
    return pd.DataFrame(out)


def of_hard_posteriors() -> pd.DataFrame:
    """One row per model: the worst of its runs, and how far means are from the reference."""
    runs, known, out = finished("hard", ("model", "seed")), hard.stored(), []
    for name in HARD:
        rows = [r for (model, _), r in runs.items() if model == name]
        if not rows:
            continue
        reference = known.get(name)
        compared = [r for r in rows if reference and r["mean"]]
        away = [
            abs(r["mean"][p] - reference["mean"][p]) / np.hypot(r["mcse"][p], reference["mcse"][p])
            for r in compared
            for p in r["mean"]
        ]
        masses = [r["mass"] for r in compared if r["mass"] is not None]
        out.append({
            "model": name, "seeds": len(rows),
            "good": sum(not hard.faults(name, r) for r in rows), "r_hat": max(r["r_hat"] for r in rows),
            "ess_bulk": min(r["bulk"] for r in rows), "ess_tail": min(r["tail"] for r in rows),
            "reference": reference["way"] if reference else "",
            "compared": len(compared), "furthest_mean": max(away, default=np.nan),
            "mass": f"{min(masses):.3f} to {max(masses):.3f} ({reference['mass']:.3f})" if masses else "",
        })  # fmt: skip
    return pd.DataFrame(out)


def main() -> None:
    """Write all tables of which there are runs."""
    head = f"# {datetime.datetime.now(datetime.UTC).date()}, micromacro {mm.__version__}\n"
    for name, table in (
        ("ranks", of_ranks()),
        ("coverage", of_coverage()),
        ("combine_coverage", of_combine_coverage()),
        ("hard_posteriors", of_hard_posteriors()),
        ("spread", of_spread()),
        ("nuts", of_nuts()),
    ):
        if len(table):
            (STORED.parent / f"{name}.csv").write_text(head + table.to_csv(index=False, float_format="%.4g"))


if __name__ == "__main__":
    main()
