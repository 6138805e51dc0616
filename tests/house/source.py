"""The source tree as the house's tests read it: files, their syntax trees, and what each of them asks."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "micromacro"


@cache
def files() -> dict[str, ast.Module]:
    """Path of every file of the package (from the package on) to its tree."""
    return {p.relative_to(PACKAGE).as_posix(): ast.parse(p.read_text()) for p in sorted(PACKAGE.rglob("*.py"))}


def classes_in(*folders: str) -> frozenset[str]:
    """Names of the classes that some folders define."""
    trees = (tree for path, tree in files().items() if path.startswith(folders))
    return frozenset(n.name for tree in trees for n in ast.walk(tree) if isinstance(n, ast.ClassDef))


def names_in(node: ast.expr | None) -> set[str]:
    """Names that an expression mentions, attributes by their last word."""
    found = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} if node else set()
    return found | {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)} if node else found


def class_tests(tree: ast.Module) -> Iterator[tuple[int, set[str]]]:
    """Lines that ask of what class something is, and the classes they name.

    ``isinstance`` and ``issubclass``, ``type(x) is C``, ``type(x) in ...``, ``type(x).__name__``, ``case C():``.
    """
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("isinstance", "issubclass")
        ):
            if len(node.args) == 2:
                yield node.lineno, names_in(node.args[1])
        elif isinstance(node, ast.Compare) and any(_type_of(x) for x in (node.left, *node.comparators)):
            yield node.lineno, set().union(*(names_in(x) for x in (node.left, *node.comparators)))
        elif isinstance(node, ast.MatchClass):
            yield node.lineno, names_in(node.cls)


def _type_of(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "type"
        and len(node.args) == 1
    )


def texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every text literal that is not a docstring, with its line; words of annotations count."""
    docstrings = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and body:
            first = body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                docstrings.add(id(first.value))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value


def attributes(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Attributes that are read, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            yield node.lineno, node.attr


def imports() -> dict[str, set[str]]:
    """Modules of the package to those that they import: at the top, inside functions and for types alike."""
    modules = {_module(path): path for path in files()}
    out: dict[str, set[str]] = {}
    for module, path in modules.items():
        package = module if path.endswith("__init__.py") else module.rpartition(".")[0]
        found: set[str] = set()
        for node in ast.walk(files()[path]):
            if isinstance(node, ast.ImportFrom):
                base = _base(node, package)
                for alias in node.names:
                    whole = f"{base}.{alias.name}"
                    found |= {whole} & modules.keys() or {base} & modules.keys()
            elif isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names} & modules.keys()
        out[module] = found - {module}
    return out


def _module(path: str) -> str:
    parts = ["micromacro", *Path(path).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _base(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    parts = parts[: len(parts) - node.level + 1]
    return ".".join([*parts, node.module] if node.module else parts)


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Sets of modules that reach each other (Tarjan 1972)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    out: list[list[str]] = []

    def visit(v: str) -> None:
        order[v] = low[v] = len(order)
        stack.append(v)
        for w in graph[v]:
            if w not in order:
                visit(w)
                low[v] = min(low[v], low[w])
            elif w in stack:
                low[v] = min(low[v], order[w])
        if low[v] == order[v]:
            at = stack.index(v)
            if len(stack) - at > 1:
                out.append(sorted(stack[at:]))
            del stack[at:]

    for v in graph:
        if v not in order:
            visit(v)
    return out


def lengths(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Functions and how many lines each has, its docstring not counted; functions within belong to it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            first = node.body[0]
            doc = 0
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                doc = (first.end_lineno or 0) - first.lineno + 1
            yield node.name, node.end_lineno - node.lineno + 1 - doc
