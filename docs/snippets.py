"""Finds the examples in README and docs, for the tests that run them.

A Python block stands for itself. It finds `stack`, `pipeline` and `solution_version` if
it names them; after the line `<!-- continued -->`, also what the one before it defined.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
CONTINUED: Final = "<!-- continued -->\n"
_FENCE: Final = re.compile(
    rf"^(?P<continued>{CONTINUED})?(?P<indent> *)```(?P<kind>\w*)[^\n]*\n"
    r"(?P<text>.*?)^ *```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: The page, as a path in the repository.
        line: The line that it begins in.
        kind: Its language.
        text: What it holds.
        continued: Whether it goes on where the block before it ended.
    """

    page: str
    line: int
    kind: str
    text: str
    continued: bool

    @property
    def name(self) -> str:
        """Page and line, as in messages."""
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """Give README and all pages of the docs."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(*kinds: str) -> list[Block]:
    """Give the blocks of all pages.

    Args:
        kinds: Their languages; all if there are none.
    """
    return [
        block
        for page in pages()
        for block in blocks_of(page)
        if not kinds or block.kind in kinds
    ]


def blocks_of(page: Path) -> Iterator[Block]:
    """Give the blocks of a page.

    Args:
        page: Its path.
    """
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        indent = found["indent"]
        yield Block(
            page=page.relative_to(ROOT).as_posix(),
            line=text.count("\n", 0, found.start("kind")) + 1,
            kind=found["kind"],
            text=re.sub(rf"^{indent}", "", found["text"], flags=re.MULTILINE),
            continued=bool(found["continued"]),
        )
