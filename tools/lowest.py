"""Print the lower bounds of pyproject.toml as exact versions, for ``pip install --constraint``."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path


def lowest(pyproject: Path) -> list[str]:
    """Exact versions of all packages that the package, its plots and its tests need."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["plots"], *extras["test"]]
    return [re.sub(r"^([\w.-]+)(?:\[\w+\])?>=([\d.]+).*$", r"\1==\2", requirement) for requirement in wanted]


if __name__ == "__main__":
    sys.stdout.write("\n".join(lowest(Path(sys.argv[1]))) + "\n")
