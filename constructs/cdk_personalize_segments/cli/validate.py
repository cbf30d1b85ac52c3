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

    They are checked for a run without a filter, unless --filter-expression is given.
    Lists every line that cannot be used, with its column and what to write instead.
    Ends with 1 if a run would refuse the files.
    """
    checker = checker_of(recipe, filter_expression, num_results)
    bad_lines = checker.bad_lines(expand(files))
    if as_json:
        found = list(bad_lines)
        _print_json(checker, found, problem_of(checker, filter_expression))
    else:
        print_bad_lines(bad_lines)
        _print_verdict(checker, problem_of(checker, filter_expression))
    if checker.problem():
        raise typer.Exit(1)


def checker_of(
    recipe: options.Recipe, filter_expression: str | None, num_results: int
) -> Checker:
    """Make a checker of what options say.

    Args:
        recipe: The recipe of the solution.
        filter_expression: The expression of the run's filter, or None without one.
        num_results: Users per segment.

    Raises:
        UsageError: The expression is none, or not one for the recipe.
    """
    if filter_expression is None:
        return Checker(recipe.full_name, frozenset(), num_results)
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


def problem_of(checker: Checker, filter_expression: str | None) -> str | None:
    """Say why a run would be refused, or return None.

    Args:
        checker: What has read the files.
        filter_expression: The expression of the run's filter, or None without one.
    """
    problem = checker.problem()
    if problem and checker.has_needless_values and filter_expression is None:
        problem += (
            " They were checked for a run without a filter; if yours has one, give its "
            "expression with --filter-expression."
        )
    return problem


def print_bad_lines(bad_lines: Iterable[BadLine]) -> None:
    """Print bad lines as they are found.

    Args:
        bad_lines: They.
    """
    for bad in bad_lines:
        screen.line(f"{bad.file}:{bad.line}:{bad.column}: {bad.reason}")


def _print_verdict(checker: Checker, problem: str | None) -> None:
    for note in checker.notes():
        screen.line(f"Note: {note}", "yellow")
    if problem:
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


def _print_json(checker: Checker, found: list[BadLine], problem: str | None) -> None:
    content = {
        "problem": problem,
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
