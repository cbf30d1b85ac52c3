"""Writes the reference of the command line from the command line itself."""

from collections.abc import Iterator
from typing import Any, Final

import typer.main

from cdk_personalize_segments.cli.app import app

_PROGRAM: Final = "personalize-segments"
_INTRODUCTION: Final = """\
# Command line

`pip install "cdk-personalize-segments[cli]"` installs
`personalize-segments`; the commands `local …` need the extra `[local]`, and
`fetch --format parquet` needs `[parquet]`. Each command has `--help`.

"""


def page() -> str:
    """Write the page."""
    group = typer.main.get_command(app)
    head = f"{group.help}\n\n{group.epilog}\n"
    return _INTRODUCTION + head + "".join(_commands(group, _PROGRAM))


def commands() -> dict[str, list[str]]:
    """Give the options of each command by its full name."""
    return {
        name: [option for each in command.params for option in each.opts]
        for name, command in _walk(typer.main.get_command(app), _PROGRAM)
    }


def _walk(group: Any, prefix: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    for name, command in group.commands.items():
        full = f"{prefix} {name}"
        if hasattr(command, "commands"):
            yield from _walk(command, full)
        else:
            yield full, command


def _commands(group: Any, prefix: str) -> Iterator[str]:  # noqa: ANN401
    for full, command in _walk(group, prefix):
        context = command.make_context("", [], resilient_parsing=True)
        usage = " ".join(command.collect_usage_pieces(context))
        yield f"\n## {full.removeprefix(prefix).strip()}\n\n"
        yield f"```text\n{full} {usage}\n```\n\n{command.help}\n\n"
        yield "| Argument or option | Meaning |\n|---|---|\n"
        for each in command.params:
            name, meaning = each.get_help_record(context)
            # A bar within code is no end of a cell.
            name = " ".join(name.split())
            yield f"| `{name}` | {_cell(meaning)} |\n"


def _cell(text: str) -> str:
    """Write help in a cell of a table: in a line, and with its brackets as they are."""
    return " ".join(text.split()).replace("|", "\\|")
