"""A friendship network, in which all friends count the same or the best one more.

With ``friendship_nodes.csv`` (id, y, own) and ``friendship_edges.csv`` (from, to, best) in the folder, the model is
fitted to these. No such data can be passed on, so without them a network of the same kind is simulated, whose truth is
known.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import micromacro as mm

from .common import AbsentError, Reference, beside, fitted, main, table_of

FORMULA = "y ~ own + mm(friend, person, habit, weights = exp(b * best), normalize = group)"


def observed(folder: Path) -> Any:
    """The long table from a table of persons and one of ties."""
    nodes, edges = table_of(folder, "friendship_nodes.csv"), table_of(folder, "friendship_edges.csv")
    long = edges.rename(columns={"from": "person", "to": "friend"}).merge(nodes, left_on="person", right_on="id")
    return long.merge(nodes[["id", "own"]].rename(columns={"id": "friend", "own": "habit"}), on="friend")


def replicate(folder: Path) -> list[dict[str, Any]]:
    """Persons and their friends."""
    try:
        data, truth, model = observed(folder), {}, "observed network"
    except AbsentError:
        made = mm.simulate.friends(800, random_seed=5)
        data, truth, model = made.data, made.truth, "simulated network"
    rows = []
    for name, weights in (("equal weights", "1 / n"), ("best friend", "exp(b * best)")):
        fit, seconds = fitted(FORMULA.replace("exp(b * best)", weights), data, engine="ml")
        known = truth if name == "best friend" else {}
        rows += beside(f"{model}, {name}", fit, seconds, Reference(known, {}))
    return rows


if __name__ == "__main__":
    main("friends", replicate)
