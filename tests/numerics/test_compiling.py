"""Options of kernels: those that make arrays say so, and steps are written out in one place of a kernel."""

from __future__ import annotations

import ast
import inspect
import pkgutil
import textwrap
from collections import Counter
from importlib import import_module

from numba.core.dispatcher import Dispatcher

from micromacro import families, numerics

#: What makes an array where a kernel calls it.
MAKERS = {
    "arange",
    "copy",
    "dot",
    "eigh",
    "empty",
    "empty_like",
    "full",
    "ones",
    "reshape",
    "sort",
    "zeros",
    "zeros_like",
}


def kernels() -> dict[str, Dispatcher]:
    """All functions that Numba compiles, by module and name."""
    out = {}
    for package in (families, numerics):
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            for name, value in vars(import_module(found.name)).items():
                if isinstance(value, Dispatcher) and value.py_func.__module__ == found.name:
                    out[f"{found.name.removeprefix('micromacro.')}.{name}"] = value
    return out


KERNELS = kernels()


def calls(kernel: Dispatcher) -> Counter:
    """How often each name is called in the text of a kernel."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(kernel.py_func)))
    called = [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return Counter(name.rpartition(".")[2] for name in called)


def test_kernels_are_found():
    assert len(KERNELS) > 150


def test_kernels_that_make_arrays_say_so():
    for name, kernel in KERNELS.items():
        if kernel.targetoptions.get("_nrt") is False:
            called = set(calls(kernel))
            steps = [kernel.py_func.__globals__.get(one) for one in called]
            others = [s for s in steps if isinstance(s, Dispatcher) and s.targetoptions.get("_nrt") is not False]
            assert not called & MAKERS and not others, f"decorate {name} with the options ALLOCATING"


def test_steps_are_written_out_once_in_a_kernel():
    for name, kernel in KERNELS.items():
        for called, times in calls(kernel).items():
            step = kernel.py_func.__globals__.get(called)
            if isinstance(step, Dispatcher) and step.targetoptions.get("inline") == "always":
                assert times == 1, f"{name} would contain {called} {times} times: make it a kernel"
