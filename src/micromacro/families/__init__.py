"""Outcome families: the distribution of the outcome given the linear predictor.

Each is reached by its name (``family="weibull"``) or as an object with options, ``mm.families.bernoulli("probit")``.
"""

from .._public import public_all
from .bernoulli import Bernoulli as bernoulli
from .beta import Beta as beta
from .beta_binomial import BetaBinomial as beta_binomial
from .binomial import Binomial as binomial
from .categorical import MultinomialLogit as categorical
from .conditional_logit import ConditionalLogit as conditional_logit
from .cox import Cox as cox
from .exponential import Exponential as exponential
from .gamma import Gamma as gamma
from .gaussian import Gaussian as gaussian
from .hurdle import HurdleNegativeBinomial as hurdle_negative_binomial
from .hurdle import HurdlePoisson as hurdle_poisson
from .lognormal import Lognormal as lognormal
from .negative_binomial import NegativeBinomial as negative_binomial
from .ordinal import Ordinal as ordinal
from .poisson import Poisson as poisson
from .student import Student as student
from .weibull import Weibull as weibull
from .zero_inflated import ZeroInflatedNegativeBinomial as zero_inflated_negative_binomial
from .zero_inflated import ZeroInflatedPoisson as zero_inflated_poisson

__all__ = [
    "bernoulli",
    "beta",
    "beta_binomial",
    "binomial",
    "categorical",
    "conditional_logit",
    "cox",
    "exponential",
    "gamma",
    "gaussian",
    "hurdle_negative_binomial",
    "hurdle_poisson",
    "lognormal",
    "negative_binomial",
    "ordinal",
    "poisson",
    "student",
    "weibull",
    "zero_inflated_negative_binomial",
    "zero_inflated_poisson",
]


def __dir__() -> list[str]:
    return list(__all__)


public_all(globals(), __all__)
