"""Retries, catchers and the errors of tasks."""

import itertools
import json
from datetime import timedelta

import pytest

SOURCE = """
import os, time

def handler(event, context):
    if event.get("fail"):
        raise type(event["fail"], (Exception,), {})(event.get("message", "no"))
    if event.get("exit"):
        os._exit(event["exit"])
    if event.get("sleep"):
        time.sleep(event["sleep"])
    return {"got": event}
"""


@pytest.fixture(scope="session")
def arn(function):
    return function(SOURCE, Timeout=1).publish()


def of_kind(execution, *kinds):
    return [event for event in execution.history if event["type"] in kinds]


def seconds_between(events):
    times = [event["timestamp"] for event in events]
    return [
        (after - before).total_seconds() for before, after in itertools.pairwise(times)
    ]


def retrying(task, arn, **retrier):
    return {"Try": task(arn, Retry=[{"ErrorEquals": ["States.ALL"], **retrier}])}


def trying_in_parallel(retrier):
    failing = {"StartAt": "Fail", "States": {"Fail": {"Type": "Fail", "Error": "E"}}}
    state = {"Type": "Parallel", "Branches": [failing], "Retry": [retrier]}
    return {"Try": {**state, "End": True}}


@pytest.mark.emulates("asl:Task", "asl:Retry")
def test_retries_back_off_to_the_second(machine, task, arn):
    trying = machine(
        retrying(task, arn, IntervalSeconds=2, BackoffRate=3, MaxAttempts=4)
    )
    execution = trying.run({"fail": "Boom"})
    assert (execution.status, execution.error) == ("FAILED", "Boom")
    assert seconds_between(of_kind(execution, "TaskScheduled")) == [2, 6, 18, 54]


def test_a_retry_waits_no_longer_than_the_longest_delay(machine, task, arn):
    trying = machine(
        retrying(task, arn, IntervalSeconds=2, MaxDelaySeconds=5, MaxAttempts=4)
    )
    execution = trying.run({"fail": "Boom"})
    assert seconds_between(of_kind(execution, "TaskScheduled")) == [2, 4, 5, 5]


def test_by_default_there_are_three_retries_from_one_second_doubling(
    machine, task, arn
):
    execution = machine(retrying(task, arn)).run({"fail": "Boom"})
    assert seconds_between(of_kind(execution, "TaskScheduled")) == [1, 2, 4]


def test_jitter_is_within_the_delay(machine, task, arn):
    trying = machine(retrying(task, arn, IntervalSeconds=100, JitterStrategy="FULL"))
    execution = trying.run({"fail": "Boom"})
    delays = seconds_between(of_kind(execution, "TaskScheduled"))
    for delay, most in zip(delays, (100, 200, 400), strict=True):
        assert 0 < delay < most


@pytest.mark.emulates("asl:Retry")
def test_a_backoff_that_no_float_can_say_keeps_to_the_longest_delay(machine):
    rule = {"ErrorEquals": ["States.ALL"], "BackoffRate": 1e200, "MaxDelaySeconds": 60}
    execution = machine(trying_in_parallel(rule)).run()
    assert execution.error == "E"
    started = of_kind(execution, "ParallelStateStarted")
    assert seconds_between(started) == [1, 60, 60]


@pytest.mark.parametrize("returned", ["float('nan')", "b'no json'", "b'\"\\\\ud800\"'"])
@pytest.mark.emulates("error:States.Runtime")
def test_a_function_that_returns_no_json_fails_its_task(
    machine, task, function, returned
):
    source = f"def handler(event, context): return {returned}"
    execution = machine({"Try": task(function(source).name)}).run()
    assert execution.error == "States.Runtime"
    assert execution.cause.startswith("The function returned no JSON: ")
    assert "TaskFailed" in [event["type"] for event in execution.history]


def test_the_first_retrier_that_fits_counts_its_own_attempts(machine, task, arn):
    trying = machine(
        {
            "Try": task(
                arn,
                Retry=[
                    {"ErrorEquals": ["Other"], "IntervalSeconds": 50},
                    {"ErrorEquals": ["Boom"], "IntervalSeconds": 7, "MaxAttempts": 1},
                    {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 90},
                ],
            )
        }
    )
    execution = trying.run({"fail": "Boom"})
    assert seconds_between(of_kind(execution, "TaskScheduled")) == [7]


def test_the_retry_count_is_told(machine, task, arn):
    telling = task(
        arn,
        Arguments={
            "FunctionName": arn,
            "Payload": {
                "fail": "{% $states.context.State.RetryCount < 2 ? 'Boom' : '' %}",
                "count": "{% $states.context.State.RetryCount %}",
            },
        },
        Output="{% $states.result.Payload.got.count %}",
        Retry=[{"ErrorEquals": ["Boom"], "MaxAttempts": 2}],
    )
    execution = machine({"Try": telling}).run()
    assert execution.output == 2
    assert len(of_kind(execution, "TaskStateEntered")) == 1


