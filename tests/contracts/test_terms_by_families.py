"""Every kind of terms with every family that it meets: predictions, contrasts, gradients, densities."""

from __future__ import annotations

import pytest

from . import claims
from .failing import marked
from .subjects import subject
from .tables import FORMS_MEET, KINDS, pairs

ALIKE = "other_group_ids_predict_alike"


def shows_more(kind, family):
    """Whether NUTS's density of a pair says more than its parts: terms and families are added up, but for hazards."""
    return family in ("gaussian", "cox", "cox walk", "cox all") or kind in FORMS_MEET


def rows():
    for kind, family in pairs():
        for name in claims.OF_PAIRS:
            if name == ALIKE and KINDS[kind].by_group:
                continue  # another group is another step of the walk
            if name == "nuts_has_the_same_density" and not shows_more(kind, family):
                continue
            yield marked(name, kind, family)


@pytest.mark.parametrize(("claim", "kind", "family"), list(rows()))
def test_contract(claim, kind, family):
    claims.OF_PAIRS[claim](subject(kind, family))
