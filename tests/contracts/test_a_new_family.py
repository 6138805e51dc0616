r"""A family of durations that micromacro has not, in this file alone: every contract holds once it is registered.

Log-logistic: :math:`\log t = \eta + e / a` with a logistic e, so that :math:`S(t) = 1 / (1 + e^z)` at
:math:`z = a(\log t - \eta)`; censored on the right, on the left and between two times, seen from a later entry on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy import special as scipy_special
from scipy.integrate import quad

import micromacro as mm
from micromacro.errors import MicromacroError
from micromacro.families.censoring import Duration
from micromacro.families.registry import FAMILIES as KNOWN
from micromacro.families.response import EVENT, INTERVAL, LEFT, Raw
from micromacro.priors import HalfStudent

from . import claims
from .subjects import Subject, quietly
from .tables import FAMILIES, FORMS_MEET, SURV, FamilyRow, censored, entered, in_interval
from .verbs import ENGINE_ROWS, VERBS


@dataclass(frozen=True)
class LogLogistic(Duration):
    """Log-logistic durations on the log-time scale; its parameter is `shape`."""

    link: str = "log"
    name: str = "log_logistic"

    def scale(self, response, offset):
        return response.spread_and_centre(response.values[1] - offset)

    def parameters(self, book, scale, flat, response):
        return (book.parameter("shape", "shape", HalfStudent(3.0, 0.0, 2.5), start=1.8 / scale, flat=flat),)

    def possible(self, own):
        return bool(0.0 < own[0] < 1e8)

    def slopes(self, values, eta, own, out):
        a = own[0]
        with np.errstate(all="ignore"):
            z, upper, late = (a * (row - eta) for row in values[1:4])
            p, q, e = (scipy_special.expit(x) for x in (z, upper, late))
            spread, other = p * (1.0 - p), q * (1.0 - q)
            value, d, dd = -np.logaddexp(0.0, z), -p, -spread  # beyond z
            for where, instead in (
                (values[0] == EVENT, (z + 2.0 * value + math.log(a) - values[1], 1.0 - 2.0 * p, -2.0 * spread)),
                (values[0] == LEFT, (-np.logaddexp(0.0, -z), 1.0 - p, -spread)),
                (values[0] == INTERVAL, between(p, q, spread, other)),
            ):  # fmt: skip
                value, d, dd = (np.where(where, x, y) for x, y in zip(instead, (value, d, dd), strict=True))
            value, d, dd = value + np.logaddexp(0.0, late), d + e, dd + e * (1.0 - e)
        out[0], out[1], out[2] = value, -a * d, a * a * dd
        out[3] = np.maximum(-out[2], 1e-3 * a * a * spread)

    def log_density(self, values, eta, own, xp=np, special=None):
        code, a, told = values[0], own[0], values[1] > -math.inf
        log_time = xp.where(told, values[1], 0.0)
        z = a * (log_time - eta)
        event = z - 2.0 * xp.logaddexp(0.0, z) + xp.log(a) - log_time
        inside = code == INTERVAL
        upper = a * (xp.where(inside, values[2], 1.0) - eta)
        gap = xp.where(inside, special.expit(upper) - special.expit(z), 0.5)
        out = xp.where(code == EVENT, event, xp.where(told, -xp.logaddexp(0.0, z), 0.0))
        out = xp.where(code == LEFT, -xp.logaddexp(0.0, -z), xp.where(inside, xp.log(gap), out))
        late = values[3] > -math.inf
        return out + xp.where(late, xp.logaddexp(0.0, a * (xp.where(late, values[3], 0.0) - eta)), 0.0)

    def mean(self, eta, own, values):
        a = own[0]
        return np.exp(eta) * ((math.pi / a) / math.sin(math.pi / a) if a > 1.0 else math.inf)

    def variance(self, eta, own, values):
        a = own[0]
        if a <= 2.0:
            return np.full(np.shape(eta), math.inf)
        b = math.pi / a
        return np.exp(2.0 * eta) * (2.0 * b / math.sin(2.0 * b) - (b / math.sin(b)) ** 2)

    def median(self, eta, own):
        return np.exp(eta)

    def cumulative_hazard(self, times, eta, own):
        with np.errstate(divide="ignore"):
            return np.logaddexp(0.0, own[0] * (np.log(times) - np.asarray(eta)[..., None]))

    def link_variance(self, own, mean):
        return math.pi**2 / (3.0 * own[0] ** 2)

    def simulate(self, eta, own, rng, values):
        return np.exp(eta + rng.logistic(size=eta.shape) / own[0])

    def simulate_after(self, eta, own, rng, entry):
        with np.errstate(divide="ignore"):
            spent = np.logaddexp(0.0, own[0] * (np.log(entry) - eta))
        return np.exp(eta + np.log(np.expm1(spent + rng.exponential(1.0, eta.shape))) / own[0])

    def mean_after(self, eta, own, entry):
        nodes, weights = np.polynomial.laguerre.laggauss(60)
        with np.errstate(divide="ignore"):
            spent = np.logaddexp(0.0, own[0] * (np.log(entry) - eta))
        return np.exp(eta) * (np.expm1(spent[..., None] + nodes) ** (1.0 / own[0]) @ weights)


def between(p, q, spread, other):
    gap = q - p
    first = (other - spread) / gap
    second = (other * (1.0 - 2.0 * q) - spread * (1.0 - 2.0 * p)) / gap
    return np.log(gap), first, second - first**2


ROWS = {
    "log_logistic": FamilyRow("log_logistic", SURV, columns=censored, truth={"shape": 4.0}),
    "log_logistic entry": FamilyRow("log_logistic", "surv(since, y, event)", columns=entered, truth={"shape": 4.0}),
    "log_logistic interval": FamilyRow(
        "log_logistic", "surv(y, upper, type = 'interval')", columns=in_interval, truth={"shape": 4.0}
    ),
}


@pytest.fixture(scope="module", autouse=True)
def registered():
    """The one row that a new family adds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(KNOWN, "log_logistic", LogLogistic)
        for name, row in ROWS.items():
            patch.setitem(FAMILIES, name, row)
        yield


