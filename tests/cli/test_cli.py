"""The command line: tables of several formats in, the report out, errors as text."""

from __future__ import annotations

import io
import json

import numpy as np
import pandas as pd
import pytest
import xarray
from click.testing import CliRunner

import micromacro as mm
from micromacro.cli import main

FORMULA = "y ~ x + mm(member, group, z, weights = power(z), normalize = group)"


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """60 groups of 2 to 4 out of 25 members, one row per membership."""
    rng = np.random.default_rng(3)
    sizes = rng.integers(2, 5, 60)
    group = np.repeat(np.arange(60), sizes)
    member = np.concatenate([rng.choice(25, n, replace=False) for n in sizes])
    x, z, u = rng.normal(size=60), rng.normal(size=25), rng.normal(size=25)
    y = 1.0 + 0.5 * x + np.bincount(group, (z + u)[member]) / sizes + rng.normal(scale=0.5, size=60)
    return pd.DataFrame({"group": group, "member": member, "y": y[group], "x": x[group], "z": z[member]})


def run(*arguments: object):
    """Run the command line in this process."""
    return CliRunner().invoke(main, [str(a) for a in arguments])


def estimates(report: str) -> str:
    """A report without its first line, which holds the time it took."""
    return report.partition("\n")[2]


@pytest.fixture(scope="module")
def csv(table, tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "table.csv"
    table.to_csv(path, index=False)
    return path


def test_fit_prints_the_report(csv, table):
    result = run("fit", csv, FORMULA, "--engine", "ml")
    assert result.exit_code == 0, result.output
    expected = mm.fit(FORMULA, pd.read_csv(csv), engine="ml")
    assert estimates(result.stdout) == estimates(expected.report() + "\n")


def test_the_format_makes_no_difference(csv, table, tmp_path):
    pytest.importorskip("pyarrow")
    table = pd.read_csv(csv)
    table.to_csv(tmp_path / "t.tsv.gz", sep="\t", index=False)
    table.to_parquet(tmp_path / "t.parquet")
    reports = {estimates(run("fit", p, FORMULA, "--engine", "ml").stdout) for p in [csv, *tmp_path.iterdir()]}
    assert len(reports) == 1


def test_relational_tables(csv, table, tmp_path):
    table = pd.read_csv(csv)
    table[["group", "y", "x"]].drop_duplicates().to_csv(tmp_path / "groups.csv", index=False)
    table[["group", "member"]].to_csv(tmp_path / "edges.csv", index=False)
    table[["member", "z"]].drop_duplicates().to_csv(tmp_path / "members.csv", index=False)
    tables = ("--memberships", tmp_path / "edges.csv", "--members", tmp_path / "members.csv")
    relational = run("fit", tmp_path / "groups.csv", FORMULA, "--engine", "ml", *tables)
    assert relational.exit_code == 0, relational.output
    assert estimates(relational.stdout) == estimates(run("fit", csv, FORMULA, "--engine", "ml").stdout)


def test_what_cannot_work_is_refused_before_fitting(csv, tmp_path, monkeypatch):
    monkeypatch.setattr("micromacro.api.fit", lambda *_, **__: pytest.fail("it was fitted"))
    for options, message in ((("--ci", 95), "between 0 and 1"), (("--out", tmp_path / "no" / "a.nc"), "no folder")):
        result = run("fit", csv, FORMULA, "--engine", "ml", *options)
        assert result.exit_code == 2
        assert message in result.stderr


def test_the_report_is_printed_even_if_saving_fails(csv, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise mm.MicromacroError("the disk is full")

    monkeypatch.setattr("micromacro.results.fit.Fit.save", fail)
    result = run("fit", csv, FORMULA, "--engine", "ml", "--out", tmp_path / "a.nc")
    assert result.exit_code == 2
    assert "Health" in result.stdout
    assert "the disk is full" in result.stderr


def test_out_saves_the_fit(csv, tmp_path):
    out = tmp_path / "fit.nc"
    result = run("fit", csv, FORMULA, "--draws", 20, "--tune", 20, "--chains", 2, "--seed", 1, "--out", out)
    assert result.exit_code == 0, result.output
    assert str(out) in result.stdout
    with xarray.open_datatree(out) as tree:
        assert "member.w.z" in tree["posterior"].data_vars


def test_ci_reaches_the_report(csv):
    narrow, wide = (run("fit", csv, FORMULA, "--engine", "ml", "--ci", ci).stdout for ci in (0.5, 0.99))
    assert estimates(narrow) != estimates(wide)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["y ~ x z"], "^"),
        (["y ~ nothing"], "nothing"),
        (["y ~ x", "--family", "gausian"], "did you mean 'gaussian'"),
        (["y ~ x", "--engine", "mlx"], "mlx"),
    ],
)
def test_our_errors_are_text_and_exit_with_2(csv, arguments, message):
    result = run("fit", csv, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [("t.xlsx", b"x", "'.xlsx'"), ("t.csv", b"", "cannot be read"), ("t.parquet", b"x", "cannot be read")],
)
def test_files_that_are_no_tables(tmp_path, name, content, message):
    pytest.importorskip("pyarrow")
    (tmp_path / name).write_bytes(content)
    result = run("fit", tmp_path / name, "y ~ x")
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_file_that_is_not_there(tmp_path):
    result = run("fit", tmp_path / "nothing.csv", "y ~ x")
    assert result.exit_code == 2
    assert "does not exist" in result.stderr


