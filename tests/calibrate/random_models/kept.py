"""Rows of finished comparisons, kept on disk."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from .compare import record

ROOT = Path(__file__).resolve().parents[3]
KEPT = ROOT / "build" / "calibrate" / "random_models.jsonl"


def digest() -> str:
    """Of the package's source and of the reference's; ``RANDOM_MODELS_DIGEST`` stands in for it."""
    if given := os.environ.get("RANDOM_MODELS_DIGEST"):
        return given
    found = hashlib.sha256()
    for folder in (ROOT / "src", Path(__file__).parent):
        for path in sorted(folder.rglob("*.py")):
            found.update(path.read_bytes())
    return found.hexdigest()[:12]


def kept_rows() -> Iterator[dict]:
    """All rows of the file; the last of a seed counts."""
    if KEPT.exists():
        yield from map(json.loads, KEPT.read_text().splitlines())


def kept_row(seed: int) -> dict:
    """The row of a seed: the one on file, or made now and filed."""
    now = digest()
    for row in kept_rows():
        if row["seed"] == seed and row["digest"] == now:
            return row
    row = {"digest": now, **record(seed)}
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    with KEPT.open("a") as file:
        file.write(json.dumps(row) + "\n")
    return row
