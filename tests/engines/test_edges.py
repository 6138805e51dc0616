"""Weights that are normalised must not be negative: the edge in every engine, and what is said of it.

The data press against it: members with a large z count for less than nothing. Oracles are written out by hand: sums,
least squares, grids over the weight parameters that end where 1 + b z is zero for the largest z.
"""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.engines.marginals import marginal_of
from micromacro.engines.mcmc.engine import posterior_peaks
from micromacro.language.parse import parse_expression
from micromacro.parameters import Parameter
from micromacro.table.columns import read_table
from micromacro.terms.member.ranges import may_be_negative
from micromacro.terms.member.weights import make_tape, prepare, read_weights

MM = "mm(m, g, x, weights = {}, normalize = {}, effects = none{})"


@cache
def pressing(seed: int = 3, slope: float = -1.4, groups: int = 60) -> pd.DataFrame:
    """Outcomes made with weights 1 + slope z, some of them negative."""
    rng = np.random.default_rng(seed)
    rows = [(g, m) for g in range(groups) for m in rng.choice(20, rng.integers(2, 6), replace=False)]
    data = pd.DataFrame(rows, columns=["g", "m"])
    data["z"], data["x"], data["q"] = rng.random(len(data)), rng.standard_normal(len(data)), rng.random(len(data))
    raw = 1.0 + slope * data["z"]
    w = raw / raw.groupby(data["g"]).transform("sum").clip(lower=0.4)
    data["y"] = (w * data["x"]).groupby(data["g"]).transform("sum") + 0.3 * rng.standard_normal(groups)[data["g"]]
    return data


def formula(weights: str = "1 + b * z", rule: str = "group", more: str = "") -> str:
    return "y ~ 1 + " + MM.format(weights, rule, more)


def by_hand(data: pd.DataFrame, raw: np.ndarray, rule: str) -> float:
    """The likelihood at its maximum over intercept, slope and sigma, at some raw weights."""
    raw = pd.Series(raw, index=data.index)
    total = raw.groupby(data["g"]).transform("sum") if rule == "group" else raw.sum() / data["g"].nunique()
    feature = (raw / total * data["x"]).groupby(data["g"]).sum()
    y = data.groupby("g")["y"].first()
    design = np.column_stack([np.ones(len(y)), feature])
    rest = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    return float(-0.5 * len(y) * (np.log(2 * np.pi * np.mean(rest**2)) + 1.0))


def quiet(text: str, data: pd.DataFrame, engine: str = "ml", **more):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mm.MicromacroWarning)
        return mm.fit(text, data, engine=engine, **more)


# -- maxima --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["group", "total"])
def test_the_maximum_lies_at_the_edge_and_no_point_inside_is_higher(rule):
    data = pressing()
    fit = quiet(formula(rule=rule), data)
    end = -1.0 / data["z"].max()
    places = [end + 1e-9, end + 1e-6, *np.linspace(end + 1e-3, 2.0, 40)]
    grid = [by_hand(data, 1.0 + b * data["z"], rule) for b in places]
    assert fit.params["m.w.b"] == pytest.approx(end, abs=1e-9)
    assert fit.loglik > max(grid) - 1e-4
    assert fit.weights()["weight"].min() == 0.0
    assert np.isnan(fit.bse["m.w.b"]) and fit.bse[["Intercept", "m.x", "sigma"]].notna().all()
    held = quiet(formula(rule=rule), data, fixed=fit.params[["m.w.b"]].to_dict())
    assert held.loglik == pytest.approx(fit.loglik, abs=1e-9)


def test_a_note_names_the_groups_that_hold_the_weights_and_what_they_fix():
    data = pressing()
    (note,) = [n for n in quiet(formula(), data).health.notes if n.code == "edge"]
    assert note.about == ("m.w.b",)
    assert f"group {data.loc[data['z'].idxmax(), 'g']} holds them there (1 membership with weight zero)" in note
    assert "m.w.b cannot move and has no standard error" in note


def test_standard_errors_are_those_along_the_edge():
    """One member holds 1 + b z + c q at zero: b moves with c along the edge, and the curvature is the profile's."""
    data = pressing(5).assign(q=lambda d: d["q"] - 0.5)
    fit = quiet(formula("1 + b * z + c * q"), data)
    b, c = fit.params[["m.w.b", "m.w.c"]]
    raw = 1.0 + b * data["z"] + c * data["q"]
    (held,) = np.flatnonzero(raw < 1e-9)
    z, q = data.loc[held, ["z", "q"]]

    def along(t: float) -> float:
        return by_hand(data, raw + t * (-q * data["z"] + z * data["q"]), "group")

    h = 2e-4
    variance = -(h**2) / (along(h) - 2.0 * along(0.0) + along(-h))
    np.testing.assert_allclose(fit.bse[["m.w.b", "m.w.c"]], np.sqrt(variance) * np.abs([q, z]), rtol=0.02)
    assert abs(along(h) - along(-h)) < 1e-3  # it is a maximum along the edge


