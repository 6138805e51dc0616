"""Run some seeds, ``python -m tests.calibrate.random_models 0 300``, and write the table of all rows on file."""

from __future__ import annotations

import argparse
import datetime
import sys
import traceback

import pandas as pd

import micromacro as mm

from .compare import verdict
from .generator import make
from .kept import ROOT, kept_row, kept_rows

STORED = ROOT / "tests" / "calibrate" / "stored" / "random_models.csv"
COLUMNS = [
    "seed", "family", "units", "block", "weights", "rule", "effects", "place", "engine", "groups", "ok", "codes",
    "verdict", "loglik_off", "gain", "se_off", "posterior_off", "reference_ess", "faults", "formula",
]  # fmt: skip


def say(*words: object) -> None:
    """A line of output."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def table() -> pd.DataFrame:
    """The last row of each seed."""
    rows = {row["seed"]: row | ({"verdict": verdict(row)} if "faults" in row else {}) for row in kept_rows()}
    out = pd.DataFrame([rows[k] for k in sorted(rows)]).reindex(columns=COLUMNS)
    for name in ("codes", "faults"):
        out[name] = [" | ".join(v) if isinstance(v, list) else "" for v in out[name]]
    return out


def main() -> None:
    """Run the seeds that are not on file yet, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("first", type=int, nargs="?", default=0)
    parser.add_argument("stop", type=int, nargs="?", default=300)
    parser.add_argument("--every", type=int, default=1)
    arguments = parser.parse_args()
    for seed in range(arguments.first, arguments.stop, arguments.every):
        try:
            row = kept_row(seed)
        except Exception:  # noqa: BLE001
            say(seed, "stopped:", make(seed).formula, traceback.format_exc())
            continue
        say(seed, row["verdict"], row["engine"], row["family"], row["formula"], row.get("codes"))
        for fault in row.get("faults", [row.get("why")]):
            say("    ", fault)
    made = table()
    STORED.parent.mkdir(exist_ok=True)
    heading = f"# {datetime.datetime.now(datetime.UTC).date()}, micromacro {mm.__version__}\n"
    STORED.write_text(heading + made.to_csv(index=False, float_format="%.3g"))
    say(made["verdict"].value_counts().to_string())


if __name__ == "__main__":
    main()
