"""No file imports itself over others, types and imports inside functions included."""

from __future__ import annotations

import ast
from pathlib import Path

import micromacro
from micromacro.results.fit import Fit
from micromacro.results.fitted import Fitted

ROOT = Path(micromacro.__file__).parent


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    out = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = ("micromacro", *path.relative_to(ROOT).with_suffix("").parts)
        out[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return out


def imports(name: str, path: Path, known: dict[str, Path]) -> set[str]:
    """Modules of the package that a module names in an import, wherever it stands."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    out: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            out |= {alias.name for alias in node.names if alias.name in known}
        elif isinstance(node, ast.ImportFrom):
            home = package.rsplit(".", node.level - 1)[0] if node.level else ""
            base = ".".join(filter(None, (home, node.module)))
            wanted = {f"{base}.{alias.name}" for alias in node.names}
            out |= {w for w in wanted if w in known}
            if not wanted <= known.keys() and base in known:
                out.add(base)
    return out


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Sets of modules each of which leads back to itself: what is left when ends are taken away again and again."""
    reach = {name: set(to) for name, to in graph.items()}
    changed = True
    while changed:
        changed = False
        for name, to in reach.items():
            more = to.union(*(reach[t] for t in to)) if to else to
            if len(more) > len(to):
                reach[name], changed = more, True
    inside = [name for name, to in reach.items() if name in to]
    return [sorted(inside)] if inside else []


def test_there_is_no_circle_of_imports() -> None:
    known = modules()
    graph = {name: imports(name, path, known) - {"micromacro"} for name, path in known.items()}
    assert sum(map(len, graph.values())) > 500  # the reader of imports reads
    assert circles({"a": {"b"}, "b": {"a"}, "c": {"a"}}) == [["a", "b"]]
    assert circles(graph) == []


def test_a_fit_has_all_that_its_protocol_promises() -> None:
    promised = {name for name in vars(Fitted) if not name.startswith("_")}
    assert promised <= vars(Fit).keys()
