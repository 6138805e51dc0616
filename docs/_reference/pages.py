"""Executes the examples and writes a page per public name, and their index, before Sphinx reads the pages."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import inspect
import io
import os
import tempfile
import textwrap
import warnings
from pathlib import Path
from typing import Any

from .examples import PARTS, SETUP

HERE = Path(__file__).parent
SHORT = {
    "micromacro": "mm", "micromacro.Model": "Model", "micromacro.Fit": "Fit", "micromacro.memberships": "mm.memberships",
    "micromacro.results.plots.Plots": "fit.plot", "micromacro.families": "mm.families", "micromacro.prior": "mm.prior",
    "micromacro.simulate": "mm.simulate", "micromacro.datasets": "mm.datasets",
}  # fmt: skip


def page_name(owner: str, name: str) -> str:
    """The file of a name; classes have a prefix, so that ``Fit`` and ``fit`` differ where case does not count."""
    short = SHORT[owner].removeprefix("mm").strip(".")
    return ".".join(part for part in ("class" if name[0].isupper() else "", short, name) if part)


def found(owner: str, name: str) -> Any:
    """The object itself (of a class the attribute as it is defined, a property not evaluated)."""
    import micromacro

    at: Any = micromacro
    if owner == "micromacro.results.plots.Plots":
        from micromacro.results.plots import Plots

        at = Plots
    else:
        for part in owner.split(".")[1:]:
            at = getattr(at, part)
    return inspect.getattr_static(at, name) if inspect.isclass(at) else getattr(at, name)


def directive(owner: str, name: str) -> str:
    """How Sphinx documents it."""
    thing, full = found(owner, name), f"{owner}.{name}"
    if inspect.isclass(thing):
        kind = "autoexception" if issubclass(thing, BaseException) else "autoclass"
        if owner == "micromacro.families":  # lower-case names of classes, which Sphinx would call aliases
            return f".. autoclass:: {thing.__module__}.{thing.__qualname__}\n"
        alone = kind == "autoexception" or full in ("micromacro.Fit", "micromacro.Model", "micromacro.Family")
        return f".. {kind}:: {full}\n" + ("" if alone else "   :members:\n")
    if owner in ("micromacro.Fit", "micromacro.Model", "micromacro.results.plots.Plots"):
        return f".. {'automethod' if inspect.isfunction(thing) else 'autoattribute'}:: {full}\n"
    return f".. autofunction:: {full}\n"


def summary(owner: str, name: str) -> str:
    """The first sentence of its docstring."""
    thing = found(owner, name)
    text = inspect.getdoc(getattr(thing, "func", thing)) or ""
    return " ".join(text.partition("\n\n")[0].split()).replace("|", "\\|")


def executed(code: str, space: dict[str, Any], picture: Path) -> tuple[str, bool]:
    """What the code shows as text, and whether it drew the picture."""
    from micromacro import MicromacroError, MicromacroWarning

    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
            exec(compile(tree, "<example>", "exec"), space)
            value = eval(compile(ast.Expression(last.value), "<example>", "eval"), space) if last else None
    except (MicromacroError, MicromacroWarning) as error:
        return f"{printed.getvalue()}{type(error).__name__}: {error}", False
    figure = getattr(value, "figure", None) or getattr(getattr(value, "flat", [None])[0], "figure", None)
    if figure is not None:
        figure.savefig(picture, bbox_inches="tight", metadata={"Date": None})
        return printed.getvalue(), True
    text = value if isinstance(value, str) else "" if value is None else repr(value)
    return (printed.getvalue() + str(text)).rstrip(), False


def page(owner: str, name: str, code: str, space: dict[str, Any], folder: Path) -> None:
    """Write the page of one name."""
    stem = page_name(owner, name)
    text, drew = executed(code, space, folder / f"{stem}.svg")
    lines = [f"# {SHORT[owner]}.{name}", "", "```{eval-rst}", directive(owner, name) + "```", "", "## Example", ""]
    lines += ["```python", code, "```", ""]
    if drew:
        alt = summary(owner, name).rstrip(".").replace("`", "")
        lines += [f"```{{image}} {stem}.svg", f":alt: {alt}", "```", ""]
    if text:
        lines += ["```text", text, "```", ""]
    (folder / f"{stem}.md").write_text("\n".join(lines), encoding="utf-8")


def index(folder: Path) -> None:
    """Write the tables of all names, with the list of pages for the sidebar."""
    out = []
    for title, (owner, examples) in PARTS.items():
        out += [f"## {title}", "", "| | |", "|---|---|"]
        out += [
            f"| [`{SHORT[owner]}.{name}`](/reference/{page_name(owner, name)}) | {summary(owner, name)} |"
            for name in examples
        ]
        pages = [f"/reference/{page_name(owner, name)}" for name in examples]
        out += ["", "```{toctree}", ":hidden:", "", *pages, "```", ""]
    (folder / "_index.md").write_text("\n".join(out), encoding="utf-8")


def digest() -> str:
    """Of everything that a page depends on: the examples, this file, the package."""
    import micromacro

    out = hashlib.sha256()
    for path in (*sorted(HERE.glob("*.py")), *sorted(Path(micromacro.__file__).parent.rglob("*.py"))):
        out.update(path.read_bytes())
    return out.hexdigest()


def namespace() -> dict[str, Any]:
    """What :data:`SETUP` makes."""
    import pandas as pd

    pd.set_option("display.width", 110, "display.max_columns", 20)
    space: dict[str, Any] = {}
    exec(compile(SETUP, "<setup>", "exec"), space)
    return space


def write(folder: Path) -> int:
    """Write all pages, unless nothing changed; how many."""
    stamp, now = folder / "_digest", digest()
    if stamp.is_file() and stamp.read_text() == now:
        return 0
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "micromacro"
    import matplotlib.pyplot as plt

    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.*"):
        old.unlink()
    count, here = 0, Path.cwd()
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.chdir(scratch)
        try:
            space = namespace()
            for owner, examples in PARTS.values():
                for name, code in examples.items():
                    page(owner, name, code, dict(space), folder.resolve() if folder.is_absolute() else here / folder)
                    plt.close("all")
                    count += 1
        finally:
            os.chdir(here)
    index(folder)
    (folder / "_setup.md").write_text(f"```python\n{textwrap.dedent(SETUP).strip()}\n```\n", encoding="utf-8")
    stamp.write_text(now)
    return count
