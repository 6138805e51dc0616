"""What ``import micromacro`` offers, and what it costs."""

from __future__ import annotations

import ast
import pkgutil
import subprocess
import sys
from importlib import import_module, metadata
from pathlib import Path

import pytest

import micromacro as mm

HEAVY = {
    "arviz_base",
    "arviz_stats",
    "formulaic",
    "matplotlib",
    "numba",
    "numpy",
    "pandas",
    "scipy",
    "xarray",
}


def loaded_by(statement: str) -> set[str]:
    """Topmost names of all modules that a fresh Python has loaded after a statement."""
    code = f"import sys\n{statement}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


@pytest.mark.parametrize(
    "statement", ["import micromacro", "import micromacro; micromacro.DataError", "import micromacro.cli"]
)
def test_importing_loads_nothing_heavy(statement):
    assert not loaded_by(statement) & HEAVY


def test_priors_need_no_tables():
    assert not loaded_by("import micromacro; micromacro.prior.normal(0, 1)") & {
        "pandas",
        "numba",
        "formulaic",
        "xarray",
    }


def test_scipy_stats_waits_until_it_is_used():
    """It takes half a second, which every fit would wait for; pictures import it with Matplotlib."""
    root = Path(mm.__file__).parent
    for path in root.rglob("*.py"):
        if path.is_relative_to(root / "results" / "plots"):
            continue
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ImportFrom):
                names = {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
                assert "scipy.stats" not in names, path


@pytest.mark.parametrize("name", mm.__all__)
def test_every_public_name_is_there(name):
    assert getattr(mm, name) is getattr(mm, name)


def test_dir_lists_the_public_names():
    assert dir(mm) == sorted(mm.__all__) == mm.__all__
    assert set(mm.__all__) == {*mm._HOMES, *mm._MODULES, "__version__"}


@pytest.mark.parametrize("module", ["prior", "memberships", "families", "datasets", "simulate"])
def test_modules_show_what_users_call(module):
    public = getattr(mm, module)
    assert dir(public) == sorted(public.__all__)
    assert all(callable(getattr(public, name)) for name in dir(public))


def test_every_error_and_every_class_of_results_is_public():
    for found in pkgutil.walk_packages(mm.__path__, "micromacro."):
        if not found.name.endswith(("__main__", "_jax")) and ".nuts" not in found.name:
            import_module(found.name)
    todo, seen = [mm.MicromacroError, mm.MicromacroWarning], set()
    while todo:
        kind = todo.pop()
        seen.add(kind.__name__)
        todo += kind.__subclasses__()
    assert seen <= set(mm.__all__)
    results = {
        "Fit",
        "Elpd",
        "Evidence",
        "Check",
        "Members",
        "LikelihoodRatio",
        "WaldTest",
        "Bootstrap",
        "Aggregations",
    }
    assert results | {"Health", "Note", "SavedFile", "SavedResults", "Simulation", "Family", "Prior"} <= set(mm.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'fitt'"):
        mm.fitt  # noqa: B018


def test_errors_are_the_same_by_either_way():
    assert mm.DataError is mm.errors.DataError
    assert issubclass(mm.FormulaError, mm.MicromacroError)


def test_the_version_is_that_of_the_distribution():
    try:
        installed = metadata.version("micromacro")
    except metadata.PackageNotFoundError:
        pytest.skip("micromacro is not installed, only on the path")
    assert mm.__version__ == installed
