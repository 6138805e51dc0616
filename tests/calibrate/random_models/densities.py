"""Log densities of outcomes written straight from the page on families, and draws from them.

No code of the package: SciPy's special functions, one density per family, and derivatives in the linear predictor by
seven-point differences, whose error is about 1e-9 of the derivative.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

Own = dict[str, float]
Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class Family:
    """A family as the reference knows it.

    Attributes
    ----------
    word : str
        Its name in the package, or a key of ``MAKE`` in ``generator.py``.
    outcome : str
        Left side of the formula.
    log_density : function of columns (groups,), eta (..., groups) and own parameters -> (..., groups)
    draw : function of eta, own parameters and a generator -> columns
    truth : dict
        Own parameters at ordinary places.
    intercept : bool
    """

    word: str
    outcome: str
    log_density: Callable[[Columns, np.ndarray, Own], np.ndarray]
    draw: Callable[[np.ndarray, Own, np.random.Generator], Columns]
    truth: Own
    intercept: bool = True

    def scale(self, own: Own) -> float:
        """The distance in eta over which the density changes."""
        return min(1.0, own.get("sigma", 1.0), 1.0 / own.get("shape", 1.0) if self.word == "weibull" else 1.0)

    def slopes(self, columns: Columns, eta: np.ndarray, own: Own) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Log density, first and second derivative, each (groups,)."""
        h = 0.01 * self.scale(own)
        v = self.log_density(columns, eta + h * np.arange(-3.0, 4.0)[:, None], own)
        first = (v[6] - v[0] - 9.0 * (v[5] - v[1]) + 45.0 * (v[4] - v[2])) / (60.0 * h)
        second = (2.0 * (v[6] + v[0]) - 27.0 * (v[5] + v[1]) + 270.0 * (v[4] + v[2]) - 490.0 * v[3]) / (180.0 * h * h)
        return v[3], first, second


def _gaussian(d: Columns, eta: np.ndarray, own: Own) -> np.ndarray:
    return -0.5 * ((d["y"] - eta) / own["sigma"]) ** 2 - np.log(own["sigma"]) - 0.5 * np.log(2 * np.pi)


def _student(d: Columns, eta: np.ndarray, own: Own) -> np.ndarray:
    s, nu = own["sigma"], own["nu"]
    constant = special.gammaln((nu + 1) / 2) - special.gammaln(nu / 2) - 0.5 * np.log(nu * np.pi) - np.log(s)
    return constant - (nu + 1) / 2 * np.log1p(((d["y"] - eta) / s) ** 2 / nu)


