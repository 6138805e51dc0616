"""The functions that formulas may call, with how many arguments they take.

Two languages meet in a formula. Covariates are Wilkinson terms that formulaic evaluates: :data:`WILKINSON` lists
what may reach it. Weights are expressions of our own: :data:`WEIGHT_FUNCTIONS` work row by row,
:data:`GROUP_FUNCTIONS` over the members of a group.
"""

from __future__ import annotations

from typing import NamedTuple


class Arity(NamedTuple):
    """Least and most number of positional arguments, and the keywords that must be given."""

    least: int
    most: int
    keywords: tuple[str, ...] = ()


WEIGHT_FUNCTIONS: dict[str, Arity] = {
    **{name: Arity(1, 1) for name in ("exp log log1p expm1 sqrt abs logit ilogit probit iprobit cloglog tanh").split()},
    "where": Arity(3, 3),
    "minimum": Arity(2, 2),
    "maximum": Arity(2, 2),
}

GROUP_FUNCTIONS: dict[str, Arity] = {
    **{name: Arity(1, 1) for name in "min max mean sum median sd var range rank largest smallest".split()},
    "quantile": Arity(2, 2),
    "first": Arity(1, 1, ("by",)),
    "last": Arity(1, 1, ("by",)),
}

#: Those of them that have a value for each member, not one for the group.
MEMBERWISE = ("rank", "largest", "smallest")

#: Whole weight expressions with one named coefficient for each covariate.
READY_MADE = ("power", "logistic", "softmax")

#: What formulaic may be asked to evaluate; all are its own, none reaches outside.
WILKINSON = frozenset(
    "C I log log10 log2 log1p exp expm1 exp2 sqrt abs sin cos tan poly bs cr cs cc scale center".split()
)

#: Contrasts that may stand as an argument of C().
CONTRASTS = frozenset(f"contr.{name}" for name in "treatment SAS sum helmert diff poly".split())

#: Functions that formulaic's own context lacks: names of NumPy functions to hand to it.
FROM_NUMPY = ("log1p", "expm1", "sqrt", "abs", "sin", "cos", "tan")
