"""CONTRIBUTING's walk from mm.fit to the objective is true: each function is where it says, and calls the next."""

from __future__ import annotations

import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest

import micromacro as mm

SOURCES = Path(mm.__file__).parent
PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"


def walk() -> list[tuple[str, str]]:
    if not PAGE.exists():
        pytest.skip("CONTRIBUTING.md is not beside the tests")
    text = PAGE.read_text(encoding="utf-8").split("## From `mm.fit` to the objective", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^\d\. `(\w+)` in `([\w/.]+)`", text, flags=re.MULTILINE)


def names_in(function: str, file: str) -> set[str]:
    """Names and attributes that a function uses."""
    tree = ast.parse((SOURCES / file).read_text(encoding="utf-8"))
    found = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == function]
    assert len(found) == 1, f"{file} has {len(found)} functions called {function}"
    inside = list(ast.walk(found[0]))
    return {n.id for n in inside if isinstance(n, ast.Name)} | {n.attr for n in inside if isinstance(n, ast.Attribute)}


def test_the_walk_is_short():
    steps = walk()
    assert 0 < len(steps) <= 8 and len({file for _, file in steps}) <= 6
    assert steps[0] == ("fit", "api.py")


def test_each_step_calls_the_next():
    steps = walk()
    by_table = {("run_engine", "fit_ml")}  # a row of a table stands between them
    for (function, file), (following, _) in pairwise(steps):
        used = names_in(function, file)
        if (function, following) in by_table:
            assert "run" in used and following in (SOURCES / file).read_text(encoding="utf-8")
        else:
            assert following in used, f"{function} in {file} does not call {following}"


def test_the_objective_is_read_in_verbs():
    (*_, (_, file)) = walk()
    assert {"set_theta", "update_factor", "read_value"} <= names_in("value", file)
    assert {"value", "read_slope"} <= names_in("gradient", file)
