"""mcmc draws from the posterior and nothing else: tiny models against quadrature over a grid of theta.

Means within 4 Monte Carlo standard errors, standard deviations too (their error from the effective number of squared
deviations), for every parameter and every effect, whatever the sort of prior.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from arviz_stats.base.array import array_stats
from scipy import stats

import micromacro as mm

GROUPS, MEMBERS = 16, 6
EQUAL, POWER = "1 / n", "1 / n ** exp(-(b1 * s))"


def tiny(seed=5):
    rng = np.random.default_rng(seed)
    rows = [(g, m) for g in range(GROUPS) for m in rng.choice(MEMBERS, size=1 + g % 3, replace=False)]
    frame = pd.DataFrame(rows, columns=["group", "member"])
    frame["s"], frame["z"] = rng.standard_normal(len(frame)), rng.standard_normal(len(frame))
    x, u = rng.standard_normal(GROUPS), rng.standard_normal(MEMBERS)
    w = 1.0 / np.bincount(frame["group"])[frame["group"]]
    y = 1.0 + 0.5 * x + np.bincount(frame["group"], w * (u[frame["member"]] - 0.4 * frame["z"]))
    y += 0.5 * rng.standard_normal(GROUPS)
    return frame.assign(x=x[frame["group"]], y=y[frame["group"]])


def half_t(df, scale):
    return lambda v: np.log(2) + stats.t.logpdf(v, df, scale=scale)


class Case:
    """A model: formula, priors for the package, and the same written out for the grid.

    `linear` are the coefficients with a normal or flat prior beside the intercept, `loose` the one with another;
    `precision` (of intercept and `linear`) and `log_prior` are None where the default priors are meant.
    """

    def __init__(
        self,
        priors,
        log_prior,
        terms="1",
        covariate="",
        weights=EQUAL,
        linear=(),
        loose=None,
        precision=None,
        axes=None,
    ):
        inside = f", {covariate}" if covariate else ""
        self.formula = f"y ~ {terms} + mm(member, group{inside}, weights = {weights}, normalize = group)"
        self.priors, self.log_prior, self.weights = priors, log_prior, weights
        self.linear, self.loose, self.precision, self.axes = linear, loose, precision, axes or {}


VAGUE = {"sd": lambda v: stats.halfcauchy.logpdf(v, scale=25), "sigma": lambda v: stats.halfcauchy.logpdf(v, scale=25)}
STUDENT, UNIFORM = mm.prior.student(3, 0, 0.3), mm.prior.uniform(-1.0, 0.4)
CASES = {
    "default priors": Case(None, None),
    "vague priors": Case("vague", VAGUE, precision=[1e-4]),
    "flat coefficients": Case({"b": "flat", "Intercept": "flat"}, {}, "x", linear=["x"], precision=[0, 0]),
    "normal on a coefficient": Case(
        {"x": mm.prior.normal(0.2, 0.1), "Intercept": "flat"}, {}, "x", linear=["x"], precision=[0, 100]
    ),
    "student on a coefficient": Case(
        {"x": STUDENT, "Intercept": "flat"},
        {"b": lambda v: stats.t.logpdf(v, 3, scale=0.3)},
        "x", loose="x", precision=[0], axes={"b": (-0.8, 1.6)},
    ),
    "uniform that cuts a coefficient off": Case(
        {"x": UNIFORM, "Intercept": "flat"}, {"b": lambda v: 0.0 * v}, "x", loose="x", precision=[0],
        axes={"b": (-1.0, 0.4)},
    ),
    "student on a member covariate": Case(
        {"member.z": STUDENT, "Intercept": "flat"},
        {"b": lambda v: stats.t.logpdf(v, 3, scale=0.3)},
        covariate="z", loose="z", precision=[0], axes={"b": (-1.8, 1.2)},
    ),
    "priors of sds with other supports": Case(
        {"member.sd": mm.prior.uniform(0.0, 1.0), "sigma": mm.prior.gamma(2.0, 4.0), "Intercept": "flat"},
        {"sd": lambda v: np.where(v < 1.0, 0.0, -np.inf), "sigma": lambda v: stats.gamma.logpdf(v, 2, scale=0.25)},
        precision=[0], axes={"sd": (0.0, 1.0)},
    ),
    "estimated weights": Case(
        {"Intercept": "flat", "b": "flat"},
        {"b1": stats.norm.logpdf},
        covariate="z", weights=POWER, linear=["z"], precision=[0, 0], axes={"b1": (-5.0, 5.0)},
    ),
}  # fmt: skip


def written_out(case, frame, quadrature):
    """The case for the grid: the design straight from the data, priors straight from the documentation."""
    frame = frame.sort_values(["group", "member"], ignore_index=True)
    first = frame.groupby("group").first()
    y, x = first["y"].to_numpy(), first["x"].to_numpy()
    g, m, n = frame["group"].to_numpy(), frame["member"].to_numpy(), np.bincount(frame["group"])[frame["group"]]

    def w(b1):
        log_raw = -np.log(n) * np.exp(-b1 * frame["s"].to_numpy() if case.weights == POWER else 0.0 * n)
        raw = np.exp(log_raw - np.array([log_raw[g == i].max() for i in range(GROUPS)])[g])
        return raw / np.bincount(g, raw)[g]

    def weigh(b1):
        out = np.zeros((GROUPS, MEMBERS))
        out[g, m] = w(b1)
        return out

    def column(name, b1):
        if name == "x":
            return x - x.mean()
        return np.bincount(g, w(b1) * frame["z"]) - np.bincount(g, w(0.0) * frame["z"]).mean()

    def design(b1):
        return np.column_stack([np.ones(GROUPS), *(column(name, b1) for name in case.linear)])

    s = y.std(ddof=1)
    effective = np.mean(1.0 / (weigh(0.0) ** 2).sum(axis=1))
    log_prior = {"sd": half_t(3, 2.5 * s * np.sqrt(effective)), "sigma": half_t(3, 2.5 * s)}
    center, precision = np.zeros(1 + len(case.linear)), case.precision
    if case.log_prior is None:  # the defaults
        center[0], precision = y.mean(), [(2.5 * s) ** -2.0]
    else:
        log_prior |= case.log_prior
    if case.priors and "x" in case.linear and isinstance(case.priors.get("x"), type(mm.prior.normal())):
        center[1] = 0.2
    axes = {"sd": quadrature.log_grid(1e-4, 400, 70), "sigma": quadrature.log_grid(0.08, 5, 50)}
    for key, (low, high) in case.axes.items():
        axes[key] = quadrature.flat_grid(low, high, 60)
    loose = column(case.loose, 0.0) if case.loose else None
    zero = {"x": x.mean(), "z": np.bincount(g, w(0.0) * frame["z"]).mean()}
    shift = np.array([0.0, *(zero[name] for name in case.linear), zero.get(case.loose, 0.0)])
    names = ["Intercept", *({"x": "x", "z": "member.z"}[name] for name in case.linear)]
    return quadrature.posterior(
        y, design, weigh, np.array(precision, float), center, axes, log_prior, loose, shift, names
    )


OFTEN = ("default priors", "estimated weights")


@pytest.fixture(
    scope="module", params=[name if name in OFTEN else pytest.param(name, marks=pytest.mark.slow) for name in CASES]
)
def both(request, quadrature):
    case, frame = CASES[request.param], tiny()
    fit = mm.fit(case.formula, frame, priors=case.priors, draws=1200, tune=500, random_seed=11, progress=False)
    return fit, written_out(case, frame, quadrature), case


def sd_error(draws):
    """Monte Carlo standard error of the sd of draws (chain, draw)."""
    square = (draws - draws.mean()) ** 2
    return array_stats.mcse(square, chain_axis=0, draw_axis=1, method="mean") / (2 * draws.std())


def own_name(name, case):
    """A parameter's name in our tables as a key of the grid's."""
    loose = {"x": "x", "z": "member.z", None: None}[case.loose]
    return {"member.sd": "sd", "sigma": "sigma", "member.w.b1": "b1", loose: "b"}.get(name, name)


def test_posterior_means_are_those_of_quadrature(both):
    fit, exact, case = both
    table = fit.summary()
    for name, row in table.iterrows():
        away = (row["mean"] - exact.mean[own_name(name, case)]) / row["mcse_mean"]
        assert abs(away) < 4, f"the mean of {name} is {away:+.1f} Monte Carlo standard errors off"


def test_posterior_standard_deviations_are_those_of_quadrature(both):
    fit, exact, case = both
    for k, name in enumerate(fit.params.index):
        draws = fit.posterior.draws[..., k]
        away = (draws.std() - exact.sd[own_name(name, case)]) / sd_error(draws)
        assert abs(away) < 4, f"the sd of {name} is {away:+.1f} Monte Carlo standard errors off"


def test_posteriors_of_effects_are_those_of_quadrature(both):
    fit, exact, _ = both
    place = [p.name for p in fit.specification.system.parts].index("member")
    draws = fit.posterior.effect_draws(place)
    for j in range(MEMBERS):
        u = draws[..., j]
        away = (u.mean() - exact.effect_mean[j]) / array_stats.mcse(u, chain_axis=0, draw_axis=1, method="mean")
        assert abs(away) < 4, f"the mean of effect {j} is {away:+.1f} Monte Carlo standard errors off"
        away = (u.std() - exact.effect_sd[j]) / sd_error(u)
        assert abs(away) < 4, f"the sd of effect {j} is {away:+.1f} Monte Carlo standard errors off"


def test_the_grid_is_fine_enough_to_be_called_exact(quadrature):
    case, frame = CASES["default priors"], tiny()
    coarse = written_out(case, frame, quadrature)
    log_grid = quadrature.log_grid
    quadrature.log_grid = lambda low, high, points: log_grid(low / 3, high * 2, 2 * points)
    try:
        fine = written_out(case, frame, quadrature)
    finally:
        quadrature.log_grid = log_grid
    for name, value in fine.mean.items():
        assert coarse.mean[name] == pytest.approx(value, rel=1e-3), name
        assert coarse.sd[name] == pytest.approx(fine.sd[name], rel=1e-3), name
