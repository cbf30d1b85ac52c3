"""Redrive: an execution goes on from the state that failed."""

import json
import time
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

REDRIVABLE = {"status": "FAILED", "redriveStatus": "REDRIVABLE", "redriveCount": 0}

# Fails until an object says otherwise, which is not in its input.
FLAKY = """
import boto3

def handler(event, context):
    body = boto3.client("s3").get_object(Bucket="switches", Key=event["switch"])["Body"]
    if body.read() == b"off":
        raise RuntimeError("off")
    return event["n"]
"""


def kinds(events):
    return [event["type"] for event in events]


def told(description, **expected):
    assert {name: description.get(name) for name in expected} == expected


@pytest.fixture(scope="module")
def flaky(function, role, local_aws):
    local_aws.client("s3").create_bucket(Bucket="switches")
    reading = role({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"})
    return function(FLAKY, Role=reading).publish()


@pytest.fixture
def switch(local_aws, flaky, request):
    name = request.node.name

    def put(value):
        local_aws.client("s3").put_object(Bucket="switches", Key=name, Body=value)

    put("off")
    put.name = name
    return put


@pytest.fixture
def asking(task, flaky, switch):
    """Give a Task state that fails while the switch is off."""

    def make(n="{% $states.input %}", **fields):
        payload = {"switch": switch.name, "n": n}
        return task(
            flaky, Arguments={"FunctionName": flaky, "Payload": payload}, **fields
        )

    return make


def redrive(machine, arn, **token):
    return machine.client.redrive_execution(executionArn=arn, **token)["redriveDate"]


def refusal(machine, arn):
    with pytest.raises(ClientError) as refused:
        redrive(machine, arn)
    error = refused.value.response["Error"]
    assert error["Code"] == "ExecutionNotRedrivable"
    return error["Message"]


@pytest.mark.emulates("asl:Redrive", "stepfunctions:RedriveExecution")
def test_it_goes_on_from_the_state_that_failed(machine, asking, switch, local_aws):
    """With its input, its variables, new retries and the definition of the start."""
    states = {
        "Before": {
            "Type": "Pass",
            "Assign": {"kept": "variable"},
            "Output": 7,
            "Next": "Wait",
        },
        "Wait": {"Type": "Wait", "Seconds": 60, "Next": "Ask"},
        "Ask": asking(
            Retry=[{"ErrorEquals": ["States.ALL"], "MaxAttempts": 1}], Next="Tell"
        ),
        "Tell": {
            "Type": "Pass",
            "Output": [
                "{% $states.input %}",
                "{% $kept %}",
                "{% $states.context.Execution.RedriveCount %}",
                "{% $states.context.Execution.RedriveTime %}",
            ],
            "End": True,
        },
    }
    failing = machine(states, TimeoutSeconds=100)
    arn = failing.start()
    failed = failing.wait(arn)
    told(failed, **REDRIVABLE, redriveDate=None, redriveStatusReason=None)
    before = failing.history(arn)
    assert kinds(before).count("TaskScheduled") == 2
    now = json.dumps(
        {
            "QueryLanguage": "JSONata",
            "StartAt": "Ask",
            "States": {"Ask": {"Type": "Succeed"}},
        }
    )
    failing.client.update_state_machine(stateMachineArn=failing.arn, definition=now)
    local_aws.clock.sleep(3600)

    at = redrive(failing, arn)
    again = failing.wait(arn)
    told(again, **{**REDRIVABLE, "redriveCount": 1}, redriveDate=at)
    assert at - failed["stopDate"] >= timedelta(hours=1)
    assert again["startDate"] == failed["startDate"]

    switch("on")
    at = redrive(failing, arn)
    done = failing.wait(arn)
    told(
        done,
        status="SUCCEEDED",
        redriveCount=2,
        redriveStatus="NOT_REDRIVABLE",
        redriveStatusReason="Execution is SUCCEEDED and cannot be redriven",
        error=None,
        cause=None,
    )
    instant = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert done["output"] == f'[7,"variable",2,"{instant}"]'
    events = failing.history(arn)
    assert events[: len(before)] == before
    retried = ["TaskScheduled", "TaskStarted", "TaskFailed"] * 2
    assert kinds(events[len(before) :]) == [
        *("ExecutionRedriven", *retried, "ExecutionFailed"),
        *("ExecutionRedriven", "TaskScheduled", "TaskStarted", "TaskSucceeded"),
        *("TaskStateExited", "PassStateEntered", "PassStateExited"),
        "ExecutionSucceeded",
    ]
    redriven = [e for e in events if e["type"] == "ExecutionRedriven"]
    assert [e["executionRedrivenEventDetails"]["redriveCount"] for e in redriven] == [
        1,
        2,
    ]
    assert [event["id"] for event in events] == list(range(1, len(events) + 1))


@pytest.mark.emulates("asl:Redrive")
def test_only_failed_iterations_and_branches_run_again(machine, asking, switch):
    switched = {
        "Which?": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $states.input = 2 %}", "Next": "Ask"}],
            "Default": "Fine",
        },
        "Ask": asking(),
        "Fine": {"Type": "Pass", "End": True},
    }
    mapping = {
        "Type": "Map",
        "Items": [1, 2, 3],
        "MaxConcurrency": 1,
        "ItemProcessor": {"StartAt": "Which?", "States": switched},
        "End": True,
    }
    failing = machine(
        {
            "Both": {
                "Type": "Parallel",
                "Branches": [
                    {
                        "StartAt": "Quick",
                        "States": {"Quick": {"Type": "Pass", "End": True}},
                    },
                    {"StartAt": "Map", "States": {"Map": mapping}},
                ],
                "Output": "{% $states.result %}",
                "End": True,
            }
        }
    )
    arn = failing.start("in")
    assert failing.wait(arn)["status"] == "FAILED"
    before = len(failing.history(arn))
    switch("on")
    redrive(failing, arn)
    done = failing.wait(arn)
    assert done["output"] == '["in",[1,2,3]]'
    events = failing.history(arn)[before:]
    started = [e for e in events if e["type"] == "MapIterationStarted"]
    assert [e["mapIterationStartedEventDetails"]["index"] for e in started] == [1, 2]
    entered = [
        e["stateEnteredEventDetails"]["name"] for e in events if "Entered" in e["type"]
    ]
    assert entered == ["Which?", "Fine"]


