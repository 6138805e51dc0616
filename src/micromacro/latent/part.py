"""What a term says about itself: to the latent system, to engines and to the results.

:class:`Part` lists the questions, :class:`Term` has the answers of a term that has nothing to say to them. A term is a
frozen dataclass that inherits from ``Term``; whoever holds a part calls it and never asks which class it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

from ..parameters import Parameter
from .equations import Equations

if TYPE_CHECKING:  # the latent system needs no labels; its protocol only names their types
    from ..effects.base import Effects
    from ..effects.phrases import Phrase
    from ..table.levels import Levels
    from ..table.memberships import Tables
    from .apart.divided import Divided
    from .combined import Meets

Arrays = tuple[np.ndarray, np.ndarray]


class Part(Protocol):
    """What a term must supply to take part in a model.

    ``hypers`` are its entries of theta (its methods get those of ``borrowed``, entries of other parts, before its
    own), ``coefficients`` its linear coefficients (each a dense column of A), ``effects`` the number of its
    standardised effects. The entries of A that it owns are listed once by ``entries()`` as (rows, local columns):
    columns ``0 .. c-1`` are its coefficients, ``c ..`` its effects. ``structure`` says what distribution the effects
    have, ``structure_theta`` where its entries of theta are among the part's own; where there is none, effects are
    independent standard normal and belong to nobody (the steps of a baseline).
    """

    # -- the latent system -------------------------------------------------------------------------------------------

    @property
    def name(self) -> str: ...

    @property
    def hypers(self) -> tuple[Parameter, ...]: ...

    @property
    def coefficients(self) -> tuple[Parameter, ...]: ...

    @property
    def effects(self) -> int: ...

    @property
    def structure(self) -> Effects | None: ...

    @property
    def structure_theta(self) -> slice: ...

    @property
    def borrowed(self) -> tuple[str, ...]:
        """Names of entries of theta that belong to other parts and that it depends on."""
        ...

    @property
    def predictor(self) -> int:
        """The linear predictor that it is a term of, where a family has several."""
        ...

    @property
    def reaches(self) -> tuple[int, ...]:
        """The linear predictors that its effects reach, where it is a term of several."""
        ...

    @property
    def joins(self) -> str | None:
        """Its ``id=``: its effects have one covariance with those of all terms of this id."""
        ...

    def without_effects(self) -> Self | None:
        """What is left of it where its effects are another part's; None where nothing is."""
        ...

    @property
    def of_rows(self) -> bool:
        """Whether its entries and its offset are those of rows of A, where these are not the groups."""
        ...

    @property
    def combines(self) -> bool:
        """Whether its rows are members' own, which meet in another way than by their sum."""
        ...

    def placed(self, first_row: int) -> Self:
        """The same part with its first row of A, where its entries are those of rows."""
        ...

    @property
    def row_count(self) -> int:
        """How many rows of A it has for itself."""
        ...

    @property
    def additive(self) -> bool:
        """Whether what it brings moves by as much as all its rows do."""
        ...

    def absent(self, theta: np.ndarray, coefficients: np.ndarray) -> np.ndarray | float:
        """What it brings to groups without a row of its own (groups,), where columns were centred."""
        ...

    def combination(self, number: int) -> Meets | None:
        """How members meet whose effects are its rows; its numbers begin at `number`."""
        ...

    def together(self, scratch: Any, eta: np.ndarray) -> Arrays | None:
        """What members make together (groups,) at a predictor of all rows, and derivatives in its own rows (m,)."""
        ...

    def of_groups(self, scratch: Any, rows: np.ndarray, values: np.ndarray, share: np.ndarray | None = None) -> Arrays:
        """Groups and values of some of its entries, linearised where members combine, after `fill`.

        `share` is what :meth:`together` gave as derivatives; without it all members are taken to be equal.
        """
        ...

    def entries(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and local columns of its entries of A, each place once."""
        ...

    def scratch(self, gradient: bool = True) -> Any:
        """Work space of one thread: arrays that `fill` writes and `pull` reads (only with `gradient`)."""
        ...

    def fill(self, theta: np.ndarray, scratch: Any, slots: np.ndarray, values: np.ndarray, offset: np.ndarray) -> bool:
        """Write its entries of A to ``values[slots]`` and add to `offset`; False where theta is impossible."""
        ...

    def pull(
        self, theta: np.ndarray, scratch: Any, slots: np.ndarray, slope: np.ndarray, d_offset: np.ndarray
    ) -> np.ndarray:
        """Derivative in its theta from the derivatives in the entries of A and in the offset (after `fill`)."""
        ...

    @property
    def number_rows(self) -> np.ndarray:
        """For each number that it fills for the likelihood a row of the unit that reads it (m,)."""
        ...

    def fill_numbers(self, theta: np.ndarray, scratch: Any, out: np.ndarray) -> None:
        """Write these numbers (m,), after `fill`."""
        ...

    def pull_numbers(self, theta: np.ndarray, scratch: Any, slope: np.ndarray) -> np.ndarray:
        """Derivative in its theta from the derivatives in these numbers (m,), after `fill`."""
        ...

    @property
    def edge(self) -> bool:
        """Whether some theta that its priors allow is impossible, :meth:`beyond` an edge."""
        ...

    def distances(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Numbers that are negative beyond its edge (m,), and their slopes (m, len(theta)), at its theta."""
        ...

    def at_edge(self, held: np.ndarray) -> str:
        """What holds a maximum at its edge: `held` are places among its `distances`; empty where its blocks say it."""
        ...

    def beyond(self, scratch: Any) -> bool:
        """Whether the theta that `fill` was last called with lies beyond its edge."""
        ...

    def sound(self, theta: np.ndarray) -> bool:
        """Whether its theta is a place for a chain to start."""
        ...

    # -- other tables ------------------------------------------------------------------------------------------------

    @property
    def divided(self) -> Divided | None:
        """How its rows can lie in pieces, each made by :meth:`on`; None where they cannot."""
        ...

    def on(self, tables: Tables) -> Self:
        """The same part on other tables; levels that the fit has not seen get effects after the known ones."""
        ...

    def with_effects(self, structure: Any) -> Self:
        """The same part, its effects having another distribution of the same pattern."""
        ...

    def held(self, old: Self, theta: np.ndarray) -> Self:
        """The same part with the constants that `old`, on the tables of the fit, has at `theta` (as `fill` gets it)."""
        ...

    # -- readers -----------------------------------------------------------------------------------------------------

    @property
    def reported(self) -> tuple[Parameter, ...]:
        """Its coefficients in the order in which the user wrote them, those that are entries of theta among them."""
        ...

    @property
    def centers(self) -> Mapping[str, float]:
        """What was subtracted from the column of each of its coefficients."""
        ...

    @property
    def origin(self) -> str:
        """The parameter that stands at zero covariates, where it is not its linear predictor's intercept."""
        ...

    @property
    def has_effects(self) -> bool:
        """Whether it has effects of members or units."""
        ...

    @property
    def pooled(self) -> bool:
        """Whether these effects have a distribution."""
        ...

    @property
    def summand(self) -> bool: ...  # whether its effects are summands of the predictor, with a part in its variance

    @property
    def effect_names(self) -> tuple[str, ...]:
        """Names of terms under which its effects are asked for; none without effects."""
        ...

    @property
    def filled(self) -> int:
        """How many groups its effects reach."""
        ...

    @property
    def blocks(self) -> Mapping[str, Any]:
        """The member block that it is, by name (a ``terms.member.weighing.Block``); else nothing."""
        ...

    @property
    def unit(self) -> Unit | None:
        """The unit over which its effects vary, if it is a unit term."""
        ...

    def memberships_of(self, block: str) -> slice:
        """Where a block's memberships are among those of its effects."""
        ...

    def words(self) -> Equations:
        """The part in the equations of ``explain()``."""
        ...

    def phrase(self, name: str) -> Phrase | None:
        """How a parameter of its effects is read; None where it is not one of them."""
        ...

    def moved(self, name: str) -> str:
        """What moves with one of its coefficients, after ``Where``; empty where the column is what the name says."""
        ...

    def resting(self, name: str) -> str:
        """The same where the column of that coefficient is zero; empty where no product is made of it."""
        ...


@dataclass(frozen=True, eq=False)
class Unit:
    """What a unit term's effects vary over.

    Attributes
    ----------
    column : str
        As it is written, ``a:b`` of two columns.
    levels : Levels
        The units that the fit has seen.
    codes : (groups,) int array
        Unit of each group; codes from ``len(levels)`` on are units that were not seen before.
    """

    column: str
    levels: Levels
    codes: np.ndarray


class Term:
    """Answers of a part that has nothing of its own to say: the base of all parts.

    A part overrides what is different; ``name``, ``hypers``, ``entries``, ``scratch``, ``fill``, ``pull`` and ``on``
    it must have.
    """

    name: str
    structure: Effects | None
    divided: Any = None

    @property
    def hypers(self) -> tuple[Parameter, ...]:
        """Those of the effects."""
        return self.structure.hypers if self.structure else ()

    @property
    def coefficients(self) -> tuple[Parameter, ...]:
        """None, but for effects without pooling."""
        return self.structure.coefficients if self.structure else ()

    @property
    def effects(self) -> int:
        """Number of latent effects."""
        return self.structure.latents if self.structure and not self.structure.coefficients else 0

    @property
    def structure_theta(self) -> slice:
        """All of theta is the effects'."""
        return slice(0, len(self.structure.hypers) if self.structure else 0)

    @property
    def borrowed(self) -> tuple[str, ...]:
        """Nothing."""
        return ()

    @property
    def predictor(self) -> int:
        """The first."""
        return 0

    @property
    def reaches(self) -> tuple[int, ...]:
        """It is a term of one."""
        return ()

    @property
    def combines(self) -> bool:
        """Where its rows are its own."""
        return self.of_rows and not self.reaches

    @property
    def joins(self) -> str | None:
        """Its effects are its own."""
        return None

    def without_effects(self) -> Self | None:
        """It is what it is."""
        return self

    @property
    def of_rows(self) -> bool:
        """No."""
        return False

    def placed(self, first_row: int) -> Self:
        """Rows are the groups'."""
        return self

    @property
    def row_count(self) -> int:
        """None."""
        return 0

    @property
    def additive(self) -> bool:
        """Yes."""
        return True

    def absent(self, theta: np.ndarray, coefficients: np.ndarray) -> np.ndarray | float:
        """Nothing."""
        return 0.0

    def combination(self, number: int) -> Meets | None:
        """None."""
        return None

    def together(self, scratch: Any, eta: np.ndarray) -> Arrays | None:
        """Nothing meets."""
        return None

    def of_groups(self, scratch: Any, rows: np.ndarray, values: np.ndarray, share: np.ndarray | None = None) -> Arrays:
        """As they are."""
        return rows, values

    @property
    def number_rows(self) -> np.ndarray:
        """None."""
        return np.empty(0, dtype=np.int64)

    def fill_numbers(self, theta: np.ndarray, scratch: Any, out: np.ndarray) -> None:
        """Nothing."""

    def pull_numbers(self, theta: np.ndarray, scratch: Any, slope: np.ndarray) -> np.ndarray:
        """Nothing depends on them."""
        return np.zeros(len(theta))

    @property
    def edge(self) -> bool:
        """No."""
        return False

    def distances(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """None."""
        return np.empty(0), np.empty((0, len(theta)))

    def beyond(self, scratch: Any) -> bool:
        """Never."""
        return False

    def sound(self, theta: np.ndarray) -> bool:
        """Always."""
        return True

    def with_effects(self, structure: Any) -> Self:
        """The same part, its effects having another distribution of the same pattern."""
        return replace(self, structure=structure)  # type: ignore[type-var]

    def held(self, old: Any, theta: np.ndarray) -> Self:
        """Nothing in it is a constant of the fit."""
        return self

    @property
    def reported(self) -> tuple[Parameter, ...]:
        """Coefficients of levels without pooling."""
        return self.structure.coefficients if self.structure else ()

    @property
    def centers(self) -> Mapping[str, float]:
        """Nothing was subtracted."""
        return {}

    @property
    def origin(self) -> str:
        """The intercept, if there is one."""
        return ""

    def at_edge(self, held: np.ndarray) -> str:
        """Nothing more than its blocks say."""
        return ""

    @property
    def has_effects(self) -> bool:
        """Whether it has effects of members or units."""
        return self.structure is not None

    @property
    def pooled(self) -> bool:
        """Whether these effects have a distribution."""
        return self.structure is not None and not self.structure.coefficients

    @property
    def summand(self) -> bool:
        """Yes."""
        return True

    @property
    def effect_names(self) -> tuple[str, ...]:
        """Its own name."""
        return (self.name,) if self.has_effects else ()

    @property
    def filled(self) -> int:
        """Every group."""
        return self.structure.rows.groups if self.structure else 0

    @property
    def blocks(self) -> Mapping[str, Any]:
        """None."""
        return {}

    @property
    def unit(self) -> Unit | None:
        """None."""
        return None

    def memberships_of(self, block: str) -> slice:
        """All of them."""
        return slice(None)

    def words(self) -> Equations:
        """Only the distribution of its effects."""
        return Equations(below=tuple(self.structure.sentences()) if self.structure else ())

    def phrase(self, name: str) -> Phrase | None:
        """As its effects say."""
        return self.structure.phrase_of(name) if self.structure else None

    def moved(self, name: str) -> str:
        """A column of the groups, or a level without pooling."""
        return self.structure.moved(name) if self._is_level(name) and self.structure else ""

    def resting(self, name: str) -> str:
        """Nothing: products of columns are columns of the groups' design."""
        return ""

    def _is_level(self, name: str) -> bool:
        """Whether a coefficient is that of a level without pooling."""
        return self.structure is not None and any(p.name == name for p in self.structure.coefficients)
