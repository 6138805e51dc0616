"""A kind of effects is one file, one row and its twin in NUTS's density: added here, it keeps every contract."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import sparse

from micromacro.effects import registry as effects
from micromacro.effects.base import Effects, Setting
from micromacro.engines.nuts import effects as twins

from . import claims
from .subjects import Subject
from .tables import KINDS, Kind
from .verbs import VERBS

ROOT = np.sqrt(0.5)


# -- the file ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Alike(Effects):
    """Levels that are alike: half of the variance is common to all, u_j = sd (x_j + x_common) / sqrt(2)."""

    @property
    def latents(self) -> int:
        return len(self.levels) + 1 + len(self.fresh)

    def _own(self) -> np.ndarray:
        """The entry of each membership's own level; the common one stands between known and fresh levels."""
        return self.rows.level + (self.rows.level >= len(self.levels))

    def pattern(self) -> tuple[np.ndarray, np.ndarray]:
        m = len(self.rows.level)
        return np.tile(np.arange(m), 2), np.concatenate([self._own(), np.full(m, len(self.levels))])

    def loads(self, theta: np.ndarray, out: np.ndarray) -> None:
        out[:] = theta[0] * ROOT

    def pull_loads(self, theta: np.ndarray, d_load: np.ndarray) -> np.ndarray:
        return np.array([ROOT * d_load.sum()])

    def natural(self, theta: np.ndarray) -> sparse.csr_array:
        known = len(self.levels)
        own = sparse.eye_array(known, self.latents, format="lil")
        own[:, known] = 1.0
        return sparse.csr_array(theta[0] * ROOT * own.tocsr())


def make_alike(setting: Setting) -> Alike:
    return Alike(setting.name, setting.rows, (setting.priors.sd(f"{setting.name}.sd", setting.effective),))


# -- its twin ----------------------------------------------------------------------------------------------------------


def alike(kind: Alike, theta, x):
    known = len(kind.levels)
    return theta[0] * (x[kind.rows.level] + x[known]) / np.sqrt(2.0)


# -- the rows ----------------------------------------------------------------------------------------------------------

ROWS = {
    "unit alike": Kind("v + hm(c, effects = alike)", ("unit",), smaller="hm(c, effects = alike)"),
    "block alike": Kind(
        "v + mm(m, g, x, weights = power(z), effects = alike)", ("block",), moved="z",
        smaller="v + mm(m, g, x, effects = alike)",
    ),
}  # fmt: skip


@pytest.fixture(scope="module", params=list(ROWS))
def subject(request):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(
            effects.KINDS,
            "alike",
            effects.EffectKind("alike", "levels with half of the variance in common", make_alike),
        )
        patch.setitem(twins.EFFECTS, Alike, twins.JointEffects(alike))
        patch.setitem(KINDS, request.param, ROWS[request.param])
        yield Subject(request.param, "gaussian")


@pytest.mark.parametrize("claim", list(claims.OF_PAIRS))
def test_contracts(subject, claim):
    claims.OF_PAIRS[claim](subject)


@pytest.mark.parametrize("verb", [name for name, row in VERBS.items() if not row.costly])
def test_verbs(subject, verb):
    VERBS[verb].outcome(subject.fit(), subject)


def test_a_level_that_is_new_shares_what_is_common(subject):
    fit = subject.fit()
    column = {"unit alike": "c", "block alike": "m"}[subject.kind_name]
    new = fit.predict(subject.covariates.assign(**{column: 999}), new_effects="zero")
    assert np.all(np.isfinite(new.iloc[:, 0]))
    assert fit.variance_components().index.tolist() == [column, "residual"]
