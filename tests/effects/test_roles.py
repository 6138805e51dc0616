"""Members in two roles: effects that are shared or correlated, against dense covariances."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

import micromacro as mm
from micromacro.errors import FormulaError, ModelError


def trades(groups=150, people=20, seed=1, cor=0.6, sds=(1.0, 0.7), scale=None, sigma=0.5):
    """Each group has one or two senders and one or two receivers out of the same people."""
    rng = np.random.default_rng(seed)
    r = np.array([[1.0, cor], [cor, 1.0]]) * np.outer(sds, sds)
    u = rng.multivariate_normal([0.0, 0.0], r, people)
    if scale is not None:
        u[:, 1] = scale * u[:, 0]
    rows = []
    for g in range(groups):
        x = rng.standard_normal()
        a = rng.choice(people, rng.integers(1, 3), replace=False)
        b = rng.choice(people, rng.integers(1, 3), replace=False)
        size = max(len(a), len(b))
        y = 1 + 0.5 * x + u[a, 0].mean() + u[b, 1].mean() + sigma * rng.standard_normal()
        for k in range(size):
            sender = f"p{a[k]}" if k < len(a) else None
            receiver = f"p{b[k]}" if k < len(b) else None
            rows.append((g, sender, receiver, rng.standard_normal(), x, y))
    return pd.DataFrame(rows, columns=["g", "sender", "receiver", "z", "x", "y"])


def design(data, column):
    names = sorted({*data["sender"].dropna(), *data["receiver"].dropna()})
    out = np.zeros((data["g"].nunique(), len(names)))
    filled = data.dropna(subset=[column])
    size = filled.groupby("g")[column].transform("size")
    np.add.at(out, (filled["g"], [names.index(v) for v in filled[column]]), 1 / size)
    return out


def dense_loglik(data, k, p):
    """k: covariance of (sender, receiver) effects of one person."""
    z = np.hstack([design(data, "sender"), design(data, "receiver")])
    v = z @ np.kron(k, np.eye(z.shape[1] // 2)) @ z.T + p["sigma"] ** 2 * np.eye(len(z))
    groups = data.drop_duplicates("g").sort_values("g")
    return multivariate_normal(p["Intercept"] + p["x"] * groups["x"].to_numpy(), v).logpdf(groups["y"].to_numpy())


CORRELATED = "y ~ x + mm(sender, g) + mm(receiver, g, effects=correlated_with(sender))"
SHARED = "y ~ x + mm(sender, g) + mm(receiver, g, effects=shared(sender))"


def test_correlated_likelihood_is_the_dense_one():
    data = trades()
    fit = mm.fit(CORRELATED, data, engine="ml")
    p = fit.params
    sds = np.array([p["sender.sd"], p["receiver.sd"]])
    k = np.outer(sds, sds) * np.array([[1, p["receiver.cor.sender"]], [p["receiver.cor.sender"], 1]])
    assert fit.loglik == pytest.approx(dense_loglik(data, k, p), abs=1e-8)


def test_shared_likelihood_is_the_dense_one():
    data = trades(scale=-0.5)
    fit = mm.fit(SHARED, data, engine="ml")
    p = fit.params
    c = np.array([1.0, p["receiver.scale"]])
    assert fit.loglik == pytest.approx(dense_loglik(data, p["sender.sd"] ** 2 * np.outer(c, c), p), abs=1e-8)
    fixed = mm.fit(SHARED.replace("shared(sender)", "shared(sender, -0.5)"), data, engine="ml")
    q = fixed.params
    c = np.array([1.0, -0.5])
    assert "receiver.scale" not in q
    assert fixed.loglik == pytest.approx(dense_loglik(data, q["sender.sd"] ** 2 * np.outer(c, c), q), abs=1e-8)
    assert fixed.loglik <= fit.loglik + 1e-8


def test_gradient_with_weights_that_are_estimated_in_both_roles():
    data = trades(60)
    formula = "y ~ x + mm(sender, g, weights=power(z)) + mm(receiver, g, weights=power(z), "
    formula += "effects={}(sender), normalize=group)"
    for word in ("shared", "correlated_with"):
        s = mm.Model(formula.format(word), data).specification
        from micromacro.engines.marginals import marginal_of

        marginal = marginal_of(s)
        room = marginal.workspace()
        theta = np.array([p.start + 0.1 for p in s.system.hypers])
        _, gradient = marginal.gradient(theta, room)
        for k in range(len(theta)):
            h = 1e-6
            up, down = theta.copy(), theta.copy()
            up[k] += h
            down[k] -= h
            slope = (marginal.value(up, room) - marginal.value(down, room)) / (2 * h)
            assert gradient[k] == pytest.approx(slope, rel=1e-5, abs=1e-5)


def test_recovers_correlation_and_scale():
    data = trades(900, 60, seed=2)
    fit = mm.fit(CORRELATED, data, engine="ml")
    for name, truth in {"sender.sd": 1.0, "receiver.sd": 0.7, "receiver.cor.sender": 0.6}.items():
        assert abs(fit.params[name] - truth) < 4 * fit.bse[name], name
    data = trades(900, 60, seed=3, scale=-0.5)
    fit = mm.fit(SHARED, data, engine="ml")
    assert abs(fit.params["receiver.scale"] + 0.5) < 4 * fit.bse["receiver.scale"]


def test_order_of_blocks_does_not_matter():
    data = trades()
    a = mm.fit(CORRELATED, data, engine="ml")
    b = mm.fit("y ~ x + mm(receiver, g, effects=correlated_with(sender)) + mm(sender, g)", data, engine="ml")
    assert a.loglik == pytest.approx(b.loglik, abs=1e-8)
    np.testing.assert_allclose(a.params, b.params[a.params.index], rtol=1e-5, atol=1e-6)


def test_tables_and_predictions():
    data = trades()
    fit = mm.fit(CORRELATED, data, engine="ml")
    effects = fit.random_effects("sender")
    assert len(effects) == 40 and set(effects.index.get_level_values("term")) == {"sender", "receiver"}
    shared = mm.fit(SHARED, data, engine="ml")
    assert len(shared.random_effects("sender")) == 20
    for f in (fit, shared):
        np.testing.assert_allclose(
            f.predict(data, kind="linear")["estimate"], f.predict(kind="linear")["estimate"], atol=1e-9
        )
        components = f.variance_components()
        assert components["share"].sum() == pytest.approx(1.0)
    new = pd.DataFrame({"g": [0], "sender": ["new"], "receiver": ["new"], "z": [0.0], "x": [0.0]})
    drawn, zero = (fit.predict(new, kind="linear", new_effects=how)["se"].iloc[0] for how in ("draw", "zero"))
    p = fit.params
    total = p["sender.sd"] ** 2 + p["receiver.sd"] ** 2
    total += 2 * p["receiver.cor.sender"] * p["sender.sd"] * p["receiver.sd"]
    assert drawn**2 - zero**2 == pytest.approx(total, rel=1e-6)


def test_errors_say_what_to_do():
    data = trades(40)
    with pytest.raises(FormulaError, match="names no other block"):
        mm.Model("y ~ x + mm(sender, g, effects=shared(receiver))", data)
    with pytest.raises(ModelError, match="needs effects = iid"):
        mm.Model("y ~ x + mm(sender, g, effects=none) + mm(receiver, g, effects=shared(sender))", data)
    apart = data.assign(receiver=data["receiver"].map(lambda v: f"q{v}", na_action="ignore"))
    with pytest.raises(ModelError, match="no member is in both"):
        mm.Model(SHARED, apart)
    with pytest.raises(FormulaError, match="write effects = shared"):
        mm.Model(SHARED.replace("shared(sender)", "shared(sender, x)"), data)


@pytest.mark.parametrize("word", ["shared", "correlated_with"])
def test_joint_density_is_that_of_jax(word):
    jax = pytest.importorskip("jax")
    from micromacro.engines.joint import log_joint
    from micromacro.engines.nuts.density import Joint

    data = trades(40)
    formula = "y ~ x + mm(sender, g, z, weights=power(z)) + mm(receiver, g, effects=%s(sender))" % word  # noqa: UP031
    s = mm.Model(formula, data).specification
    rng = np.random.default_rng(2)
    with jax.enable_x64(True):
        joint = Joint(s)
        for _ in range(20):
            theta = np.array([p.start for p in s.system.hypers]) + 0.3 * rng.random(len(s.system.hypers))
            x = rng.standard_normal(s.system.size)
            assert float(joint.log_density(theta, x)) == pytest.approx(log_joint(s, theta, x), abs=1e-8)
