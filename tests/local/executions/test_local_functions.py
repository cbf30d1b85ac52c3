"""Lambda functions that run from their deployed zip, in processes of their own."""

import base64
import json
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from botocore.exceptions import ClientError

from cdk_personalize_segments.local.functions.runner import Function, FunctionRunner

pytestmark = pytest.mark.usefixtures("processes")

REQUEST_ID = "00000000-0000-4000-8000-000000000000"
ECHO = """
import os
calls = 0

def handler(event, context):
    global calls
    calls += 1
    return {"event": event, "calls": calls, "pid": os.getpid()}
"""


def update(own, source, zipped):
    own.client.update_function_code(
        FunctionName=own.name, ZipFile=zipped({"index.py": source})
    )


def returning(value):
    return f"def handler(event, context):\n  return {value!r}"


@pytest.mark.bridge("moto.awslambda.responses.LambdaResponse.invoke")
def test_a_function_gets_its_event_and_gives_its_result(function):
    own = function(ECHO)
    event = {"text": 'ünï "quoted" \\ \n 😀', "list": [None, 1.5, []]}
    answer = own.invoke(event)
    assert answer["StatusCode"] == 200
    assert "FunctionError" not in answer
    assert answer["ExecutedVersion"] == "$LATEST"
    assert answer["Payload"]["event"] == event
    assert answer["Payload"]["pid"] != os.getpid()


@pytest.mark.emulates("lambda:cold-start")
def test_a_process_stays_warm(function):
    own = function(ECHO)
    first, second = own.invoke()["Payload"], own.invoke()["Payload"]
    assert (first["calls"], second["calls"]) == (1, 2)
    assert first["pid"] == second["pid"]


def test_warm_invocations_take_milliseconds(function):
    own = function(ECHO)
    own.invoke()
    took = []
    for _ in range(20):
        began = time.monotonic()
        own.invoke()
        took.append(time.monotonic() - began)
    assert min(took) < 0.05


@pytest.mark.emulates("lambda:cold-start")
def test_invocations_at_once_have_processes_of_their_own(function):
    own = function(
        "import os, time\n"
        "def handler(event, context):\n"
        "  time.sleep(0.2)\n"
        "  return os.getpid()"
    )
    with ThreadPoolExecutor(12) as threads:
        pids = list(threads.map(lambda _: own.invoke()["Payload"], range(12)))
    assert 2 <= len(set(pids)) <= 12


@pytest.mark.emulates("lambda:qualifier")
def test_versions_keep_their_code_and_settings(function, zipped):
    own = function(returning("one"), Environment={"Variables": {"A": "1"}})
    one = own.publish()
    update(own, returning("two"), zipped)
    two = own.publish()
    update(own, returning("latest"), zipped)
    assert own.invoke(name=one)["Payload"] == "one"
    assert own.invoke(name=two)["Payload"] == "two"
    assert own.invoke(Qualifier="1")["Payload"] == "one"
    assert own.invoke()["Payload"] == "latest"
    assert own.invoke(Qualifier="$LATEST")["Payload"] == "latest"
    assert own.invoke(name=f"{own.name}:2")["ExecutedVersion"] == "2"


@pytest.mark.bridge("moto.awslambda.models.LambdaFunction.update_function_code")
def test_the_architecture_changes_with_the_code(function, zipped):
    own = function(returning("one"))
    own.client.update_function_code(
        FunctionName=own.name,
        ZipFile=zipped({"index.py": returning("two")}),
        Architectures=["arm64"],
    )
    changed = own.client.get_function_configuration(FunctionName=own.name)
    assert changed["Architectures"] == ["arm64"]


def test_changed_settings_take_effect_at_once(function):
    own = function(
        "import os\ndef handler(event, context):\n  return os.environ.get('A')",
        Environment={"Variables": {"A": "1"}},
    )
    version = own.publish()
    assert own.invoke()["Payload"] == "1"
    own.client.update_function_configuration(
        FunctionName=own.name, Environment={"Variables": {"A": "2"}}
    )
    assert own.invoke()["Payload"] == "2"
    assert own.invoke(name=version)["Payload"] == "1"


@pytest.mark.parametrize("missing", ["absent", "absent:1"])
def test_an_absent_function_is_not_found(function, missing):
    with pytest.raises(ClientError) as refused:
        function(ECHO).invoke(name=missing)
    assert refused.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_an_absent_version_is_not_found(function):
    own = function(ECHO)
    with pytest.raises(ClientError) as refused:
        own.invoke(Qualifier="7")
    error = refused.value.response["Error"]
    assert error["Code"] == "ResourceNotFoundException"
    assert f"{own.name}:7" in error["Message"]


