"""The reference: an example for every public name; the checker of the built site finds what it should."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path

import pytest

import micromacro as mm
from micromacro.results.plots import Plots

DOCS = Path(__file__).parents[2] / "docs"
sys.path.insert(0, str(DOCS))
examples = importlib.import_module("_reference.examples")
pages = importlib.import_module("_reference.pages")
check = importlib.import_module("_check")
notebooks = importlib.import_module("_reference.notebooks")
sys.path.remove(str(DOCS))

MODULES = {"datasets", "errors", "families", "memberships", "prior", "simulate"}
OWNERS = {
    "micromacro.Model": mm.Model, "micromacro.Fit": mm.Fit, "micromacro.results.plots.Plots": Plots,
    "micromacro.memberships": mm.memberships, "micromacro.families": mm.families, "micromacro.prior": mm.prior,
    "micromacro.simulate": mm.simulate, "micromacro.datasets": mm.datasets,
}  # fmt: skip


def public(owner):
    return {name for name in dir(owner) if not name.startswith("_")}


@pytest.mark.parametrize(("owner", "rows"), list(examples.PARTS.values()), ids=[o for o, _ in examples.PARTS.values()])
def test_every_public_name_has_an_example(owner, rows):
    if owner == "micromacro":
        assert set(rows) == set(mm.__all__) - MODULES - {"__version__"}
    else:
        assert set(rows) == public(OWNERS[owner]), "write an example in docs/_reference/examples.py"


@pytest.mark.parametrize("owner", [o for o, _ in examples.PARTS.values()])
def test_every_name_has_a_sentence_and_a_page_of_its_own(owner):
    rows = dict(examples.PARTS.values())[owner]
    for name in rows:
        assert pages.summary(owner, name), name
        assert pages.directive(owner, name).startswith(".. auto")
    stems = [pages.page_name(o, name).lower() for o, some in examples.PARTS.values() for name in some]
    assert len(stems) == len(set(stems)), "two pages would be one file where case does not count"


def test_an_example_shows_its_value_its_print_and_its_error(tmp_path):
    space = {"mm": mm}
    assert pages.executed("a = 1\na + 1", dict(space), tmp_path / "no.svg") == ("2", False)
    assert pages.executed("print('so')", dict(space), tmp_path / "no.svg") == ("so", False)
    assert pages.executed("mm.load('nothing.nc')", dict(space), tmp_path / "no.svg")[0].startswith("FileError: ")
    with pytest.raises(ZeroDivisionError):
        pages.executed("1 / 0", dict(space), tmp_path / "no.svg")


@pytest.mark.slow
def test_all_examples_run(tmp_path):
    assert pages.write(tmp_path / "reference") == sum(len(rows) for _, rows in examples.PARTS.values())
    assert pages.write(tmp_path / "reference") == 0  # nothing changed
    for path in (tmp_path / "reference").glob("[!_]*.md"):
        text = path.read_text()
        assert "```text" in text or "```{image}" in text, path.name


WRONG = {
    '<a href="b.html">': "b.html leads nowhere",
    '<a href="#there">': "#there has no such place",
    '<script src="https://cdn.example/x.js"></script>': "loads https://cdn.example/x.js from a network",
    '<img src="a.html">': "has no alt text",
    "<h3>x</h3>": "a heading of level 3 follows one of level 1",
}


@pytest.mark.parametrize("html", list(WRONG))
def test_the_checker_finds_what_is_wrong(tmp_path, html, capsys):
    page = (
        '<html lang="en"><head><title>t</title></head><body><h1 id="here">h</h1><a href="#here">x</a>{}</body></html>'
    )
    (tmp_path / "a.html").write_text(page.format(""))
    assert check.main(tmp_path) == 0
    (tmp_path / "a.html").write_text(page.format(html))
    assert check.main(tmp_path) == 1
    assert WRONG[html] in capsys.readouterr().out


@pytest.mark.parametrize("name", notebooks.PAGES)
def test_a_page_is_a_notebook_with_its_cells_in_order(name):
    text = (DOCS / f"{name}.md").read_text()
    made = notebooks.notebook(text)
    code = ["".join(cell["source"]) for cell in made["cells"] if cell["cell_type"] == "code"]
    assert len(code) == text.count("```{code-cell} python")
    for cell in code:
        ast.parse(cell)
        assert not cell.startswith((":", "---"))
    prose = "".join("".join(c["source"]) for c in made["cells"] if c["cell_type"] == "markdown")
    assert "{download}" not in prose and "[](" not in prose
    assert f"{{download}}`This page as a notebook <reference/notebooks/{name}.ipynb>`" in text
