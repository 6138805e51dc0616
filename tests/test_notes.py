"""Notes read as text and answer by code, severity and names."""

from __future__ import annotations

import copy
import pickle
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.engines.health import Health
from micromacro.notes import Note, caution, remark, trouble

SOURCES = Path(mm.__file__).parent


def test_a_note_reads_as_its_text_and_keeps_its_fields():
    note = trouble("r-hat", "R-hat above 1.01 for x", "x")
    assert note == "R-hat above 1.01 for x" == str(note) == note.text and type(note.text) is str
    assert (note.code, note.severity, note.about) == ("r-hat", "trouble", ("x",))
    for other in (pickle.loads(pickle.dumps(note)), copy.deepcopy(note), Note(**note.plain())):
        assert (other, other.code, other.severity, other.about) == (note, "r-hat", "trouble", ("x",))


def test_a_note_does_not_change():
    with pytest.raises(AttributeError, match="make another"):
        remark("a", "b").code = "c"
    with pytest.raises(ValueError, match="not 'worse'"):
        Note("a", "worse", (), "b")


def test_health_sorts_its_notes_by_severity():
    health = Health((trouble("a", "bad"), remark("b", "known"), caution("c", "look"), trouble("d", "worse")))
    assert not health.ok and health.troubles == ("bad", "worse")
    assert health.remarks == ("known", "look") and health.cautions == ("look",)
    assert health.warnings == ("bad; worse", "look")
    assert Health((remark("b", "known"),)).ok


def test_every_note_of_a_fit_is_a_record(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"y": rng.normal(size=40), "x": rng.normal(size=40), "u": np.arange(40) % 5})
    frame.loc[3, "x"] = np.nan
    with pytest.warns(mm.MicromacroWarning, match="dropped 1 of 40"):
        fit = mm.fit("y ~ x + (1 | u)", frame, engine="ml", missing="drop", fixed={"sigma": 1.0})
    fit.save(tmp_path / "fit.nc")
    for one in (fit, mm.load(tmp_path / "fit.nc")):
        notes = {n.code: n for n in (*one.notes, *one.health.notes)}
        assert all(isinstance(n, Note) for n in notes.values())
        assert notes["dropped"].severity == "caution" and notes["dropped"].about == ("x",)
        assert notes["fixed"].about == ("sigma",)


def test_nothing_reads_prose_to_decide():
    """Notes are asked for their code: no test of how a note, a remark or a message begins or what is in it."""
    begins = r"\b(n|note|remark|message|text|r|t)\.startswith\(['\"][a-zA-Z ]{4,}"
    inside = r"['\"][a-z ]{4,}['\"] in \w*\.?(note|remark|message)s?\b"
    prose = re.compile(f"{begins}|{inside}")
    found = [
        f"{path.relative_to(SOURCES)}: {line.strip()}"
        for path in sorted(SOURCES.rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if prose.search(line)
    ]
    assert not found
