"""The table of families: one row a family, link and form of outcome. All generic tests run over it.

A new family is one more row here (and a row in ``SMOKE`` of ``test_every_family_fits.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import special

from micromacro.families.cox import Cox
from micromacro.families.registry import FAMILIES
from micromacro.families.response import Raw
from micromacro.families.runs import make_pairs, runs

Columns = tuple[np.ndarray, ...]
TRIALS = 12
CUTS = (0.4, 1.1, 2.5)


class CoxOfGroups(Cox):
    """Cox with its rows added up, so that the tests of groups hold its kernel to the plain density of a group."""

    def __init__(self, cuts):
        super().__init__(cuts)
        object.__setattr__(self, "cuts", tuple(cuts))

    def slopes(self, values, eta, own, out):
        _, data = make_pairs(runs(*values, np.array(self.cuts)), (), None, len(own))
        rows = np.empty((4, data.shape[1]))
        super().slopes(data, np.concatenate([eta, own]), np.empty(0), rows)
        out[:] = rows[:, : len(eta)]

    def log_density(self, values, eta, own, xp=np, special=None):
        return self.group_density(values, eta, own, xp)


@dataclass(frozen=True)
class Case:
    """One row.

    Attributes
    ----------
    name, link, form, kind : str
        As in the registry, and as in ``Raw``.
    own : tuple of tuples
        Family parameters at which it is tested.
    support : str
        real, positive, share, count, trials, categories.
    variance : callable
        (eta, own) to the variance of an outcome.
    observe : callable
        (rng, simulated outcomes) to the columns that a user would have.
    etas : tuple of float
        Linear predictors at which densities are integrated and moments compared.
    """

    name: str
    link: str
    own: tuple[tuple[float, ...], ...]
    support: str
    variance: Callable[[np.ndarray, np.ndarray], np.ndarray]
    form: str = "plain"
    kind: str = "right"
    observe: Callable[[np.random.Generator, np.ndarray], Columns] = lambda rng, y: (y,)
    etas: tuple[float, ...] = (-1.5, 0.3, 2.0)
    note: str = ""

    @property
    def label(self) -> str:
        return "-".join(x for x in (self.name, self.link, self.note) if x)

    @property
    def family(self):
        return FAMILIES[self.name](link=self.link) if self.name != "cox" else CoxOfGroups(CUTS)

    @property
    def fitted(self):
        """The family as users give it."""
        return self.family if self.name != "cox" else Cox(CUTS)

    @property
    def durations(self) -> bool:
        return self.name in ("weibull", "exponential", "lognormal")

    def raw(self, *columns: np.ndarray) -> Raw:
        """Columns as ``read_outcome`` hands them over."""
        columns = tuple(np.asarray(c, dtype=float) for c in columns)
        return Raw(self.form, columns, "the_outcome", np.arange(1, len(columns[0]) + 1), self.kind)

    def simulate(self, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        values = np.stack([np.zeros_like(eta), np.full_like(eta, TRIALS)]) if self.support == "trials" else None
        return self.family.simulate(eta, own, rng, values)

    def make(self, rng: np.random.Generator, own: np.ndarray, groups: int = 200, spread: float = 1.0):
        """Response and linear predictor of simulated groups."""
        eta = spread * rng.standard_normal(groups)
        return self.family.read(self.raw(*self.observe(rng, self.simulate(eta, own, rng)))), eta

    def slopes(self, values: np.ndarray, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        out = np.full((4, len(eta)), np.nan)
        self.family.slopes(values, eta, own, out)
        return out


def right(rng, y):
    limit = np.quantile(y, 0.8) * rng.uniform(0.3, 1.7, len(y))
    return np.minimum(y, limit), y <= limit


def left(rng, y):
    limit = np.quantile(y, 0.4) * rng.uniform(0.3, 1.7, len(y))
    return np.maximum(y, limit), y >= limit


def interval(rng, y):
    """Wide and narrow intervals, some from zero (left-censored), some of no length (events)."""
    lower, upper = y * rng.uniform(0.3, 0.98, len(y)), y * rng.uniform(1.02, 3.0, len(y))
    kind = rng.integers(0, 8, len(y))
    return np.where(kind == 0, 0.0, np.where(kind == 1, y, lower)), np.where(kind == 1, y, upper)


def entered(rng, y):
    """Entry at some part of the time; some from the beginning."""
    time, event = right(rng, y)
    return np.where(rng.random(len(y)) < 0.3, 0.0, time * rng.uniform(0.05, 0.9, len(y))), time, event


def trials(rng, y):
    return y, np.full(len(y), float(TRIALS))


def squared(p):
    return p * (1.0 - p)


def chance(link):
    if link == "logit":
        return special.expit
    return special.ndtr if link == "probit" else lambda eta: -np.expm1(-np.exp(eta))


def beta_binomial_variance(eta, own):
    return TRIALS * squared(special.expit(eta)) * (1.0 + (TRIALS - 1.0) / (own[0] + 1.0))


def spread_counts(own):
    """1 / phi of the counts, zero for Poisson's."""
    return 1.0 / own[0] if len(own) == 2 else 0.0


