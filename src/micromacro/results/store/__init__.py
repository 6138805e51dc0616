"""Saving a fit: netCDF or zarr, read back as the same fit. Never pickle.

A file holds a description (formula, family, priors, engine, settings, versions), what the engine returned, the tables
that the formula reads, and densities at some of the draws. Loading compares every value with its digest, makes the
model again from description and tables, and computes those densities once more: what differs is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...effects.sources import Source, source_from_plain
from ...families.base import Family
from ...families.registry import family_from_plain
from ...model.specification import Specification
from ...numerics.memory import size as in_words
from ...posterior.factory import posterior_of
from ...table.memberships import Tables
from ..fitted import Fitted
from .check import check_to_plain, mismatch
from .describe import description_of, priors_from_plain, unknown_to_us
from .engine import Keep, outcome_from_plain, outcome_to_plain
from .file import FORMAT, FileError, read, write
from .kept import SavedResults, tables_of
from .plain import Arrays, pack, unpack
from .tables import counts, fingerprint, tables_from_plain, tables_to_plain
from .tree import readable

if TYPE_CHECKING:
    from ...engines.base import Outcome

__all__ = ["FileError", "Keep", "SavedFile", "SavedResults", "Stored", "open_file", "save"]

_PARTS = {
    "readable": "draws under their names, for ArviZ and xarray",
    "engine": "what the engine returned",
    "tables": "the tables that the formula uses",
    "sources": "covariances and graphs of members or units",
    "results": "summaries",
    "check": "densities for the check on loading",
}


@dataclass(frozen=True)
class SavedFile:
    """What was written.

    Attributes
    ----------
    path : Path
    total : int
        Bytes on disk.
    parts : dict
        Bytes of the arrays of each part: ``readable``, ``engine``, ``tables``, ``results``, ``check``.
    left_out : tuple of str
        What a file cannot hold.
    """

    path: Path
    total: int
    parts: dict[str, int]
    left_out: tuple[str, ...] = ()

    def __repr__(self) -> str:
        lines = [f"{self.path}: {in_words(self.total)}"]
        lines += [f"  {in_words(size):>10}  {_PARTS[name]}" for name, size in self.parts.items()]
        lines += [f"  left out: {what}" for what in self.left_out]
        return "\n".join(lines)


def save(fit: Fitted, path: Any, keep: Keep) -> SavedFile:
    """Write a fit; see ``Fit.save``."""
    target = Path(path)
    outcome = fit.posterior.outcome
    keep.check(outcome)
    shrunk = keep.shrink(outcome)
    tables = outcome.specification.tables
    description = description_of(outcome) | {
        "fingerprint": fingerprint(tables), "counts": counts(tables), "contents": keep.contents, "data": keep.data,
    }  # fmt: skip
    parts: dict[str, Any] = {}
    left_out: list[str] = []
    groups: dict[str, Any] = {}
    if keep.contents != "summary":
        parts["engine"], left_out = outcome_to_plain(shrunk, keep)
        with_effects = keep.contents == "all"
        parts["check"] = check_to_plain(posterior_of(shrunk), with_effects=not with_effects)
        with_effects = with_effects and (shrunk.draws is None or shrunk.draws.kept is None)
        parts["tables"] = tables_to_plain(tables) if keep.data else None
        groups = readable(shrunk, with_effects and keep.named, keep.data, keep.dtype)
        sources = outcome.specification.reading.sources
        if sources:
            parts["sources"] = {name: source.to_plain() for name, source in sources.items()}
    if keep.contents == "summary" or not keep.data:
        parts["results"] = tables_of(fit, keep.data)
    sizes = {"readable": sum(g.nbytes for g in groups.values())} if groups else {}
    content: dict[str, Any] = {"description": description}
    for name, value in parts.items():
        arrays: Arrays = {}
        content[name] = pack(value, "", arrays)
        groups[name] = _dataset(arrays)
        sizes[name] = groups[name].nbytes
    write(target, groups, content, _attributes(description))
    return SavedFile(target, _bytes(target), sizes, tuple(left_out))


def _attributes(description: dict[str, Any]) -> dict[str, Any]:
    """What a reader of the file sees first."""
    return {
        "inference_library": "micromacro",
        "inference_library_version": description["versions"]["micromacro"],
        "micromacro_format": FORMAT,
        "formula": description["formula"],
        "family": description["family"]["name"],
        "engine": description["engine"],
        "created_at": description["saved"],
        "data_fingerprint": description["fingerprint"],
    }


def _dataset(arrays: Arrays) -> Any:
    import xarray as xr

    return xr.Dataset({name: ([f"{name}_{k}" for k in range(a.ndim)], a) for name, a in arrays.items()})


def _bytes(path: Path) -> int:
    if path.is_dir():
        return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
    return path.stat().st_size


@dataclass(frozen=True, eq=False)
class Stored:
    """A file that was read and found unchanged.

    Attributes
    ----------
    path : Path
    description : dict
    parts : dict
        Plain values of the parts that were kept.
    """

    path: Path
    description: dict[str, Any]
    parts: dict[str, Any]

    @property
    def tables(self) -> Tables | None:
        """The tables that the formula reads, if they were kept."""
        plain = self.parts.get("tables")
        return None if plain is None else tables_from_plain(plain)

    @property
    def sources(self) -> dict[str, Source]:
        """Known covariances and graphs by name."""
        plain = self.parts.get("sources") or {}
        return {name: source_from_plain(value, name) for name, value in plain.items()}

    @property
    def priors(self) -> Any:
        """The user's ``priors=``."""
        return priors_from_plain(self.description["priors"])

    def family(self, given: Family | None) -> Family:
        """The family; `given` where it is none of ours."""
        unknown = unknown_to_us(self.description)
        if unknown is not None:
            writer = self.description["versions"]["micromacro"]
            raise FileError(
                f"{self.path} has {unknown}, which this version of micromacro does not know: install micromacro "
                f"{writer}, which saved the file, or a later version"
            )
        return family_from_plain(self.description["family"], given)

    def results(self, of: type) -> SavedResults | None:
        """The tables of a fit of class `of` that was kept without its draws or its data."""
        tables = self.parts.get("results")
        if tables is None:
            return None
        return SavedResults(self.path, self.description, tables, self.description["contents"], of)

    def compare(self, tables: Tables) -> None:
        """Refuse data that are not those of the fit."""
        now = fingerprint(tables)
        if now != self.description["fingerprint"]:
            raise FileError(
                f"the data are not those that {self.path.name} was fitted to: their fingerprint is {now[:12]}, that of "
                f"the fit's data {self.description['fingerprint'][:12]} (given: {counts(tables)}; fitted: "
                f"{self.description['counts']}). Give the tables of the fit, values, types and missing= as they were"
            )

    def outcome(self, specification: Specification) -> Outcome:
        """What the engine returned, once its densities have been computed again and agree."""
        outcome = outcome_from_plain(self.parts["engine"], self.description, specification)
        with np.errstate(all="ignore"):
            trouble = mismatch(posterior_of(outcome), self.parts["check"])
        if trouble is not None:
            raise FileError(
                f"{self.path} does not belong to the model that it describes: {trouble}. Either the file was changed, "
                f"or this version of micromacro computes another model than the one that saved it "
                f"({self.description['versions']['micromacro']}): fit the model again"
            )
        return outcome


def open_file(path: Any) -> Stored:
    """Read a file that :func:`save` wrote."""
    target = Path(path)
    content, groups = read(target)
    parts = {
        name: unpack(value, {str(k): v.values for k, v in groups[name].data_vars.items()} if name in groups else {})
        for name, value in content.items()
        if name != "description"
    }
    return Stored(target, content["description"], parts)
