"""The command `list`: the recent runs."""

import json
from collections.abc import Mapping
from itertools import islice
from typing import Annotated, Any

import typer

from cdk_personalize_segments.cli import options, screen
from cdk_personalize_segments.cli.executions import RUNNING, SUCCEEDED, list_executions
from cdk_personalize_segments.cli.pipelines import Pipeline


def list_runs(
    most: Annotated[
        int, typer.Option("--most", "-n", min=1, max=1000, help="How many to show.")
    ] = 20,
    stack: options.Stack = None,
    pipeline: options.PipelinePath = None,
    state_machine: options.StateMachine = None,
    profile: options.Profile = None,
    region: options.Region = None,
    as_json: options.AsJson = False,
) -> None:
    """List the recent runs, the newest first, with what came of them."""
    found = options.pipeline_of(profile, region, stack, pipeline, state_machine)
    rows = [_row(found, each) for each in islice(list_executions(found), most)]
    if as_json:
        keys = ("run", "status", "started", "took", "queries", "failedQueries", "users")
        runs = [dict(zip(keys, row, strict=True)) for row in rows]
        typer.echo(json.dumps(runs, indent=2))
        return
    if not rows:
        screen.line(f"{found.name} has no runs yet.")
        return
    columns = ("Run", "Status", "Started", "Took", "Queries", "Failed", "Users")
    screen.table(columns, rows)


def _row(pipeline: Pipeline, execution: Mapping[str, Any]) -> tuple[str, ...]:
    arn, status, started = (
        execution["executionArn"],
        execution["status"],
        execution["startDate"],
    )
    ended = execution.get("stopDate")
    took = screen.duration(ended - started) if ended else ""
    counts = ("", "", "")
    if status != RUNNING:
        answer = pipeline.account.step_functions.describe_execution(executionArn=arn)
        if status == SUCCEEDED:
            output = json.loads(answer["output"])
            counts = (
                f"{output['queries']:,}",
                f"{output['failedQueries']:,}",
                f"{output['users']:,}",
            )
        elif answer.get("error"):
            status = f"{status}: {answer['error']}"
    return pipeline.run_of(execution), status, screen.moment(started), took, *counts