def inflated_variance(eta, own):
    mu, zi = np.exp(eta), own[-1]
    return (1 - zi) * (mu + mu**2 * spread_counts(own) + zi * mu**2)


def hurdle_variance(eta, own):
    mu, hu = np.exp(eta), own[-1]
    none = np.exp(-mu) if len(own) == 1 else (own[0] / (own[0] + mu)) ** own[0]
    share = (1 - hu) / (1 - none)
    return share * (mu + mu**2 * (1 + spread_counts(own))) - (share * mu) ** 2


def ordinal_variance(link):
    def variance(eta, own):
        ends = np.vstack([np.zeros_like(eta), chance(link)(np.asarray(own)[:, None] - eta), np.ones_like(eta)])
        p, k = np.diff(ends, axis=0), np.arange(1, len(own) + 2)
        return k**2 @ p - (k @ p) ** 2

    return variance


def weibull_variance(eta, own):
    shape = own[0] if len(own) else 1.0
    return np.exp(2 * eta) * (special.gamma(1 + 2 / shape) - special.gamma(1 + 1 / shape) ** 2)


def lognormal_variance(eta, own):
    return np.expm1(own[0] ** 2) * np.exp(2 * eta + own[0] ** 2)


def cox_variance(eta, own):
    return np.exp(-2.0 * (eta + own[0]))


FORMS = {
    "": ("plain", "right", lambda rng, y: (y,)),
    "right": ("surv", "right", right),
    "left": ("surv", "left", left),
    "interval": ("surv", "interval", interval),
    "entry": ("surv", "right", entered),
}
LINKS = ("logit", "probit", "cloglog")
NEAR = (-1.5, 0.3, 1.0)

CASES = [
    Case("gaussian", "identity", ((0.7,), (3.0,)), "real", lambda eta, own: np.full_like(eta, own[0] ** 2)),
    Case(
        "student", "identity", ((0.7, 12.0), (2.0, 9.0)), "real",
        lambda eta, own: np.full_like(eta, own[0] ** 2 * own[1] / (own[1] - 2)),
    ),
    *(Case("bernoulli", k, ((),), "categories", lambda eta, own, k=k: squared(chance(k)(eta)), etas=NEAR)
      for k in LINKS),
    *(Case("binomial", k, ((),), "trials", lambda eta, own, k=k: TRIALS * squared(chance(k)(eta)), "trials",
           observe=trials, etas=NEAR)
      for k in LINKS),
    Case(
        "beta_binomial", "logit", ((3.0,), (40.0,)), "trials", beta_binomial_variance, "trials", observe=trials,
        etas=NEAR,
    ),
    *(Case(name, "log", own, "count", variance)
      for name, variance, own in (
          ("zero_inflated_poisson", inflated_variance, ((0.3,), (0.02,))),
          ("zero_inflated_negative_binomial", inflated_variance, ((0.7, 0.4), (4.0, 0.1))),
          ("hurdle_poisson", hurdle_variance, ((0.3,), (0.02,))),
          ("hurdle_negative_binomial", hurdle_variance, ((0.7, 0.4), (4.0, 0.1))),
      )),
    Case("poisson", "log", ((),), "count", lambda eta, own: np.exp(eta)),
    Case(
        "negative_binomial", "log", ((0.7,), (4.0,)), "count",
        lambda eta, own: np.exp(eta) + np.exp(2 * eta) / own[0],
    ),
    Case("gamma", "log", ((0.8,), (5.0,)), "positive", lambda eta, own: np.exp(2 * eta) / own[0]),
    Case(
        "beta", "logit", ((3.0,), (12.0,)), "share",
        lambda eta, own: squared(special.expit(eta)) / (1 + own[0]), etas=(-0.8, 0.0, 0.6),
    ),
    *(Case("ordinal", k, ((-1.0, 0.2, 0.9), (0.1,)), "categories", ordinal_variance(k), etas=NEAR) for k in LINKS),
    *(Case(name, link, own, "positive", variance, form, kind, observe, note=note)
      for name, link, own, variance in (
          ("weibull", "log", ((0.8,), (2.5,)), weibull_variance),
          ("exponential", "log", ((),), weibull_variance),
          ("lognormal", "identity", ((0.4,), (0.9,)), lognormal_variance),
      )
      for note, (form, kind, observe) in FORMS.items()),
    # a smooth density, which the rule of integration needs; test_cox.py has hazards that jump
    *(Case("cox", "log", ((-0.4,) * 4,), "positive", cox_variance, *FORMS[note], note=note)
      for note in ("", "right", "entry")),
]  # fmt: skip


@pytest.fixture(params=CASES, ids=lambda c: c.label)
def case(request):
    return request.param


@pytest.fixture(params=[c for c in CASES if not c.note], ids=lambda c: c.label)
def family_case(request):
    """A family and link, its plainest form of outcome."""
    return request.param


@pytest.fixture(params=[c for c in CASES if c.durations and not c.note], ids=lambda c: c.label)
def duration_case(request):
    return request.param


@pytest.fixture(scope="session")
def jax():
    module = pytest.importorskip("jax")
    module.config.update("jax_enable_x64", True)
    return module


@pytest.fixture(scope="session")
def cases():
    return CASES
