"""Packages of an extra come through one door."""

from __future__ import annotations

import os.path
import sys

import pytest

from micromacro import MicromacroError
from micromacro._optional import MissingExtraError, require


def test_what_is_there_is_imported():
    assert require("os.path", "plots") is os.path


@pytest.mark.parametrize("name", ["no_such_package", "no_such_package.part"])
def test_what_is_missing_says_how_to_install_it(name):
    with pytest.raises(MissingExtraError, match=r'pip install "micromacro\[spatial\]"') as caught:
        require(name, "spatial")
    assert isinstance(caught.value, MicromacroError)
    assert isinstance(caught.value, ImportError)
    assert caught.value.name == name


def test_a_package_that_is_broken_is_not_called_missing(tmp_path, monkeypatch):
    (tmp_path / "half_there.py").write_text("import no_such_package\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_package") as caught:
        require("half_there", "plots")
    assert not isinstance(caught.value, MissingExtraError)
    assert "half_there" not in sys.modules
