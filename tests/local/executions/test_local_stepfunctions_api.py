"""What the API of Step Functions tells of machines and executions."""

import json
import time
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError
from moto.logs.models import logs_backends

from cdk_personalize_segments.local import log_groups

WAITING = {"Wait": {"Type": "Wait", "Seconds": 3600, "End": True}}


def passing(**fields):
    return {"Pass": {"Type": "Pass", "End": True, **fields}}


def refusal(call, **arguments):
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def kinds(events):
    return [event["type"] for event in events]


@pytest.mark.bridge("moto.stepfunctions.urls.url_paths")
def test_unnamed_executions_have_names_of_their_own(machine):
    quick = machine(passing())
    arns = {quick.start() for _ in range(5)}
    assert len(arns) == 5
    for arn in arns:
        assert quick.wait(arn)["name"] == arn.rpartition(":")[2]
        assert arn.split(":")[5:7] == ["execution", quick.name]


@pytest.mark.emulates("stepfunctions:StartExecution")
@pytest.mark.parametrize(
    "text", ['{"a": NaN}', "[-Infinity]", "1e999", r'"\ud800"', "[" * 100_000]
)
def test_an_input_that_is_json_for_python_only_is_refused(machine, text):
    made = machine(passing())
    code, _ = refusal(made.client.start_execution, stateMachineArn=made.arn, input=text)
    assert code == "InvalidExecutionInput"


@pytest.mark.emulates("stepfunctions:StopExecution")
def test_a_loop_that_never_waits_can_be_stopped(machine):
    """Long before the longest history, which ends it too."""
    never = {"Condition": "{% false %}", "Next": "End"}
    looping = machine(
        {
            "Choice": {"Type": "Choice", "Choices": [never], "Default": "Pass"},
            "Pass": {"Type": "Pass", "Next": "Choice"},
            "End": {"Type": "Succeed"},
        }
    )
    arn = looping.start()
    looping.client.stop_execution(executionArn=arn)
    assert looping.wait(arn)["status"] == "ABORTED"


@pytest.mark.emulates("stepfunctions:StartExecution")
def test_a_name_starts_one_execution(machine, local_aws):
    waiting = machine(WAITING)
    with local_aws.clock.busy():
        arn = waiting.start({"n": 1}, name="once")
        assert waiting.start({"n": 1}, name="once") == arn
        code, message = refusal(
            waiting.client.start_execution,
            stateMachineArn=waiting.arn,
            name="once",
            input='{"n": 2}',
        )
        assert (code, arn in message) == ("ExecutionAlreadyExists", True)
    waiting.wait(arn)
    code, _ = refusal(
        waiting.client.start_execution,
        stateMachineArn=waiting.arn,
        name="once",
        input='{"n": 1}',
    )
    assert code == "ExecutionAlreadyExists"
    assert machine(WAITING).start(name="once") != arn


@pytest.mark.parametrize("text", ["no json", "", "{'a': 1}"])
def test_an_input_must_be_json(machine, text):
    code, _ = refusal(
        machine(passing()).client.start_execution,
        stateMachineArn=machine(passing()).arn,
        input=text,
    )
    assert code == "InvalidExecutionInput"


@pytest.mark.emulates("stepfunctions:DescribeExecution")
def test_an_execution_is_described_by_the_virtual_clock(machine, local_aws):
    waiting = machine(WAITING)
    with local_aws.clock.busy():
        now = local_aws.clock.now()
        arn = waiting.start({"a": 1})
        running = waiting.describe(arn)
        assert running["status"] == "RUNNING"
        assert not {"stopDate", "output", "error", "cause"} & set(running)
    told = waiting.wait(arn)
    assert told["startDate"] == running["startDate"] == now
    assert told["stopDate"] == now + timedelta(hours=1)
    assert json.loads(told["input"]) == json.loads(told["output"]) == {"a": 1}
    assert told["stateMachineArn"] == waiting.arn


