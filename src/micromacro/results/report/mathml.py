"""Plain-text equations as MathML, which browsers show without a network."""

from __future__ import annotations

import re
from html import escape

TOKEN = re.compile(
    r"(?P<under>[a-z]_[A-Za-z][\w.]*)(?P<of>\[(?:[^\[\]]|\[[^\]]*\])*\])?|(?P<number>\d+\.?\d*(?:[eE][-+]?\d+)?)"
    r"|(?P<name>[A-Za-zα-ω_`][\w.:`\u0080-\uffff]*)|(?P<index>\[(?:[^\[\]]|\[[^\]]*\])*\])"
    r"|(?P<space>\s+)|(?P<sign>\*\*|<=|>=|==|!=|.)"
)
SIGNS = {"*": "·", "-": "−", "<=": "≤", ">=": "≥", "!=": "≠", "~": "∼", "**": "^"}
GREEK = {"eta": "η", "sigma": "σ", "kappa": "κ", "phi": "φ", "nu": "ν", "rho": "ρ", "zeta": "ζ", "mu": "μ"}


def to_mathml(line: str) -> str:
    """One equation as a block of MathML; names keep their words, brackets become indices."""
    return f'<math display="block"><mrow>{"".join(_parts(line))}</mrow></math>'


def _parts(line: str) -> list[str]:
    out: list[str] = []
    for match in TOKEN.finditer(line):
        text, kind = match.group(), match.lastgroup
        if match["under"] is not None:
            letter, _, of = match["under"].partition("_")
            index = _parts(match["of"][1:-1]) if match["of"] else []
            below = "".join([_name(of), *(["<mo>,</mo>", *index] if index else [])])
            out.append(f"<msub><mi>{letter}</mi><mrow>{below}</mrow></msub>")
        elif kind == "number":
            out.append(f"<mn>{text}</mn>")
        elif kind == "name":
            out.append(_name(text))
        elif kind == "index" and out and out[-1].startswith(("<mi", "<mtext")):
            out[-1] = f"<msub>{out[-1]}<mrow>{''.join(_parts(text[1:-1]))}</mrow></msub>"
        elif kind == "index":
            out.append(f"<mo>[</mo>{''.join(_parts(text[1:-1]))}<mo>]</mo>")
        elif kind == "sign":
            out.append(f"<mo>{escape(SIGNS.get(text, text))}</mo>")
        else:
            out.append("<mspace width='0.25em'/>")
    return out


def _name(text: str) -> str:
    if text in GREEK or len(text) == 1:
        return f"<mi>{escape(GREEK.get(text, text))}</mi>"
    return f"<mi mathvariant='normal'>{escape(text)}</mi>"
