"""What a unit of the linear predictor does to an outcome, and what a family's parameters say, in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

if TYPE_CHECKING:
    from .response import Response


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
    sign : float
        -1 where it moves against the predictor.
    level : str
        What the linear predictor itself says, where that is not all that it changes.
    """

    what: str
    factor: bool
    verb: str = "is"
    sign: float = 1.0
    level: str = ""

    def of(self, outcome: str) -> str:
        """What changes, of this outcome."""
        return self.what.replace("{y}", outcome)

    def of_level(self, outcome: str) -> str:
        """What an intercept says, of this outcome."""
        return (self.level or self.what).replace("{y}", outcome)

    def value(self, change: np.ndarray) -> np.ndarray:
        """The difference, or the factor, that a change of the linear predictor makes."""
        return np.exp(self.sign * change) if self.factor else self.sign * np.asarray(change, dtype=float)


@dataclass(frozen=True)
class Meaning:
    """What a parameter of a family says.

    Attributes
    ----------
    noun : str
        What it is: what moves where it has a linear predictor.
    quantity : str
        What the number is that the sentence gives.
    text : str
        ``{y}`` stands for the outcome, ``{value}`` and ``{name}`` for the parameter, ``{number}`` for the number,
        ``{mean}`` for the mean of the outcome.
    number : callable
        From the parameter and the mean of the outcome to the number; monotone in the parameter.
    nothing : (float, str) or None
        A number at which the family is a simpler one, and what it then is.
    """

    noun: str
    quantity: str
    text: str
    number: Callable[[np.ndarray, float], np.ndarray] = lambda value, _: value
    nothing: tuple[float, str] | None = None


def scatter(what: str) -> Meaning:
    """A standard deviation."""
    return Meaning(
        "the residual standard deviation",
        "residual standard deviation",
        f"{what} has a standard deviation of {{number}}",
    )


def times(level: str) -> dict[str, Change]:
    """By link, for durations whose time is scaled; `level` is the one that exp of the linear predictor is."""
    return {link: Change("every quantile of {y}", True, level=level) for link in ("log", "identity")}


ZI = Meaning(
    "the probability of a certain zero", "probability", "The probability that {y} is a certain zero is {number}"
)
HU = Meaning("the probability of a zero", "probability", "The probability that {y} is zero is {number}")
BEYOND_POISSON = Meaning(
    "the precision of the counts", "ratio of variances",
    "{name} = {value}: where a count of {mean} is expected, its variance is {number} times that of a Poisson count",
    lambda phi, mean: 1.0 + mean / phi, (1.0, "a Poisson count"),
)  # fmt: skip


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
#: Durations whose hazard is scaled; see :func:`times` for those whose time is.
HAZARDS = {"log": Change("the hazard of {y}", True)}
#: Outcomes around a centre that need not be their mean.
CENTRES = {"identity": Change("the centre of {y}", False)}
#: Counts some of whose zeros are certain.
OF_OTHERS = {"log": Change("the expected value of {y} where it is not a certain zero", True)}
#: Counts whose zeros are apart from the others.
BEFORE_ZEROS = {"log": Change("the mean of {y} before its zeros are cut off", True)}
#: Categories against a first one, and alternatives of a set.
OF_CATEGORIES = {"logit": Change("the odds of a category of {y} against the first", True, "are")}
OF_CHOICES = {"logit": Change("the odds of an alternative against any other of its set", True, "are")}


class Worded:
    """What families say of themselves.

    Attributes
    ----------
    changes : mapping
        What a unit of the linear predictor does to an outcome, by link.
    meanings : mapping
        What its parameters say, by their class.
    """

    name: str
    link: str
    changes: ClassVar[Mapping[str, Change]] = OF_MEANS
    meanings: ClassVar[Mapping[str, Meaning]] = {}

    def change_of(self, predictor: str | None, response: Response) -> Change:
        """What one more unit of a linear predictor does, where there are several (`copies`)."""
        return self.change

    def meaning_of(self, name: str, kind: str, response: Response) -> Meaning | None:
        """What one of its parameters says, by its name and class."""
        return self.meanings.get(kind)

    @property
    def change(self) -> Change:
        """What one more unit of the linear predictor does to an outcome."""
        return self.changes.get(self.link, Change("the linear predictor of {y}", False))
