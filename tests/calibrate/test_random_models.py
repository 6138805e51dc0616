"""Three hundred random models against dense references that share no code with the package.

A seed draws a family (thirteen, some with other links or forms of the outcome), a unit term, a member block or a
feature of members, weights, their normalisation, effects, a size, and a truth at ordinary or hard places. ``ml`` and
``reml`` are held against the dense log-likelihood at their estimate (1e-6), its maxima found by another search (1e-3)
and its curvature (standard errors to 1 per cent); ``mcmc`` and ``laplace`` against importance sampling of the exact
posterior: means and ends of intervals within 0.2 posterior sds and 3 Monte Carlo errors. Where a fit differs, its
health must say that it is not ok.

The rows are kept in ``build/calibrate/random_models.jsonl`` under a digest of the package's source, so that an
interrupted ``make calibrate`` goes on where it stopped. ``python -m tests.calibrate.random_models`` writes the table
that the documentation shows.
"""

from __future__ import annotations

import pytest

from .random_models.compare import record
from .random_models.kept import kept_row

#: Quick ones, of many families and kinds of terms.
FEW = (6, 12, 13, 14, 16, 19)
#: By `laplace`, with a plateau of the likelihood far from its maximum.
PLATEAU = 84


def told(row: dict) -> str:
    """A row as a failed test shows it."""
    return f"seed {row['seed']}, {row['engine']}, {row['formula']}: " + "; ".join(
        row.get("faults", [row.get("why", "")])
    )


@pytest.mark.parametrize("seed", FEW)
def test_quick_random_models_agree_with_dense_algebra(seed):
    row = record(seed)
    assert row["verdict"] in ("agrees", "warned"), told(row)


@pytest.mark.slow
def test_laplace_finds_a_plateau_far_from_the_maximum():
    row = record(PLATEAU)
    assert row["engine"] == "laplace" and row["verdict"] in ("agrees", "warned"), told(row)


@pytest.mark.calibrate
@pytest.mark.parametrize("tens", range(30))
def test_random_models_agree_with_dense_algebra(tens):
    rows = [kept_row(seed) for seed in range(10 * tens, 10 * tens + 10)]
    wrong = [told(row) for row in rows if row["verdict"] in ("differs", "refused")]
    assert not wrong, "\n".join(wrong)
