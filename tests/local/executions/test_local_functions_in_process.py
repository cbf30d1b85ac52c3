"""The three ways to run a function: they answer and log alike.

AWS's runtime in a process, the plain one in a process, and the plain one in a thread.
"""

import json
import logging
import os
import re
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from cdk_personalize_segments.local.functions.runner import Function, FunctionRunner

REQUEST_ID = "00000000-0000-4000-8000-000000000000"
# In a frame of the function's own code.
OWN = 'File "/code/'
WAYS = {
    "aws": {"in_process": False, "plain": False},
    "plain": {"in_process": False, "plain": True},
    "thread": {"in_process": True},
}
FILES = {
    "index.py": """
import collections, dataclasses, decimal, importlib, json, logging, os, sys, threading
import time, traceback, typing

from segment_tasks import beside

logger = logging.getLogger(__name__)
calls = 0
Point = collections.namedtuple("Point", "x y")

class Own(Exception):
    pass

@dataclasses.dataclass
class Data:
    name: "str"
    kind: "typing.ClassVar[int]" = 3

def handler(event, context):
    return globals()[event](context)

def nothing(context):
    return None

def json_values(context):
    return {"unicode": "ünï 😀", "nested": [1, 2.5, True, None, {"a": []}], "": ""}

def decimals(context):
    return [decimal.Decimal("1.50"), {"p": Point(1, (decimal.Decimal(2),))}]

def raises(context):
    raise Own('it said "no"\\nünï')

def chained(context):
    try:
        {}["key"]
    except KeyError as error:
        raise RuntimeError("outer") from error

def unserialisable(context):
    return {1, 2}

def circular(context):
    value = []
    value.append(value)
    return value

def raw(context):
    return b"not json"

def large(context):
    return "x" * 7_000_000

def exits(context):
    print("before")
    sys.exit(4)

def exits_with_text(context):
    sys.exit("told at the end")

def exits_well(context):
    sys.exit()

def sleeps(context):
    print("asleep")
    while True:
        time.sleep(0.05)

def logs(context):
    logger.debug("debug")
    logger.info("info %s", "ünï", extra={"parts": 3})
    logger.warning({"a": "dictionary"})
    logging.getLogger("segment_tasks.other").error("error")
    logger.critical("two\\nlines")
    return beside.logger.name, logger.name, logger.isEnabledFor(logging.INFO)

def logs_an_error(context):
    try:
        raise Own("caught")
    except Own:
        logger.exception("it failed")

def sets_levels(context):
    logging.getLogger("segment_tasks").setLevel("ERROR")
    beside.logger.warning("unseen")
    logger.setLevel("DEBUG")
    logger.debug("seen")
    logger.setLevel("NOTSET")
    logging.getLogger("segment_tasks").setLevel("NOTSET")

def logs_of_a_library(context):
    import botocore.session
    logging.getLogger().setLevel("INFO")
    botocore.session.get_session().get_credentials()
    logging.getLogger().setLevel("WARNING")

def prints(context):
    print("one", 2, sep="-")
    print("to stderr", file=sys.stderr)
    sys.stdout.write("in parts, ")
    print("no end", end="")
    sys.stdout.flush()

def environment(context):
    os.environ["ADDED"] = "here"
    del os.environ["MINE"]
    known = ("ADDED", "MINE", "AWS_LAMBDA_FUNCTION_NAME", "OF_THE_DEVELOPER", "HOME")
    found = [os.environ.get(name) for name in known] + sorted(
        name for name in os.environ
        if name not in ("AWS_LAMBDA_RUNTIME_API", "LC_CTYPE")
    )
    os.environ["MINE"] = "own"
    return found

def credentials(context):
    import boto3
    found = boto3.Session().get_credentials()
    return found.access_key == os.environ["AWS_ACCESS_KEY_ID"], found.method

def default_sessions(context):
    import boto3
    first = boto3.DEFAULT_SESSION
    boto3.setup_default_session(region_name="eu-west-1")
    return first is None, boto3.client("s3").meta.region_name

def told(context):
    return {
        name: getattr(context, name)
        for name in (
            "aws_request_id", "invoked_function_arn", "function_name",
            "function_version", "memory_limit_in_mb", "log_group_name",
        )
    } | {
        "left": 0 < context.get_remaining_time_in_millis() <= 60_000,
        "stream": context.log_stream_name == os.environ["AWS_LAMBDA_LOG_STREAM_NAME"],
        "identity": context.identity.cognito_identity_id,
        "client": context.client_context,
    }

def counts(context):
    global calls
    calls += 1
    beside.seen.append(calls)
    return beside.seen

def names(context):
    return [
        __name__, Own.__module__, repr(Own), beside.__name__, repr(Data("a")),
        typing.get_type_hints(Data)["name"].__name__,
        importlib.import_module("segment_tasks.beside") is beside,
        sys.modules["segment_tasks.beside"] is beside,
        sys.modules[__name__].Own is Own,
        [name for name in ("moto", "segment_tasks.jobs") if name in sys.modules],
    ]

def imports(context):
    errors = []
    for name in ("moto", "aws_cdk", "segment_tasks.jobs", "exit_of_nothing.a"):
        try:
            importlib.import_module(name)
        except ImportError as error:
            errors.append(str(error))
    try:
        exit()
    except NameError as error:
        errors.append(str(error))
    return errors

def threads(context):
    def work():
        print("in a thread", os.environ["MINE"])
        raise Own("of a thread")
    thread = threading.Thread(target=work, name="own")
    thread.start()
    thread.join()

def late_import_error(context):
    import failing
""",
    "segment_tasks/__init__.py": "",
    "segment_tasks/beside.py": (
        "import logging\nlogger = logging.getLogger(__name__)\nseen = []\n"
    ),
    "broken.py": "def handler(:\n",
    "failing.py": "print('loading')\nraise ValueError('while loading')",
    "importing.py": "import not_there",
    "exiting.py": "import sys\nsys.exit(3)",
    "two_arguments.py": "def handler(event):\n  pass",
}


