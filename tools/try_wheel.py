"""Try an installed micromacro as a new user would: the README's example, and a report of a csv from the command line.

``python tools/try_wheel.py README.md``, run by the Python of an environment that has nothing but the wheel.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def code_of(readme: Path) -> str:
    """The first block of Python in the README."""
    block = re.search(r"^```python\n(.*?)^```", readme.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert block, f"{readme} has no block of Python"
    return block[1]


def run(*command: str, folder: Path) -> tuple[str, float]:
    """What a command printed, and the seconds that it took."""
    begin = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)[:80]} failed:\n{done.stdout}\n{done.stderr}")
    return done.stdout, time.perf_counter() - begin


def main(readme: Path) -> None:
    """Run both; the folder is temporary, so that nothing of the checkout is found by accident."""
    python = sys.executable
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        where, _ = run(
            python, "-c", "import micromacro; print(micromacro.__file__, micromacro.__version__)", folder=folder
        )
        print(where.strip())
        printed, seconds = run(python, "-c", code_of(readme), folder=folder)
        assert "neighbour.w.dissimilarity" in printed and "Health: good" in printed, printed
        print(f"the README's example: {seconds:.1f} s with compiling")
        _, seconds = run(python, "-c", code_of(readme), folder=folder)
        print(f"the same again: {seconds:.1f} s")
        make = "import micromacro as mm; mm.datasets.boston().data.to_csv('tracts.csv', index=False)"
        run(python, "-c", make, folder=folder)
        script = str(Path(python).parent / "micromacro")
        formula = "log_value ~ nox + mm(neighbour, tract, nox_nb, weights = power(dissimilarity), normalize = group)"
        printed, seconds = run(
            script, "report", "tracts.csv", formula, "--engine", "ml", "--out", "fit.html", folder=folder
        )
        page = (folder / "fit.html").read_text(encoding="utf-8")
        assert page.lower().startswith("<!doctype html>") and "neighbour.w.dissimilarity" in page
        print(f"micromacro report of a csv: {seconds:.1f} s, {len(page) / 1024:.0f} kB")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
