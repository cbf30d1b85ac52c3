"""The command `validate`: checks query files offline."""

import json
from pathlib import Path
from typing import Annotated

import typer

from cdk_personalize_segments._runtime import expressions
from cdk_personalize_segments.cli import options, screen
from cdk_personalize_segments.cli.query_files import BadLine, FileCheck, most_queries


def validate(
    files: Annotated[list[Path], typer.Argument(help="Files with one query per line.")],
    recipe: Annotated[options.Recipe, typer.Option(help="The recipe of the solution.")],
    filter_expression: Annotated[
        str | None,
        typer.Option(
            help="The expression of the filter that the queries are for: their "
            "filterValues are then checked against its placeholders."
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON instead of text.")
    ] = False,
) -> None:
    """Check query files, offline and with the checker that runs use.

    Lists every line that cannot be used, with its column and what to write instead.
    Ends with 1 if there is any.
    """
    placeholders = (
        None
        if filter_expression is None
        else expressions.placeholders(filter_expression)
    )
    checks = [(file, FileCheck(file, recipe.full_name, placeholders)) for file in files]
    found: list[BadLine] = []
    for _, check in checks:
        for bad in check.bad_lines():
            if as_json:
                found.append(bad)
            else:
                screen.line(f"{bad.file}:{bad.line}:{bad.column}: {bad.reason}")
    problem = _problem(checks, recipe.full_name)
    if as_json:
        _print_json(checks, found, problem)
    elif problem:
        screen.note(problem, "red")
    else:
        total = sum(check.queries for _, check in checks)
        screen.line(
            f"{screen.count(total, 'query')} in {screen.count(len(files), 'file')}, "
            "all good.",
            "green",
        )
    if problem:
        raise typer.Exit(1)


def _problem(checks: list[tuple[Path, FileCheck]], recipe: str) -> str | None:
    total = sum(check.queries for _, check in checks)
    bad = sum(check.bad for _, check in checks)
    if bad:
        return (
            f"{screen.count(bad, 'line')} cannot be used, {total:,} can; a run takes "
            "nothing until all are good."
        )
    if not total:
        return "There is no query in any file; write one per line."
    if total > most_queries(recipe):
        return (
            f"{total:,} queries are more than the {most_queries(recipe):,} that one "
            f"run can take with {recipe}; split them into several runs."
        )
    return None


def _print_json(
    checks: list[tuple[Path, FileCheck]], found: list[BadLine], problem: str | None
) -> None:
    typer.echo(
        json.dumps(
            {
                "problem": problem,
                "files": [
                    {
                        "file": str(file),
                        "queries": check.queries,
                        "badLines": check.bad,
                    }
                    for file, check in checks
                ],
                "badLines": [{**bad._asdict(), "file": str(bad.file)} for bad in found],
            },
            indent=2,
        )
    )
