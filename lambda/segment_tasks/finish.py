"""Ends a run: accounts for every query, or records why the run failed."""

import logging
from typing import Any, Final

from . import (
    accounts,
    costs,
    jobs,
    log_fields,
    manifest,
    metrics,
    plans,
    results_tables,
    run_outputs,
    times,
    usage,
)
from .accounts import Accounts
from .failures import (
    MAX_CAUSE_LENGTH,
    AccessDenied,
    InvalidInput,
    JobFailed,
    OutputIncomplete,
    RunFailure,
    TooManyFailedQueries,
    describe,
    describe_caught,
    shorten,
)
from .locations import Locations, run_of, uri
from .times import Context
from .usage import Meter

_log = logging.getLogger(__name__)

# Whether output can appear after a job is ACTIVE is not documented.
_LOOK_SECONDS: Final = 300
_SOON_SECONDS: Final = 60
# Looking again at so many parts goes into the execution's history each time.
_MANY_PARTS: Final = 100
# Failures after which there is nothing that a resumed run could collect.
_WITHOUT_JOB: Final = frozenset({JobFailed.__name__, OutputIncomplete.__name__})


def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """End a run, or say when to look again for output that is missing.

    The event has `now`, `execution`, `run`, `job`, `waiting`, `looking`,
    `maxFailedQueries` and the `failure` to record, or null.
    """
    meter = usage.Meter(context)
    places = Locations()
    name = (event["run"] or {}).get("name") or run_of(places, event["execution"])
    if event["failure"] is not None:
        failure = _given_failure(event["failure"])
        failure["cause"] += _way_back(event["job"], name, failure)
        return _record(event, meter, places, name, failure)
    try:
        return _account(event, meter, places, name)
    except OutputIncomplete as failure:
        return _record(event, meter, places, name, describe(failure))


def _given_failure(failure: dict[str, Any]) -> dict[str, str]:
    if "caught" in failure:
        return describe_caught(failure["state"], failure["caught"])
    return {"error": failure["error"], "cause": failure["cause"]}


def _way_back(job: dict[str, Any] | None, name: str, failure: dict[str, str]) -> str:
    """Say how to come by the segments of a job that does not end with its run."""
    cause = failure["cause"]
    if job is None or jobs.has_failed(job) or '"resume"' in cause:
        return ""
    if failure["error"] in _WITHOUT_JOB:
        return ""
    return (
        f" The job {job['name']} goes on in Personalize or is done; start an execution "
        f'with {{"resume": "{name}"}} to collect its segments.'
    )


def _account(
    event: dict[str, Any], meter: Meter, places: Locations, name: str
) -> dict[str, Any]:
    """Account for every query of a run whose job is done."""
    plan = plans.read(places, name)
    if plan is None:
        raise plans.gone(places.input_bucket, places.plan(name))
    found = accounts.read(places, name, plan["run"]["queries"], plan["parts"])
    if found.unfinished:
        return _collect_again(event, found.unfinished, 1, event["looking"])
    left = _LOOK_SECONDS - times.seconds_since(_since(event), event["now"])
    if found.incomplete and left > 0:
        few = len(found.incomplete) <= _MANY_PARTS
        wait = min(_SOON_SECONDS if few else _LOOK_SECONDS, int(left))
        looking = {**event["looking"], "since": _since(event)}
        return _collect_again(event, found.incomplete, max(1, wait), looking)
    results_tables.register(places, name)
    failure = _verdict(event, places, name, found)
    described = describe(failure) if failure else None
    cost = costs.of_run(event, found, meter)
    record = manifest.build(places, event, event["run"], plan, found, described, cost)
    manifest.write(places, record)
    metrics.put_end(record)
    if described:
        return _failed(event, places, name, described)
    return _succeeded(event, places, name, found)


def _since(event: dict[str, Any]) -> str:
    return str(event["looking"]["since"] or event["now"])


def _collect_again(
    event: dict[str, Any], parts: list[int], wait: int, looking: dict[str, Any]
) -> dict[str, Any]:
    looking = {
        **looking,
        "rounds": looking["rounds"] + 1,
        "parts": looking["parts"] + len(parts),
    }
    again = {"waitSeconds": wait, "parts": parts, "looking": looking}
    return {**_result(event, "lookAgain"), **again}


