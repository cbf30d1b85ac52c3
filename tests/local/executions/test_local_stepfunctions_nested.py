"""Executions that start others, and tasks that wait for a token."""

import asyncio
import json
import time
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

START = "arn:aws:states:::states:startExecution"
RULE = (
    "arn:aws:events:us-east-1:123456789012:rule/"
    "StepFunctionsGetEventsForStepFunctionsExecutionRule"
)


def allow(action, resource):
    return {"Effect": "Allow", "Action": action, "Resource": resource}


@pytest.fixture(scope="module")
def starting_role(role):
    """Everything that the documentation asks for."""
    return role(
        allow(
            [
                "states:StartExecution",
                "states:DescribeExecution",
                "states:StopExecution",
            ],
            "*",
        ),
        allow(["events:PutTargets", "events:PutRule", "events:DescribeRule"], RULE),
    )


@pytest.fixture(scope="module")
def child(machine):
    """A machine that waits an hour and gives its input, or fails as it says."""
    return machine(
        {
            "Wait": {"Type": "Wait", "Seconds": 3600, "Next": "Fails?"},
            "Fails?": {
                "Type": "Choice",
                "Choices": [
                    {"Condition": "{% $states.input.fail = true %}", "Next": "Fail"}
                ],
                "Default": "End",
            },
            "Fail": {"Type": "Fail", "Error": "Child", "Cause": "told to"},
            "End": {"Type": "Succeed"},
        }
    )


@pytest.fixture
def parent(machine, child, starting_role):
    def make(pattern="", role_arn=starting_role, arguments=None, **fields):
        start = {
            "Type": "Task",
            "Resource": START + pattern,
            "Arguments": {
                "StateMachineArn": child.arn,
                "Input": "{% $states.input %}",
                **(arguments or {}),
            },
            "End": True,
            **fields,
        }
        return machine({"Start": start}, role_arn=role_arn)

    return make


def kinds(events):
    return [event["type"] for event in events]


def elapsed(execution):
    return execution.history[-1]["timestamp"] - execution.history[0]["timestamp"]


@pytest.mark.emulates("asl:Task", "integration:states:startExecution")
def test_a_start_does_not_wait(parent, child):
    execution = parent().run({"n": 1})
    answer = execution.output
    assert elapsed(execution) == timedelta(0)
    assert answer["ExecutionArn"].startswith(
        child.arn.replace("stateMachine", "execution")
    )
    told = child.wait(answer["ExecutionArn"])
    assert told["input"] == '{"n":1}'
    assert answer["StartDate"] == round(told["startDate"].timestamp() * 1000)
    assert kinds(execution.history) == [
        *("ExecutionStarted", "TaskStateEntered", "TaskScheduled", "TaskStarted"),
        *("TaskSucceeded", "TaskStateExited", "ExecutionSucceeded"),
    ]
    scheduled = execution.history[2]["taskScheduledEventDetails"]
    assert (scheduled["resourceType"], scheduled["resource"]) == (
        "states",
        "startExecution",
    )


@pytest.mark.emulates(
    "integration:states:startExecution.sync", "integration:states:startExecution.sync:2"
)
@pytest.mark.parametrize(
    ("pattern", "output"), [(".sync", '{"n":[1]}'), (".sync:2", {"n": [1]})]
)
def test_a_start_that_waits_gets_the_child_s_description(
    parent, child, pattern, output
):
    execution = parent(pattern, arguments={"Name": f"child{len(pattern)}"}).run(
        {"n": [1]}
    )
    told = child.describe(execution.output["ExecutionArn"])
    assert execution.output["Output"] == execution.output["Input"] == output
    assert execution.output["Status"] == "SUCCEEDED"
    assert execution.output["Name"] == f"child{len(pattern)}"
    assert execution.output["StopDate"] == round(told["stopDate"].timestamp() * 1000)
    assert execution.output["StateMachineArn"] == child.arn
    assert elapsed(execution) == timedelta(hours=1)
    assert kinds(execution.history)[3:6] == [
        "TaskStarted",
        "TaskSubmitted",
        "TaskSucceeded",
    ]
    submitted = execution.history[4]["taskSubmittedEventDetails"]
    assert submitted["resource"] == f"startExecution{pattern}"
    assert json.loads(submitted["output"])["ExecutionArn"] == told["executionArn"]


@pytest.mark.emulates(
    "integration:states:startExecution.sync:2", "error:States.TaskFailed"
)
def test_a_failed_child_fails_the_task_with_its_description(parent):
    execution = parent(".sync:2").run({"fail": True})
    assert execution.error == "States.TaskFailed"
    cause = json.loads(execution.cause)
    assert (cause["Status"], cause["Error"], cause["Cause"]) == (
        "FAILED",
        "Child",
        "told to",
    )
    assert cause["Input"] == {"fail": True}


