"""Starts runs: checks and uploads a query file, starts an execution, follows it."""

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
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
from cdk_personalize_segments.cli.query_files import (
    Checker,
    check_lasting,
    expand,
    recipe_of,
)

_MOST_BAD_LINES: Final = 20


class Started(NamedTuple):
    """A run that was started: its name, and the ARN of its execution."""

    run: str
    execution_arn: str


def check(
    pipeline: Pipeline,
    paths: Sequence[Path],
    num_results: int | None = None,
    solution_version_arn: str | None = None,
    filter_arn: str | None = None,
) -> None:
    """Check query files for a run, before anything is uploaded.

    Args:
        pipeline: The pipeline of the run.
        paths: The query files, or folders of them.
        num_results: The users per segment that the run names, or None.
        solution_version_arn: The version that the run names, or None.
        filter_arn: The filter that the run names, or None.

    Raises:
        CliError: A line cannot be used, there is none, or they are too many; or the
            run would refuse the solution version. Bad lines are printed.
    """
    _check_solution(pipeline, solution_version_arn)
    files = expand(paths)
    check_lasting(files)
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
    lines = screen.count(checker.bad, "line")
    where = str(paths[0]) if len(paths) == 1 else screen.count(len(files), "file")
    skips = bool(pipeline.defaults.get("skipInvalidLines"))
    if checker.bad and not (skips and checker.deal.lines):
        raise CliError(
            f"{lines} of {where} cannot be used, so nothing was uploaded or started."
        )
    if problem := checker.problem(skip_bad=skips):
        raise CliError(f"{problem} Nothing was uploaded or started.")
    if checker.bad:
        screen.note(
            f"{lines} of {where} cannot be used, and will be skipped.", "yellow"
        )


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


def upload(pipeline: Pipeline, *paths: Path) -> str:
    """Put query files, or folders of them, under the queries prefix.

    One has the name there that it has here; several are put into a folder of their own.

    Args:
        pipeline: The pipeline.
        paths: The files and folders.

    Returns:
        The key or folder, as the input of an execution names it.

    Raises:
        CliError: They could not be uploaded, or the run would read other files too.
    """
    name = paths[0].resolve().name
    if len(paths) > 1:
        name = f"upload-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}/"
    whole = pipeline.places.queries_prefix + name
    if len(paths) > 1:
        files = _named(paths, whole)
    else:
        files = _named(paths, pipeline.places.queries_prefix)
        if paths[0].is_dir():
            whole += "/"
            _check_no_others(pipeline, whole, files)
    for key, file in files.items():
        _upload(pipeline, file, key)
    return whole


def _named(paths: Sequence[Path], folder: str) -> dict[str, Path]:
    """Give each file its key."""
    named: dict[str, Path] = {}
    for path in paths:
        name = path.resolve().name
        for file in expand([path]):
            inside = f"/{file.relative_to(path).as_posix()}" if path.is_dir() else ""
            key = f"{folder}{name}{inside}"
            if key in named:
                raise CliError(
                    f"{named[key]} and {file} would both be uploaded as {key}; rename "
                    "one."
                )
            named[key] = file
    return named


def _check_no_others(
    pipeline: Pipeline, folder: str, files: Mapping[str, Path]
) -> None:
    """Refuse a folder in the bucket that has more files than are uploaded to it."""
    bucket = pipeline.places.input_bucket
    paginator = pipeline.account.s3.get_paginator("list_objects_v2")
    try:
        for page in paginator.paginate(Bucket=bucket, Prefix=folder):
            for each in page.get("Contents", []):
                if each["Key"] not in files and not each["Key"].endswith("/"):
                    raise CliError(
                        f"{locations.uri(bucket, each['Key'])} is there already and "
                        "would be run with what is uploaded; give the folder another "
                        "name, or delete what is in the bucket."
                    )
    except ClientError as error:
        if not is_denied(error):
            raise
        where = locations.uri(bucket, folder)
        screen.note(f"{where} was not looked at: {sentence(error)}", "yellow")


def _upload(pipeline: Pipeline, file: Path, key: str) -> None:
    bucket = pipeline.places.input_bucket
    try:
        pipeline.account.s3.upload_file(str(file), bucket, key)
    except S3UploadFailedError as error:
        raise CliError(_upload_refused(error)) from None
    screen.note(f"Uploaded {file} to {locations.uri(bucket, key)}")


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
