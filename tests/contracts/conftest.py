"""The contracts import each other's tables as a package; asserts in them are shown as in tests."""

from __future__ import annotations

import os

import pytest

os.environ["MPLBACKEND"] = "Agg"  # pictures need no display

pytest.register_assert_rewrite("contracts.claims", "contracts.verbs")


def pytest_collection_modifyitems(items):
    """Contracts of one kind come one after another, wherever they are run: then the fits of other kinds can go."""
    places = [k for k, item in enumerate(items) if _kind(item)]
    first = {}
    for k in places:
        first.setdefault(_kind(items[k]), k)
    ordered = sorted((items[k] for k in places), key=lambda item: first[_kind(item)])
    for k, item in zip(places, ordered, strict=True):
        items[k] = item


def _kind(item):
    """What a contract is about, as ``marked`` says it; the empty text for other tests."""
    mark = item.get_closest_marker("xdist_group")
    return mark.args[0] if mark is not None and mark.args[0].startswith("kind ") else ""
