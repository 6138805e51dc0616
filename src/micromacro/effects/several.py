r"""Slopes of effects that are not independent over the levels: ``walk(t, 1 + x)``, ``car(g, 1 + x)``, and the like.

Each term has effects of the same kind, independent of those of the other terms, with a standard deviation of its own;
what else the kind has (``B.rho``) is common to them: :math:`\sum_t sd_t\, z_t\, s_t` with :math:`s_t` as in the kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from scipy import sparse

from ..parameters import Parameter
from ..priors import Prior
from .base import Effects, PriorMaker, Rows, Setting
from .phrases import Noun, Phrase


@dataclass(frozen=True, eq=False)
class Several(Effects):
    """The same kind of effects for each of several terms.

    Theta holds the sd of each term, then what the kind has beside its sd, which is the first of its parameters.

    Attributes
    ----------
    kind : Effects
        The effects of one term, without its covariate.
    seen : int
        How many entries one term has in the fit. Those of all terms come first, term by term, then the ones that the
        fit has not seen, term by term.
    """

    kind: Effects = None  # type: ignore[assignment]  # always given: the fields before it have defaults
    seen: int = 0

    @property
    def latents(self) -> int:
        """Those of the kind for each term."""
        return len(self.terms) * self.kind.latents

    def _each(self, theta: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Each term with the theta of the kind for it."""
        rest = theta[len(self.terms) :]
        return ((k, np.concatenate([theta[k : k + 1], rest])) for k in range(len(self.terms)))

    @cached_property
    def _z(self) -> np.ndarray:
        """Covariate of each piece of the kind (terms, pieces)."""
        return np.ascontiguousarray(self.rows.z[:, self.kind.pattern()[0]])

    def _pull(self, slopes: Sequence[np.ndarray]) -> np.ndarray:
        """Derivative in theta from those in the theta of the kind for each term."""
        return np.concatenate([[s[0] for s in slopes], np.sum([s[1:] for s in slopes], axis=0)])

    def _place(self, term: int, latent: np.ndarray) -> np.ndarray:
        """Where an entry of the kind is for a term."""
        new = self.kind.latents - self.seen
        later = len(self.terms) * self.seen + term * new + latent - self.seen
        return np.where(latent < self.seen, term * self.seen + latent, later)

    def _own(self, term: int, latent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which entries are of a term (a mask), and their places in the kind."""
        back = np.full(self.latents, -1, dtype=np.int64)
        entries = np.arange(self.kind.latents)
        back[self._place(term, entries)] = entries
        own = back[latent] >= 0
        return own, back[latent[own]]

    def pattern(self) -> tuple[np.ndarray, np.ndarray]:
        membership, latent = self.kind.pattern()
        every = range(len(self.terms))
        return np.tile(membership, len(every)), np.concatenate([self._place(k, latent) for k in every])

    def loads(self, theta: np.ndarray, out: np.ndarray) -> None:
        table = out.reshape(len(self.terms), -1)
        for k, own in self._each(theta):
            self.kind.loads(own, table[k])
            table[k] *= self._z[k]

    def pull_loads(self, theta: np.ndarray, d_load: np.ndarray) -> np.ndarray:
        table = d_load.reshape(len(self.terms), -1) * self._z
        return self._pull([self.kind.pull_loads(own, table[k]) for k, own in self._each(theta)])

    def precision_pattern(self) -> tuple[np.ndarray, np.ndarray]:
        row, column = self.kind.precision_pattern()
        rows, columns = (np.concatenate([self._place(k, e) for k in range(len(self.terms))]) for e in (row, column))
        return rows, columns

    def precision(self, theta: np.ndarray, out: np.ndarray) -> float:
        table = out.reshape(len(self.terms), -1)
        return float(sum(self.kind.precision(own, table[k]) for k, own in self._each(theta)))

    def pull_precision(self, theta: np.ndarray, d_entry: np.ndarray) -> np.ndarray:
        table = d_entry.reshape(len(self.terms), -1)
        return self._pull([self.kind.pull_precision(own, table[k]) for k, own in self._each(theta)])

    def unseen(self) -> tuple[tuple, ...]:
        return tuple((*key, term) for term in self.terms for key in self.kind.unseen())

    def natural(self, theta: np.ndarray) -> sparse.csr_array:
        made = [self.kind.natural(own).tocoo() for _, own in self._each(theta)]
        count = len(self.terms)
        effects = len(self.kind.labels()[0][1])
        rows = np.concatenate([m.coords[0].astype(np.int64) * count + k for k, m in enumerate(made)])
        columns = np.concatenate([self._place(k, m.coords[1]) for k, m in enumerate(made)])
        values = np.concatenate([m.data for m in made])
        return sparse.csr_array((values, (rows, columns)), shape=(count * effects, self.latents))

    def labels(self) -> tuple[tuple[str, np.ndarray], ...]:
        own, count = self.kind.labels(), len(self.terms)
        terms = np.tile(np.array(self.terms, dtype=object), len(own[0][1]))
        return (*((name, np.repeat(values, count)) for name, values in own), ("term", terms))

    def variance(self, theta: np.ndarray, row: np.ndarray, latent: np.ndarray, value: np.ndarray) -> np.ndarray:
        out = np.zeros(self.rows.groups)
        for k, own in self._each(theta):
            here, entry = self._own(k, latent)
            out += self.kind.variance(own, row[here], entry, value[here])
        return out

    def sample(self, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        made = [self.kind.sample(own, rng) for _, own in self._each(theta)]
        return np.concatenate([*(m[: self.seen] for m in made), *(m[self.seen :] for m in made)])

    def on(self, rows: Rows) -> Effects:
        kind = self.kind.on(alone(rows))
        return replace(self, kind=kind, rows=replace(kind.rows, z=rows.z, terms=rows.terms), fresh=kind.fresh)

    def phrase(self, hyper: int, nouns: Sequence[Noun]) -> Phrase | None:
        k = len(self.terms)
        return self.kind.phrase(0, (nouns[hyper],)) if hyper < k else self.kind.phrase(hyper - k + 1, nouns)

    def sentences(self) -> list[str]:
        plain, first = f"{self.name}.sd", self.kind.hypers[0].name
        lines = [line.replace(first, plain) for line in self.kind.sentences()]
        out = []
        for term, p in zip(self.terms, self.hypers, strict=False):
            out += [("" if term == "1" else f"slopes on {term}: ") + line.replace(plain, p.name) for line in lines]
        return out


@dataclass(frozen=True, eq=False)
class SeveralVarying(Several):
    """The same for a kind whose D depends on theta."""

    varies: ClassVar[bool] = True


@dataclass(frozen=True)
class _First:
    """Makes the parameters of a kind, its sd being that of the first term."""

    priors: PriorMaker
    name: str
    spread: float

    def sd(self, name: str, effective: float = 1.0, spread: float = 1.0) -> Parameter:
        return self.priors.sd(self.name, effective, self.spread)

    def correlations(self, names: Sequence[str], terms: int) -> tuple[tuple[Parameter, ...], Any]:
        return self.priors.correlations(names, terms)

    def coefficient(self, name: str, spread: float) -> Parameter:
        return self.priors.coefficient(name, spread)

    def hyper(self, name: str, kind: str, default: Prior, start: float) -> Parameter:
        return self.priors.hyper(name, kind, default, start)


def alone(rows: Rows) -> Rows:
    """Rows as if only the intercept varied."""
    return replace(rows, z=np.ones((1, len(rows.level))), terms=("1",))


def make_several(setting: Setting, make: Callable[[Setting], Any]) -> Several:
    """Effects of the kind that `make` builds for each term that varies."""
    terms = setting.rows.terms
    names = [setting.name + (".sd" if term == "1" else f".sd.{term}") for term in terms]
    first = _First(setting.priors, names[0], float(setting.spread[0]))
    kind = make(replace(setting, rows=alone(setting.rows), spread=np.ones(1), priors=first))
    later = zip(names[1:], setting.spread[1:], strict=True)
    sds = (kind.hypers[0], *(setting.priors.sd(name, setting.effective, float(s)) for name, s in later))
    rows = replace(kind.rows, z=setting.rows.z, terms=terms)
    of = SeveralVarying if kind.varies else Several
    return of(setting.name, rows, (*sds, *kind.hypers[1:]), (), kind, kind.latents)