@pytest.mark.emulates("integration:states:startExecution.sync")
def test_a_parent_that_ends_stops_the_child_it_waits_for(parent, child, local_aws):
    waiting = parent(".sync")
    before = {each["executionArn"] for each in listed(child)}
    with local_aws.clock.busy():
        arn = waiting.start()
        while not (new := {each["executionArn"] for each in listed(child)} - before):
            time.sleep(0.01)
        waiting.client.stop_execution(executionArn=arn)
        [own] = new
        assert child.wait(own)["status"] == "ABORTED"
    slow = parent(".sync", TimeoutSeconds=60).run()
    assert slow.error == "States.Timeout"
    assert "TaskTimedOut" in kinds(slow.history)
    assert elapsed(slow) == timedelta(minutes=1)
    assert listed(child)[0]["status"] == "ABORTED"


def listed(machine):
    return machine.client.list_executions(stateMachineArn=machine.arn)["executions"]


def test_a_name_that_is_taken_fails_the_task(parent):
    named = parent(arguments={"Name": "taken"})
    assert named.run({"n": 1}).status == "SUCCEEDED"
    execution = named.run({"n": 2})
    assert execution.error == "StepFunctions.ExecutionAlreadyExistsException"
    gone = parent(
        arguments={
            "StateMachineArn": "arn:aws:states:us-east-1:123456789012:stateMachine:gone"
        }
    ).run()
    assert gone.error == "StepFunctions.StateMachineDoesNotExistException"


def test_the_role_must_be_allowed_to_start_and_to_watch(parent, role, child):
    nothing = role(allow("lambda:InvokeFunction", "*"))
    execution = parent(role_arn=nothing).run()
    assert execution.error == "StepFunctions.AWSStepFunctionsException"
    assert f"perform: states:StartExecution on resource: {child.arn}" in execution.cause
    with pytest.raises(ClientError, match="not authorized to create managed-rule"):
        parent(".sync", role_arn=nothing)
    blind = role(allow("states:StartExecution", "*"), allow("events:*", "*"))
    execution = parent(".sync", role_arn=blind).run()
    assert "perform: states:DescribeExecution" in execution.cause


@pytest.fixture
def asking(machine, task, function):
    """Give a machine whose task hands its token to a function, and waits."""
    quiet = function("def handler(event, context):\n  return event").publish()

    def make(name=None, **fields):
        token = {"token": "{% $states.context.Task.Token %}"}
        return machine(
            {
                "Ask": task(
                    quiet,
                    Resource="arn:aws:states:::lambda:invoke.waitForTaskToken",
                    Arguments={"FunctionName": quiet, "Payload": token},
                    Output="{% $states.result %}",
                    **fields,
                )
            },
            name=name,
        )

    return make


def token_of(asking, arn, after=0):
    """Wait until a task has told its token in an event, and give it."""
    while True:
        for event in asking.history(arn)[after:]:
            if event["type"] == "TaskSubmitted":
                told = json.loads(event["taskSubmittedEventDetails"]["output"])
                return told["Payload"]["token"]
        time.sleep(0.01)


@pytest.mark.emulates("integration:lambda:invoke.waitForTaskToken", "asl:Redrive")
def test_a_task_that_waits_again_has_another_token(asking):
    waiting = asking()
    arn = waiting.start()
    tokens = [token_of(waiting, arn)]
    waiting.client.send_task_failure(taskToken=tokens[0], error="Mine")
    waiting.wait(arn)
    before = len(waiting.history(arn))
    waiting.client.redrive_execution(executionArn=arn)
    tokens.append(token_of(waiting, arn, before))
    assert tokens[0] != tokens[1]
    waiting.client.send_task_success(taskToken=tokens[1], output="1")
    assert waiting.wait(arn)["output"] == "1"


@pytest.mark.emulates("integration:lambda:invoke.waitForTaskToken")
def test_a_machine_made_anew_has_other_tokens(asking):
    tokens = []
    for _ in range(2):
        waiting = asking(name="made-anew")
        arn = waiting.start(name="same")
        tokens.append(token_of(waiting, arn))
        waiting.client.send_task_success(taskToken=tokens[-1], output="1")
        assert waiting.wait(arn)["output"] == "1"
        waiting.client.delete_state_machine(stateMachineArn=waiting.arn)
    assert tokens[0] != tokens[1]


