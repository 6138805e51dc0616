"""Checks the built site: links and anchors lead somewhere, nothing comes from a network, every picture has a text.

``python docs/_check.py docs/_build/html``; it lists what is wrong and ends with 1, or says how much was checked.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: What a page loads by itself, tag and attribute; what a reader clicks on may be elsewhere.
LOADED = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src"), ("object", "data")}
#: Links of these kinds load nothing.
STILL = {"canonical", "index", "search", "next", "prev", "author", "license", "genindex", "up"}


class Page(HTMLParser):
    """Links, anchors, loaded files and pictures of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.silent: list[str] = []
        self.headings: list[int] = []
        self.lang = self.title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One element."""
        found = {k: v or "" for k, v in attrs}
        self.anchors |= {found[k] for k in ("id", "name") if found.get(k)}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag == "img" and ("alt" not in found or found["alt"].endswith((".png", ".svg"))):
            self.silent.append(found.get("src", "?")[:60])
        self.lang |= tag == "html" and bool(found.get("lang"))
        self.title |= tag == "title"
        if len(tag) == 2 and tag[0] == "h" and tag[1].isdigit():
            self.headings.append(int(tag[1]))
        still = STILL & set(found.get("rel", "").split())
        self.loaded += [found[k] for t, k in LOADED if t == tag and found.get(k) and not (t == "link" and still)]


def read(folder: Path) -> dict[Path, Page]:
    """All pages."""
    out = {}
    for path in sorted(folder.rglob("*.html")):
        page = Page()
        page.feed(path.read_text(encoding="utf-8"))
        out[path.resolve()] = page
    return out


def problems(pages: dict[Path, Page], folder: Path) -> Iterator[str]:
    """What is wrong, a line each."""
    for path, page in pages.items():
        name = path.relative_to(folder.resolve())
        own = "_modules" not in name.parts  # source code, as Sphinx shows it
        for link in [*page.links, *page.loaded]:
            yield from broken(link, path, pages, name, link in page.loaded)
        yield from (f"{name}: the picture {silent} has no alt text" for silent in page.silent)
        if not page.lang or not page.title:
            yield f"{name}: no language or no title"
        if own and page.headings and page.headings[0] != 1:
            yield f"{name}: the first heading is not of level 1"
        for one, other in zip(page.headings, page.headings[1:], strict=False):
            if own and other > one + 1:
                yield f"{name}: a heading of level {other} follows one of level {one}"


def broken(link: str, path: Path, pages: dict[Path, Page], name: Path, loaded: bool) -> Iterator[str]:
    """Whether a link leads somewhere, and whether something is loaded from elsewhere."""
    parts = urlsplit(link)
    if parts.scheme == "data" or parts.scheme in ("mailto", "javascript"):
        return
    if parts.scheme or parts.netloc:
        if loaded:
            yield f"{name}: loads {link} from a network"
        return
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.exists():
        yield f"{name}: {link} leads nowhere"
    elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
        yield f"{name}: {link} has no such place"


def main(folder: Path) -> int:
    """Print what is wrong."""
    pages = read(folder)
    wrong = list(dict.fromkeys(problems(pages, folder)))
    links = sum(len(p.links) for p in pages.values())
    sys.stdout.write("\n".join([*wrong[:100], f"{len(pages)} pages, {links} links: {len(wrong)} problems"]) + "\n")
    return int(bool(wrong) or not pages)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
