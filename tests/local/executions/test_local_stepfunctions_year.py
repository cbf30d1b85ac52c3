"""No execution outlasts a year, on a clock of its own that may go so far."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from cdk_personalize_segments.local.clock import Clock
from cdk_personalize_segments.local.stepfunctions.execution import Execution, Machine

ARN = "arn:aws:states:us-east-1:123456789012:execution:machine:one"
BEGINS = datetime(2026, 3, 1, tzinfo=UTC)


class Waiting:
    """Performs tasks that never end."""

    async def perform(self, _):
        await asyncio.Event().wait()


@pytest.fixture
def clock():
    clock = Clock(start=BEGINS)
    yield clock
    clock.stop()


@pytest.fixture
def started(clock):
    """Start executions of one state."""

    def start(state):
        states = {"StartAt": "State", "States": {"State": {**state, "End": True}}}
        machine = Machine(
            arn=ARN.replace("execution", "stateMachine").removesuffix(":one"),
            name="machine",
            role_arn="",
            definition="",
            states=states,
            logging={},
            tracing={},
            updated=BEGINS,
        )
        execution = Execution(
            arn=ARN,
            name="one",
            machine=machine,
            text="{}",
            clock=clock,
            start_number=1,
            on_status=lambda _: None,
        )
        execution.start(Waiting())
        return execution

    return start


FAIL = {"StartAt": "Fail", "States": {"Fail": {"Type": "Fail", "Error": "E"}}}
RETRY = {"ErrorEquals": ["States.ALL"], "MaxAttempts": 2000, "BackoffRate": 10}


@pytest.mark.emulates("asl:Wait", "asl:Retry")
@pytest.mark.parametrize(
    "state",
    [
        {"Type": "Wait", "Seconds": 99_999_999},
        {"Type": "Wait", "Timestamp": "9999-01-01T00:00:00Z"},
        {"Type": "Parallel", "Branches": [FAIL], "Retry": [RETRY]},
    ],
)
def test_an_execution_times_out_after_a_year(clock, started, state):
    execution = started(state)
    clock.start(execution.end()).result(30)
    assert (execution.status, execution.error) == ("TIMED_OUT", None)
    assert execution.stopped == BEGINS + timedelta(days=365)
    last = execution.events[-1]
    assert last["type"] == "ExecutionTimedOut"
    assert last["executionTimedOutEventDetails"] == {"error": "States.Timeout"}
    assert execution.not_redrivable == "Execution has exceeded the max execution time"


@pytest.mark.emulates("integration:lambda:invoke.waitForTaskToken")
def test_nobody_waits_for_the_end_of_the_year(clock, started):
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Arguments": {"FunctionName": "f"},
    }
    execution = started(state)
    clock.settle()
    assert (execution.status, clock.now()) == ("RUNNING", BEGINS)
    clock.advance(timedelta(days=366))
    assert execution.status == "TIMED_OUT"
    assert execution.stopped == BEGINS + timedelta(days=365)
