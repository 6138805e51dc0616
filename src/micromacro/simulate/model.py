"""Outcomes from a model, at given parameter values or at draws from the priors."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from numbers import Real
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..errors import ModelError
from ..model.specification import Specification
from ..results.labels import effect_index
from ..terms.member.weighing import Block


@dataclass(frozen=True, eq=False)
class Simulation:
    """Simulated data sets.

    Attributes
    ----------
    outcome : (draws, groups) array
        On the scale that the family sees; groups in the order of their ids.
    parameters : DataFrame
        A row per draw, natural scale, the intercept at zero covariates.
    effects : dict
        By member block or unit term: DataFrame (draws, ids), link scale.
    weights : dict
        By member block: (draws, memberships) array, rows sorted by group and member.
    groups : array or None
        Group ids; None where each row of the data is a group (then `outcome` is in the order of the rows).
    linear_predictor : (draws, groups) array
    """

    outcome: np.ndarray
    parameters: pd.DataFrame
    effects: dict[str, pd.DataFrame]
    weights: dict[str, np.ndarray]
    groups: np.ndarray | None
    linear_predictor: np.ndarray
    skipped: int = field(default=0)

    def __repr__(self) -> str:
        (draws, groups), noun = self.outcome.shape, "observation" if self.groups is None else "group"
        low, middle, high = np.quantile(self.outcome, [0.05, 0.5, 0.95])
        return (
            f"Simulation of {draws} data sets of {groups} {noun}s\n"
            f"outcome: 5% {low:.4g}, median {middle:.4g}, 95% {high:.4g}\n{self.parameters.describe().T.to_string()}"
        )


def simulate(
    specification: Specification, values: dict[str, float], draws: int, rng: np.random.Generator
) -> Simulation:
    """Simulate; see ``Model.simulate``. Draws whose weights are not finite are drawn again."""
    return labelled(specification, *simulated(specification, values, draws, rng))


def simulated(
    specification: Specification, values: dict[str, float], draws: int, rng: np.random.Generator
) -> tuple[Simulated, int]:
    """What :func:`simulate` puts labels on, and how many draws of the parameters had to be drawn again."""
    check_values(specification, values)
    system = specification.system
    room = system.workspace(gradient=False)
    names = specification.names
    outcome = np.empty((draws, system.groups))
    etas = np.empty((draws, system.groups))
    table = np.empty((draws, len(names)))
    x_draws = np.empty((draws, system.size))
    thetas = np.empty((draws, len(system.hypers)))
    weights: dict[str, list[np.ndarray]] = {name: [] for name in specification.members}
    skipped = 0

    def weights_of(block: Block, part: int, theta: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Those of a block at what was drawn."""
        if block.weight_effects:
            of_rows = block.together(room.scratch[part], system.row_predictor(room, x))
            assert of_rows is not None
            return of_rows[1]
        return block.weights(theta[system.places.theta(part)], room.scratch[part]).copy()

    for d in range(draws):
        for attempt in range(100):
            table[d] = draw_parameters(specification, values, rng)
            thetas[d], coefficients = split(specification, table[d])
            if system.fill(thetas[d], room):
                break
            skipped += 1
            if attempt == 99:
                raise ModelError(
                    "weights are not finite, or negative, at 100 draws from the priors: give tighter priors or values="
                )
        x_draws[d] = np.concatenate([*latent_draws(specification, thetas[d], rng), coefficients])
        etas[d] = system.predictor(room, x_draws[d])
        own = specification.own(thetas[d], x_draws[d])
        outcome[d] = specification.outcomes(etas[d], own, rng)
        for k, part in enumerate(system.parts):
            for name, block in part.blocks.items():
                weights[name].append(weights_of(block, k, thetas[d], x_draws[d]))
    stacked = {name: np.stack(w) for name, w in weights.items()}
    return Simulated(outcome, etas, table, thetas, x_draws, stacked), skipped