class Way:
    """One way to run functions, and what they log."""

    def __init__(self, local_aws, zipped, name, options):
        self.logs = local_aws.client("logs")
        self.group = f"functions-by-{name}"
        self.logs.create_log_group(logGroupName=self.group)
        self.code = zipped(FILES)
        in_process = options.get("in_process", False)
        self.runner = FunctionRunner(
            region="us-east-1",
            account_id="123456789012",
            endpoint_url=lambda: local_aws.endpoint_url,
            credentials=local_aws.sessions.issue,
            may=lambda *_: True,
            now=local_aws.clock.now,
            new_id=local_aws.new_id,
            in_process=lambda: in_process,
            plain=options.get("plain"),
        )

    def run(self, event, handler="index.handler", body=None, **changes):
        """Run the function; give whether it failed, what it answered and logged."""
        settings = {
            "arn": "arn:aws:lambda:us-east-1:123456789012:function:f",
            "name": "f",
            "version": "1",
            "handler": handler,
            "runtime": "python3.14",
            "role_arn": "arn:aws:iam::123456789012:role/r",
            "timeout": 60.0,
            "memory_megabytes": 256,
            "variables": {"MINE": "own"},
            "code": self.code,
            "code_sha256": "shapes",
            **changes,
        }
        settings["logging"] = {"LogGroup": self.group, **settings.get("logging", {})}
        self.logs.delete_log_group(logGroupName=self.group)
        self.logs.create_log_group(logGroupName=self.group)
        body = json.dumps(event).encode() if body is None else body
        function = Function(**settings)
        answer = self.runner.run(function, f"{function.arn}:1", body, REQUEST_ID)
        events = self.logs.filter_log_events(logGroupName=self.group)["events"]
        logged = "\n".join(event["message"] for event in events)
        return answer.failed, self.normal(answer.payload.decode()), self.normal(logged)

    def normal(self, text):
        """Take away what is of a time or place, and frames that are not of the code."""
        text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?", "TIME", text)
        text = re.sub(r"[\d.]+ ms|Used: \d+ MB", "SOME", text)
        text = re.sub(r'("\w+(Ms|UsedMB)": )[\d.]+', r"\1SOME", text)
        text = re.sub(r'[^" ]*/code/[0-9a-f]+/', "/code/", text)
        text = text.replace(self.group, "GROUP").replace("\u00a0", " ")
        return "\n".join(own_lines(text.split("\n")))


