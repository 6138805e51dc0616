"""Every verb of a fit, and every picture: each answers for every kind of terms, family and engine, or refuses by name.

A refusal is right where the table lists it, in the words that it lists. One test goes through all verbs of a fit and
names those that went wrong.
"""

from __future__ import annotations

from fnmatch import fnmatch

import pytest

import micromacro as mm

from .failing import FAILING, marked
from .subjects import quietly, subject
from .tables import FAMILIES, KINDS, SEVERAL
from .verbs import ENGINE_ROWS, PICTURE_ROWS, VERBS, same

ALL = {**VERBS, **{f"plot.{name}": row for name, row in PICTURE_ROWS.items()}}
#: Families of which the costly verbs are asked, and kinds.
COSTLY_OF = ("gaussian", "poisson", "weibull entry")
CLOSER = (SEVERAL, "shared, total")


def known(kind: str, family: str, engine: str) -> set[str]:
    """Verbs that do not hold yet."""
    rows = (key for key in FAILING if key[0].startswith("verb "))
    return {c[5:] for c, k, f in rows if fnmatch(kind, k) and (fnmatch(family, f) or f == engine)}


def rows():
    def row(kind, family, engine, closer):
        return marked("costly verbs" if closer else "verbs", kind, family, engine, engine=engine)

    for kind, about in KINDS.items():
        family = "gaussian" if about.families is None else about.families[0]
        yield from (
            row(kind, family, engine, closer) for engine in ("ml", "laplace") for closer in _both(kind in CLOSER)
        )
    for family in FAMILIES:
        if family != "gaussian":
            closer = _both(family in COSTLY_OF)
            yield from (row(SEVERAL, family, engine, c) for engine in ("ml", "laplace") for c in closer)
    for family, engine in (("gaussian", "reml"), ("gaussian", "mcmc"), ("poisson", "mcmc")):
        yield from (row(SEVERAL, family, engine, closer) for closer in (False, True))


def _both(more):
    return (False, True) if more else (False,)


@pytest.mark.parametrize(("claim", "kind", "family", "engine"), list(rows()))
def test_every_verb_answers_or_refuses_by_name(claim, kind, family, engine):
    import matplotlib.pyplot as plt

    s = subject(kind, family)
    fit = s.fit(engine, **ENGINE_ROWS[engine])
    wrong = {}
    for name, verb in ALL.items():
        if (verb.costly or (verb.slow and engine == "ml")) != (claim == "costly verbs"):
            continue
        try:
            quietly(verb.outcome, fit, s)
        except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001
            wrong[name] = f"{type(error).__name__}: {error}"
    plt.close("all")
    expected = known(kind, family, engine)
    assert set(wrong) == expected & set(ALL), "\n".join(f"{name}: {text[:300]}" for name, text in wrong.items())


#: What differs between two runs of one fit, or has its words in it.
OF_THE_RUN = ("seconds", "report", "extend", "save", "plot")


@pytest.mark.parametrize("keep", ["parameters", pytest.param(("c",), marks=pytest.mark.slow)])
def test_what_was_not_kept_is_refused_by_name_and_all_else_is_the_same(keep):
    """keep= changes the answer of no verb: it is that of all draws, or a refusal that names keep=."""
    s = subject(SEVERAL, "gaussian")
    whole, fit = (s.fit("mcmc", **ENGINE_ROWS["mcmc"], keep=k) for k in ("all", keep))
    wrong, refused = {}, []
    for name, verb in VERBS.items():
        if verb.costly or verb.slow or name in OF_THE_RUN:
            continue
        try:
            answer = quietly(verb.outcome, fit, s)
        except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001
            refused.append(name)
            if not (isinstance(error, mm.EngineError) and "keep=" in str(error)):
                wrong[name] = f"{type(error).__name__}: {error}"
            continue
        try:
            same(answer, quietly(verb.outcome, whole, s))
        except AssertionError as error:
            wrong[name] = f"another answer: {error}"
    assert not wrong, "\n".join(f"{name}: {text[:300]}" for name, text in wrong.items())
    assert "random_effects" in refused and not {"summary", "weights", "params"} & set(refused)


def test_nuts_is_an_engine_like_the_others():
    """One short run, which compiles once."""
    s = subject(SEVERAL, "gaussian")
    fit = s.fit("nuts", **ENGINE_ROWS["nuts"])
    for name in ("summary", "predict", "weights", "random_effects", "variance_components", "loo", "report"):
        quietly(ALL[name].outcome, fit, s)
    with pytest.raises(mm.EngineError, match="mcmc"):
        fit.extend(4)