def test_a_failed_execution_is_described_with_its_error(machine):
    failing = machine({"Fail": {"Type": "Fail", "Error": "E", "Cause": "C"}})
    told = failing.wait(failing.start())
    assert (told["status"], told["error"], told["cause"]) == ("FAILED", "E", "C")
    assert "output" not in told


@pytest.mark.emulates("stepfunctions:ListExecutions")
def test_executions_are_listed_newest_first_and_by_status(machine, local_aws):
    waiting = machine(WAITING)
    arns = []
    for _ in range(3):
        arns.append(waiting.start())
        waiting.wait(arns[-1])
    with local_aws.clock.busy():
        running = waiting.start()
        listed = waiting.client.list_executions(
            stateMachineArn=waiting.arn, statusFilter="RUNNING"
        )["executions"]
        assert [each["executionArn"] for each in listed] == [running]
    waiting.wait(running)
    pages = waiting.client.get_paginator("list_executions").paginate(
        stateMachineArn=waiting.arn, PaginationConfig={"PageSize": 3}
    )
    listed = [each["executionArn"] for page in pages for each in page["executions"]]
    assert listed == [running, *reversed(arns)]


@pytest.mark.emulates("stepfunctions:StopExecution")
def test_an_execution_that_waits_is_stopped_at_once(machine, local_aws):
    waiting = machine(WAITING)
    with local_aws.clock.busy():
        arn = waiting.start()
        time.sleep(0.05)
        before = local_aws.clock.now()
        waiting.client.stop_execution(executionArn=arn, error="Enough", cause="of it")
        told = waiting.describe(arn)
        assert told["status"] == "ABORTED"
        assert (told["error"], told["cause"]) == ("Enough", "of it")
        assert told["stopDate"] == before
    local_aws.clock.sleep(7200)
    assert waiting.describe(arn)["status"] == "ABORTED"
    events = waiting.history(arn)
    assert kinds(events) == ["ExecutionStarted", "WaitStateEntered", "ExecutionAborted"]
    assert events[-1]["executionAbortedEventDetails"] == {
        "error": "Enough",
        "cause": "of it",
    }


def test_stopping_what_has_ended_changes_nothing(machine):
    quick = machine(passing())
    arn = quick.start()
    before = quick.wait(arn)
    stopped = quick.client.stop_execution(executionArn=arn)
    assert stopped["stopDate"] == before["stopDate"]
    assert quick.describe(arn)["status"] == "SUCCEEDED"


@pytest.mark.emulates("asl:StateMachine")
def test_a_machine_s_time_out_ends_its_executions(machine):
    execution = machine(WAITING, TimeoutSeconds=600).run()
    assert (execution.status, execution.error) == ("TIMED_OUT", None)
    first, last = execution.history[0], execution.history[-1]
    assert last["timestamp"] - first["timestamp"] == timedelta(minutes=10)
    assert last["type"] == "ExecutionTimedOut"
    assert machine(WAITING, TimeoutSeconds=3601).run().status == "SUCCEEDED"


def test_the_history_of_a_task_has_the_events_of_aws(machine, task, function):
    own = function("def handler(event, context):\n  return event['n']").publish()
    execution = machine({"Do": task(own, Assign={"n": 1})}).run({"n": [1]})
    assert kinds(execution.history) == [
        "ExecutionStarted",
        "TaskStateEntered",
        "TaskScheduled",
        "TaskStarted",
        "TaskSucceeded",
        "TaskStateExited",
        "ExecutionSucceeded",
    ]
    assert [event["id"] for event in execution.history] == list(range(1, 8))
    assert [event["previousEventId"] for event in execution.history] == [
        *(0, 0),
        *range(2, 7),
    ]
    scheduled = execution.history[2]["taskScheduledEventDetails"]
    assert (scheduled["resourceType"], scheduled["resource"]) == ("lambda", "invoke")
    assert json.loads(scheduled["parameters"]) == {
        "FunctionName": own,
        "Payload": {"n": [1]},
    }
    assert json.loads(execution.history[4]["taskSucceededEventDetails"]["output"])[
        "Payload"
    ] == [1]
    exited = execution.history[5]["stateExitedEventDetails"]
    assert (exited["name"], json.loads(exited["output"])) == ("Do", [1])