def check_values(specification: Specification, values: dict[str, float]) -> None:
    """Refuse values for parameters that do not exist, and flat priors where a draw is needed."""
    for name, value in values.items():
        if name not in specification.names:
            near = difflib.get_close_matches(name, specification.names, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ModelError(f"there is no parameter {name!r}{hint}; parameters: {', '.join(specification.names)}")
        if not isinstance(value, Real) or not np.isfinite(value):
            raise ModelError(f"the value of {name!r} must be a finite number, not {value!r}")
    for p in specification.parameters:
        if p.name in values and p.positive and values[p.name] < 0:
            raise ModelError(f"{p.name!r} is a positive parameter: {values[p.name]!r} is not possible")
        if p.name not in values and not p.prior.proper:
            raise ModelError(f"{p.name!r} has a flat prior and cannot be drawn: give it a value or a prior")


def draw_parameters(specification: Specification, values: dict[str, float], rng: np.random.Generator) -> np.ndarray:
    """All parameters (natural scale, the intercept at zero covariates): given values, the rest from the priors."""
    out = np.array(
        [float(p.prior.sample(rng)) if p.name not in values else values[p.name] for p in specification.parameters]
    )
    names = specification.names
    _draw_correlations(specification, out, values)
    if "Intercept" in names and "Intercept" not in values:  # its prior is at mean covariates
        out[names.index("Intercept")] -= float(specification.layout.centers @ out)
    return out


def _draw_correlations(specification: Specification, out: np.ndarray, values: dict[str, float]) -> None:
    """Where theta has partial correlations, which were drawn, put the correlations that they make."""
    hypers = specification.system.hypers
    own = [p.name for p in hypers if p.kind == "cor"]
    if not own or all(n in values for n in own):
        return
    at = [specification.names.index(p.name) for p in hypers]
    theta = out[at]
    made = specification.layout.reported(theta)
    for place, new, old in zip(at, made, theta, strict=True):
        if new != old and any(n in values for n in own):
            raise ModelError(f"give values of all correlations or of none: {', '.join(own)}")
        out[place] = new


def split(specification: Specification, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Theta and the coefficients of x (the intercept at mean covariates) from all parameters."""
    theta, coefficients = specification.layout.inner(values)
    if not np.all(np.isfinite(theta)):
        raise ModelError("no distribution has these correlations: their matrix is not positive definite")
    return theta, coefficients


def latent_draws(specification: Specification, theta: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Latent effects of each part from their prior given theta."""
    system = specification.system
    out = [rng.standard_normal(part.effects) if part.structure is None else np.empty(0) for part in system.parts]
    for k, structure in specification.structures.values():
        if system.parts[k].effects:
            out[k] = structure.sample(theta[system.places.effect_theta(k)], rng)
    return out


class Simulated(NamedTuple):
    """Arrays without labels, a row per draw."""

    outcome: np.ndarray
    eta: np.ndarray
    parameters: np.ndarray
    theta: np.ndarray
    x: np.ndarray
    weights: dict[str, np.ndarray]


def labelled(specification: Specification, drawn: Simulated, skipped: int) -> Simulation:
    """Labels on the arrays; rows that are groups go back to the user's order."""
    system, tables = specification.system, specification.tables
    outcome, etas = drawn.outcome, drawn.eta
    effects = {}
    for name, (k, structure) in specification.structures.items():
        place, own = specification.layout.latents(k), system.places.effect_theta(k)
        values = [structure.natural(t[own]) @ v for t, v in zip(drawn.theta, drawn.x[:, place], strict=True)]
        effects[name] = pd.DataFrame(np.array(values), columns=effect_index(structure))
    groups = tables.group_levels.values if tables.group_levels is not None else None
    if tables.order is not None:
        back = np.argsort(tables.order)
        outcome, etas = outcome[:, back], etas[:, back]
    return Simulation(
        outcome,
        pd.DataFrame(drawn.parameters, columns=list(specification.names)),
        effects,
        drawn.weights,
        groups,
        etas,
        skipped,
    )