@pytest.mark.parametrize(
    "weights", ["1 - b ** 2 * z", "(1 + b * z) * exp(c * q)", "1 - (b * z) ** 2 - (c * q) ** 2 + b / 9", "c + b * z"]
)
def test_curved_edges_and_products_end_at_them_too(weights):
    fit = quiet(formula(weights), pressing())
    assert fit.weights()["weight"].min() >= 0.0
    assert fit.health.notes and fit.loglik >= quiet(formula("1 / n"), pressing()).loglik - 1e-6
    b = {p.rsplit(".", 1)[1]: v for p, v in fit.params.items() if ".w." in p}
    rng = np.random.default_rng(0)
    data = pressing()
    for _ in range(60):  # no point near it that is allowed lies higher
        near = {k: v + 0.05 * rng.standard_normal() for k, v in b.items()}
        raw = eval(weights, {"exp": np.exp, "z": data["z"], "q": data["q"], **near})
        if raw.min() >= 0.0:
            assert by_hand(data, raw, "group") < fit.loglik + 1e-6


@pytest.mark.parametrize("seed", range(6))
def test_weights_are_never_negative_nor_the_search_lost(seed):
    data = pressing(seed, (-1.4, -0.9, 0.5)[seed % 3], 30)
    fit = quiet(formula("1 + b * z + c * (q - 0.5)", ("group", "total")[seed % 2]), data)
    assert fit.weights()["weight"].min() >= 0.0
    assert fit.health.ok, fit.health.troubles


def test_a_likelihood_ratio_at_the_edge_says_so():
    test = quiet(formula(), pressing()).lr_test(quiet(formula("1 / n"), pressing()))
    assert [n.code for n in test.notes] == ["edge"] and test.notes[0].about == ("m.w.b",)


def test_a_profile_interval_ends_at_the_edge():
    data = pressing()
    fit = quiet(formula(), data)
    low, high = fit.profile("m.w.b")
    assert low == pytest.approx(-1.0 / data["z"].max(), abs=1e-4)
    drop = fit.loglik - by_hand(data, 1.0 + high * data["z"], "group")
    assert drop == pytest.approx(1.92, abs=0.01)


# -- draws ---------------------------------------------------------------------------------------------------------


@cache
def posterior_on_a_grid() -> tuple[np.ndarray, np.ndarray]:
    """Values of b and their posterior probabilities: sigma summed out on a grid, b cut at the edge."""
    data = pressing()
    specification = mm.Model(formula(), data).specification
    marginal = marginal_of(specification)
    room = marginal.workspace(gradient=False)
    prior = [p.prior for p in specification.system.hypers]
    end = -1.0 / data["z"].max()
    b = end + np.linspace(0.0, 0.6, 241)[1:] ** 2  # dense near the edge
    sigma = np.linspace(0.15, 0.9, 60)
    of_sigma = np.array([prior[1].log_density(s) for s in sigma])
    logs = np.array([[marginal.value(np.array([x, s]), room) for s in sigma] for x in b]) + of_sigma
    logs += np.array([prior[0].log_density(x) for x in b])[:, None]
    mass = np.exp(logs - logs.max()).sum(axis=1) * np.gradient(b)
    return b, mass / mass.sum()


@pytest.mark.parametrize("engine", ["mcmc", "laplace"])
def test_draws_agree_with_a_grid_that_ends_at_the_edge(engine):
    b, mass = posterior_on_a_grid()
    fit = quiet(formula(), pressing(), engine, random_seed=4, progress=False, draws=1000 if engine == "mcmc" else 3000)
    draws = fit.to_datatree().posterior["m.w.b"].to_numpy().ravel()
    assert draws.min() >= -1.0 / pressing()["z"].max() - 1e-12
    mean = float(mass @ b)
    sd = float(np.sqrt(mass @ (b - mean) ** 2))
    size = 600.0  # draws that they are worth, at least
    assert abs(draws.mean() - mean) < 4.0 * sd / np.sqrt(size)
    for level in (0.1, 0.5, 0.9):
        below = float(mass[b <= np.quantile(draws, level)].sum())
        assert abs(below - level) < 4.0 * np.sqrt(level * (1.0 - level) / size) + 0.01
    assert fit.weights()["weight"].min() >= 0.0 and fit.weights()["lower"].min() >= 0.0


