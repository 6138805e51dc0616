"""Runs of different lengths that follow each other: where they begin, and what is within them."""

from __future__ import annotations

import numpy as np


def starts(lengths: np.ndarray) -> np.ndarray:
    """Where each of some runs begins if they follow each other, and where the last one ends (runs + 1,)."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def within(lengths: np.ndarray) -> np.ndarray:
    """The place of each entry of all runs in its own, from 0."""
    start = starts(lengths)
    return np.arange(start[-1]) - np.repeat(start[:-1], lengths)


def runs(begin: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The numbers from `begin` on, as many as each length says, one run after the other."""
    return np.repeat(begin, lengths) + within(lengths)
