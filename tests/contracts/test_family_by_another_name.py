"""A family under another name gives the same in every verb: nothing outside asks what it is called or which it is."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from functools import cache

import numpy as np
import pytest

import micromacro as mm
from micromacro.errors import MicromacroError
from micromacro.families.registry import find_family

from .subjects import Subject, quietly
from .tables import FAMILIES, waits
from .verbs import ENGINE_ROWS, PICTURE_ROWS, SEED, VERBS, plain

NAME = "another_name"
KIND = "power, total"
#: Of a maximum: what a family has a say in. Draws are asked everything that does not fit again.
OF_MAXIMUM = (
    "health", "notes", "model", "summary", "loglik", "fitted", "residuals", "predict", "baseline", "report",
)  # fmt: skip


def rows(contract, families, *engines):
    """Parameter sets, those that wait for the long run marked."""
    for engine in engines:
        for family in families:
            marks = [pytest.mark.slow] if waits(contract, KIND, family, engine) else []
            yield pytest.param(*([engine] if len(engines) > 1 else []), family, marks=marks)


PICTURED = ("poisson", "ordinal", "binomial", "weibull", "weibull entry", "cox")
#: Verbs that say what the family is called, or how long something took.
NAMES_IT = ("family", "seconds", "save")
MORE = {
    **{f"predict {kind}": lambda fit, s, kind=kind: fit.predict(kind=kind, random_seed=SEED)
       for kind in ("linear", "mean", "median", "probability", "response")},
    **{f"comparisons {word}": lambda fit, s, word=word: fit.comparisons(s.kind.moved, contrast=word, random_seed=SEED)
       for word in ("ratio", "odds_ratio", "hazard_ratio", "time_ratio")},
    "survival": lambda fit, s: fit.survival(random_seed=SEED),
    "variance of outcomes": lambda fit, s: fit.variance_components(scale="response", random_seed=SEED),
}  # fmt: skip


def renamed(family):
    """The same family as a subclass with another name, as a user would write it."""
    made = find_family(family)
    own = type("Own", (type(made),), {"__annotations__": {"name": str}, "name": NAME, "__module__": __name__})
    options = {f.name: getattr(made, f.name) for f in fields(made) if f.init and f.name != "name"}
    return dataclass(frozen=True)(own)(**options)


class Renamed(Subject):
    """A subject whose family has another name."""

    @property
    def row(self):
        row = FAMILIES[self.family_name]
        return replace(row, make=lambda: renamed(row.family))


@cache
def both(family):
    return Subject(KIND, family), Renamed(KIND, family)


OF_DRAWS = tuple(name for name, verb in VERBS.items() if name not in NAMES_IT and not verb.costly)
ASKED = {"ml": {**{name: VERBS[name].ask for name in OF_MAXIMUM}, **MORE},
         "mcmc": {**{name: VERBS[name].ask for name in OF_DRAWS}, **MORE}}  # fmt: skip
ANEW = {name: VERBS[name].ask for name in ("lr_test", "bootstrap")}


def answers(subject, engine, asked):
    """What is asked of a fit, as plain values; a refusal is its text."""
    fit, out = subject.fit(engine, **ENGINE_ROWS[engine]), {}
    for name, ask in asked.items():
        try:
            out[name] = plain(quietly(ask, fit, subject))
        except MicromacroError as error:
            out[name] = str(error)
    return out


def told(answer, name):
    """An answer with the family's name and times of runs left out."""
    if isinstance(answer, str):
        words = " ".join(answer.split())  # lines break elsewhere where the seconds are longer
        return re.sub(r"\d+\.\d s\b", "", re.sub(rf"\b({NAME}|{name})\b", "<family>", words))
    return [told(a, name) for a in answer] if isinstance(answer, list | tuple) else answer


def agree(one, other, what):
    if isinstance(one, list):
        assert len(one) == len(other), what
        for a, b in zip(one, other, strict=True):
            agree(a, b, what)
    elif isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, other, err_msg=what)
    else:
        assert one == other, what


