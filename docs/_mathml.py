"""Equations as MathML, which browsers draw without a script or a network (Sphinx extension)."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert


def _mathml(tex: str, display: str) -> str:
    out = convert(tex, display=display)
    left = re.search(r">[^<]*\\[^<]*<", out)
    if left:
        raise ValueError(f"an equation has a command that MathML lacks: {left[0][1:-1]} in {tex}")
    return out


def visit_inline(self: Any, node: nodes.math) -> None:
    """An equation in a line."""
    self.body.append(_mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def visit_block(self: Any, node: nodes.math_block) -> None:
    """An equation on its own; lines of an alignment are rows."""
    tex = node.astext().strip()
    tex = rf"\begin{{aligned}}{tex}\end{{aligned}}" if "\\\\" in tex and "\\begin" not in tex else tex
    self.body.append(f'<div class="math-block" tabindex="0" role="group">{_mathml(tex, "block")}</div>\n')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, Any]:
    """Register the renderer ``mathml``."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
