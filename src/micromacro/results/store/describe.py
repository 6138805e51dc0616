"""What was fitted and how, as plain values: formula, family, priors, engine, settings, versions."""

from __future__ import annotations

import platform
from dataclasses import fields
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ...engines.base import Outcome, Settings
from ...engines.kept import as_keep
from ...engines.registry import ENGINES
from ...families.registry import FAMILIES, family_to_plain
from ...language.printing import to_text
from ...model.specification import Specification
from ...parameters import PriorBook
from ...priors import Prior

PACKAGES = (
    "micromacro", "numpy", "scipy", "numba", "pandas", "narwhals", "formulaic", "xarray", "h5netcdf", "h5py",
    "arviz-base", "arviz-stats",
)  # fmt: skip

_SETTINGS = ("draws", "tune", "chains", "random_seed", "progress", "nAGQ", "factor", "keep", "solver")


def description_of(outcome: Outcome) -> dict[str, Any]:
    """The description of a fit."""
    s = outcome.specification
    return {
        "formula": s.formula.text,
        "predictors": {o.name: o.formula.text for o in s.reading.others},
        "family": family_to_plain(s.family),
        "priors": priors_to_plain(s.book),
        "fixed": s.book.fixed,
        "observation_weights": s.reading.observation_weights,
        "collinear": "drop" if s.reading.drops else "error",
        "columns": list(s.reading.columns),
        "engine": outcome.engine,
        "settings": {name: getattr(outcome.settings, name) for name in _SETTINGS},
        "model": in_words(s),
        "versions": versions(),
        "python": platform.python_version(),
        "saved": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def in_words(s: Specification) -> dict[str, Any]:
    """For readers of the file: weights, normalisation, and every parameter with its prior, as text."""
    return {
        "outcome": s.outcome_name,
        "link": s.family.link,
        "weights": {name: to_text(part.expression.node) for name, part in s.members.items()},
        "normalize": {name: part.rule for name, part in s.members.items()},
        "parameters": {p.name: f"{p.kind}, prior {p.prior}" for p in s.parameters},
    }


def versions() -> dict[str, str]:
    """Versions of micromacro and of the packages whose versions may matter."""
    out = {}
    for package in PACKAGES:
        try:
            out[package] = version(package)
        except PackageNotFoundError:
            out[package] = "unknown"
    return out


def settings_from_plain(plain: dict[str, Any]) -> Settings:
    """The settings of the run; an executor does not outlive its process."""
    given: dict[str, Any] = {name: plain[name] for name in _SETTINGS}
    given["keep"] = as_keep(given["keep"])
    return Settings(**given)


# -- priors ------------------------------------------------------------------------------------------------------


def priors_to_plain(book: PriorBook) -> dict[str, Any]:
    """The user's ``priors=``."""
    return {key: value if isinstance(value, str) else _prior(value) for key, value in book.given.items()}


def _prior(prior: Prior) -> dict[str, Any]:
    return {"prior": type(prior).__name__, **{f.name: getattr(prior, f.name) for f in fields(prior)}}


def priors_from_plain(plain: dict[str, Any]) -> dict[str, Prior | str]:
    """What :func:`priors_to_plain` was given, as ``priors=`` takes it."""
    classes = _classes()
    out: dict[str, Prior | str] = {}
    for key, value in plain.items():
        if isinstance(value, str):
            out[key] = value
            continue
        options = dict(value)
        out[key] = classes[options.pop("prior")](**options)
    return out


def unknown_to_us(description: dict[str, Any]) -> str | None:
    """What a file names that this version does not have: a family, a prior, an engine."""
    family, engine = description["family"], description["engine"]
    if family["options"] is not None and family["name"] not in FAMILIES:
        return f"a family {family['name']!r}"
    if engine not in ENGINES:
        return f"an engine {engine!r}"
    named = {p["prior"] for p in description["priors"].values() if isinstance(p, dict)}
    return next((f"a prior {name!r}" for name in sorted(named - set(_classes()))), None)


def _classes() -> dict[str, type[Prior]]:
    return {c.__name__: c for c in _subclasses(Prior)}


def _subclasses(base: type) -> list[type]:
    return [c for child in base.__subclasses__() for c in (child, *_subclasses(child))]
