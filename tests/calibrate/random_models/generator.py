"""Random models: a seed names a family, terms, a size and a truth, easy or hard, and the data drawn from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

import micromacro as mm

from . import terms as t
from .densities import CUTS, FAMILIES, Family

MAKE: dict[str, Callable[[], object]] = {
    "bernoulli probit": lambda: mm.families.bernoulli("probit"),
    "binomial cloglog": lambda: mm.families.binomial("cloglog"),
    "ordinal probit": lambda: mm.families.ordinal("probit"),
    "cox": lambda: mm.families.cox(CUTS),
}

UNITS = ("none", "none", "iid", "crossed", "nested", "slopes", "slopes apart", "walk", "ar1", "car", "icar")
PLACES = ("ordinary", "ordinary", "ordinary", "zero sds", "few groups", "strong weights")
ENGINES = {"gaussian": ("ml", "reml", "mcmc", "laplace", "ml")}
MOST_OF_THETA = 5  # for a posterior to be integrated
SAMPLED = 100  # seeds with as many fits by mcmc, which take longest, as by laplace; beyond it one in three
MANY_EFFECTS, MOST_EFFECTS = 60, 130  # for it to be sampled in seconds, and to be integrated


@dataclass
class Case:
    """A random model and its data.

    Attributes
    ----------
    seed : int
    family : Family
    terms : list of Term
        The fixed covariate first.
    table : DataFrame
        One row per membership, in random order; without members one per group.
    sorted : DataFrame
        The same in order of groups.
    groups : dict
        Outcome columns in order of groups.
    truth : dict
    engine : str
    words : dict
        What was drawn: family, units, block, weights, rule, effects, place.
    """

    seed: int
    family: Family
    terms: list[t.Term]
    table: pd.DataFrame
    groups: dict[str, np.ndarray]
    v: np.ndarray
    truth: dict[str, float]
    engine: str
    words: dict[str, str]

    @property
    def formula(self) -> str:
        return f"{self.family.outcome} ~ " + " + ".join(term.text for term in self.terms)

    @property
    def theta(self) -> dict[str, str]:
        """Nonlinear parameters and their classes; the family's own are "own"."""
        out = {name: kind for term in self.terms for name, kind in term.theta.items()}
        return out | dict.fromkeys(self.family.truth, "own")

    def model(self, **more: object) -> mm.Model:
        """The package's model."""
        sources = {k: v for term in self.terms for k, v in term.sources.items()}
        family = MAKE.get(self.words["family"], MAKE.get(self.family.word, lambda: self.family.word))()
        extra = {"graphs": sources} if sources else {}
        return mm.Model(self.formula, self.table, family=family, **extra, **more)

    def columns(self, p: t.Values) -> dict[str, np.ndarray]:
        """Columns of the coefficients by name, each (groups,)."""
        out = {"Intercept": np.ones(len(self.v))} if self.family.intercept else {}
        for term in self.terms:
            out |= term.columns(p)
        return out

    def effects(self, p: t.Values) -> np.ndarray:
        """Z(theta), (groups, standard normal numbers)."""
        made = [m for term in self.terms for m in term.effects(p)]
        return np.hstack(made) if made else np.empty((len(self.v), 0))

    @property
    def start(self) -> dict[str, float]:
        """Theta where the package centres the columns of a block: neutral weights, the shapes' starts."""
        return {n: 0.0 for n, kind in self.theta.items() if kind == "w"}


