"""Starts runs: checks and uploads a query file, starts an execution, follows it."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import ClientError

from cdk_personalize_segments._runtime import arns, limits, locations
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
from cdk_personalize_segments.cli.query_files import Checker, expand, recipe_of

_MOST_BAD_LINES: Final = 20


class Started(NamedTuple):
    """A run that was started: its name, and the ARN of its execution."""

    run: str
    execution_arn: str


def check(
    pipeline: Pipeline,
    path: Path,
    num_results: int | None = None,
    solution_version_arn: str | None = None,
    filter_arn: str | None = None,
) -> None:
    """Check query files for a run, before anything is uploaded.

    Args:
        pipeline: The pipeline of the run.
        path: The query file, or a folder of them.
        num_results: The users per segment that the run names, or None.
        solution_version_arn: The version that the run names, or None.
        filter_arn: The filter that the run names, or None.

    Raises:
        CliError: A line cannot be used, there is none, or they are too many; or the
            run would refuse the solution version. Bad lines are printed.
    """
    _check_solution(pipeline, solution_version_arn)
    files = expand([path])
    checker = Checker(
        _recipe(pipeline, files[0], solution_version_arn),
        _placeholders(pipeline, filter_arn),
        num_results or pipeline.defaults["numResults"],
    )
    for shown, bad in enumerate(checker.bad_lines(files)):
        if shown < _MOST_BAD_LINES:
            screen.note(f"{bad.file}:{bad.line}:{bad.column}: {bad.reason}")
        elif shown == _MOST_BAD_LINES:
            screen.note("… `personalize-segments validate` lists them all")
    if checker.bad and pipeline.defaults.get("skipInvalidLines") and checker.deal.lines:
        lines = screen.count(checker.bad, "line")
        screen.note(f"{lines} of {path} cannot be used, and will be skipped.", "yellow")
    elif checker.bad:
        raise CliError(
            f"{screen.count(checker.bad, 'line')} of {path} cannot be used, so "
            "nothing was uploaded or started."
        )
    elif problem := checker.problem():
        raise CliError(f"{problem} Nothing was uploaded or started.")


def _check_solution(pipeline: Pipeline, asked_arn: str | None) -> None:
    """Refuse a version of another solution, as the run would after the upload."""
    defaults = pipeline.defaults
    own = defaults["solutionArn"] or arns.solution_of(defaults["solutionVersionArn"])
    allowed = defaults["allowAnySolution"] or asked_arn is None
    if not allowed and arns.solution_of(str(asked_arn)) != own:
        raise CliError(
            f"{asked_arn} is not a version of the pipeline's solution {own}; name one "
            "of that, or set allow_any_solution on the pipeline."
        )


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


def upload(pipeline: Pipeline, path: Path) -> str:
    """Put a query file, or a folder of them, under the queries prefix by its name.

    Args:
        pipeline: The pipeline.
        path: The file or folder.

    Returns:
        The key or folder, as the input of an execution names it.

    Raises:
        CliError: It could not be uploaded, or a folder of that name has other files.
    """
    bucket = pipeline.places.input_bucket
    whole = pipeline.places.queries_prefix + path.resolve().name
    files = {whole: path}
    if path.is_dir():
        whole += "/"
        files = {
            whole + file.relative_to(path).as_posix(): file for file in expand([path])
        }
        _check_no_others(pipeline, whole, files)
    for key, file in files.items():
        try:
            pipeline.account.s3.upload_file(str(file), bucket, key)
        except S3UploadFailedError as error:
            raise CliError(_upload_refused(error)) from None
        screen.note(f"Uploaded {file} to {locations.uri(bucket, key)}")
    return whole


def _check_no_others(
    pipeline: Pipeline, folder: str, files: Mapping[str, Path]
) -> None:
    """Refuse a folder in the bucket that has more files than are uploaded to it."""
    bucket = pipeline.places.input_bucket
    pages = pipeline.account.s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=folder
    )
    for page in pages:
        for each in page.get("Contents", []):
            if each["Key"] not in files and not each["Key"].endswith("/"):
                raise CliError(
                    f"{locations.uri(bucket, each['Key'])} is there already and would "
                    "be run with what is uploaded; give the folder another name, or "
                    "delete what is in the bucket."
                )


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
