"""Keeping a fit: a netCDF file that any xarray or ArviZ reads. Never pickle."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..errors import MicromacroError
from .posterior import Posterior


def save(posterior: Posterior, path: Any) -> None:
    """Write draws, or the table of an ml fit, to a netCDF file; nothing is left behind when writing fails."""
    target = Path(path)
    if not target.parent.exists():
        raise MicromacroError(f"the folder {target.parent} does not exist: make it, or save elsewhere")
    tree = as_tree(posterior)
    scratch = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        tree.to_netcdf(scratch, engine="h5netcdf")
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)


def as_tree(posterior: Posterior) -> Any:
    """The DataTree of draws; of an ml fit its estimates, their covariance and the log-likelihood."""
    from .tree import to_datatree

    if posterior.sampled:
        return to_datatree(posterior)
    import xarray as xr

    s, optimum = posterior.specification, posterior.outcome.optimum
    assert optimum is not None
    names = list(s.names)
    estimates = xr.Dataset(
        {
            "estimate": ("parameter", posterior.estimate),
            "se": ("parameter", posterior.sd),
            "covariance": (("parameter", "parameter_2"), posterior.covariance),
        },
        {"parameter": names, "parameter_2": names},
        {
            "inference_library": "micromacro", "engine": posterior.outcome.engine, "formula": s.formula.text,
            "family": s.family.name, "loglik": optimum.loglik,
        },
    )  # fmt: skip
    return xr.DataTree.from_dict({"estimates": estimates})
