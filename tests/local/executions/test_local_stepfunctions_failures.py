"""What histories tell of failures inside of Map and Parallel states.

The expected types and chains of events were read off real executions by others, who
published them; AWS does not document them.
"""

import pytest


def parallel(*branches, **fields):
    return {
        "Type": "Parallel",
        "Branches": [
            {"StartAt": next(iter(states)), "States": states} for states in branches
        ],
        "End": True,
        **fields,
    }


def mapping(states, **fields):
    return {
        "Type": "Map",
        "ItemProcessor": {"StartAt": next(iter(states)), "States": states},
        "End": True,
        **fields,
    }


def passing(**fields):
    return {"Type": "Pass", "End": True, **fields}


FAIL = {"Boom": {"Type": "Fail", "Error": "E", "Cause": "C"}}
UNDEFINED = {"Undefined": passing(Output={"v": "{% $states.input.missing %}"})}
ENTERED = ["ExecutionStarted", "ParallelStateEntered", "ParallelStateStarted"]
MAPPED = ["ExecutionStarted", "MapStateEntered", "MapStateStarted"]


def told(machine, states, value=None):
    history = machine(states).run(value or {}).history
    types = [event["type"] for event in history]
    return types, [event["previousEventId"] for event in history], history


@pytest.mark.emulates("asl:Parallel")
def test_a_parallel_state_goes_on_from_the_last_event_of_its_branches(machine):
    states = {"P": parallel({"A": passing()}, {"B": passing()})}
    types, previous, _ = told(machine, states)
    assert types[-3:] == [
        "ParallelStateSucceeded",
        "ParallelStateExited",
        "ExecutionSucceeded",
    ]
    assert previous[-3:] == [7, 7, 9]


@pytest.mark.emulates("asl:Map")
@pytest.mark.parametrize(("items", "chain"), [([], [3, 3, 5]), ([1], [7, 7, 9])])
def test_a_map_state_goes_on_from_the_last_event_of_its_iterations(
    machine, items, chain
):
    types, previous, _ = told(machine, {"M": mapping({"I": passing()}, Items=items)})
    assert types[-3:] == ["MapStateSucceeded", "MapStateExited", "ExecutionSucceeded"]
    assert previous[-3:] == chain


@pytest.mark.emulates("asl:Catch")
def test_an_expression_s_failure_is_told_once_and_of_its_own_state(machine):
    inner = parallel(UNDEFINED)
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Handled"}]
    states = {"P": parallel({"Inner": inner}, Catch=catch), "Handled": passing()}
    types, previous, history = told(machine, states)
    assert types == [
        *ENTERED,
        *("ParallelStateEntered", "ParallelStateStarted", "PassStateEntered"),
        *("EvaluationFailed", "ParallelStateFailed", "ParallelStateFailed"),
        *("ParallelStateExited", "PassStateEntered", "PassStateExited"),
        "ExecutionSucceeded",
    ]
    assert previous == [0, 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
    assert history[6]["evaluationFailedEventDetails"]["state"] == "Undefined"


@pytest.mark.emulates("asl:Retry")
def test_a_retried_parallel_state_fails_once(machine):
    retry = [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 1}]
    types, previous, _ = told(machine, {"P": parallel(FAIL, Retry=retry)})
    assert types == [
        *ENTERED,
        *("FailStateEntered", "ParallelStateStarted", "FailStateEntered"),
        *("ParallelStateFailed", "ExecutionFailed"),
    ]
    assert previous == [0, 0, 2, 3, 4, 5, 6, 7]


@pytest.mark.emulates("asl:Catch")
def test_a_catcher_whose_output_fails_fails_the_state_again(machine):
    failing = {"ErrorEquals": ["States.ALL"], "Next": "Done"}
    failing["Output"] = "{% $states.input.missing %}"
    states = {"P": parallel(FAIL, Catch=[failing]), "Done": passing()}
    types, previous, _ = told(machine, states)
    assert types == [
        *ENTERED,
        *("FailStateEntered", "ParallelStateFailed", "EvaluationFailed"),
        *("ParallelStateFailed", "ExecutionFailed"),
    ]
    assert previous == [0, 0, 2, 3, 4, 4, 6, 7]


@pytest.mark.emulates("asl:Task")
def test_a_task_s_failure_that_ends_a_branch_aborts_the_task_state(machine, task):
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Handled"}]
    states = {
        "P": parallel({"Send": task("no-such-function")}, Catch=catch),
        "Handled": passing(),
    }
    types, previous, _ = told(machine, states)
    assert types == [
        *ENTERED,
        *("TaskStateEntered", "TaskScheduled", "TaskStarted", "TaskFailed"),
        *("TaskStateAborted", "ParallelStateFailed", "ParallelStateExited"),
        *("PassStateEntered", "PassStateExited", "ExecutionSucceeded"),
    ]
    assert previous == [0, 0, 2, 3, 4, 5, 6, 7, 7, 9, 10, 11, 12]


@pytest.mark.emulates("asl:Map")
def test_a_failed_iteration_is_told_before_its_map_state(machine):
    states = {"M": mapping(UNDEFINED, Items=[1, 2], MaxConcurrency=1)}
    types, previous, history = told(machine, states)
    assert types == [
        *MAPPED,
        *("MapIterationStarted", "PassStateEntered", "EvaluationFailed"),
        *("MapIterationFailed", "MapStateFailed", "ExecutionFailed"),
    ]
    assert previous == [0, 0, 2, 3, 4, 5, 6, 6, 8]
    assert history[6]["mapIterationFailedEventDetails"] == {"name": "M", "index": 0}


@pytest.mark.emulates("asl:Map")
def test_items_that_cannot_be_evaluated_fail_the_map_state_after_that(machine):
    states = {"M": mapping({"I": passing()}, Items="{% $states.input.missing %}")}
    types, previous, _ = told(machine, states)
    assert types == [
        *("ExecutionStarted", "MapStateEntered", "EvaluationFailed"),
        *("MapStateFailed", "ExecutionFailed"),
    ]
    assert previous == [0, 0, 2, 3, 4]


@pytest.mark.emulates("asl:Map", "asl:Parallel")
def test_what_a_failure_cuts_off_is_told_after_its_last_event(machine):
    wait = {"Type": "Wait", "Seconds": 60, "End": True}
    inner = parallel({"Wait": wait}, {"Map": mapping({"Waiting": wait}, Items=[1])})
    states = {
        "Which?": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $states.input = 2 %}", "Next": "Pause"}],
            "Default": "Inner",
        },
        "Inner": inner,
        "Pause": {"Type": "Wait", "Seconds": 1, "Next": "Boom"},
        **FAIL,
    }
    types, previous, history = told(machine, {"M": mapping(states, Items=[1, 2])})
    failure = types.index("FailStateEntered")
    assert types[failure + 1 :] == [
        *("MapIterationAborted", "ParallelStateAborted", "WaitStateAborted"),
        *("MapStateAborted", "MapIterationAborted", "WaitStateAborted"),
        *("MapIterationFailed", "MapStateFailed", "ExecutionFailed"),
    ]
    assert set(previous[failure + 1 : -1]) == {failure + 1}
    assert [
        history[failure + number]["mapIterationAbortedEventDetails"]
        for number in (1, 5)
    ] == [{"name": "M", "index": 0}, {"name": "Map", "index": 0}]
