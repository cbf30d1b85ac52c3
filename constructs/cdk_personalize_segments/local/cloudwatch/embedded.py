"""Metrics in log lines: the embedded metric format.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/
CloudWatch_Embedded_Metric_Format_Specification.html, whose JSON schema this has. What
the specification calls wrong is refused with a warning, and kept in
`aws.metrics.refused`: CloudWatch drops it and counts it in the namespace AWS/Logs.

The specification leaves open, and local AWS takes it so: a document of which a part is
wrong is refused as a whole, and its time may be as far from now as PutMetricData lets
values be.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from jsonschema import Draft7Validator
from jsonschema.exceptions import best_match

from cdk_personalize_segments.local.cloudwatch.metrics import (
    LONGEST_FUTURE_HOURS,
    LONGEST_PAST_DAYS,
    UNITS,
    Metric,
)
from cdk_personalize_segments.local.untyped import Json

if TYPE_CHECKING:
    from cdk_personalize_segments.local.cloudwatch.metrics import Metrics

MOST_METRICS: Final = 100
MOST_DIMENSIONS: Final = 30
MOST_VALUES: Final = 100
_LONGEST: Final = 1024 * 1024
_LONGEST_DIMENSION: Final = 1024
_NAME: Final = {"type": "string", "minLength": 1, "maxLength": 255}
_METRIC: Final = {
    "type": "object",
    "required": ["Name"],
    "properties": {
        "Name": _NAME,
        "Unit": {"enum": list(UNITS)},
        "StorageResolution": {"enum": [1, 60]},
    },
}
_DIRECTIVE: Final = {
    "type": "object",
    "required": ["Namespace", "Dimensions", "Metrics"],
    "properties": {
        "Namespace": _NAME,
        "Dimensions": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "array", "maxItems": MOST_DIMENSIONS, "items": _NAME},
        },
        "Metrics": {"type": "array", "maxItems": MOST_METRICS, "items": _METRIC},
    },
}
_DOCUMENT: Final = Draft7Validator(
    {
        "type": "object",
        "required": ["_aws"],
        "properties": {
            "_aws": {
                "type": "object",
                "required": ["Timestamp", "CloudWatchMetrics"],
                "properties": {
                    "Timestamp": {"type": "integer"},
                    "CloudWatchMetrics": {"type": "array", "items": _DIRECTIVE},
                },
            }
        },
    }
)
_MARKS: Final = ('"_aws"', "CloudWatchMetrics")
_PARSING: Final = "EMFParsingErrors"
_VALIDATION: Final = "EMFValidationErrors"
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True)
class Refusal:
    """A document that CloudWatch would have dropped.

    Attributes:
        log_group: The log group that it came to.
        reason: What is wrong with it.
        line: The log line.
    """

    log_group: str
    reason: str
    line: str


class _DocumentError(Exception):
    """A document is wrong.

    Attributes:
        counted: The metric of AWS/Logs that counts it.
    """

    def __init__(self, counted: str, reason: str) -> None:
        super().__init__(reason)
        self.counted = counted


def extract(metrics: "Metrics", region: str, log_group: str, line: str) -> None:
    """Put the values that a log line has, if it has some.

    Args:
        metrics: The account's metrics.
        region: The Region of the log group.
        log_group: The log group.
        line: The line.
    """
    # Most lines have none, and need not be parsed for that.
    if not all(mark in line for mark in _MARKS):
        return
    try:
        document = _document(line, metrics.now())
    except _DocumentError as error:
        _log.warning(
            "a log line in %s is no valid document in the embedded metric format, and "
            "CloudWatch would drop its metrics: %s",
            log_group,
            error,
        )
        metrics.refused.append(Refusal(log_group, str(error), line))
        counted = {"LogGroupName": log_group}
        metrics.put(Metric.of(region, "AWS/Logs", error.counted, counted), 1, "Count")
        return
    at = document["_aws"]["Timestamp"] / 1000
    for directive, names, definition in _defined(document):
        metric = Metric.of(
            region,
            directive["Namespace"],
            definition["Name"],
            {name: document[name] for name in names},
        )
        for value in _values(document[definition["Name"]]):
            metrics.put(
                metric,
                value,
                definition.get("Unit", "None"),
                at=at,
                to_the_second=definition.get("StorageResolution") == 1,
            )


def _document(line: str, now: float) -> Mapping[str, Any]:
    """Read a document, as it is or after what Lambda puts before it in text logs."""
    try:
        document = json.loads(line[max(line.find("{"), 0) :])
    except ValueError as error:
        raise _DocumentError(_PARSING, f"it is no JSON: {error}") from None
    if not (isinstance(document, dict) and "_aws" in document):
        raise _DocumentError(
            _PARSING,
            "_aws is inside of something else; print the document as a line of its "
            "own, past the logger",
        )
    if len(line.encode()) > _LONGEST:
        raise _DocumentError(_VALIDATION, f"it is longer than {_LONGEST} bytes")
    wrong = best_match(_DOCUMENT.iter_errors(document))
    if wrong is not None:
        raise _DocumentError(_VALIDATION, f"{wrong.message} at {wrong.json_path}")
    _check_time(document["_aws"]["Timestamp"] / 1000 - now)
    for _, names, definition in _defined(document):
        for name in names:
            _check_dimension(document, name)
        _check_values(document, definition["Name"])
    return document


def _defined(
    document: Mapping[str, Any],
) -> Iterator[tuple[Mapping[str, Any], list[str], Mapping[str, Any]]]:
    """Give each directive with each of its dimension sets and metrics."""
    for directive in document["_aws"]["CloudWatchMetrics"]:
        for names in directive["Dimensions"]:
            for definition in directive["Metrics"]:
                yield directive, names, definition


def _check_time(ahead: float) -> None:
    """Check the seconds that a document is ahead of now."""
    if not -LONGEST_PAST_DAYS * 86_400 <= ahead <= LONGEST_FUTURE_HOURS * 3600:
        raise _DocumentError(
            _VALIDATION,
            f"its Timestamp is {abs(ahead):.0f} seconds "
            f"{'after' if ahead > 0 else 'before'} now, on the virtual clock",
        )


def _check_dimension(document: Mapping[str, Any], name: str) -> None:
    value = document.get(name)
    if not (
        isinstance(value, str)
        and value.isascii()
        and value.strip()
        and len(value) <= _LONGEST_DIMENSION
    ):
        raise _DocumentError(
            _VALIDATION,
            f"the dimension {name} must be a member of it with an ASCII text of 1 to "
            f"{_LONGEST_DIMENSION} characters",
        )


def _check_values(document: Mapping[str, Any], name: str) -> None:
    values = _values(document.get(name))
    if not (
        values
        and len(values) <= MOST_VALUES
        and all(_is_number(value) for value in values)
    ):
        raise _DocumentError(
            _VALIDATION,
            f"the metric {name} must be a member of it with a number, or with 1 to "
            f"{MOST_VALUES} numbers",
        )


def _values(value: Json) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is_number(value: Json) -> bool:
    # NaN is what JSON of Python has, and no JSON.
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and value - value == 0
    )
