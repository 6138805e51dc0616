"""The report as a file for whoever cannot see it, or sees little: language, headings, tables, pictures, contrast."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from micromacro.results.report.page import STYLE

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Outline(HTMLParser):
    """Elements with what was open around them."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.text = [], [], {}

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs), tuple(self.open)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data):
        if self.open:
            self.text[self.open[-1]] = self.text.get(self.open[-1], "") + data

    def all(self, tag):
        return [(attrs, around) for t, attrs, around in self.seen if t == tag]


@pytest.fixture(scope="module", params=["gaussian", "poisson"])
def outline(request, quick, tmp_path_factory):
    rng = np.random.default_rng(4)
    rows = [(g, m) for g in range(40) for m in rng.choice(8, 2, replace=False)]
    data = pd.DataFrame(rows, columns=["group", "member"]).assign(s=rng.standard_normal(80), z=rng.standard_normal(80))
    data["unit"], data["x"] = data["group"] % 5, rng.standard_normal(40)[data["group"]]
    data["y"] = rng.poisson(2.0, 40)[data["group"]]
    formula = "y ~ x + mm(member, group, z, weights = softmax(s), normalize = group) + (1 + x | unit)"
    path = quick(formula, data, family=request.param).report(tmp_path_factory.mktemp("page") / "fit.html")
    out = Outline()
    out.feed(path.read_text(encoding="utf-8"))
    assert not out.open, "every element is closed"
    return out


def test_the_page_says_its_language_title_and_where_its_contents_are(outline):
    assert outline.all("html")[0][0]["lang"] == "en"
    assert outline.text["title"].strip()
    assert len(outline.all("main")) == 1
    (viewport,) = [a for a, _ in outline.all("meta") if a.get("name") == "viewport"]
    assert "user-scalable=no" not in viewport["content"] and "maximum-scale" not in viewport["content"]


def test_headings_begin_at_one_and_leave_no_level_out(outline):
    levels = [int(tag[1]) for tag, _, _ in outline.seen if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))


def test_every_cell_of_a_heading_says_whether_it_heads_a_row_or_a_column(outline):
    assert outline.all("table")
    for attrs, around in outline.all("th"):
        assert attrs.get("scope") == ("col" if "thead" in around else "row")
    regions = [a for a, _ in outline.all("div") if a.get("role") == "region"]
    assert len(regions) == len(outline.all("table"))
    assert all(a["tabindex"] == "0" and a["aria-label"] for a in regions), "what scrolls is reached by the keyboard"
    assert len({a["aria-label"] for a in regions}) == len(regions), "regions have names of their own"


def test_pictures_have_a_text_and_the_numbers_behind_them(outline):
    pictures = outline.all("img")
    assert pictures and all(len(a["alt"]) > 20 for a, _ in pictures)
    assert len(outline.all("summary")) == len(pictures)


def test_nothing_is_said_by_script_and_lists_hold_items(outline):
    assert not outline.all("script") and not any(k.startswith("on") for _, a, _ in outline.seen for k in a)
    assert all(around[-1] in ("ul", "ol") for _, around in outline.all("li"))
    assert all(around[-1] == "dl" for tag in ("dt", "dd") for _, around in outline.all(tag))
    ids = [a["id"] for _, a, _ in outline.seen if "id" in a]
    assert len(ids) == len(set(ids))


def luminance(colour):
    parts = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255.0
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("ink", ["ink", "soft", "mark"])
@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_stands_out_from_its_paper(theme, ink):
    """A contrast of 4.5 to 1, as WCAG 2 asks for (level AA)."""
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", re.findall(r":root \{(.*?)\}", STYLE)[theme]))
    light, dark = sorted((luminance(colours["paper"]), luminance(colours[ink])), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5
