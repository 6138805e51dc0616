r"""Further linear predictors, of parameters of the family: :math:`\sigma_i = \exp(\eta_{1i})`, and the like.

Their coefficients and weights are entries of theta. Without effects in them each is, given theta, a known number per
group, and everything that is known of the likelihood given theta (that it is exact, how x is integrated out) stays as
it is. The family's own numbers are then an array (parameters, groups) where they are (parameters,) in a model with one
linear predictor. Where they have effects, entries of x, their rows are *stacked* under those of the outcome, and the
likelihood reads several rows per group (:mod:`.blocks`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

ADDED = "added"  # a linear predictor that is added to the parameter, which stays one of the family's
BELOW_ONE = np.nextafter(1.0, 0.0)  # a probability that differs from one: its complement has a logarithm
INVERSE = {"log": np.exp, "logit": lambda eta: np.minimum(special.expit(eta), BELOW_ONE), "identity": lambda eta: eta}


@dataclass(frozen=True, eq=False)
class Beside:
    """Parameters of the family that have a linear predictor of their own.

    Attributes
    ----------
    rows : tuple of int
        The place of each among the family's parameters; their linear predictors are numbered from 1 in this order.
    links : tuple of str
        ``log``, ``logit`` or ``identity``, or ``added``: what is added to the parameter.
    count : int
        How many parameters the family has in all.
    part : tuple of int
        The linear predictor that each part of the model is a term of; 0 is that of the outcome.
    offset : (predictors, groups) array
        Known parts of these linear predictors.
    stacked : bool
        Whether they have effects, so that they are rows of A.
    """

    rows: tuple[int, ...]
    links: tuple[str, ...]
    count: int
    part: tuple[int, ...]
    offset: np.ndarray
    stacked: bool = False

    def own(self, constant: np.ndarray, eta: np.ndarray) -> np.ndarray:
        """The family's own numbers (count, ..., groups) from those without a predictor (..., m) and the predictors.

        Parameters
        ----------
        eta : (predictors, ..., groups) array
        """
        out = np.empty((self.count, *eta.shape[1:]))
        for j, k in enumerate(self.left):
            out[k] = constant[..., j, None]
        with np.errstate(over="ignore"):
            for row, link, at in zip(self.rows, self.links, eta, strict=True):
                out[row] = out[row] + at if link == ADDED else INVERSE[link](at)
        return out

    @property
    def left(self) -> list[int]:
        """Parameters that are entries of theta themselves."""
        replaced = [row for row, link in zip(self.rows, self.links, strict=True) if link != ADDED]
        return [k for k in range(self.count) if k not in replaced]


def predictors_of(beside: Beside | None, parts: int) -> tuple[int, ...]:
    """The linear predictor that each of some parts is a term of, from 0."""
    known = () if beside is None else beside.part
    return (*known, *(0,) * (parts - len(known)))  # own rows of a family come last, if there are any


def place(own: np.ndarray, groups: np.ndarray | slice | int) -> np.ndarray:
    """The family's own numbers of some groups: the same ones, unless they vary over groups."""
    return own if own.ndim == 1 else own[..., groups]


def numbers(parts: Sequence[int], which: int) -> list[int]:
    """Numbers of the parts of one linear predictor."""
    return [k for k, number in enumerate(parts) if number == which]
