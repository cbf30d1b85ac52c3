"""The state machine: how it ends, repeats itself and looks to others."""

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Match, Template


@pytest.fixture
def states(stack, make_pipeline, definition):
    make_pipeline()
    return definition(Template.from_stack(stack))["States"]


def _tasks(states):
    inner = states["Collect segments"]["ItemProcessor"]["States"]
    return {
        name: state
        for name, state in {**states, **inner}.items()
        if state["Type"] == "Task"
    }


def test_every_task_survives_lambda_s_own_errors_and_a_crash(states):
    for name, task in _tasks(states).items():
        service, _, anything = task["Retry"]
        assert "Lambda.TooManyRequestsException" in service["ErrorEquals"], name
        assert anything["ErrorEquals"] == ["States.ALL"]
        assert service["JitterStrategy"] == anything["JitterStrategy"] == "FULL"


def test_a_grant_that_is_new_is_waited_for_some_three_minutes(states):
    for name, task in _tasks(states).items():
        _, denied, _ = task["Retry"]
        assert denied["ErrorEquals"] == ["AccessDenied"], name
        waits = [
            min(
                denied["IntervalSeconds"] * denied["BackoffRate"] ** attempt,
                denied["MaxDelaySeconds"],
            )
            for attempt in range(denied["MaxAttempts"])
        ]
        assert 150 <= sum(waits) <= 180


def test_no_error_passes_by_the_state_that_records_it(states):
    inner = "Collect part"
    for name, task in _tasks(states).items():
        if name == inner:
            continue
        [catch] = task["Catch"]
        assert catch["ErrorEquals"] == ["States.ALL"]
        expected = (
            "Failure not recorded" if name == "Record failure" else "Record failure"
        )
        assert catch["Next"] == expected, name
    [catch] = states["Collect segments"]["Catch"]
    assert catch["Next"] == "Record failure"


def test_every_task_times_out_after_its_function_does(states):
    assert {name: task["TimeoutSeconds"] for name, task in _tasks(states).items()} == {
        "Prepare input": 960,
        "Create job": 120,
        "Look at the job": 120,
        "Collect part": 960,
        "Account for every query": 960,
        "Record failure": 960,
    }


def test_parts_are_collected_forty_at_a_time(states):
    assert states["Collect segments"]["MaxConcurrency"] == 40


def test_what_is_not_set_is_null_and_not_left_out(states):
    defaults = states["Prepare input"]["Arguments"]["Payload"]["defaults"]
    assert defaults["filterArn"] == "{% null %}"
    assert defaults["solutionArn"] == "{% null %}"
    accounting = states["Account for every query"]["Arguments"]["Payload"]
    assert accounting["maxFailedQueries"] == "{% null %}"


def test_zero_failed_queries_is_a_bound_and_not_its_absence(
    stack, make_pipeline, definition
):
    make_pipeline(max_failed_queries=0)
    states = definition(Template.from_stack(stack))["States"]
    payload = states["Account for every query"]["Arguments"]["Payload"]
    assert payload["maxFailedQueries"] == 0


def test_the_machine_s_own_time_out_is_a_backstop(stack, make_pipeline, definition):
    make_pipeline(
        queue_timeout=cdk.Duration.hours(3), job_timeout=cdk.Duration.hours(5)
    )
    assert definition(Template.from_stack(stack))["TimeoutSeconds"] == 10 * 3600


def test_functions_are_called_by_version(states, stack):
    for name, task in _tasks(states).items():
        assert "CurrentVersion" in task["Arguments"]["FunctionName"], name


def test_everything_is_logged_but_the_data(stack, make_pipeline):
    make_pipeline()
    Template.from_stack(stack).has_resource_properties(
        "AWS::StepFunctions::StateMachine",
        {
            "LoggingConfiguration": {
                "Level": "ALL",
                "IncludeExecutionData": False,
                "Destinations": Match.any_value(),
            },
            "TracingConfiguration": {"Enabled": True},
        },
    )
