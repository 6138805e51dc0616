"""Datasets to and from a file: netCDF or zarr; complete or not at all, and unchanged."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._optional import require
from ...errors import FileError, MicromacroError
from ...numerics.memory import available, size
from .describe import versions
from .tables import digest

if TYPE_CHECKING:
    import xarray as xr

FORMAT = 2
"""The one format that is written and read; 2 holds draws of effects and of coefficients apart."""

_ATTEMPTS = 20  # at replacing or reading a folder that another process replaces


# -- writing -----------------------------------------------------------------------------------------------------


def write(path: Path, groups: Mapping[str, xr.Dataset], content: Mapping[str, Any], attributes: dict[str, Any]) -> None:
    """Write groups of a tree beside their digests; the file appears under its name once it is complete.

    Parameters
    ----------
    path : Path
        A folder in zarr's format if it ends in ``.zarr``, else a netCDF file.
    groups : dict of Dataset
    content : dict
        What JSON takes, stored as text.
    attributes : dict
        Attributes of the whole file, for its readers.
    """
    import xarray as xr

    text = json.dumps(content)
    digests = _digests(groups, text, attributes)
    root = xr.Dataset({"content": ((), text), "digests": ((), json.dumps(digests))}, attrs=attributes)
    tree = xr.DataTree.from_dict({"/": root, **groups})
    if not path.parent.exists():
        raise FileError(f"the folder {path.parent} does not exist: make it, or save elsewhere")
    scratch = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp{path.suffix}")
    try:
        _reserve(scratch, room_for(tree))
        if is_zarr(path):
            require("zarr", "zarr")
            tree.to_zarr(scratch, mode="w", zarr_format=2, consolidated=True)
        else:
            tree.to_netcdf(scratch, engine="h5netcdf")
        _put(scratch, path)
    except MicromacroError:
        raise
    except MemoryError as error:
        raise FileError(f"{path} could not be written: {_no_memory(error)}") from error
    except Exception as error:
        if not _of_the_system(error):
            raise
        raise FileError(_refusal(path, error)) from error
    finally:
        _remove(scratch)


def room_for(tree: xr.DataTree) -> int:
    """Bytes that a tree's file will not exceed: values, text with its pointers, and 8 kB for each variable."""
    total = 64_000
    for node in tree.subtree:
        for variable in node.to_dataset(inherit=False).variables.values():
            total += 8_000 + int(1.01 * variable.nbytes)
            if variable.dtype.kind in "OU":
                total += 40 * variable.size + sum(len(str(v).encode("utf-8", "replace")) for v in variable.values.flat)
    return total


def _reserve(scratch: Path, count: int) -> None:
    """Make sure that so many bytes can be written: HDF5 takes the whole process down when a disk fills up under it."""
    with scratch.open("wb") as made:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(made.fileno(), 0, count)
        elif shutil.disk_usage(scratch.parent).free < count:
            raise OSError(errno.ENOSPC, f"{count} bytes are needed")
    scratch.unlink()


def is_zarr(path: Path) -> bool:
    """Whether a path asks for zarr's format."""
    return path.suffix == ".zarr"


def _put(scratch: Path, path: Path) -> None:
    """Give the complete file its name; what stood there before is gone only then."""
    if scratch.is_dir():
        _put_folder(scratch, path)
        return
    if path.is_dir():
        raise FileError(f"{path} is a folder: give the name of a file")
    with scratch.open("rb") as written:
        os.fsync(written.fileno())
    scratch.replace(path)


def _put_folder(scratch: Path, path: Path) -> None:
    """The same for a folder, which cannot be replaced in one step: another process may be doing it at the same time."""
    if path.is_file():
        raise FileError(f"{path} is a file, not a folder in zarr's format: delete it, or save elsewhere")
    old = scratch.with_name(f"{scratch.name}.old")
    for attempt in range(_ATTEMPTS):
        try:
            scratch.rename(path)
            break
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or attempt == _ATTEMPTS - 1:
                _give_back(old, path)
                raise
        _remove(old)  # of an earlier attempt: another process has put its own folder there meanwhile
        with contextlib.suppress(FileNotFoundError):
            path.rename(old)
    _remove(old)


def _give_back(old: Path, path: Path) -> None:
    """Put the folder that was there back, unless another one has taken its place."""
    with contextlib.suppress(OSError):
        old.rename(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _of_the_system(error: Exception) -> bool:
    """Whether an error is about the disk; HDF5 raises some of these as RuntimeError."""
    return isinstance(error, OSError) or (isinstance(error, RuntimeError) and "write failed" in str(error))


def _refusal(path: Path, error: Exception) -> str:
    """What went wrong while writing, and what to do."""
    number, text = getattr(error, "errno", None), str(error)
    full = number in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT) or any(
        f"errno = {n}" in text or f"errno={n}" in text for n in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
    )
    old = "; the existing file is unchanged" if path.exists() else "; no partial file was left behind"
    if full or "write failed" in text:
        return (
            f"{path} could not be written, the disk (or your share of it) is full{old}. Free space, save elsewhere, "
            'or keep less: thin=, dtype="float32", named=False, contents="parameters" ('
            f"{text})"
        )
    if isinstance(error, PermissionError) or number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{path.parent} cannot be written to{old}. Save elsewhere ({text})"
    return f"{path} could not be written{old}. Save elsewhere ({text})"


