"""Nested values as arrays and JSON, and back: what a file can hold without pickle.

:func:`pack` puts every array aside under a name of its own and returns a structure that JSON takes, which points to
them; :func:`unpack` puts the two together again. Tuples, text, times and missing values survive.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]


def pack(value: Any, name: str, arrays: Arrays) -> Any:
    """A value as JSON takes it; its arrays go into `arrays` under names that begin with `name`.

    Raises
    ------
    TypeError
        For anything but numbers, text, None, arrays, and tuples, lists and dicts (with keys of text) of them.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic) and value.dtype.kind in "biufU":
        return value.item()
    if isinstance(value, np.ndarray):
        return _pack_array(value, _free(name, arrays), arrays)
    if isinstance(value, (tuple, list)):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [pack(v, _join(name, k), arrays) for k, v in enumerate(value)]}
    if isinstance(value, Mapping) and all(isinstance(k, str) for k in value):
        return {"dict": {k: pack(v, _join(name, k), arrays) for k, v in value.items()}}
    raise TypeError(f"{name} is of type {type(value).__name__}, which a file cannot hold")


def unpack(value: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """What :func:`pack` was given."""
    if not isinstance(value, dict):
        return value
    ((kind, inside),) = value.items()
    if kind in ("tuple", "list"):
        items = [unpack(v, arrays) for v in inside]
        return tuple(items) if kind == "tuple" else items
    if kind == "dict":
        return {k: unpack(v, arrays) for k, v in inside.items()}
    if kind == "text":
        return _read_text(inside, arrays)
    array = arrays[inside]
    return array.astype(np.int64).view("datetime64[us]") if kind == "time" else array


def _join(name: str, key: Any) -> str:
    return f"{name}.{key}" if name else str(key)


def _free(name: str, arrays: Arrays) -> str:
    """A name that is not taken; a slash would part groups of the file."""
    name = safe(name)
    while name in arrays:
        name += "_"
    return name


def safe(name: str) -> str:
    """A name that a file can hold for a variable."""
    return name.replace("/", "∕").replace("\x00", "␀").encode("utf-8", "replace").decode("utf-8")


def _pack_array(array: np.ndarray, name: str, arrays: Arrays) -> Any:
    if array.dtype.kind in "biuf":
        arrays[name] = array
        return {"array": name}
    if array.dtype.kind == "M":
        arrays[name] = array.astype("datetime64[us]").view(np.int64)
        return {"time": name}
    if array.dtype.kind == "U" or (array.dtype == object and all(isinstance(v, str) for v in array.flat)):
        return _pack_text(array, name, arrays)
    raise TypeError(f"{name} is an array of {array.dtype}, which a file cannot hold")


def _pack_text(array: np.ndarray, name: str, arrays: Arrays) -> Any:
    """Text as numbers of its distinct values: long columns repeat few words."""
    items = [str(v) for v in array.flat]
    words = sorted(set(items))
    place = {w: k for k, w in enumerate(words)}
    escaped = any("\x00" in w or any("\ud800" <= c <= "\udfff" for c in w) for w in words)
    if escaped:  # neither netCDF nor UTF-8 takes these
        words = [w.encode("unicode_escape").decode("ascii") for w in words]
    arrays[name] = np.array([place[i] for i in items], dtype=np.int32).reshape(array.shape)
    arrays[f"{name}.words"] = np.array(words, dtype=str)
    return {"text": [name, escaped, array.dtype == object]}


def _read_text(inside: Any, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    name, escaped, objects = inside
    words = [str(w) for w in arrays[f"{name}.words"]]
    if escaped:
        words = [w.encode("ascii").decode("unicode_escape") for w in words]
    if not words:
        return np.empty(arrays[name].shape, dtype=object if objects else "U1")
    table = np.array(words, dtype=object if objects else str)
    return table[arrays[name].astype(np.int64)]
