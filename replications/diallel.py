"""A diallel cross: every line is crossed with every other, as father and as mother.

The data are ``tobacco_diallel.csv`` (Hayman 1954). A cross is a group of two members, in either order; crosses and
ordered crosses have effects of their own. The reference is lme4 1.1-31, its random-effect matrix replaced by hand
(``tests/reference/r/memberships.R``).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import micromacro as mm

from .common import ROOT, Reference, beside, fitted, main, table_of

FORMULA = "day ~ place + mm(line, row, weights = 1, normalize = none) + (1 | pair) + (1 | ordered)"


def replicate(folder: Path) -> list[dict[str, Any]]:
    """Days to flowering of crosses of tobacco."""
    crosses = table_of(folder, "tobacco_diallel.csv")
    crosses["place"] = crosses["year"].astype(str) + " " + crosses["block"]
    crosses = mm.memberships.with_pairs(crosses, "male", "female")
    lines = mm.memberships.from_dyads(crosses, "male", "female", member="line")
    known = json.loads((ROOT / "tests" / "reference" / "r" / "memberships.json").read_text())["diallel_reml"]
    other = Reference({**known["coef"], "loglik": known["loglik"]}, known["se"])
    fit, seconds = fitted(FORMULA, crosses, memberships=lines, engine="reml")
    names = {p: p.replace("place[T.", "place").removesuffix("]") for p in fit.params.index}
    return beside("lines, crosses, reciprocals", fit, seconds, other, names)


if __name__ == "__main__":
    main("diallel", replicate)