@pytest.mark.emulates("asl:Catch", "integration:lambda:invoke")
def test_a_catch_gets_the_function_s_error_and_assigns(machine, task, arn):
    catching = machine(
        {
            "Try": task(
                arn,
                Catch=[
                    {"ErrorEquals": ["Other"], "Next": "Never"},
                    {
                        "ErrorEquals": ["Boom"],
                        "Assign": {"name": "{% $states.errorOutput.Error %}"},
                        "Output": {
                            "error": "{% $states.errorOutput %}",
                            "input": "{% $states.input %}",
                        },
                        "Next": "Caught",
                    },
                ],
            ),
            "Caught": {
                "Type": "Succeed",
                "Output": "{% $merge([$states.input, {'name': $name}]) %}",
            },
            "Never": {"Type": "Fail"},
        }
    )
    message = 'it said "no"\nünï'
    execution = catching.run({"fail": "Boom", "message": message})
    assert execution.output["name"] == "Boom"
    assert execution.output["input"] == {"fail": "Boom", "message": message}
    cause = json.loads(execution.output["error"]["Cause"])
    assert (cause["errorType"], cause["errorMessage"]) == ("Boom", message)
    assert any("in handler" in line for line in cause["stackTrace"])


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize(
    ("event", "error", "told"),
    [
        ({"exit": 3}, "Runtime.ExitError", "exit status 3"),
        ({"sleep": 30}, "Sandbox.Timedout", "Task timed out after 1.00 seconds"),
    ],
)
def test_a_function_that_dies_has_an_error(
    processes, machine, task, arn, event, error, told
):
    execution = machine({"Try": task(arn)}).run(event)
    assert execution.error == error
    assert told in json.loads(execution.cause)["errorMessage"]


@pytest.mark.emulates("error:States.Timeout")
def test_a_task_s_own_time_out_ends_it(machine, task, function):
    slow = function("import time\ndef handler(event, context):\n  time.sleep(30)").name
    waiting = machine({"Try": task(slow, TimeoutSeconds=1)})
    execution = waiting.run()
    assert (execution.error, execution.cause) == ("States.Timeout", None)
    assert len(of_kind(execution, "TaskTimedOut")) == 1


def test_a_function_that_is_not_there(machine, task, arn):
    execution = machine({"Try": task(f"{arn}9")}).run()
    assert execution.error == "Lambda.ResourceNotFoundException"
    assert f"{arn}9" in execution.cause


def test_a_role_must_be_allowed_to_invoke_the_version(machine, task, role, arn):
    function_arn = arn.rpartition(":")[0]
    for resource, allowed in (
        (arn, True),
        (f"{function_arn}:*", True),
        (function_arn, False),
    ):
        own = role(
            {
                "Effect": "Allow",
                "Action": "lambda:InvokeFunction",
                "Resource": resource,
            }
        )
        execution = machine({"Try": task(arn)}, role_arn=own).run()
        if allowed:
            assert execution.status == "SUCCEEDED"
        else:
            assert execution.error == "Lambda.AWSLambdaException"
            assert "is not authorized to perform: lambda:InvokeFunction" in (
                execution.cause
            )


@pytest.mark.emulates("error:States.Runtime")
@pytest.mark.parametrize(
    ("error", "names", "caught"),
    [
        ("Boom", ["States.ALL"], True),
        ("Boom", ["States.TaskFailed"], True),
        ("Boom", ["Boom"], True),
        ("Boom", ["boom"], False),
        ("States.Runtime", ["States.ALL"], False),
        ("States.Runtime", ["States.Runtime"], False),
        ("States.DataLimitExceeded", ["States.ALL"], False),
        ("States.Timeout", ["States.ALL"], True),
        ("States.Timeout", ["States.TaskFailed"], False),
    ],
)
def test_who_catches_what(machine, error, names, caught):
    """A Map fails with the error of its iteration."""
    catching = machine(
        {
            "Try": {
                "Type": "Map",
                "Items": [1],
                "ItemProcessor": {
                    "StartAt": "In",
                    "States": {"In": {"Type": "Fail", "Error": error}},
                },
                "Catch": [{"ErrorEquals": names, "Next": "Caught"}],
                "End": True,
            },
            "Caught": {"Type": "Succeed", "Output": "caught"},
        }
    )
    execution = catching.run()
    assert execution.output == ("caught" if caught else None)
    assert execution.error == (None if caught else error)


def test_a_failed_expression_is_retried_and_caught(machine, task, arn):
    catching = machine(
        {
            "Try": task(
                arn,
                Output="{% $states.result.Payload.absent %}",
                Retry=[
                    {"ErrorEquals": ["States.QueryEvaluationError"], "MaxAttempts": 1}
                ],
                Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Caught"}],
            ),
            "Caught": {"Type": "Pass", "End": True},
        }
    )
    execution = catching.run({})
    assert execution.output["Error"] == "States.QueryEvaluationError"
    assert "'Output' returned nothing" in execution.output["Cause"]
    assert len(of_kind(execution, "TaskSucceeded")) == 2


def test_a_result_that_is_too_large_is_not_passed_on(machine, task, function):
    large = function("def handler(event, context):\n  return 'x' * 300_000").name
    execution = machine({"Try": task(large)}).run()
    assert execution.error == "States.DataLimitExceeded"


def test_retries_of_many_executions_keep_their_own_time(machine, task, arn, local_aws):
    trying = machine(retrying(task, arn, IntervalSeconds=3600, MaxAttempts=2))
    with local_aws.clock.busy():
        arns = [trying.start({"fail": "Boom"}) for _ in range(8)]
    ends = [trying.wait(each) for each in arns]
    assert {end["stopDate"] - end["startDate"] for end in ends} == {timedelta(hours=3)}
