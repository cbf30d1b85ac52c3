"""Functions that invoke, start and wait for others, and tasks that leave them."""

import time

import pytest

from cdk_personalize_segments.local.functions.lines import Lines
from cdk_personalize_segments.local.functions.runner import _AT_ONCE


@pytest.fixture
def in_threads(local_aws, monkeypatch):
    """Run functions in threads, which start quickly."""
    monkeypatch.setattr(local_aws, "in_process", True)


@pytest.fixture
def calling_role(role):
    """May call whatever functions here call."""
    return role({"Effect": "Allow", "Action": "*", "Resource": "*"})


def logged(local_aws, function):
    """Give what a function wrote, waiting for its end."""
    logs = local_aws.client("logs")
    give_up = time.monotonic() + 10
    while time.monotonic() < give_up:
        events = logs.filter_log_events(logGroupName=f"/aws/lambda/{function.name}")
        lines = [each["message"] for each in events["events"]]
        if lines and lines[-1].startswith("REPORT"):
            return lines
        time.sleep(0.01)
    raise AssertionError(lines)


@pytest.mark.emulates("lambda:order")
@pytest.mark.usefixtures("in_threads")
@pytest.mark.bridge("cdk_personalize_segments.local.functions.origins")
def test_as_many_functions_as_you_like_wait_for_functions_that_they_invoke(
    machine, function, task, calling_role
):
    inner = function("def handler(event, context): return event")
    # All of them run before the first invokes another.
    outer = function(
        f"""
import boto3, time
def handler(event, context):
    time.sleep(0.1)
    answer = boto3.client("lambda").invoke(FunctionName="{inner.name}", Payload="7")
    return answer["Payload"].read().decode()
""",
        Role=calling_role,
        Timeout=4,
    )
    each = {"StartAt": "Each", "States": {"Each": task(outer.name)}}
    count = _AT_ONCE + 2
    ran = machine(
        {
            "All": {
                "Type": "Map",
                "Items": list(range(count)),
                "ItemProcessor": each,
                "End": True,
            }
        }
    ).run()
    assert ran.output == ["7"] * count


@pytest.mark.emulates("lambda:order")
@pytest.mark.usefixtures("in_threads")
def test_a_function_sees_the_end_of_an_execution_that_it_started(
    machine, function, task, calling_role
):
    inner = function("def handler(event, context): return 7")
    started = machine({"One": task(inner.name, Next="Two"), "Two": task(inner.name)})
    outer = function(
        f"""
import boto3, time
def handler(event, context):
    states = boto3.client("stepfunctions")
    arn = states.start_execution(stateMachineArn="{started.arn}")["executionArn"]
    while True:
        told = states.describe_execution(executionArn=arn)
        if told["status"] != "RUNNING":
            return told["output"]
        time.sleep(0.01)
""",
        Role=calling_role,
        Timeout=4,
    )
    assert machine({"Poll": task(outer.name)}).run().output == "7"


@pytest.mark.emulates("lambda:time-out", "lambda:order")
@pytest.mark.usefixtures("in_threads")
def test_a_function_runs_on_when_its_task_has_timed_out(
    machine, function, task, local_aws
):
    slow = function(
        """
import time
def handler(event, context):
    time.sleep(1.2)
    print("did it all")
""",
        Timeout=10,
    )
    ran = machine({"Slow": task(slow.name, TimeoutSeconds=1)}).run()
    assert (ran.status, ran.error) == ("FAILED", "States.Timeout")
    lines = logged(local_aws, slow)
    assert "did it all" in lines
    assert "Status: timeout" not in lines[-1]


@pytest.mark.emulates("lambda:memory-limit")
def test_too_much_memory_fails_however_quickly_it_is_given_back(
    local_aws, function, monkeypatch
):
    monkeypatch.setattr(local_aws, "in_process", False)
    greedy = function(
        """
def handler(event, context):
    len(b"1" * (150 * 1024 * 1024))
""",
        MemorySize=128,
    )
    for _ in range(2):
        told = greedy.invoke()["Payload"]
        assert told["errorType"] == "Runtime.ExitError"
        assert told["errorMessage"].endswith("signal: killed")


