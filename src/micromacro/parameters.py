"""Parameters: their names, classes, priors and starting values.

A model has two sorts. *Coefficients* enter the linear predictor linearly and sit in the latent vector x; *hyper*
parameters (weight parameters, standard deviations, the family's own) make up theta. A coefficient whose prior is
not normal is a hyper parameter too: given theta everything left is Gaussian.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass, replace
from decimal import Decimal
from numbers import Real
from typing import Any

from .errors import ModelError
from .priors import FLAT, Beta, Exponential, Fixed, Flat, HalfCauchy, Lkj, Normal, Pinned, Prior, Uniform

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
    "zi": "probability of a certain zero",
    "hu": "probability of a zero (hurdle)",
    "cut": "cuts between ordered categories",
    "baseline": "log hazards of the baseline (cox), per unit of time, at mean covariates; a gamma prior applies to "
    "the hazards",
    "aggregate": "shapes of aggregation features",
}

NARROW = 1e-6  # sd of a coefficient that is held: its variance is nothing, and rounding still small beside it
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
    "zi": Beta(1.0, 1.0),
    "hu": Beta(1.0, 1.0),
    "cut": Normal(0.0, 100.0),
    "baseline": Normal(0.0, 100.0),
}
_POSITIVE = ("sd", "sigma", "shape", "phi", "nu")
_SHARES = ("zi", "hu")


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
    aside : bool
        Whether it is an entry of theta whatever its prior: a coefficient of a parameter of the family.
    limits : tuple of (float, str)
        Values, on either side, at which it counts as infinite, with what is left of the model there.
    """

    name: str
    kind: str
    prior: Prior
    start: float = 0.0
    default: bool = True
    guess: Prior = FLAT
    above_zero: bool = False
    aside: bool = False
    limits: tuple[tuple[float, str], ...] = ()

    @property
    def positive(self) -> bool:
        """Whether the parameter lives on the positive numbers."""
        return self.kind in _POSITIVE or self.above_zero

    @property
    def share(self) -> bool:
        """Whether the parameter is a probability."""
        return self.kind in _SHARES

    @property
    def fixed(self) -> bool:
        """Whether its value is given and nothing is estimated."""
        return isinstance(self.prior, (Fixed, Pinned))

    @property
    def held(self) -> float:
        """The value at which it is fixed, as tables report it; nan where it is estimated."""
        if isinstance(self.prior, Fixed):
            return self.prior.value if self.prior.told is None else self.prior.told
        return self.prior.mean if isinstance(self.prior, Pinned) else math.nan

    @property
    def inside(self) -> bool:
        """Whether, as a coefficient, it can sit in the latent Gaussian vector."""
        return not self.aside and is_conjugate(self.prior)

    @property
    def linear(self) -> bool:
        """Whether it is a coefficient (of class ``b`` or ``Intercept``)."""
        return self.kind in ("b", "Intercept")


class PriorBook:
    """The user's ``priors=``: hands out the prior of each parameter and remembers which keys were used.

    Parameters
    ----------
    given : mapping, Series or str, optional
        Parameter names or classes to priors, or ``"flat"`` or ``"vague"``; a mapping may have the key
        ``"default"`` with one of these two words.
    fixed : mapping or Series, optional
        Parameter names to values that are not to be estimated.
    """

    def __init__(self, given: Any = None, fixed: Any = None):
        self._rest = "default"
        self._given: dict[str, Prior] = {}
        if isinstance(given, str):
            self._rest = self._word(given)
        elif given is not None and not holds_names(given):
            self._word(given)
        elif given is not None:
            for key, prior in by_name(given, "priors", "mm.prior.normal(0, 1)").items():
                if key == "default":
                    self._rest = self._word(prior)
                else:
                    self._given[key] = self._checked(key, prior)
        self._fixed = self._values(fixed)
        self._known: list[str] = []
        self._prefix, self._shared = "", tuple[str, ...]()

    def _values(self, fixed: Any) -> dict[str, Fixed]:
        """``fixed=`` as priors that leave no choice."""
        out = {}
        for name, value in by_name(fixed, "fixed", "1").items():
            if name in self._given:
                raise ModelError(f"{name!r} has a prior in priors= and a value in fixed=: give one of the two")
            out[name] = Fixed(number(value, "fixed", name))
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
            f"the prior of {key!r} must be made by mm.prior, or 'flat', not {prior!r}: mm.prior.half_normal(1) for a "
            "standard deviation, mm.prior.normal(0, 1) for a coefficient"
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
        name = name if kind in self._shared else self._prefix + name
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

    def restart(self) -> None:
        """Parameters are made anew."""
        self._known = []

    def under(self, prefix: str, shared: tuple[str, ...]) -> PriorBook:
        """The same book for parameters whose names begin with a prefix, but for those of some classes."""
        out = copy(self)
        out._prefix, out._shared = prefix, shared
        return out

    def forget(self, name: str) -> None:
        """A parameter that was made is not one of the model after all."""
        self._known = [known for known in self._known if known != name]

    @staticmethod
    def _check_support(name: str, kind: str, prior: Prior, positive: bool) -> None:
        if isinstance(prior, Fixed):
            check_value(name, kind, prior.value, "is fixed at", positive)
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
        if kind in _SHARES and prior.proper and (prior.support[0] < 0 or prior.support[1] > 1):
            raise ModelError(
                f"the prior {prior} of {name!r} must lie in [0, 1]: use mm.prior.beta(1, 1) or mm.prior.uniform(0, 1)"
            )
        if kind == "rho" and prior.proper and (prior.support[0] < 0 or prior.support[1] > 1):
            raise ModelError(f"the prior {prior} of {name!r} must lie in [0, 1]: use mm.prior.uniform(0, 1) or beta")

    def respelled(self, kinds: Iterable[str]) -> PriorBook | None:
        """The book with the model's own spelling of names that differ from it in case; None if there are none."""
        kinds = set(kinds)

        def own(key: str, known: Iterable[str]) -> str:
            return key if key in self._known else spelled(key, known) or key

        given = {own(key, (*self._known, *kinds)): prior for key, prior in self._given.items()}
        fixed = {own(key, self._known): prior.value for key, prior in self._fixed.items()}
        if set(given) == set(self._given) and set(fixed) == set(self._fixed):
            return None
        if len(given) < len(self._given) or len(fixed) < len(self._fixed):
            return None  # the same name twice: the spelling that is not the model's is unknown
        return PriorBook({"default": self._rest, **given}, fixed)

    def check_all_used(self, kinds: Iterable[str]) -> None:
        """Raise for a key that names no parameter and no class of this model."""
        kinds = set(kinds)
        for key in self._fixed:
            if key not in self._known:
                raise unknown_name(key, "fixed", self._known)
        for key in self._given:
            if key in self._known or key in kinds:
                continue
            near = nearest_name(key, self._known)
            what = "no parameter of this model is of class" if key in CLASSES else "there is no parameter or class"
            raise ModelError(
                f"priors: {what} {key!r}{near}\nparameters: {', '.join(self._known)}\n"
                f"classes: {', '.join(sorted(kinds))}"
            )


