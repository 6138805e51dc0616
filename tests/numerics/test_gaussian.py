"""One evaluation of the Gaussian latent system against the dense multivariate normal density and its derivatives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from micromacro.numerics.cholesky import selected_inverse, solve
from micromacro.numerics.gaussian import gaussian_slopes, gaussian_squares
from micromacro.numerics.modes import factor_at
from micromacro.numerics.rows import joint_times

RANDOM = settings(max_examples=40, deadline=None, derandomize=True, database=None)
STEP = 1e-5


class Evaluation:
    """Kernels and oracle at one problem, target y and prior mean m0."""

    def __init__(self, p, target: np.ndarray, center: np.ndarray):
        self.p, self.target, self.center = p, target, center
        s, n = p.symbolic, p.symbolic.size
        self.panel, self.mean, self.residual = np.empty(s.panel_size), np.empty(n), np.empty(len(target))
        self.room = np.empty(len(target)), np.empty(n)

    def value(self, leading: int, values=None, weight=None, d_value=None, target=None) -> float:
        """Log marginal of y without its share of log|D| and of log 2 pi."""
        p, s = self.p, self.p.symbolic

        def pick(given, own):
            return own if given is None else given

        values, weight, d_value = pick(values, p.values), pick(weight, p.weight), pick(d_value, p.d_value)
        at, room = s.layout, self.room[1]
        bad = factor_at(*at.factoring, s.row_start, s.pair, values, weight, s.d_place, d_value, self.panel, room)
        assert bad == -1
        target = pick(target, self.target)
        joint_times(
            s.row_start, s.columns, values, s.d_row, s.d_column, d_value, weight * target, self.center, self.mean
        )
        solve(*at.solving, self.panel, self.mean)
        log_det, rows, prior = gaussian_squares(
            at.diagonal[:leading], self.panel, s.row_start, s.columns, values, weight, target, s.d_row, s.d_column,
            d_value, self.center, self.mean, self.residual, room,
        )  # fmt: skip
        log_weight = float(np.log(weight).sum())
        return 0.5 * (log_weight - rows - prior - log_det)

    def slopes(self, leading: int) -> dict[str, np.ndarray]:
        """Derivatives in everything that `value` takes."""
        p, s, n, m = self.p, self.p.symbolic, len(self.target), len(self.p.values)
        self.value(leading)
        widest, longest = np.diff(s.layout.first).max(), np.diff(s.layout.row_start).max()
        out = {"values": np.empty(m), "weight": np.empty(n), "target": np.empty(n), "d_value": np.empty(len(p.d_value))}
        inverse, y = np.empty(s.panel_size), np.empty(np.diff(s.layout.panel_start).max())
        selected_inverse(*s.layout.inverting, self.panel, leading, inverse, y, np.empty(widest**2 + longest))
        gaussian_slopes(
            s.row_start, s.columns, s.pair, p.values, p.weight, s.d_place, s.d_row, s.d_column, self.center, self.mean,
            self.residual, inverse, self.room[1], out["values"], np.empty(n), out["weight"], out["target"],
            out["d_value"],
        )  # fmt: skip
        out["weight"] += 0.5 / p.weight  # the kernel leaves the likelihood's own constant out
        out["target"] = -out["target"]  # the kernel gives the derivative in the offset, which y has subtracted
        return out

    def by_differences(self, leading: int, what: str) -> np.ndarray:
        """Central differences of `value` in one of its arguments."""
        own = self.target if what == "target" else getattr(self.p, what)
        steps = STEP * np.eye(len(own))
        return np.array(
            [(self.value(leading, **{what: own + h}) - self.value(leading, **{what: own - h})) for h in steps]
        ) / (2 * STEP)


@pytest.fixture(scope="session")
def evaluate(problem):
    """An evaluation at a random pattern."""

    def make(seed: int, n_rows: int, size: int, leading: int, coupled: bool) -> Evaluation:
        rng = np.random.default_rng(seed)
        of_a = rng.random((n_rows, size)) < 0.4
        of_a[:, leading:] = True
        p = problem(of_a, (rng.random((size, size)) < 0.2) & coupled, leading, rng)
        return Evaluation(p, rng.standard_normal(n_rows), rng.standard_normal(size))

    return make


random_evaluations = st.integers(1, 8).flatmap(
    lambda size: st.tuples(
        st.integers(0, 2**32 - 1), st.integers(1, 9), st.just(size), st.integers(0, size), st.booleans()
    )
)


@RANDOM
@given(drawn=random_evaluations)
def test_value_is_the_multivariate_normal_density(evaluate, drawn):
    e = evaluate(*drawn)
    p, n = e.p, len(e.target)
    covariance = p.A @ np.linalg.inv(p.D) @ p.A.T + np.diag(1.0 / p.weight)
    expected = multivariate_normal(p.A @ e.center, covariance).logpdf(e.target)
    constants = 0.5 * (np.linalg.slogdet(p.D)[1] - n * np.log(2 * np.pi))
    assert e.value(p.symbolic.size) + constants == pytest.approx(expected, rel=1e-10, abs=1e-10)


@RANDOM
@given(drawn=random_evaluations)
def test_mean_and_residual_are_the_conditional_ones(evaluate, drawn):
    e = evaluate(*drawn)
    e.value(e.p.symbolic.size)
    mean = np.linalg.solve(e.p.H, e.p.A.T @ (e.p.weight * e.target) + e.p.D @ e.center)
    np.testing.assert_allclose(e.mean, mean, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(e.residual, e.target - e.p.A @ mean, rtol=1e-10, atol=1e-10)


@settings(RANDOM, max_examples=20)
@given(drawn=random_evaluations)
def test_slopes_are_the_derivatives_of_the_value(evaluate, drawn):
    e = evaluate(*drawn)
    for leading in e.p.blocks:
        for what, slope in e.slopes(leading).items():
            expected = e.by_differences(leading, what)
            np.testing.assert_allclose(slope, expected, rtol=1e-6, atol=1e-6, err_msg=f"{what}, {leading} leading")
