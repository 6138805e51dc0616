"""Tables of fits side by side: the numbers of the fits, in every format, with nothing that breaks it."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

import micromacro as mm

pytest.importorskip("jinja2")
pytest.importorskip("tabulate")


@pytest.fixture(scope="module")
def equal(ml, quick, data):
    return quick(ml.formula.replace("1 / n ** exp(-(b1 * s))", "1 / n"), data)


def value(text):
    return float(text.replace("−", "-").replace(",", "").strip("()*"))


def test_the_cells_are_the_numbers_of_the_fits(ml, equal):
    table = mm.table({"equal": equal, "estimated": ml}, digits=4)
    assert list(table.columns) == ["equal", "estimated"]
    sections = list(dict.fromkeys(table.index.get_level_values(0)))
    assert sections == ["Coefficients", "Weights", "Spread", "Fit"]
    for fit, column in ((equal, "equal"), (ml, "estimated")):
        top, below = table[column].iloc[0:-1:2], table[column].iloc[1::2]
        for k, name in enumerate(ml.params.index):
            assert table.index[2 * k][1] == name
            if name in fit.params:
                assert value(top.iloc[k]) == pytest.approx(fit.params[name], abs=5.1e-5)
                assert value(below.iloc[k]) == pytest.approx(fit.bse[name], abs=5.1e-5)
            else:
                assert top.iloc[k] == below.iloc[k] == ""
        assert value(table.loc["Fit"].loc["Log-likelihood", column]) == pytest.approx(fit.loglik, abs=0.051)
        assert value(table.loc["Fit"].loc["AIC", column]) == pytest.approx(fit.aic, abs=0.051)
        assert table.loc["Fit"].loc["BIC", column] == f"{fit.bic:,.1f}".replace("-", "−")
        assert table.loc["Fit"].loc["Groups", column] == "80"
        assert table.loc["Fit"].loc["Members", column] == "24"
        assert table.loc["Fit"].loc["Memberships", column] == f"{len(ml.weights())}"
    assert "*" not in "".join(table.to_numpy().ravel())


def test_a_table_counts_no_units_where_no_fit_has_them(equal, quick, data):
    without = quick("y ~ x", data)
    assert "Units" not in mm.table(without).index.get_level_values(1)
    assert "Members" not in mm.table(without).index.get_level_values(1)
    assert mm.table([without, equal]).loc["Fit"].loc["Members"].tolist() == ["", "24"]


def test_intervals_and_their_level(ml, mcmc):
    for fit in (ml, mcmc):
        table = mm.table([fit], below="interval", ci=0.8)
        low, high = table["(1)"].iloc[1].strip("[]").split(", ")
        wanted = fit.summary(0.8).iloc[0]
        assert [value(low), value(high)] == pytest.approx([wanted["lower"], wanted["upper"]], abs=5.1e-4)
        assert "80% intervals in brackets" in mm.table(fit, below="interval", ci=0.8, format="markdown")


def test_stars_are_asked_for(ml):
    table = mm.table(ml, stars=True)["(1)"]
    p = ml.summary()["p"]
    for k, name in enumerate(ml.params.index):
        marks = table.iloc[2 * k].count("*")
        expected = 0 if np.isnan(p[name]) else sum(p[name] < level for level in (0.05, 0.01, 0.001))
        assert marks == expected
    assert any("*" in t for t in table)
    assert "p < 0.001" in mm.table(ml, stars=True, format="html").replace("&lt;", "<")


def test_draws_and_maxima_side_by_side(ml, mcmc, reml):
    table = mm.table({"ml": ml, "reml": reml, "mcmc": mcmc})
    assert value(table["mcmc"].iloc[0]) == pytest.approx(mcmc.params.iloc[0], abs=5.1e-4)
    assert table.loc["Fit"].loc["AIC"].tolist()[1:] == ["", ""]
    assert table.loc["Fit"].loc["Largest R-hat", "mcmc"] == f"{mcmc.summary()['r_hat'].max():.3f}"
    assert table.loc["Fit"].loc["Engine"].tolist() == ["ml", "reml", "mcmc"]


def test_two_blocks_have_a_row_each(two_blocks):
    table = mm.table(two_blocks["ml"])
    assert table.loc["Fit"].loc["Members (head)", "(1)"] == "10"
    assert table.loc["Fit"].loc["Members (aide)", "(1)"] == "9"


def test_the_parts_of_a_table_can_be_chosen(ml):
    table = mm.table(ml, below="none", labels={"member.w.b1": "Slant"}, statistics=["AIC", "Groups"])
    assert table.index[3] == ("Weights", "Slant")
    assert table.loc["Fit"].index.tolist() == ["AIC", "Groups"]
    assert len(table) == len(ml.params) + 2


NUMBERS = [
    (0.0, "0.000"), (-1.2345, "−1.234"), (1e-7, "1.0e−07"), (np.nan, ""), (123456.7, "123,457"), (-0.00049, "−4.9e−04"),
    (12.0, "12.000"),
]  # fmt: skip


@pytest.mark.parametrize(("number", "text"), NUMBERS)
def test_numbers(number, text):
    from micromacro.results.tables.sidebyside import number as write

    assert write(number, 3) == text


# -- formats -----------------------------------------------------------------------------------------------------

NASTY = r"a_b & 50% <i>$x^2$</i> {z} \n #1 ~ |*`"


class Cells(HTMLParser):
    """Text of the cells, row by row."""

    def __init__(self):
        super().__init__()
        self.rows, self.open, self.tags = [], False, set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.open = True

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.open = False

    def handle_data(self, data):
        if self.open:
            self.rows[-1][-1] += data


def test_html_shows_what_the_cells_say(ml, equal):
    text = mm.table({NASTY: ml, "equal": equal}, format="html", labels={"x": NASTY}, caption=NASTY)
    read = Cells()
    read.feed(text)
    assert "<i>" not in text and "i" not in read.tags
    table = mm.table({NASTY: ml, "equal": equal}, labels={"x": NASTY})
    assert read.rows[0][-2:] == [NASTY, "equal"]
    assert [r[-2:] for r in read.rows[1:]] == table.to_numpy().tolist()
    assert NASTY in [c for r in read.rows for c in r]
    assert "standard errors in parentheses" in text


def test_markdown_is_one_table(ml, equal):
    text = mm.table({NASTY: ml, "equal": equal}, format="markdown", labels={"x": NASTY})
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    assert {len(c) for c in cells} == {3}
    shown = [[re.sub(r"\\(.)", r"\1", c.strip()) for c in row] for row in cells]
    assert shown[0] == ["", NASTY, "equal"]
    assert NASTY in [r[0] for r in shown]
    table = mm.table({NASTY: ml, "equal": equal}).to_numpy().tolist()
    assert [r[1:] for r in shown[2:] if not r[0].startswith("**")] == table


def test_the_function_is_not_hidden_by_the_subpackage_of_its_name():
    import micromacro.table.columns  # noqa: F401

    assert mm.table.__module__ == "micromacro.api"


def test_latex_escapes_everything(ml, equal):
    text = mm.table(
        {NASTY: ml, "equal": equal}, format="latex", labels={"x": NASTY}, caption="50% of x_1", label="tab:a"
    )
    escaped = (
        r"a\_b \& 50\% $<$i$>$\$x\textasciicircum{}2\$$<$/i$>$ \{z\} \textbackslash{}n \#1 \textasciitilde{} $|$*`"
    )
    assert text.count(escaped) == 2
    assert r"\caption{50\% of x\_1}" in text and r"\label{tab:a}" in text
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 1
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    table = mm.table({"a": ml, "b": equal})
    rows = [r for r in body.split(r"\\") if re.search(r"(?<!\\)&", r)]
    assert len(rows) == len(table)
    assert {len(re.findall(r"(?<!\\)&", r)) for r in rows} == {3}
    assert "−" not in text and "$-$" in text
    interval = mm.table(ml, format="latex", below="interval")
    assert not re.search(r"(&|\\\\)\s*\[", interval)  # \\ [ would be a length


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_compiles(ml, equal, tmp_path):
    text = mm.table({NASTY: ml, "b": equal}, format="latex", below="interval", caption=NASTY, labels={"x": NASTY})
    (tmp_path / "t.tex").write_text(
        "\\documentclass{article}\\usepackage{booktabs,multirow}\\begin{document}\n" + text + "\\end{document}"
    )
    subprocess.run(["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"], cwd=tmp_path, check=True)


BAD = {
    "a format": ({"format": "word"}, mm.EngineError, "format="),
    "what stands below": ({"below": "t"}, mm.EngineError, "below="),
    "a statistic": ({"statistics": ["R2"]}, mm.EngineError, "R2"),
    "a level": ({"ci": 95}, mm.EngineError, "ci="),
    "a label": ({"labels": {"q": "Q"}}, mm.ModelError, "'q'"),
    "a caption": ({"caption": "C"}, mm.EngineError, "caption="),
}


@pytest.mark.parametrize(("options", "error", "match"), BAD.values(), ids=list(BAD))
def test_what_makes_no_table(ml, options, error, match):
    with pytest.raises(error, match=match):
        mm.table(ml, **options)
    with pytest.raises(mm.ModelError, match="no fit"):
        mm.table([])
    with pytest.raises(mm.ModelError, match="DataFrame"):
        mm.table([pd.DataFrame({"a": [1]})])
