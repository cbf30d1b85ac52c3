"""Looks how far the job of a run is."""

import logging
from collections.abc import Mapping
from typing import Any, Final

from . import clients, jobs, log_fields, times
from .aws_errors import SDK_ERRORS, access_denied, is_denied, is_transient
from .failures import JobFailed, JobTimeout, RunFailure, describe

_log = logging.getLogger(__name__)

# How long beyond its time a job is looked for while the service does not answer.
_GRACE_SECONDS: Final = 900
# A grant that is new takes effect after a while, a job that is new may not be found.
_SETTLING_SECONDS: Final = 180
_SOON_SECONDS: Final = 60


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Look at the job of a run: whether it works, is done or failed.

    The event has `now`, `run`, `job`, `pollIntervalSeconds` and `jobTimeoutSeconds`.
    """
    job = {**event["job"], "looks": event["job"]["looks"] + 1}
    event = {**event, "job": job}
    try:
        result = _look(event)
    except RunFailure as failure:
        _log.warning(
            "Job failed", extra=log_fields.of(event, error=type(failure).__name__)
        )
        return _result("failed", job, 0, describe(failure))
    _log.info(
        "Job looked at",
        extra=log_fields.of(event, status=result["job"]["status"]),
    )
    return result


def _look(event: dict[str, Any]) -> dict[str, Any]:
    job = event["job"]
    try:
        found = jobs.describe(clients.personalize_once(), job["arn"])
    except SDK_ERRORS as error:
        return _unanswered(event, error)
    if found is None:
        return _not_found(event)
    now = event["now"]
    job = {
        **job,
        **jobs.state(job["name"], job["arn"], job["since"], job["output"], found),
        "looks": job["looks"],
        "finishedAt": now if found.get("status") == jobs.ACTIVE else None,
    }
    if found.get("status") == jobs.ACTIVE:
        return _result("done", job, 0, None)
    if jobs.has_failed(found):
        return _result("failed", job, 0, describe(_failed(event["run"], job, found)))
    return _working(event, job, event["pollIntervalSeconds"])


def _failed(
    run: Mapping[str, Any], job: Mapping[str, Any], found: Mapping[str, Any]
) -> JobFailed:
    reason = found.get("failureReason") or "no reason given"
    return JobFailed(
        f"Personalize could not finish the job {job['name']} ({found.get('status')}): "
        f"{reason.rstrip('.')}. Correct that and start an execution with "
        f'{{"resume": "{run["name"]}"}}, which uses the same prepared input, or with '
        "new query files."
    )


def _working(event: dict[str, Any], job: dict[str, Any], wait: int) -> dict[str, Any]:
    left = _left(event)
    if left <= 0:
        return _result("failed", job, 0, describe(_timed_out(event, job)))
    return _result("working", job, max(1, min(wait, int(left))), None)


def _left(event: dict[str, Any]) -> float:
    elapsed = times.seconds_since(event["job"]["since"], event["now"])
    return float(event["jobTimeoutSeconds"] - elapsed)


def _timed_out(event: dict[str, Any], job: Mapping[str, Any]) -> JobTimeout:
    return JobTimeout(
        f"The job {job['name']} is {job['status'] or 'not finished'} after "
        f"{event['jobTimeoutSeconds']:,} seconds. Jobs cannot be stopped: it goes on "
        "in Personalize and holds its slot. Start an execution with "
        f'{{"resume": "{event["run"]["name"]}"}} to collect its segments later, and '
        "give the pipeline a longer job_timeout if jobs need it."
    )


def _unanswered(event: dict[str, Any], error: Exception) -> dict[str, Any]:
    """Look again after an error that passes; it says nothing about the job."""
    job = event["job"]
    if is_denied(error):
        job = {**job, "refusedSince": job["refusedSince"] or event["now"]}
        if times.seconds_since(job["refusedSince"], event["now"]) >= _SETTLING_SECONDS:
            raise access_denied(error, job["arn"]) from error  # type: ignore[arg-type]
    elif not is_transient(error):
        raise error
    soon = min(event["pollIntervalSeconds"], _SOON_SECONDS)
    if _left(event) + _GRACE_SECONDS <= 0:
        raise _timed_out(event, job) from error
    return _result("working", job, soon, None)


def _not_found(event: dict[str, Any]) -> dict[str, Any]:
    job = event["job"]
    settling = _SETTLING_SECONDS + event["pollIntervalSeconds"]
    if times.seconds_since(job["since"], event["now"]) > settling:
        raise JobFailed(
            f"The job {job['name']} cannot be found, though it was created "
            f"({job['arn']}); start a new execution."
        )
    return _working(event, job, min(event["pollIntervalSeconds"], _SOON_SECONDS))


def _result(
    outcome: str,
    job: dict[str, Any],
    wait_seconds: int,
    failure: dict[str, str] | None,
) -> dict[str, Any]:
    return {
        "outcome": outcome,
        "job": job,
        "waitSeconds": wait_seconds,
        "failure": failure,
    }
