"""What `make bench` runs: that it runs, and that it tells what misses its limit."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Template

from cdk_personalize_segments import BatchSegmentPipeline, SolutionVersion
from segment_tasks import clients, usage

BENCH = Path(__file__).parents[2] / "benchmarks" / "bench.py"
VERSION = "arn:aws:personalize:us-east-1:111122223333:solution/films/a1b2c3d4"


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("bench", BENCH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_every_case_runs():
    done = subprocess.run(
        [sys.executable, BENCH, "--quick"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines() if line[:1] > " "] == [
        *["Prepare"] * 11,
        *["Collect"] * 5,
        "Finish",
        "A",
        *["Time"] * 5,
    ]


def test_a_missed_limit_is_told_and_fails_the_run(bench, monkeypatch, capsys):
    fast = bench.Row("Prepare", "1 s", "1 s", "1.00", "1.5", holds=True)
    slow = bench.Row("Collect", "9 s", "1 s", "9.00", "0.7", holds=False)
    monkeypatch.setattr(bench, "measure", lambda *_: [fast, slow])
    assert bench.main([]) == 1
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()[1:3]] == [
        "pass",
        "FAIL",
    ]


def test_limits_that_hold_end_well(bench, monkeypatch):
    fast = bench.Row("Prepare", "1 s", "1 s", "1.00", "1.5", holds=True)
    without = bench.Row("Finish", "1 s")
    monkeypatch.setattr(bench, "measure", lambda *_: [fast, without])
    assert bench.main([]) == 0


def test_the_functions_have_the_time_and_memory_that_estimates_assume(bench):
    stack = cdk.Stack(cdk.App(), "Estimated")
    BatchSegmentPipeline(
        stack, "Segments", solution_version=SolutionVersion.from_arn(VERSION)
    )
    functions = Template.from_stack(stack).find_resources("AWS::Lambda::Function")
    found = {
        each["Properties"]["Handler"].split(".")[1]: each["Properties"]
        for each in functions.values()
    }
    for task in ("prepare", "collect", "finish"):
        assert found[task]["MemorySize"] == usage.MEMORY[task]
        assert found[task]["Timeout"] == bench.TIMEOUT_SECONDS


def test_the_functions_wait_for_as_many_requests_at_once_as_estimates_assume(bench):
    assert clients.S3_AT_ONCE == bench.S3_REQUESTS_AT_ONCE
