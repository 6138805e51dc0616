"""The table of families: a new one is a file beside this one and a row here."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from ..errors import ModelError
from .base import Family
from .bernoulli import Bernoulli
from .beta import Beta
from .beta_binomial import BetaBinomial
from .binomial import Binomial
from .categorical import MultinomialLogit
from .conditional_logit import ConditionalLogit
from .cox import Cox
from .exponential import Exponential
from .gamma import Gamma
from .gaussian import Gaussian
from .hurdle import HurdleNegativeBinomial, HurdlePoisson
from .lognormal import Lognormal
from .negative_binomial import NegativeBinomial
from .ordinal import Ordinal
from .poisson import Poisson
from .strata import stratified
from .student import Student
from .weibull import Weibull
from .zero_inflated import ZeroInflatedNegativeBinomial, ZeroInflatedPoisson

FAMILIES: dict[str, Callable[..., Family]] = {
    "gaussian": Gaussian,
    "student": Student,
    "bernoulli": Bernoulli,
    "binomial": Binomial,
    "beta_binomial": BetaBinomial,
    "poisson": Poisson,
    "negative_binomial": NegativeBinomial,
    "zero_inflated_poisson": ZeroInflatedPoisson,
    "zero_inflated_negative_binomial": ZeroInflatedNegativeBinomial,
    "hurdle_poisson": HurdlePoisson,
    "hurdle_negative_binomial": HurdleNegativeBinomial,
    "gamma": Gamma,
    "beta": Beta,
    "ordinal": Ordinal,
    "categorical": MultinomialLogit,
    "conditional_logit": ConditionalLogit,
    "weibull": Weibull,
    "exponential": Exponential,
    "lognormal": Lognormal,
    "cox": Cox,
}


#: What other programs call a family.
ELSEWHERE = {
    "normal": "gaussian", "t": "student", "student_t": "student", "studentt": "student",
    "binary": "bernoulli", "logistic": "bernoulli", "logit": "bernoulli", "probit": "bernoulli",
    "count": "poisson", "nb": "negative_binomial", "nbinom2": "negative_binomial", "negbin": "negative_binomial",
    "negbinomial": "negative_binomial", "betabinomial": "beta_binomial", "zip": "zero_inflated_poisson",
    "zinb": "zero_inflated_negative_binomial", "truncated_poisson": "hurdle_poisson",
    "truncated_nbinom2": "hurdle_negative_binomial", "multinomial": "categorical", "mlogit": "categorical",
    "clogit": "conditional_logit", "cumulative": "ordinal", "ordered": "ordinal", "coxph": "cox", "survival": "cox",
}  # fmt: skip


def names_where(holds: Callable[[Family], bool]) -> str:
    """Names of the families of which something holds, for messages."""
    names = [name for name, make in FAMILIES.items() if holds(make())]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def find_family(family: str | Family) -> Family:
    """The family of that name, or the object itself."""
    if not isinstance(family, str):
        made = family() if isinstance(family, type) and issubclass(family, Family) else family
        if isinstance(made, Family):
            return made
        raise ModelError(f"family= takes a name ({', '.join(FAMILIES)}) or a family object, not {family!r}")
    if family not in FAMILIES:
        usual = ELSEWHERE.get(family.lower().replace(" ", "_"))
        near = [usual] if usual else difflib.get_close_matches(family.lower(), FAMILIES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ModelError(f"there is no family {family!r}{hint}; known: {', '.join(FAMILIES)}")
    return FAMILIES[family]()


def with_strata(family: Family, column: str, labels: tuple[str, ...]) -> Family:
    """The family with a baseline for each stratum, the values `labels` of a column."""
    given = family.plain
    if type(given) is not Cox:
        lack = "cannot divide its own" if given.has_baseline else "has none"
        raise ModelError(
            f"strata({column}) gives each stratum a baseline of its own, and family {family.name} {lack}: use family "
            f"{Cox().name}, or write C({column})"
        )
    return stratified(given, column, labels)


# -- in files ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Recipe:
    name: str
    options: dict[str, Any]

    def make(self) -> Family:
        options = {k: tuple(v) if isinstance(v, list) else v for k, v in self.options.items()}
        return FAMILIES[self.name](**options)


def family_to_plain(family: Family) -> dict[str, Any]:
    """A family's name and options; of one that is not in the registry its name and link."""
    family = family.plain
    if family.name in FAMILIES and type(family) is FAMILIES[family.name]:
        own = [f.name for f in fields(family) if f.init and f.name != "name"]  # type: ignore[arg-type]
        recipe = _Recipe(family.name, {n: _listed(getattr(family, n)) for n in own})
        if recipe.make() == family:
            return {"name": recipe.name, "options": recipe.options}
    return {"name": family.name, "options": None, "link": family.link}


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def family_from_plain(plain: dict[str, Any], given: Family | None) -> Family:
    """The family of a file; one that is not in the registry must be given."""
    if plain["options"] is None:
        if given is None or (given.name, given.link) != (plain["name"], plain["link"]):
            raise ModelError(
                f"the fit is of a family {plain['name']!r} ({plain['link']} link) that is not one of micromacro's: "
                "give the object, load(path, family=...)"
            )
        return given
    if plain["name"] not in FAMILIES:
        raise ModelError(
            f"this version of micromacro has no family {plain['name']!r}: install the newer one that saved the file"
        )
    return _Recipe(plain["name"], plain["options"]).make()
