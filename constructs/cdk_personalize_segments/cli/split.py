"""The command `split`: cuts query files into runs that fit."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from cdk_personalize_segments._runtime import dealing, limits, query_files
from cdk_personalize_segments.cli import options, screen
from cdk_personalize_segments.cli.errors import CliError
from cdk_personalize_segments.cli.query_files import Checker, check_lasting, expand
from cdk_personalize_segments.cli.validate import (
    checker_of,
    print_bad_lines,
    problem_of,
)

_FILE = "queries.jsonl"


def split(
    files: Annotated[
        list[Path], typer.Argument(help="Files with one query per line, or folders.")
    ],
    recipe: Annotated[options.Recipe, typer.Option(help="The recipe of the solution.")],
    to: Annotated[
        Path, typer.Option(help="The folder to write to, which must not have files.")
    ],
    filter_expression: options.FilterExpression = None,
    num_results: options.NumResults = limits.DEFAULT_NUM_RESULTS,
) -> None:
    """Cut query files into folders run-001, run-002 …, each of which one run takes.

    The queries stay in their order. Nothing is written if a line cannot be used.
    """
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise CliError(f"{to} is there already, and not empty; name another folder.")
    checker = checker_of(recipe, filter_expression, num_results)
    all_files = expand(files)
    check_lasting(all_files)
    print_bad_lines(checker.bad_lines(all_files))
    if checker.bad or not checker.deal.lines:
        problem = problem_of(checker, filter_expression)
        raise CliError(f"{problem} Nothing was written.")
    written = 0
    runs = _write(_queries(checker, all_files), checker.recipe, num_results, to)
    for folder, queries in runs:
        written += queries
        screen.note(f"{folder}: {screen.count(queries, 'query')}")
        many = f" --num-results {num_results}"
        more = many if num_results != limits.DEFAULT_NUM_RESULTS else ""
        screen.line(f"personalize-segments run {shlex.quote(str(folder))}{more}")
    if written != checker.deal.lines:
        raise CliError(
            f"The files changed while they were split: {checker.deal.lines:,} lines "
            f"were checked, and {written:,} written; delete {to} and start again."
        )


def _queries(checker: Checker, files: list[Path]) -> Iterator[bytes]:
    for file in files:
        for found in checker.read(file):
            if isinstance(found, query_files.Good):
                yield from found.queries


def _write(
    queries: Iterator[bytes], recipe: str, num_results: int, to: Path
) -> Iterator[tuple[Path, int]]:
    """Write runs, each as full as it may be; yield each folder with its queries."""
    following = next(queries, None)
    number = 0
    while following is not None:
        number += 1
        folder = to / f"run-{number:03d}"
        folder.mkdir(parents=True)
        deal = dealing.Deal(recipe, num_results)
        lines = 0
        with (folder / _FILE).open("wb") as stream:
            while following is not None:
                deal.weigh(len(following) + 1)
                deal.add([following])
                if deal.problem():
                    break
                stream.write(following + b"\n")
                lines += 1
                following = next(queries, None)
        yield folder, lines
