"""Kernels of families whose parameters differ between groups: those of one number each, called group by group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

from ..numerics.compiling import KERNEL

Kernel = Callable[..., None]


def each(kernel: Any) -> Kernel:
    """The kernel(values, eta, parameter, out) of a family with one parameter, for own (1, groups) in its place."""

    @njit(**KERNEL)
    def rows(values, eta, own, out):  # noqa: ANN001, ANN202
        for i in range(len(eta)):
            kernel(values[:, i : i + 1], eta[i : i + 1], own[0, i], out[:, i : i + 1])

    return rows


def each_of_two(kernel: Any) -> Kernel:
    """The same of a family with two parameters."""

    @njit(**KERNEL)
    def rows(values, eta, own, out):  # noqa: ANN001, ANN202
        for i in range(len(eta)):
            kernel(values[:, i : i + 1], eta[i : i + 1], own[0, i], own[1, i], out[:, i : i + 1])

    return rows
