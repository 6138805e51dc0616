"""The data of the benchmarks: simulated coalitions always, those of a file where MICROMACRO_COALITIONS names one.

The file has the columns of the table `coalgov` of the R package bml.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import pandas as pd

import micromacro as mm

COALITIONS = os.environ.get("MICROMACRO_COALITIONS")


@dataclass(frozen=True)
class Case:
    """A data set with its formulas."""

    name: str
    data: pd.DataFrame
    outcome: str
    fixed: tuple[str, ...]

    def formula(self, weights: str) -> str:
        """The model with the given weights."""
        return (
            f"{self.outcome} ~ {' + '.join(self.fixed)} + "
            f"mm(pid, gid, cohesion, weights = {weights}, normalize = group) + (1 | cid)"
        )

    @property
    def equal(self) -> str:
        """Equal weights."""
        return self.formula("1/n")

    @property
    def power(self) -> str:
        """Weights that depend on the share of seats."""
        return self.formula("1 / n ** exp(-(b1 * pseat))")

    def arrays(self) -> dict[str, Any]:
        """The model's ingredients as plain arrays, for programs that are not ours."""
        model = mm.Model(self.equal, self.data)
        s = model.specification
        part = s.members["pid"]
        x = s.system.parts[0].matrix[:, s.system.parts[0].columns.inside] + s.system.parts[0].center
        memberships = self.data.sort_values(["gid", "pid"])
        return {
            "y": s.outcome,
            "x": x,
            "group": part.memberships.group,
            "member": part.memberships.member,
            "cohesion": part.x[0],
            "pseat": memberships["pseat"].to_numpy(),
            "country": s.units["cid"].codes,
        }


def cases() -> list[Case]:
    """Simulated coalitions of the size of the real ones; those of a file where there is one."""
    made = mm.simulate.coalitions(628, 312, 29, random_seed=1)
    data = made.data.assign(mwc=(made.data["gid"] % 3 == 0).astype(int))  # has nothing to do with the outcome
    found = [Case("simulated", data, "log_duration", ("majority", "mwc"))]
    if COALITIONS is not None:
        found.append(Case("file", pd.read_csv(COALITIONS), "log(dur_wkb)", ("majority", "mwc")))
    return found
