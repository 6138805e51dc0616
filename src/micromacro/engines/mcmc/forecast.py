"""How long a run of chains will take and how much memory its draws, from one timed evaluation."""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass

import numpy as np

from ...model.specification import Specification
from ...numerics.memory import size
from ..base import Settings
from ..coordinates import Scores
from ..marginals import marginal_of
from ..progress import duration
from ..search import Peak

EACH = 7.0  # evaluations in an iteration, about: moves of theta with what they try
LONG = 0.1  # seconds of an evaluation that is timed once
ALONG = 12.0  # the same where x is not integrated out and moves along with theta


@dataclass(frozen=True)
class Forecast:
    """A run to come.

    Attributes
    ----------
    seconds : float
        Until all chains are done, if a core each is free for as many as there are.
    each : float
        Seconds of one evaluation.
    memory : float
        Bytes of the draws.
    """

    seconds: float
    each: float
    memory: float

    def words(self, settings: Settings) -> str:
        """As it is told before a long run."""
        many = settings.tune + settings.draws
        return (
            f"mcmc: {settings.chains} chains of {many:,} iterations take about {duration(self.seconds)} (one "
            f"evaluation takes {1000.0 * self.each:.3g} ms), their draws {size(self.memory)}"
        )


def forecast(specification: Specification, peak: Peak, settings: Settings, kept: int) -> Forecast:
    """What a run is expected to take; `kept` entries of x are kept of each draw."""
    marginal, coordinates = marginal_of(specification), Scores(specification.system.hypers)
    room, theta = marginal.workspace(gradient=False), coordinates.theta(peak.u)
    with np.errstate(all="ignore"):
        marginal.value(theta, room)  # the first one compiles, and finds the mode
        each = math.inf
        for _ in range(3):  # the shortest of them, unless one is long
            began = time.perf_counter()
            marginal.value(theta, room)
            each = min(each, time.perf_counter() - began)
            if each > LONG:
                break
    rounds = math.ceil(settings.chains / max(1, cores()))
    memory = 8.0 * settings.chains * settings.draws * (kept + len(specification.system.hypers))
    iteration = (EACH if marginal.exact else ALONG) * each
    return Forecast(iteration * rounds * (settings.tune + settings.draws), each, memory)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