@pytest.mark.slow
def test_the_joint_density_of_nuts_ends_at_the_edge_and_its_map_stays_inside():
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        from micromacro.engines.nuts.density import Joint

        s = mm.Model(formula("1 + b * z + c * (q - 0.4)"), pressing()).specification
        joint, x = Joint(s), np.zeros(s.system.size)
        inside, beyond = np.array([-0.5, 0.3, 0.5]), np.array([-1.5, 0.0, 0.5])
        assert np.isfinite(float(joint.log_density(inside, x))) and s.system.inside(inside)
        assert float(joint.log_density(beyond, x)) == -np.inf and not s.system.inside(beyond)
        rng = np.random.default_rng(0)
        for size in (0.1, 1.0, 10.0):
            u = size * rng.standard_normal(3)
            theta, log_slope = joint.natural(u)
            assert s.system.inside(np.asarray(theta))
            slope = jax.jacfwd(lambda v: joint.natural(v)[0])(u)
            assert float(log_slope) == pytest.approx(np.linalg.slogdet(np.asarray(slope))[1], rel=1e-8, abs=1e-8)


def test_draws_from_the_prior_stay_inside():
    drawn = mm.Model(formula(), pressing()).prior_predictive(draws=50, random_seed=1)
    assert drawn.weights["m"].min() >= 0.0


# -- which forms have an edge --------------------------------------------------------------------------------------

NEVER = [
    "1 / n", "1 / n ** exp(-(b * z))", "power(z)", "logistic(z)", "softmax(z)", "exp(b * z)", "z ** exp(b)",
    "1 - ilogit(b * z)", "1 + tanh(b * z)", "(1 + b * z) ** 2", "abs(b + z)", "maximum(0, 1 + b * z)", "q + b ** 2 * z",
    "where(z > 0.5, exp(b), 1)", "exp(b * z) / sum(exp(b * z))", "log1p(exp(b * z))", "sqrt(abs(b * z) + 1)",
    "1 + sin(b * z)", "pow(z, b)", "rank(b * z) / n", "var(b * z) + 1", "(z > b) + 1", "1 - iprobit(b) / 2",
]  # fmt: skip
MAYBE = [
    "1 + b * z", "1 - exp(b * z)", "1 + b ** 3", "log(2 + exp(b * z))  - 1", "2 - (b * z) ** 2", "1 + sin(b * z) * 2",
    "minimum(1 + b * z, 3)", "mean(b * z) + 1", "where(z > 0.5, b, 1)", "1 / (2 + b * z)", "c + b * z",
]  # fmt: skip


@pytest.mark.parametrize(("text", "edge"), [*((t, False) for t in NEVER), *((t, True) for t in MAYBE)])
def test_an_edge_is_known_by_the_form_of_the_expression(text, edge):
    table = read_table({name: pressing()[name].to_numpy() for name in ("z", "q")}, "data")
    start = np.append(0, np.cumsum(pressing().groupby("g").size()))
    expression = prepare(read_weights(parse_expression(text), text, ("z", "q"), None), table)
    normal = mm.prior.normal(0, 1)
    free = [Parameter(name, "w", normal, 0.0, True, normal) for name in expression.parameters]
    assert may_be_negative(make_tape(expression, table, start), free, start) == edge


def test_a_prior_that_keeps_weights_positive_takes_the_edge_away():
    half = {"m.w.b": mm.prior.half_normal(1)}
    assert not mm.Model(formula(), pressing(), priors=half).specification.members["m"].edge
    assert mm.Model(formula("1 - b * z"), pressing(), priors=half).specification.members["m"].edge
    block = mm.Model(formula("1 + b * z", "none"), pressing()).specification.members["m"]
    assert not block.edge and may_be_negative(block.tape, block.weight_parameters, block.memberships.start)


# -- starts --------------------------------------------------------------------------------------------------------


def test_a_start_on_the_edge_is_moved_inside():
    model = mm.Model(formula("c + b * z"), pressing())
    start = model.parameters.loc[["m.w.c", "m.w.b"], "start"].to_numpy()
    assert (start[0] + start[1] * pressing()["z"]).min() > 0.0
    assert len(posterior_peaks(model.specification)) >= 1


