"""A fit that was saved and loaded answers every verb as before, whatever of it was kept, or says what it lacks."""

from __future__ import annotations

import warnings

import pytest

import micromacro as mm

from .failing import marked
from .subjects import quietly, subject
from .tables import KINDS, SEVERAL
from .verbs import ENGINE_ROWS, VERBS, same

#: Verbs that a loaded fit must answer to the last digit, but for those that take long.
ASKED = tuple(
    name for name, verb in VERBS.items() if verb.of_fit and not verb.costly and not verb.slow and name != "seconds"
)
CLOSER = {
    SEVERAL: ("gaussian", "poisson", "weibull entry", "ordinal", "cox"),
    "shared, total": ("gaussian",),
    "correlated roles": ("gaussian",),
    "unit icar": ("gaussian",),
    "block walk": ("gaussian",),
    "block known": ("gaussian",),
    "smax": ("gaussian",),
    "block by block": ("gaussian",),
    "walking baseline": ("cox walk",),
    "baseline alone": ("cox walk",),
    "offset and fix": ("gaussian",),
}
KEPT = [("all", False), ("parameters", True), ("parameters", False), ("summary", True), ("summary", False)]
TABLES = ("params", "bse", "summary", "cov_params", "random_effects", "weights", "variance_components", "report")


def answers(fit, s, names):
    out = {}
    for name in names:
        words = VERBS[name].refusal(fit, s)
        if words is None:
            out[name] = quietly(VERBS[name].ask, fit, s)
    return out


def whole(s, engine, path):
    """Everything kept: every verb."""
    fit = s.fit(engine, **ENGINE_ROWS[engine])
    fit.save(path)
    before, after = answers(fit, s, ASKED), answers(mm.load(path), s, ASKED)
    assert before.keys() == after.keys()
    for name in before:
        same(before[name], after[name])


def in_part(s, engine, path, contents, data):
    """Less kept: the same tables, the same numbers of what can be computed, or a refusal that says what is missing."""
    fit = s.fit(engine, **ENGINE_ROWS[engine])
    if contents == "parameters" and engine == "ml":
        pytest.skip("a maximum has no draws to leave out")
    fit.save(path, contents=contents, data=data)
    loaded = mm.load(path)
    bare = contents == "summary" or not data
    names = TABLES if bare else ("params", "bse", "summary")
    before = answers(fit, s, names)
    for name, value in before.items():
        if bare and name == "weights" and not data:
            with pytest.raises(mm.MicromacroError, match=r"data|summary"):
                loaded.weights()
            continue
        same(value, quietly(VERBS[name].ask, loaded, s))
    if contents == "all" and not data:
        again = mm.load(path, data=s.data)
        same(fit.predict(), again.predict())
        same(fit.summary(), again.summary())


def rows():
    for kind, row in KINDS.items():
        family = "gaussian" if row.families is None else row.families[0]
        yield marked("whole", kind, family, "ml")
    for kind, families in CLOSER.items():
        for engine in ("laplace", "mcmc"):
            yield from (marked("whole", kind, family, engine, engine=engine) for family in families)
    for kind, families in CLOSER.items():
        for engine in ("ml", "laplace"):
            yield from (marked("in_part", kind, families[0], engine, *kept, engine=engine) for kept in KEPT)


@pytest.mark.parametrize(("claim", "kind", "family", "engine"), [row for row in rows() if row.values[0] == "whole"])
def test_a_loaded_fit_answers_as_before(claim, kind, family, engine, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mm.MicromacroWarning)
        whole(subject(kind, family), engine, tmp_path / "fit.nc")


@pytest.mark.parametrize(
    ("claim", "kind", "family", "engine", "contents", "data"), [row for row in rows() if row.values[0] == "in_part"]
)
def test_what_was_kept_is_the_same(claim, kind, family, engine, contents, data, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mm.MicromacroWarning)
        in_part(subject(kind, family), engine, tmp_path / "fit.nc", contents, data)
