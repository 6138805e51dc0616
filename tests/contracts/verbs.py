"""The table of verbs: every public name of a fit, how a contract asks for it, and who may refuse it.

A new verb is one more row; ``test_tables.py`` compares the rows with what ``Fit`` has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

from micromacro.errors import MicromacroError

from .subjects import Subject

SEED = 5


@dataclass(frozen=True)
class Verb:
    """One row.

    Attributes
    ----------
    ask : callable
        (fit, subject) to an answer.
    refusals : dict
        From a situation (`SITUATIONS`) in which it refuses to what the refusal says, as a regular expression.
    costly : bool
        Fits again, or draws for long: asked of fewer kinds.
    slow : bool
        Draws from the normal approximation around a maximum: asked of few maxima.
    of_fit : bool
        Whether it must be the same for a fit that was loaded.
    """

    ask: Callable[[Any, Subject], Any]
    refusals: Mapping[str, str] | None = None
    costly: bool = False
    slow: bool = False
    of_fit: bool = True

    def refusal(self, fit: Any, subject: Subject) -> str | None:
        """What the refusal must say, or None where it must answer."""
        for situation, words in (self.refusals or {}).items():
            if SITUATIONS[situation](fit, subject):
                return words
        return None

    def outcome(self, fit: Any, subject: Subject) -> Any:
        """The answer, or None after a refusal in the words of the table."""
        words = self.refusal(fit, subject)
        if words is None:
            return self.ask(fit, subject)
        with pytest.raises(MicromacroError, match=words):
            self.ask(fit, subject)
        return None


def effects_of(fit: Any) -> int:
    return len(fit.specification.structures)


SITUATIONS: dict[str, Callable[[Any, Subject], bool]] = {
    "maximum": lambda fit, s: fit.engine in ("ml", "reml"),
    "reml of weights": lambda fit, s: fit.engine == "reml" and bool(fit.specification.weight_parameters),
    "draws": lambda fit, s: fit.engine not in ("ml", "reml"),
    "not mcmc": lambda fit, s: fit.engine != "mcmc",
    "no chains": lambda fit, s: fit.engine not in ("mcmc", "nuts"),
    "no members": lambda fit, s: not s.kind.has_members,
    "several blocks": lambda fit, s: len(fit.specification.members) > 1,
    "no effects": lambda fit, s: effects_of(fit) == 0,
    "no effects of members": lambda fit, s: not s.effects_of_members,
    "censored": lambda fit, s: "surv" in s.row.outcome,
    "no variance on the link scale": lambda fit, s: fit.engine == "ml" and s.row.word == "beta",
    "interval": lambda fit, s: "interval" in s.row.outcome,
    "cox": lambda fit, s: s.row.word == "cox",
    "several": lambda fit, s: bool(fit.family.several),
    "categories": lambda fit, s: fit.family.nominal,
    "features": lambda fit, s: bool({"feature", "combine"} & set(s.kind.about)),
    "effects change": lambda fit, s: "block" in s.kind.about and bool({"walk", "ar1"} & set(s.kind.about)),
    "no random effects": lambda fit, s: fit.specification.system.n_effects == 0 or effects_of(fit) == 0,
    "weights of no column": lambda fit, s: not re.search(r"weights = [^,]*\b[zqx]\b", s.kind.terms),
    "no theta": lambda fit, s: not fit.specification.system.hypers,
    "no durations": lambda fit, s: "surv" not in s.row.outcome,
    "not cox": lambda fit, s: s.row.word != "cox",
}


def first_name(fit: Any) -> str:
    """A coefficient that hypotheses are about."""
    return next(p.name for p in fit.specification.parameters if p.kind == "b")


def hyper(fit: Any) -> str:
    return fit.specification.system.hypers[0].name


def block(fit: Any) -> str:
    return next(iter(fit.specification.members))


def everything(members: Any) -> list[Any]:
    return [members.contributions(), members.spread()]


def two(fit: Any) -> list[Any]:
    return list(fit.specification.group_ids[:2])


def thirds(fit: Any) -> pd.Series:
    """Units that every model has: three of them, by group."""
    return pd.Series(np.arange(fit.specification.groups) % 3, index=fit.specification.group_ids)


def pictures(fit: Any, s: Subject) -> list[str]:
    return sorted(name for name in dir(fit.plot) if not name.startswith("_"))


MAXIMUM_ONLY = {"draws": "ml"}
DRAWS_ONLY = {"maximum": "draws|mcmc"}

VERBS: dict[str, Verb] = {
    # what was fitted
    "specification": Verb(lambda fit, s: fit.specification.names),
    "model": Verb(lambda fit, s: str(fit.model.explain())),
    "formula": Verb(lambda fit, s: fit.formula),
    "family": Verb(lambda fit, s: repr(fit.family)),
    "notes": Verb(lambda fit, s: fit.notes),
    "engine": Verb(lambda fit, s: fit.engine),
    "health": Verb(lambda fit, s: fit.health),
    "nobs": Verb(lambda fit, s: fit.nobs),
    "seconds": Verb(lambda fit, s: fit.seconds),
    "posterior": Verb(lambda fit, s: fit.posterior.estimate),
    # parameters
    "summary": Verb(lambda fit, s: fit.summary()),
    "params": Verb(lambda fit, s: fit.params),
    "bse": Verb(lambda fit, s: fit.bse),
    "conf_int": Verb(lambda fit, s: fit.conf_int(0.9)),
    "profile": Verb(lambda fit, s: fit.profile(hyper(fit)), MAXIMUM_ONLY | {"no theta": "theta"}, costly=True),
    "cov_params": Verb(lambda fit, s: fit.cov_params()),
    "identification": Verb(lambda fit, s: fit.identification()),
    "hypothesis": Verb(lambda fit, s: fit.hypothesis(f"`{first_name(fit)}` > 0")),
    "wald_test": Verb(lambda fit, s: fit.wald_test(f"`{first_name(fit)}` = 0")),
    # likelihood
    "loglik": Verb(lambda fit, s: fit.loglik, {"draws": r"loo\(\) or log_evidence\(\)"}),
    "aic": Verb(lambda fit, s: fit.aic, MAXIMUM_ONLY | {"reml of weights": "REML"}),
    "bic": Verb(lambda fit, s: fit.bic, MAXIMUM_ONLY | {"reml of weights": "REML"}),
    "lr_test": Verb(lambda fit, s: fit.lr_test(s.smaller(fit.engine)), MAXIMUM_ONLY | {"reml of weights": "REML"}, costly=True),
    "bootstrap": Verb(lambda fit, s: fit.bootstrap(2, random_seed=SEED).summary(), MAXIMUM_ONLY | {"interval": "cannot simulate interval"}, costly=True),
    # criticism
    "loo": Verb(lambda fit, s: fit.loo(), DRAWS_ONLY),
    "waic": Verb(lambda fit, s: fit.waic(), DRAWS_ONLY),
    "kfold": Verb(lambda fit, s: fit.kfold(2, random_seed=SEED), costly=True),
    "loo_pit": Verb(lambda fit, s: fit.loo_pit(random_seed=SEED),
                    {"cox": "not available for family cox"} | DRAWS_ONLY),
    "ppc": Verb(lambda fit, s: fit.ppc(random_seed=SEED), {"censored": "censored"}, slow=True),
    "contraction": Verb(lambda fit, s: fit.contraction(), DRAWS_ONLY),
    "sensitivity": Verb(lambda fit, s: fit.sensitivity(), DRAWS_ONLY),
    "log_evidence": Verb(lambda fit, s: float(fit.log_evidence("laplace", draws=40, random_seed=SEED)), {"maximum": "proper priors"}, costly=True),
    # effects and weights
    "weights": Verb(lambda fit, s: fit.weights(), {"no members": "no member block"}),
    "random_effects": Verb(lambda fit, s: fit.random_effects(), {"no effects": "no effects"}),
    "variance_components": Verb(lambda fit, s: fit.variance_components()),
    "group_correlation": Verb(lambda fit, s: fit.group_correlation(*two(fit), random_seed=SEED), {"several": "no one correlation", "no random effects": "no effects"}, slow=True),
    "r2": Verb(lambda fit, s: fit.r2(random_seed=SEED), {"no variance on the link scale": "no agreed variance"}, slow=True),
    "members": Verb(lambda fit, s: everything(fit.members(block(fit) if s.kind.has_members else None, random_seed=SEED)),
                    {"no members": "no member block", "categories": "linear predictor of its own", "features": "not a weighted sum"}, slow=True),
    "changes": Verb(lambda fit, s: fit.changes(thirds(fit), block=block(fit) if s.kind.has_members else None, random_seed=SEED),
                    {"no members": "no member block", "categories": "linear predictor of its own", "features": "not a weighted sum"}, slow=True),
    # predictions
    "predict": Verb(lambda fit, s: fit.predict(s.covariates, random_seed=SEED)),
    "predictions": Verb(lambda fit, s: fit.predictions(random_seed=SEED)),
    "comparisons": Verb(lambda fit, s: fit.comparisons(s.kind.moved, random_seed=SEED)),
    "slopes": Verb(lambda fit, s: fit.slopes(s.kind.moved, random_seed=SEED)),
    "survival": Verb(lambda fit, s: fit.survival([0.5, 1.0], random_seed=SEED), {"no durations": "durations|times"}),
    "baseline": Verb(lambda fit, s: fit.baseline(), {"not cox": "cox"}),
    "fitted": Verb(lambda fit, s: fit.fitted()),
    "residuals": Verb(lambda fit, s: [fit.residuals(kind, random_seed=SEED) for kind in fit.family.residuals]),
    # again, and elsewhere
    "update": Verb(lambda fit, s: fit.update(draws=40).params, costly=True),
    "extend": Verb(lambda fit, s: fit.extend(4, progress=False).params, {"not mcmc": "mcmc"}, costly=True),
    "to_datatree": Verb(lambda fit, s: fit.to_datatree(prior_draws=5, random_seed=SEED), DRAWS_ONLY, costly=True),
    "save": Verb(lambda fit, s: None, of_fit=False),  # test_saved.py
    "plot": Verb(pictures),
    "report": Verb(lambda fit, s: fit.report()),
    "interpret": Verb(lambda fit, s: fit.interpret()),
    "tidy": Verb(lambda fit, s: fit.tidy()),
    "glance": Verb(lambda fit, s: fit.glance().drop(columns="seconds")),
}  # fmt: skip


#: How each engine is run here: draws of chains, of an approximation, or a maximum.
ENGINE_ROWS: dict[str, dict[str, int]] = {
    "ml": {}, "reml": {}, "laplace": {"draws": 40}, "mcmc": {"draws": 20, "tune": 20, "chains": 2},
    "nuts": {"draws": 30, "tune": 10, "chains": 1},
}  # fmt: skip


PICTURE_ROWS: dict[str, Verb] = {
    "weights": Verb(
        lambda fit, s: fit.plot.weights(),
        {"no members": "no member block", "weights of no column": "no numeric column"},
    ),
    "heatmap": Verb(lambda fit, s: fit.plot.heatmap(), {"no members": "no member block"}),
    "coefficients": Verb(lambda fit, s: fit.plot.coefficients()),
    "effects": Verb(lambda fit, s: fit.plot.effects(), {"no effects": "no effects"}),
    "caterpillar": Verb(lambda fit, s: fit.plot.caterpillar(), {"no effects": "no effects"}),
    "variance": Verb(lambda fit, s: fit.plot.variance()),
    "predictive": Verb(lambda fit, s: fit.plot.predictive(), {"censored": "censored"}, slow=True),
    "trace": Verb(lambda fit, s: fit.plot.trace(), {"no chains": "draws|mcmc"}),
    "rank": Verb(lambda fit, s: fit.plot.rank(), {"no chains": "draws|mcmc"}),
    "prior": Verb(lambda fit, s: fit.plot.prior(first_name(fit)), {"maximum": "draws|mcmc"}),
    "network": Verb(
        lambda fit, s: fit.plot.network(),
        {
            "categories": "no effects of members",
            "no effects of members": "no effects of members",
            "effects change": "change with",
        },
    ),
    "survival": Verb(lambda fit, s: fit.plot.survival(), {"no durations": "durations|times"}),
    "residuals": Verb(lambda fit, s: fit.plot.residuals(random_seed=SEED), {"several": 'kind="quantile" is for'}),
    "predictions": Verb(lambda fit, s: fit.plot.predictions(s.kind.moved, random_seed=SEED)),
    "comparisons": Verb(lambda fit, s: fit.plot.comparisons(s.kind.moved, random_seed=SEED)),
    "slopes": Verb(lambda fit, s: fit.plot.slopes(s.kind.moved, random_seed=SEED)),
    "loo": Verb(lambda fit, s: fit.plot.loo(), DRAWS_ONLY),
}


def plain(answer: Any) -> Any:
    """An answer as nested lists of arrays and texts, which :func:`same` compares."""
    if isinstance(answer, pd.DataFrame):
        columns = [answer[c].to_numpy() for c in answer]
        return [
            list(map(str, answer.columns)),
            [plain(answer.index.to_frame().to_numpy().ravel())],
            *map(plain, columns),
        ]
    if isinstance(answer, pd.Series):
        return plain(answer.to_frame("value"))
    if isinstance(answer, np.ndarray):
        return list(map(str, answer.ravel())) if answer.dtype.kind not in "fiub" else answer.astype(float)
    if is_dataclass(answer) and not isinstance(answer, type):
        return [plain(getattr(answer, f.name)) for f in fields(answer)]
    if isinstance(answer, Mapping):
        return [[str(k), plain(v)] for k, v in answer.items()]
    if isinstance(answer, list | tuple):
        return [plain(a) for a in answer]
    if hasattr(answer, "to_dict") and hasattr(answer, "subtree"):  # an ArviZ DataTree
        return [
            [node.path, sorted((str(k), plain(v.to_numpy())) for k, v in node.data_vars.items())]
            for node in answer.subtree
        ]
    if isinstance(answer, int | float | np.number | bool):
        return np.array(float(answer))
    return str(answer)


def same(one: Any, other: Any) -> None:
    """Two answers are the same to the last digit."""
    a, b = plain(one), plain(other)
    _same(a, b)


def _same(a: Any, b: Any) -> None:
    if isinstance(a, list):
        assert isinstance(b, list) and len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            _same(x, y)
    elif isinstance(a, tuple):
        _same(list(a), list(b))
    elif isinstance(a, np.ndarray):
        np.testing.assert_array_equal(a, b)
    else:
        assert a == b
