"""Many long executions at once: to the second, and the same every time."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.emulates("asl:Wait", "asl:Choice")
def test_200_executions_of_48_hours_are_exact_and_the_same_every_time():
    program = Path(__file__).with_name("long_executions.py")
    ran = subprocess.run(
        [sys.executable, str(program)],
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    once, again = json.loads(ran.stdout)
    assert once["errors"] == again["errors"] == [0.0]
    assert once["digest"] == again["digest"]
