"""The command `status`: what runs now, and who holds the job slots."""

import json
from datetime import datetime
from typing import Annotated, Any

import typer
from botocore.exceptions import ClientError

from cdk_personalize_segments._runtime import limits
from cdk_personalize_segments.cli import (
    costs,
    jobs,
    options,
    report,
    results,
    screen,
)
from cdk_personalize_segments.cli.errors import CliError, is_denied, sentence
from cdk_personalize_segments.cli.executions import (
    RUNNING,
    Snapshot,
    find_execution,
    list_executions,
    look,
)
from cdk_personalize_segments.cli.pipelines import Pipeline
from cdk_personalize_segments.cli.progress import describe


def status(
    run: Annotated[
        str | None,
        typer.Argument(
            help="A run's name, or the ARN of its execution. Default: all that run."
        ),
    ] = None,
    stack: options.Stack = None,
    pipeline: options.PipelinePath = None,
    state_machine: options.StateMachine = None,
    profile: options.Profile = None,
    region: options.Region = None,
    personalize_price: options.PersonalizePrice = None,
    as_json: options.AsJson = False,
) -> None:
    """Show the runs that are running, and who holds the account's job slots.

    With RUN, show that run; if it has ended, also what came of it and what it cost.
    """
    found = options.pipeline_of(profile, region, stack, pipeline, state_machine)
    if as_json:
        _print_json(found, run, personalize_price)
        return
    if run:
        _one(found, run, personalize_price)
        return
    _running(found)
    _slots(found)


def _print_json(
    pipeline: Pipeline, run: str | None, price: costs.PersonalizePrice | None
) -> None:
    if run:
        snapshot = look(pipeline, find_execution(pipeline, run))
        content = {**_told(snapshot), "cost": _cost(pipeline, snapshot, price)}
    else:
        running = list_executions(pipeline, RUNNING)
        held = _in_slots(pipeline)
        content = {
            "runs": [_told(look(pipeline, each["executionArn"])) for each in running],
            "jobSlots": limits.MAX_ACTIVE_JOBS,
            "jobs": None if held is None else [_job(each) for each in held],
        }
    typer.echo(json.dumps(content, indent=2, default=datetime.isoformat))


def _told(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "run": snapshot.run,
        "executionArn": snapshot.execution_arn,
        "status": snapshot.status,
        "state": snapshot.state,
        "jobName": snapshot.job_name,
        "jobStatus": snapshot.job_status,
        "startedAt": snapshot.started,
        "finishedAt": None if snapshot.status == RUNNING else snapshot.now,
        "output": snapshot.output,
        "error": snapshot.error,
        "cause": snapshot.cause,
    }


def _cost(
    pipeline: Pipeline, snapshot: Snapshot, price: costs.PersonalizePrice | None
) -> dict[str, Any] | None:
    """Return what a run cost; None if it goes on or has no manifest."""
    if snapshot.status == RUNNING:
        return None
    try:
        manifest = results.manifest(pipeline, snapshot.run)
    except ClientError as error:
        # Who may look at runs may not always read results.
        if not is_denied(error):
            raise
        screen.note(f"What the run cost is not known: {sentence(error)}", "yellow")
        return None
    except CliError as error:
        screen.note(f"What the run cost is not known: {error}", "yellow")
        return None
    return costs.estimate(manifest, price) if manifest else None


def _job(job: jobs.JobInSlot) -> dict[str, Any]:
    return {
        "name": job.name,
        "status": job.status,
        "createdAt": job.created,
        "ofThisPipeline": job.is_own,
    }


def _one(pipeline: Pipeline, run: str, price: costs.PersonalizePrice | None) -> None:
    snapshot = look(pipeline, find_execution(pipeline, run))
    if snapshot.status != RUNNING:
        report.run_ended(pipeline, snapshot, personalize=price)
        return
    screen.line(
        f"Run {snapshot.run}, since {screen.duration(snapshot.elapsed)}: "
        f"{describe(snapshot)}"
    )


def _running(pipeline: Pipeline) -> None:
    snapshots = [
        look(pipeline, each["executionArn"])
        for each in list_executions(pipeline, RUNNING)
    ]
    if not snapshots:
        screen.line(f"No run of {pipeline.name} is running.")
        return
    screen.line(f"Runs of {pipeline.name}:")
    screen.table(
        ("Run", "For", "Now"),
        (
            (each.run, screen.duration(each.elapsed), describe(each))
            for each in snapshots
        ),
    )


def _in_slots(pipeline: Pipeline) -> list[jobs.JobInSlot] | None:
    """List who holds a slot; None, with a note, where that may not be looked at."""
    try:
        return jobs.in_slots(pipeline)
    except ClientError as error:
        if not is_denied(error):
            raise
        screen.note(
            f"Who holds the job slots is not known: {sentence(error)}", "yellow"
        )
        return None


def _slots(pipeline: Pipeline) -> None:
    held = _in_slots(pipeline)
    if held is None:
        return
    screen.line(
        f"{len(held)} of {limits.MAX_ACTIVE_JOBS} job slots of this account in "
        f"{pipeline.account.region} are in use."
    )
    if held:
        screen.table(
            ("Job", "Status", "Created", "Of this pipeline"),
            (
                (
                    job.name,
                    job.status,
                    screen.moment(job.created),
                    "yes" if job.is_own else "no",
                )
                for job in held
            ),
        )