@pytest.mark.filterwarnings("default::micromacro.errors.MicromacroWarning")
def test_our_warnings_are_text(csv, table, tmp_path):
    table = table.assign(y=table["y"].where(table["group"] > 0))
    table.to_csv(tmp_path / "gap.csv", index=False)
    result = run("fit", tmp_path / "gap.csv", "y ~ x + mm(member, group)", "--engine", "ml", "--missing", "drop")
    assert result.exit_code == 0, result.output
    assert result.stderr.startswith("Warning: dropped")


def test_the_version():
    assert mm.__version__ in run("--version").stdout


# -- fits that were saved, and options from a file ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(csv, tmp_path_factory):
    """The same fit as the command line and as Python make it."""
    out = tmp_path_factory.mktemp("saved") / "fit.nc"
    assert run("fit", csv, FORMULA, "--engine", "ml", "--out", out).exit_code == 0
    return out, mm.fit(FORMULA, pd.read_csv(csv), engine="ml")


def test_a_fit_is_written_by_the_endings_of_its_files(csv, tmp_path):
    pytest.importorskip("matplotlib")
    files = [tmp_path / f"fit{ending}" for ending in (".nc", ".html", ".csv", ".json")]
    result = run("fit", csv, FORMULA, "--engine", "ml", *(a for f in files for a in ("--out", f)))
    assert result.exit_code == 0, result.output
    fit = mm.load(files[0])
    assert files[1].read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    pd.testing.assert_frame_equal(pd.read_csv(files[2], index_col="parameter"), fit.summary())
    read = json.loads(files[3].read_text())
    assert read["fit"]["engine"] == "ml"
    assert [p["term"] for p in read["parameters"]] == list(fit.params.index)


@pytest.mark.parametrize("command", ["fit", "report"])
def test_an_unknown_ending_is_refused_before_fitting(csv, tmp_path, monkeypatch, command):
    monkeypatch.setattr("micromacro.api.fit", lambda *_, **__: pytest.fail("it was fitted"))
    result = run(command, csv, FORMULA, "--engine", "ml", "--out", tmp_path / "fit.pdf")
    assert result.exit_code == 2
    assert "ends in one of" in result.stderr


def test_predictions_are_those_of_the_fit(saved, csv, tmp_path):
    path, fit = saved
    printed = pd.read_csv(io.StringIO(run("predict", path, csv, "--ci", 0.9).stdout), index_col="group")
    expected = fit.predict(pd.read_csv(csv), kind="mean", ci=0.9)
    np.testing.assert_allclose(printed["estimate"], expected["estimate"])
    out = tmp_path / "p.json"
    assert run("predict", path, csv, "--kind", "linear", "--out", out).stdout == f"Saved to {out}\n"
    assert len(json.loads(out.read_text())) == len(expected)


