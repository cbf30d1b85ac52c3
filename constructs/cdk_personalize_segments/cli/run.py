"""The command `run`: starts a run and follows it to its end."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cdk_personalize_segments._runtime import arns, limits
from cdk_personalize_segments.cli import options, report, runs, screen
from cdk_personalize_segments.cli.errors import SDK_ERRORS, UsageError


def run(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Files of queries, or folders of them, which are checked and uploaded "
            "first. Default: all query files that are in the bucket."
        ),
    ] = None,
    queries: Annotated[
        str | None,
        typer.Option(help="A query file or folder in the bucket, instead of FILES."),
    ] = None,
    num_results: Annotated[
        int | None, typer.Option(help="Users per segment, at most 5,000,000.")
    ] = None,
    filter_arn: Annotated[str | None, typer.Option(help="Another filter.")] = None,
    solution_version_arn: Annotated[
        str | None, typer.Option(help="Another solution version.")
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(help="A tag of the job, as KEY=VALUE; may be repeated."),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Use the prepared input of an earlier run, and adopt its job if that "
            "still works or is done.",
        ),
    ] = None,
    wait: Annotated[
        bool, typer.Option(help="Follow the run to its end, or only start it.")
    ] = True,
    stack: options.Stack = None,
    pipeline: options.PipelinePath = None,
    state_machine: options.StateMachine = None,
    profile: options.Profile = None,
    region: options.Region = None,
) -> None:
    """Start a run, show how far it is, and print its segments.

    Ends with 0 if the run succeeded (or was started, with --no-wait), else with 1.
    """
    settings = {
        "queries": queries,
        "numResults": num_results,
        "filterArn": filter_arn,
        "solutionVersionArn": solution_version_arn,
        "tags": _tags(tag) or None,
        "resume": resume,
    }
    execution_input = {
        key: value for key, value in settings.items() if value is not None
    }
    _check(files, execution_input, num_results)
    found = options.pipeline_of(profile, region, stack, pipeline, state_machine)
    if resume is not None and not found.is_own_job(resume):
        raise UsageError(
            f"--resume takes the name of a run of {found.name}, got {resume!r}; "
            "`personalize-segments list` shows them."
        )
    if files:
        runs.check(found, files, num_results, solution_version_arn, filter_arn)
        execution_input["queries"] = runs.upload(found, *files)
    name, execution_arn = runs.start(found, execution_input)
    later = f"look at it with `personalize-segments status {name}`"
    if not wait:
        screen.line(name)
        screen.note(f"It goes on by itself; {later}.")
        return
    try:
        ended = runs.wait(found, execution_arn)
    except (KeyboardInterrupt, *SDK_ERRORS):
        screen.note(f"The run {name} goes on by itself; {later}.")
        raise
    raise typer.Exit(report.run_ended(found, ended))


def _tags(given: list[str] | None) -> dict[str, str]:
    tags = {}
    for each in given or []:
        key, separator, value = each.partition("=")
        if not separator:
            raise UsageError("A --tag is written KEY=VALUE; one has no =.")
        problem = limits.tag_problem(key, value)
        if problem:
            raise UsageError(f"A --tag is not allowed: {problem}.")
        tags[key] = value
    return tags


def _check(
    files: list[Path] | None,
    execution_input: dict[str, Any],
    num_results: int | None,
) -> None:
    """Check what the run itself would refuse, but minutes later."""
    for key in ("queries", "resume"):
        if execution_input.get(key) == "":
            raise UsageError(f"--{key} is empty; give it a value, or leave it out.")
    if files and "queries" in execution_input:
        raise UsageError("Give either FILES or --queries, not both.")
    if "resume" in execution_input and (files or len(execution_input) > 1):
        raise UsageError(
            "--resume goes alone: a resumed run uses the input and settings of the run "
            "that it resumes."
        )
    if num_results is not None:
        problem = limits.num_results_problem(num_results)
        if problem:
            raise UsageError(f"--num-results {problem}.")
    for key, option, kind in (
        ("filterArn", "--filter-arn", arns.FILTER),
        ("solutionVersionArn", "--solution-version-arn", arns.SOLUTION_VERSION),
    ):
        problem = arns.problem(execution_input.get(key), kind)
        if key in execution_input and problem:
            raise UsageError(f"{option} {problem}.")
