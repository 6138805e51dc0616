"""`mcmc` against plain NUTS on the joint density: one row a family, one row a structure.

Outcomes are simulated at known parameters on 150 governments. Both samplers run until every parameter has the
effective draws asked for; then means agree within 4 combined Monte Carlo standard errors, and standard deviations
within 8 per cent of NUTS's and 3 of theirs. The two densities are written independently and share no sampler.
All numbers are logged: ``pytest -m calibrate -o log_cli=true -o log_cli_level=INFO`` shows them.
"""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from arviz_stats.base.array import array_stats

import micromacro as mm
from micromacro.effects.registry import KINDS
from micromacro.families.registry import FAMILIES
from micromacro.terms.member.aggregate import AGGREGATES, MEAN

pytest.importorskip("numpyro")
nx = pytest.importorskip("networkx")
pytestmark = pytest.mark.filterwarnings("ignore::micromacro.errors.MicromacroWarning")

LOG = logging.getLogger(__name__)
TERMS = "{} ~ majority + mm(pid, gid, cohesion, weights = power(pseat), normalize = group) + (1 | cid)"
TRUTH = {"Intercept": 0.5, "majority": 0.5, "pid.cohesion": -0.5, "pid.w.pseat": 1.0, "pid.sd": 0.8, "cid.sd": 0.5}
CUTS = (0.4, 0.9, 1.6)  # of cox: intervals that do not move with the data
DURATIONS = ("weibull", "exponential", "lognormal", "cox")
LEFT = {
    "conditional_logit": "choice(y, three)",
    "binomial": "trials(y, nine)",
    "beta_binomial": "trials(y, nine)",
    **dict.fromkeys(DURATIONS, "surv(y, event)"),
}


#: A family's own parameters at which its outcomes are drawn.
FAMILY_ROWS: dict[str, dict[str, float]] = {
    "gaussian": {"sigma": 0.6},
    "student": {"sigma": 0.5, "nu": 5.0},
    "bernoulli": {},
    "binomial": {},
    "poisson": {},
    "negative_binomial": {"phi": 2.0},
    "gamma": {"shape": 3.0},
    "beta": {"phi": 8.0},
    "ordinal": {"cut.1": -0.5, "cut.2": 0.8, "cut.3": 2.0},
    "weibull": {"shape": 1.5},
    "exponential": {},
    "lognormal": {"sigma": 0.6},
    "beta_binomial": {"phi": 6.0},
    "zero_inflated_poisson": {"zi": 0.25},
    "zero_inflated_negative_binomial": {"phi": 2.0, "zi": 0.2},
    "hurdle_poisson": {"hu": 0.3},
    "hurdle_negative_binomial": {"phi": 2.0, "hu": 0.3},
    "categorical": {
        **{f"mu[2].{name}": value for name, value in TRUTH.items() if ".w." not in name},
        **{
            f"mu[3].{name}": -0.5 * value if "sd" not in name else value
            for name, value in TRUTH.items()
            if ".w." not in name
        },
    },
    "conditional_logit": {},
    "cox": {"baseline.1": -1.0, "baseline.2": -0.3, "baseline.3": -0.6, "baseline.4": -0.2},
}


class Structure(NamedTuple):
    """Terms beside ``y ~ majority``, and the parameters at which a Gaussian outcome is drawn.

    `word` is the kind of effects or the aggregate that the row is about.
    """

    word: str
    terms: str
    truth: dict[str, float]
    options: tuple[str, ...] = ()


def member(effects: str) -> str:
    return f"mm(pid, gid, weights = 1 / n, normalize = none, effects = {effects})"


# Concentration is nearly the same at b1 and -b1 with exp(b1 * x), hence two humps; an exponent of one sign has one.
SHARPER = "size ** exp(b1)"


def feature(aggregate: str, covariates: str = ", cohesion", weights: str = "exp(b1 * pseat)") -> str:
    return f"mm(pid, gid{covariates}, weights = {weights}, aggregate = {aggregate}, name = B)"


