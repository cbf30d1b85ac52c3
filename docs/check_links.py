"""Checks that every link within the built site leads somewhere: page, file and anchor.

`python docs/check_links.py FOLDER` prints those that do not. Links to other hosts are
not followed; scripts, styles and images of other hosts are wrong by themselves.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urljoin, urlsplit

_LINKS: Final = {"a": "href", "img": "src", "link": "href", "script": "src"}
# Followed by readers only, and not by the page itself.
_FOLLOWED: Final = frozenset({"a"})


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.anchors.update(filter(None, (values.get("id"), values.get("name"))))
        link = values.get(_LINKS.get(tag, ""))
        if link is not None:
            self.links.append((tag, link))


def broken(site: Path) -> list[str]:
    """Give a sentence for each link that leads nowhere.

    Args:
        site: The folder of the built site.
    """
    pages = {path: _read(path) for path in sorted(site.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        # Its links hold at the site's root, wherever the missing page is.
        if path.name == "404.html":
            continue
        here = path.relative_to(site).as_posix()
        for tag, link in page.links:
            problem = _problem(site, pages, here, tag, link)
            if problem:
                found.append(f"{here}: {link} {problem}")
    return found


def _problem(
    site: Path, pages: dict[Path, _Page], here: str, tag: str, link: str
) -> str | None:
    address = urlsplit(urljoin(f"site:///{here}", link))
    if address.scheme in {"http", "https"}:
        return None if tag in _FOLLOWED else "is of another host"
    if address.scheme not in {"site", ""}:
        return None
    target = urlsplit(link)
    path = site / here
    if target.path:
        path = (path.parent / unquote(target.path)).resolve()
    if path.is_dir():
        path /= "index.html"
    if not path.is_file():
        return "leads to no file"
    anchor = unquote(target.fragment)
    if anchor and path in pages and anchor not in pages[path].anchors:
        return "leads to no such anchor"
    return None


def _read(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


if __name__ == "__main__":
    problems = broken(Path(sys.argv[1]).resolve())
    print("\n".join(problems) or "All links lead somewhere.")
    sys.exit(bool(problems))
