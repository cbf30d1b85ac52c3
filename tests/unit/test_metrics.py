"""Metrics: each method gives the metric that the functions put."""

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Template

from cdk_personalize_segments._runtime import metrics

METHODS = {
    "runs": ("Runs", "Sum"),
    "failed_runs": ("FailedRuns", "Sum"),
    "succeeded_runs": ("SucceededRuns", "Sum"),
    "queries": ("Queries", "Sum"),
    "failed_queries": ("FailedQueries", "Sum"),
    "users": ("Users", "Sum"),
    "queue_time": ("QueueTime", "Average"),
    "job_time": ("JobTime", "Average"),
    "waiting_time": ("WaitingTime", "Maximum"),
    "input_bytes": ("InputBytes", "Sum"),
    "output_bytes": ("OutputBytes", "Sum"),
}


def test_every_metric_that_is_put_has_a_method():
    assert {name for name, _ in METHODS.values()} == set(metrics.UNITS)


@pytest.mark.parametrize("method", METHODS)
def test_a_method_gives_its_metric_and_takes_options(make_pipeline, method):
    pipeline = make_pipeline()
    metric = getattr(pipeline, f"metric_{method}")()
    name, statistic = METHODS[method]
    assert (metric.namespace, metric.metric_name) == ("PersonalizeSegments", name)
    assert metric.statistic == statistic
    [(dimension, prefix)] = metric.dimensions.items()
    assert dimension == "Pipeline"
    # The functions put it with the same value.
    template = Template.from_stack(cdk.Stack.of(pipeline))
    template.has_resource_properties(
        "AWS::Lambda::Function", {"Environment": {"Variables": {"RUN_PREFIX": prefix}}}
    )
    other = getattr(pipeline, f"metric_{method}")(
        statistic="p90", period=cdk.Duration.hours(1)
    )
    assert (other.statistic, other.period.to_hours()) == ("p90", 1)


def test_failed_runs_can_be_asked_for_by_error(make_pipeline):
    metric = make_pipeline().metric_failed_runs("JobFailed")
    assert metric.dimensions["Error"] == "JobFailed"


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("started", "ExecutionsStarted"),
        ("aborted", "ExecutionsAborted"),
        ("throttled", "ExecutionThrottled"),
    ],
)
def test_step_functions_counts_the_executions(make_pipeline, method, name):
    metric = getattr(make_pipeline(), f"metric_{method}")()
    assert (metric.namespace, metric.metric_name) == ("AWS/States", name)
