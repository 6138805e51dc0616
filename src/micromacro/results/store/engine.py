"""What an engine returned, as plain values and back, whole or made smaller."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, NoReturn

import numpy as np

from ...engines.base import Draws, Optimum, Outcome
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
        Whether the tables go along.
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
        x = draws.x[:, rows]
        if self.dtype == "float32":
            kept = outcome.specification.system.kept
            x = np.concatenate([x[..., :kept].astype(np.float32).astype(float), x[..., kept:]], axis=-1)
        changes: dict[str, Any] = {"theta": draws.theta[:, rows], "x": x, "log_posterior": draws.log_posterior[:, rows]}
        changes["stats"] = {k: v[:, rows] for k, v in draws.stats.items()}
        if len(rows) < draws.theta.shape[1] and "state" in {f.name for f in fields(draws)}:
            changes["state"] = type(draws.state)() if draws.state is not None else None  # type: ignore[attr-defined]
        return replace(outcome, draws=replace(draws, **changes))


class EffectsLeftOut:
    """Draws of x whose effects were not kept: some draws can be chosen, the coefficients can be had, no more.

    Parameters
    ----------
    coefficients : (..., coefficients) array
    kept : int
        Number of effects.
    """

    def __init__(self, coefficients: np.ndarray, kept: int):
        self.coefficients = coefficients
        self.kept = kept
        self.shape = (*coefficients.shape[:-1], kept + coefficients.shape[-1])

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, tuple) and key == (Ellipsis, slice(self.kept, None)):
            return self.coefficients
        if isinstance(key, tuple) or len(self.shape) == 1:
            return self._refuse()
        return EffectsLeftOut(self.coefficients[key], self.kept)

    def reshape(self, *shape: int) -> EffectsLeftOut:
        """Chains one after the other."""
        if len(shape) != 2 or shape[1] != self.shape[-1]:
            return self._refuse()
        return EffectsLeftOut(self.coefficients.reshape(-1, self.coefficients.shape[-1]), self.kept)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__array__":
            raise AttributeError(name)
        return self._refuse()

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        return self._refuse()

    @staticmethod
    def _refuse() -> NoReturn:
        raise EngineError(
            'this fit was saved with contents="parameters", without the effects of members and units that this needs: '
            'save the fit with contents="all"'
        )


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
    if outcome.draws is not None:
        kept, x = outcome.specification.system.kept, plain["draws"].pop("x")
        plain["draws"]["coefficients"] = x[..., kept:]
        effects = x[..., :kept].astype(keep.dtype) if keep.contents == "all" else None
        plain["draws"]["effects"] = effects
    return plain, left_out


def outcome_from_plain(plain: dict[str, Any], description: dict[str, Any], specification: Specification) -> Outcome:
    """What :func:`outcome_to_plain` was given."""
    optimum = None if plain["optimum"] is None else Optimum(**plain["optimum"])
    draws = None
    if plain["draws"] is not None:
        values = dict(plain["draws"])
        effects, coefficients = values.pop("effects"), values.pop("coefficients")
        if effects is not None:
            x: Any = np.concatenate([effects.astype(float), coefficients], axis=-1)
        elif specification.system.kept:
            x = EffectsLeftOut(coefficients, specification.system.kept)
        else:
            x = coefficients
        draws = Draws(x=x, **values)
    settings = settings_from_plain(description["settings"])
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
