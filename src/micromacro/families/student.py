r"""Student's t: :math:`(y_i - \eta_i) / \sigma \sim t_\nu`, for outcomes with outliers.

The density is not log-concave: far from the centre the curvature turns negative. Where a positive one is needed
the expected information :math:`(\nu + 1) / ((\nu + 3) \sigma^2)` (Lange, Little and Taylor 1989) stands in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numba import njit
from scipy import special as scipy_special

from ..errors import ModelError
from ..numerics.compiling import INLINED, KERNEL
from ..parameters import Parameter, PriorBook
from ..priors import Gamma, HalfStudent
from .base import Family, SdsOf
from .gaussian import Gaussian, plain
from .response import Raw, Response
from .words import CENTRES, Meaning

FAR = 1e70  # distance from the centre, in scales, beyond which powers are taken apart


NORMAL = (
    "{name} has diverged (held at 1e7, no standard error): the tails of the outcome are no longer than those of a "
    "normal distribution, so this is a Gaussian fit; write family='gaussian'"
)


@njit(**INLINED)
def _slopes(values, eta, sigma, nu, out):  # noqa: ANN001, ANN202
    constant = math.lgamma(0.5 * (nu + 1.0)) - math.lgamma(0.5 * nu) - 0.5 * math.log(nu * math.pi) - math.log(sigma)
    information = (nu + 1.0) / ((nu + 3.0) * sigma * sigma)
    for i in range(len(eta)):
        r = values[0, i] - eta[i]
        out[3, i] = information
        if abs(r) > FAR * sigma:  # its square may be infinite
            out[0, i] = constant - (nu + 1.0) * (math.log(abs(r) / sigma) - 0.5 * math.log(nu))
            out[1, i], out[2, i] = (nu + 1.0) / r, (nu + 1.0) / r / r
            continue
        q = nu * sigma * sigma + r * r
        out[0, i] = constant - 0.5 * (nu + 1.0) * math.log1p(r * r / (nu * sigma * sigma))
        out[1, i] = (nu + 1.0) * r / q
        out[2, i] = (nu + 1.0) * (r * r - nu * sigma * sigma) / (q * q)


@njit(**KERNEL)
def _each(values, eta, own, out):  # noqa: ANN001, ANN202
    """The kernel at parameters for each group, own (2, groups)."""
    for i in range(len(eta)):
        _slopes(values[:, i : i + 1], eta[i : i + 1], own[0, i], own[1, i], out[:, i : i + 1])


@dataclass(frozen=True)
class Student(Family):
    """Student's t family with the identity link; parameters `sigma` (scale) and `nu` (degrees of freedom)."""

    link: str = "identity"
    name: str = "student"
    predictors: ClassVar[Mapping[str, str]] = {"sigma": "log", "nu": "log"}
    residual_sd: ClassVar[SdsOf] = {"sigma": lambda sigma: sigma}
    quantities = ("mean", "median")
    changes = CENTRES
    meanings: ClassVar[Mapping[str, Meaning]] = {
        "sigma": Meaning(
            "the residual scale", "residual scale", "Around its centre, {y} scatters with a scale of {number}"
        ),
        "nu": Meaning(
            "the degrees of freedom", "degrees of freedom",
            "The tails of {y} are those of a t distribution (normal above 30) with degrees of freedom {number}",
        ),
    }  # fmt: skip
    limits: ClassVar[Mapping[str, tuple[float, str]]] = {"nu": (1e7, NORMAL)}

    def __post_init__(self):
        if self.link != "identity":
            raise ModelError(f"family student has the identity link only, not {self.link!r}; transform the outcome")

    def read(self, raw: Raw) -> Response:
        return plain(raw, self.name)

    def scale(self, response: Response, offset: np.ndarray) -> tuple[float, float]:
        y = (response.observed - offset)[response.weight > 0]
        centre = float(np.median(y))
        spread = 1.4826 * float(np.median(np.abs(y - centre)))
        return (spread if spread > 0 else response.spread_and_centre(response.observed - offset)[0]), centre

    def parameters(self, book: PriorBook, scale: float, flat: bool, response: Response) -> tuple[Parameter, ...]:
        return (
            book.parameter("sigma", "sigma", HalfStudent(3.0, 0.0, 2.5 * scale), start=0.7 * scale, flat=flat),
            book.parameter("nu", "nu", Gamma(2.0, 0.1), start=8.0, flat=flat),
        )

    def possible(self, own: np.ndarray) -> bool:
        return bool(np.all((own[0] > 0.0) & (own[1] > 0.0) & (own[1] < 1e8)))

    def slopes(self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, out: np.ndarray) -> None:
        if own.ndim > 1:
            _each(values, eta, own, out)
        else:
            _slopes(values, eta, own[0], own[1], out)

    def log_density(self, values: Any, eta: Any, own: Any, xp: Any = np, special: Any = None) -> Any:
        sigma, nu = own[0], own[1]
        u = (values[0] - eta) / sigma
        constant = special.gammaln(0.5 * (nu + 1.0)) - special.gammaln(0.5 * nu) - 0.5 * xp.log(nu * math.pi)
        far = abs(u) > FAR  # its square may be infinite
        near, large = xp.where(far, 0.0, u), xp.where(far, abs(u), 1.0)
        size = xp.where(far, 2.0 * xp.log(large) - xp.log(nu), xp.log1p(near * near / nu))
        return constant - xp.log(sigma) - 0.5 * (nu + 1.0) * size

    def mean(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        return eta

    def variance(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        return np.zeros(np.shape(eta)) + self.link_variance(own, 0.0)

    def likeliest(self, values: np.ndarray) -> np.ndarray:
        return values[0]

    def tails(self, response: Response, eta: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        z = (response.observed - eta) / own[0]
        return scipy_special.stdtr(own[1], z), scipy_special.stdtr(own[1], -z)

    def median(self, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        return eta

    def nests(self, smaller: Family) -> str | None:
        within = isinstance(smaller, Gaussian) and self.link == smaller.link
        return "nu" if within else super().nests(smaller)

    def link_variance(self, own: np.ndarray, mean: float) -> np.ndarray | float:
        sigma, nu = own
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(nu > 2.0, sigma**2 * nu / (nu - 2.0), math.inf)

    def simulate(
        self, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator, values: np.ndarray | None
    ) -> np.ndarray:
        return eta + own[0] * rng.standard_t(own[1], eta.shape)
