"""The moves of theta keep any target, folded coordinates included; draws of x given theta are those of its Gaussian.

The reference t is put in the wrong place with the wrong scale on purpose: a move that forgot a ratio would show.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from arviz_stats.base.array import array_stats

import micromacro as mm
from micromacro.engines.coordinates import Ratios, Scores
from micromacro.engines.mcmc.moves import State, elliptical, independence
from micromacro.engines.mixtures import Mixture, Reference
from micromacro.latent.marginal.gaussian import GaussianMarginal


def t_target(u):
    """A bivariate t with 8 degrees of freedom, correlated; cut to the domain by the moves."""
    a, b = u[0] - 0.5, u[1] - 0.3
    q = (a * a - 2 * 0.6 * a * b + b * b) / (1 - 0.36)
    return -5.0 * math.log1p(q / 8.0)


def banana(u):
    """A ridge that is bent."""
    return -0.5 * u[0] ** 2 - 2.0 * (u[1] - 0.5 * u[0] ** 2) ** 2


TARGETS = {"t": t_target, "banana": banana}
FOLDS = {"no entry folded": [False, False], "the second folded": [False, True], "both folded": [True, True]}
MOVES = {"independence": (1.0, independence), "elliptical": (0.0, elliptical), "mixed": (0.5, None)}


def exact(target, folded):
    """Means and second moments by a fine grid."""
    axes = [np.linspace(0.0 if f else -14.0, 20.0, 1201) for f in folded]
    axes = [a + 0.5 * (a[1] - a[0]) for a in axes]
    x, y = np.meshgrid(*axes, indexing="ij")
    log = np.vectorize(lambda a, b: target((a, b)))(x, y)
    w = np.exp(log - log.max())
    w /= w.sum()
    return {"x": (w * x).sum(), "y": (w * y).sum(), "xx": (w * x * x).sum(), "yy": (w * y * y).sum(),
            "xy": (w * x * y).sum()}  # fmt: skip


def mixture(*parts):
    """Parts with unequal shares."""
    share = np.arange(len(parts), 0.0, -1.0)
    return Mixture(parts, share / share.sum())


@pytest.fixture(scope="module", params=[(t, f) for t in TARGETS for f in FOLDS], ids=", ".join)
def problem(request):
    target, folded = TARGETS[request.param[0]], FOLDS[request.param[1]]
    return target, folded, exact(target, folded)


@pytest.mark.parametrize("move", MOVES)
def test_a_move_keeps_its_target(problem, move):
    target, folded, moments = problem
    share, _ = MOVES[move]
    scale = np.array([[1.6, -0.2], [-0.2, 2.2]])
    reference = mixture(
        Reference.fit(np.array([0.8, 0.2]), scale, np.array(folded), widen=1.2),
        Reference.fit(np.array([-1.0, 1.5]), np.eye(2), np.array(folded)),
    )
    kept = np.empty((4, 1500, 2))
    for chain in range(4):
        rng = np.random.default_rng([7, chain])
        u = np.abs(reference.draw(rng))
        state = State(u, target(u))
        for k in range(-100, 1500):
            step = independence if rng.random() < share else elliptical
            state = step(state, target, reference, rng)
            assert state.value == target(state.u)
            if k >= 0:
                kept[chain, k] = state.u
    x, y = kept[..., 0], kept[..., 1]
    for f, values in zip(folded, (x, y), strict=True):
        assert not f or values.min() >= 0
    for name, values in {"x": x, "y": y, "xx": x * x, "yy": y * y, "xy": x * y}.items():
        error = array_stats.mcse(values, chain_axis=0, draw_axis=1, method="mean")
        away = (values.mean() - moments[name]) / error
        assert abs(away) < 4, f"the mean of {name} is {away:+.1f} Monte Carlo standard errors off"


def test_an_elliptical_move_never_rejects():
    rng = np.random.default_rng(1)
    reference = mixture(Reference.fit(np.zeros(2), np.eye(2), np.array([False, True])))
    state = State(np.array([0.1, 0.1]), banana((0.1, 0.1)))
    for _ in range(200):
        new = elliptical(state, banana, reference, rng)
        assert new.accepted
        assert not np.array_equal(new.u, state.u)
        state = new


def test_a_move_does_not_go_where_the_target_does_not_exist():
    def half(u):
        return -math.inf if u[0] > 0.5 else -0.5 * float(u @ u)

    rng = np.random.default_rng(1)
    reference = mixture(Reference.fit(np.zeros(2), np.eye(2), np.array([False, False])))
    state = State(np.zeros(2), 0.0)
    for k in range(300):
        state = (independence if k % 2 else elliptical)(state, half, reference, rng)
        assert state.u[0] <= 0.5


def test_a_reference_whose_scale_is_not_definite_is_mended():
    scale = np.array([[1.0, 2.0], [2.0, math.nan]])
    reference = Reference.fit(np.zeros(2), scale, np.zeros(2, dtype=bool))
    assert np.isfinite(reference.root).all()
    assert reference.root @ reference.inverse == pytest.approx(np.eye(2), abs=1e-6)
    wide = Reference.fit(np.zeros(2), 1e4 * np.eye(2), np.zeros(2, dtype=bool), prior_sd=np.array([1.0, 50.0]))
    assert np.diag(wide.root) == pytest.approx([2.0, 100.0])  # at most twice the prior


def test_a_mixture_knows_only_the_parts_that_have_a_share():
    near, far = (Reference.fit(np.full(2, at), np.eye(2), np.array([False, True])) for at in (0.0, 3.0))
    alone, both = Mixture((far,), np.ones(1)), Mixture((near, far), np.array([0.0, 1.0]))
    rng = np.random.default_rng(1)
    for u in (both.draw(rng), both.draw_folded(rng)):
        assert u[1] >= 0.0
        assert both.log_density(u) == alone.log_density(u)
        assert both.log_folded(u) == alone.log_folded(u)


def test_the_folded_density_integrates_to_one():
    part = Reference.fit(np.array([0.3]), np.array([[0.5]]), np.array([True]), df=5.0)
    mixed = Mixture((part, Reference.fit(np.array([2.0]), np.eye(1), np.array([True]))), np.array([0.3, 0.7]))
    u = np.tan(np.linspace(0.0, 0.5 * math.pi, 20_001)[1:-1])  # from zero on
    total = np.trapezoid([math.exp(mixed.log_folded(np.array([v]))) for v in u], u)
    assert total == pytest.approx(1.0, abs=1e-3)


# -- coordinates -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def specification(dense, data):
    return mm.Model(dense.FORMULA.format(rule="group"), data).specification


@pytest.mark.parametrize("coordinates", [Scores, Ratios])
@pytest.mark.parametrize("u", [[0.3, 0.8, 0.4, 0.2], [-1.5, 2.0, 0.05, 1.1]])
def test_coordinates_go_there_and_back(specification, coordinates, u):
    made = coordinates(specification.system.hypers)
    assert made.from_theta(made.theta(np.array(u))) == pytest.approx(u, rel=1e-9)


@pytest.mark.parametrize("u", [[0.3, 0.8, 0.4, 0.2], [-1.5, 2.0, 0.05, 1.1]])
def test_slopes_of_the_coordinates_are_differences(specification, dense, u):
    scores, ratios = Scores(specification.system.hypers), Ratios(specification.system.hypers)
    u = np.array(u)
    assert np.diag(scores.slope(u, scores.theta(u))) == pytest.approx(dense.gradient(scores.theta, u).T, abs=1e-6)
    assert ratios.jacobian(u) == pytest.approx(dense.gradient(ratios.theta, u).T, abs=1e-7)


def test_the_prior_of_the_scores_is_standard_normal_cut_at_zero(specification):
    """p(theta) |d theta / d u| must be the half (or whole) normal density, whatever the prior."""
    scores = Scores(specification.system.hypers)
    for u in ([0.3, 0.8, 0.4, 0.2], [-1.5, 2.0, 0.05, 1.1]):
        u = np.array(u)
        theta = scores.theta(u)
        log = np.log(scores.slope(u, theta))
        log += [p.prior.log_density(t) for p, t in zip(scores.hypers, theta, strict=True)]
        normal = -0.5 * (u * scores.unit) ** 2
        constant = np.log(scores.unit) - 0.5 * math.log(2 * math.pi) + math.log(2) * scores.folded
        assert log == pytest.approx(normal + constant, abs=1e-9)
        assert scores.log_prior(u) == pytest.approx(normal.sum())
        assert scores.prior_slope(u) == pytest.approx(-u * scores.unit**2)


# -- x given theta ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theta", [[0.7, 1.1, 0.4, 0.6], [-0.5, 0.0, 0.8, 0.3]])
def test_draws_of_x_given_theta_have_the_exact_mean_and_covariance(specification, dense, data, theta):
    """A draw is affine in z, so unit vectors give its whole distribution without any Monte Carlo error."""
    system, oracle = specification.system, dense.Dense(data)
    marginal, room = GaussianMarginal(system, specification.outcome), system.workspace()
    b1, sd, unit_sd, sigma = theta

    def draw(z):
        marginal.value(np.array(theta), room)
        return marginal.draw(room, z.copy())

    center = draw(np.zeros(system.size))
    root = np.array([draw(z) - center for z in np.eye(system.size)]).T
    W, X, Z = oracle.parts(b1)
    X = X - np.concatenate([[0.0], specification.layout.centers[[1, 2]]])
    parts = {"fixed": (X[:, :2], None), "member": (X[:, 2:], sd * W), "unit": (None, unit_sd * Z)}
    order = [p.name for p in system.parts]
    A = np.hstack(
        [parts[n][1] for n in order if parts[n][1] is not None]
        + [parts[n][0] for n in order if parts[n][0] is not None]
    )
    D, m0 = np.ones(system.size), np.zeros(system.size)
    for k, p in enumerate(system.coefficients, start=system.n_effects):
        D[k], m0[k] = p.prior.sd**-2.0, p.prior.mean
    H = A.T @ A / sigma**2 + np.diag(D)
    assert center == pytest.approx(np.linalg.solve(H, A.T @ oracle.y / sigma**2 + D * m0), abs=1e-8)
    assert root @ root.T == pytest.approx(np.linalg.inv(H), abs=1e-8)


@pytest.mark.parametrize("sd_prior", [mm.prior.gamma(3, 5), mm.prior.gamma(0.5, 1), mm.prior.half_cauchy(1)])
def test_priors_that_vanish_or_explode_at_zero_are_not_folded(dense, data, sd_prior):
    """The half score begins where the density is finite; elsewhere its slope would be infinite at zero."""
    model = mm.Model(dense.FORMULA.format(rule="group"), data, priors={"sd": sd_prior})
    scores = Scores(model.specification.system.hypers)
    finite = str(sd_prior).startswith("half_cauchy")
    assert list(scores.folded[1:3]) == [finite, finite]
    u = np.array([0.2, 0.01, 0.01, 0.5])
    assert np.isfinite(scores.slope(u, scores.theta(u))).all()
