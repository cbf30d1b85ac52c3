"""How long a local AWS takes to start, from nothing to the first answer."""

import statistics
import subprocess
import sys

import pytest

# What the library promises, in seconds of one processor: a loaded machine makes a
# start longer, but not this.
LONGEST = 3.0
START = """
import resource
from cdk_personalize_segments.local import LocalAws

with LocalAws() as aws:
    assert aws.client("sts").get_caller_identity()["Account"]
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(used.ru_utime + used.ru_stime)
"""


def start(script: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.slow
def test_it_answers_within_three_seconds() -> None:
    # The first start may have to compile what it imports.
    start(START)
    assert statistics.median(float(start(START)) for _ in range(3)) < LONGEST


def test_services_that_no_one_asks_for_are_not_imported() -> None:
    """Most of the time would be the services that only moto's CloudFormation needs."""
    script = START + 'import sys\nprint("moto.autoscaling" in sys.modules)'
    assert start(script).split()[-1] == "False"
