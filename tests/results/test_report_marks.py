"""Tables mark what should not be read as it stands."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import micromacro as mm

X = np.linspace(-1.0, 1.0, 60)
DATA = pd.DataFrame({"x": X, "v": np.sin(7.0 * X), "y": (X > 0.0).astype(int)})


def test_a_separated_coefficient_is_marked_in_reports_and_tables():
    with pytest.warns(mm.MicromacroWarning, match="separated"):
        fit = mm.fit("y ~ x", DATA, family="bernoulli", engine="ml")
    assert "x" in fit.health.doubtful
    assert "x !" in fit.report()
    assert "x" in fit.summary().attrs["doubtful"] and set(fit.summary().attrs["doubtful"]) == fit.health.doubtful
    table = mm.table({"one": fit}, format="dataframe")
    assert table.loc[("Coefficients", "x"), "one"].endswith(" !")
    assert "not to be read" in mm.table({"one": fit}, format="html")


def test_a_sound_fit_has_no_marks():
    fit = mm.fit("v ~ x", DATA, engine="ml")
    assert not fit.health.doubtful and fit.summary().attrs["doubtful"] == []
    assert " !" not in fit.report()
    assert "not to be read" not in mm.table({"one": fit}, format="html")