STRUCTURE_ROWS = {
    "iid(1 + x)": Structure("iid", member("iid(1 + cohesion)"), {"pid.sd": 0.8, "pid.sd.cohesion": 0.6}),
    "correlated(1 + x)": Structure(
        "correlated",
        member("correlated(1 + cohesion)"),
        {"pid.sd": 0.8, "pid.sd.cohesion": 0.6, "pid.cor.1.cohesion": 0.5},
    ),
    "walk": Structure("walk", member("walk"), {"pid.sd": 0.6}),
    "walk(time)": Structure("walk", member("walk(year)"), {"pid.sd": 0.6}),
    "ar1(time)": Structure(  # states that the data know well: NUTS walks through a dependence of vague ones for days
        "ar1",
        "mm(pid, gid, cohesion, effects = none) + hm(cid, effects = ar1(year))",
        {"pid.cohesion": 0.5, "cid.sd": 1.0, "cid.rho": 0.8, "sigma": 0.1},
    ),
    "car(g)": Structure("car", member("car(map)"), {"pid.sd": 1.5, "pid.rho": 0.8}, ("graphs",)),
    "icar(g)": Structure("icar", member("icar(map)"), {"pid.sd": 1.5}, ("graphs",)),
    "known(K)": Structure("known", member("known(K)"), {"pid.sd": 1.0}, ("known",)),
    "fixed": Structure("fixed", "mm(bloc, gid, weights = power(pseat), effects = fixed)", {"bloc.w.pseat": 1.0}),
    "shared": Structure(
        "shared", "mm(pid, gid) + mm(other, gid, effects = shared(pid))", {"pid.sd": 1.0, "other.scale": -0.6}
    ),
    "correlated_with": Structure(
        "correlated_with",
        "mm(pid, gid) + mm(other, gid, effects = correlated_with(pid))",
        {"pid.sd": 1.0, "other.sd": 0.8, "other.cor.pid": 0.5},
    ),
    "(1 + x | u)": Structure(
        "unit",
        "mm(pid, gid) + (1 + majority | cid)",
        {"pid.sd": 0.6, "cid.sd": 0.8, "cid.sd.majority": 0.6, "cid.cor.1.majority": -0.4},
    ),
    "weights with effects": Structure(
        "weights with effects",
        "mm(pid, gid, cohesion, weights = exp((b1 | cid) * pseat), normalize = group)",
        {"pid.cohesion": 1.0, "pid.sd": 0.6, "pid.w.b1": 0.5, "pid.w.b1.sd": 0.8},
    ),
    "var": Structure("var", feature("var"), {"B.var.cohesion": 1.0, "B.w.b1": 0.8}),
    "smax": Structure("smax", feature("smax(kappa)"), {"B.smax.cohesion": 1.2, "B.smax.kappa": 2.0, "B.w.b1": 0.8}),
    "threshold": Structure(
        "threshold",
        feature("threshold(c, kappa)"),
        {"B.threshold.cohesion": 3.0, "B.threshold.c": 0.4, "B.threshold.kappa": 3.0, "B.w.b1": 0.8},
    ),
    "moment": Structure("moment", feature("moment(3)"), {"B.moment.cohesion": 0.8, "B.w.b1": 0.8}),
    "gmean": Structure("gmean", feature("gmean(p)", ", size"), {"B.gmean.size": 1.5, "B.gmean.p": -1.0, "B.w.b1": 0.8}),
    "max": Structure("max", feature("max", weights="1"), {"B.max.cohesion": 0.8}),
    "min": Structure("min", feature("min", weights="1"), {"B.min.cohesion": 0.8}),
    "effn": Structure("effn", feature("effn", "", SHARPER), {"B.effn": 0.8, "B.w.b1": 0.3}),
    "entropy": Structure("entropy", feature("entropy", "", SHARPER), {"B.entropy": 2.0, "B.w.b1": 0.3}),
    "hhi": Structure("hhi", feature("hhi", "", SHARPER), {"B.hhi": 4.0, "B.w.b1": 0.3}),
    "cov": Structure("cov", feature("cov", ", cohesion + rile"), {"B.cov.cohesion.rile": 1.5, "B.w.b1": 0.8}),
    "E": Structure("E", feature("E((cohesion - E(cohesion)) ** 2)", ""), {"B.E": 1.0, "B.w.b1": 0.8}),
    "B:z": Structure(
        "interaction",
        "mm(pid, gid, cohesion, weights = power(pseat), normalize = group, name = B) + B:majority",
        {"B.cohesion": -0.5, "B.cohesion:majority": 0.8, "B.w.pseat": 1.0, "B.sd": 0.6},
    ),
    "B1:B2": Structure(
        "interaction",
        "mm(pid, gid, cohesion, weights = power(pseat), normalize = group, name = B1)"
        " + mm(pid, gid, rile, weights = exp(b1 * pseat), aggregate = var, name = B2) + B1:B2",
        {"B1.cohesion": -0.5, "B2.var.rile": 1.0, "B1.cohesion:B2.var.rile": 1.0, "B1.w.pseat": 1.0, "B2.w.b1": 0.8}
        | {"B1.sd": 0.5},
    ),
}


