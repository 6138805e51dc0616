"""How kernels are compiled: once for an installation, and only to be called from Python or from other kernels."""

from __future__ import annotations

#: Options of Numba for every kernel. Kernels run without the interpreter's lock, divide as NumPy does, and have no
#: entry for C, which would take an eighth of the time of compilation.
KERNEL = {"cache": True, "nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
