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
from .tables import FAMILIES, KINDS, PLAIN, rare
from .verbs import ENGINE_ROWS, PICTURE_ROWS, VERBS

ALL = {**VERBS, **{f"plot.{name}": row for name, row in PICTURE_ROWS.items()}}
SEVERAL = "two blocks and a unit"
#: Families of which the costly verbs are asked on every run, and those that wait for `make test-all`.
OFTEN = ("gaussian", "poisson", "weibull entry")
DRAWN = (
    "fixed", "unit slopes", "crossed", "unit fixed", "block", "block correlated", "block walk", "block car",
    "correlated roles", "threshold", "block by block", "walking baseline", "baseline alone",
)  # fmt: skip
CLOSER = (SEVERAL, "shared, total")  # kinds of which the costly verbs are asked, too


def known(kind: str, family: str, engine: str) -> set[str]:
    """Verbs that do not hold yet."""
    rows = (key for key in FAILING if key[0].startswith("verb "))
    return {c[5:] for c, k, f in rows if fnmatch(kind, k) and (fnmatch(family, f) or f == engine)}


WAITS = dict.fromkeys(OFTEN, ("laplace",))


def rows():
    for kind, row in KINDS.items():
        family = "gaussian" if row.families is None else row.families[0]
        yield marked("verbs", kind, family, "ml", kind in CLOSER, slow=rare(kind))
        yield marked("verbs", kind, family, "laplace", kind in CLOSER, slow=kind not in (*CLOSER, *DRAWN))
    for family in FAMILIES:
        if family != "gaussian":
            yield marked("verbs", SEVERAL, family, "ml", family in OFTEN)
            yield marked("verbs", SEVERAL, family, "laplace", False, slow=family not in PLAIN)
            for engine in WAITS.get(family, ("ml", "laplace")):
                yield marked("verbs", SEVERAL, family, engine, True, slow=True)
    yield from (marked("verbs", SEVERAL, "gaussian", engine, True) for engine in ("reml", "mcmc"))
    yield marked("verbs", SEVERAL, "poisson", "mcmc", True)


@pytest.mark.parametrize(("claim", "kind", "family", "engine", "closer"), list(rows()))
def test_every_verb_answers_or_refuses_by_name(claim, kind, family, engine, closer):
    import matplotlib.pyplot as plt

    s = subject(kind, family)
    fit = s.fit(engine, **ENGINE_ROWS[engine])
    wrong = {}
    for name, verb in ALL.items():
        if not closer and (verb.costly or (verb.slow and engine == "ml")):
            continue
        try:
            quietly(verb.outcome, fit, s)
        except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001
            wrong[name] = f"{type(error).__name__}: {error}"
    plt.close("all")
    expected = known(kind, family, engine)
    assert set(wrong) == expected & set(ALL), "\n".join(f"{name}: {text[:300]}" for name, text in wrong.items())


def test_nuts_is_an_engine_like_the_others():
    """One short run, which compiles once."""
    s = subject("two blocks and a unit", "gaussian")
    fit = s.fit("nuts", **ENGINE_ROWS["nuts"])
    for name in ("summary", "predict", "weights", "random_effects", "variance_components", "loo", "report"):
        quietly(ALL[name].outcome, fit, s)
    with pytest.raises(mm.EngineError, match="mcmc"):
        fit.extend(4)
