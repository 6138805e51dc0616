"""Texts for the pictures of executed cells, for whoever cannot see them (Sphinx extension).

A cell may give one itself (``mystnb: image: alt:``); else it is what the plots that the cell calls say of themselves.
A picture of neither kind is a warning, which is an error of the build.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.util import logging


def text_for(code: str) -> str:
    """What the plots in a cell show, by the first sentences of their docstrings."""
    from micromacro.results.plots import Plots

    said = []
    for name in re.findall(r"\bplot\.(\w+)\(", code):
        found = getattr(Plots, name, None)
        if found is not None and found.__doc__:
            said.append(" ".join(found.__doc__.strip().partition("\n\n")[0].split()))
    if re.search(r"^\w+\.plot\(\);?$", code, re.MULTILINE):
        said.append("The comparison in the table above as a picture.")
    return " ".join(dict.fromkeys(said))


def describe(_: Any, doctree: nodes.document) -> None:
    """Give every picture of a cell its text."""
    for cell in doctree.findall(lambda n: isinstance(n, nodes.container) and "cell" in n.get("classes", [])):
        code = "\n".join(block.astext() for block in cell.findall(nodes.literal_block))
        for image in cell.findall(nodes.image):
            given = image.get("alt", "")
            if given and not re.search(r"\.(?:png|svg)$", given):
                continue
            image["alt"] = text_for(code)
            if not image["alt"]:
                logging.getLogger(__name__).warning(
                    "a picture has no text: write mystnb: image: alt: in its cell", location=cell
                )


def setup(app: Any) -> dict[str, Any]:
    """Describe pictures when a page was read."""
    app.connect("doctree-read", describe)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
