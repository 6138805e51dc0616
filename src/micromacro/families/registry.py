"""The table of families: a new one is a file beside this one and a row here."""

from __future__ import annotations

import difflib
from collections.abc import Callable

from ..errors import ModelError
from .base import Family
from .bernoulli import Bernoulli
from .beta import Beta
from .binomial import Binomial
from .cox import Cox
from .exponential import Exponential
from .gamma import Gamma
from .gaussian import Gaussian
from .lognormal import Lognormal
from .negative_binomial import NegativeBinomial
from .ordinal import Ordinal
from .poisson import Poisson
from .student import Student
from .weibull import Weibull

FAMILIES: dict[str, Callable[..., Family]] = {
    "gaussian": Gaussian,
    "student": Student,
    "bernoulli": Bernoulli,
    "binomial": Binomial,
    "poisson": Poisson,
    "negative_binomial": NegativeBinomial,
    "gamma": Gamma,
    "beta": Beta,
    "ordinal": Ordinal,
    "weibull": Weibull,
    "exponential": Exponential,
    "lognormal": Lognormal,
    "cox": Cox,
}


def find_family(family: str | Family) -> Family:
    """The family of that name, or the object itself."""
    if not isinstance(family, str):
        if isinstance(family, type):
            return family()
        if hasattr(family, "log_density") and hasattr(family, "parameters"):
            return family
        raise ModelError(f"family= takes a name ({', '.join(FAMILIES)}) or a family object, not {family!r}")
    if family not in FAMILIES:
        near = difflib.get_close_matches(family, FAMILIES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ModelError(f"there is no family {family!r}{hint}; known: {', '.join(FAMILIES)}")
    return FAMILIES[family]()
