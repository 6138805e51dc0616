"""Simulated data: coalition-like data with known truth, and outcomes from any model."""

from __future__ import annotations

from .coalitions import Coalitions, coalitions

__all__ = ["Coalitions", "coalitions"]
