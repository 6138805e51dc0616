"""The demonstration, and how it lays out what it prints."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

from micromacro.cli import main
from micromacro.demo import beside


def test_texts_stand_side_by_side_where_there_is_room():
    assert beside(["a\nbbb", "cc\n\ndd"], width=9) == "a      cc\nbbb\n       dd"


def test_texts_are_not_squeezed():
    assert beside(["a\nbbb", "cc"], width=8) is None


@pytest.fixture(scope="module")
def narrow(tmp_path_factory):
    """The output of the quick demonstration on a narrow terminal, and its folder."""
    pytest.importorskip("matplotlib")
    out = tmp_path_factory.mktemp("demo") / "pictures"
    result = CliRunner(env={"COLUMNS": "80"}).invoke(main, ["demo", "--quick", "--out", str(out)])
    assert result.exit_code == 0, result.output
    return result.stdout, out


def test_the_demo_compares_both_models_by_both_engines(narrow):
    output, _ = narrow
    for word in ("maximum likelihood (ml)", "draws from the posterior (mcmc)", "equal", "estimated", "sigma"):
        assert word in output
    assert output.count("neighbour.w.dissimilarity") >= 2
    assert "likelihood-ratio test" in output


def test_the_demo_draws_the_weights(narrow):
    image = pytest.importorskip("matplotlib.image")
    output, out = narrow
    assert str(out / "weights.png") in output
    assert np.ptp(image.imread(out / "weights.png")) > 0.5