@pytest.mark.emulates("integration:states:startExecution.sync:2")
def test_a_child_that_is_stopped_as_it_ends_stays_stopped(parent, child, local_aws):
    """It waits for an hour, and so does its parent."""
    changes = []
    patched = local_aws.events.status_changed

    def changed(execution):
        changes.append((execution.name, execution.status))
        patched(execution)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local_aws.events, "status_changed", changed)
        waiting = parent(
            ".sync:2", arguments={"Name": "stopped-as-it-ends"}, TimeoutSeconds=3600
        )
        execution = waiting.run({})
    assert execution.error == "States.Timeout"
    arn = child.arn.replace("stateMachine", "execution") + ":stopped-as-it-ends"
    told = child.wait(arn)
    assert (told["status"], "output" in told) == ("ABORTED", False)
    assert kinds(child.history(arn))[-1] == "ExecutionAborted"
    assert [status for name, status in changes if name == "stopped-as-it-ends"] == [
        "RUNNING",
        "ABORTED",
    ]


@pytest.mark.emulates(
    "integration:lambda:invoke.waitForTaskToken", "stepfunctions:SendTaskSuccess"
)
def test_a_task_waits_for_its_token(asking):
    waiting = asking()
    arn = waiting.start()
    token = token_of(waiting, arn)
    client = waiting.client
    with pytest.raises(ClientError, match="InvalidOutput"):
        client.send_task_success(taskToken=token, output="no json")
    client.send_task_success(taskToken=token, output='{"a": [1]}')
    assert json.loads(waiting.wait(arn)["output"]) == {"a": [1]}
    with pytest.raises(ClientError, match="TaskTimedOut"):
        client.send_task_success(taskToken=token, output="{}")
    with pytest.raises(ClientError, match="InvalidToken"):
        client.send_task_success(taskToken="nobody's", output="{}")


@pytest.mark.emulates("integration:states:startExecution.waitForTaskToken")
def test_a_start_waits_for_the_token_that_it_hands_on(parent, child):
    token = {"token": "{% $states.context.Task.Token %}"}
    waiting = parent(".waitForTaskToken", arguments={"Input": token})
    before = listed(child)
    arn = waiting.start()
    while not (new := [each for each in listed(child) if each not in before]):
        time.sleep(0.01)
    given = json.loads(child.describe(new[0]["executionArn"])["input"])
    waiting.client.send_task_success(taskToken=given["token"], output='{"a": 1}')
    assert json.loads(waiting.wait(arn)["output"]) == {"a": 1}


@pytest.mark.emulates("stepfunctions:SendTaskFailure")
def test_a_failure_that_is_sent_fails_the_task(asking):
    waiting = asking()
    arn = waiting.start()
    token = token_of(waiting, arn)
    waiting.client.send_task_failure(taskToken=token, error="Mine", cause="C")
    told = waiting.wait(arn)
    assert (told["error"], told["cause"]) == ("Mine", "C")


@pytest.mark.emulates(
    "stepfunctions:SendTaskHeartbeat", "error:States.HeartbeatTimeout"
)
def test_heartbeats_keep_a_task_waiting(asking, local_aws):
    waiting = asking(HeartbeatSeconds=100)
    with local_aws.clock.busy():
        arn = waiting.start()
        token = token_of(waiting, arn)
        beat = local_aws.clock.start(later(local_aws.clock, 60, waiting.client, token))
    beat.result()
    told = waiting.wait(arn)
    assert told["error"] == "States.HeartbeatTimeout"
    assert told["stopDate"] - told["startDate"] == timedelta(seconds=160)


async def later(clock, seconds, client, token):
    await asyncio.sleep(seconds)
    await clock.in_thread(lambda: client.send_task_heartbeat(taskToken=token))


@pytest.mark.emulates("stepfunctions:SendTaskSuccess")
@pytest.mark.parametrize("allowed", [True, False])
def test_a_function_may_send_what_its_role_may(machine, task, function, role, allowed):
    """By the machine whose task waits, as `grant_task_response` of the CDK says."""
    source = """
import boto3

def handler(event, context):
    boto3.client("stepfunctions").send_task_success(taskToken=event, output="[1]")
"""
    name = "answered" if allowed else "unanswered"
    resource = f"arn:aws:states:us-east-1:123456789012:stateMachine:{name}"
    granted = resource if allowed else f"{resource}-not"
    own = function(
        source, Role=role(allow("states:SendTaskSuccess", granted))
    ).publish()
    waiting = machine(
        {
            "Ask": task(
                own,
                Resource="arn:aws:states:::lambda:invoke.waitForTaskToken",
                Arguments={
                    "FunctionName": own,
                    "Payload": "{% $states.context.Task.Token %}",
                },
                Output="{% $states.result %}",
            )
        },
        name=name,
    )
    execution = waiting.run()
    if allowed:
        assert execution.output == [1]
    else:
        assert "perform: states:SendTaskSuccess" in execution.cause
