"""The user's ``priors=``: which prior a parameter gets, and which keys are refused."""

from __future__ import annotations

import numpy as np
import pytest

import micromacro as mm
from micromacro.errors import ModelError
from micromacro.parameters import CLASSES, PriorBook, is_conjugate
from micromacro.priors import FLAT

N, T, HC = mm.prior.normal(1, 2), mm.prior.student(3), mm.prior.half_cauchy(25)
DEFAULT = mm.prior.normal(0, 7)

#: What the user gave; name and class of the parameter; whether likelihood work is afoot; its prior; is it the default?
GIVEN = [
    (None, "nox", "b", False, DEFAULT, True),
    (None, "nox", "b", True, FLAT, True),
    ({}, "nox", "b", False, DEFAULT, True),
    ({"nox": N}, "nox", "b", False, N, False),
    ({"nox": N}, "nox", "b", True, N, False),
    ({"nox": N}, "crim", "b", False, DEFAULT, True),
    ({"b": T}, "nox", "b", False, T, False),
    ({"b": T, "nox": N}, "nox", "b", False, N, False),
    ({"b": T}, "Intercept", "Intercept", False, DEFAULT, True),
    ({"nox": "flat"}, "nox", "b", False, FLAT, False),
    ({"b": "flat"}, "nox", "b", False, FLAT, False),
    ("flat", "nox", "b", False, FLAT, True),
    ("vague", "nox", "b", False, mm.prior.normal(0, 100), True),
    ("vague", "nox", "b", True, mm.prior.normal(0, 100), True),
    ("vague", "Intercept", "Intercept", False, mm.prior.normal(0, 100), True),
    ("vague", "party.w.b1", "w", False, mm.prior.normal(0, 1), True),
    ("vague", "party.sd", "sd", False, HC, True),
    ("vague", "sigma", "sigma", False, HC, True),
    ("vague", "shape", "shape", False, mm.prior.exponential(0.001), True),
    ("vague", "party.cor.1.x", "cor", False, mm.prior.lkj(1), True),
    ({"default": "vague", "nox": N}, "nox", "b", False, N, False),
    ({"default": "vague", "nox": N}, "crim", "b", False, mm.prior.normal(0, 100), True),
    ({"default": "flat"}, "nox", "b", False, FLAT, True),
]


@pytest.mark.parametrize(("given", "name", "kind", "likelihood", "prior", "is_default"), GIVEN)
def test_a_name_goes_before_a_class_before_the_rest(given, name, kind, likelihood, prior, is_default):
    parameter = PriorBook(given).parameter(name, kind, DEFAULT, flat=likelihood)
    assert (parameter.name, parameter.kind) == (name, kind)
    assert (parameter.prior, parameter.default) == (prior, is_default)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("vauge", "'vauge' is not known"),
        ({"default": "tight"}, "'tight' is not known"),
        ({"default": N}, "is not known"),
        ({"nox": 3.0}, "prior of 'nox' must be made by mm.prior"),
        ({"nox": "vague"}, "prior of 'nox' must be made by mm.prior"),
    ],
)
def test_what_is_no_prior_is_refused(given, message):
    with pytest.raises(ModelError, match=message):
        PriorBook(given)


#: Class and prior that does not fit it.
UNFIT = [
    *((kind, prior) for kind in ("sd", "sigma", "shape", "phi") for prior in (N, T, mm.prior.uniform(-1, 1))),
    *(("cor", prior) for prior in (N, HC, mm.prior.uniform(-2, 1), mm.prior.uniform(0, 1.5))),
]
FIT = [
    *(
        (kind, prior)
        for kind in ("sd", "sigma")
        for prior in (HC, mm.prior.uniform(0, 3), mm.prior.gamma(2, 1), "flat")
    ),
    *(("cor", prior) for prior in (mm.prior.lkj(2), mm.prior.uniform(-1, 1), mm.prior.beta(2, 2), "flat")),
    *(("b", prior) for prior in (N, T, HC, "flat")),
]


@pytest.mark.parametrize(("kind", "prior"), UNFIT, ids=str)
@pytest.mark.parametrize("by_name", [True, False], ids=["by name", "by class"])
def test_a_prior_outside_the_range_of_its_parameter_is_refused(kind, prior, by_name):
    book = PriorBook({"it" if by_name else kind: prior})
    with pytest.raises(ModelError, match=r"negative values|must lie in \[-1, 1\]"):
        book.parameter("it", kind, DEFAULT)


