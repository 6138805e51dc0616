"""The contracts import each other's tables as a package; asserts in them are shown as in tests."""

from __future__ import annotations

import os

import pytest

os.environ["MPLBACKEND"] = "Agg"  # pictures need no display

pytest.register_assert_rewrite("contracts.claims", "contracts.verbs")
