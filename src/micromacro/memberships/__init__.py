"""Tables of memberships from other shapes: ``mm.memberships.from_wide(...)`` and the like.

Each function returns a long table, one row per membership, in the library of the input (a dict for a dict). Pass it as
``memberships=`` to :func:`micromacro.fit` beside the table of groups, or as ``data=`` if `keep` repeats the columns of
the groups. Its columns are

- the group column's own name (``row``, the number of the row from 0, where there is none: a formula with
  ``mm(member, row)`` then needs no such column in ``data=``);
- the member column, as `member` says;
- ``weight``: the weight, or 1 / (number of members) where none is given;
- further columns, described with each function.

Empty slots give no row. With `keep`, a group without any member has one row with a missing member id, so that no group
is lost.

:func:`changes` and :func:`turnover` take a long table of groups that follow each other, and say what changed.
"""

from __future__ import annotations

from .._public import public_all
from .changes import changes, turnover
from .matrices import from_graph, from_libpysal, from_sparse
from .slots import from_dyads, from_lists, from_wide, with_pairs
from .spells import from_candidates, from_spells

__all__ = [
    "changes", "from_candidates", "from_dyads", "from_graph", "from_libpysal", "from_lists", "from_sparse",
    "from_spells", "from_wide", "turnover", "with_pairs",
]  # fmt: skip


def __dir__() -> list[str]:
    return list(__all__)


public_all(globals(), __all__)