def _verdict(
    event: dict[str, Any], places: Locations, name: str, found: Accounts
) -> RunFailure | None:
    results = uri(places.output_bucket, places.results_folder(name))
    if found.incomplete:
        return OutputIncomplete(
            f"The job is done, but {found.missing:,} of {found.queries:,} queries have "
            "neither users nor an error in its output, also after looking again for "
            f"{_LOOK_SECONDS // 60} minutes. Everything else is saved in {results}; "
            "beneath queries/ there, their status is missing. Start an execution with "
            f'{{"resume": "{name}"}} to look once more.'
        )
    failed, most = found.sum("failed"), event["maxFailedQueries"]
    if most is None:
        return None
    if isinstance(most, bool) or not isinstance(most, int) or most < 0:
        return InvalidInput(
            "The pipeline's max_failed_queries must be a whole number, 0 or more, got "
            f"{most!r}; correct it. All results are saved in {results}."
        )
    if failed > most:
        return TooManyFailedQueries(
            f"{failed:,} of {found.queries:,} queries failed, and max_failed_queries "
            f"is {most:,}. All results are saved in {results}; beneath queries/ there "
            "is the reason for each."
        )
    return None


def _record(
    event: dict[str, Any],
    meter: Meter,
    places: Locations,
    name: str,
    failure: dict[str, str],
) -> dict[str, Any]:
    """Record a failure that another step reports."""
    try:
        plan = plans.read(places, name)
        found = Accounts(0, [], [], [])
        if plan:
            found = accounts.read(places, name, plan["run"]["queries"], plan["parts"])
        run = plan["run"] if plan else {"name": name, **(event["run"] or {})}
        cost = costs.of_run(event, found, meter)
        record = manifest.build(places, event, run, plan, found, failure, cost)
        manifest.write(places, record)
    except AccessDenied as denied:
        # What went wrong first is what has to be told.
        _log.warning("Manifest not written", extra=log_fields.of(event, run=name))
        _tell_of_failure(event, name, failure["error"])
        metrics.put_failure(event["now"], failure["error"])
        cause = f"{failure['cause']} The manifest could not be written: {denied}"
        return _result(event, "failed", {**failure, "cause": shorten(cause)})
    metrics.put_end(record)
    return _failed(event, places, name, failure)


def _failed(
    event: dict[str, Any], places: Locations, name: str, failure: dict[str, str]
) -> dict[str, Any]:
    where = f" Manifest: {uri(places.output_bucket, places.manifest(name))}"
    cause = shorten(failure["cause"], MAX_CAUSE_LENGTH - len(where)) + where
    _tell_of_failure(event, name, failure["error"])
    return _result(event, "failed", {"error": failure["error"], "cause": cause})


def _tell_of_failure(event: dict[str, Any], name: str, error: str) -> None:
    _log.warning("Run failed", extra=log_fields.of(event, run=name, error=error))


def _succeeded(
    event: dict[str, Any], places: Locations, name: str, found: Accounts
) -> dict[str, Any]:
    counts = {
        "queries": found.queries,
        "failedQueries": found.sum("failed"),
        "users": found.sum("users"),
    }
    _log.info("Run succeeded", extra=log_fields.of(event, run=name, **counts))
    result = run_outputs.of_run(
        name,
        jobName=event["job"]["name"],
        jobArn=event["job"]["arn"],
        solutionVersionArn=event["run"]["solutionVersionArn"],
        **counts,
        skippedLines=(event["run"]["invalidLines"] or {"count": 0})["count"],
        manifest=uri(places.output_bucket, places.manifest(name)),
        output=event["job"]["output"],
    )
    return {**_result(event, "succeeded"), "result": result}


def _result(
    event: dict[str, Any], outcome: str, failure: dict[str, str] | None = None
) -> dict[str, Any]:
    return {
        "outcome": outcome,
        "waitSeconds": 0,
        "parts": [],
        "looking": event["looking"],
        "result": None,
        "failure": failure,
    }
