"""The tables that the page on calibration shows: ``python -m tests.calibrate.tables`` writes them from the runs so far.

Each begins with a line that says when, by which version and by which code its runs were made.
"""

from __future__ import annotations

import datetime
from collections import defaultdict

import numpy as np
import pandas as pd

import micromacro as mm

from . import test_coverage as coverage
from . import test_hard_posteriors as hard
from . import test_ranks as ranks
from .designs import DESIGNS
from .hard import HARD
from .kinds import KINDS
from .ranks import LIKELIHOOD
from .records import Records, digest
from .references import STORED
from .uniform import binomial_interval, combined, p_value


def of_ranks() -> pd.DataFrame:
    """One row per kind: data sets, p-values of its test quantities."""
    out = []
    for name, kind in KINDS.items():
        rows = ranks.made(name)
        if not rows:
            continue
        p = {q: p_value(u) for q, u in ranks.uniform_of(name, rows).items()}
        own = {q: v for q, v in p.items() if q != LIKELIHOOD}
        worst = min(own, key=lambda q: own[q])
        out.append({
            "kind": name, "family": kind.family, "terms": kind.terms, "sets": len(rows),
            "refused": sum("ranks" not in r for r in rows), "parameters": len(own),
            "p": combined(np.array([*own.values()])), "smallest": own[worst], "of": worst, "log_likelihood": p[LIKELIHOOD],
        })  # fmt: skip
    return pd.DataFrame(out)


def of_coverage() -> pd.DataFrame:
    """One row per design and kind of interval, over all data sets and over those whose verdict is ok."""
    records, out = Records("coverage", ("design", "seed")), []
    by_design = defaultdict(list)
    for (design, _), row in records.known.items():
        by_design[design].append(row)
    for design in DESIGNS:
        rows = by_design[design]
        good = [r for r in rows if r["ok"]]
        for by in coverage.BY if rows else ():
            count = sum(r[by] for r in rows)
            low, high = binomial_interval(count, len(rows))
            out.append({
                "design": design, "interval": by, "sets": len(rows), "coverage": count / len(rows), "lower": low,
                "upper": high, "ok_sets": len(good), "coverage_ok": np.mean([r[by] for r in good]),
                "mean_w": np.mean([r["w"] for r in rows]),
            })  # fmt: skip
    return pd.DataFrame(out)


def of_hard_posteriors() -> pd.DataFrame:
    """One row per model: the worst of its runs, and how far means are from the reference."""
    records, known, out = Records("hard", ("model", "seed")), hard.stored(), []
    for name in HARD:
        rows = [r for (model, _), r in records.known.items() if model == name]
        if not rows:
            continue
        reference = known.get(name)
        away = [
            abs(r["mean"][p] - m) / np.hypot(r["mcse"][p], reference["mcse"][p])
            for r in rows
            for p, m in (reference["mean"].items() if reference else ())
        ]
        out.append({
            "model": name, "parameters": len(rows[0]["mean"]), "seeds": len(rows),
            "good": sum(not hard.faults(name, r) for r in rows), "r_hat": max(r["r_hat"] for r in rows),
            "ess_bulk": min(r["bulk"] for r in rows), "ess_tail": min(r["tail"] for r in rows),
            "reference": reference["way"] if reference else "", "furthest_mean": max(away, default=np.nan),
            "mass": "" if rows[0]["mass"] is None else f"{min(r['mass'] for r in rows):.3f} to "
            f"{max(r['mass'] for r in rows):.3f} ({reference['mass']:.3f})",
        })  # fmt: skip
    return pd.DataFrame(out)


def main() -> None:
    """Write all tables of which there are runs."""
    head = f"# {datetime.datetime.now(datetime.UTC).date()}, micromacro {mm.__version__}, code {digest()}\n"
    for name, table in (
        ("ranks", of_ranks()),
        ("coverage", of_coverage()),
        ("hard_posteriors", of_hard_posteriors()),
    ):
        if len(table):
            (STORED.parent / f"{name}.csv").write_text(head + table.to_csv(index=False, float_format="%.4g"))


if __name__ == "__main__":
    main()
