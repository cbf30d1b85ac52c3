"""Tells people and machines how a run ended, or that it waits for a job slot."""

import json
import logging
import os
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from . import clients, event_bus, log_fields, notices, objects, run_events, times
from .aws_errors import SDK_ERRORS
from .failures import RunFailure, describe_caught
from .locations import Locations, run_of, uri

_log = logging.getLogger(__name__)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# What finish adds to a cause, which a notice tells by itself.
_MANIFEST_AT_END: Final = re.compile(r" Manifest: s3://\S+$")
_UNKNOWN: Final = dict.fromkeys(
    (
        "jobName",
        "jobArn",
        "solutionVersionArn",
        "queries",
        "failedQueries",
        "users",
        "skippedLines",
        "queuedSeconds",
        "workedSeconds",
        "manifest",
        "results",
        "nothingToDo",
    )
)


def handler(event: dict[str, Any], context: object) -> None:
    """Tell of a run, by an event and a message.

    The event is one of EventBridge: that the status of an execution changed, or that a
    run is queued too long, which is an event already. What cannot be told is raised at
    the end, so that Lambda tries again: then the other part is told twice.
    """
    detail = event["detail"]
    if event["source"] == run_events.SOURCE:
        tellings = [_message(*notices.of_queueing(detail))]
    else:
        detail = _end(detail)
        succeeded = detail["status"] == "SUCCEEDED"
        kind = run_events.SUCCEEDED if succeeded else run_events.FAILED
        tellings = [
            lambda: event_bus.put(clients.events(), kind, detail),
            _message(*notices.of_end(detail)),
        ]
    # Each is tried, whatever becomes of the others.
    failed = [error for each in tellings if (error := _tried(each, detail))]
    if failed:
        raise failed[0]
    _log.info("Told of a run", extra=_named(detail))


def _tried(tell: Callable[[], object], detail: Mapping[str, Any]) -> Exception | None:
    try:
        tell()
    except (*SDK_ERRORS, event_bus.EventNotPutError) as error:
        _log.error("Not told of a run: %s", error, extra=_named(detail))
        return error
    return None


def _named(detail: Mapping[str, Any]) -> dict[str, object]:
    return log_fields.of(
        {},
        execution=detail["executionArn"],
        run=detail["run"],
        job=detail.get("jobName"),
    )


def _message(subject: str, body: str) -> Callable[[], object]:
    topic = os.environ.get("NOTIFICATION_TOPIC_ARN")
    if not topic:
        return lambda: None
    return lambda: clients.sns().publish(TopicArn=topic, Subject=subject, Message=body)


def _end(change: Mapping[str, Any]) -> dict[str, Any]:
    """Return what there is to tell of an execution that ended."""
    places, status, arn = Locations(), change["status"], change["executionArn"]
    started, ended = (_instant(change[each]) for each in ("startDate", "stopDate"))
    run = run_of(places, {"arn": arn, "startedAt": started})
    common = run_events.common(run, arn, status)
    output = _parsed(change.get("output")) or {}
    record = None if output.get("nothingToDo") else _manifest(places, common)
    detail = {
        **common,
        "startedAt": started,
        "endedAt": ended,
        "input": _asked(change),
        **_UNKNOWN,
    }
    if record:
        detail |= _recorded(record, places, run)
    if status == "SUCCEEDED":
        # Most is in the output as well, should the manifest be gone.
        known = {key: output.get(key) for key in _UNKNOWN}
        return detail | {key: known[key] for key in known if known[key] is not None}
    return detail | _failure(change, run, record)


def _instant(milliseconds: int) -> str:
    return times.stamp(_EPOCH + timedelta(milliseconds=milliseconds))


def _parsed(text: object) -> dict[str, Any] | None:
    """Read what an execution was given or returned; events leave out what is long."""
    if not isinstance(text, str):
        return None
    parsed = json.loads(text)
    return parsed if isinstance(parsed, dict) else None


def _asked(change: Mapping[str, Any]) -> dict[str, Any] | None:
    given = _parsed(change.get("input"))
    if given is None:
        return None
    queries, resume, files = (given.get(key) for key in ("queries", "resume", "files"))
    return {
        "queries": queries if isinstance(queries, str) else None,
        "resume": resume if isinstance(resume, str) else None,
        "files": len(files) if isinstance(files, list) else None,
    }


def _manifest(places: Locations, of: Mapping[str, Any]) -> dict[str, Any] | None:
    """Read the manifest, if there is one: the end of a run is told without it, too."""
    try:
        record = objects.read_json(places.output_bucket, places.manifest(of["run"]))
    except (*SDK_ERRORS, RunFailure) as error:
        _log.warning("No manifest read: %s", error, extra=_named(of))
        return None
    return record if isinstance(record, dict) else None


def _recorded(record: Mapping[str, Any], places: Locations, run: str) -> dict[str, Any]:
    job = record["job"] or {}
    queued, worked = times.taken(job)
    # Without input that was prepared, or output, zeros would be no counts.
    prepared, collected = bool(record["sources"]), record["results"] is not None
    lines = record["invalidLines"]
    return {
        "jobName": job.get("name"),
        "jobArn": job.get("arn"),
        "solutionVersionArn": record["solutionVersionArn"],
        "queries": record["queries"]["total"] if prepared else None,
        "failedQueries": record["queries"]["failed"] if collected else None,
        "users": record["users"] if collected else None,
        "skippedLines": lines["count"] if lines and lines["skipped"] else 0,
        "queuedSeconds": None if queued is None else int(queued),
        "workedSeconds": None if worked is None else int(worked),
        "manifest": uri(places.output_bucket, places.manifest(run)),
        "results": uri(places.output_bucket, places.results_folder(run))
        if collected
        else None,
    }


def _failure(
    change: Mapping[str, Any], run: str, record: Mapping[str, Any] | None
) -> dict[str, Any]:
    again = (
        "If its job was created, that goes on in Personalize: start an execution with "
        f'{{"resume": "{run}"}} to collect its segments.'
    )
    words = [change.get("error"), change.get("cause")]
    said = ": ".join(each for each in words if each)
    if change["status"] == "ABORTED":
        reason = f" ({said})" if said else ""
        cause = f"The execution was stopped before its end{reason}. {again}"
        return {"error": "ExecutionAborted", "cause": cause}
    if change["status"] == "TIMED_OUT":
        cause = f"The execution took longer than its state machine allows. {again}"
        return {"error": "ExecutionTimedOut", "cause": cause}
    error, cause = (str(each or "") for each in words)
    failure = (record or {}).get("failure")
    if failure and failure["error"] == error:
        return dict(failure)
    if error == "FailureNotRecorded":
        cause = _unrecorded(cause)
    cause = _MANIFEST_AT_END.sub("", cause)
    return {
        "error": error or "UnexpectedError",
        "cause": cause or "No reason was given; see the execution's history.",
    }


def _unrecorded(cause: str) -> str:
    """Say what failed, and why it could not be recorded: the cause is all as JSON."""
    try:
        told = json.loads(cause)
        first, second = told["failure"], told["notRecorded"]
        if "caught" in first:
            first = describe_caught(first["state"], first["caught"])
        recording = describe_caught("Record failure", second)
        return f"{first['cause']} It could not be recorded: {recording['cause']}"
    except (KeyError, TypeError, ValueError):
        return cause