def test_the_history_of_a_map_has_the_events_of_aws(machine):
    mapping = {
        "Map": {
            "Type": "Map",
            "Items": [1, 2],
            "MaxConcurrency": 1,
            "ItemProcessor": {"StartAt": "Pass", "States": passing()},
            "End": True,
        }
    }
    events = machine(mapping).run().history
    iteration = [
        "MapIterationStarted",
        "PassStateEntered",
        "PassStateExited",
        "MapIterationSucceeded",
    ]
    assert kinds(events) == [
        "ExecutionStarted",
        "MapStateEntered",
        "MapStateStarted",
        *iteration,
        *iteration,
        "MapStateSucceeded",
        "MapStateExited",
        "ExecutionSucceeded",
    ]
    assert events[2]["mapStateStartedEventDetails"] == {"length": 2}
    assert events[7]["mapIterationStartedEventDetails"] == {"name": "Map", "index": 1}
    # Each iteration is a chain of its own, from the start of the map.
    assert [event["previousEventId"] for event in events[3:11]] == [
        3,
        4,
        5,
        6,
        3,
        8,
        9,
        10,
    ]


@pytest.mark.emulates("stepfunctions:GetExecutionHistory")
def test_a_history_comes_in_pages_backwards_and_without_data(machine):
    many = machine(
        {
            f"State {n}": {
                "Type": "Pass",
                **({"Next": f"State {n + 1}"} if n < 99 else {"End": True}),
            }
            for n in range(100)
        }
    )
    arn = many.start({"secret": 1})
    many.wait(arn)
    events = many.history(arn)
    assert [event["id"] for event in events] == list(range(1, 203))
    assert many.history(arn, reverseOrder=True) == events[::-1]
    first = many.client.get_execution_history(executionArn=arn, maxResults=3)
    assert first["events"] == events[:3]
    assert "secret" in json.dumps(events, default=str)
    without = many.history(arn, includeExecutionData=False)
    assert "secret" not in json.dumps(without, default=str)
    assert kinds(without) == kinds(events)


def test_a_history_of_25000_events_is_the_end(endless):
    arn = endless.start()
    told = endless.wait(arn)
    assert told["status"] == "FAILED"
    assert "25000" in told["cause"]
    last = endless.client.get_execution_history(
        executionArn=arn, reverseOrder=True, maxResults=1
    )["events"][0]
    assert (last["id"], last["type"]) == (25_000, "ExecutionFailed")


def test_the_same_execution_has_the_same_history_every_time(machine, task, function):
    """Even though 20 functions work at once, and not for the same time."""
    source = """
import time
def handler(event, context):
    time.sleep(0.02 if event % 3 else 0)
    return event
"""
    mapping = {
        "Map": {
            "Type": "Map",
            "Items": "{% [1..20] %}",
            "ItemProcessor": {
                "StartAt": "Do",
                "States": {"Do": task(function(source).publish())},
            },
            "End": True,
        }
    }
    told = []
    for _ in range(2):
        events = machine(mapping).run().history
        told.append(
            [
                (
                    event["type"],
                    event["previousEventId"],
                    *event.get("mapIterationStartedEventDetails", {}).values(),
                )
                for event in events
            ]
        )
    assert told[0] == told[1]


