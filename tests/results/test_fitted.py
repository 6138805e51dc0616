"""What verbs may ask of a fit."""

from __future__ import annotations

import micromacro as mm
from micromacro.results.fitted import Fitted, is_fit


def test_a_fit_has_all_that_its_protocol_promises() -> None:
    promised = {name for name in vars(Fitted) if not name.startswith("_")}
    assert len(promised) > 20
    assert promised <= vars(mm.Fit).keys()


def test_a_fit_is_told_from_its_class(ml) -> None:
    assert is_fit(ml)
    assert not is_fit(ml.summary()) and not is_fit(mm.Fit) and not is_fit(ml.posterior)
