"""The metrics of runs, as documents that CloudWatch reads out of the functions' log.

A document in the embedded metric format costs no request and needs no permission. It is
printed, not logged: Lambda would wrap what is logged in a document of its own.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import json
import os
from collections.abc import Mapping
from typing import Any, Final

from . import times

NAMESPACE: Final = "PersonalizeSegments"
PIPELINE: Final = "Pipeline"
ERROR: Final = "Error"
UNITS: Final = {
    "Runs": "Count",
    "SucceededRuns": "Count",
    "FailedRuns": "Count",
    "Queries": "Count",
    "FailedQueries": "Count",
    "Users": "Count",
    "QueueTime": "Seconds",
    "JobTime": "Seconds",
    "WaitingTime": "Seconds",
    "InputBytes": "Bytes",
    "OutputBytes": "Bytes",
}


def put_end(manifest: Mapping[str, Any]) -> None:
    """Put what a run came to, from its manifest; what is not known is left out."""
    values: dict[str, float] = {"Runs": 1}
    failure = manifest["failure"]
    values["SucceededRuns"] = 0 if failure else 1
    values["FailedRuns"] = 1 if failure else 0
    if sources := manifest["sources"]:
        values["Queries"] = manifest["queries"]["total"]
        values["InputBytes"] = sum(each["bytes"] for each in sources)
    if manifest["results"]:
        values["FailedQueries"] = manifest["queries"]["failed"]
        values["Users"] = manifest["users"]
        values["OutputBytes"] = sum(
            file["bytes"] for part in manifest["parts"] for file in part["files"]
        )
    queued, worked = times.taken(manifest["job"] or {})
    if queued is not None:
        values["QueueTime"] = queued
    if worked is not None:
        values["JobTime"] = worked
    error = failure["error"] if failure else None
    _print(manifest["finishedAt"], values, error)


def put_failure(now: str, error: str) -> None:
    """Put that a run failed of which nothing else is known."""
    _print(now, {"Runs": 1, "SucceededRuns": 0, "FailedRuns": 1}, error)


def put_waiting(now: str, seconds: float) -> None:
    """Put for how long a run has waited for a job slot so far."""
    _print(now, {"WaitingTime": seconds}, None)


def _print(now: str, values: Mapping[str, float], error: str | None) -> None:
    """Print a document; failed runs count once more by their error."""
    directives = [_directive([[PIPELINE]], values)]
    fields: dict[str, Any] = {PIPELINE: os.environ["RUN_PREFIX"], **values}
    if error is not None:
        directives.append(_directive([[PIPELINE, ERROR]], ["FailedRuns"]))
        fields[ERROR] = error
    instant = round(times.parse(now).timestamp() * 1000)
    document = {"_aws": {"Timestamp": instant, "CloudWatchMetrics": directives}}
    print(json.dumps({**document, **fields}))


def _directive(
    dimensions: list[list[str]], names: Mapping[str, float] | list[str]
) -> dict[str, Any]:
    return {
        "Namespace": NAMESPACE,
        "Dimensions": dimensions,
        "Metrics": [{"Name": name, "Unit": UNITS[name]} for name in names],
    }
