"""What states do, on the virtual clock."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest

POLL = {
    "Begin": {"Type": "Pass", "Assign": {"polls": 0}, "Next": "Wait"},
    "Wait": {"Type": "Wait", "Seconds": "{% $states.input.every %}", "Next": "Poll"},
    "Poll": {"Type": "Pass", "Assign": {"polls": "{% $polls + 1 %}"}, "Next": "Done?"},
    "Done?": {
        "Type": "Choice",
        "Choices": [
            {
                "Condition": "{% $polls * $states.input.every >= $states.input.for %}",
                "Next": "Done",
            }
        ],
        "Default": "Wait",
    },
    "Done": {"Type": "Succeed", "Output": {"polls": "{% $polls %}"}},
}


def passing(**fields):
    return {"Type": "Pass", "End": True, **fields}


def elapsed(execution):
    first, last = execution.history[0], execution.history[-1]
    return last["timestamp"] - first["timestamp"]


@pytest.mark.emulates("asl:Wait", "asl:Choice", "asl:Succeed")
def test_a_wait_loop_of_57_minutes_takes_57_virtual_minutes_and_no_real_time(machine):
    polling = machine(POLL)
    began = time.monotonic()
    execution = polling.run({"every": 300, "for": 3420})
    assert time.monotonic() - began < 1
    assert execution.output == {"polls": 12}
    assert elapsed(execution) == timedelta(minutes=60)
    waits = [
        event["timestamp"]
        for event in execution.history
        if event["type"] == "WaitStateExited"
    ]
    started = execution.history[0]["timestamp"]
    assert [at - started for at in waits] == [
        timedelta(minutes=5 * poll) for poll in range(1, 13)
    ]


def test_executions_share_one_time(machine, local_aws):
    """Each wait ends at its own second, however many executions wait."""
    polling = machine(POLL)
    with local_aws.clock.busy():
        began = local_aws.clock.now()
        arns = [polling.start({"every": n, "for": 20 * n}) for n in range(1, 31)]
    ends = [polling.wait(arn)["stopDate"] for arn in arns]
    assert ends == [began + timedelta(seconds=20 * n) for n in range(1, 31)]


def test_wait_until_a_timestamp(machine, local_aws):
    with local_aws.clock.busy():
        until = local_aws.clock.now() + timedelta(days=3)
        waiting = machine(
            {
                "Wait": {
                    "Type": "Wait",
                    "Timestamp": "{% $states.input.until %}",
                    "End": True,
                }
            }
        )
        arn = waiting.start({"until": until.isoformat()})
    assert waiting.wait(arn)["stopDate"] == until


def test_the_context_tells_of_execution_state_and_machine(machine, machine_role):
    telling = machine(
        {
            "First": {"Type": "Wait", "Seconds": 90, "Next": "Tell"},
            "Tell": passing(Output="{% $states.context %}"),
        }
    )
    arn = telling.start({"some": ["input"]}, name="told")
    context = telling.wait(arn)
    told = json.loads(context["output"])
    started = context["startDate"]
    assert told["Execution"] == {
        "Id": arn,
        "Input": {"some": ["input"]},
        "Name": "told",
        "RedriveCount": 0,
        "RoleArn": machine_role,
        "StartTime": _written(started),
    }
    assert told["StateMachine"] == {"Id": telling.arn, "Name": telling.name}
    assert told["State"] == {
        "Name": "Tell",
        "EnteredTime": _written(started + timedelta(seconds=90)),
        "RetryCount": 0,
    }


def _written(instant: datetime) -> str:
    utc = instant.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03}Z"


@pytest.mark.parametrize(
    "value",
    [
        '"quoted" \\ and \n new',
        "ünï 😀",
        None,
        [None],
        [],
        {"a": [{"b": None}]},
        1.5,
        "",
    ],
)
def test_values_survive_input_variables_and_output(machine, value):
    keeping = machine(
        {
            "Keep": {
                "Type": "Pass",
                "Assign": {"kept": "{% $states.input.value %}"},
                "Output": {},
                "Next": "Give",
            },
            "Give": passing(Output={"value": "{% $kept %}", "in": ["{% $kept %}"]}),
        }
    )
    execution = keeping.run({"value": value})
    assert execution.output == {"value": value, "in": [value]}


@pytest.mark.emulates("asl:Pass")
def test_assignments_are_made_at_once_from_the_variables_before(machine):
    swapping = machine(
        {
            "Set": {"Type": "Pass", "Assign": {"a": 1, "b": 2}, "Next": "Swap"},
            "Swap": {
                "Type": "Pass",
                "Assign": {"a": "{% $b %}", "b": "{% $a %}"},
                "Output": ["{% $a %}", "{% $b %}"],
                "Next": "Tell",
            },
            "Tell": passing(
                Output={
                    "before": "{% $states.input %}",
                    "after": ["{% $a %}", "{% $b %}"],
                }
            ),
        }
    )
    assert swapping.run().output == {"before": [1, 2], "after": [2, 1]}


@pytest.mark.emulates("asl:Choice")
def test_a_choice_takes_the_first_rule_that_holds_and_its_output(machine):
    choosing = machine(
        {
            "Choose": {
                "Type": "Choice",
                "Choices": [
                    {"Condition": "{% $states.input.n > 10 %}", "Next": "Big"},
                    {
                        "Condition": "{% $states.input.n > 5 %}",
                        "Output": "{% $states.input.n * 2 %}",
                        "Assign": {"size": "middling"},
                        "Next": "Middling",
                    },
                ],
                "Default": "Small",
                "Output": "default",
            },
            "Big": passing(Output={"big": "{% $states.input %}"}),
            "Middling": passing(
                Output={"{% x %}": 1, "is": ["{% $size %}", "{% $states.input %}"]}
            ),
            "Small": passing(),
        }
    )
    assert choosing.run({"n": 20}).output == {"big": {"n": 20}}
    assert choosing.run({"n": 6}).output == {"{% x %}": 1, "is": ["middling", 12]}
    assert choosing.run({"n": 1}).output == "default"


@pytest.mark.emulates("error:States.NoChoiceMatched")
def test_a_choice_without_match_and_default_fails(machine):
    choosing = machine(
        {
            "Choose": {
                "Type": "Choice",
                "Choices": [{"Condition": "{% false %}", "Next": "Never"}],
            },
            "Never": passing(),
        }
    )
    assert choosing.run().error == "States.NoChoiceMatched"


@pytest.mark.emulates("asl:Fail")
def test_fail_evaluates_its_error_and_cause(machine):
    failing = machine(
        {
            "Fail": {
                "Type": "Fail",
                "Error": "{% $states.input.error %}",
                "Cause": "{% 'because ' & $states.input.why %}",
            }
        }
    )
    execution = failing.run({"error": "Mine", "why": 'of "this"'})
    assert (execution.status, execution.error, execution.cause) == (
        "FAILED",
        "Mine",
        'because of "this"',
    )
    assert [event["type"] for event in execution.history] == [
        "ExecutionStarted",
        "FailStateEntered",
        "ExecutionFailed",
    ]


def test_a_failure_need_not_say_anything(machine):
    execution = machine({"Fail": {"Type": "Fail"}}).run()
    assert (execution.status, execution.error, execution.cause) == (
        "FAILED",
        None,
        None,
    )


@pytest.mark.parametrize(
    ("state", "field"),
    [
        (passing(Output="{% $states.input.absent %}"), "Output"),
        (passing(Output={"a": [1, "{% $states.input.absent %}"]}), "Output/a[1]"),
        (passing(Assign={"x": "{% $states.input.absent %}"}), "Assign/x"),
        ({"Type": "Wait", "Seconds": "{% $never %}", "End": True}, "Seconds"),
        ({"Type": "Fail", "Error": "{% $never %}"}, "Error"),
        (
            {
                "Type": "Map",
                "Items": "{% $never %}",
                "ItemProcessor": {"StartAt": "In", "States": {"In": passing()}},
                "End": True,
            },
            "Items",
        ),
    ],
)
def test_an_expression_without_a_value_fails_and_names_its_field(machine, state, field):
    execution = machine({"The state": state}).run()
    assert execution.error == "States.QueryEvaluationError"
    assert execution.cause.startswith(
        "An error occurred while executing the state 'The state' (entered at the event "
        "id #2). The JSONata expression '"
    )
    assert f"specified for the field '{field}' returned nothing" in execution.cause
    evaluation = next(
        event for event in execution.history if event["type"] == "EvaluationFailed"
    )["evaluationFailedEventDetails"]
    assert (evaluation["location"], evaluation["state"]) == (field, "The state")


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"Type": "Wait", "Seconds": "{% 'ten' %}", "End": True}, "integer"),
        ({"Type": "Wait", "Seconds": "{% 1.5 %}", "End": True}, "integer"),
        ({"Type": "Wait", "Seconds": "{% true %}", "End": True}, "integer"),
        ({"Type": "Fail", "Cause": "{% {'a': 1} %}"}, "string"),
        (
            {
                "Type": "Choice",
                "Choices": [{"Condition": "{% 'yes' %}", "Next": "Other"}],
                "Default": "Other",
            },
            "boolean",
        ),
    ],
)
@pytest.mark.emulates("error:States.QueryEvaluationError")
def test_an_expression_of_another_type_fails(machine, state, expected):
    execution = machine(
        {"State": state, "Other": passing()} if "Choices" in state else {"State": state}
    ).run()
    assert execution.error == "States.QueryEvaluationError"
    assert f"Expected '{expected}'" in execution.cause


@pytest.mark.parametrize(
    ("state", "field"),
    [
        ({"Type": "Wait", "Seconds": "{% -1 %}", "End": True}, "Seconds"),
        ({"Type": "Wait", "Seconds": "{% 100000000 %}", "End": True}, "Seconds"),
        ({"Type": "Wait", "Timestamp": "{% 'soon' %}", "End": True}, "Timestamp"),
        (
            {"Type": "Wait", "Timestamp": "{% '2026-01-01T00:00:00' %}", "End": True},
            "Timestamp",
        ),
        (
            {
                "Type": "Map",
                "Items": [1],
                "MaxConcurrency": "{% -1 %}",
                "ItemProcessor": {"StartAt": "In", "States": {"In": passing()}},
                "End": True,
            },
            "MaxConcurrency",
        ),
    ],
)
def test_an_expression_out_of_range_fails(machine, state, field):
    execution = machine({"State": state}).run()
    assert execution.error == "States.QueryEvaluationError"
    assert f"The value of the field '{field}' must be" in execution.cause


@pytest.mark.emulates("asl:Map")
def test_a_map_keeps_order_and_runs_no_more_at_once_than_allowed(machine):
    """30 items of a minute each, 5 at a time: six minutes."""
    mapping = machine(
        {
            "Map": {
                "Type": "Map",
                "Items": "{% [1..30] %}",
                "MaxConcurrency": 5,
                "ItemSelector": {
                    "is": "{% $states.input.of & $states.context.Map.Item.Value %}",
                    "at": "{% $states.context.Map.Item.Index %}",
                },
                "ItemProcessor": {
                    "ProcessorConfig": {"Mode": "INLINE"},
                    "StartAt": "Wait",
                    "States": {"Wait": {"Type": "Wait", "Seconds": 60, "End": True}},
                },
                "End": True,
            }
        }
    )
    execution = mapping.run({"of": "item "})
    assert execution.output == [{"is": f"item {n}", "at": n - 1} for n in range(1, 31)]
    assert elapsed(execution) == timedelta(minutes=6)
    working = most = 0
    for event in execution.history:
        working += {"MapIterationStarted": 1, "MapIterationSucceeded": -1}.get(
            event["type"], 0
        )
        most = max(most, working)
    assert most == 5


def test_a_map_without_limit_runs_40_at_once(machine):
    mapping = machine(
        {
            "Map": {
                "Type": "Map",
                "Items": "{% [1..80] %}",
                "ItemProcessor": {
                    "StartAt": "Wait",
                    "States": {"Wait": {"Type": "Wait", "Seconds": 60, "End": True}},
                },
                "Output": "{% $count($states.result) %}",
                "End": True,
            }
        }
    )
    execution = mapping.run()
    assert execution.output == 80
    assert elapsed(execution) == timedelta(minutes=2)


@pytest.mark.parametrize("items", [[], ["only"], [[1], [2]], [None]])
def test_a_map_takes_lists_as_they_are(machine, items):
    mapping = machine(
        {
            "Keep": {
                "Type": "Pass",
                "Assign": {"pending": "{% $states.input.items %}"},
                "Next": "Map",
            },
            "Map": {
                "Type": "Map",
                "Items": "{% $pending %}",
                "ItemProcessor": {"StartAt": "In", "States": {"In": passing()}},
                "End": True,
            },
        }
    )
    assert mapping.run({"items": items}).output == items


def test_an_iteration_reads_outer_variables_and_keeps_its_own_to_itself(machine):
    mapping = machine(
        {
            "Set": {"Type": "Pass", "Assign": {"outer": "seen"}, "Next": "Map"},
            "Map": {
                "Type": "Map",
                "Items": [1, 2, 3],
                "ItemProcessor": {
                    "StartAt": "Mine",
                    "States": {
                        "Mine": {
                            "Type": "Pass",
                            "Assign": {"own": "{% $states.input * 10 %}"},
                            "Next": "Let others",
                        },
                        "Let others": {"Type": "Wait", "Seconds": 1, "Next": "Give"},
                        "Give": passing(Output="{% $outer & $own %}"),
                    },
                },
                "Assign": {"gathered": "{% $states.result %}"},
                "Next": "Tell",
            },
            "Tell": passing(Output="{% {'gathered': $gathered, 'leaked': $own} %}"),
        }
    )
    assert mapping.run().output == {"gathered": ["seen10", "seen20", "seen30"]}


def test_a_failing_iteration_fails_the_map_and_ends_the_others(machine):
    mapping = machine(
        {
            "Map": {
                "Type": "Map",
                "Items": [1, 2, 3],
                "ItemProcessor": {
                    "StartAt": "Second?",
                    "States": {
                        "Second?": {
                            "Type": "Choice",
                            "Choices": [
                                {"Condition": "{% $states.input = 2 %}", "Next": "Fail"}
                            ],
                            "Default": "Wait",
                        },
                        "Wait": {"Type": "Wait", "Seconds": 3600, "End": True},
                        "Fail": {"Type": "Fail", "Error": "Second", "Cause": "of 3"},
                    },
                },
                "Catch": [{"ErrorEquals": ["Second"], "Next": "Caught"}],
                "End": True,
            },
            "Caught": passing(),
        }
    )
    execution = mapping.run()
    assert execution.output == {"Error": "Second", "Cause": "of 3"}
    assert elapsed(execution) == timedelta(0)
    ended = [
        (event["type"], *event["mapIterationFailedEventDetails"].values())
        if "mapIterationFailedEventDetails" in event
        else event["type"]
        for event in execution.history
        if event["type"].startswith("MapIteration") and "Started" not in event["type"]
    ]
    assert ended == [
        "MapIterationAborted",
        "MapIterationAborted",
        ("MapIterationFailed", "Map", 1),
    ]


@pytest.mark.emulates("asl:Wait")
def test_a_whole_number_may_be_written_with_a_point(machine):
    waiting = machine(
        {"Wait": {"Type": "Wait", "Seconds": "{% $states.input.s %}", "End": True}}
    )
    assert elapsed(waiting.run({"s": 7.0})) == timedelta(seconds=7)


@pytest.mark.emulates("asl:Parallel")
def test_branches_run_side_by_side(machine):
    def branch(seconds, output):
        return {
            "StartAt": f"Wait {seconds}",
            "States": {
                f"Wait {seconds}": {
                    "Type": "Wait",
                    "Seconds": seconds,
                    "Output": output,
                    "End": True,
                }
            },
        }

    execution = machine(
        {
            "Both": {
                "Type": "Parallel",
                "Branches": [branch(60, "slow"), branch(10, "quick")],
                "End": True,
            }
        }
    ).run()
    assert execution.output == ["slow", "quick"]
    assert elapsed(execution) == timedelta(seconds=60)


def test_a_failing_branch_fails_the_state_and_ends_the_others(machine):
    def branch(name, state):
        return {"StartAt": name, "States": {name: state}}

    execution = machine(
        {
            "Both": {
                "Type": "Parallel",
                "Branches": [
                    branch("Wait", {"Type": "Wait", "Seconds": 60, "End": True}),
                    branch("Fail", {"Type": "Fail", "Error": "Second"}),
                ],
                "Catch": [{"ErrorEquals": ["Second"], "Next": "Caught"}],
                "End": True,
            },
            "Caught": passing(),
        }
    ).run()
    assert execution.output == {"Error": "Second"}
    assert elapsed(execution) == timedelta(0)
    assert "ParallelStateFailed" in [event["type"] for event in execution.history]


def test_a_failing_catch_fails_the_execution(machine):
    execution = machine(
        {
            "Try": {
                "Type": "Parallel",
                "Branches": [{"StartAt": "Fail", "States": {"Fail": {"Type": "Fail"}}}],
                "Catch": [
                    {
                        "ErrorEquals": ["States.ALL"],
                        "Output": "{% $states.errorOutput.absent %}",
                        "Next": "Caught",
                    }
                ],
                "End": True,
            },
            "Caught": passing(),
        }
    ).run()
    assert execution.error == "States.QueryEvaluationError"
    assert "'Catch[0]/Output' returned nothing" in execution.cause


@pytest.mark.emulates("error:States.DataLimitExceeded")
def test_too_much_data_ends_an_execution_past_catch_all(machine):
    growing = {
        "Grow": {
            "Type": "Map",
            "Items": [1],
            "ItemProcessor": {"StartAt": "In", "States": {"In": passing()}},
            "Output": "{% $pad('', 262143, 'x') %}",
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}],
            "End": True,
        },
        "Caught": passing(Output="caught"),
    }
    execution = machine(growing).run()
    assert execution.error == "States.DataLimitExceeded"
    growing["Grow"]["Output"] = "{% $pad('', 262142, 'x') %}"
    # Quotes count.
    assert machine(growing).run().status == "SUCCEEDED"