def own_lines(lines):
    """Leave out the frames of a traceback that are not of the function's code."""
    in_other = False
    for line in lines:
        if line.startswith('{"') and "stackTrace" in line:
            told = json.loads(line)
            told["stackTrace"] = [each for each in told["stackTrace"] if OWN in each]
            yield json.dumps(told)
            continue
        if line.startswith("  File "):
            in_other = OWN not in line
        elif not line.startswith("    "):
            in_other = False
        if not in_other:
            yield line


@pytest.fixture(scope="module")
def ways(local_aws, zipped):
    pytest.importorskip("awslambdaric")
    made = {
        name: Way(local_aws, zipped, name, options) for name, options in WAYS.items()
    }
    yield made
    for way in made.values():
        way.runner.close()


def alike(ways, *given, **settings):
    by_aws, by_plain, by_thread = (way.run(*given, **settings) for way in ways.values())
    assert by_plain == by_aws
    assert by_thread == by_aws
    return by_aws


@pytest.mark.emulates(
    "lambda:in-process",
    "lambda:error-shapes",
    "lambda:context",
    "lambda:environment",
    "lambda:credentials",
)
@pytest.mark.parametrize("log_format", ["Text", "JSON"])
@pytest.mark.parametrize(
    ("event", "error"),
    [
        ("nothing", None),
        ("json_values", None),
        ("decimals", None),
        ("raises", "Own"),
        ("chained", "RuntimeError"),
        ("unserialisable", "Runtime.MarshalError"),
        ("circular", "Runtime.MarshalError"),
        ("logs", None),
        ("logs_an_error", None),
        ("sets_levels", None),
        ("logs_of_a_library", None),
        ("prints", None),
        ("environment", None),
        ("credentials", None),
        ("default_sessions", None),
        ("told", None),
        ("counts", None),
        ("names", None),
        ("imports", None),
        ("threads", None),
        ("late_import_error", "ValueError"),
    ],
)
def test_answers_and_log_lines_are_alike(ways, event, error, log_format):
    failed, answer, _ = alike(ways, event, logging={"LogFormat": log_format})
    assert failed == (error is not None)
    if error:
        assert json.loads(answer)["errorType"] == error


@pytest.mark.emulates("lambda:in-process", "lambda:exit", "lambda:time-out")
@pytest.mark.parametrize(
    ("event", "error"),
    [
        ("large", "Function.ResponseSizeTooLarge"),
        ("exits", "Runtime.ExitError"),
        ("exits_with_text", "Runtime.ExitError"),
        ("exits_well", "Runtime.ExitError"),
        ("sleeps", "Sandbox.Timedout"),
    ],
)
@pytest.mark.slow
def test_ends_of_containers_are_alike(ways, event, error):
    settings = {"timeout": 2.0} if event == "sleeps" else {}
    failed, answer, _ = alike(ways, event, **settings)
    assert failed
    assert json.loads(answer)["errorType"] == error
    # A new container is as good as the first.
    assert alike(ways, "nothing")[1] == "null"


@pytest.mark.emulates("lambda:in-process", "lambda:init")
@pytest.mark.parametrize(
    ("handler", "error"),
    [
        ("index.absent", "Runtime.HandlerNotFound"),
        ("nowhere.handler", "Runtime.ImportModuleError"),
        ("importing.handler", "Runtime.ImportModuleError"),
        ("broken.handler", "Runtime.UserCodeSyntaxError"),
        ("failing.handler", "ValueError"),
        ("exiting.handler", "Runtime.ExitError"),
        ("two_arguments.handler", "TypeError"),
        ("sys.exit", "Runtime.BuiltInModuleConflict"),
        ("handler", "Runtime.MalformedHandlerName"),
    ],
)
def test_handlers_that_cannot_be_used_are_alike(ways, handler, error):
    failed, answer, _ = alike(ways, "nothing", handler=handler)
    assert failed
    assert json.loads(answer)["errorType"] == error


def test_old_runtimes_escape_characters_alike(ways):
    assert "\\u00fcn\\u00ef" in alike(ways, "json_values", runtime="python3.11")[1]


@pytest.fixture
def in_threads(local_aws):
    before, local_aws.in_process = local_aws.in_process, True
    yield
    local_aws.in_process = before


@pytest.fixture
def thread_function(function, in_threads):
    return function


def test_a_function_in_a_thread_is_of_this_process(thread_function):
    source = "import os\ndef handler(event, context):\n  return os.getpid()"
    assert thread_function(source).invoke()["Payload"] == os.getpid()


