"""The command `list`: the recent runs."""

import json
from collections.abc import Mapping
from datetime import datetime
from itertools import islice
from typing import Annotated, Any, Final

import typer

from cdk_personalize_segments.cli import options, screen
from cdk_personalize_segments.cli.executions import RUNNING, SUCCEEDED, list_executions
from cdk_personalize_segments.cli.pipelines import Pipeline

_COUNTS: Final = ("queries", "failedQueries", "users")


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
    runs = [_told(found, each) for each in islice(list_executions(found), most)]
    if as_json:
        typer.echo(json.dumps(runs, indent=2, default=datetime.isoformat))
        return
    if not runs:
        screen.line(f"{found.name} has no runs yet.")
        return
    columns = ("Run", "Status", "Started", "Took", "Queries", "Failed", "Users")
    screen.table(columns, map(_row, runs))


def _told(pipeline: Pipeline, execution: Mapping[str, Any]) -> dict[str, Any]:
    arn, status = execution["executionArn"], execution["status"]
    output, error = {}, None
    if status != RUNNING:
        answer = pipeline.account.step_functions.describe_execution(executionArn=arn)
        error = answer.get("error")
        if status == SUCCEEDED:
            output = json.loads(answer["output"])
    return {
        "run": pipeline.run_of(execution),
        "executionArn": arn,
        "status": status,
        "error": error,
        "startedAt": execution["startDate"],
        "finishedAt": execution.get("stopDate"),
        **{key: output.get(key) for key in _COUNTS},
        "nothingToDo": output.get("nothingToDo"),
    }


def _row(run: Mapping[str, Any]) -> tuple[str, ...]:
    ended = run["finishedAt"]
    more = run["error"] or ("nothing to do" if run["nothingToDo"] else None)
    return (
        run["run"],
        f"{run['status']}: {more}" if more else run["status"],
        screen.moment(run["startedAt"]),
        screen.duration(ended - run["startedAt"]) if ended else "",
        *("" if run[key] is None else f"{run[key]:,}" for key in _COUNTS),
    )
