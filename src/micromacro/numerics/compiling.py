"""How kernels are compiled: once for an installation, and only to be called from Python or from other kernels.

What a kernel costs to compile decides how long the first fit takes. A function with :data:`KERNEL` is compiled by
itself, and what it calls is compiled by itself too and then optimised once more within it. A function with
:data:`INLINED` becomes part of the kernels that call it, and is compiled by itself only if Python calls it.
"""

from __future__ import annotations

import gc

from numba.core.cpu import CPUTargetOptions
from numba.core.event import Event, Listener, register

#: Numba's option for functions that make no array and so need not count who refers to one: their calls are
#: cheaper, and so is compiling them. It is no public name, so do without where it is not.
_NO_ARRAYS = {"_nrt": False} if hasattr(CPUTargetOptions, "_nrt") else {}

#: Options of Numba for a kernel that makes arrays, or calls one that does. Kernels run without the interpreter's lock,
#: divide as NumPy does, and have no entry for C, which would take an eighth of the time of compilation.
ALLOCATING = {"cache": True, "nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}

#: The same for a kernel that works in the arrays of its caller, as most should.
KERNEL = {**ALLOCATING, **_NO_ARRAYS}

#: The same for a step that such kernels take, each in one place of its text, so that it is not compiled twice. A step
#: that one kernel takes in several places would be written out each time, and in a kernel that makes arrays Numba
#: would count references to those of the step each time it is taken: there it is a :data:`KERNEL`.
INLINED = {**KERNEL, "inline": "always"}


class _WithoutCollection(Listener):
    """Lets Python collect no garbage while Numba compiles: it finds little, and takes a tenth of the time.

    Numba compiles under a lock, so that events come in turn, those of called kernels within those of their callers.
    """

    def __init__(self):
        self.depth = 0
        self.was = False

    def on_start(self, event: Event) -> None:
        """Stop at the outermost kernel."""
        if self.depth == 0:
            self.was = gc.isenabled()
            gc.disable()
        self.depth += 1

    def on_end(self, event: Event) -> None:
        """Collect again as before."""
        self.depth -= 1
        if self.depth == 0 and self.was:
            gc.enable()


register("numba:compile", _WithoutCollection())