@pytest.mark.emulates("lambda:environment")
def test_a_function_sees_its_own_environment_only(function, local_aws, monkeypatch):
    monkeypatch.setenv("OF_THE_DEVELOPER", "secret")
    own = function(
        "import os\ndef handler(event, context):\n  return dict(os.environ)",
        Environment={"Variables": {"MINE": "value"}},
        MemorySize=192,
    )
    variables = own.invoke(name=own.publish())["Payload"]
    assert "OF_THE_DEVELOPER" not in variables
    assert "HOME" not in variables
    expected = {
        "MINE": "value",
        "AWS_LAMBDA_FUNCTION_NAME": own.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "192",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.14",
        "AWS_REGION": local_aws.region,
        "AWS_ENDPOINT_URL": local_aws.endpoint_url,
        "_HANDLER": "index.handler",
        "TZ": "UTC",
    }
    assert {name: variables.get(name) for name in expected} == expected


def test_a_function_has_its_zip_the_standard_library_and_the_sdk(function, zipped):
    own = function(
        ECHO,
        Code={
            "ZipFile": zipped(
                {
                    "index.py": "from beside import handler",
                    "beside.py": (
                        "def handler(event, context):\n"
                        "  try:\n"
                        "    return __import__(event).__name__\n"
                        "  except ImportError as error:\n"
                        "    return str(error)"
                    ),
                }
            )
        },
        Timeout=30,
    )
    assert own.invoke("boto3")["Payload"] == "boto3"
    for absent in ("moto", "cdk_personalize_segments", "segment_tasks", "aws_cdk"):
        assert own.invoke(absent)["Payload"] == f"No module named '{absent}'"


@pytest.mark.emulates("lambda:credentials")
def test_a_function_acts_with_its_role(function, role, local_aws):
    s3 = local_aws.client("s3")
    s3.create_bucket(Bucket="readable")
    s3.put_object(Bucket="readable", Key="mine", Body=b"seen")
    source = """
import boto3
def handler(event, context):
    s3 = boto3.client("s3")
    return s3.get_object(Bucket="readable", Key=event)["Body"].read().decode()
"""
    reading = role(
        {
            "Effect": "Allow",
            "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::readable/mine",
        }
    )
    own = function(source, Role=reading, Timeout=30)
    assert own.invoke("mine")["Payload"] == "seen"
    denied = own.invoke("other")
    assert "(AccessDenied)" in denied["Payload"]["errorMessage"]


@pytest.mark.emulates("lambda:context")
def test_the_context_tells_of_the_invocation(function):
    own = function(
        """
def handler(event, context):
    return {
        "arn": context.invoked_function_arn,
        "left": context.get_remaining_time_in_millis(),
        "request": context.aws_request_id,
        "name": context.function_name,
        "version": context.function_version,
        "memory": context.memory_limit_in_mb,
        "group": context.log_group_name,
    }
""",
        Timeout=7,
    )
    arn = own.publish()
    told = own.invoke(name=arn)["Payload"]
    assert told["arn"] == arn
    assert 5000 < told["left"] <= 7000
    assert (told["name"], told["version"]) == (own.name, "1")
    assert told["memory"] == "128"
    assert told["group"] == f"/aws/lambda/{own.name}"
    assert told["request"] != own.invoke(name=arn)["Payload"]["request"]


@pytest.mark.emulates("lambda:context", "lambda:qualifier")
def test_the_arn_in_the_context_is_the_one_that_was_invoked(function):
    own = function(
        "def handler(event, context):\n  return context.invoked_function_arn"
    )
    version = own.publish()
    arn = version.removesuffix(":1")
    own.client.create_alias(FunctionName=own.name, Name="live", FunctionVersion="1")
    for name, options, told, executed in (
        (own.name, {}, arn, "$LATEST"),
        (own.name, {"Qualifier": "$LATEST"}, f"{arn}:$LATEST", "$LATEST"),
        (version, {}, version, "1"),
        (own.name, {"Qualifier": "live"}, f"{arn}:live", "1"),
        (f"{own.name}:live", {}, f"{arn}:live", "1"),
        (f"{arn}:live", {}, f"{arn}:live", "1"),
    ):
        answer = own.invoke(name=name, **options)
        assert (answer["Payload"], answer["ExecutedVersion"]) == (told, executed)


