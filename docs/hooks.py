"""Adds to the site what is written elsewhere: the code, the changelog, mermaid.

MkDocs calls the functions here by their names.
"""

import re
import sys
from pathlib import Path
from typing import Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

_DOCS: Final = Path(__file__).resolve().parent
_ROOT: Final = _DOCS.parent
sys.path.insert(0, str(_DOCS))

import command_line  # noqa: E402
import public_names  # noqa: E402

_MERMAID: Final = _ROOT / "node_modules/@mermaid-js/tiny/dist/mermaid.tiny.js"
_COMMAND_LINE: Final = "reference/command-line.md"
# Pages that are files of the repository, which reads them without a site, too.
_ELSEWHERE: Final = {
    "benchmarks.md": _ROOT / "benchmarks" / "README.md",
    "changelog.md": _ROOT / "CHANGELOG.md",
}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages about code into the navigation.

    Args:
        config: What mkdocs.yml says.
    """
    [reference] = [
        section["Reference"] for section in config.nav or [] if "Reference" in section
    ]
    pages = [{name: _page(name)} for name in public_names.exported()]
    reference[1:1] = [*pages, {"Command line": _COMMAND_LINE}]
    config.watch.append(str(_ROOT / "constructs"))
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that no file in this folder holds, and mermaid.

    Args:
        files: Those of this folder.
        config: What mkdocs.yml says.
    """
    for name in public_names.exported():
        text = f"::: {public_names.PACKAGE}.{name}\n"
        files.append(File.generated(config, _page(name), content=text))
    pages = {
        _COMMAND_LINE: command_line.page(),
        **{name: path.read_text(encoding="utf-8") for name, path in _ELSEWHERE.items()},
    }
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    files.append(
        File.generated(
            config, "assets/mermaid.tiny.js", abs_src_path=str(_MERMAID.resolve())
        )
    )
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Take out what is for tests and generators only.

    Args:
        markdown: The text of a page.
        **_: The page, and what is about it.
    """
    return re.sub(r"^<!-- .*? -->\n", "", markdown, flags=re.MULTILINE)


def _page(name: str) -> str:
    return f"reference/{name}.md"
