"""`local start`: a local AWS in the foreground."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

CATALOGUE = Path(__file__).parents[2] / "examples" / "catalogue"
# Shells start background processes with interrupts ignored.
START = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from cdk_personalize_segments.cli import main
main()
"""


def start(*arguments, environment=None):
    return subprocess.Popen(
        [sys.executable, "-c", START, "local", "start", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    )


@pytest.fixture
def started():
    process = start("--port", 0, "--data", CATALOGUE)
    lines = []
    while not lines or "item-attribute-affinity" not in lines[-1]:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        lines.append(line.rstrip())
    yield process, lines
    process.kill()
    process.communicate()


def client(lines, service):
    exported = dict(
        line.removeprefix("export ").split("=", 1)
        for line in lines
        if line.startswith("export ")
    )
    return boto3.client(
        service,
        endpoint_url=exported["AWS_ENDPOINT_URL"],
        region_name=exported["AWS_REGION"],
        aws_access_key_id=exported["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=exported["AWS_SECRET_ACCESS_KEY"],
    )


def test_it_prints_what_to_export_and_a_solution_for_each_recipe(started):
    process, lines = started
    personalize = client(lines, "personalize")
    for line in lines[-2:]:
        recipe, arn = line.removeprefix("# ").split(": ")
        found = personalize.describe_solution_version(solutionVersionArn=arn)
        assert found["solutionVersion"]["recipeArn"].endswith(f"/{recipe}")
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 0
    assert told.splitlines()[-1] == "Stopped."


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGHUP])
def test_whatever_ends_it_nothing_is_left_behind(end, tmp_path):
    process = start("--port", 0, environment={**os.environ, "TMPDIR": str(tmp_path)})
    assert process.stdout.readline().startswith("export ")
    process.send_signal(end)
    _, told = process.communicate(timeout=20)
    assert told.splitlines()[-1] == "Stopped."
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--port", 99_999, "less than or equal to 65535"),
        ("--speed", 0, "above 0"),
        ("--region", "mars", "'mars' has no"),
    ],
)
def test_wrong_options_are_refused_before_anything_starts(option, value, says):
    process = start(option, value)
    printed, told = process.communicate(timeout=20)
    assert process.returncode == 2
    assert printed == ""
    assert says in told


def test_without_its_data_it_does_not_start(tmp_path):
    process = start("--port", 0, "--data", tmp_path)
    printed, told = process.communicate(timeout=20)
    assert process.returncode == 1
    assert printed == ""
    assert "Error:" in told


def test_its_answers_tell_its_own_time(started):
    _, lines = started
    answer = client(lines, "sts").get_caller_identity()
    assert "GMT" in answer["ResponseMetadata"]["HTTPHeaders"]["x-local-aws-time"]


def test_a_port_that_is_taken_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = start("--port", taken.getsockname()[1])
        _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Error: local AWS cannot listen on port" in told
    assert "Traceback" not in told


def test_data_that_are_not_there_are_told():
    process = start("--port", 0, "--data", "nowhere")
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Error: nowhere/items.csv is missing" in told
