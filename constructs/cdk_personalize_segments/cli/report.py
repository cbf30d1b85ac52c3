"""Tells how a run ended: its segments, what failed and why, and what lies where."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from cdk_personalize_segments._runtime import locations
from cdk_personalize_segments.cli import costs, results, screen
from cdk_personalize_segments.cli.errors import CliError, is_denied, sentence
from cdk_personalize_segments.cli.executions import SUCCEEDED, Snapshot
from cdk_personalize_segments.cli.pipelines import Pipeline
from cdk_personalize_segments.cli.results import SEGMENT, Segment

Label = Callable[[Mapping[str, Any]], str]

_MOST_QUERIES: Final = 20
_MOST_USERS: Final = 5
_MOST_FAILURES: Final = 10
_ENDED: Final = {
    "ABORTED": "The execution was aborted; its job, if it had one, goes on.",
    "TIMED_OUT": "The execution took longer than the state machine allows.",
}


def label(query: Mapping[str, Any]) -> str:
    """Write a query for people: what it asks for, and its filter values."""
    asked = str(query.get("itemId") or query.get("itemAttributes") or "")
    values = query.get("filterValues")
    return f"{asked} {json.dumps(values, ensure_ascii=False)}" if values else asked


def run_ended(
    pipeline: Pipeline,
    snapshot: Snapshot,
    label: Label = label,
    personalize: costs.PersonalizePrice | None = None,
) -> int:
    """Tell how a run ended.

    Args:
        pipeline: Its pipeline.
        snapshot: The run, ended.
        label: How to write a query.
        personalize: What Personalize charges, if that is known.

    Returns:
        0 if it succeeded, else 1.
    """
    try:
        manifest = results.manifest(pipeline, snapshot.run)
        if manifest and manifest["parts"]:
            _segments(pipeline, manifest, label)
            _failures(pipeline, manifest, label)
    except ClientError as error:
        # Who may start runs may not always read results.
        if not is_denied(error):
            raise
        manifest = None
        screen.note(f"The segments cannot be shown: {sentence(error)}", "yellow")
    except CliError as error:
        manifest = None
        screen.note(f"The segments cannot be shown: {error}", "yellow")
    if snapshot.status == SUCCEEDED:
        _success(snapshot)
    else:
        _failure(snapshot)
    if manifest:
        _places(pipeline, manifest, told=snapshot.cause or "")
        costs.show(manifest, personalize)
    return 0 if snapshot.status == SUCCEEDED else 1


def _segments(pipeline: Pipeline, manifest: Mapping[str, Any], label: Label) -> None:
    shown = results.first_segments(pipeline, manifest, _MOST_QUERIES, _MOST_USERS)
    screen.table(
        ("Query", "Users", "First users"),
        ((label(each.query), f"{each.users:,}", _users(each)) for each in shown),
    )
    more = manifest["queries"]["total"] - len(shown)
    if more > 0:
        screen.line(f"… and {screen.count(more, 'more query')}")
        screen.line()


def _users(segment: Segment) -> str:
    if segment.status != SEGMENT:
        return {"empty": "no users", "failed": f"failed: {segment.error}"}.get(
            segment.status, segment.status
        )
    users = ", ".join(segment.first_users)
    if segment.users == len(segment.first_users):
        return users
    return f"{users}, …" if users else "…"


def _failures(pipeline: Pipeline, manifest: Mapping[str, Any], label: Label) -> None:
    counts = manifest["queries"]
    number = counts["failed"] + counts["missing"]
    if not number:
        return
    screen.line(f"{screen.count(number, 'query')} without an answer:", "yellow")
    for each in results.unanswered(pipeline, manifest, _MOST_FAILURES):
        reason = each.error or "missing in the job's output"
        screen.line(f"  {each.file}, line {each.line}: {label(each.query)}: {reason}")
    if number > _MOST_FAILURES:
        screen.line("  … all of them are in the results, with their reasons.")
    screen.line()


def _success(snapshot: Snapshot) -> None:
    output = snapshot.output or {}
    if nothing := output.get("nothingToDo"):
        screen.line(f"Run {snapshot.run} had nothing to do: {nothing}", "yellow")
        return
    screen.line(
        f"Run {snapshot.run} succeeded in {screen.duration(snapshot.elapsed)}: "
        f"{screen.count(output['queries'], 'query')}, "
        f"{output['failedQueries']:,} failed, {screen.count(output['users'], 'user')}.",
        "green" if output["failedQueries"] < output["queries"] else "yellow",
    )
    if output["failedQueries"] == output["queries"]:
        screen.line(
            "No query got an answer; max_failed_queries on the pipeline makes such a "
            "run fail.",
            "yellow",
        )
    if output.get("skippedLines"):
        skipped = screen.count(output["skippedLines"], "line")
        screen.line(f"{skipped} that cannot be used were skipped.", "yellow")


def _failure(snapshot: Snapshot) -> None:
    error = snapshot.error or snapshot.status
    cause = snapshot.cause or _ENDED.get(snapshot.status, "No cause was given.")
    screen.line(f"Run {snapshot.run} failed: {error}", "bold red")
    screen.line(cause)


def _places(pipeline: Pipeline, manifest: Mapping[str, Any], told: str) -> None:
    bucket, key = (
        pipeline.places.output_bucket,
        pipeline.places.manifest(manifest["run"]),
    )
    rows = [("manifest", locations.uri(bucket, key))]
    if manifest["results"]:
        rows = [*manifest["results"].items(), *rows]
    if manifest["job"]:
        rows.append(("raw", manifest["job"]["output"]))
    if manifest["invalidLines"]:
        rows.append(("bad lines", manifest["invalidLines"]["location"]))
    screen.places((what, where) for what, where in rows if where not in told)
