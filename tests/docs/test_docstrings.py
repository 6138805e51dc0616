"""Everything public has a docstring in numpydoc style: its parameters by name, what it returns, what it raises."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import pytest

import micromacro as mm
from micromacro.engines.health import Health
from micromacro.posterior.evidence import Evidence
from micromacro.results.criticism.elpd import Elpd
from micromacro.results.fit import Fit
from micromacro.results.plots import Plots
from micromacro.results.store import SavedFile, SavedResults
from micromacro.results.verbs.aggregations import Aggregations
from micromacro.results.verbs.bootstrap import Bootstrap
from micromacro.results.verbs.check import Check
from micromacro.results.verbs.hypotheses import WaldTest
from micromacro.results.verbs.inference import LikelihoodRatio
from micromacro.results.verbs.members import Members

CLASSES = [
    mm.Model, Fit, Plots, Elpd, Evidence, Aggregations, Bootstrap, Check, WaldTest, LikelihoodRatio, Members, Health,
    SavedFile, SavedResults, mm.PartitionedFit,
]  # fmt: skip
MODULES = [mm, mm.prior, mm.memberships, mm.datasets, mm.simulate]


def public(owner: Any) -> list[str]:
    return [name for name in getattr(owner, "__all__", dir(owner)) if not name.startswith("_")]


def functions() -> Iterator[Any]:
    for module in MODULES:
        for name in public(module):
            if inspect.isfunction(getattr(module, name)):
                yield pytest.param(getattr(module, name), id=f"{module.__name__}.{name}")
    for cls in CLASSES:
        for name, value in inspect.getmembers(cls, inspect.isfunction):
            if not name.startswith("_"):
                yield pytest.param(value, id=f"{cls.__name__}.{name}")


def values() -> Iterator[Any]:
    for cls in CLASSES:
        for name, value in inspect.getmembers(cls, lambda v: isinstance(v, (property, cached_property))):
            if not name.startswith("_"):
                yield pytest.param(value, id=f"{cls.__name__}.{name}")


def sections(text: str) -> dict[str, str]:
    """The sections of a docstring by their titles."""
    parts = re.split(r"^([A-Z][a-z]+)\n-+$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def named(section: str) -> set[str]:
    """The names that a section of parameters explains, several of them perhaps on one line."""
    heads = re.findall(r"^([\w*][\w*, ]*?)(?: :.*)?$", section, re.MULTILINE)
    return {name.strip("* ") for head in heads for name in head.split(",")}


def raises(function: Any) -> bool:
    """Whether it raises an error itself, not only where it calls something else."""
    return bool(re.search(r"^\s*raise \w", inspect.getsource(inspect.unwrap(function)), re.MULTILINE))


@pytest.mark.parametrize("function", list(functions()))
def test_a_public_function_says_what_it_takes_gives_and_raises(function):
    text = inspect.getdoc(function) or ""
    found = sections(text)
    signature = inspect.signature(function)
    takes = {name for name in signature.parameters if name not in ("self", "fit")}
    assert text
    assert takes <= named(found.get("Parameters", "")), takes - named(found.get("Parameters", ""))
    assert "Returns" in found or signature.return_annotation in (None, "None")
    assert "Raises" in found or not raises(function)


@pytest.mark.parametrize("value", list(values()))
def test_a_public_value_is_explained(value):
    assert inspect.getdoc(value)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_a_public_class_is_explained(cls):
    assert cls.__doc__


def test_the_readings_see_what_is_missing():
    text = "Head.\n\nParameters\n----------\na, b : int\n    What.\n*args\n\nReturns\n-------\nint\n"
    assert named(sections(text)["Parameters"]) == {"a", "b", "args"}
    assert "Raises" not in sections(text)
    assert raises(test_the_readings_see_what_is_missing) is False