@pytest.mark.emulates("lambda:memory-limit")
def test_too_much_memory_ends_a_function(function):
    own = function(
        "import time\n"
        "def handler(event, context):\n"
        "  hoard = bytearray(event * 1024 * 1024)\n"
        "  time.sleep(0.5)\n"
        "  return len(hoard)",
        Timeout=10,
        MemorySize=128,
    )
    assert own.invoke(20)["Payload"] == 20 * 1024 * 1024
    killed = own.invoke(300)
    assert killed["FunctionError"] == "Unhandled"
    assert killed["Payload"]["errorType"] == "Runtime.ExitError"
    assert killed["Payload"]["errorMessage"].endswith("signal: killed")
    assert own.invoke(20)["Payload"] == 20 * 1024 * 1024


@pytest.mark.emulates("lambda:log")
def test_log_lines_go_to_the_log_group_in_json(function, local_aws):
    logs = local_aws.client("logs")
    logs.create_log_group(logGroupName="of-functions")
    own = function(
        """
import logging
logger = logging.getLogger()

def handler(event, context):
    logger.debug("too fine")
    logger.info("told %s", event, extra={"parts": 3})
    print("printed")
    raise ValueError("no")
""",
        LoggingConfig={"LogFormat": "JSON", "LogGroup": "of-functions"},
    )
    own.invoke("once")
    events = logs.filter_log_events(logGroupName="of-functions")["events"]
    lines = written_by_function(events)
    assert lines[1] == "printed"
    told, failed = json.loads(lines[0]), json.loads(lines[2])
    assert told["message"] == "told once"
    assert told["level"] == "INFO"
    assert told["parts"] == 3
    assert told["requestId"] == failed["requestId"]
    assert failed["errorType"] == "ValueError"
    now = local_aws.clock.now().timestamp() * 1000
    assert all(event["timestamp"] <= now for event in events)
    assert (
        "[$LATEST]"
        in logs.describe_log_streams(logGroupName="of-functions")["logStreams"][0][
            "logStreamName"
        ]
    )


def test_an_event_invocation_is_answered_before_it_runs(function, local_aws):
    local_aws.client("s3").create_bucket(Bucket="told-later")
    own = function(
        "import time\ndef handler(event, context):\n  time.sleep(0.3); print('ran')"
    )
    group = f"/aws/lambda/{own.name}"
    assert own.invoke(InvocationType="Event")["StatusCode"] == 202
    assert lines_of(local_aws, group) == []
    # Time stands still until it has run.
    local_aws.clock.sleep(1)
    assert lines_of(local_aws, group) == ["ran"]


PRINTING = "def handler(event, context):\n  print('printed')"
GROUPS = "arn:aws:logs:us-east-1:123456789012:log-group"


def lines_of(local_aws, group):
    logs = local_aws.client("logs")
    groups = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    if not groups:
        return []
    return written_by_function(logs.filter_log_events(logGroupName=group)["events"])


def written_by_function(events):
    """Leave out what Lambda itself writes."""
    lambdas = re.compile(r'(START|END|REPORT) RequestId: |{"time": "[^"]+", "type": "p')
    lines = [event["message"] for event in events]
    return [line for line in lines if not lambdas.match(line)]


@pytest.mark.emulates("lambda:log")
@pytest.mark.parametrize(
    ("actions", "resource", "logged"),
    [
        (["logs:*"], "*", True),
        (["logs:CreateLogStream", "logs:PutLogEvents"], "*", False),
        (["logs:CreateLogGroup", "logs:CreateLogStream"], "*", False),
        (["logs:*"], f"{GROUPS}:/aws/lambda/*", True),
        (["logs:*"], f"{GROUPS}:/other/*", False),
    ],
)
def test_a_role_decides_whether_lines_are_logged(
    function, role, local_aws, actions, resource, logged
):
    own = function(
        PRINTING,
        Role=role({"Effect": "Allow", "Action": actions, "Resource": resource}),
    )
    own.invoke()
    lines = lines_of(local_aws, f"/aws/lambda/{own.name}")
    assert lines == (["printed"] if logged else [])


def test_a_role_without_the_right_to_make_groups_writes_to_one_that_is_there(
    function, role, local_aws
):
    local_aws.client("logs").create_log_group(logGroupName="there")
    own = function(
        PRINTING,
        LoggingConfig={"LogFormat": "JSON", "LogGroup": "there"},
        Role=role(
            {
                "Effect": "Allow",
                "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                "Resource": f"{GROUPS}:there:*",
            }
        ),
    )
    own.invoke()
    assert lines_of(local_aws, "there") == ["printed"]


