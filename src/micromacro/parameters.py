"""Parameters: their names, classes, priors and starting values.

A model has two sorts. *Coefficients* enter the linear predictor linearly and sit in the latent vector x; *hyper*
parameters (weight parameters, standard deviations, the family's own) make up theta. A coefficient whose prior is
not normal is a hyper parameter too: given theta everything left is Gaussian.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .errors import ModelError
from .priors import FLAT, Exponential, Fixed, Flat, HalfCauchy, Lkj, Normal, Prior, Uniform

#: The classes that a key of ``priors=`` may name, and what each holds.
CLASSES = {
    "b": "coefficients (the intercept apart)",
    "Intercept": "the intercept, at mean covariates",
    "w": "weight parameters",
    "sd": "standard deviations of effects",
    "cor": "correlations of effects",
    "rho": "dependence of effects in time or along a graph",
    "scale": "scales of shared effects",
    "sigma": "residual standard deviation",
    "shape": "shape of a family",
    "phi": "dispersion of a family",
    "nu": "degrees of freedom of a family",
    "cut": "cuts between ordered categories",
    "baseline": "log hazards of the baseline (cox), per unit of time, at mean covariates; a gamma prior applies to "
    "the hazards",
    "aggregate": "shapes of aggregation features",
}

HIGHEST = 1.0 - 1e-6  # of a rho: at 1 its effects are one, and their precision does not exist

_VAGUE: dict[str, Prior] = {
    "b": Normal(0.0, 100.0),
    "Intercept": Normal(0.0, 100.0),
    "w": Normal(0.0, 1.0),
    "sd": HalfCauchy(25.0),
    "cor": Lkj(1.0),
    "rho": Uniform(0.0, 1.0),
    "scale": Normal(0.0, 100.0),
    "sigma": HalfCauchy(25.0),
    "shape": Exponential(0.001),
    "phi": Exponential(0.001),
    "nu": Exponential(0.001),
    "cut": Normal(0.0, 100.0),
    "baseline": Normal(0.0, 100.0),
}
_POSITIVE = ("sd", "sigma", "shape", "phi", "nu")


@dataclass(frozen=True)
class Parameter:
    """One parameter of the model.

    Attributes
    ----------
    name : str
        As in every table: ``nox``, ``neighbour.w.b1``, ``neighbour.sd``, ``sigma``.
    kind : str
        Its class, a key of :data:`CLASSES`.
    prior : Prior
    start : float
        Where a search begins (natural scale).
    default : bool
        Whether the prior is the one scaled by the data and not the user's.
    guess : Prior or None
        The prior scaled by the data: where the parameter's own is flat, further starts are drawn from it.
    above_zero : bool
        Whether it is positive though its class as a whole is not.
    """

    name: str
    kind: str
    prior: Prior
    start: float = 0.0
    default: bool = True
    guess: Prior = FLAT
    above_zero: bool = False

    @property
    def positive(self) -> bool:
        """Whether the parameter lives on the positive numbers."""
        return self.kind in _POSITIVE or self.above_zero

    @property
    def fixed(self) -> bool:
        """Whether its value is given and nothing is estimated."""
        return isinstance(self.prior, Fixed)

    @property
    def linear(self) -> bool:
        """Whether it is a coefficient (of class ``b`` or ``Intercept``)."""
        return self.kind in ("b", "Intercept")


class PriorBook:
    """The user's ``priors=``: hands out the prior of each parameter and remembers which keys were used.

    Parameters
    ----------
    given : mapping or str or None
        Parameter names or classes to priors, or ``"flat"`` or ``"vague"``; a mapping may have the key
        ``"default"`` with one of these two words.
    fixed : mapping, optional
        Parameter names to values that are not to be estimated.
    """

    def __init__(self, given: Mapping[str, Prior | str] | str | None, fixed: Mapping[str, float] | None = None):
        self._rest = "default"
        self._given: dict[str, Prior] = {}
        if isinstance(given, str):
            self._rest = self._word(given)
        elif given is not None and not isinstance(given, Mapping):
            self._word(given)
        elif given is not None:
            for key, prior in given.items():
                if key == "default":
                    self._rest = self._word(prior)
                else:
                    self._given[key] = self._checked(key, prior)
        self._fixed = self._values(fixed)
        self._known: list[str] = []

    def _values(self, fixed: Mapping[str, float] | None) -> dict[str, Fixed]:
        """``fixed=`` as priors that leave no choice."""
        if fixed is not None and not isinstance(fixed, Mapping):
            raise ModelError(
                f'fixed= is a dictionary from parameter names to numbers, as {{"sigma": 1}}, not {fixed!r}'
            )
        out = {}
        for name, value in (fixed or {}).items():
            if name in self._given:
                raise ModelError(f"{name!r} has a prior in priors= and a value in fixed=: give one of the two")
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                raise ModelError(f"fixed: the value of {name!r} must be a finite number, not {value!r}")
            out[name] = Fixed(float(value))
        return out

    @staticmethod
    def _word(word: object) -> str:
        if word not in ("flat", "vague", "default"):
            raise ModelError(
                f'priors={word!r} is not known: use "flat", "vague", or a dictionary from parameter names or classes '
                f"({', '.join(CLASSES)}) to priors such as mm.prior.normal(0, 1)"
            )
        return str(word)

    @staticmethod
    def _checked(key: str, prior: object) -> Prior:
        if isinstance(prior, Prior):
            return prior
        if prior == "flat":
            return FLAT
        raise ModelError(
            f"the prior of {key!r} must be made by mm.prior (for instance mm.prior.normal(0, 1)) or 'flat'"
        )

    @property
    def empty(self) -> bool:
        """Whether the user gave no prior at all."""
        return not self._given and not self._fixed and self._rest == "default"

    @property
    def given(self) -> dict[str, Prior | str]:
        """The priors that make this book again."""
        return {"default": self._rest, **self._given}

    @property
    def fixed(self) -> dict[str, float]:
        """The values given with ``fixed=``."""
        return {name: prior.value for name, prior in self._fixed.items()}

    def explicit(self, name: str, kind: str) -> Prior | None:
        """The prior that the user gave this parameter by name or class, if any."""
        return self._fixed.get(name, self._given.get(name, self._given.get(kind)))

    def parameter(
        self, name: str, kind: str, default: Prior, start: float = 0.0, flat: bool = False, positive: bool = False
    ) -> Parameter:
        """Make a parameter with the user's prior, or else the default one (none at all if `flat`)."""
        self._known.append(name)
        prior, chosen = self.explicit(name, kind), True
        if prior is None:
            chosen = False
            if (flat and self._rest == "default") or self._rest == "flat":
                prior = FLAT
            else:
                prior = _VAGUE.get(kind, default) if self._rest == "vague" else default
        self._check_support(name, kind, prior, positive)
        low, high = prior.support
        if not low <= start <= high or (start in (low, high) and kind != "sd"):
            start = prior.from_score(0.0)
        return Parameter(name, kind, prior, float(start), not chosen, default, positive)

    @staticmethod
    def _check_support(name: str, kind: str, prior: Prior, positive: bool) -> None:
        if isinstance(prior, Fixed):
            _check_value(name, kind, prior.value)
            return
        if isinstance(prior, Lkj) and kind != "cor":
            raise ModelError(f"the prior {prior} is for correlations, but {name!r} is of class {kind}: {CLASSES[kind]}")
        if (kind in _POSITIVE or positive) and prior.proper and prior.support[0] < 0:
            raise ModelError(
                f"the prior {prior} of {name!r} allows negative values, but {name!r} is positive: use half_normal, "
                "half_student, half_cauchy, exponential, gamma or uniform"
            )
        if kind == "cor" and prior.proper and (prior.support[0] < -1 or prior.support[1] > 1):
            raise ModelError(f"the prior {prior} of the correlation {name!r} must lie in [-1, 1]: use mm.prior.lkj(1)")
        if kind == "rho" and prior.proper and (prior.support[0] < 0 or prior.support[1] > 1):
            raise ModelError(f"the prior {prior} of {name!r} must lie in [0, 1]: use mm.prior.uniform(0, 1) or beta")

    def check_all_used(self, kinds: Iterable[str]) -> None:
        """Raise for a key that names no parameter and no class of this model."""
        kinds = set(kinds)
        for key in self._fixed:
            if key not in self._known:
                near = difflib.get_close_matches(key, self._known, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise ModelError(f"fixed: there is no parameter {key!r}{hint}\nparameters: {', '.join(self._known)}")
        for key in self._given:
            if key in self._known or key in kinds:
                continue
            near = difflib.get_close_matches(key, self._known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            what = "no parameter of this model is of class" if key in CLASSES else "there is no parameter or class"
            raise ModelError(
                f"priors: {what} {key!r}{hint}\nparameters: {', '.join(self._known)}\n"
                f"classes: {', '.join(sorted(kinds))}"
            )


def _check_value(name: str, kind: str, value: float) -> None:
    """Refuse a fixed value that the parameter cannot have."""
    if kind in _POSITIVE and (value < 0.0 or (value == 0.0 and kind != "sd")):
        what = "zero or positive" if kind == "sd" else "positive"
        raise ModelError(f"{name!r} is fixed at {value:g}, but it must be {what}")
    if kind == "cor" and not -1.0 <= value <= 1.0:
        raise ModelError(f"the correlation {name!r} is fixed at {value:g}, but it must lie in [-1, 1]")
    if kind == "rho" and not 0.0 <= value <= HIGHEST:
        raise ModelError(f"{name!r} is fixed at {value:g}, but it must lie in [0, 1)")


def is_conjugate(prior: Prior) -> bool:
    """Whether a coefficient with this prior can sit in the latent Gaussian vector."""
    return isinstance(prior, (Normal, Flat))
