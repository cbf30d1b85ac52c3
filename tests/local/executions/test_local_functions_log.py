"""What Lambda itself writes to a function's log, and starts that fail."""

import json
import re

import pytest

from cdk_personalize_segments.local.functions import behaviours
from cdk_personalize_segments.local.functions.container import Container
from cdk_personalize_segments.local.functions.lines import Tail
from cdk_personalize_segments.local.functions.platform_log import PlatformLog
from cdk_personalize_segments.local.functions.runtime_api import Event, RuntimeApi

HANDLER = """
import logging

def handler(event, context):
    for level in ("debug", "info", "warning", "error"):
        getattr(logging.getLogger(), level)(level)
    if event:
        raise ValueError("no")
"""
REQUEST_ID = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def lines_of(local_aws):
    def read(own):
        events = local_aws.client("logs").filter_log_events(
            logGroupName=f"/aws/lambda/{own.name}"
        )["events"]
        return [event["message"] for event in events]

    return read


@pytest.mark.emulates("lambda:platform-log")
def test_each_invocation_has_its_lines_as_text(function, lines_of):
    own = function("def handler(event, context):\n  print('own')\n  1 / event")
    own.invoke(1)
    own.invoke(0)
    lines = lines_of(own)
    [start, own_line, end, report] = lines[:4]
    request_id = start.split()[2]
    assert start == f"START RequestId: {request_id} Version: $LATEST"
    assert own_line == "own"
    assert end == f"END RequestId: {request_id}"
    told = re.fullmatch(
        rf"REPORT RequestId: {request_id}\tDuration: ([\d.]+) ms\t"
        r"Billed Duration: (\d+) ms\tMemory Size: 128 MB\tMax Memory Used: \d+ MB\t"
        r"Init Duration: ([\d.]+) ms\t",
        report,
    )
    duration, billed, started = map(float, told.groups())
    assert duration + started <= billed < duration + started + 1.1
    assert lines[-1].endswith("Status: error\tError Type: ZeroDivisionError")
    assert "Init Duration" not in lines[-1]


@pytest.mark.emulates("lambda:log-levels", "lambda:platform-log")
@pytest.mark.parametrize(
    ("level", "when_well", "when_it_fails"),
    [
        ("DEBUG", ["start", "runtimeDone", "report"], ["runtimeDone", "report"]),
        ("INFO", ["start", "report"], ["runtimeDone", "report"]),
        ("WARN", [], ["runtimeDone", "report"]),
    ],
)
def test_the_system_log_level_decides_what_lambda_writes(
    function, lines_of, level, when_well, when_it_fails
):
    own = function(
        HANDLER, LoggingConfig={"LogFormat": "JSON", "SystemLogLevel": level}
    )
    own.invoke(0)
    own.invoke(1)
    told = [json.loads(line) for line in lines_of(own)]
    written = [each for each in told if "type" in each]
    kinds = [each["type"].removeprefix("platform.") for each in written]
    starts = ["start"] if "start" in when_well else []
    assert kinds == [*when_well, *starts, *when_it_fails]
    last = written[-1]["record"]
    assert (last["status"], last["errorType"]) == ("error", "ValueError")
    assert last["metrics"]["memorySizeMB"] == 128


@pytest.mark.emulates("lambda:log-levels")
@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("TRACE", ["debug", "info", "warning", "error"]),
        ("INFO", ["info", "warning", "error"]),
        ("ERROR", ["error"]),
        ("FATAL", []),
    ],
)
def test_the_application_log_level_decides_what_the_function_writes(
    function, lines_of, level, expected
):
    own = function(
        HANDLER, LoggingConfig={"LogFormat": "JSON", "ApplicationLogLevel": level}
    )
    own.invoke(0)
    told = [json.loads(line) for line in lines_of(own)]
    assert [each["message"] for each in told if "message" in each] == expected


class Runtime:
    """A runtime that is ready after a number of starts, or never."""

    def __init__(self, api, *, is_ready):
        self.api = api
        self.is_ready = is_ready
        self.closed = False
        if is_ready:
            self.api.ready.set()
            self.api.receive("/invocation/1/response", b'"answered"')

    def exit_status(self):
        return None

    def most_bytes(self):
        return 3 * 1024 * 1024

    def drain(self):
        pass

    def close(self):
        self.closed = True


@pytest.fixture
def container(local_aws):
    """Make containers whose first starts take for ever."""

    def make(slow_starts):
        written, runtimes = [], []

        def start():
            runtime = Runtime(RuntimeApi(), is_ready=len(runtimes) >= slow_starts)
            runtimes.append(runtime)
            return runtime

        tail = Tail(written.append)
        log = PlatformLog(
            version="1",
            memory_megabytes=128,
            logging={},
            now=local_aws.clock.now,
            write=tail.write,
        )
        made = Container(
            start,
            access_key="ASIA",
            memory_megabytes=128,
            log=log,
            tail=tail,
            init_seconds=0.05,
        )
        return made, written, runtimes

    return make


@pytest.mark.emulates("lambda:init")
def test_a_start_that_takes_too_long_is_done_again_within_the_time_out(container):
    made, written, runtimes = container(1)
    answer = made.handle(Event(REQUEST_ID, "arn", b"{}", timeout=30), lambda: None)
    assert answer.payload == b'"answered"'
    assert [runtime.closed for runtime in runtimes] == [True, False]
    assert re.fullmatch(
        r"INIT_REPORT Init Duration: [\d.]+ ms\tPhase: init\tStatus: timeout",
        written[0],
    )
    assert written[1] == f"START RequestId: {REQUEST_ID} Version: 1"
    assert "Init Duration" not in written[3]


@pytest.mark.emulates("lambda:init", "lambda:time-out")
def test_a_start_that_takes_too_long_twice_is_a_time_out(container):
    made, written, runtimes = container(2)
    answer = made.handle(Event(REQUEST_ID, "arn", b"{}", timeout=0.1), lambda: None)
    told = json.loads(answer.payload)
    assert told["errorType"] == "Sandbox.Timedout"
    assert told["errorMessage"].endswith("Task timed out after 0.10 seconds")
    assert [runtime.closed for runtime in runtimes] == [True, True]
    assert written[-1].endswith("Status: timeout")
    assert not made.is_ready


def test_every_behaviour_is_told_in_whole_sentences():
    for line, sentences in behaviours.BEHAVIOURS.items():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", line)
        assert sentences.endswith(".")
