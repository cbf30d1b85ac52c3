"""Metrics in log lines: what is put, and what is refused with a reason."""

import json
from datetime import UTC, datetime

import pytest

from cdk_personalize_segments.local.cloudwatch import embedded
from cdk_personalize_segments.local.cloudwatch.metrics import Metric, Metrics

NOW = datetime(2031, 5, 1, 12, 0, 30, tzinfo=UTC)
MINUTE = NOW.timestamp() - 30


@pytest.fixture
def metrics():
    return Metrics(lambda: NOW)


def document(directive=None, meta=None, **members):
    """Write a valid document, but for what is given."""
    directives = [
        {
            "Namespace": "Own",
            "Dimensions": [["Pipeline"], ["Pipeline", "Error"]],
            "Metrics": [{"Name": "Runs", "Unit": "Count"}],
            **(directive or {}),
        }
    ]
    return {
        "_aws": {
            "Timestamp": int(NOW.timestamp() * 1000),
            "CloudWatchMetrics": directives,
            **(meta or {}),
        },
        "Pipeline": "a",
        "Error": "JobFailed",
        "Runs": 1,
        **members,
    }


def put(metrics, line):
    text = line if isinstance(line, str) else json.dumps(line)
    embedded.extract(metrics, "us-east-1", "group", text)


def values(metrics, name="Runs", namespace="Own", **dimensions):
    metric = Metric.of("us-east-1", namespace, name, dimensions)
    return metrics.series(metric).between(0, MINUTE + 60)


@pytest.mark.emulates("metrics:embedded")
def test_each_dimension_set_is_a_metric(metrics):
    put(metrics, document())
    assert values(metrics, Pipeline="a") == [(MINUTE, 1, "Count", 1)]
    assert values(metrics, Pipeline="a", Error="JobFailed") == [(MINUTE, 1, "Count", 1)]
    assert len(list(metrics.all())) == 2


def test_lists_of_values_high_resolution_and_no_dimensions(metrics):
    made = document(
        {
            "Dimensions": [[]],
            "Metrics": [{"Name": "Times", "StorageResolution": 1}],
        },
        Times=[1.5, 2],
    )
    # What Lambda puts before a line of the logger in text logs.
    put(metrics, f"[INFO]\t2031-05-01T12:00:30Z\tid\t{json.dumps(made)}")
    at = NOW.timestamp()
    assert values(metrics, "Times") == [(at, 1.5, "None", 1), (at, 2, "None", 1)]


@pytest.mark.emulates("metrics:AWS/Logs")
@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (json.dumps(document())[:-1], "it is no JSON"),
        ({"message": document()}, "_aws is inside of something else"),
        (document(meta={"Timestamp": "now"}), "'now' is not of type 'integer' at"),
        (document({"Metrics": [{"Name": "Runs"}] * 101}), "is too long at"),
        (document({"Dimensions": [["Pipeline"] * 31]}), "is too long at"),
        (document({"Dimensions": []}), "Dimensions"),
        (document({"Metrics": [{"Name": "Runs", "Unit": "Runs"}]}), "'Runs' is not"),
        (document(Pipeline=7), "the dimension Pipeline must be a member"),
        (document(Pipeline=" "), "the dimension Pipeline must be a member"),
        (document(Runs=None), "the metric Runs must be a member"),
        (document(Runs=[1] * 101), "the metric Runs must be a member"),
        (document(Runs=float("nan")), "the metric Runs must be a member"),
        (document(Runs=True), "the metric Runs must be a member"),
        (document(meta={"Timestamp": 0}), "before now, on the virtual clock"),
        (document(Padding="x" * 1024 * 1024), "longer than 1048576 bytes"),
    ],
)
def test_what_the_service_drops_is_refused_with_a_reason(metrics, caplog, line, reason):
    put(metrics, line)
    [refusal] = metrics.refused
    assert refusal.log_group == "group"
    assert reason in refusal.reason
    assert "CloudWatch would drop its metrics" in caplog.text
    [(metric, _)] = metrics.all()
    assert metric.namespace == "AWS/Logs"
    assert metric.dimensions == (("LogGroupName", "group"),)


def test_other_lines_are_left_alone(metrics):
    for line in ("text", "{}", '{"_aws": 1}', '{"a": "CloudWatchMetrics"}'):
        put(metrics, line)
    assert not metrics.refused
    assert not list(metrics.all())