def test_a_runtime_that_does_not_run_here_is_refused(function):
    with pytest.raises(ClientError, match="runtime nodejs24"):
        function(ECHO, Runtime="nodejs24.x").invoke()


@pytest.mark.emulates("lambda:settings", "lambda:environment")
@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"Layers": [f"{GROUPS}:layer:a:1".replace("logs", "lambda")]}, "Layers"),
        ({"VpcConfig": {"SubnetIds": ["subnet-1"]}}, "VpcConfig"),
        ({"DeadLetterConfig": {"TargetArn": "arn:aws:sqs:::q"}}, "DeadLetterConfig"),
        ({"SnapStart": {"ApplyOn": "PublishedVersions"}}, "SnapStart"),
        ({"Timeout": 901}, "Timeout is 901; it can be 1 to 900"),
        ({"MemorySize": 10_241}, "MemorySize is 10241; it can be 128 to 10240"),
        ({"Environment": {"Variables": {"A": "x" * 4096}}}, "exceeded the 4KB limit"),
        ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, "used in this request"),
    ],
)
def test_settings_that_are_not_honoured_are_refused(function, settings, named):
    with pytest.raises(ClientError, match=named):
        function(ECHO, **settings)
    own = function(ECHO)
    with pytest.raises(ClientError, match=named):
        own.client.update_function_configuration(FunctionName=own.name, **settings)


@pytest.mark.emulates("lambda:log-tail")
def test_a_log_tail_is_the_end_of_what_was_logged(function, role):
    own = function(
        "def handler(event, context):\n  print('x' * event)\n  print('end')",
        Role=role(),
    )
    tail = tail_of(own.invoke(10, LogType="Tail")).splitlines()
    assert tail[0].startswith("START RequestId: ")
    assert tail[1:3] == ["x" * 10, "end"]
    assert tail[3].startswith("END RequestId: ")
    assert len(tail_of(own.invoke(9000, LogType="Tail"))) == 4096
    assert "LogResult" not in own.invoke(1)


def tail_of(answer):
    return base64.b64decode(answer["LogResult"]).decode()


@pytest.mark.emulates("lambda:event-limits")
def test_events_that_do_not_fit_are_refused(function):
    own = function("def handler(event, context):\n  return len(event)")
    longest = 6_291_456
    assert own.invoke("x" * (longest - 2))["Payload"] == longest - 2
    for event, kind, code in (
        ("x" * (longest - 1), "RequestResponse", "RequestTooLargeException"),
        ("x" * 1_048_575, "Event", "RequestTooLargeException"),
    ):
        with pytest.raises(ClientError) as refused:
            own.invoke(event, InvocationType=kind)
        assert refused.value.response["Error"]["Code"] == code
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413
    with pytest.raises(ClientError, match="Could not parse request body into json"):
        own.client.invoke(FunctionName=own.name, Payload=b"{not json")


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ({"ClientContext": "e30="}, "ClientContext"),
        ({"LogType": "All"}, "LogType is All; it can be None, Tail"),
        ({"InvocationType": "Later"}, "InvocationType is Later; it can be Request"),
    ],
)
def test_options_of_invocations_that_are_not_honoured_are_refused(
    function, option, named
):
    with pytest.raises(ClientError, match=named):
        function(ECHO).invoke(**option)


FAILING = """
calls = 0

def handler(event, context):
    global calls
    calls += 1
    if calls <= event:
        raise ValueError("not yet")
"""


