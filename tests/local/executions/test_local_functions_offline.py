"""Functions in the local AWS reach this machine, and nothing else."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cdk_personalize_segments.local.functions import offline, process

SERVICE = "https://personalize.eu-west-1.amazonaws.com"
REFUSAL = "a function in local AWS tried to reach {}, and has no network: services are"


@pytest.mark.parametrize(
    ("code", "host"),
    [
        (
            f"import boto3; boto3.client('personalize', endpoint_url='{SERVICE}')"
            ".list_recipes()",
            "personalize.eu-west-1.amazonaws.com",
        ),
        (
            "import urllib.request; urllib.request.urlopen('http://192.0.2.7/')",
            "192.0.2.7",
        ),
    ],
)
def test_a_function_that_calls_out_is_told_where_it_cannot_go(function, code, host):
    own = function(f"def handler(event, context):\n  {code}")
    error = own.invoke()["Payload"]
    assert REFUSAL.format(host) in error["errorMessage"]
    assert error["errorType"] in ("HTTPClientError", "OfflineError")


def test_a_function_reaches_a_stand_in_on_this_machine(function):
    with socket.create_server(("127.0.0.1", 0)) as stand_in:
        port = stand_in.getsockname()[1]
        own = function(
            "import socket\n"
            "def handler(event, context):\n"
            f"  socket.create_connection(('localhost', {port})).close()\n"
            "  return 'reached'"
        )
        assert own.invoke()["Payload"] == "reached"


def test_the_plain_runtime_runs_offline_as_well(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import socket; socket.gethostbyname('example.com')")
    command = [sys.executable, "-S", "-P", str(process._OFFLINE), str(script)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert REFUSAL.format("example.com") in ended.stderr
    assert Path(offline.__file__) == process._OFFLINE


@pytest.mark.parametrize(
    ("event", "arguments"),
    [
        ("socket.getaddrinfo", ("bucket.localhost", 80, 0, 0, 0)),
        ("socket.getaddrinfo", (b"localhost", 80, 0, 0, 0)),
        ("socket.getaddrinfo", (None, 80, 0, 0, 0)),
        ("socket.connect", (None, ("127.0.0.2", 80))),
        ("socket.connect", (None, ("::1", 80, 0, 0))),
        ("socket.connect", (None, "/run/socket")),
        ("open", ("example.com", "r", 0)),
    ],
)
def test_what_is_on_this_machine_is_let_through(event, arguments):
    offline.check(event, arguments)


@pytest.mark.parametrize(
    ("event", "arguments"),
    [
        ("socket.gethostbyname", ("127.example.com",)),
        ("socket.gethostbyaddr", ("192.0.2.7",)),
        ("socket.connect", (None, ("192.0.2.7", 80))),
        ("socket.sendto", (None, ("2001:db8::1", 53, 0, 0))),
        ("socket.sendmsg", (None, ("192.0.2.7", 53))),
    ],
)
def test_what_is_elsewhere_is_refused(event, arguments):
    with pytest.raises(offline.OfflineError):
        offline.check(event, arguments)
