"""What everything public does: it answers a misspelt argument, and keeps NumPy's warnings to itself.

Numbers that are not finite are looked at where they arise, and told in words; "overflow encountered in exp" tells users
nothing.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, MutableMapping
from functools import wraps
from types import FunctionType
from typing import Any, TypeVar

import numpy as np

from .errors import ArgumentError

#: What other packages call an argument.
ELSEWHERE = {
    "alpha": "ci", "level": "ci", "prob": "ci", "conf_level": "ci", "hdi_prob": "ci",
    "burn": "tune", "burnin": "tune", "warmup": "tune",
    "cores": "executor", "n_jobs": "executor", "workers": "executor",
    "iter": "draws", "niter": "draws", "samples": "draws", "n_samples": "draws", "num_samples": "draws",
    "method": "engine", "sampler": "engine",
    "newdata": "data", "new_data": "data", "df": "data", "new": "data", "tables": "data",
    "rng": "random_seed", "random_state": "random_seed", "seed": "random_seed",
    "sample_weight": "observation_weights",
    "type": "kind",
    "verbose": "progress", "progressbar": "progress", "progress_bar": "progress",
}  # fmt: skip

#: What other packages call what a fit has.
OF_FITS = {
    "anova": "lr_test()", "coef": "params", "coef_": "params", "coefficients": "params", "coeffs": "params",
    "confint": "conf_int()", "cov": "cov_params()", "deviance": "loglik", "fittedvalues": "predict()",
    "fixed_effects": "params", "fixef": "params", "hypotheses": "hypothesis()", "icc": "variance_components()",
    "idata": "to_datatree()", "llf": "loglik", "loo_compare": "mm.compare()", "logLik": "loglik", "pp_check": "ppc()",
    "posterior_predict": 'predict(kind="response")', "posterior_epred": "predict()", "pvalues": "summary()",
    "ranef": "random_effects()", "resid": "residuals()", "rsquared": "r2()", "sample": "to_datatree()",
    "std_errors": "bse", "VarCorr": "variance_components()", "vcov": "cov_params()",
}  # fmt: skip

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant, if there is one."""
    names = list(known)
    usual = ELSEWHERE.get(name.lower())
    if usual in names:
        return usual
    lower = {n.lower(): n for n in reversed(names)}
    near = difflib.get_close_matches(name.lower(), lower, n=1)
    if near:
        return lower[near[0]]
    inside = [n for n in names if len(name) > 2 and (name.lower() in n.lower() or n.lower() in name.lower())]
    return inside[0] if inside else None


def no_such_argument(function: str, name: str, known: Iterable[str]) -> ArgumentError:
    """The error for an argument that a function does not have."""
    names = list(known)
    near = nearest(name, names)
    hint = f": did you mean {near}=?" if near else ""
    takes = f" It takes {', '.join(names)}." if names else " It takes no arguments by name."
    return ArgumentError(f"{function}() has no argument {name}={hint or '.'}{takes}")


def public(function: Decorated, method: bool = False) -> Decorated:
    """A function (or method) that answers an argument it does not have with the nearest one that it has.

    One that is missing, or one too many without a name, is answered with all that it has.

    NumPy does not warn while it runs.
    """
    signature = inspect.signature(function)
    parameters = signature.parameters.values()
    if hasattr(function, "suggests"):
        return function
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters)
    by_name = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    shown = [p.name for p in parameters if p.name in by_name][1 if method else 0 :]
    title = function.__qualname__.removesuffix(".__init__").rsplit(".", 1)[-1]

    @wraps(function)
    def checked(*args: Any, **options: Any) -> Any:
        if not anything and not options.keys() <= by_name:
            raise no_such_argument(title, next(n for n in options if n not in by_name), shown)
        try:
            with np.errstate(all="ignore"):
                return function(*args, **options)
        except TypeError:
            try:
                signature.bind(*args, **options)
            except TypeError as unfit:  # what Python says of a call that does not fit
                known = ", ".join(shown) or ("arguments by name" if anything else "nothing")
                raise ArgumentError(f"{title}(): {unfit}. It takes {known}.") from None
            raise

    checked.suggests = True  # type: ignore[attr-defined]
    return checked  # type: ignore[return-value]


def public_class(cls: type) -> Any:
    """A class whose constructor and methods for users are :func:`public`."""
    for name, value in list(vars(cls).items()):
        if isinstance(value, FunctionType) and (name == "__init__" or not name.startswith("_")):
            setattr(cls, name, public(value, method=True))
    return cls


def public_all(namespace: MutableMapping[str, Any], names: Iterable[str]) -> None:
    """Make the functions (and classes) of those names in a module's namespace :func:`public`."""
    for name in names:
        value = namespace[name]
        if isinstance(value, FunctionType):
            namespace[name] = public(value)
        elif isinstance(value, type):
            public_class(value)
