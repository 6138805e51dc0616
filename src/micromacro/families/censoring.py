"""Durations as they are observed: censored, observed from a later entry on, and replicated under the same censoring.

Right-censored durations keep their censoring times; for a group with an event, whose censoring time was not seen, one
is drawn from the Kaplan-Meier estimate of the censoring distribution beyond its event (the conditional bootstrap,
Davison and Hinkley 1997, algorithm 3.1). Groups that entered late are simulated given that they last until their entry.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from ..errors import EngineError
from ..numerics.roots import falling_root
from .base import Family, Recession
from .response import EVENT, INTERVAL, LEFT, RIGHT, Limits, Raw, Response, survival


class Duration(Family):
    """A family of durations: what all of them share.

    The rows of its outcomes are those of :func:`~micromacro.families.response.survival`, unless it says otherwise. To
    be supplied beside what every family supplies: ``cumulative_hazard``, ``median``, ``simulate_after`` and
    ``mean_after``.
    """

    durations = True
    quantities = ("mean", "median")
    residuals = ("response", "pearson", "deviance", "quantile", "martingale")
    ratios: tuple[str, ...] = ("time_ratio",)

    def read(self, raw: Raw) -> Response:
        return survival(raw, self.name)

    def known(self, response: Response) -> Limits:
        code, time, upper = response.values[0], np.exp(response.values[1]), np.exp(response.values[2])
        low = np.where(code == LEFT, 0.0, time)
        high = np.where(code == RIGHT, np.inf, np.where(code == INTERVAL, upper, time))
        return Limits(low, np.where(code == EVENT, time, high))

    def entry(self, values: np.ndarray) -> np.ndarray:
        return np.exp(values[3])

    def log_ratio(self, word: str, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        if word == "time_ratio":
            return eta
        return super().log_ratio(word, eta, own)

    def recession(self, values: np.ndarray, own: int) -> Recession:
        code, log_time, log_upper = values[0], values[1], values[2]
        between = code == INTERVAL
        early, late = between & (log_time == -np.inf), between & (log_upper == np.inf)
        up, down = (code == RIGHT) | (late & ~early), (code == LEFT) | (early & ~late)
        return Recession.of_ends(up, down, own, ~(early & late))

    def hazard_until(self, log_time: np.ndarray, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Cumulative hazard (..., groups) at each group's own time; `log_time` as eta, or (groups,).

        The default is for hazards in which eta scales the time (`time_ratio`).
        """
        return self.cumulative_hazard(np.ones(1), eta - log_time, own)[..., 0]

    def median_of(self, eta: np.ndarray, weight: np.ndarray, own: np.ndarray) -> np.ndarray:
        """The time (..., groups) beyond which half of a population lasts; eta (nodes, ..., groups)."""
        each = np.log(self.median(eta, own))

        def over_half(log_time: np.ndarray) -> np.ndarray:
            return ndtri(np.tensordot(weight, np.exp(-self.hazard_until(log_time, eta, own)), axes=1))

        return np.exp(falling_root(over_half, each.min(axis=0), each.max(axis=0)))

    def spent(self, log_time: np.ndarray, values: np.ndarray, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Cumulative hazard (groups,) from each group's entry until a time."""
        with np.errstate(all="ignore"):
            return self.hazard_until(log_time, eta, own) - self.hazard_until(np.log(self.entry(values)), eta, own)

    def pearson(self, response: Response, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        """As for any outcome; mean and variance of what entered late are those given that it lasted until then."""
        entry, out = self.entry(response.values), super().pearson(response, eta, own)
        late = (entry > 0.0) & self.known(response).exact
        if not late.any():
            return out
        with np.errstate(all="ignore"):
            mean = self.mean_after(eta, own, entry)
            spread = np.sqrt(self.square_after(eta, own, entry) - mean**2)
            given = np.sqrt(response.weight) * (response.observed - mean) / spread
        return np.where(late, given, out)

    def square_after(self, eta: np.ndarray, own: np.ndarray, entry: np.ndarray) -> np.ndarray:
        """Expected squares of durations (groups,) that are known to last until `entry`; nan where nothing is known."""
        return np.full(np.shape(eta), np.nan)

    def tails(self, response: Response, eta: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Below the earliest and above the latest time that each may have lasted, given that it lasted until entry."""
        known = self.known(response)
        with np.errstate(divide="ignore"):
            low, high = (self.spent(np.log(t), response.values, eta, own) for t in (known.low, known.high))
        nothing = (known.low == 0.0) & known.endless
        below = np.where(known.low == 0.0, 0.0, -np.expm1(-low))
        return np.where(nothing, np.nan, below), np.where(known.endless, 0.0, np.exp(-high))

    def martingale(self, response: Response, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Events less the cumulative hazard over the time at risk; nan where the end is not known or censored."""
        known = self.known(response)
        with np.errstate(divide="ignore"):
            hazard = self.spent(np.log(known.low), response.values, eta, own)
        followed = (known.exact | known.endless) & (known.low > 0.0)
        return np.where(followed, known.exact - hazard, np.nan)

    def follow_up(self, seen: np.ndarray) -> float:
        """Until when simulated durations are followed, where some were censored at the times `seen`."""
        return np.inf

    def redraw(self, response: Response, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator) -> Response:
        known, entry = self.known(response), self.entry(response.values)
        event = known.exact
        if np.any(~event & ~known.endless):
            raise EngineError(
                "the parametric bootstrap cannot simulate interval or left censoring: it does not know how they came "
                "about"
            )
        time = self.draw(eta, own, rng, response.values)
        limit = np.where(event, np.inf, known.low)
        if not event.all():
            at, lasting = censoring_distribution(known.low, ~event, entry)
            for i in np.flatnonzero(event):
                limit[i] = _beyond(at, lasting, known.low[i], rng.random())
            limit = np.minimum(limit, self.follow_up(known.low))
        seen, ended = np.minimum(time, limit), time <= limit
        if entry.any():
            return self.again(response, "surv", entry, seen, ended.astype(float))
        if np.any(limit == 0.0):  # nothing is known of these, which surv(time, event) cannot say
            return self.again(response, "surv", seen, np.where(ended, seen, np.inf), kind="interval")
        return self.again(response, "surv", seen, ended.astype(float))


def censoring_distribution(
    time: np.ndarray, censored: np.ndarray, entry: np.ndarray | float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Kaplan-Meier estimate of the distribution of censoring times: times and P(C > time)."""
    at = np.unique(time[censored])
    exposed = np.array([np.sum((time >= t) & ((np.asarray(entry) < t) | (t == 0.0))) for t in at])
    ended = np.array([np.sum(time[censored] == t) for t in at])
    return at, np.cumprod(1.0 - ended / exposed)


def _beyond(at: np.ndarray, survival: np.ndarray, time: float, uniform: float) -> float:
    """A censoring time drawn given that it is later than `time`; infinite where the estimate never ends."""
    later = np.searchsorted(at, time, side="right")
    above = survival[later - 1] if later else 1.0
    if above <= 0.0:
        return np.inf
    down = np.flatnonzero(survival[later:] <= uniform * above)
    return float(at[later + down[0]]) if len(down) else np.inf
