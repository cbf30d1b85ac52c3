"""The command `doctor`: checks all that a run needs, without starting a job."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Annotated, Final

import typer
from botocore.exceptions import ClientError

from cdk_personalize_segments._runtime import limits, locations
from cdk_personalize_segments.cli import jobs, models, options, screen, smoke
from cdk_personalize_segments.cli.access_checks import AccessChecks
from cdk_personalize_segments.cli.account import Account
from cdk_personalize_segments.cli.checks import Check, Verdict, guarded
from cdk_personalize_segments.cli.errors import CliError, is_not_found
from cdk_personalize_segments.cli.pipelines import Pipeline, Wanted, find

_STYLES: Final = {
    Verdict.OK: "green",
    Verdict.WARNING: "yellow",
    Verdict.FAILED: "bold red",
    Verdict.NOT_CHECKED: "yellow",
}
_MOST_QUERY_FILES: Final = 1000


def doctor(
    smoke_job: Annotated[
        bool,
        typer.Option(
            "--smoke",
            help="Then run one tiny job, which costs what Personalize asks for it, and "
            "report what it shows of the service.",
        ),
    ] = False,
    query: Annotated[
        str | None,
        typer.Option(help='With --smoke: its query, like \'{"itemId": "105"}\'.'),
    ] = None,
    stack: options.Stack = None,
    pipeline: options.PipelinePath = None,
    state_machine: options.StateMachine = None,
    profile: options.Profile = None,
    region: options.Region = None,
) -> None:
    """Check all that a run needs, without starting a job.

    What you lack the permission to look at is "not checked", never "ok". Ends with 1
    if a check fails.
    """
    if smoke_job != (query is not None):
        raise CliError(
            "--smoke and --query go together, like --smoke --query "
            '\'{"itemId": "105"}\' with an item of yours.'
        )
    account = Account(profile, region)
    counts = dict.fromkeys(Verdict, 0)
    for check in _account_checks(account):
        _print(check, counts)
    found = find(account, Wanted(stack, pipeline, state_machine))
    for check in _pipeline_checks(found):
        _print(check, counts)
    screen.line(
        f"{counts[Verdict.OK]} ok, {screen.count(counts[Verdict.WARNING], 'warning')}, "
        f"{counts[Verdict.FAILED]} failed, {counts[Verdict.NOT_CHECKED]} not checked"
    )
    if counts[Verdict.FAILED]:
        raise typer.Exit(1)
    if query is not None:
        raise typer.Exit(smoke.run(found, query))


def _print(check: Check, counts: dict[Verdict, int]) -> None:
    counts[check.verdict] += 1
    screen.line(
        f"{check.verdict.value:<11}  {check.what}: {check.detail}",
        _STYLES[check.verdict],
    )


def _account_checks(account: Account) -> Iterator[Check]:
    yield from guarded("credentials", lambda: _credentials(account))
    yield _region(account)


def _credentials(account: Account) -> Iterator[Check]:
    who = account.sts.get_caller_identity()
    detail = f"account {who['Account']}, as {who['Arn']}"
    yield Check(Verdict.OK, "credentials", detail)


def _region(account: Account) -> Check:
    if account.region in limits.REGIONS:
        return Check(Verdict.OK, "Region", f"{account.region} offers Personalize")
    return Check(
        Verdict.WARNING,
        "Region",
        f"{account.region} is not one of those known to offer Personalize: "
        f"{', '.join(sorted(limits.REGIONS))}",
    )


def _pipeline_checks(pipeline: Pipeline) -> Iterator[Check]:
    yield Check(
        Verdict.OK, "state machine", f"{pipeline.name}, {pipeline.state_machine_arn}"
    )
    access = AccessChecks(pipeline)
    checks: tuple[tuple[str, Callable[[], Iterator[Check]]], ...] = (
        ("functions", lambda: _functions(pipeline)),
        ("solution version", lambda: _solution_version(pipeline)),
        ("filter", lambda: _filter(pipeline)),
        ("job slots", lambda: _job_slots(pipeline)),
        ("service role: trust", access.trust),
        ("service role: policies", access.statements),
        ("input bucket", access.input_bucket),
        ("output bucket", access.output_bucket),
        ("query files", lambda: _query_files(pipeline)),
        ("uploads", lambda: _uploads(pipeline)),
    )
    for what, check in checks:
        yield from guarded(what, check)


def _functions(pipeline: Pipeline) -> Iterator[Check]:
    for arn in pipeline.functions:
        try:
            found = pipeline.account.functions.get_function_configuration(
                FunctionName=arn
            )
        except ClientError as error:
            if is_not_found(error):
                raise CliError(
                    f"{arn} does not exist; deploy the pipeline again"
                ) from (None)
            raise
        if found.get("State", "Active") not in {"Active", "Inactive"}:
            raise CliError(
                f"{arn} is {found.get('State')}: {found.get('StateReason')}; deploy "
                "the pipeline again"
            )
    detail = f"{len(pipeline.functions)} functions can be called"
    yield Check(Verdict.OK, "functions", detail)


def _uploads(pipeline: Pipeline) -> Iterator[Check]:
    """Check that the bucket tells of uploads, where those start runs."""
    if not pipeline.places.starts_on_upload:
        return
    bucket = pipeline.places.input_bucket
    told = pipeline.account.s3.get_bucket_notification_configuration(Bucket=bucket)
    if "EventBridgeConfiguration" not in told:
        raise CliError(
            f"the bucket {bucket} does not send its events to Amazon EventBridge, so "
            "uploads start no runs; switch that on among its event notifications"
        )
    yield Check(Verdict.OK, "uploads", f"{bucket} tells EventBridge of its objects")


def _solution_version(pipeline: Pipeline) -> Iterator[Check]:
    found = models.solution_version(pipeline, None)
    if found.recipe not in limits.QUERIES_PER_FILE:
        raise CliError(
            f"{found.arn} was trained with {found.recipe}; batch segment jobs need "
            f"{' or '.join(limits.QUERIES_PER_FILE)}"
        )
    if not found.is_active:
        reason = f" ({found.failure_reason})" if found.failure_reason else ""
        raise CliError(
            f"{found.arn} is {found.status}{reason}; wait until it is ACTIVE, or train "
            "another"
        )
    yield Check(
        Verdict.OK, "solution version", f"{found.arn} is ACTIVE, of {found.recipe}"
    )


def _filter(pipeline: Pipeline) -> Iterator[Check]:
    found = models.job_filter(pipeline, None)
    if found is None:
        return
    version = models.solution_version(pipeline, None)
    if not found.is_active:
        raise CliError(f"{found.arn} is {found.status}; a job needs one that is ACTIVE")
    if found.dataset_group_arn != version.dataset_group_arn:
        raise CliError(
            f"{found.arn} belongs to {found.dataset_group_arn}, the solution version "
            f"to {version.dataset_group_arn}; use a filter of the same dataset group"
        )
    if found.uses_interactions and version.recipe == limits.ITEM_ATTRIBUTE_AFFINITY:
        raise CliError(
            f"{found.arn} looks at interactions, which Personalize does not support "
            f"with {version.recipe}; use one that looks at users only"
        )
    names = ", ".join(sorted(found.placeholders))
    needs = f"; each line needs filterValues for {names}" if names else ""
    yield Check(Verdict.OK, "filter", f"{found.arn} is ACTIVE{needs}")


def _job_slots(pipeline: Pipeline) -> Iterator[Check]:
    held = len(jobs.in_slots(pipeline))
    detail = f"{held} of {limits.MAX_ACTIVE_JOBS} are in use"
    if held < limits.MAX_ACTIVE_JOBS:
        yield Check(Verdict.OK, "job slots", detail)
    else:
        detail += "; a run waits for one (`personalize-segments status` says whose)"
        yield Check(Verdict.WARNING, "job slots", detail)


def _query_files(pipeline: Pipeline) -> Iterator[Check]:
    places = pipeline.places
    where = locations.uri(places.input_bucket, places.queries_prefix)
    pages = pipeline.account.s3.get_paginator("list_objects_v2").paginate(
        Bucket=places.input_bucket, Prefix=places.queries_prefix
    )
    files = (
        each["Key"]
        for page in pages
        for each in page.get("Contents", [])
        if not each["Key"].endswith("/")
    )
    number = len(list(islice(files, _MOST_QUERY_FILES)))
    if number:
        several = "or more " if number == _MOST_QUERY_FILES else ""
        detail = f"{number:,} {several}in {where}"
        yield Check(Verdict.OK, "query files", detail)
    else:
        detail = f"none in {where}; upload one, or give `run` a file"
        yield Check(Verdict.WARNING, "query files", detail)
