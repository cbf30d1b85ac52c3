"""What the commands print: results on stdout, progress and errors on stderr."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

# Where no terminal says how wide it is.
_PLAIN_WIDTH: Final = 160

out: Final = Console(highlight=False)
err: Final = Console(stderr=True, highlight=False)


def line(text: str = "", style: str = "") -> None:
    """Print one line of a result, never wrapped and never read as markup."""
    out.print(Text(text, style), soft_wrap=True)


def note(text: str, style: str = "") -> None:
    """Print one line about what happens, beside the result."""
    err.print(Text(text, style), soft_wrap=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table.

    Args:
        columns: The headings.
        rows: The cells of each row, as they are.
    """
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(columns):
        # The first one is a name, which is to be copied in one piece.
        grid.add_column(column, overflow="fold", no_wrap=number == 0)
    for row in rows:
        grid.add_row(*(Text(cell) for cell in row))
    wide = out if out.is_terminal else Console(width=_PLAIN_WIDTH)
    wide.print(grid)


def places(rows: Iterable[tuple[str, str]]) -> None:
    """Print what lies where, one line each, so that it can be copied."""
    for what, where in rows:
        line(f"  {what:<9} {where}")


def count(number: int, noun: str) -> str:
    """Write a number with its noun, in the plural where it needs to be.

    Args:
        number: How many.
        noun: What, in the singular; `query` becomes `queries`.
    """
    if number == 1:
        return f"1 {noun}"
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {plural}"


def duration(time: timedelta) -> str:
    """Write how long something took, as people say it."""
    seconds = max(0, int(time.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


def moment(time: datetime) -> str:
    """Write an instant, in UTC as the services and the manifest do."""
    return f"{time:%Y-%m-%d %H:%M:%S}Z"