# -- data --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table():
    """150 governments of 50 parties; their outcomes are replaced."""
    data = mm.simulate.coalitions(150, 50, 8, random_seed=4).data
    rng = np.random.default_rng(6)
    year = 1950 + np.cumsum(rng.integers(1, 4, 151))
    return data.assign(
        nine=9,
        three=data["gid"] // 3,
        event=1,
        year=year[data["gid"]],
        bloc=data["pid"] % 5,
        other=1 + rng.permutation(50)[data["pid"] - 1],
        rile=rng.standard_normal(len(data)),
        size=np.exp(0.8 * rng.standard_normal(len(data))),
    )


def drawn(formula: str, table: pd.DataFrame, truth: dict[str, float], censor: bool = False, **options: Any) -> mm.Model:
    """The model with an outcome drawn from it; durations are censored by exponential times."""
    first = mm.Model(formula, table, **options)
    unnamed = dict.fromkeys(first.specification.names, 0.5)  # coefficients of which a row says nothing
    made = first.simulate({k: truth.get(k, v) for k, v in unnamed.items()}, random_seed=2)
    of_group = pd.Series(made.outcome[0], index=made.groups)
    data = table.assign(y=table["gid"].map(of_group))
    if censor:
        end = pd.Series(np.random.default_rng(1).exponential(6.0, len(of_group)), index=of_group.index)
        stop = table["gid"].map(end)
        data = data.assign(y=np.minimum(data["y"], stop), event=(data["y"] <= stop).astype(int))
    return mm.Model(formula, data, **options)


def model_of_family(name: str, table: pd.DataFrame) -> mm.Model:
    first = table["gid"] == table.groupby("three")["gid"].transform("min")
    some = {
        "bernoulli": table["gid"] % 2, "beta": 0.2 + table["gid"] % 3 / 5, "categorical": 1 + table["gid"] % 3,
        "conditional_logit": first.astype(int),
    }.get(name, 1 + table["gid"] % 4)  # fmt: skip
    chosen = mm.families.cox(CUTS) if name == "cox" else name
    formula = TERMS.format(LEFT.get(name, "y"))
    truth = TRUTH | FAMILY_ROWS[name]
    return drawn(formula, table.assign(y=some), truth, name in DURATIONS, family=chosen)


def model_of_structure(name: str, table: pd.DataFrame) -> mm.Model:
    row = STRUCTURE_ROWS[name]
    parties = sorted(set(table["pid"]))
    far = np.abs(np.subtract.outer(range(50), range(50)))
    sources = {
        "graphs": {"map": ring(parties)},
        "known": {"K": pd.DataFrame(0.6**far, index=parties, columns=parties)},
    }
    some = table.assign(y=table["gid"] % 7 / 3.0)
    return drawn(
        f"y ~ majority + {row.terms}", some, {"sigma": 0.5} | row.truth, **{k: sources[k] for k in row.options}
    )


def ring(nodes: list[int]) -> Any:
    """A ring with chords to the seventh neighbour."""
    return nx.relabel_nodes(nx.circulant_graph(len(nodes), [1, 7]), dict(enumerate(nodes)))


# -- comparison --------------------------------------------------------------------------------------------------------


