"""The meaning of the names in ``effects = known(K)`` and ``effects = car(g)``: covariances and graphs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ModelError
from ..table.graphs import Graph, read_graph
from .relationship import Relationship, read_relationship

Source = Relationship | Graph


def read_sources(known: Any, graphs: Any) -> dict[str, Source]:
    """Read ``known=`` and ``graphs=``; a name may be given once."""
    for what, given in (("known", known), ("graphs", graphs)):
        if given is not None and not isinstance(given, Mapping):
            raise ModelError(
                f"{what}= is a dictionary from names used in effects= to {what}, not {type(given).__name__}"
            )
    out: dict[str, Source] = {name: read_relationship(k, name) for name, k in (known or {}).items()}
    for name, graph in (graphs or {}).items():
        if name in out:
            raise ModelError(f"{name!r} is given both by known= and by graphs=: give one of them another name")
        out[name] = graph if isinstance(graph, Graph) else read_graph(name, graph)
    return out


def by_keyword(sources: Mapping[str, Source]) -> dict[str, Any]:
    """The arguments from which :func:`read_sources` makes these sources, those that have any."""
    out: dict[str, dict[str, Source]] = {}
    for name, source in sources.items():
        out.setdefault(source.keyword, {})[name] = source
    return out


def source_from_plain(plain: dict[str, Any], name: str) -> Source:
    """A source from the plain arrays of its ``to_plain``."""
    return Graph.from_plain(plain, name) if "low" in plain else Relationship.from_plain(plain, name)