@pytest.mark.emulates(
    "stepfunctions:DescribeStateMachineForExecution", "stepfunctions:UpdateStateMachine"
)
def test_a_running_execution_keeps_its_definition(machine, local_aws):
    states = {
        "Wait": {"Type": "Wait", "Seconds": 60, "Next": "Tell"},
        "Tell": {"Type": "Pass", "Output": "old", "End": True},
    }
    updated = machine(states)
    with local_aws.clock.busy():
        arn = updated.start()
        before = updated.client.describe_state_machine_for_execution(executionArn=arn)
        states["Tell"]["Output"] = "new"
        definition = json.loads(before["definition"])
        updated.client.update_state_machine(
            stateMachineArn=updated.arn,
            definition=json.dumps({**definition, "States": states}),
        )
        now = updated.client.describe_state_machine(stateMachineArn=updated.arn)
        assert '"new"' in now["definition"]
        of_execution = updated.client.describe_state_machine_for_execution(
            executionArn=arn
        )
        assert of_execution["definition"] == before["definition"]
    assert updated.wait(arn)["output"] == '"old"'
    assert updated.run().output == "new"


@pytest.mark.bridge(
    "moto.stepfunctions.models.StepFunctionBackend.delete_state_machine"
)
@pytest.mark.emulates("stepfunctions:DeleteStateMachine")
def test_deleting_a_machine_ends_its_executions(machine, local_aws):
    waiting = machine(WAITING)
    with local_aws.clock.busy():
        arn = waiting.start()
        waiting.client.delete_state_machine(stateMachineArn=waiting.arn)
        code, _ = refusal(waiting.client.describe_execution, executionArn=arn)
    assert code == "ExecutionDoesNotExist"


def test_a_name_belongs_to_one_machine(machine, machine_role):
    first = machine(passing(), name="taken")
    assert machine(passing(), name="taken").arn == first.arn
    with pytest.raises(ClientError, match="StateMachineAlreadyExists"):
        machine(passing(Output=1), name="taken")


def test_a_version_of_a_machine_runs_its_own_definition(machine):
    made = machine(passing(Output="old"))
    version = made.client.update_state_machine(
        stateMachineArn=made.arn,
        definition=made.client.describe_state_machine(stateMachineArn=made.arn)[
            "definition"
        ],
        publish=True,
    )["stateMachineVersionArn"]
    newer = machine(passing(Output="new"))
    definition = newer.client.describe_state_machine(stateMachineArn=newer.arn)
    made.client.update_state_machine(
        stateMachineArn=made.arn, definition=definition["definition"]
    )
    started = made.client.start_execution(stateMachineArn=version, input="{}")
    told = made.wait(started["executionArn"])
    assert (told["output"], told["stateMachineArn"]) == ('"old"', made.arn)
    assert made.run().output == "new"


def test_a_task_token_is_nobody_s(machine):
    code, _ = refusal(
        machine(passing()).client.send_task_success, taskToken="t", output="{}"
    )
    assert code == "InvalidToken"


@pytest.mark.bridge(
    "moto.stepfunctions.models.StepFunctionBackend.create_state_machine"
)
def test_express_machines_are_refused(machine):
    with pytest.raises(ClientError, match="STANDARD state machines only"):
        machine(passing(), settings={"type": "EXPRESS"})


def logging(group, level, include=True):
    arn = f"arn:aws:logs:us-east-1:123456789012:log-group:{group}:*"
    return {
        "loggingConfiguration": {
            "level": level,
            "includeExecutionData": include,
            "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": arn}}],
        },
        "tracingConfiguration": {"enabled": True},
    }


@pytest.fixture
def group(local_aws, request):
    name = (
        f"/aws/vendedlogs/states/{request.node.name}"[:100]
        .replace("[", "-")
        .rstrip("]")
    )
    local_aws.client("logs").create_log_group(logGroupName=name)
    return name


def logged(local_aws, group):
    events = local_aws.client("logs").filter_log_events(logGroupName=group)["events"]
    return [json.loads(event["message"]) for event in events]


def test_logging_and_tracing_are_read_back(machine, group):
    settings = logging(group, "ALL")
    made = machine(passing(), settings=settings)
    told = made.client.describe_state_machine(stateMachineArn=made.arn)
    assert told["loggingConfiguration"] == settings["loggingConfiguration"]
    assert told["tracingConfiguration"] == settings["tracingConfiguration"]


