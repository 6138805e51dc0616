"""Conditional autoregressions against dense covariances, scipy's and our own, and what graphs must have."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

import micromacro as mm
from micromacro.errors import DataError, ModelError

nx = pytest.importorskip("networkx")


def lattice(rows=5, columns=6):
    return nx.convert_node_labels_to_integers(nx.grid_2d_graph(rows, columns), label_attribute="at")


def matrices(graph):
    w = nx.to_numpy_array(graph, nodelist=sorted(graph))
    return w, np.diag(w.sum(axis=1))


def places(graph, seed=1, sd=1.0, rho=0.9, groups=120, sigma=0.3):
    """Each group has two or three places; their effects follow a proper autoregression."""
    rng = np.random.default_rng(seed)
    w, m = matrices(graph)
    u = sd * rng.multivariate_normal(np.zeros(len(w)), np.linalg.inv(m - rho * w))
    rows = []
    for g in range(groups):
        x = rng.standard_normal()
        chosen = rng.choice(len(w), rng.integers(2, 4), replace=False)
        y = 1 + 0.5 * x + u[chosen].mean() + sigma * rng.standard_normal()
        rows += [(g, j, x, y) for j in chosen]
    return pd.DataFrame(rows, columns=["g", "place", "x", "y"])


def dense_loglik(data, k, sd, sigma, b):
    groups = data.drop_duplicates("g").sort_values("g")
    z = np.zeros((len(groups), len(k)))
    n = data.groupby("g")["place"].transform("size")
    np.add.at(z, (data["g"], data["place"]), 1 / n)
    v = sd**2 * z @ k @ z.T + sigma**2 * np.eye(len(groups))
    return multivariate_normal(b[0] + b[1] * groups["x"].to_numpy(), v).logpdf(groups["y"].to_numpy())


def test_car_likelihood_is_the_dense_one():
    graph = lattice()
    data = places(graph)
    fit = mm.fit("y ~ x + mm(place, g, effects=car(map))", data, graphs={"map": graph}, engine="ml")
    p = fit.params
    w, m = matrices(graph)
    k = np.linalg.inv(m - p["place.rho"] * w)
    value = dense_loglik(data, k, p["place.sd"], p["sigma"], (p["Intercept"], p["x"]))
    assert fit.loglik == pytest.approx(value, abs=1e-8)


def test_icar_likelihood_is_that_of_effects_that_sum_to_zero():
    graph = nx.disjoint_union(lattice(4, 4), lattice(3, 4))
    data = places(graph)
    fit = mm.fit("y ~ x + mm(place, g, effects=icar(map))", data, graphs={"map": graph}, engine="ml")
    p = fit.params
    w, m = matrices(graph)
    k = np.linalg.pinv(m - w)  # zero along the constants of both components
    value = dense_loglik(data, k, p["place.sd"], p["sigma"], (p["Intercept"], p["x"]))
    assert fit.loglik == pytest.approx(value, abs=1e-8)
    effects = fit.random_effects("place")["estimate"]
    assert abs(effects.loc[:15].sum()) < 1e-12 and abs(effects.loc[16:].sum()) < 1e-12


@pytest.mark.parametrize("kind", ["car", "icar"])
def test_a_map_that_is_cut_into_regions_has_the_dense_likelihood(kind):
    """Above the sizes where eigenvalues are held and a map is one region."""
    graph = lattice(18, 19)
    data = places(graph, groups=150)
    fit = mm.fit(f"y ~ x + mm(place, g, effects={kind}(map))", data, graphs={"map": graph}, engine="ml")
    p, (w, m) = fit.params, matrices(graph)
    k = np.linalg.pinv(m - w) if kind == "icar" else np.linalg.inv(m - p["place.rho"] * w)
    value = dense_loglik(data, k, p["place.sd"], p["sigma"], (p["Intercept"], p["x"]))
    assert fit.loglik == pytest.approx(value, abs=1e-8)
    groups = data.drop_duplicates("g").sort_values("g")
    z = np.zeros((150, len(k)))
    np.add.at(z, (data["g"], data["place"]), 1 / data.groupby("g")["place"].transform("size"))
    away = groups["y"] - p["Intercept"] - p["x"] * groups["x"]
    v = p["place.sd"] ** 2 * z @ k @ z.T + p["sigma"] ** 2 * np.eye(150)
    blup = p["place.sd"] ** 2 * k @ z.T @ np.linalg.solve(v, away)
    np.testing.assert_allclose(fit.random_effects("place")["estimate"], blup, atol=1e-9)


def test_recovers_dependence_and_scale():
    graph = lattice(14, 14)
    data = places(graph, seed=3, sd=1.5, rho=0.95, groups=1200)
    fit = mm.fit("y ~ x + mm(place, g, effects=car(map))", data, graphs={"map": graph}, engine="ml")
    assert abs(fit.params["place.sd"] - 1.5) < 4 * fit.bse["place.sd"]
    assert 0.8 < fit.params["place.rho"] < 1.0


def test_nodes_without_data_have_effects_and_predictions():
    graph = lattice()
    data = places(graph)
    data = data[~data["g"].isin(data.loc[data["place"] == 7, "g"])]
    data["g"] = data["g"].rank(method="dense").astype(int) - 1
    fit = mm.fit("y ~ x + mm(place, g, effects=car(map))", data, graphs={"map": graph}, engine="ml")
    effects = fit.random_effects("place")
    assert len(effects) == 30
    new = pd.DataFrame({"g": [0], "place": [7], "x": [0.0]})
    value = fit.predict(new, kind="linear")["estimate"].iloc[0]
    assert value == pytest.approx(fit.params["Intercept"] + effects["estimate"].loc[7], abs=1e-9)
    near = effects["estimate"].loc[sorted(graph[7])].mean()
    assert effects["estimate"].loc[7] == pytest.approx(fit.params["place.rho"] * near, abs=1e-8)


def test_car_on_units_and_other_families():
    graph = lattice(3, 4)
    rng = np.random.default_rng(1)
    area = np.arange(12).repeat(4)
    data = pd.DataFrame({"area": area, "x": rng.standard_normal(48)})
    data["k"] = rng.poisson(np.exp(0.5 * data["x"] + 0.1 * area / 12))
    fit = mm.fit("k ~ x + hm(area, effects=icar(map))", data, family="poisson", graphs={"map": graph}, engine="ml")
    assert np.isfinite(fit.loglik)
    drawn = mm.fit(
        "k ~ x + hm(area, effects=car(map))", data, family="poisson", graphs={"map": graph}, draws=200, tune=200,
        chains=2, random_seed=1, progress=False,
    )  # fmt: skip
    assert {"area.sd", "area.rho"} <= set(drawn.summary().index)


@pytest.mark.parametrize("kind", ["car", "icar"])
def test_joint_density_is_that_of_jax(kind):
    jax = pytest.importorskip("jax")
    from micromacro.engines.joint import log_joint
    from micromacro.engines.nuts.density import Joint

    s = mm.Model(
        f"y ~ x + mm(place, g, effects={kind}(map))", places(lattice()), graphs={"map": lattice()}
    ).specification
    rng = np.random.default_rng(2)
    with jax.enable_x64(True):
        joint = Joint(s)
        for _ in range(20):
            theta = np.array([p.start for p in s.system.hypers]) + 0.3 * rng.random(len(s.system.hypers))
            x = rng.standard_normal(s.system.size)
            assert float(joint.log_density(theta, x)) == pytest.approx(log_joint(s, theta, x), rel=1e-9, abs=1e-8)


def test_what_graphs_must_have():
    graph = lattice(3, 3)
    data = places(graph, groups=30)
    with pytest.raises(ModelError, match="there is no graph 'map'"):
        mm.Model("y ~ x + mm(place, g, effects=car(map))", data)
    with pytest.raises(DataError, match="are not nodes of the graph 'map'"):
        mm.Model("y ~ x + mm(place, g, effects=car(map))", data, graphs={"map": lattice(2, 2)})
    alone = graph.copy()
    alone.add_node(50)
    with pytest.raises(ModelError, match="1 nodes of the graph 'map' have no neighbour"):
        mm.Model("y ~ x + mm(place, g, effects=icar(map))", data, graphs={"map": alone})
    fit = mm.fit("y ~ x + mm(place, g, effects=icar(map))", data, graphs={"map": graph}, engine="ml")
    with pytest.raises(DataError, match="are not nodes of the graph"):
        fit.predict(pd.DataFrame({"g": [0], "place": [77], "x": [0.0]}))


@pytest.mark.parametrize("kind", ["car", "icar"])
def test_saved_fits_keep_their_graph(kind, tmp_path):
    graph = lattice()
    data = places(graph)
    fit = mm.fit(f"y ~ x + mm(place, g, effects={kind}(map))", data, graphs={"map": graph}, engine="ml")
    fit.save(tmp_path / "fit.nc")
    again = mm.load(tmp_path / "fit.nc")
    np.testing.assert_array_equal(fit.params, again.params)
    new = pd.DataFrame({"g": [0], "place": [7], "x": [0.0]})
    np.testing.assert_allclose(fit.predict(new, new_effects="zero"), again.predict(new, new_effects="zero"))
    with pytest.raises(ModelError, match="given both by known= and by graphs="):
        mm.Model(fit.formula, data, graphs={"map": graph}, known={"map": (np.eye(30), list(range(30)))})
