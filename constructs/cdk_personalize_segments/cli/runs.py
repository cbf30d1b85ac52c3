"""Starts runs: checks and uploads a query file, starts an execution, follows it."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import ClientError

from cdk_personalize_segments._runtime import limits, locations
from cdk_personalize_segments.cli import models, screen
from cdk_personalize_segments.cli.errors import (
    SDK_ERRORS,
    CliError,
    is_denied,
    sentence,
)
from cdk_personalize_segments.cli.executions import Snapshot, follow
from cdk_personalize_segments.cli.pipelines import Pipeline
from cdk_personalize_segments.cli.progress import RunProgress
from cdk_personalize_segments.cli.query_files import FileCheck, recipe_of

_MOST_BAD_LINES: Final = 20


class Started(NamedTuple):
    """A run that was started: its name, and the ARN of its execution."""

    run: str
    execution_arn: str


def check(
    pipeline: Pipeline,
    file: Path,
    solution_version_arn: str | None = None,
    filter_arn: str | None = None,
) -> None:
    """Check a query file for a run, before anything is uploaded.

    Args:
        pipeline: The pipeline of the run.
        file: The query file.
        solution_version_arn: The version that the run names, or None.
        filter_arn: The filter that the run names, or None.

    Raises:
        CliError: A line cannot be used, or there is none. Bad lines are printed.
    """
    file_check = FileCheck(
        file,
        _recipe(pipeline, file, solution_version_arn),
        _placeholders(pipeline, filter_arn),
    )
    for shown, bad in enumerate(file_check.bad_lines()):
        if shown < _MOST_BAD_LINES:
            screen.note(f"{bad.file}:{bad.line}:{bad.column}: {bad.reason}")
        elif shown == _MOST_BAD_LINES:
            screen.note("… `personalize-segments validate` lists them all")
    if file_check.bad:
        raise CliError(
            f"{screen.count(file_check.bad, 'line')} of {file} cannot be used, so "
            "nothing was uploaded or started."
        )
    if not file_check.queries:
        raise CliError(f"{file} holds no query; write one per line.")


def _recipe(pipeline: Pipeline, file: Path, asked_arn: str | None) -> str:
    """Return the recipe of the run's solution; the file's own if it is not known."""
    try:
        recipe = models.solution_version(pipeline, asked_arn).recipe
    except ClientError as error:
        if not is_denied(error):
            raise
        screen.note(f"The solution was not looked up: {sentence(error)}", "yellow")
        return recipe_of(file)
    if recipe not in limits.QUERIES_PER_FILE:
        raise CliError(
            f"The solution's recipe is {recipe}; batch segment jobs need "
            f"{' or '.join(limits.QUERIES_PER_FILE)}."
        )
    return recipe


def _placeholders(pipeline: Pipeline, asked_arn: str | None) -> frozenset[str] | None:
    try:
        found = models.job_filter(pipeline, asked_arn)
    except ClientError as error:
        if not is_denied(error):
            raise
        screen.note(f"The filter was not looked up: {sentence(error)}", "yellow")
        return None
    return found.placeholders if found else frozenset()


def upload(pipeline: Pipeline, file: Path) -> str:
    """Put a query file under the pipeline's queries prefix, by its name.

    Args:
        pipeline: The pipeline.
        file: The file.

    Returns:
        Its key, as the input of an execution names it.

    Raises:
        CliError: It could not be uploaded.
    """
    places = pipeline.places
    key = places.queries_prefix + file.name
    try:
        pipeline.account.s3.upload_file(str(file), places.input_bucket, key)
    except S3UploadFailedError as error:
        raise CliError(_upload_refused(error)) from None
    screen.note(f"Uploaded {file} to {locations.uri(places.input_bucket, key)}")
    return file.name


def _upload_refused(error: S3UploadFailedError) -> str:
    """Say what was behind an error that hides it."""
    behind = error.__context__
    if isinstance(behind, SDK_ERRORS):
        return sentence(behind)
    return f"{error}."


def start(pipeline: Pipeline, execution_input: Mapping[str, Any]) -> Started:
    """Start a run.

    Args:
        pipeline: The pipeline.
        execution_input: What the contract allows.

    Returns:
        The run, and its execution.
    """
    started = pipeline.account.step_functions.start_execution(
        stateMachineArn=pipeline.state_machine_arn, input=json.dumps(execution_input)
    )
    name = pipeline.run_of(started)
    screen.note(f"Started run {name}")
    return Started(name, started["executionArn"])


def wait(
    pipeline: Pipeline,
    execution_arn: str,
    *,
    slowest: float | None = None,
    on_look: Callable[[Snapshot], None] | None = None,
) -> Snapshot:
    """Follow a run to its end, and show how far it is.

    Args:
        pipeline: The pipeline.
        execution_arn: The run's execution.
        slowest: Seconds between two looks, at most. Default: 10.
        on_look: Told of each look, too.
    """

    def looked(snapshot: Snapshot) -> None:
        progress.show(snapshot)
        if on_look:
            on_look(snapshot)

    with RunProgress() as progress:
        return follow(
            pipeline,
            execution_arn,
            looked,
            **({} if slowest is None else {"slowest": slowest}),
        )
