"""All replications in turn: ``python -m replications [folder]``."""

from __future__ import annotations

import argparse
from pathlib import Path

from . import boston, coalitions, diallel, friends, lineups, schools
from .common import FOLDER, run

ALL = {
    "boston": boston, "coalitions": coalitions, "friends": friends, "schools": schools, "diallel": diallel,
    "lineups": lineups,
}  # fmt: skip

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Fit published and classical models again.")
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER, help="has data/ and reference/")
    folder = parser.parse_args().folder
    total = sum(run(name, module.replicate, folder) for name, module in ALL.items())
    print(f"in all {total:.0f} s")
