"""What CONTRIBUTING and the README name exists: files, tables in them, floors, commands."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "micromacro"
GUIDE = (ROOT / "CONTRIBUTING.md").read_text()
README = (ROOT / "README.md").read_text()
FILE = re.compile(r"`([a-z_]+(?:/[a-z_]+)*(?:/[\w-]+\.(?:py|md)|/|\.py))`")
TABLE = re.compile(r"`(_?[A-Z_]+|Effects|Independent|Row)`(?: of `ENGINES`)? (?:in|of) `([a-z_/]+\.py)`")


@pytest.mark.parametrize("name", sorted(set(FILE.findall(GUIDE))))
def test_a_file_that_the_guide_names_exists(name):
    assert (SOURCE / name).exists() or (ROOT / name).exists()


@pytest.mark.parametrize(("table", "name"), sorted(set(TABLE.findall(GUIDE))))
def test_a_table_that_the_guide_names_is_in_its_file(table, name):
    assert re.search(rf"^(?:def |class )?{table}\b", (SOURCE / name).read_text(), re.MULTILINE)


def test_the_guide_names_its_tables():
    assert {"FAMILIES", "PICTURES", "AGGREGATES", "EFFECTS", "TERMS"} <= {table for table, _ in TABLE.findall(GUIDE)}


def test_every_floor_is_in_the_table_of_floors():
    floors = GUIDE.split("## The floors")[1].split("## ")[0]
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    for module in re.findall(r"\w+", " ".join(contract["layers"])):
        assert f"`{module}`" in floors, module


@pytest.mark.parametrize("text", [GUIDE, README], ids=["guide", "readme"])
def test_commands_of_make_exist(text):
    targets = set(re.findall(r"^([a-z%-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for command in re.findall(r"(?:`|\$ )make ([a-z-]+)", text):
        assert command in targets or (command.startswith("test-") and "test-%" in targets), command


def test_files_that_the_readme_names_exist():
    for name in re.findall(r"(?:benchmarks|docs)/[\w/.-]+\.\w+", README):
        assert (ROOT / name).exists(), name
