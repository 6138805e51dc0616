"""Products of blocks' features with columns of the groups and with each other; ready-made weights; mixing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.engines.joint import linear_predictor, log_joint
from micromacro.engines.marginals import marginal_of
from micromacro.errors import FormulaError, MicromacroError

RNG = np.random.default_rng(8)
A = "mm(member, g, x, weights = exp(b1 * s), aggregate = {a}, name = A)"
B = "mm(member, g, z + s, weights = 1 / n ** exp(-(b1 * s)), name = B)"


def table(groups=60, seed=1):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), rng.integers(2, 7, groups))
    m = len(g)
    return pd.DataFrame(
        {
            "g": g, "member": rng.integers(0, 40, m), "x": rng.normal(size=m), "z": rng.normal(size=m),
            "s": rng.normal(size=m), "u": rng.normal(size=groups)[g], "k": rng.choice(list("abc"), groups)[g],
            "maj": (rng.random(groups) < 0.5).astype(float)[g], "y": rng.normal(size=groups)[g],
        }
    )  # fmt: skip


def features(data, theta_a, kappa, theta_b):
    """smax of x, and the sums of z and s, by plain loops."""
    groups = [d for _, d in data.groupby("g")]
    soft, raw = [], []
    for d in groups:
        w = np.exp(theta_a * d["s"].to_numpy())
        soft.append(np.log((w / w.sum()) @ np.exp(kappa * d["x"].to_numpy())) / kappa)
        raw.append(len(d) ** -np.exp(-theta_b * d["s"].to_numpy()))
    scale = len(groups) / sum(r.sum() for r in raw)
    sums = [[scale * (r @ d[c].to_numpy()) for r, d in zip(raw, groups, strict=True)] for c in ("z", "s")]
    first = {c: np.array([d[c].iloc[0] for d in groups]) for c in ("u", "maj", "k")}
    return np.array(soft), np.array(sums[0]), np.array(sums[1]), first


FORMULA = f"y ~ 1 + u + A * maj + B:C(k) + A:B + {A.format(a='smax(kappa)')} + {B}"


def test_the_linear_predictor_is_that_of_a_plain_loop():
    data = table()
    s = mm.Model(FORMULA, data).specification
    theta = np.array([0.4, 0.9, -0.5, 0.7, 0.8])
    assert [p.name for p in s.system.hypers] == ["A.w.b1", "A.smax.kappa", "B.w.b1", "B.sd", "sigma"]
    x = np.zeros(s.system.size)
    b = RNG.normal(size=len(s.system.coefficients))
    x[s.system.n_effects :] = b
    assert [p.name for p in s.system.coefficients] == [
        "Intercept", "u", "maj", "A.smax.x", "B.z", "B.s", "A.smax.x:maj", "B.z:C(k)[T.b]", "B.z:C(k)[T.c]",
        "B.s:C(k)[T.b]", "B.s:C(k)[T.c]", "A.smax.x:B.z", "A.smax.x:B.s",
    ]  # fmt: skip
    soft, z, v, first = features(data, 0.4, 0.9, -0.5)
    kb, kc, maj = first["k"] == "b", first["k"] == "c", first["maj"]
    columns = [soft, z, v, soft * maj, z * kb, z * kc, v * kb, v * kc, soft * z, soft * v]
    design = np.column_stack([np.ones(len(soft)), first["u"], maj, *columns])
    values = s.collect(theta, x[s.system.n_effects :])
    natural = dict(zip(s.names, values, strict=True))
    want = design @ [natural[p.name] for p in s.system.coefficients]
    np.testing.assert_allclose(linear_predictor(s, theta, x), want, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("a", ["smax(kappa)", "hhi", "log(E(exp(k1 * x)))"])
def test_the_gradient_is_that_of_differences(a):
    block = A.format(a=a) if a != "hhi" and "E(" not in a else A.format(a=a).replace("g, x", "g")
    s = mm.Model(f"y ~ 1 + u + A * maj + B:C(k) + A:B + {block} + {B}", table()).specification
    marginal, theta = marginal_of(s, True), np.array([p.start for p in s.system.hypers])
    theta = theta + 0.1 * np.arange(1, len(theta) + 1)
    room = s.system.workspace()
    gradient = marginal.gradient(theta, room)[1].copy()
    for k in range(len(theta)):
        up, down = theta.copy(), theta.copy()
        up[k] += 1e-5
        down[k] -= 1e-5
        difference = (marginal.value(up, room) - marginal.value(down, room)) / 2e-5
        assert gradient[k] == pytest.approx(difference, rel=1e-6, abs=1e-6)


@pytest.mark.slow
def test_the_joint_density_is_that_of_jax():
    pytest.importorskip("jax")
    from micromacro.engines.nuts.density import Joint
    from micromacro.engines.nuts.engine import double_precision

    s = mm.Model(FORMULA, table(), priors={"A.smax.x:maj": mm.prior.student(4, 0, 1)}).specification
    with double_precision():
        joint = Joint(s)
        for _ in range(3):
            theta = np.array([p.start for p in s.system.hypers]) + 0.2 * RNG.normal(size=len(s.system.hypers))
            theta[[3, -1]] = np.abs(theta[[3, -1]]) + 0.1
            x = RNG.normal(size=s.system.size)
            assert float(joint.log_density(theta, x)) == pytest.approx(log_joint(s, theta, x), rel=1e-10)


def test_predictions_keep_the_constant_of_the_fit():
    data = table()
    fit = mm.fit(f"y ~ 1 + B:maj + {B.replace('name', 'effects = none, name')}", data, engine="ml")
    assert fit.predict(data)["estimate"].to_numpy() == pytest.approx(fit.fitted().to_numpy(), rel=1e-9)
    part = data[data["g"] < 7]
    want = fit.fitted().to_numpy()[:7]
    assert fit.predict(part)["estimate"].to_numpy() == pytest.approx(want, rel=1e-9)


def test_a_block_may_be_called_as_its_member_column():
    names = mm.Model("y ~ 1 + maj + member:maj + mm(member, g, z)", table()).specification.names
    assert "member.z:maj" in names


REFUSED = {
    "y ~ u:maj + mm(member, g, z, name = u)": "also a column",
    "y ~ B + mm(member, g, z, name = B)": "in the model already",
    "y ~ B:B + mm(member, g, z, name = B)": "by itself",
    "y ~ log(B) + mm(member, g, z, name = B)": "multiplied by : or *",
    "y ~ B:maj + mm(member, g, name = B)": "no covariate",
    "y ~ u - B:maj + mm(member, g, z, name = B)": "leave it out",
}


@pytest.mark.parametrize("text", REFUSED)
def test_products_without_a_meaning_are_refused(text):
    with pytest.raises(FormulaError) as caught:
        mm.Model(text, table())
    assert REFUSED[text] in str(caught.value)
    assert "^" in str(caught.value)


# -- ready-made forms ----------------------------------------------------------------------------------------------


def test_the_largest_member_decides_and_equals_share():
    data = pd.DataFrame({"g": [0, 0, 0, 1, 1, 2, 2], "member": [1, 2, 3, 1, 4, 2, 4], "x": [1.0, 5, 2, 3, 3, 0, 1]})
    data["z"] = [1.0, 2, 3, 4, 5, 6, 9]
    data["y"] = [0.0, 0, 0, 1, 1, 3, 3]
    for word, want in (("largest", [0, 1, 0, 0.5, 0.5, 0, 1]), ("smallest", [1, 0, 0, 0.5, 0.5, 1, 0])):
        s = mm.Model(f"y ~ 1 + mm(member, g, z, weights = {word}(x), effects = none)", data).specification
        part = s.members["member"]
        assert part.weights(np.empty(0), part.weighing.scratch()) == pytest.approx(np.array(want))


def test_extremes_of_a_covariate_are_aggregates():
    data = table()
    for word in ("max", "min"):
        s = mm.Model(f"y ~ 0 + mm(member, g, x, aggregate = {word}, name = B)", data).specification
        room = s.system.workspace()
        assert s.system.fill(np.array([p.start for p in s.system.hypers]), room)
        feature = room.scratch[s.system.parts.index(s.members["B"])]["feature"][0]
        assert feature == pytest.approx(data.groupby("g")["x"].agg(word).to_numpy())
        assert s.names[0] == f"B.{word}.x"


# -- mixing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["ml", "laplace", "mcmc"])
def test_mixing_weights_stay_within_their_bounds(engine):
    """b1 of a share and the rest of the weakest link; the truth is 0.6, and 1 in the second data set."""
    data = table(120, seed=3)
    share = data.groupby("g")["s"].transform(lambda v: np.exp(v) / np.exp(v).sum())
    weakest = (data["s"] == data.groupby("g")["s"].transform("min")).astype(float)
    data["share"] = share
    text = (
        "y ~ 1 + mm(member, g, x, weights = b1 * share + (1 - b1) * (s == min(s)), normalize = group, effects = none)"
    )
    for truth in (0.6, 1.0):
        mean = 2.0 * (data["x"] * (truth * share + (1 - truth) * weakest)).groupby(data["g"]).sum()
        data["y"] = (mean + 0.2 * np.random.default_rng(5).normal(size=120)).loc[data["g"]].to_numpy()
        fit = mm.fit(
            text, data, engine=engine, priors={"member.w.b1": mm.prior.uniform(0, 1)}, draws=300, tune=200, chains=2,
            random_seed=1, progress=False,
        )  # fmt: skip
        b = fit.params["member.w.b1"]
        assert 0.0 <= b <= 1.0
        assert b == pytest.approx(truth, abs=0.15)
        if engine == "mcmc":
            assert fit.posterior.draws[..., fit.specification.names.index("member.w.b1")].min() >= 0.0


def test_errors_are_of_one_family():
    with pytest.raises(MicromacroError):
        mm.Model("y ~ 1 + A:nothing + mm(member, g, x, name = A)", table())
