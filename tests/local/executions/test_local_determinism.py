"""Many long executions at once: to the second, and the same every time."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


def run_twice(program):
    """Give what a program tells of two accounts."""
    ran = subprocess.run(
        [sys.executable, str(Path(__file__).with_name(program))],
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    return json.loads(ran.stdout)


@pytest.mark.emulates("asl:Wait", "asl:Choice")
@pytest.mark.slow
def test_200_executions_of_48_hours_are_exact_and_the_same_every_time():
    once, again = run_twice("long_executions.py")
    assert once["errors"] == again["errors"] == [0.0]
    assert once["digest"] == again["digest"]


@pytest.mark.emulates("lambda:order", "asl:Map", "asl:Parallel", "asl:Retry")
@pytest.mark.slow
def test_all_histories_are_the_same_whatever_time_functions_take():
    once, again = (json.loads(told) for told in run_twice("function_executions.py"))
    types = [each["type"] for told in once["histories"].values() for each in told]
    assert types.count("ExecutionAborted") == 1
    assert types.count("ParallelStateFailed") == 3
    assert types.count("MapIterationSucceeded") == 3 * 4
    assert once == again
