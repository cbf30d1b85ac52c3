"""The command `validate`: checks query files offline."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final

import typer

from cdk_personalize_segments._runtime import expressions, limits
from cdk_personalize_segments.cli import options, screen
from cdk_personalize_segments.cli.errors import UsageError
from cdk_personalize_segments.cli.query_files import BadLine, Checker, expand

_FILTER: Final = re.compile(r"\b(INCLUDE|EXCLUDE)\b.*\bWHERE\b", re.I | re.DOTALL)


def validate(
    files: Annotated[
        list[Path], typer.Argument(help="Files with one query per line, or folders.")
    ],
    recipe: Annotated[options.Recipe, typer.Option(help="The recipe of the solution.")],
    filter_expression: options.FilterExpression = None,
    num_results: options.NumResults = limits.DEFAULT_NUM_RESULTS,
    as_json: options.AsJson = False,
) -> None:
    """Check query files, offline and with the checker that runs use.

    Lists every line that cannot be used, with its column and what to write instead.
    Ends with 1 if a run would refuse the files.
    """
    checker = checker_of(recipe, filter_expression, num_results)
    bad_lines = checker.bad_lines(expand(files))
    if as_json:
        found = list(bad_lines)
        _print_json(checker, found)
    else:
        print_bad_lines(bad_lines)
        _print_verdict(checker)
    if checker.problem():
        raise typer.Exit(1)


def checker_of(
    recipe: options.Recipe, filter_expression: str | None, num_results: int
) -> Checker:
    """Make a checker of what options say.

    Args:
        recipe: The recipe of the solution.
        filter_expression: The expression of the filter, if it is known.
        num_results: Users per segment.

    Raises:
        UsageError: The expression is none, or not one for the recipe.
    """
    if filter_expression is None:
        return Checker(recipe.full_name, None, num_results)
    if not _FILTER.search(filter_expression):
        raise UsageError(
            "--filter-expression is the text of a filter, like 'INCLUDE UserID WHERE "
            f"Users.COUNTRY IN ($COUNTRY)', got {filter_expression!r}."
        )
    if recipe is options.Recipe.ITEM_ATTRIBUTE_AFFINITY and (
        expressions.uses_interactions(filter_expression)
    ):
        raise UsageError(
            "--filter-expression looks at interactions, which Personalize does not "
            f"support with {recipe.full_name}; use one that looks at users only."
        )
    placeholders = expressions.placeholders(filter_expression)
    return Checker(recipe.full_name, placeholders, num_results)


def print_bad_lines(bad_lines: Iterable[BadLine]) -> None:
    """Print bad lines as they are found.

    Args:
        bad_lines: They.
    """
    for bad in bad_lines:
        screen.line(f"{bad.file}:{bad.line}:{bad.column}: {bad.reason}")


def _print_verdict(checker: Checker) -> None:
    for note in checker.notes():
        screen.line(f"Note: {note}", "yellow")
    if problem := checker.problem():
        screen.note(problem, "red")
        return
    deal = checker.deal
    again = deal.lines - deal.distinct
    screen.line(
        f"{screen.count(deal.lines, 'query')} in "
        f"{screen.count(len(checker.files), 'file')}, all good"
        + (f" ({again:,} of them asked before, and sent once)" if again else "")
        + f"; a run sends them in {screen.count(deal.parts, 'part')}.",
        "green",
    )


def _print_json(checker: Checker, found: list[BadLine]) -> None:
    content = {
        "problem": checker.problem(),
        "notes": list(checker.notes()),
        "queries": checker.deal.lines,
        "distinct": checker.deal.distinct,
        "parts": checker.deal.parts,
        "files": [
            {"file": str(each.file), "queries": each.queries, "badLines": each.bad}
            for each in checker.files
        ],
        "badLines": [{**bad._asdict(), "file": str(bad.file)} for bad in found],
    }
    typer.echo(json.dumps(content, indent=2))
