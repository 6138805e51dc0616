"""Executes the pages before Sphinx reads them, several at a time; Sphinx then finds their outputs in the cache."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any


def stale(docs: Path, cache: Any) -> list[tuple[Path, Any]]:
    """Pages with cells whose outputs are not in the cache, as notebooks; the longest first."""
    from myst_nb.core.read import is_myst_markdown_notebook, read_myst_markdown_notebook
    from myst_parser.config.main import MdParserConfig

    out = []
    for path in sorted(docs.glob("*.md"), key=lambda p: (-p.stat().st_size, p.name)):
        text = path.read_text(encoding="utf-8")
        if not is_myst_markdown_notebook(text):
            continue
        notebook = read_myst_markdown_notebook(text, MdParserConfig(), add_source_map=True, path=path)
        try:
            cache.match_cache_notebook(notebook)
        except KeyError:
            out.append((path, notebook))
    return out


def execute(docs: Path, folder: Path, timeout: int) -> int:
    """Execute pages that are not in the cache in `folder`, a kernel per processor; how many.

    Sphinx itself reads several pages at a time, in processes that cannot start kernels: none is left to it.

    Raises
    ------
    ExtensionError
        If a page fails; it says where.
    """
    from jupyter_cache import get_cache
    from jupyter_cache.base import CacheBundleIn
    from jupyter_cache.executors.utils import single_nb_execution
    from sphinx.errors import ExtensionError

    cache = get_cache(str(folder))
    todo, failed = stale(docs, cache), []
    run = partial(single_nb_execution, cwd=str(docs), timeout=timeout, allow_errors=False)
    with ThreadPoolExecutor(max(os.cpu_count() or 1, 1)) as pool:  # each waits for a kernel, which is a process
        for (path, notebook), result in zip(todo, pool.map(run, (notebook for _, notebook in todo)), strict=True):
            if result.err is None:
                made = CacheBundleIn(notebook, str(path), data={"execution_seconds": result.time})
                cache.cache_notebook_bundle(made, check_validity=False, overwrite=True)
            else:
                failed.append(f"{path.name}: {result.exc_string}")
    if failed:
        raise ExtensionError("\n".join(failed))
    return len(todo)
