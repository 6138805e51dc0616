"""Pages as notebooks to download: cells of code as they are, the text between them as Markdown."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

#: Pages that are worth running and changing.
PAGES = ("first-fit", "cookbook", "tutorial-boston", "tutorial-coalitions", "tutorial-friends", "tutorial-lineups")

CELL = re.compile(r"^```\{code-cell\} python\n((?::.*\n)*|---\n.*?^---\n)\n?(.*?)^```$", re.MULTILINE | re.DOTALL)


def notebook(text: str) -> dict[str, Any]:
    """A page of MyST as a notebook of version 4.5."""
    body = re.sub(r"\A---\n.*?^---\n", "", text, count=1, flags=re.MULTILINE | re.DOTALL)
    pieces = CELL.split(body)
    cells: list[dict[str, Any]] = []
    for prose, code in zip(pieces[::3], [*pieces[2::3], None], strict=True):
        words = re.sub(r"\[\]\(([\w-]+)\.md(?:#[\w-]+)?\)", r"*\1*", prose)
        words = re.sub(r"^\(\w+\)=\n|^\{download\}.*\n", "", words, flags=re.MULTILINE).strip()
        if words:
            cells.append({"cell_type": "markdown", "metadata": {}, "source": words.splitlines(keepends=True)})
        if code is not None:
            lines = code.rstrip("\n").splitlines(keepends=True)
            cells.append({"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": lines})
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def write(docs: Path, folder: Path) -> None:
    """Write the notebooks of all :data:`PAGES`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in PAGES:
        made = json.dumps(notebook((docs / f"{name}.md").read_text(encoding="utf-8")), indent=1)
        (folder / f"{name}.ipynb").write_text(made + "\n", encoding="utf-8")
