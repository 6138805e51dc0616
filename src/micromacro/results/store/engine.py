"""What an engine returned, as plain values and back, whole or made smaller."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from ...engines.base import Draws, Optimum, Outcome
from ...engines.registry import set_up
from ...errors import EngineError
from ...model.specification import Specification
from ...notes import Note
from .describe import settings_from_plain
from .plain import pack

CONTENTS = ("all", "parameters", "summary")


@dataclass(frozen=True)
class Keep:
    """How much of a fit to keep; see ``Fit.save``.

    Attributes
    ----------
    contents : str
        ``all``, ``parameters`` or ``summary``.
    thin : int
        Every how many-th draw.
    draws : int or None
        At most so many draws of each chain, evenly spaced.
    dtype : str
        ``float64`` or ``float32``, of the effects.
    data : bool
        Whether to store the tables.
    named : bool
        Whether effects are also there under their names, for other programs.
    """

    contents: str = "all"
    thin: int = 1
    draws: int | None = None
    dtype: str = "float64"
    data: bool = True
    named: bool = True

    def check(self, outcome: Outcome) -> None:
        """Refuse what cannot be asked of this fit."""
        if self.contents not in CONTENTS:
            raise EngineError(f"contents= is one of {', '.join(CONTENTS)}, not {self.contents!r}")
        if self.dtype not in ("float64", "float32"):
            raise EngineError(f'dtype= is "float64" or "float32", not {self.dtype!r}')
        for name, value in (("thin", self.thin), ("draws", 1 if self.draws is None else self.draws)):
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise EngineError(f"{name}= must be a whole number of at least 1, not {value!r}")
        if self.thin > 1 and self.draws is not None:
            raise EngineError("thin= and draws= both say which draws to keep: give one of them")
        if outcome.draws is None and (
            self.thin > 1 or self.draws is not None or self.dtype != "float64" or self.contents == "parameters"
        ):
            raise EngineError(
                f"a fit by {outcome.engine} has no draws, which thin=, draws=, dtype= and contents='parameters' are "
                "about: save it whole, or with contents='summary'"
            )

    def rows(self, length: int) -> np.ndarray:
        """Numbers of the draws of each chain that are kept."""
        if self.draws is None:
            return np.arange(0, length, self.thin)
        return np.unique(np.linspace(0, length - 1, min(self.draws, length)).round().astype(int))

    def shrink(self, outcome: Outcome) -> Outcome:
        """The outcome as it will be read back (effects rounded, draws left out)."""
        draws = outcome.draws
        if draws is None:
            return outcome
        rows = self.rows(draws.theta.shape[1])
        effects = draws.effects
        if effects is not None:
            effects = effects[:, rows].astype(self.dtype, copy=False).astype(float, copy=False)
        changes: dict[str, Any] = {
            "theta": draws.theta[:, rows], "effects": effects, "coefficients": draws.coefficients[:, rows],
            "log_posterior": draws.log_posterior[:, rows],
        }  # fmt: skip
        changes["stats"] = {k: v[:, rows] for k, v in draws.stats.items()}
        if len(rows) < draws.theta.shape[1]:
            changes["state"] = {}
        return replace(outcome, draws=replace(draws, **changes))


# -- to plain values and back ------------------------------------------------------------------------------------


def outcome_to_plain(outcome: Outcome, keep: Keep) -> tuple[dict[str, Any], list[str]]:
    """A shrunk outcome as plain values, and what of it no file can hold."""
    plain: dict[str, Any] = {"seconds": outcome.seconds, "notes": [note.plain() for note in outcome.notes], "extra": {}}
    left_out = []
    for key, value in outcome.extra.items():
        try:
            pack(value, key, {})
            plain["extra"][key] = value
        except TypeError as error:
            left_out.append(str(error))
    for part in ("optimum", "draws"):
        value = getattr(outcome, part)
        plain[part] = None if value is None else {f.name: getattr(value, f.name) for f in fields(value)}
    if outcome.draws is not None and outcome.draws.effects is not None:
        effects = outcome.draws.effects
        left = keep.contents != "all" and effects.shape[-1] > 0
        plain["draws"]["effects"] = None if left else effects.astype(keep.dtype, copy=False)
    return plain, left_out


def outcome_from_plain(plain: dict[str, Any], description: dict[str, Any], specification: Specification) -> Outcome:
    """What :func:`outcome_to_plain` was given."""
    optimum = None if plain["optimum"] is None else Optimum(**plain["optimum"])
    draws = None
    if plain["draws"] is not None:
        values = dict(plain["draws"])
        effects = values.pop("effects")
        draws = Draws(effects=None if effects is None else effects.astype(float, copy=False), **values)
    settings = settings_from_plain(description["settings"])
    specification = set_up(description["engine"], specification, settings)
    return Outcome(
        description["engine"],
        specification,
        settings,
        plain["seconds"],
        optimum,
        draws,
        [Note(**note) for note in plain["notes"]],
        plain["extra"],
    )