@pytest.mark.emulates(
    "log-level:ALL", "log-level:ERROR", "log-level:FATAL", "log-level:OFF"
)
@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (
            "ALL",
            [
                *("ExecutionStarted", "ParallelStateEntered", "ParallelStateStarted"),
                *("WaitStateEntered", "PassStateEntered", "PassStateExited"),
                *("FailStateEntered", "WaitStateAborted", "ParallelStateFailed"),
                "ExecutionFailed",
            ],
        ),
        (
            "ERROR",
            [
                *("FailStateEntered", "WaitStateAborted", "ParallelStateFailed"),
                "ExecutionFailed",
            ],
        ),
        ("FATAL", ["ExecutionFailed"]),
        ("OFF", []),
    ],
)
def test_events_are_logged_by_level(machine, local_aws, group, level, expected):
    waiting = {"StartAt": "Wait", "States": WAITING}
    failing = {
        "StartAt": "Pass",
        "States": {
            "Pass": {"Type": "Pass", "Next": "Fail"},
            "Fail": {"Type": "Fail", "Error": "E", "Cause": "C"},
        },
    }
    branches = {"Type": "Parallel", "Branches": [waiting, failing], "End": True}
    execution = machine({"Parallel": branches}, settings=logging(group, level)).run(
        {"in": "put"}
    )
    lines = logged(local_aws, group)
    assert [line["type"] for line in lines] == expected
    for line in lines:
        event = execution.history[int(line["id"]) - 1]
        assert line["execution_arn"] == execution.arn
        assert int(line["event_timestamp"]) == event["timestamp"].timestamp() * 1000
        assert line["previous_event_id"] == str(event["previousEventId"])
    if lines:
        assert lines[-1]["details"] == {"error": "E", "cause": "C"}


def test_logs_are_without_data_unless_it_is_wanted(machine, local_aws, group):
    states = passing(Assign={"kept": "{% $states.input %}"})
    machine(states, settings=logging(group, "ALL", include=False)).run("secret")
    lines = logged(local_aws, group)
    assert len(lines) == 4
    assert "secret" not in json.dumps(lines)
    machine(states, settings=logging(group, "ALL")).run("secret")
    assert "secret" in json.dumps(logged(local_aws, group))


@pytest.mark.emulates("stepfunctions:CreateStateMachine")
def test_logs_are_delivered_only_for_a_role_that_may_have_them_delivered(
    machine, role, group
):
    settings = {"settings": logging(group, "ALL")}
    denied = "is not authorized to access the Log Destination"
    allowed = {"Effect": "Allow", "Action": "logs:*", "Resource": "*"}
    for statements in (
        [],
        [{**allowed, "Resource": f"arn:aws:logs:*:*:log-group:{group}"}],
        [allowed, {**allowed, "Effect": "Deny", "Action": "logs:UpdateLogDelivery"}],
    ):
        with pytest.raises(ClientError, match=denied) as refused:
            machine(passing(), role_arn=role(*statements), **settings)
        assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
    made = machine(passing(), role_arn=role(allowed), **settings)
    with pytest.raises(ClientError, match=denied):
        made.client.update_state_machine(stateMachineArn=made.arn, roleArn=role())


def test_a_log_group_that_is_not_there_is_refused(machine):
    with pytest.raises(ClientError, match="there is no log group /nowhere"):
        machine(passing(), settings=logging("/nowhere", "ALL"))


def test_a_group_s_streams_can_be_read_while_others_are_added(local_aws, group):
    """As executions start while somebody filters their logs."""
    place = (local_aws.account_id, local_aws.region, group)
    now = local_aws.clock.now()
    log_groups.put(*place, "first", now, ["1"])
    streams = (
        logs_backends[local_aws.account_id][local_aws.region].groups[group].streams
    )
    for _ in streams:
        log_groups.put(*place, "second", now, ["2"])
    told = local_aws.client("logs").describe_log_streams(logGroupName=group)
    assert len(told["logStreams"]) == 2
