"""What goes out: one version everywhere, a README that an index page can show, a citation."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
README = (ROOT / "README.md").read_text()


def test_the_version_is_the_same_everywhere():
    version = PROJECT["version"]
    assert re.search(rf"^## {re.escape(version)}\b", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text()


def test_the_readme_needs_nothing_that_an_index_page_lacks():
    prose = re.sub(r"^```.*?^```", "", README, flags=re.MULTILINE | re.DOTALL)
    assert "$$" not in prose and "\\" not in prose, "TeX is shown as it is written"
    links = re.findall(r"\]\(([^)]*)\)", prose) + re.findall(r"(?:src|href)=\"([^\"]*)\"", prose)
    pictures = re.findall(r"!\[[^\]]{20,}\]\(([^)]*)\)", prose)  # relative until the project has an address
    assert all((ROOT / picture).is_file() for picture in pictures)
    assert [k for k in links if not k.startswith(("https://", "#")) and k not in pictures] == []
    assert "../" not in README and "/work" not in README and "/tmp" not in README


def test_nobody_is_named_who_did_not_ask_for_it():
    assert PROJECT["authors"] == [{"name": "the micromacro maintainers"}]
    assert PROJECT.get("urls", {}) == {}  # to be set when the project has an address