@pytest.mark.parametrize(("kind", "prior"), FIT, ids=str)
def test_a_prior_inside_the_range_of_its_parameter_is_taken(kind, prior):
    got = PriorBook({"it": prior}).parameter("it", kind, DEFAULT).prior
    assert got == (FLAT if prior == "flat" else prior)


@pytest.mark.parametrize(
    ("kind", "prior", "wanted", "start"),
    [
        ("b", N, 0.0, 0.0),
        ("sd", HC, 2.0, 2.0),
        ("sd", HC, 0.0, 0.0),
        ("w", mm.prior.uniform(1, 3), 0.0, 2.0),
        ("w", mm.prior.uniform(0, 1), 0.0, 0.5),
        ("w", HC, 0.0, 25.0),
        ("sigma", mm.prior.uniform(0, 4), 7.0, 2.0),
        ("sigma", HC, 0.0, 25.0),
    ],
)
def test_a_search_starts_inside_the_prior(kind, prior, wanted, start):
    assert PriorBook({kind: prior}).parameter("it", kind, DEFAULT, start=wanted).start == pytest.approx(start)


@pytest.mark.parametrize(
    ("key", "parts"),
    [
        ("nx", ["no parameter or class 'nx'", "did you mean 'nox'", "parameters: nox, party.sd", "classes: b, sd"]),
        ("zzz", ["no parameter or class 'zzz'", "parameters: nox, party.sd"]),
        ("w", ["no parameter of this model is of class 'w'", "classes: b, sd"]),
    ],
)
def test_an_unknown_key_lists_the_known_ones(key, parts):
    book = PriorBook({key: mm.prior.half_cauchy(1)})
    book.parameter("nox", "b", DEFAULT)
    book.parameter("party.sd", "sd", HC)
    with pytest.raises(ModelError) as error:
        book.check_all_used(["b", "sd"])
    assert all(part in str(error.value) for part in parts)


def test_known_names_and_classes_pass():
    book = PriorBook({"nox": N, "sd": HC, "default": "vague"})
    book.parameter("nox", "b", DEFAULT)
    book.parameter("party.sd", "sd", HC)
    book.check_all_used(["b", "sd"])


@pytest.mark.parametrize(
    ("given", "empty"), [(None, True), ({}, True), ("flat", False), ({"b": N}, False), ({"default": "vague"}, False)]
)
def test_an_empty_book_is_told_from_one_with_a_word(given, empty):
    assert PriorBook(given).empty == empty


@pytest.mark.parametrize(("prior", "conjugate"), [(N, True), (FLAT, True), (T, False), (HC, False)])
def test_only_normal_and_flat_coefficients_stay_in_the_latent_vector(prior, conjugate):
    assert is_conjugate(prior) == conjugate


@pytest.mark.parametrize("kind", CLASSES)
def test_a_parameter_knows_whether_it_is_positive_or_linear(kind):
    parameter = PriorBook("flat").parameter("it", kind, DEFAULT)
    assert parameter.positive == (kind in ("sd", "sigma", "shape", "phi", "nu"))
    assert parameter.linear == (kind in ("b", "Intercept"))


def test_a_model_hands_the_users_priors_to_its_parameters(rng):
    data = {"y": rng.standard_normal(12), "x": rng.standard_normal(12), "c": np.arange(12) % 4}
    priors = {"x": N, "sd": HC, "Intercept": "flat"}
    parameters = {p.name: p for p in mm.Model("y ~ x + (1 | c)", data, priors=priors).specification.parameters}
    assert {name: p.prior for name, p in parameters.items() if not p.default} == {"x": N, "c.sd": HC, "Intercept": FLAT}
    with pytest.raises(ModelError, match=r"'z'[\s\S]*parameters: Intercept, x, c\.sd, sigma"):
        _ = mm.Model("y ~ x + (1 | c)", data, priors={"z": N}).specification


def test_a_prior_of_correlations_is_for_nothing_else():
    data = {"x": np.arange(9.0), "y": np.sin(np.arange(9.0))}
    with pytest.raises(mm.ModelError, match=r"lkj\(1\) is for correlations"):
        mm.Model("y ~ x", data, priors={"b": mm.prior.lkj(1)})
