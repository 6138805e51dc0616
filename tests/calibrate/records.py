"""Runs that were made, one JSON object per line, so that an interrupted calibration goes on where it stopped.

Lines are kept in ``build/calibrate/<name>.jsonl`` under a digest of the code that they come from. Comments and
docstrings do not change the digest, nor does code that no fit runs (tables, pictures, files).
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import micromacro as mm

FOLDER = Path(__file__).resolve().parents[2] / "build" / "calibrate"
NOT_FITTED = ("results", "datasets", "memberships", "cli.py", "demo.py", "api.py", "progress.py")


@cache
def digest() -> str:
    """A short name of the code that makes a fit."""
    root = Path(mm.__file__).parent
    made = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        inside = path.relative_to(root)
        if inside.parts[0] not in NOT_FITTED:
            made.update(f"{inside.as_posix()}\n{_code(path)}".encode())
    return made.hexdigest()[:12]


def _code(path: Path) -> str:
    """The syntax tree of a file without docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        first = body[0] if isinstance(body, list) and body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            first.value.value = ""
    return ast.dump(tree)


class Records:
    """The lines of one file that were made with this code.

    Parameters
    ----------
    name : str
        Of the file.
    keys : tuple of str
        Entries that tell the lines apart.
    """

    def __init__(self, name: str, keys: tuple[str, ...], folder: Path = FOLDER):
        self.path, self.keys = folder / f"{name}.jsonl", keys
        self.known: dict[tuple[Any, ...], dict[str, Any]] = {}
        for row in lines(self.path):
            if row["source"] == digest():
                self.known[tuple(row[k] for k in keys)] = row

    def get(self, key: tuple[Any, ...], make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The line of a key, made now and written down at once if it is not there."""
        if key not in self.known:
            row = {**dict(zip(self.keys, key, strict=True)), "source": digest(), "version": mm.__version__, **make()}
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            self.known[key] = row
        return self.known[key]


def lines(path: Path) -> Iterable[dict[str, Any]]:
    """All lines of a file; one that was cut off when a run was killed is passed over."""
    if not path.exists():
        return []
    out = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            out.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return out