def test_threads_at_once_have_globals_and_environments_of_their_own(thread_function):
    source = """
import os, time
seen = []

def handler(event, context):
    seen.append(event)
    os.environ["EVENT"] = str(event)
    time.sleep(0.05)
    return os.environ["NAME"], os.environ["EVENT"], seen[-1]
"""
    both = [
        thread_function(source, Environment={"Variables": {"NAME": name}})
        for name in "ab"
    ]
    with ThreadPoolExecutor(8) as threads:
        answers = threads.map(
            lambda number: both[number % 2].invoke(number)["Payload"], range(16)
        )
    expected = [["ab"[number % 2], str(number), number] for number in range(16)]
    assert list(answers) == expected


def test_versions_in_threads_keep_modules_of_one_name_apart(thread_function, zipped):
    def code(text):
        files = {
            "index.py": "from segment_tasks import limits\n"
            "def handler(event, context):\n  return limits.TEXT",
            "segment_tasks/__init__.py": "",
            "segment_tasks/limits.py": f"TEXT = {text!r}",
        }
        return zipped(files)

    own = thread_function("", Code={"ZipFile": code("one")})
    one = own.publish()
    own.client.update_function_code(FunctionName=own.name, ZipFile=code("two"))
    answers = [
        own.invoke(name=name)["Payload"] for name in (one, own.name, one, own.name)
    ]
    assert answers == ["one", "two", "one", "two"]
    from segment_tasks import limits

    assert not hasattr(limits, "TEXT")


def test_this_process_notices_nothing_of_its_threads(thread_function, monkeypatch):
    monkeypatch.setenv("OF_THE_DEVELOPER", "secret")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-developer")
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    own = thread_function(
        """
import logging, os, sys, threading
from concurrent.futures import ThreadPoolExecutor
logging.getLogger().setLevel(1)
os.environ["OF_A_FUNCTION"] = "1"
sys.stdout = sys.stderr
sys.path.append("/of-a-function")

def handler(event, context):
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(
            lambda: [os.getenv("OF_THE_DEVELOPER"), os.getenv("OF_A_FUNCTION"),
                     os.getenv("AWS_ACCESS_KEY_ID")[:4]]
        ).result()
"""
    )
    assert own.invoke()["Payload"] == [None, "1", "ASIA"]
    assert os.environ["OF_THE_DEVELOPER"] == "secret"
    assert os.environ["AWS_ACCESS_KEY_ID"] == "of-the-developer"
    assert "OF_A_FUNCTION" not in os.environ
    assert "/of-a-function" not in sys.path
    assert (root.level, root.handlers) == (level, handlers)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        ("os.kill(os.getpid(), 9)", "os.kill"),
        ("os._exit(3)", "os._exit"),
        ("os.chdir('/')", "os.chdir"),
        ("os.system('true')", "os.system"),
        ("__import__('subprocess').run(['true'])", "subprocess.Popen"),
        ("os.putenv('A', 'b')", "os.putenv"),
    ],
)
def test_what_would_act_on_this_process_is_refused(thread_function, call, named):
    source = f"import os\ndef handler(event, context):\n  {call}"
    answer = thread_function(source).invoke()
    assert answer["FunctionError"] == "Unhandled"
    assert answer["Payload"]["errorMessage"].startswith(f"{named} would act on")


def test_a_thread_that_is_too_slow_ends_and_does_nothing_more(
    thread_function, local_aws
):
    source = """
import time

def handler(event, context):
    if not event:
        return "well"
    print("asleep")
    while True:
        time.sleep(0.01)
"""
    own = thread_function(source, Timeout=1)
    before = threading.active_count()
    answer = own.invoke({"sleep": True})
    assert answer["Payload"]["errorType"] == "Sandbox.Timedout"
    assert own.invoke()["Payload"] == "well"
    give_up = time.monotonic() + 10
    while threading.active_count() > before + 1:
        assert time.monotonic() < give_up
        time.sleep(0.01)


def test_a_thread_is_held_to_its_role(thread_function, role, local_aws):
    local_aws.client("s3").create_bucket(Bucket="closed-to-threads")
    own = thread_function(
        "import boto3\ndef handler(event, context):\n"
        "  boto3.client('s3').list_objects_v2(Bucket='closed-to-threads')",
        Role=role(),
    )
    assert "(AccessDenied)" in own.invoke()["Payload"]["errorMessage"]
