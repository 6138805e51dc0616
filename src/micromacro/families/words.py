"""What a unit of the linear predictor does to an outcome, in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Change:
    """What one more unit of the linear predictor does.

    Attributes
    ----------
    what : str
        What it changes; ``{y}`` stands for the outcome.
    factor : bool
        Whether it is multiplied by exp of the change (its logarithm moves with the linear predictor), or the change is
        added to it.
    verb : str
        ``is`` or ``are``.
    """

    what: str
    factor: bool
    verb: str = "is"

    def of(self, outcome: str) -> str:
        """What changes, of this outcome."""
        return self.what.replace("{y}", outcome)

    def value(self, change: np.ndarray) -> np.ndarray:
        """The difference, or the factor, that a change of the linear predictor makes."""
        return np.exp(change) if self.factor else np.asarray(change, dtype=float)


#: By link, for an outcome of which the linear predictor moves the mean.
OF_MEANS = {
    "identity": Change("the expected value of {y}", False),
    "log": Change("the expected value of {y}", True),
    "logit": Change("the odds m / (1 - m) of the expected {y}, m,", True, "are"),
}
#: By link, for outcomes that happen or not.
OF_EVENTS = {
    "logit": Change("the odds that {y} is 1", True, "are"),
    "probit": Change("the probit of the probability that {y} is 1", False),
    "cloglog": Change("-log(1 - p), p the probability that {y} is 1,", True),
}
#: By link, for numbers of successes.
OF_SUCCESSES = {
    "logit": Change("the odds of a success in {y}", True, "are"),
    "probit": Change("the probit of the probability of a success in {y}", False),
    "cloglog": Change("-log(1 - p), p the probability of a success in {y},", True),
}
#: By link, for ordered categories.
OF_ORDERED = {
    "logit": Change("the odds of a higher category of {y}", True, "are"),
    "probit": Change("the latent score behind {y}", False),
    "cloglog": Change("the latent score behind {y}", False),
}
#: Durations whose time is scaled, and those whose hazard is.
TIMES = {"log": Change("every quantile of {y}", True), "identity": Change("every quantile of {y}", True)}
HAZARDS = {"log": Change("the hazard of {y}", True)}
#: Outcomes around a centre that need not be their mean.
CENTRES = {"identity": Change("the centre of {y}", False)}
#: Counts whose zeros are apart from the others.
BEFORE_ZEROS = {"log": Change("the mean of {y} before its zeros are cut off", True)}
#: Categories against a first one, and alternatives of a set.
OF_CATEGORIES = {"logit": Change("the odds of a category of {y} against the first", True, "are")}
OF_CHOICES = {"logit": Change("the odds of an alternative against any other of its set", True, "are")}
