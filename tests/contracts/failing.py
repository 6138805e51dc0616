"""Contracts that do not hold yet: (contract, kind, family or "*") and why; one that holds fails."""

from __future__ import annotations

from fnmatch import fnmatch

import pytest

from .tables import waits

FAILING: dict[tuple[str, str, str], str] = {}


def marked(contract: str, kind: str, family: str = "-", *more: object, engine: str = "ml") -> object:
    """A parameter set: kept on one worker by its kind, marked where it is known to fail, and where it waits."""
    marks = [pytest.mark.xdist_group(f"kind {kind}")]
    if waits(contract, kind, family, engine):
        marks.append(pytest.mark.slow)
    for (c, k, f), reason in FAILING.items():
        if c == contract and fnmatch(kind, k) and fnmatch(family, f):
            marks.append(pytest.mark.xfail(strict=True, reason=reason))
    label = "-".join(str(part) for part in (contract, kind, family, *more) if part not in ("-", ""))
    return pytest.param(contract, kind, family, *more, marks=marks, id=label)
