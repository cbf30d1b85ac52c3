"""What functions print, and what services measure of executions and functions."""

import json
from datetime import timedelta

import pytest

from cdk_personalize_segments.local.cloudwatch.metrics import Metric

PRINTING = """
import json
from datetime import timedelta

def handler(event, context):
    print(json.dumps(event))
    return 1
"""


@pytest.fixture
def values(local_aws):
    def read(namespace, name, **dimensions):
        metric = Metric.of("us-east-1", namespace, name, dimensions)
        end = local_aws.clock.now().timestamp() + 60
        return [
            (each.value, each.unit)
            for each in local_aws.metrics.series(metric).between(0, end)
        ]

    return read


@pytest.mark.emulates("metrics:embedded")
@pytest.mark.parametrize("log_format", ["JSON", "Text"])
def test_a_line_that_a_function_prints_is_a_metric(
    local_aws, function, values, log_format
):
    own = function(PRINTING, LoggingConfig={"LogFormat": log_format})
    now = int(local_aws.clock.now().timestamp() * 1000)
    line = {
        "_aws": {
            "Timestamp": now,
            "CloudWatchMetrics": [
                {
                    "Namespace": "Printed",
                    "Dimensions": [["Name"]],
                    "Metrics": [{"Name": "Runs", "Unit": "Count"}],
                }
            ],
        },
        "Name": own.name,
        "Runs": 3,
    }
    own.invoke(line)
    assert values("Printed", "Runs", Name=own.name) == [(3, "Count")]
    logged = local_aws.client("logs").filter_log_events(
        logGroupName=f"/aws/lambda/{own.name}"
    )["events"]
    # The line itself is in the log as it was printed.
    assert json.dumps(line) in [each["message"] for each in logged]
    own.invoke({**line, "Runs": None})
    assert "the metric Runs" in local_aws.metrics.refused[-1].reason


@pytest.mark.emulates("metrics:embedded")
def test_a_line_that_is_put_is_a_metric(local_aws, values):
    logs = local_aws.client("logs")
    now = int(local_aws.clock.now().timestamp() * 1000)
    directive = {"Namespace": "Put", "Dimensions": [[]], "Metrics": [{"Name": "Runs"}]}
    line = {"_aws": {"Timestamp": now, "CloudWatchMetrics": [directive]}, "Runs": 1}
    logs.create_log_group(logGroupName="embedded")
    logs.create_log_stream(logGroupName="embedded", logStreamName="s")
    logs.put_log_events(
        logGroupName="embedded",
        logStreamName="s",
        logEvents=[{"timestamp": now, "message": json.dumps(line)}],
    )
    assert values("Put", "Runs") == [(1, "None")]


@pytest.mark.emulates("metrics:AWS/Lambda")
def test_invocations_are_measured(function, values):
    own = function("def handler(event, context):\n  return 1 / event")
    arn = own.publish()
    own.invoke(1)
    own.invoke(0, name=arn)
    own.invoke(1, InvocationType="DryRun")
    measured = {
        name: values("AWS/Lambda", name, FunctionName=own.name)
        for name in ("Invocations", "Errors", "Throttles")
    }
    assert measured == {
        "Invocations": [(1, "Count"), (1, "Count")],
        "Errors": [(0, "Count"), (1, "Count")],
        "Throttles": [(0, "Count"), (0, "Count")],
    }
    durations = values("AWS/Lambda", "Duration", FunctionName=own.name)
    assert [unit for _, unit in durations] == ["Milliseconds"] * 2
    assert all(0 < value < 10_000 for value, _ in durations)
    of_version = {"FunctionName": own.name, "Resource": f"{own.name}:1"}
    assert values("AWS/Lambda", "Errors", **of_version) == [(1, "Count")]


@pytest.mark.emulates("metrics:AWS/Lambda")
@pytest.mark.parametrize(("failures", "dropped"), [(2, []), (3, [(1, "Count")])])
def test_events_that_are_given_up_are_counted(
    function, local_aws, values, failures, dropped
):
    local_aws.in_process = True
    own = function(
        "calls = []\n"
        "def handler(event, context):\n"
        "  calls.append(event)\n"
        "  return 1 / (len(calls) > event)"
    )
    own.invoke(failures, InvocationType="Event")
    local_aws.clock.sleep(600)
    assert values("AWS/Lambda", "AsyncEventsDropped", FunctionName=own.name) == dropped


@pytest.mark.emulates("metrics:AWS/States")
def test_executions_are_measured(local_aws, machine, values):
    def count(made, name):
        found = values("AWS/States", name, StateMachineArn=made.arn)
        return [value for value, _ in found]

    wait = {"Type": "Wait", "Seconds": 90, "End": True}
    made = machine({"Wait": wait})
    made.run()
    with local_aws.clock.together():
        arn = made.start()
        made.client.stop_execution(executionArn=arn)
    assert count(made, "ExecutionsStarted") == [1, 1]
    assert count(made, "ExecutionsSucceeded") == [1]
    assert count(made, "ExecutionsAborted") == [1]
    assert count(made, "ExecutionTime") == [90_000, 0]
    assert count(made, "ExecutionsFailed") == []
    slow = machine({"Wait": wait}, TimeoutSeconds=5)
    slow.run()
    assert count(slow, "ExecutionsTimedOut") == [1]
    failing = machine({"Fail": {"Type": "Fail", "Error": "No"}})
    ended = failing.run()
    failing.client.redrive_execution(executionArn=ended.arn)
    failing.wait(ended.arn)
    assert count(failing, "ExecutionsStarted") == [1]
    assert count(failing, "ExecutionsRedriven") == [1]
    assert count(failing, "ExecutionsFailed") == [1, 1]


def test_an_alarm_on_failed_executions_invokes_a_function(local_aws, machine, function):
    client, clock = local_aws.client("cloudwatch"), local_aws.clock
    own = function(PRINTING)
    own.client.add_permission(
        FunctionName=own.name,
        StatementId="alarms",
        Action="lambda:InvokeFunction",
        Principal="lambda.alarms.cloudwatch.amazonaws.com",
    )
    arn = own.client.get_function(FunctionName=own.name)["Configuration"]["FunctionArn"]
    failing = machine({"Fail": {"Type": "Fail", "Error": "No"}})
    client.put_metric_alarm(
        AlarmName="failed-executions",
        Namespace="AWS/States",
        MetricName="ExecutionsFailed",
        Dimensions=[{"Name": "StateMachineArn", "Value": failing.arn}],
        Period=60,
        Statistic="Sum",
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
        AlarmActions=[arn],
    )
    failing.run()
    clock.advance(timedelta(minutes=1))
    events = local_aws.client("logs").filter_log_events(
        logGroupName=f"/aws/lambda/{own.name}", filterPattern='"aws.cloudwatch"'
    )["events"]
    [event] = [json.loads(each["message"]) for each in events]
    assert event["alarmData"]["state"]["value"] == "ALARM"
    assert event["alarmData"]["alarmName"] == "failed-executions"
    client.delete_alarms(AlarmNames=["failed-executions"])


@pytest.mark.usefixtures("processes")
def test_a_line_that_a_process_prints_is_a_metric(local_aws, function, values):
    own = function(PRINTING, LoggingConfig={"LogFormat": "JSON"})
    now = int(local_aws.clock.now().timestamp() * 1000)
    directive = {"Namespace": "Process", "Dimensions": [[]], "Metrics": [{"Name": "N"}]}
    own.invoke({"_aws": {"Timestamp": now, "CloudWatchMetrics": [directive]}, "N": 1})
    assert values("Process", "N") == [(1, "None")]
