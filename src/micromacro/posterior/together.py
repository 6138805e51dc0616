r"""What members' effects bring to groups where they combine in another way than by their sum: over their population.

It is no Gaussian number, so its variance is that of seeded draws, the same at every theta, in antithetic pairs. Members
of a group are alike but for their effects: differences of covariates within a group are left out. Under ``ces`` the
variance depends on the level too, which is a coefficient: there it is not a number of theta.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..latent.part import Part

SEED = 23
WORK, FEWEST, MOST = 100_000, 10, 60  # effects of memberships to draw in all; pairs of draws


def population(part: Part, scratch: Any, theta: np.ndarray) -> np.ndarray:
    """Draws of what members bring (draws, groups), after ``fill``; nan where they are not numbers of theta.

    Parameters
    ----------
    theta : (q,) array
        The part's own.
    """
    structure = part.structure
    assert structure is not None
    own, count = theta[part.structure_theta], part.row_count
    rng = np.random.default_rng(np.random.SeedSequence(SEED))
    membership, entry = structure.pattern()
    load = np.empty(len(membership))
    structure.loads(own, load)
    out = []
    for _ in range(int(np.clip(WORK // max(count, 1), FEWEST, MOST))):
        effects = np.bincount(membership, load * structure.sample(own, rng)[entry], count)
        for zeta in (effects, -effects):
            met = part.placed(0).together(scratch, zeta)
            assert met is not None
            out.append(met[0])
    made = np.stack(out)
    return made if part.additive else np.full(made.shape, np.nan)
