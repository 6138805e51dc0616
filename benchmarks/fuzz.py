"""Mutated formulas and odd tables: each is fitted into a model or refused by an error of ours, within a CPU second.

``python benchmarks/fuzz.py formulas 200000 --seed 1`` and ``python benchmarks/fuzz.py tables 1000``. What goes wrong is
printed with all that makes it again; the exit code says whether anything did. The tests run a short piece of both.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections import Counter
from pathlib import Path

import micromacro as mm

_TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(_TESTS), str(_TESTS / "input")]
from odd import formulas, odd_table, sound_table

from cpu import least_seconds


def attempt(formula: str, data: object, limit: float, fit: bool = False) -> tuple[str, str | None]:
    """How a formula and a table are taken, and what is wrong with it, if anything is."""
    ends = []

    def taken() -> None:
        try:
            model = mm.Model(formula, data)
            if fit:
                model.fit("ml")
            ends.append("taken")
        except mm.MicromacroError as error:
            ends.append(f"refused, {type(error).__name__}")

    try:
        took = least_seconds(taken, limit)
    except Exception as error:  # noqa: BLE001 - this is what is looked for
        return "raw", f"{type(error).__name__}: {str(error)[:200]}"
    return ends[-1], f"{took:.1f} CPU seconds ({ends[-1]})" if took > limit else None


def main() -> int:
    """Run as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["formulas", "tables"])
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fit", action="store_true", help="fit what is taken by ml")
    parser.add_argument("--limit", type=float, default=1.0, help="CPU seconds")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    sound = sound_table()
    mm.Model("y ~ I(a ** 2) + mm(m, h, weights=1/n**b0)", sound)  # imports and compiles
    found, ends = 0, Counter()
    for number in range(asked.count):
        if asked.what == "formulas":
            formula, data = formulas(asked.seed, number), sound
        else:
            formula, data = odd_table(asked.seed, number)
        end, wrong = attempt(formula, data, asked.limit, asked.fit)
        ends[end] += 1
        if wrong is not None:
            found += 1
            print(f"{asked.what} seed {asked.seed} number {number}: {wrong}\n    {formula!r}", flush=True)
        if (number + 1) % 10_000 == 0:
            print(f"{number + 1} of {asked.count}, {found} wrong", flush=True)
    print(f"{asked.count} {asked.what}, {found} wrong; {dict(ends)}")
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