@pytest.mark.parametrize(("engine", "family"), list(rows("another name", FAMILIES, "ml", "mcmc")))
def test_every_verb_gives_the_same(engine, family):
    compare(family, engine, ASKED[engine])


@pytest.mark.parametrize("family", list(rows("another name, anew", FAMILIES, "ml")))
def test_what_fits_anew_gives_the_same(family):
    compare(family, "ml", ANEW)


def compare(family, engine, asked):
    ours, others = (answers(subject, engine, asked) for subject in both(family))
    for verb in ours:
        agree(told(ours[verb], FAMILIES[family].word), told(others[verb], FAMILIES[family].word), verb)


@pytest.mark.parametrize("family", list(rows("another name, files", FAMILIES, "ml")))
def test_the_model_and_its_file(family, tmp_path):
    ours, other = both(family)
    for draw in (lambda m: m.simulate(ours.truth, random_seed=1), lambda m: m.prior_predictive(3, random_seed=1)):
        np.testing.assert_array_equal(draw(ours.model).outcome, draw(other.model).outcome)
    fit = other.fit("ml")
    fit.save(tmp_path / "fit.nc")
    with pytest.raises(mm.ModelError, match=NAME):
        mm.load(tmp_path / "fit.nc")
    back = mm.load(tmp_path / "fit.nc", family=other.row.family)
    np.testing.assert_array_equal(plain(back.predict())[2], plain(fit.predict())[2])


@pytest.mark.parametrize("family", list(rows("another name, pictures", PICTURED, "ml")))
def test_pictures_show_the_same(family):
    ours, other = (s.fit("ml") for s in both(family))
    for name in ("predictive", "survival"):
        drawn = []
        for fit, s in ((ours, both(family)[0]), (other, both(family)[1])):
            try:
                ax = PICTURE_ROWS[name].ask(fit, s)
                drawn.append([line.get_xydata() for line in ax.lines])
            except MicromacroError as error:
                drawn.append(told(str(error), FAMILIES[family].word))
        agree(*drawn, name)


def test_certain_outcomes_are_seen_under_any_name():
    """Separation, and groups of durations without any event."""
    import pandas as pd

    x = np.linspace(-1.0, 1.0, 60)
    data = pd.DataFrame({"x": x, "y": (x > 0.0).astype(int), "n": 1, "k": 1 + (x > 0) + (x > 0.5), "c": (x > 0.0) * 1})
    data["t"], data["e"] = np.exp(0.3 * np.sin(9.0 * x)), 1 - data["c"]
    for family, formula in (
        ("bernoulli", "y ~ x"), ("binomial", "trials(y, n) ~ x"), ("ordinal", "k ~ x"), ("weibull", "surv(t, e) ~ c"),
        ("cox", "surv(t, e) ~ c"),
    ):  # fmt: skip
        one = quietly(mm.fit, formula, data, family=family, engine="ml").notes
        assert [n.code for n in one if n.code in ("separated", "no-events")], family
        assert [*quietly(mm.fit, formula, data, family=renamed(family), engine="ml").notes] == [*one]


def test_families_are_compared_and_nested_whatever_their_names():
    ours, other = both("negative_binomial")
    small = quietly(mm.fit, ours.formula, ours.data, family="poisson", engine="ml")
    own = quietly(mm.fit, ours.formula, ours.data, family=renamed("poisson"), engine="ml")
    expected, found = ours.fit("ml").lr_test(small), other.fit("ml").lr_test(own)
    assert (found.statistic, found.p, found.boundary) == (expected.statistic, expected.p, expected.boundary)
    assert quietly(mm.compare, {"a": other.fit("ml"), "b": own}).shape[0] == 2
    gaussian = quietly(mm.fit, ours.formula, ours.data, family=renamed("gaussian"), engine="ml")
    with pytest.warns(mm.MicromacroWarning, match="probabilities"):
        mm.compare({"a": own, "b": gaussian})
