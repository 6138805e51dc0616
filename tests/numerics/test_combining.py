"""What members make together: against its definition in many digits, and its derivatives against differences."""

from decimal import Decimal, localcontext

import numpy as np
import pytest

from micromacro.latent.combined import Combination, Combined
from micromacro.numerics.combining import CES, MAX, MIN, SMAX, combine, pull_combine
from micromacro.numerics.differences import slopes

ZETA = np.array([0.3, -1.2, 2.0, 0.7, 0.3, -0.4])
START = np.array([0, 4, 4, 6])
WEIGHT = np.array([0.1, 0.4, 0.2, 0.3, 0.25, 0.75])


def made(kind, zeta=ZETA, kappa=0.0, w=WEIGHT):
    value, share, ratio = np.empty(3), np.empty(6), np.empty(6)
    combine(kind, w, START, zeta, np.full(6, kappa), value, share, ratio)
    return value, share, ratio


def exactly(zeta, w, kappa):
    """The soft maximum by its definition, in sixty digits."""
    with localcontext() as context:
        context.prec, context.Emax = 60, 999999
        zeta, k, total = [Decimal(z) for z in zeta], Decimal(kappa), sum(Decimal(a) for a in w)
        w = [Decimal(a) / total for a in w]  # they sum to one but for rounding
        if not kappa:
            return float(sum(a * z for a, z in zip(w, zeta, strict=True)))
        return float(sum(a * (k * z).exp() for a, z in zip(w, zeta, strict=True)).ln() / k)


@pytest.mark.parametrize("kappa", [-300.0, -3.0, -0.4, -1e-3, -1e-9, 0.0, 1e-12, 1e-6, 0.02, 1.0, 40.0, 900.0])
def test_a_soft_maximum_has_all_its_digits(kappa):
    value, share, _ = made(SMAX, kappa=kappa)
    np.testing.assert_allclose(value[0], exactly(ZETA[:4], WEIGHT[:4], kappa), rtol=2e-14)
    assert value[1] == 0.0  # nobody there
    assert share[:4].sum() == pytest.approx(1.0, abs=1e-15)
    np.testing.assert_allclose(made(CES, kappa=kappa)[0][[0, 2]], np.exp(value[[0, 2]]), rtol=1e-15)


def test_it_goes_from_the_least_over_the_mean_to_the_largest():
    assert made(SMAX, kappa=0.0)[0][0] == pytest.approx(WEIGHT[:4] @ ZETA[:4], abs=1e-15)
    assert made(SMAX, kappa=1e6)[0][0] == pytest.approx(made(MAX)[0][0], abs=1e-4)
    assert made(SMAX, kappa=-1e6)[0][0] == pytest.approx(made(MIN)[0][0], abs=1e-4)
    np.testing.assert_array_equal(made(MAX)[1][:4], [0.0, 0.0, 1.0, 0.0])


def test_members_of_no_weight_do_not_count():
    w = np.array([0.5, 0.5, 0.0, 0.0, 0.0, 1.0])
    for kind in (SMAX, MAX):
        value, share, _ = made(kind, kappa=1e4, w=w)
        assert value[0] == pytest.approx(0.3, abs=1e-3)
        assert np.all(np.isfinite(share)) and share[2] == 0.0


@pytest.mark.parametrize("kind", [SMAX, CES])
@pytest.mark.parametrize("kappa", [-2.0, -1e-9, 0.0, 0.5])
def test_slopes_in_shape_and_weights_are_differences(kind, kappa):
    rng = np.random.default_rng(1)
    d_value, d_share = rng.standard_normal(3), rng.standard_normal(6)
    value, share, ratio = made(kind, kappa=kappa)
    in_kappa, in_w = np.empty(3), np.empty(6)
    shape = np.full(6, kappa)
    pull_combine(kind, WEIGHT, START, ZETA, shape, value, share, ratio, d_value, d_share, in_kappa, in_w)

    def read(at):  # weights move so that each group keeps its sum
        w = WEIGHT + at[1] * np.array([1.0, -2.0, 0.5, 0.5, 1.0, -1.0]) * 0.1
        value, share, _ = made(kind, kappa=at[0], w=w)
        return np.array([value @ d_value + share @ d_share])

    found = slopes(read, np.array([kappa, 0.0]), np.array([1e-4, 1e-4]))[0]
    direction = np.array([1.0, -2.0, 0.5, 0.5, 1.0, -1.0]) * 0.1
    np.testing.assert_allclose([in_kappa.sum(), in_w @ direction], found, rtol=1e-7, atol=1e-9)