def _table(rng: np.random.Generator, groups: int, members: int, units: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Memberships, and one row per group."""
    size = [rng.integers(1, 6) for _ in range(groups)]
    rows = [(g, m) for g in range(groups) for m in rng.choice(members, min(size[g], members), replace=False)]
    long = pd.DataFrame(rows, columns=["g", "m"])
    long["x"], long["z"], long["s"] = rng.standard_normal((3, len(long)))
    long["q"] = np.exp(0.6 * rng.standard_normal(len(long)))
    long["role"] = np.where(rng.random(len(long)) < 0.4, "head", "other")
    long["part"] = long["m"] % 4
    each = pd.DataFrame({"g": np.arange(groups), "v": rng.standard_normal(groups)})
    each["c"] = rng.permutation(np.arange(groups) % units)
    each["h"] = rng.permutation(np.arange(groups) % 5)
    each["k3"] = each["c"] // 3
    each["t"] = 1990.0 + np.cumsum(rng.integers(1, 4, groups))
    return long, each


def _unit(word: str, each: pd.DataFrame, units: int, rng: np.random.Generator, zero: bool) -> t.Term | None:
    sds = (0.0, 0.0) if zero else tuple(rng.uniform(0.4, 1.2, 2))
    if word == "none":
        return None
    if word == "iid":
        theta, truth, effects = t.unit_iid(each, "c", "c", sds[0])
        return t.Term("(1 | c)", theta, truth, effects=effects)
    if word in ("crossed", "nested"):
        return t.crossed(each, sds, word == "nested")
    if word in ("slopes", "slopes apart"):
        return t.unit_slopes(each, sds, rng.uniform(-0.7, 0.7) if word == "slopes" else None)
    if word in ("walk", "ar1"):
        return t.unit_path(each, word, 0.5 * sds[0] if word == "walk" else sds[0], rng.uniform(0.3, 0.9))
    return t.unit_field(each, word, 1.5 * sds[0], rng.uniform(0.3, 0.95), units)


def _block(long: pd.DataFrame, rng: np.random.Generator, place: str) -> tuple[list[t.Term], dict[str, str]]:
    """A block of members, or none, or a feature of them beside a plain block."""
    kind = rng.choice(["block", "block", "block", "block", "feature", "none"])
    words = {"block": str(kind), "weights": "", "rule": "", "effects": ""}
    if kind == "none":
        return [], words
    form_word = str(rng.choice(list(t.FORMS)))
    form = t.FORMS[form_word]
    strength = 3.0 if place == "strong weights" else 0.8
    w = tuple(form.scale * strength * rng.uniform(0.5, 1.0) * rng.choice([-1, 1]) for _ in form.parameters)
    words["weights"] = form_word
    if kind == "feature":
        feature = str(rng.choice(list(t.FEATURES)))
        if feature in ("hhi", "effn", "entropy"):
            form_word, form, w = "share", t.FORMS["share"], (0.3,)
        words |= {"block": feature, "weights": form_word, "rule": "group"}
        return [t.feature_term(long, feature, form, w)], words
    rule, effects = str(rng.choice(form.rules)), str(rng.choice(t.EFFECTS, p=[0.4, 0.12, 0.13, 0.15, 0.1, 0.1]))
    if effects == "fixed":
        form_word, form, rule, w = "equal", t.FORMS["equal"], "group", ()
    sds = (0.0, 0.0) if place == "zero sds" else tuple(rng.uniform(0.5, 1.3, 2))
    if effects == "walk":
        sds = (0.5 * sds[0], 0.0)
    words |= {"rule": rule, "effects": effects, "weights": form_word}
    return [t.block_term(long, form, rule, effects, sds, w, rng.uniform(-0.7, 0.7))], words


def make(seed: int) -> Case:
    """The random model of a seed."""
    rng = np.random.default_rng([14, seed])
    family_word = list(FAMILIES)[seed % len(FAMILIES)]
    family = FAMILIES[family_word]
    place = str(rng.choice(PLACES))
    groups = int(rng.integers(18, 26)) if place == "few groups" else int(rng.integers(40, 121))
    units, members = int(rng.integers(7, 13)), int(rng.integers(8, 22))
    long, each = _table(rng, groups, members, units)
    unit_word = str(rng.choice(UNITS))
    blocks, words = _block(long, rng, place)
    if not blocks and unit_word == "none":
        unit_word = "iid"
    unit = _unit(unit_word, each, units, rng, place == "zero sds")
    v = each["v"].to_numpy()
    fixed = t.Term("v", truth={"v": 0.4}, columns=lambda p: {"v": v})
    terms = [fixed, *blocks, *([unit] if unit is not None else [])]
    truth = dict(family.truth) | ({"Intercept": 0.3} if family.intercept else {})
    for term in terms:
        truth |= term.truth
    engines = ENGINES.get(family.word, ("ml", "mcmc", "ml", "laplace"))
    engine = str(rng.choice(engines))
    case = Case(seed, family, terms, long, {}, v, truth, engine, {})
    case.words = {"family": family_word, "units": unit_word, **words, "place": place}
    thetas = [n for n, kind in case.theta.items() if kind != "own"]
    many = case.effects(truth).shape[1]
    if (len(thetas) > MOST_OF_THETA or many > MOST_EFFECTS) and engine in ("mcmc", "laplace"):
        case.engine = "ml"
    elif engine == "mcmc" and (many > MANY_EFFECTS or (seed >= SAMPLED and seed % 3)):
        case.engine = "laplace"
    _draw(case, rng, long, each)
    return case


def _draw(case: Case, rng: np.random.Generator, long: pd.DataFrame, each: pd.DataFrame) -> None:
    """Outcomes from the truth, on the table in random order."""
    columns, z = case.columns(case.truth), case.effects(case.truth)
    eta = sum(case.truth[n] * c for n, c in columns.items()) + z @ rng.standard_normal(z.shape[1])
    own = {n: case.truth[n] for n in case.family.truth}
    case.groups = case.family.draw(np.clip(eta, -8, 8), own, rng)
    outcomes = each.assign(**case.groups)
    table = long.merge(outcomes, on="g") if any("mm(" in term.text for term in case.terms) else outcomes
    case.table = table.sample(frac=1.0, random_state=case.seed).reset_index(drop=True)
