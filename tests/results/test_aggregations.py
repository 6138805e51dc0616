"""Which link the data prefer: simulated data whose link is known, and data that cannot tell."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.language.parse import parse_formula
from micromacro.language.printing import member_text
from micromacro.posterior.leaveout.integrated import Cavities
from micromacro.results.verbs.aggregations import judge, member_block, nesting, read_link, write_link

FORMULA = "y ~ 1 + mm(member, group, x, weights = 1/n, normalize = group)"
LINKS = ["mean", "sum", "max", "min", "largest(s)", "power(s)"]


def simulate(link, seed, groups=500, members=120, equal=False, slope=1.0, sd=0.5):
    """Groups of one to six members (three with `equal`), covariates x and s of memberships, and an outcome."""
    rng = np.random.default_rng(seed)
    size = np.full(groups, 3) if equal else rng.integers(1, 7, groups)
    g = np.repeat(np.arange(groups), size)
    frame = pd.DataFrame({"group": g})
    frame["member"] = np.concatenate([rng.choice(members, k, replace=False) for k in size])
    frame["x"], frame["s"] = rng.standard_normal((2, len(g)))
    n = size[g]
    w = {"sum": np.ones(len(g)), "power": n ** -np.exp(-1.5 * frame["s"].to_numpy())}.get(link, 1.0 / n)
    if link == "power":
        w = w / np.bincount(g, w)[g]
    if link == "largest":
        w = (frame["s"] == frame.groupby("group")["s"].transform("max")).to_numpy(float)
    u = sd * rng.standard_normal(members)
    feature = np.bincount(g, w * frame["x"])
    if link == "max":
        feature = frame.groupby("group")["x"].max().to_numpy()
    y = slope * feature + np.bincount(g, w * u[frame["member"]]) + 0.7 * rng.standard_normal(groups)
    return frame.assign(y=y[g])


def found(data, links=LINKS, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mm.MicromacroWarning)
        return mm.aggregations(mm.Model(FORMULA, data), links, **options)


TRUE = {"mean": "mean", "sum": "sum", "max": "max", "power": "power(s)"}


@pytest.mark.parametrize("link", ["mean", "max", "power"])
def test_the_true_link_is_preferred(link):
    out = found(simulate(link, seed=1), ["mean", "sum", "max", "power(s)"])
    assert out.preferred == (TRUE[link],)
    assert out.decided
    assert f"the data prefer {TRUE[link]}" in repr(out)
    assert out.table.loc[TRUE[link], "verdict"] == "preferred"


@pytest.mark.calibrate
@pytest.mark.parametrize("link", list(TRUE))
def test_the_true_link_is_preferred_in_nineteen_of_twenty_data_sets(link):
    right = [found(simulate(link, seed=100 + k)).preferred == (TRUE[link],) for k in range(20)]
    assert sum(right) >= 19, right


def test_without_an_effect_nothing_is_decided():
    out = found(simulate("mean", seed=2, groups=150, slope=0.0, sd=0.0), ["mean", "sum", "max"])
    assert not out.decided
    assert "undecided between" in out.verdict


def test_links_that_are_one_model_on_the_data_are_named_together():
    """With equal sizes the sum is three times the mean."""
    out = found(simulate("mean", seed=3, groups=150, equal=True), ["mean", "sum", "max"])
    assert out.table.index[0] == "mean = sum"
    assert set(out.preferred) == {"mean", "sum"}
    assert "one model on these data" in out.verdict
    assert not out.decided


@pytest.mark.calibrate
def test_without_an_effect_twenty_data_sets_decide_nothing():
    said = [found(simulate("mean", seed=200 + k, slope=0.0, sd=0.0)).decided for k in range(20)]
    assert sum(said) <= 1, said


def test_engines_agree_on_the_differences():
    data = simulate("max", seed=4, groups=80, members=20)
    ml = found(data, ["mean", "max"]).table
    drawn = found(data, ["mean", "max"], engine="laplace", draws=300).table
    assert list(ml.index) == list(drawn.index) == ["max", "mean"]
    assert drawn.loc["mean", "difference"] == pytest.approx(ml.loc["mean", "difference"], abs=2.0)
    assert drawn.loc["mean", "se_difference"] == pytest.approx(ml.loc["mean", "se_difference"], abs=1.0)


def test_the_table_holds_what_the_fits_say():
    out = found(simulate("mean", seed=5, groups=80, members=30), ["mean", "power(s)"])
    fit = out.fits["power(s)"]
    optimum = fit.posterior.outcome.optimum
    value = Cavities(fit.specification).at(optimum.theta).log_density.sum() - 3  # weight, sd, sigma
    assert out.table.loc["power(s)", "elpd"] == pytest.approx(value)
    assert f"member.w.s {fit.params['member.w.s']:.2f}" in out.table.loc["power(s)", "shape"]


class Drawn:
    """A fit of which only the pointwise values matter."""

    def __init__(self, values):
        self.values = values


def test_a_wider_link_is_taken_only_for_a_clear_gain(monkeypatch):
    """power against the mean it contains: 2 is too little, 6 with a large error undecided, 6 with a small one clear."""
    monkeypatch.setattr("micromacro.results.verbs.aggregations.pointwise", lambda fit: fit.values)
    monkeypatch.setattr("micromacro.results.verbs.aggregations._nothing_varies", lambda fits: "")
    rng = np.random.default_rng(1)
    base, noise = rng.normal(-1, 0.3, 100), rng.standard_normal(100)
    noise -= noise.mean()
    for gain, spread, expected in ((2.0, 0.01, {"mean"}), (6.0, 0.5, {"mean", "power(s)"}), (6.0, 0.01, {"power(s)"})):
        fits = {"mean": Drawn(base), "power(s)": Drawn(base + gain / 100 + spread * noise)}
        out = judge(fits, dict.fromkeys(fits, ""), dict.fromkeys(fits, ""), {"power(s)": ("mean",)})
        assert set(out.preferred) == expected, (gain, spread)
        assert out.decided == (len(expected) == 1)


def test_how_links_are_written():
    formula = parse_formula("y ~ z + mm(m, g, x, weights = power(s), normalize = total, effects = iid) + (1 | c)")
    call = member_block(formula, None)
    written = {link: write_link(formula, call, read_link(link)) for link in [*LINKS, "smax"]}
    assert written["mean"] == "y ~ z + mm(m, g, x, weights = 1 / n, normalize = total) + (1 | c)"
    assert written["sum"] == "y ~ z + mm(m, g, x, weights = 1, normalize = none) + (1 | c)"
    assert written["max"] == (
        "y ~ z + mm(m, g, x, weights = x == max(x), normalize = group, effects = none, name = m)"
        " + mm(m, g, weights = power(s), normalize = total, name = m_effects) + (1 | c)"
    )
    assert "weights = s == max(s), normalize = group" in written["largest(s)"]
    assert "weights = power(s), normalize = total" in written["power(s)"]
    assert "mm(m, g, x, aggregate = smax(kappa), effects = none, name = m)" in written["smax"]


@pytest.mark.parametrize(
    "text",
    [
        "mm(p, g)",
        "mm(p, g, 1 + x - z + fix(v, -0.5), weights = 1 / n ** exp(-(b1 * s)), normalize = none, name = q)",
        'mm(p, g, x:z, weights = exp(a * s), parameters = "a", effects = none)',
        "mm(`party id`, g, log(x), effects = walk(t))",
    ],
)
def test_a_member_call_printed_and_parsed_is_the_same(text):
    call = parse_formula(f"y ~ {text}").members[0]
    assert parse_formula(f"y ~ {member_text(call)}").members[0] == call


def test_what_cannot_be_asked_is_refused():
    data = simulate("mean", seed=6, groups=40, members=15)
    model = mm.Model(FORMULA, data)
    with pytest.raises(mm.ModelError, match="'median' is not a link"):
        mm.aggregations(model, ["mean", "median"])
    with pytest.raises(mm.ModelError, match="'largest' is not a link"):
        mm.aggregations(model, ["mean", "largest"])
    with pytest.raises(mm.ModelError, match="no block 'party'"):
        mm.aggregations(model, ["mean", "sum"], block="party")
    with pytest.raises(mm.ModelError, match="max applies to covariates"):
        mm.aggregations(mm.Model("y ~ mm(member, group, weights = 1/n)", data), ["mean", "max"])
    with pytest.raises(mm.ModelError, match="name two or more"):
        mm.aggregations(model, ["mean"])
    with pytest.raises(mm.ModelError, match="takes a Model"):
        mm.aggregations(model.fit("ml"), ["mean", "sum"])


def test_priors_follow_the_parameters_that_they_name():
    data = simulate("mean", seed=7, groups=60, members=20)
    priors = {"member.sd": mm.prior.half_normal(1), "member.w.s": mm.prior.normal(0, 0.5), "b": mm.prior.normal(0, 1)}
    model = mm.Model(FORMULA.replace("1/n", "power(s)"), data, priors=priors)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mm.MicromacroWarning)
        out = mm.aggregations(model, ["mean", "max", "power(s)"], engine="laplace", draws=100)
    prior = {p.name: p.prior for p in out.fits["max"].specification.parameters}
    assert prior["member_effects.sd"] == priors["member.sd"]
    assert prior["member_effects.w.s"] == priors["member.w.s"]


def test_the_picture_has_a_point_for_each_link():
    pytest.importorskip("matplotlib")
    out = found(simulate("mean", seed=3, groups=60, members=20, equal=True), ["mean", "sum", "max"])
    ax = out.plot()
    assert [t.get_text() for t in ax.get_yticklabels()] == list(out.table.index[::-1])
    assert judge(out.fits, out.formulas, dict.fromkeys(out.fits, ""), {}).preferred == out.preferred


def test_links_take_options_and_expressions_of_weights():
    formula = parse_formula("y ~ mm(m, g, x + z, weights = 1/n, normalize = total) + (1 | c)")
    call = member_block(formula, None)
    written = {link: write_link(formula, call, read_link(link, ["s"])) for link in [
        "softmax(s)", "exp(b*s)", "s", "weights = exp(b * s), normalize = none", "aggregate = var", "aggregate=hhi",
        "aggregate = smax(kappa), weights = s",
    ]}  # fmt: skip
    assert written["softmax(s)"] == "y ~ mm(m, g, x + z, weights = softmax(s), normalize = group) + (1 | c)"
    assert written["exp(b*s)"] == "y ~ mm(m, g, x + z, weights = exp(b * s), normalize = total) + (1 | c)"
    assert "weights = s, normalize = total" in written["s"]
    assert "weights = exp(b * s), normalize = none" in written["weights = exp(b * s), normalize = none"]
    assert written["aggregate = var"] == (
        "y ~ mm(m, g, x, aggregate = var, effects = none, name = m_x)"
        " + mm(m, g, z, aggregate = var, effects = none, name = m_z)"
        " + mm(m, g, weights = 1 / n, normalize = total, name = m_effects) + (1 | c)"
    )
    assert written["aggregate=hhi"].startswith(
        "y ~ mm(m, g, weights = 1 / n, aggregate = hhi, effects = none, name = m)"
    )
    assert "weights = s, aggregate = smax(kappa)" in written["aggregate = smax(kappa), weights = s"]


def test_the_largest_is_of_columns_and_of_what_is_made_of_them():
    formula = parse_formula("y ~ mm(m, g, x)")
    call = member_block(formula, None)
    made = write_link(formula, call, read_link("largest(`my s` + s)", ["my s", "s"]))
    assert made == "y ~ mm(m, g, x, weights = `my s` + s == max(`my s` + s), normalize = group)"
    with pytest.raises(mm.DataError, match=r"no column 'nope'.*columns: s"):
        read_link("largest(nope)", ["s"])


def test_shapes_that_the_data_do_not_determine_are_marked():
    data = simulate("mean", seed=5, groups=50, members=15, equal=True)
    out = found(data, ["mean", "1 / n ** exp(b0)"])
    assert "member.w.b0 ! " in "".join(out.table["shape"])


@pytest.mark.parametrize("link", [3, None, ("mean",), "largest(s, by = z)", "largest(s"])
def test_what_is_no_text_of_a_link_is_refused(link):
    data = simulate("mean", seed=6, groups=40, members=15)
    with pytest.raises(mm.ModelError, match="is not a link"):
        mm.aggregations(mm.Model(FORMULA, data), ["mean", link])


@pytest.mark.parametrize(
    "link",
    ["b", "median", "exp(", "x ~ y", "effects = none", "name = q", "softmax(x), z", "weights = 1/n, weights = 1"],
)
def test_what_is_no_link_is_refused_by_its_text(link):
    with pytest.raises(mm.ModelError, match="is not a link"):
        read_link(link, ["x"])


def test_a_link_contains_those_whose_weights_it_has_at_zero():
    data = simulate("mean", seed=8, groups=120, members=25)
    out = found(data, ["mean", "softmax(s)", "exp(b*s)", "aggregate = smax(kappa)", "s ** 4"])
    assert len(out) == len(out.fits) == 5
    assert out.preferred == ("mean",)
    row = next(names for names in out.table.index if "softmax(s)" in names.split(" = "))
    assert out.table.loc[row, "verdict"] in ("contains mean", "worse")
    inside = nesting(out.fits, "member")
    assert inside["softmax(s)"] == inside["exp(b*s)"] == ("mean",)
    assert "s ** 4" not in inside


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::micromacro.MicromacroWarning")
def test_links_are_compared_where_a_spread_has_effects():
    """Given the effects, because what these are given the other groups is far from normal."""
    table = simulate("max", 3, groups=120, members=30, equal=True)
    table["site"] = table["group"] % 8
    model = mm.Model("y ~ 1 + mm(member, group, x, effects = none)", table, sigma="~ 1 + (1 | site)")
    found = mm.aggregations(model, ["mean", "max"], engine="laplace", draws=60, random_seed=1)
    assert "prefer max" in str(found)
    with pytest.raises(mm.EngineError, match=r"sigma=, phi=, shape= or nu= have effects.*use loo\(\)"):
        model.fit(engine="laplace", draws=30, random_seed=1).loo(integrated=True)