def _binary(link: str) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Logarithms of the probabilities of one and of zero."""
    if link == "logit":
        return lambda e: (-np.logaddexp(0, -e), -np.logaddexp(0, e))
    if link == "probit":
        return lambda e: (special.log_ndtr(e), special.log_ndtr(-e))
    return lambda e: (np.log(-np.expm1(-np.exp(e))), -np.exp(e))


def _binomial(link: str, trials: int) -> Callable[[Columns, np.ndarray, Own], np.ndarray]:
    logs = _binary(link)

    def density(d: Columns, eta: np.ndarray, own: Own) -> np.ndarray:
        one, zero = logs(eta)
        k = d["y"]
        ways = special.gammaln(trials + 1) - special.gammaln(k + 1) - special.gammaln(trials - k + 1)
        return ways + np.where(k > 0, k * one, 0.0) + np.where(k < trials, (trials - k) * zero, 0.0)

    return density


def _poisson(d: Columns, eta: np.ndarray, own: Own) -> np.ndarray:
    return d["y"] * eta - np.exp(eta) - special.gammaln(d["y"] + 1)


def _negative_binomial(d: Columns, eta: np.ndarray, own: Own) -> np.ndarray:
    y, phi, mu = d["y"], own["phi"], np.exp(eta)
    if phi > 1e6:  # to second order in 1 / phi: differences of log gamma functions lose all digits
        ways = y * np.log(phi) + y * (y - 1) / (2 * phi)
    else:
        ways = special.gammaln(y + phi) - special.gammaln(phi)
    return ways - special.gammaln(y + 1) + y * (eta - np.log(phi + mu)) - phi * np.log1p(mu / phi)


def _gamma(d: Columns, eta: np.ndarray, own: Own) -> np.ndarray:
    y, a = d["y"], own["shape"]
    return a * (np.log(a) - eta) + (a - 1) * np.log(y) - a * y * np.exp(-eta) - special.gammaln(a)


def _beta(d: Columns, eta: np.ndarray, own: Own) -> np.ndarray:
    y, phi, mu = d["y"], own["phi"], special.expit(eta)
    a, b = mu * phi, special.expit(-eta) * phi
    return (a - 1) * np.log(y) + (b - 1) * np.log1p(-y) - special.betaln(a, b)


def _ordinal(link: str) -> Callable[[Columns, np.ndarray, Own], np.ndarray]:
    logs = _binary(link)

    def density(d: Columns, eta: np.ndarray, own: Own) -> np.ndarray:
        cuts = np.array([-np.inf, *(own[f"cut.{k}"] for k in range(1, 1 + len(own))), np.inf])
        if np.any(np.diff(cuts) <= 0):
            return np.full(eta.shape, -np.inf)
        k = d["y"].astype(int)
        with np.errstate(all="ignore"):
            upper, lower = logs(cuts[k] - eta), logs(cuts[k - 1] - eta)
            below = upper[0] + np.log(-np.expm1(np.minimum(lower[0] - upper[0], 0.0)))
            above = lower[1] + np.log(-np.expm1(np.minimum(upper[1] - lower[1], 0.0)))
        out = np.where(upper[0] < np.log(0.5), below, above)
        return np.where(k == 1, upper[0], np.where(k == len(cuts) - 1, lower[1], out))

    return density


def _durations(log_survival: Callable, log_hazard: Callable) -> Callable[[Columns, np.ndarray, Own], np.ndarray]:
    """Events, censored on the right, in an interval (`upper`), entered late (`since`)."""

    def density(d: Columns, eta: np.ndarray, own: Own) -> np.ndarray:
        low = log_survival(d["y"], eta, own)
        out = low + np.where(d["event"] == 1, log_hazard(d["y"], eta, own), 0.0)
        if "upper" in d:
            high = np.where(np.isfinite(d["upper"]), log_survival(np.minimum(d["upper"], 1e300), eta, own), -np.inf)
            out = low + np.log(-np.expm1(high - low))
        return out - log_survival(d["since"], eta, own) if "since" in d else out

    return density


def _log_time(t: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(t)


def _weibull_survival(t: np.ndarray, eta: np.ndarray, own: Own) -> np.ndarray:
    return -np.exp(own.get("shape", 1.0) * (_log_time(t) - eta))


def _weibull_hazard(t: np.ndarray, eta: np.ndarray, own: Own) -> np.ndarray:
    a = own.get("shape", 1.0)
    return np.log(a) + (a - 1) * _log_time(t) - a * eta


def _lognormal_survival(t: np.ndarray, eta: np.ndarray, own: Own) -> np.ndarray:
    return special.log_ndtr(-(_log_time(t) - eta) / own["sigma"])


def _lognormal_hazard(t: np.ndarray, eta: np.ndarray, own: Own) -> np.ndarray:
    u = (_log_time(t) - eta) / own["sigma"]
    return -0.5 * u * u - np.log(own["sigma"]) - 0.5 * np.log(2 * np.pi) - _log_time(t) - special.log_ndtr(-u)


CUTS = (0.5, 1.5)  # of cox


def _cox_exposure(t: np.ndarray, own: Own) -> np.ndarray:
    edges = np.array([0.0, *CUTS, np.inf])
    inside = np.clip(t[:, None] - edges[:-1], 0.0, np.diff(edges))
    return inside @ np.exp([own[f"baseline.{k}"] for k in range(1, len(edges))])


def _cox_survival(t: np.ndarray, eta: np.ndarray, own: Own) -> np.ndarray:
    return -np.exp(eta) * _cox_exposure(t, own)


def _cox_hazard(t: np.ndarray, eta: np.ndarray, own: Own) -> np.ndarray:
    base = np.array([own[f"baseline.{k}"] for k in range(1, len(CUTS) + 2)])
    return eta + base[np.searchsorted(CUTS, t)]


def _cox_times(eta: np.ndarray, own: Own, rng: np.random.Generator) -> np.ndarray:
    need = rng.exponential(size=len(eta)) * np.exp(-eta)
    edges = np.array([0.0, *CUTS])
    hazard = np.exp([own[f"baseline.{k}"] for k in range(1, len(edges) + 1)])
    start = np.concatenate([[0.0], np.cumsum(np.diff(edges) * hazard[:-1])])
    k = np.searchsorted(start, need, side="right") - 1
    return edges[k] + (need - start[k]) / hazard[k]


def _seen(times: np.ndarray, rng: np.random.Generator, form: str) -> Columns:
    """Durations as they are observed: some censored, some entered late, or between two times."""
    n = len(times)
    if form == "interval":
        upper = np.where(rng.random(n) < 0.2, np.inf, times * rng.uniform(1.05, 1.6, n))
        return {"y": times * rng.uniform(0.5, 0.95, n), "upper": upper, "event": np.zeros(n)}
    end = np.quantile(times, 0.8) * rng.uniform(0.4, 3.0, n)
    out = {"y": np.minimum(times, end), "event": (times <= end).astype(float)}
    if form == "entry":
        out["since"] = np.where(rng.random(n) < 0.5, 0.0, rng.uniform(0.1, 0.6, n)) * out["y"]
    return out


def _weibull_times(eta: np.ndarray, own: Own, rng: np.random.Generator) -> np.ndarray:
    return np.exp(eta) * rng.exponential(size=len(eta)) ** (1.0 / own.get("shape", 1.0))


def _lognormal_times(eta: np.ndarray, own: Own, rng: np.random.Generator) -> np.ndarray:
    return np.exp(eta + own["sigma"] * rng.standard_normal(len(eta)))


def _categories(eta: np.ndarray, own: Own, rng: np.random.Generator) -> Columns:
    u = eta + rng.logistic(size=len(eta))
    return {"y": 1.0 + np.searchsorted([own[f"cut.{k}"] for k in range(1, 1 + len(own))], u)}


def _counted(probability: Callable, trials: int) -> Callable[[np.ndarray, Own, np.random.Generator], Columns]:
    return lambda e, own, r: {"y": r.binomial(trials, probability(e)).astype(float)}


def _beta_draw(eta: np.ndarray, own: Own, rng: np.random.Generator) -> Columns:
    mu, phi = special.expit(eta), own["phi"]
    return {"y": np.clip(rng.beta(mu * phi, (1 - mu) * phi), 1e-4, 1 - 1e-4)}


def _duration(word: str, form: str, times: Callable, survival: Callable, hazard: Callable, truth: Own) -> Family:
    outcome = {
        "right": "surv(y, event)", "entry": "surv(since, y, event)", "interval": "surv(y, upper, type = 'interval')",
    }[form]  # fmt: skip
    return Family(
        word, outcome, _durations(survival, hazard), lambda e, own, r: _seen(times(e, own, r), r, form), truth,
        intercept=word != "cox",
    )  # fmt: skip


_EXTREME = stats.gumbel_l.cdf  # 1 - exp(-exp(eta))
_WEIBULL = (_weibull_times, _weibull_survival, _weibull_hazard)
_LOGNORMAL = (_lognormal_times, _lognormal_survival, _lognormal_hazard)
_COX = (_cox_times, _cox_survival, _cox_hazard)
_HAZARDS = {"baseline.1": -0.8, "baseline.2": -0.4, "baseline.3": -0.6}
_THREE = {"cut.1": -0.7, "cut.2": 0.6, "cut.3": 1.7}

#: By name: the thirteen families, some with another link or another form of the outcome.
FAMILIES: dict[str, Family] = {
    "gaussian": Family(
        "gaussian", "y", _gaussian, lambda e, own, r: {"y": e + own["sigma"] * r.standard_normal(len(e))},
        {"sigma": 0.6},
    ),
    "student": Family(
        "student", "y", _student, lambda e, own, r: {"y": e + own["sigma"] * r.standard_t(own["nu"], len(e))},
        {"sigma": 0.5, "nu": 5.0},
    ),
    "bernoulli": Family("bernoulli", "y", _binomial("logit", 1), _counted(special.expit, 1), {}),
    "bernoulli probit": Family("bernoulli probit", "y", _binomial("probit", 1), _counted(special.ndtr, 1), {}),
    "binomial": Family("binomial", "trials(y, 6)", _binomial("logit", 6), _counted(special.expit, 6), {}),
    "binomial cloglog": Family(
        "binomial cloglog", "trials(y, 6)", _binomial("cloglog", 6), _counted(_EXTREME, 6), {}
    ),
    "poisson": Family("poisson", "y", _poisson, lambda e, own, r: {"y": r.poisson(np.exp(e)).astype(float)}, {}),
    "negative_binomial": Family(
        "negative_binomial", "y", _negative_binomial,
        lambda e, own, r: {"y": r.poisson(np.exp(e) * r.gamma(own["phi"], 1 / own["phi"], len(e))).astype(float)},
        {"phi": 3.0},
    ),
    "gamma": Family(
        "gamma", "y", _gamma, lambda e, own, r: {"y": r.gamma(own["shape"], np.exp(e) / own["shape"])}, {"shape": 3.0}
    ),
    "beta": Family("beta", "y", _beta, _beta_draw, {"phi": 8.0}),
    "ordinal": Family("ordinal", "y", _ordinal("logit"), _categories, _THREE, intercept=False),
    "ordinal probit": Family("ordinal probit", "y", _ordinal("probit"), _categories, _THREE, intercept=False),
    "weibull": _duration("weibull", "right", *_WEIBULL, {"shape": 1.6}),
    "weibull entry": _duration("weibull", "entry", *_WEIBULL, {"shape": 1.6}),
    "exponential": _duration("exponential", "right", *_WEIBULL, {}),
    "lognormal": _duration("lognormal", "right", *_LOGNORMAL, {"sigma": 0.7}),
    "lognormal interval": _duration("lognormal", "interval", *_LOGNORMAL, {"sigma": 0.7}),
    "cox": _duration("cox", "right", *_COX, _HAZARDS),
    "cox entry": _duration("cox", "entry", *_COX, _HAZARDS),
}  # fmt: skip
