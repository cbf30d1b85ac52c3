"""How much a function's start costs, beside that of a bare client."""

import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

import segment_tasks
from segment_tasks import clients, start_run

# What each function makes when it is first called.
CLIENTS = {
    "prepare": ("personalize", "s3"),
    "create_job": ("personalize_once",),
    "poll_job": ("personalize_once",),
    "collect": ("s3",),
    "finish": ("s3",),
    "start_run": ("stepfunctions",),
}
BARE = "import boto3; boto3.client('personalize')"
MOST = 1.25
PAIRS = 5
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    # As in Lambda: the SDK comes compiled with the runtime, the function's own
    # sources are compiled at each start.
    "PYTHONDONTWRITEBYTECODE": "1",
}


def cpu_seconds(code: str, path: Path) -> float:
    """Return the CPU time of a fresh process that runs some code."""
    before = os.times()
    environment = {**ENVIRONMENT, "PATH": os.environ["PATH"], "PYTHONPATH": str(path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    after = os.times()
    user = after.children_user - before.children_user
    return user + after.children_system - before.children_system


def start(task: str) -> str:
    calls = "; ".join(f"clients.{name}()" for name in CLIENTS[task])
    return f"from segment_tasks import {task}, clients; {calls}"


# Each takes eleven processes, and wants a machine that does nothing else.
@pytest.mark.slow
@pytest.mark.parametrize("task", CLIENTS)
def test_a_function_starts_about_as_fast_as_a_bare_client(task, tmp_path):
    source = Path(str(segment_tasks.__file__)).parent
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(source, tmp_path / "segment_tasks", ignore=ignored)
    cpu_seconds(BARE, tmp_path)
    ratios = [
        cpu_seconds(start(task), tmp_path) / cpu_seconds(BARE, tmp_path)
        for _ in range(PAIRS)
    ]
    assert statistics.median(ratios) <= MOST


def note_calls(monkeypatch, made):
    """Note in a set which clients are asked for from now on."""
    for name, get in list(vars(clients).items()):
        if hasattr(get, "cache_info") and not name.startswith("_"):

            def noting(name=name, get=get):
                made.add(name)
                return get()

            monkeypatch.setattr(clients, name, noting)


def start_run_of_nothing(monkeypatch):
    monkeypatch.setenv(
        "STATE_MACHINE_ARN", "arn:aws:states:us-east-1:123456789012:stateMachine:none"
    )
    told = {"key": "queries/a", "etag": "e", "size": 1, "sequencer": "1"}
    record = {"messageId": "1", "body": json.dumps(told)}
    # There is no such machine.
    assert start_run.handler({"Records": [record]}, None)["batchItemFailures"]


@pytest.mark.parametrize("task", CLIENTS)
def test_what_is_measured_is_what_a_function_makes(
    cloud, monkeypatch, answer_line, task
):
    run, job = cloud.ready("a")
    cloud.answer(answer_line("a", "u"))
    cloud.collect(run, job)
    made = set()
    note_calls(monkeypatch, made)
    {
        "prepare": lambda: cloud.prepare(execution="arn:2"),
        "create_job": lambda: cloud.create(run),
        "poll_job": lambda: cloud.poll(run, job, "2026-01-05T06:05:00Z"),
        "collect": lambda: cloud.collect(run, job),
        "finish": lambda: cloud.finish(run, job),
        "start_run": lambda: start_run_of_nothing(monkeypatch),
    }[task]()
    assert made == set(CLIENTS[task])