def test_where_there_is_no_place_inside_the_groups_and_the_remedy_are_named():
    with pytest.raises(mm.DataError, match=r"negative.* in \d+ groups \(first: .*exp\(\) of it.*signed = yes"):
        _ = mm.Model(formula("-1 - (b * z) ** 2"), pressing()).specification
    with pytest.raises(mm.DataError, match="negative"):
        quiet(formula(), pressing(), fixed={"m.w.b": -1.5})


@pytest.mark.parametrize("value", [40.0, 400.0])
@pytest.mark.parametrize("weights", ["softmax(z)", "power(z)", "1 / n ** exp(-(a * z))"])
def test_weights_too_small_to_be_written_down_can_be_held(weights, value):
    data = pressing().assign(z=lambda d: 3.0 * (d["z"] - 0.5))
    name = next(n for n in mm.Model(formula(weights), data).parameters.index if ".w." in n)
    fit = quiet(formula(weights), data, fixed={name: value})
    np.testing.assert_allclose(fit.weights().groupby(level="g")["weight"].sum(), 1.0)


# -- other groups, and files ---------------------------------------------------------------------------------------

NEW = pd.DataFrame({"g": ["A", "A", "B", "B"], "m": [1, 2, 3, 4], "z": [3.0, 0.2, 0.1, 0.2], "x": [1.0, 2.0, 3.0, 4.0]})


@pytest.mark.parametrize("verb", ["weights", "predict", "predictions"])
def test_new_groups_beyond_the_edge_are_named(verb):
    fit = quiet(formula(), pressing())
    with pytest.warns(mm.MicromacroWarning, match=r"raw weights of block 'm' are negative in 1 of .*first: A\)"):
        getattr(fit, verb)(data=NEW)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = fit.weights(data=NEW[NEW["g"] == "B"])
    assert (table["lower"] >= 0.0).all()


def test_a_fit_at_the_edge_is_read_from_its_file(tmp_path):
    fit = quiet(formula(), pressing())
    fit.save(tmp_path / "edge.nc")
    again = mm.load(tmp_path / "edge.nc")
    pd.testing.assert_frame_equal(again.weights(), fit.weights())
    assert again.health.notes == fit.health.notes


# -- signed weights ------------------------------------------------------------------------------------------------


def test_signed_weights_may_be_negative_and_the_report_counts_them():
    data = pressing()
    fit = quiet(formula(more=", signed = yes"), data)
    table = fit.weights()
    assert fit.loglik > quiet(formula(), data).loglik + 1.0
    (note,) = [n for n in fit.health.notes if n.code == "negative-weights"]
    count = int((table["weight"] < 0).sum())
    assert count > 0 and note.startswith(f"{count} of {len(table)} weights of m, which may be negative, are so")
    assert "and may be negative" in str(fit) and "signed" in mm.Model(formula(more=", signed = yes"), data).explain()
    np.testing.assert_allclose(table["p_negative"] > 0.5, table["weight"] < 0)
    assert "p_negative" not in quiet(formula(), data).weights()


def test_with_draws_p_negative_is_their_share():
    fit = quiet(formula(more=", signed = yes"), pressing(), "laplace", random_seed=1, draws=400)
    share = (fit.posterior.weight_draws("m") < 0).mean(axis=0)
    np.testing.assert_allclose(fit.weights()["p_negative"], share)


def test_a_group_whose_weights_nearly_cancel_is_named_and_no_chain_starts_there():
    data = pressing()
    s = mm.Model(formula(more=", signed = yes"), data).specification
    z = data[data["g"] == 7]["z"]
    pole = -len(z) / z.sum()  # where the raw weights of group 7 sum to zero
    theta = np.array([pole + 1e-3, 0.5])
    assert not s.system.sound(theta) and s.system.sound(np.array([0.1, 0.5]))
    fit = quiet(formula(more=", signed = yes"), data, fixed={"m.w.b": pole + 1e-3})
    (note,) = [n for n in fit.health.notes if n.code == "near-pole"]
    assert note.severity == "caution" and "7" in note


@pytest.mark.parametrize("aggregate", ["entropy", "smax(2)", "gmean(1)"])
def test_logarithms_of_sums_of_signed_weights_are_refused(aggregate):
    x = "" if aggregate == "entropy" else "q, "
    with pytest.raises(mm.FormulaError, match=r"does not exist for negative weights: leave out signed = yes"):
        _ = mm.Model(
            f"y ~ 1 + mm(m, g, {x}weights = 1 + b * z, aggregate = {aggregate}, signed = yes)", pressing()
        ).specification
    with pytest.raises(mm.FormulaError, match="signed= is yes or no, not maybe"):
        mm.Model(formula(more=", signed = maybe"), pressing())
