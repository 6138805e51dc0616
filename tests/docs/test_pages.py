"""The pages of the documentation, read as text: executed, no pasted output, a section for each family."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from micromacro.families.registry import FAMILIES

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.glob("*.md"))
STATIC = {"api.md"}  # made by autodoc
CELL = re.compile(r"^```\{code-cell\} python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", [p for p in PAGES if p.name not in STATIC], ids=lambda p: p.stem)
def test_a_page_is_executed_and_pastes_nothing(page):
    text = page.read_text()
    assert text.startswith("---\nfile_format: mystnb\n")
    assert CELL.search(text)
    assert "```python" not in text, "a block that is shown and not executed: make it a code-cell"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_a_page_is_in_the_table_of_contents(page):
    listed = re.findall(r"```\{toctree\}\n(.*?)```", (DOCS / "index.md").read_text(), re.DOTALL)
    assert page.stem == "index" or page.stem in " ".join(listed).split()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_draws_on_a_page_have_a_seed(page):
    """What is printed then agrees with the words around it, whoever builds the site."""
    for cell in CELL.findall(page.read_text()):
        for call in re.findall(r"(?:mm\.fit|\.fit)\((?:[^()]|\([^()]*\))*\)", cell):
            drawn = 'engine="ml"' not in call and 'engine="reml"' not in call and '("ml"' not in call
            given = "random_seed" in call or "**" in call or "engine=engine" in call
            assert given or not drawn or "raises-exception" in cell, call


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_has_a_section_with_an_example(family):
    text = (DOCS / "families.md").read_text()
    (anchor,) = re.findall(rf"^\| \[`{family}`\]\(#([a-z-]+)\)", text, flags=re.MULTILINE)
    sections = re.split(r"^## ", text, flags=re.MULTILINE)
    (section,) = [s for s in sections if re.sub(r"[ _]+", "-", s.partition("\n")[0].lower()) == anchor]
    assert family in section
    assert CELL.search(section)
    assert "**When.**" in section
    assert "**Scale" in section
    assert "eading.**" in section
