"""Tables: columns from any data frame, levels of ids, and memberships in one canonical order.

:mod:`~micromacro.table.columns` reads, :mod:`~micromacro.table.levels` numbers ids,
:mod:`~micromacro.table.shapes` tells the long from the relational shape,
:mod:`~micromacro.table.screen` looks for missing and infinite values, and
:mod:`~micromacro.table.memberships` puts all of it in order (``assemble``).
"""
