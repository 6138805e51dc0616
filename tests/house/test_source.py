"""The house's rules, counted over the source tree: nouns answer for themselves, no circles, nothing too long.

An exception is a place (file, and what it says) with the reason why it may. Each list is as short as it can be: an
exception that is no longer needed fails, too.
"""

from __future__ import annotations

import re
from pathlib import Path

from micromacro.engines.registry import ENGINES
from micromacro.families.registry import FAMILIES

from . import source

Places = list[tuple[str, int, str]]


def outside(*folders: str) -> list[str]:
    return [path for path in source.files() if not path.startswith(folders)]


def held(found: Places, excepted: dict[tuple[str, str], str]) -> None:
    """Nothing found but the exceptions, and every exception found."""
    loose = [f"{path}:{line}: {what}" for path, line, what in found if (path, what) not in excepted]
    assert not loose, f"{len(loose)} places:\n" + "\n".join(loose)
    unused = set(excepted) - {(path, what) for path, _, what in found}
    assert not unused, f"exceptions that are not needed: {sorted(unused)}"


def asked_of_class(names: frozenset[str], *folders: str) -> Places:
    """Where a file outside these folders asks whether something is one of some classes."""
    return [
        (path, line, name)
        for path in outside(*folders)
        for line, classes in source.class_tests(source.files()[path])
        for name in sorted(classes & names)
    ]


def spelt(words: frozenset[str], *folders: str) -> Places:
    """Where a file outside these folders has one of some words as a text of its own."""
    return [
        (path, line, text)
        for path in outside(*folders)
        for line, text in source.texts(source.files()[path])
        if text in words
    ]


# -- nouns -------------------------------------------------------------------------------------------------------------

PARTS: dict[tuple[str, str], str] = {}


def test_nobody_outside_the_terms_asks_what_a_part_is():
    held(asked_of_class(source.classes_in("terms/"), "terms/"), PARTS)


def test_nobody_outside_effects_and_terms_asks_what_a_structure_is():
    held(asked_of_class(source.classes_in("effects/"), "effects/", "terms/"), {})


FAMILY_CLASSES: dict[tuple[str, str], str] = {}
FAMILY_NAMES: dict[tuple[str, str], str] = {
    ("api.py", "gaussian"): "the default of a keyword",
    ("model/draft.py", "gaussian"): "the default of a keyword",
    ("model/public.py", "gaussian"): "the default of a keyword",
    ("simulate/coalitions.py", "gaussian"): "the family of the outcomes that it draws",
}


def test_nobody_outside_the_families_asks_what_a_family_is():
    held(asked_of_class(source.classes_in("families/"), "families/"), FAMILY_CLASSES)


def test_no_family_is_named_outside_the_families():
    # folders of priors may: four distributions are priors, too
    held(spelt(frozenset(FAMILIES), "families/", "priors/", "priors.py", "__init__.py"), FAMILY_NAMES)


ENGINE_NAMES: dict[tuple[str, str], str] = {
    ("api.py", "mcmc"): "the default of a keyword",
    ("model/public.py", "mcmc"): "the default of a keyword",
    ("demo.py", "ml"): "the demonstration shows two engines",
    ("demo.py", "mcmc"): "the demonstration shows two engines",
    ("api.py", "ml"): "the default of aggregations()",
    **{
        (path, "laplace"): "a method of log_evidence(), not the engine"
        for path in ("posterior/evidence.py", "results/criticism/verbs.py")
    },
}


def test_no_engine_is_named_outside_the_engines():
    held(spelt(frozenset(ENGINES), "engines/"), ENGINE_NAMES)


POSTERIOR_WORDS = frozenset({"sampled", "optimum", "is_sampled"})


def test_no_reader_asks_whether_a_posterior_has_draws():
    found = [
        (path, line, name)
        for path in outside("posterior/", "engines/")
        for line, name in source.attributes(source.files()[path])
        if name in POSTERIOR_WORDS
    ]
    held(found, {})


SAME_NAMES = frozenset({"Beta", "Exponential", "Gamma", "Student"})  # families that are priors, too


def test_a_class_has_a_name_of_its_own():
    found: dict[str, list[str]] = {}
    for path in source.files():
        for name in source.classes_in(path):
            found.setdefault(name, []).append(path)
    assert {name: paths for name, paths in found.items() if len(paths) > 1 and name not in SAME_NAMES} == {}


# -- size and order ----------------------------------------------------------------------------------------------------


def test_no_modules_import_each_other_in_a_circle():
    found = source.circles(source.imports())
    assert not found, "\n".join(f"{len(c)}: {', '.join(c)}" for c in found)


def test_folders_of_tests_that_import_from_each_other_are_packages():
    """Which the oldest pytest that is admitted needs."""
    tests = Path(__file__).parents[1]
    importing = {at.parent for at in tests.rglob("test_*.py") if re.search(r"^from \.", at.read_text(), re.MULTILINE)}
    assert importing
    assert not [at.name for at in importing if not (at / "__init__.py").exists()]


def test_no_file_has_more_than_500_lines():
    sizes = {path: len((source.PACKAGE / path).read_text().splitlines()) for path in source.files()}
    assert not {path: n for path, n in sizes.items() if n > 500}


def test_no_function_has_more_than_60_lines():
    found = {(path, name): n for path, tree in source.files().items() for name, n in source.lengths(tree) if n > 60}
    assert not found


def test_no_kernel_is_made_inside_a_function():
    """Numba keeps a kernel of a closure on disk anew in every process, and never finds it again."""
    import ast

    for path, tree in source.files().items():
        outer = set(map(id, tree.body))
        inner = [f for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) and id(f) not in outer]
        assert not [f.name for f in inner if any("njit" in ast.unparse(d) for d in f.decorator_list)], path


# -- the readings themselves -------------------------------------------------------------------------------------------


def test_what_the_tests_would_find():
    import ast

    tree = ast.parse(
        'def f(x):\n    """weibull"""\n    if isinstance(x, (A, m.B)) or type(x) is C or type(x).__name__ == "D":\n'
        '        return x.optimum, "weibull"\n    match x:\n        case E():\n            pass\n'
    )
    assert set().union(*(names for _, names in source.class_tests(tree))) >= {"A", "B", "C", "E"}
    assert [text for _, text in source.texts(tree)] == ["D", "weibull"]
    assert "optimum" in {name for _, name in source.attributes(tree)}
    assert source.circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    assert dict(source.lengths(tree)) == {"f": 6}