@pytest.mark.emulates("lambda:error-shapes")
@pytest.mark.usefixtures("in_threads")
@pytest.mark.parametrize(
    "result", ["b'not json'", r"b'\xff'", "float('nan')", "[float('inf')]"]
)
def test_a_task_refuses_what_is_no_json(machine, function, task, result):
    made = function(f"def handler(event, context): return {result}")
    ran = machine({"Task": task(made.name)}).run()
    assert (ran.status, ran.error) == ("FAILED", "States.Runtime")
    assert "The function returned no JSON" in ran.cause


@pytest.mark.emulates("lambda:error-shapes", "lambda:in-process")
@pytest.mark.parametrize("in_process", [True, False])
def test_bytes_are_answered_as_they_are(local_aws, function, monkeypatch, in_process):
    monkeypatch.setattr(local_aws, "in_process", in_process)
    made = function(r"def handler(event, context): return b'\xff'")
    answer = local_aws.client("lambda").invoke(FunctionName=made.name)
    assert "FunctionError" not in answer
    assert answer["Payload"].read() == b"\xff"


@pytest.mark.emulates("lambda:environment", "lambda:in-process")
@pytest.mark.usefixtures("in_threads")
def test_threads_of_any_kind_see_their_functions_environment(function, monkeypatch):
    monkeypatch.setenv("DEVELOPERS_OWN", "secret")
    made = function(
        """
import _thread, os, threading
def handler(event, context):
    seen, done = [], threading.Event()
    def look():
        seen.extend(os.environ.get(name) for name in ("DEVELOPERS_OWN", "OWN"))
        done.set()
    _thread.start_new_thread(look, ())
    done.wait(5)
    return seen
""",
        Environment={"Variables": {"OWN": "own"}},
    )
    assert made.invoke()["Payload"] == [None, "own"]


@pytest.mark.emulates("lambda:in-process")
@pytest.mark.usefixtures("in_threads")
@pytest.mark.parametrize("call", ["signal(2, print)", "alarm(1)"])
def test_signals_are_refused_by_name(function, call):
    made = function(
        f"import signal\ndef handler(event, context): signal.{call}",
    )
    told = made.invoke()["Payload"]
    assert told["errorType"] == "LocalAwsError"
    assert told["errorMessage"].startswith(f"signal.{call.partition('(')[0]} would act")


@pytest.mark.emulates("lambda:log")
@pytest.mark.usefixtures("in_threads")
def test_errors_of_threads_are_logged_without_frames_of_ours(function, local_aws):
    made = function(
        """
import threading
def fails(): raise ValueError("in a thread")
def handler(event, context):
    thread = threading.Thread(target=fails)
    thread.start()
    thread.join()
"""
    )
    made.invoke()
    text = "\n".join(logged(local_aws, made))
    assert "ValueError: in a thread" in text
    assert "isolation.py" not in text


@pytest.mark.emulates("lambda:log")
def test_a_line_above_1_mb_becomes_several_events():
    told = []
    line = "é" * 1_000_001
    Lines(told.append).write(f"x{line}\n".encode())
    assert "".join(told) == f"x{line}"
    assert [len(each.encode()) for each in told] == [1_048_575, 951_428]


@pytest.mark.emulates("lambda:clock")
@pytest.mark.usefixtures("in_threads")
def test_a_handlers_clock_is_the_real_one(function, local_aws):
    local_aws.clock.sleep(2 * 3600)
    assert abs(local_aws.clock.now().timestamp() - time.time()) > 3600
    made = function("import time\ndef handler(event, context): return time.time()")
    assert abs(made.invoke()["Payload"] - time.time()) < 3600


@pytest.mark.emulates("lambda:code-folder")
@pytest.mark.usefixtures("in_threads")
def test_containers_share_the_code_folder(function):
    made = function(
        """
import os, pathlib
def handler(event, context):
    file = pathlib.Path(os.environ["LAMBDA_TASK_ROOT"], "written")
    was_there = file.exists()
    file.write_text("")
    return was_there
"""
    )
    assert made.invoke()["Payload"] is False
    # Another container, for other settings.
    made.client.update_function_configuration(FunctionName=made.name, Timeout=9)
    assert made.invoke()["Payload"] is True
