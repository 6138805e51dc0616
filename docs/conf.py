"""Configuration of the documentation (Sphinx, MyST)."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import micromacro

# The kernels that execute the pages read a start-up file; IPython writes beside it, so it gets a copy.
_ipython = tempfile.TemporaryDirectory(prefix="micromacro-docs-")
shutil.copytree(Path(__file__).parent / "_ipython", _ipython.name, dirs_exist_ok=True)
os.environ["IPYTHONDIR"] = _ipython.name

sys.path.insert(0, str(Path(__file__).parent))
from _reference import ahead, notebooks, pages  # noqa: E402

project = "micromacro"
author = "the micromacro maintainers"
copyright = "the micromacro maintainers, Apache-2.0"
release = micromacro.__version__

extensions = [
    "_alt",
    "_mathml",
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build", "_ipython", "_reference", "generated", "reference/_*.md", "reference/notebooks"]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
# Pages with code cells are executed when the site is built; an error in one is an error of the build.
# Outputs are kept as long as neither the cells of a page nor anything in the package and its references change.
nb_execution_mode = "cache"
nb_execution_cache_path = str(Path(__file__).parent / "_build" / "executed" / pages.digest()[:16])
nb_execution_timeout = 180
nb_execution_raise_on_error = True
nb_merge_streams = True

autodoc_typehints = "none"  # numpydoc sections state them
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True  # attributes that are properties too are then described once

html_math_renderer = "mathml"
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_title = f"micromacro {release}"

# "data : table" in a docstring is a word, not a reference to one of the attributes of that name.
suppress_warnings = ["ref.python"]


def prepare(app: Any) -> None:
    """Write the pages of the reference and the notebooks, and execute the other pages, before Sphinx reads them."""
    docs = Path(app.srcdir)
    with ThreadPoolExecutor(1) as beside:
        executed = beside.submit(ahead.execute, docs, Path(nb_execution_cache_path), nb_execution_timeout)
        pages.write(docs / "reference")
        notebooks.write(docs, docs / "reference" / "notebooks")
        executed.result()


def setup(app: Any) -> None:
    """Prepare the pages."""
    app.connect("builder-inited", prepare)