def moments(fit: Any) -> pd.DataFrame:
    """Mean, sd and their Monte Carlo errors, and bulk ESS, by parameter."""
    draws = fit.posterior.draws
    rows = {}
    for k, name in enumerate(fit.params.index):
        x = draws[:, :, k]
        error = [array_stats.mcse(x, chain_axis=0, draw_axis=1, method=m) for m in ("mean", "sd")]
        ess = array_stats.ess(x, chain_axis=0, draw_axis=1, method="bulk")
        rows[name] = [x.mean(), x.std(ddof=1), *map(float, error), float(ess)]
    return pd.DataFrame.from_dict(rows, orient="index", columns=["mean", "sd", "mcse_mean", "mcse_sd", "ess"])


def long_run(model: mm.Model, engine: str, wanted: int, **run: Any) -> pd.DataFrame:
    """Moments of a run, made once more and longer if some parameter has fewer effective draws than wanted."""
    run = {"random_seed": 1, "progress": False, **run}
    fit = model.fit(engine, **run)
    found = moments(fit)
    for _ in range(3):
        if found["ess"].min() > wanted:
            break
        factor = min(1.3 * wanted / found["ess"].min(), 8.0)
        if engine == "mcmc":
            fit = fit.extend(int(max(factor - 1, 0.3) * fit.posterior.draws.shape[1]), progress=False)
        else:
            run["draws"] = 50 * int(np.ceil(factor * run["draws"] / 50))
            fit = model.fit(engine, **run)
        found = moments(fit)
    assert found["ess"].min() > wanted, f"{engine}: too few effective draws\n{found}"
    return found


def differences(a: pd.DataFrame, b: pd.DataFrame) -> list[str]:
    """What differs by more than Monte Carlo error allows, in words."""
    assert list(a.index) == list(b.index)
    out = []
    for name in a.index:
        p, q = a.loc[name], b.loc[name]
        away = (p["mean"] - q["mean"]) / np.hypot(p["mcse_mean"], q["mcse_mean"])
        LOG.info(
            "%-24s mean %9.4f %9.4f (%+.1f mcse)  sd %.4f %.4f (%+.1f%%)  ess %.0f %.0f", name, p["mean"], q["mean"],
            away, p["sd"], q["sd"], 100 * (p["sd"] / q["sd"] - 1), p["ess"], q["ess"],
        )  # fmt: skip
        if not abs(away) < 4:
            out.append(f"{name}: means {p['mean']:.4f}, {q['mean']:.4f} are {away:+.1f} Monte Carlo errors apart")
        if not abs(p["sd"] - q["sd"]) < 0.08 * q["sd"] + 3 * np.hypot(p["mcse_sd"], q["mcse_sd"]):
            out.append(f"{name}: sds {p['sd']:.4f}, {q['sd']:.4f}")
    return out


def compare(model: mm.Model, wanted: int) -> list[str]:
    exact = long_run(model, "mcmc", wanted, draws=2000, tune=1000, chains=4)
    nuts = long_run(model, "nuts", wanted, draws=2 * wanted, tune=600, chains=2)
    return differences(exact, nuts)


# -- tests -------------------------------------------------------------------------------------------------------------


def test_every_family_kind_of_effects_and_aggregate_has_its_row():
    assert set(FAMILY_ROWS) == set(FAMILIES)
    words = {row.word for row in STRUCTURE_ROWS.values()}
    assert set(KINDS) - {"none"} <= words
    assert {*AGGREGATES, MEAN, "interaction"} <= words


def test_a_difference_is_seen():
    """Of a Monte Carlo error's size it passes; of five in a mean, of twenty per cent in an sd, it does not."""
    columns = {"mean": [0.0], "sd": [1.0], "mcse_mean": [0.02], "mcse_sd": [0.015], "ess": [2500.0]}
    a = pd.DataFrame(columns, index=["b"])
    assert not differences(a, a.assign(mean=0.02, sd=1.02))
    assert "means" in differences(a, a.assign(mean=0.15))[0]
    assert "sds" in differences(a, a.assign(sd=1.2))[0]


@pytest.mark.calibrate
@pytest.mark.parametrize("family", list(FAMILY_ROWS))
def test_families_agree(family, table):
    found = compare(model_of_family(family, table), 2000)
    assert not found, "\n".join(found)


@pytest.mark.calibrate
@pytest.mark.parametrize("structure", list(STRUCTURE_ROWS))
def test_structures_agree(structure, table):
    found = compare(model_of_structure(structure, table), 1000)
    assert not found, "\n".join(found)