@pytest.mark.emulates("lambda:asynchronous-invocation")
@pytest.mark.parametrize(
    ("failures", "waits"), [(0, []), (1, [60]), (2, [60, 120]), (9, [60, 120])]
)
def test_an_asynchronous_invocation_is_tried_again_when_it_fails(
    function, local_aws, failures, waits
):
    local_aws.in_process = True
    own = function(FAILING)
    own.invoke(failures, InvocationType="Event")
    # Until all attempts are over.
    local_aws.clock.sleep(600)
    events = local_aws.client("logs").filter_log_events(
        logGroupName=f"/aws/lambda/{own.name}", filterPattern="START"
    )["events"]
    assert len({each["message"] for each in events}) == 1
    times = [each["timestamp"] // 1000 for each in events]
    assert [after - before for before, after in pairwise(times)] == waits


@pytest.mark.emulates("lambda:time-out")
def test_time_stands_still_while_a_function_runs(function, local_aws):
    own = function(
        "import time\ndef handler(event, context):\n  time.sleep(0.5)", Timeout=5
    )
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(own.invoke)
        time.sleep(0.3)
        before = local_aws.clock.now()
        local_aws.clock.sleep(60)
        running.result()
    assert (local_aws.clock.now() - before).total_seconds() == 60


SHAPES = {
    "index.py": """
import decimal, os, sys, time

class Own(Exception):
    pass

def handler(event, context):
    if event == "raise":
        raise Own('it said "no"\\nünï')
    if event == "nested":
        try:
            {}["key"]
        except KeyError as error:
            raise RuntimeError("outer") from error
    if event == "set":
        return {1, 2}
    if event == "decimal":
        return {"n": decimal.Decimal("1.5"), "unicode": "ünï"}
    if event == "exit":
        sys.exit(4)
    if event == "kill":
        os.kill(os.getpid(), 9)
    if event == "sleep":
        time.sleep(30)
    if event == "large":
        return "x" * 7_000_000
    return None

def other(event):
    pass
""",
    "broken.py": "def handler(:\n",
    "failing.py": "raise ValueError('while loading')",
    "importing.py": "import not_there",
}


@pytest.fixture(scope="module")
def runners(local_aws, zipped):
    """Run the same function by AWS's runtime and by the plain one."""
    pytest.importorskip("awslambdaric")

    def run(plain):
        return FunctionRunner(
            region="us-east-1",
            account_id="123456789012",
            endpoint_url=lambda: local_aws.endpoint_url,
            credentials=local_aws.sessions.issue,
            may=lambda *_: False,
            now=lambda: datetime.now(UTC),
            new_id=local_aws.new_id,
            in_process=lambda: False,
            plain=plain,
        )

    both = {plain: run(plain) for plain in (False, True)}

    def answers(handler, event, **changes):
        function = Function(
            **{
                "arn": "arn:aws:lambda:us-east-1:123456789012:function:f",
                "name": "f",
                "version": "1",
                "handler": handler,
                "runtime": "python3.14",
                "role_arn": "arn:aws:iam::123456789012:role/r",
                "timeout": 1.0,
                "memory_megabytes": 128,
                "variables": {},
                "code": zipped(SHAPES),
                "code_sha256": "shapes",
                "logging": {},
                **changes,
            }
        )
        body = json.dumps(event).encode()
        return [
            (answer.failed, normal(answer.payload))
            for answer in (
                runner.run(function, function.arn, body, REQUEST_ID)
                for runner in both.values()
            )
        ]

    def normal(payload):
        told = json.loads(payload)
        if isinstance(told, dict) and "stackTrace" in told:
            # Of the function's own code, wherever it was unpacked.
            told["stackTrace"] = [
                line.partition("/code/")[2].partition("/")[2]
                for line in told["stackTrace"]
                if "/code/" in line
            ]
        return told

    yield answers
    for runner in both.values():
        runner.close()


@pytest.mark.emulates(
    "lambda:error-shapes", "lambda:exit", "lambda:time-out", "lambda:event-limits"
)
@pytest.mark.parametrize(
    ("handler", "event", "error"),
    [
        ("index.handler", "none", None),
        ("index.handler", "decimal", None),
        ("index.handler", "raise", "Own"),
        ("index.handler", "nested", "RuntimeError"),
        ("index.handler", "set", "Runtime.MarshalError"),
        ("index.handler", "exit", "Runtime.ExitError"),
        ("index.handler", "kill", "Runtime.ExitError"),
        ("index.handler", "sleep", "Sandbox.Timedout"),
        ("index.handler", "large", "Function.ResponseSizeTooLarge"),
        ("index.other", "none", "TypeError"),
        ("index.absent", "none", "Runtime.HandlerNotFound"),
        ("nowhere.handler", "none", "Runtime.ImportModuleError"),
        ("importing.handler", "none", "Runtime.ImportModuleError"),
        ("broken.handler", "none", "Runtime.UserCodeSyntaxError"),
        ("failing.handler", "none", "ValueError"),
        ("handler", "none", "Runtime.MalformedHandlerName"),
    ],
)
def test_the_plain_runtime_answers_as_that_of_aws(runners, handler, event, error):
    by_aws, by_us = runners(handler, event)
    assert by_us == by_aws
    failed, told = by_aws
    assert failed == (error is not None)
    assert (told["errorType"] if failed else None) == error