@pytest.mark.emulates("asl:Redrive")
def test_what_was_stopped_or_too_slow_goes_on_with_a_new_time_out(machine, local_aws):
    waiting = machine(
        {
            "First": {"Type": "Wait", "Seconds": 50, "Next": "Second"},
            "Second": {"Type": "Wait", "Seconds": 90, "End": True},
        },
        TimeoutSeconds=100,
    )
    slow = waiting.start()
    assert waiting.wait(slow)["status"] == "TIMED_OUT"
    at = redrive(waiting, slow)
    done = waiting.wait(slow)
    assert (done["status"], done["stopDate"] - at) == (
        "SUCCEEDED",
        timedelta(seconds=90),
    )
    with local_aws.clock.busy():
        stopped = waiting.start()
        time.sleep(0.05)
        waiting.client.stop_execution(executionArn=stopped)
        redrive(waiting, stopped)
        told(waiting.describe(stopped), status="RUNNING", redriveCount=1)
    # Nothing else is left to do but the wait that was stopped, and the next.
    assert waiting.wait(stopped)["status"] == "TIMED_OUT"
    redrive(waiting, stopped)
    assert waiting.wait(stopped)["status"] == "SUCCEEDED"
    assert kinds(waiting.history(stopped)).count("WaitStateEntered") == 2


@pytest.mark.emulates("asl:Redrive")
def test_a_fail_state_is_entered_again(machine):
    failing = machine({"Fail": {"Type": "Fail", "Error": "E"}})
    arn = failing.start()
    failing.wait(arn)
    redrive(failing, arn)
    assert failing.wait(arn)["error"] == "E"
    assert kinds(failing.history(arn)) == [
        *("ExecutionStarted", "FailStateEntered", "ExecutionFailed"),
        *("ExecutionRedriven", "FailStateEntered", "ExecutionFailed"),
    ]


@pytest.mark.emulates("asl:Redrive")
def test_what_cannot_be_redriven_is_refused(machine, local_aws):
    fine = machine({"Pass": {"Type": "Pass", "End": True}})
    arn = fine.start()
    fine.wait(arn)
    reason = "Execution is SUCCEEDED and cannot be redriven"
    assert reason in refusal(fine, arn)
    waiting = machine({"Wait": {"Type": "Wait", "Seconds": 9, "End": True}})
    with local_aws.clock.busy():
        arn = waiting.start()
        reason = "Execution is RUNNING and cannot be redriven"
        assert reason in refusal(waiting, arn)
        told(
            waiting.describe(arn),
            redriveStatus="NOT_REDRIVABLE",
            redriveStatusReason=reason,
        )
    failing = machine({"Fail": {"Type": "Fail"}})
    arn = failing.start()
    failing.wait(arn)
    # Executions of other tests may take the clock along meanwhile.
    stopped = failing.describe(arn)["stopDate"]
    local_aws.clock.advance_to(stopped + timedelta(days=13))
    redrive(failing, arn)
    failing.wait(arn)
    local_aws.clock.advance(timedelta(days=14, seconds=1))
    reason = "Execution redrivable period exceeded"
    assert reason in refusal(failing, arn)
    told(failing.describe(arn), redriveStatusReason=reason)
    with pytest.raises(ClientError, match="ExecutionDoesNotExist"):
        redrive(failing, f"{arn}x")


@pytest.mark.emulates("asl:Redrive")
def test_a_full_history_cannot_be_redriven(endless):
    arn = endless.start()
    endless.wait(arn)
    assert "Execution history event limit exceeded" in refusal(endless, arn)


@pytest.mark.emulates("asl:Redrive")
def test_a_client_token_redrives_once(machine, local_aws):
    failing = machine({"Fail": {"Type": "Fail"}})
    arn = failing.start()
    failing.wait(arn)
    at = redrive(failing, arn, clientToken="once")
    failing.wait(arn)
    local_aws.clock.sleep(60)
    assert redrive(failing, arn, clientToken="once") == at
    assert failing.describe(arn)["redriveCount"] == 1
    redrive(failing, arn, clientToken="twice")
    assert failing.wait(arn)["redriveCount"] == 2


def test_executions_are_listed_by_whether_they_were_redriven(machine):
    failing = machine({"Fail": {"Type": "Fail"}})
    arns = [failing.start() for _ in range(2)]
    for arn in arns:
        failing.wait(arn)
    redrive(failing, arns[0])
    failing.wait(arns[0])
    for wanted, expected in (("REDRIVEN", arns[:1]), ("NOT_REDRIVEN", arns[1:])):
        listed = failing.client.list_executions(
            stateMachineArn=failing.arn, redriveFilter=wanted
        )["executions"]
        assert [each["executionArn"] for each in listed] == expected