def test_fits_are_compared_by_their_files(saved, csv, tmp_path):
    path, _ = saved
    other = tmp_path / "plain.nc"
    assert run("fit", csv, "y ~ x + mm(member, group)", "--engine", "ml", "--out", other).exit_code == 0
    table = pd.read_csv(io.StringIO(run("compare", path, other).stdout), index_col=0)
    assert set(table.index) == {"fit", "plain"}
    assert "aic" in table


def test_a_saved_fit_is_shown(saved):
    path, _ = saved
    assert "Weight parameters" in run("show", path).stdout
    for what in ("summary", "interpret", "weights", "random_effects", "variance_components", "residuals"):
        result = run("show", path, what)
        assert result.exit_code == 0, result.output
        shown = pd.read_csv(io.StringIO(result.stdout))
        assert len(shown) > 0
        assert not any(name.startswith("Unnamed") for name in shown)  # ids stand once
    assert "not one of" in run("show", path, "nothing").stderr


def test_a_report_is_made_of_a_table_and_of_a_fit(saved, csv, tmp_path):
    pytest.importorskip("matplotlib")
    for source in ((csv, FORMULA, "--engine", "ml"), (saved[0],)):
        out = tmp_path / "r.html"
        result = run("report", *source, "--out", out)
        assert result.exit_code == 0, result.output
        assert "What the estimates say" in out.read_text(encoding="utf-8")
    assert "leave out" in run("report", saved[0], FORMULA, "--out", tmp_path / "r.html").stderr


def test_a_file_of_options_says_what_the_command_line_does_not(csv, tmp_path):
    toml = tmp_path / "model.toml"
    toml.write_text(
        f'data = "{csv}"\nformula = "{FORMULA}"\nengine = "ml"\n'
        '[priors]\n"member.w.z" = "normal(0, 0.5)"\n[fixed]\nsigma = 0.5\n'
    )
    result = run("fit", "--options", toml)
    assert result.exit_code == 0, result.output
    priors = {"member.w.z": mm.prior.normal(0, 0.5)}
    expected = mm.fit(FORMULA, pd.read_csv(csv), engine="ml", priors=priors, fixed={"sigma": 0.5})
    assert estimates(result.stdout) == estimates(expected.report() + "\n")
    assert "laplace" in run("fit", "--options", toml, "--engine", "laplace", "--draws", 200, "--seed", 1).stdout


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("engine = ", "cannot be read as TOML"),
        ("enginee = 'ml'", "no option 'enginee'; did you mean 'engine'?"),
        ("data = 'none.csv'", "names the file 'none.csv'"),
        ("data = 3", "name of a file"),
        ("formula = 'y ~ x'\nsigma = 'x'", "begins with ~"),
        ("[priors]\nsd = 'normal'", "is not a prior"),
        ("[priors]\nsd = 'half_norml(1)'", "did you mean 'half_normal'"),
        ("[priors]\nsd = 'normal(a)'", "takes numbers"),
        ("[priors]\nsd = '__import__(1)'", "is not a prior"),
        ("fixed = 3", "is a section"),
        ("engine = 'ml'", "no formula was given"),
    ],
)
def test_files_of_options_that_cannot_be_read(csv, tmp_path, text, says):
    toml = tmp_path / "m.toml"
    toml.write_text(text)
    result = run("fit", csv, "--options", toml)
    assert result.exit_code == 2
    assert says in result.stderr


def test_files_in_the_wrong_place(saved, csv):
    assert "the table comes first" in run("fit", FORMULA, csv).stderr
    assert "not a saved fit" in run("show", csv).stderr
    assert "two or more" in run("compare", saved[0], saved[0]).stderr


def test_compiling_is_announced_once(tmp_path, monkeypatch, capsys):
    from micromacro.cli import announce_compiling

    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    announce_compiling()
    assert "Compiling" in capsys.readouterr().err
    (tmp_path / "kernel.nbi").touch()
    announce_compiling()
    assert capsys.readouterr().err == ""
