"""How long coalition governments last, and which of their parties matter (``coalgov.csv``).

The references are posteriors on the density of the model string of the R package bml 0.9.0, sampled by an independent
Hamiltonian Monte Carlo that agrees with a run of that string by JAGS. Four models have one; the others are shown alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .common import NOTHING, beside, fitted, main, posterior, table_of

LOG = "log(dur_wkb) ~ majority + mwc + mm(pid, gid, cohesion, weights = {}, normalize = group) + (1 | cid)"
LASTS = "surv(dur_wkb, event_wkb) ~ majority + {} + (1 | cid)"
EQUAL = "mm(pid, gid, finance, weights = 1 / n, normalize = group)"

#: Family, formula, and the name of the reference if there is one (then by laplace, with its priors; else by ml).
MODELS = {
    "log duration, equal weights": ("gaussian", LOG.format("1 / n"), "coalgov_gaussian_equal"),
    "log duration, by seats": ("gaussian", LOG.format("1 / n ** exp(-(b1 * pseat))"), "coalgov_gaussian_power"),
    "ends early, equal weights": (
        "bernoulli", f"event_wkb ~ majority + {EQUAL} + (1 | cid)", "coalgov_bernoulli_equal",
    ),
    "duration, equal weights": ("weibull", LASTS.format(EQUAL), "coalgov_weibull_equal"),
    "duration, prime minister": (
        "weibull", LASTS.format("mm(pid, gid, finance, weights = power(prime), normalize = group)"), None,
    ),
    "duration, by seats": (
        "weibull", LASTS.format("mm(pid, gid, finance, weights = power(pseat), normalize = group)"), None,
    ),
    "duration, mean and spread": (
        "weibull", LASTS.format(f"{EQUAL} + mm(pid, gid, rile, aggregate = var, effects = none, name = spread)"), None,
    ),
    "duration, smax": (
        "weibull",
        LASTS.format("mm(pid, gid, finance, aggregate = smax(kappa), effects = none, name = top) + mm(pid, gid)"),
        None,
    ),
    "duration, interaction": ("weibull", LASTS.format(f"{EQUAL} + pid:majority"), None),
    "duration, slopes": (
        "weibull", LASTS.format(EQUAL.replace("group)", "group, effects = iid(1 + finance))")), None,
    ),
}  # fmt: skip


def replicate(folder: Path) -> list[dict[str, Any]]:
    """Models of coalition governments."""
    data, rows = table_of(folder, "coalgov.csv"), []
    for model, (family, formula, name) in MODELS.items():
        options = {"engine": "ml"} if name is None else {"engine": "laplace", "priors": "vague"}
        fit, seconds = fitted(formula, data, family=family, **options)
        rows += beside(model, fit, seconds, NOTHING if name is None else posterior(folder, f"{name}.json"))
    return rows


if __name__ == "__main__":
    main("coalitions", replicate)
