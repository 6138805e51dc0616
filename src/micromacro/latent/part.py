"""What the latent system asks of a term and of the distribution of its effects."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

import numpy as np

from ..parameters import Parameter


class Structure(Protocol):
    """What the system needs of a kind of effects: the prior N(0, D^-1) of its entries of x (see ``effects.base``)."""

    varies: ClassVar[bool]

    def precision_pattern(self) -> tuple[np.ndarray, np.ndarray]: ...

    def precision(self, theta: np.ndarray, out: np.ndarray) -> float: ...

    def pull_precision(self, theta: np.ndarray, d_entry: np.ndarray) -> np.ndarray: ...


class Part(Protocol):
    """What a term must supply to take part in the latent system.

    ``hypers`` are its entries of theta (a part may also have ``borrowed``, names of entries of other parts, which its
    methods then get before its own), ``coefficients`` its linear coefficients (each a dense column of A),
    ``effects`` the number of its standardised effects. The entries of A that it owns are listed once by
    ``entries()`` as (rows, local columns): columns ``0 .. c-1`` are its coefficients, ``c ..`` its effects.
    ``structure`` says what distribution the effects have, ``structure_theta`` where its entries of theta are among the
    part's own; a part without effects has none.
    """

    @property
    def name(self) -> str: ...

    @property
    def hypers(self) -> tuple[Parameter, ...]: ...

    @property
    def coefficients(self) -> tuple[Parameter, ...]: ...

    @property
    def effects(self) -> int: ...

    @property
    def structure(self) -> Structure | None: ...

    @property
    def structure_theta(self) -> slice: ...

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