# -- the likelihood of groups with members -----------------------------------------------------------------------------


class Wavy:
    """A density of rows with derivatives of all orders."""

    def slopes(self, values, eta, own, out):
        y, a, mean = values[0], own[0], np.exp(eta)
        out[0], out[1] = y * eta - mean + a * np.sin(eta), y - mean + a * np.cos(eta)
        out[2], out[3] = -mean - a * np.sin(eta), mean + a

    def possible(self, own):
        return True


def likelihood(kinds, kappas, seed=3):
    """Two blocks, groups without a member in one, groups with two rows, and a row of no group."""
    rng = np.random.default_rng(seed)
    group = np.array([0, 1, 2, 3, 0, 2, -1])
    first, number, blocks, numbers = len(group), 0, [], [np.array([0.3])]
    for kind, kappa, sizes in zip(kinds, kappas, ([2, 3, 0, 1], [1, 2, 3, 2]), strict=True):
        start = np.concatenate([[0], np.cumsum(sizes)])
        block = Combination(kind, start, first, number)
        w = rng.uniform(0.2, 1.0, block.members)
        w /= np.bincount(block.group, w, 4)[block.group]
        numbers += [w, np.full(len(block.filled), kappa)]
        first, number = first + block.members, block.shapes.stop
        blocks.append(block)
    made = Combined(Wavy(), 1, group, tuple(blocks))
    values = made.padded(rng.poisson(2.0, (1, len(group))).astype(float))
    return made, values, rng.normal(0.0, 0.5, made.rows), np.concatenate(numbers)


@pytest.mark.parametrize(
    ("kinds", "kappas"),
    [((SMAX, CES), (0.7, -1.3)), ((CES, CES), (2.0, 1e-3)), ((SMAX, SMAX), (0.0, -4.0)), ((MAX, MIN), (0.0, 0.0))],
)
def test_derivatives_of_the_likelihood_are_differences(kinds, kappas):
    made, values, eta, own = likelihood(kinds, kappas)
    n, b = made.rows, made.layout
    rng = np.random.default_rng(4)
    leverage, along = rng.standard_normal(n + b.pairs), rng.standard_normal(n)

    def at(eta, own=own):
        out = np.empty((4, n + b.pairs))
        made.slopes(values, eta, own, out)
        return out

    step = np.full(n, 1e-4)
    here = at(eta)
    np.testing.assert_allclose(here[1, :n], slopes(lambda e: at(e)[0, :n].sum()[None], eta, step)[0], atol=1e-7)
    curvature = np.diag(here[2, :n])
    curvature[b.high, b.low] = curvature[b.low, b.high] = here[2, n:]
    np.testing.assert_allclose(curvature, slopes(lambda e: at(e)[1, :n], eta, step), atol=1e-7)
    stand_in = np.diag(here[3, :n])
    stand_in[b.high, b.low] = stand_in[b.low, b.high] = here[3, n:]
    assert np.linalg.eigvalsh(stand_in).min() > -1e-12
    skew, numbers = np.empty(n), np.empty(len(own) - 1)
    assert made.skew(values, eta, own, leverage, skew)
    found = slopes(lambda e: 0.5 * (at(e)[2] @ leverage)[None], eta, step)[0]
    np.testing.assert_allclose(skew, found, rtol=1e-5, atol=1e-6)
    of_family = made.number_slopes(values, eta, own, leverage, along, numbers)

    def whole(own):
        out = at(eta, own)
        return np.array([out[0].sum() + 0.5 * out[2] @ leverage + along @ out[1, :n]])

    found = slopes(whole, own, np.full(len(own), 1e-5))[0]
    of_own = slopes(lambda a: made.family_slopes(values, eta, np.append(a, own[1:])).ravel(), own[:1], np.full(1, 1e-5))
    np.testing.assert_allclose(
        np.vstack([np.ones(len(of_family[0])), of_family]).ravel() @ of_own[:, 0], found[0], rtol=1e-6
    )
    found = found[1:]
    for block in made.combinations:
        if block.kind in (SMAX, CES):
            np.testing.assert_allclose(numbers[block.shapes], found[block.shapes], rtol=1e-5, atol=1e-6)
        w = numbers[block.weights] - found[block.weights]  # up to a constant in the group
        if block.kind in (SMAX, CES):
            w -= (np.bincount(block.group, w, 4) / np.maximum(np.diff(block.start), 1))[block.group]
            np.testing.assert_allclose(w, 0.0, atol=2e-5)