# -- what users give by name -----------------------------------------------------------------------------------------


def holds_names(given: Any) -> bool:
    """Whether something is a mapping, or a Series with names in its index."""
    return isinstance(given, Mapping) or (hasattr(given, "items") and getattr(given, "ndim", 0) == 1)


def by_name(given: Any, argument: str, example: str) -> dict[str, Any]:
    """What an argument holds by name, from any mapping or a pandas Series; nothing from None."""
    if given is None:
        return {}
    if not holds_names(given):
        raise ModelError(
            f'{argument}= is a dictionary from parameter names, as {{"sigma": {example}}}, or a pandas Series with the '
            f"names in its index, not {type(given).__name__}"
        )
    out: dict[str, Any] = {}
    for name, value in given.items():
        if not isinstance(name, str):
            raise ModelError(f"{argument}: names of parameters are text, not {name!r}")
        if name in out:
            raise ModelError(f"{argument}: {name!r} is there twice")
        out[name] = value
    return out


def number(value: Any, argument: str, name: str) -> float:
    """A finite number of any type (not a truth value)."""
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):  # of NumPy
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, (Real, Decimal)) or not math.isfinite(value):
        raise ModelError(f"{argument}: the value of {name!r} must be a finite number, not {value!r}")
    return float(value)


def spelled(name: str, known: Iterable[str]) -> str | None:
    """The known name that is spelled so, in any case if that leaves no choice; None if there is none."""
    known = list(known)
    if name in known:
        return name
    same = [k for k in known if k.casefold() == name.casefold()]
    return same[0] if len(same) == 1 else None


def nearest_name(name: str, known: Iterable[str]) -> str:
    """The known name that is spelled most alike, as a question; empty if none is."""
    folded = {k.casefold(): k for k in known}
    near = difflib.get_close_matches(name.casefold(), folded, n=1)
    return f"; did you mean {folded[near[0]]!r}?" if near else ""


def unknown_name(name: str, argument: str, known: Iterable[str]) -> ModelError:
    """The error for a name that no parameter has."""
    known = list(known)
    near = nearest_name(name, known)
    return ModelError(f"{argument}: there is no parameter {name!r}{near}\nparameters: {', '.join(known)}")


def check_value(name: str, kind: str, value: float, verb: str, positive: bool = False) -> None:
    """Refuse a value that the parameter cannot have; `verb` says what was done with it."""
    if (kind in _POSITIVE or positive) and (value < 0.0 or (value == 0.0 and kind != "sd")):
        what = "zero or positive" if kind == "sd" else "positive"
        raise ModelError(f"{name!r} {verb} {value:g}, but it must be {what}")
    if kind == "cor" and not -1.0 <= value <= 1.0:
        raise ModelError(f"the correlation {name!r} {verb} {value:g}, but it must lie in [-1, 1]")
    if kind in _SHARES and not 0.0 <= value < 1.0:
        raise ModelError(f"{name!r} {verb} {value:g}, but it must lie in [0, 1)")
    if kind == "rho" and not 0.0 <= value <= HIGHEST:
        raise ModelError(f"{name!r} {verb} {value:g}, but it must lie in [0, 1)")


def kept_in_x(p: Parameter) -> Parameter:
    """A coefficient that stays in x: where it is fixed, with a prior that holds it there."""
    if not isinstance(p.prior, Fixed):
        return p
    value = p.prior.value
    return replace(p, prior=Pinned(value, NARROW * max(1.0, abs(value))), start=value)


def is_conjugate(prior: Prior) -> bool:
    """Whether a coefficient with this prior can sit in the latent Gaussian vector."""
    return isinstance(prior, (Normal, Flat))
