"""Bundled data: small, public, documented."""

from __future__ import annotations

from .._public import public_all
from .boston import Boston, boston

__all__ = ["Boston", "boston"]


def __dir__() -> list[str]:
    return list(__all__)


public_all(globals(), __all__)