def _no_memory(error: MemoryError) -> str:
    """That memory is not enough, and what to do."""
    said = "; ".join(filter(None, (f"{size(available())} are free", str(error))))
    return (
        f"there is not enough memory ({said}). Keep less of the fit "
        'when it is saved: thin=, draws=, dtype="float32", named=False, contents="parameters"'
    )


# -- reading -----------------------------------------------------------------------------------------------------


def read(path: Path) -> tuple[dict[str, Any], dict[str, xr.Dataset]]:
    """The content and the groups of a file, every value of which has been compared with its digest.

    Raises
    ------
    FileError
        Where there is no such file, it is not one of ours, it is cut short, or it was changed.
    """
    for attempt in range(_ATTEMPTS):
        before = _identity(path)
        try:
            return _read(path)
        except FileError:  # a folder may have been replaced while it was read
            if (before == _identity(path) and not _being_replaced(path)) or attempt == _ATTEMPTS - 1:
                raise
            time.sleep(0.05)
    raise AssertionError("the last attempt returns or raises")


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file or folder stands under a name; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _being_replaced(path: Path) -> bool:
    """Whether a process is between taking an old folder away and giving its name to the new one."""
    return is_zarr(path) and not path.exists() and any(path.parent.glob(f".{path.name}.*.old"))


def _read(path: Path) -> tuple[dict[str, Any], dict[str, xr.Dataset]]:
    if not path.exists():
        raise FileError(f"there is no file {path}")
    root, groups = _open(path)
    _check_format(path, root.attrs)
    if "content" not in root or "digests" not in root:
        raise FileError(f"{path} was not written by Fit.save: xarray.open_datatree can read it")
    text = str(root["content"].item())
    try:
        content, digests = json.loads(text), json.loads(str(root["digests"].item()))
    except ValueError as error:
        raise FileError(_changed(path, "its description")) from error
    _compare(path, digests, _digests(groups, text, root.attrs))
    return content, groups


def _check_format(path: Path, attributes: Mapping[Any, Any]) -> None:
    """Refuse files of other formats, saying which version reads them."""
    if "micromacro_format" not in attributes:
        return
    writer, number = str(attributes.get("inference_library_version", "?")), attributes["micromacro_format"]
    if str(number) == str(FORMAT):
        return
    age = "older" if isinstance(number, int | np.integer) and number < FORMAT else "newer"
    raise FileError(
        f"{path} is {age} than this micromacro: it was saved by micromacro {writer} in format {number}, and micromacro "
        f"{versions()['micromacro']} reads format {FORMAT}. {_BY_AGE[age].format(writer)}, or fit the model again"
    )


_BY_AGE = {
    "older": "Load it with micromacro {} and keep its tables",
    "newer": "Install micromacro {} or a later version",
}


def _open(path: Path) -> tuple[xr.Dataset, dict[str, xr.Dataset]]:
    """Everything in the file, in memory."""
    import xarray as xr

    engine = "zarr" if is_zarr(path) else "h5netcdf"
    if is_zarr(path):
        require("zarr", "zarr")
    try:
        with xr.open_datatree(path, engine=engine) as tree:
            groups = {name: node.to_dataset(inherit=False).load() for name, node in tree.children.items()}
            return tree.to_dataset(inherit=False).load(), groups
    except MemoryError as error:
        raise FileError(f"{path} cannot be read: {_no_memory(error)}") from error
    except Exception as error:  # HDF5, zarr and xarray each have their own
        raise FileError(
            f"{path} cannot be read: it is cut short, damaged, or no {'zarr' if is_zarr(path) else 'netCDF'} file. "
            f"Use another copy, or fit the model again ({type(error).__name__}: {error})"
        ) from error


def _compare(path: Path, then: dict[str, str], now: dict[str, str]) -> None:
    for name in then:
        if name not in now:
            raise FileError(_changed(path, f"{name} is missing and"))
        if now[name] != then[name]:
            what = "its description" if name == "content" else name
            raise FileError(_changed(path, what))
    added = [name for name in now if name not in then]
    if added:
        raise FileError(_changed(path, f"{added[0]} was added, and"))


def _changed(path: Path, what: str) -> str:
    return (
        f"{path} was changed after it was saved: {what} does not agree with its checksum. Use the file as it was "
        "saved, or fit the model again"
    )


def _digests(groups: Mapping[str, xr.Dataset], text: str, attributes: Mapping[str, Any]) -> dict[str, str]:
    """A digest of every variable, of the content and of each attribute of the file."""
    import numpy as np

    out = {"content": digest(np.array([text]))}
    out |= {f"attribute {k}": digest(np.array([str(v)])) for k, v in attributes.items() if not k.startswith("_")}
    for group, dataset in groups.items():
        out |= {f"{group}/{name}": digest(np.asarray(v.values)) for name, v in dataset.variables.items()}
    return out