_MADE: dict = {}


def of(kind, form):
    return _MADE.setdefault((kind, form), Subject(kind, form))


@pytest.mark.parametrize("form", ROWS)
@pytest.mark.parametrize("kind", FORMS_MEET)
@pytest.mark.parametrize("claim", claims.OF_PAIRS)
def test_the_contracts_of_terms_hold(claim, kind, form):
    claims.OF_PAIRS[claim](of(kind, form))


@pytest.mark.parametrize(
    ("form", "engine"),
    [
        ("log_logistic", "ml"),
        ("log_logistic", "laplace"),
        ("log_logistic entry", "mcmc"),
        ("log_logistic interval", "ml"),
    ],
)
def test_every_verb_answers_or_refuses_by_the_table(form, engine):
    subject = of("power, total", form)
    fit = subject.fit(engine, **ENGINE_ROWS[engine])
    for name, verb in VERBS.items():
        if verb.costly and not (name == "bootstrap" and engine == "ml"):
            continue
        if name == "ppc":  # censored durations have no statistics to compare
            with pytest.raises(MicromacroError, match="censored"):
                fit.ppc(random_seed=1)
        elif name == "bootstrap" and form == "log_logistic interval":
            with pytest.raises(MicromacroError, match="interval"):
                fit.bootstrap(2)
        else:
            quietly(verb.outcome, fit, subject)


def test_a_fit_is_saved_and_loaded(tmp_path):
    subject = of("power, total", "log_logistic")
    fit = subject.fit("ml")
    fit.save(tmp_path / "fit.nc")
    pd.testing.assert_frame_equal(mm.load(tmp_path / "fit.nc").predict(), fit.predict())


# -- its numbers: the generic tests of families ------------------------------------------------------------------------

OWN = np.array([4.0])


def response(form, n=300):
    rng = np.random.default_rng(1)
    family, eta = LogLogistic(), 0.5 * rng.standard_normal(n)
    columns = ROWS[form].columns(rng, family.simulate(eta, OWN, rng, None))
    order = {"log_logistic": ("y", "event"), "log_logistic entry": ("since", "y", "event")}.get(form, ("y", "upper"))
    raw = Raw("surv", tuple(columns[c].astype(float) for c in order), "y", np.arange(n),
              "interval" if form.endswith("interval") else "right")  # fmt: skip
    return family.read(raw), eta


@pytest.mark.parametrize("form", ROWS)
def test_the_kernel_is_the_plain_density_and_its_derivatives(form):
    read, eta = response(form)
    family, out = LogLogistic(), np.empty((3, 4, len(eta)))
    for k, step in enumerate((0.0, 1e-5, -1e-5)):
        family.slopes(read.values, eta + step, OWN, out[k])
    np.testing.assert_allclose(out[0, 0], family.log_density(read.values, eta, OWN, np, scipy_special), rtol=1e-10)
    for order in (1, 2):
        difference = (out[1, order - 1] - out[2, order - 1]) / 2e-5
        np.testing.assert_allclose(out[0, order], difference, rtol=1e-5, atol=1e-6)


def test_means_and_draws_are_those_of_its_survival():
    family, eta, rng = LogLogistic(), np.array([0.3]), np.random.default_rng(3)
    for entry in (0.0, 0.8, 2.0):
        start = family.cumulative_hazard(np.array([entry]), eta, OWN)[0, 0]
        lasts = lambda t, start=start: math.exp(start - family.cumulative_hazard(np.array([t]), eta, OWN)[0, 0])  # noqa: E731
        expected = entry + quad(lasts, entry, np.inf)[0]
        assert family.mean_after(eta, OWN, np.array([entry]))[0] == pytest.approx(expected, rel=2e-3)
        drawn = family.simulate_after(np.repeat(eta, 40_000), OWN, rng, np.full(40_000, entry))
        assert drawn.min() > entry
        assert drawn.mean() == pytest.approx(expected, abs=5.0 * drawn.std() / 200.0)
    assert family.mean(eta, OWN, None)[0] == pytest.approx(family.mean_after(eta, OWN, np.zeros(1))[0], rel=2e-3)
