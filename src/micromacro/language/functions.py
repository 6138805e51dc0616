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
    **{name: Arity(1, 1) for name in ("exp log log2 log10 log1p expm1 sqrt abs logit ilogit probit iprobit").split()},
    **{name: Arity(1, 1) for name in ("cloglog tanh sin cos round floor ceil").split()},
    "pow": Arity(2, 2),
    "where": Arity(3, 3),
    "minimum": Arity(2, 2),
    "maximum": Arity(2, 2),
}

GROUP_FUNCTIONS: dict[str, Arity] = {
    **{name: Arity(1, 1) for name in "min max mean sum median mode sd var range rank largest smallest".split()},
    "quantile": Arity(2, 2),
    "first": Arity(1, 1, ("by",)),
    "last": Arity(1, 1, ("by",)),
}

#: Functions that jump: no free parameter may stand in them.
STEPS = ("round", "floor", "ceil", "mode")

#: Those of them that have a value for each member, not one for the group.
MEMBERWISE = ("rank", "largest", "smallest")

#: In E() the block's normalised weight; a column of that name stands between backticks there.
WEIGHT = "w"

#: Whole weight expressions with one named coefficient for each covariate.
READY_MADE = ("power", "logistic", "softmax")

#: Calls that are terms of a kind of their own, each a row of ``terms.registry.TERMS``; they read columns of the groups.
TERM_CALLS: dict[str, Arity] = {"s": Arity(1, 1, ("k",)), "strata": Arity(1, 3), "nominal": Arity(1, 1)}

#: Functions of covariates that work row by row; they may stand in each other.
ROWWISE = frozenset(
    "I log log10 log2 log1p exp expm1 exp2 sqrt abs sin cos tan round floor ceil pow scale center".split()
)

#: Functions of covariates that make several columns of one expression; they stand alone or in a product of terms.
SEVERAL = frozenset("C poly bs cr cs cc".split())

#: What formulaic may be asked to evaluate; all are its own, none reaches outside.
WILKINSON = ROWWISE | SEVERAL

#: Most that a degree, or a number of degrees of freedom, may be.
HIGHEST = 1000

#: What an argument may be: "whole" (a number from 0 to `HIGHEST`), "flag" (1 or 0), "number", "level" (a number or
#: text), "contrasts", "expression" (of columns, row by row), or one of some words.
Kind = str | tuple[str, ...]

_BEYOND = ("raise", "clip", "na", "zero", "extend")
_BOUNDS: dict[str, Kind] = {"lower_bound": "number", "upper_bound": "number"}
_CUBIC: dict[str, Kind] = {"df": "whole", **_BOUNDS, "constraints": ("center",), "extrapolation": _BEYOND}

#: Arguments of the functions of covariates after the first, the expression; how many of them may do without a name.
ARGUMENTS: dict[str, tuple[dict[str, Kind], int]] = {
    "C": ({"contrasts": "contrasts", "spans_intercept": "flag"}, 1),
    "scale": ({"center": "flag", "scale": "flag", "ddof": "number"}, 3),
    "pow": ({"exponent": "expression"}, 1),
    "poly": ({"degree": "whole", "raw": "flag"}, 2),
    "bs": ({"df": "whole", "degree": "whole", "include_intercept": "flag", **_BOUNDS, "extrapolation": _BEYOND}, 1),
    "cr": (_CUBIC, 1),
    "cs": (_CUBIC, 1),
    "cc": (_CUBIC, 1),
}

#: Contrasts that may stand as an argument of C(), with their own arguments, all of which may do without a name.
CONTRASTS: dict[str, dict[str, Kind]] = {
    "contr.treatment": {"base": "level"},
    "contr.SAS": {"base": "level"},
    "contr.sum": {},
    "contr.helmert": {"reverse": "flag", "scale": "flag"},
    "contr.diff": {"backward": "flag"},
    "contr.poly": {},
}

#: Functions that formulaic's own context lacks: names of NumPy functions to hand to it.
FROM_NUMPY = ("log1p", "expm1", "sqrt", "abs", "sin", "cos", "tan", "round", "floor", "ceil")

#: Those that cannot do without an argument beside the expression.
NEEDED = {"pow": "exponent"}
