"""Plots of a fit: matplotlib (extra ``[plots]``). Each takes ``ax=`` and returns the Axes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from ..._public import public
from ..fitted import Fitted
from .comparison import plot_comparison
from .registry import PICTURES

__all__ = ["Plots", "plot_comparison"]


class Plots:
    """The plots of one fit, one method each; all take ``ax=`` and return the matplotlib Axes."""

    def __init__(self, fit: Fitted):
        self._fit = fit

    def __repr__(self) -> str:
        return f"plots of this fit: .{'(), .'.join(PICTURES)}(); each takes ax= and returns the Axes"

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Callable[..., Any]: ...


def _method(picture: Callable[..., Any]) -> Callable[..., Any]:
    """A picture as a method: its fit is that of the object."""

    @wraps(picture)
    def method(self: Plots, *args: Any, **options: Any) -> Any:
        return picture(self._fit, *args, **options)

    signature = inspect.signature(picture)
    first, *rest = signature.parameters.values()
    method.__signature__ = signature.replace(parameters=[first.replace(name="self"), *rest])  # type: ignore[attr-defined]
    return method


for _name, _picture in PICTURES.items():
    setattr(Plots, _name, public(_method(_picture), method=True))
