"""Many long executions at once: to the second, and the same every time."""

import json
import subprocess
import sys

import pytest

# Two accounts one after the other, which only a process of its own can have.
SCRIPT = """
import hashlib, json, random, time
from datetime import UTC, datetime
from cdk_personalize_segments.local import LocalAws

COUNT, HOURS = 200, 24

def loop(name, after):
    return {
        name: {"Type": "Wait", "Seconds": "{% $states.input.every %}", "Next": f"{name}?"},
        f"{name}?": {
            "Type": "Choice",
            "Choices": [
                {
                    "Condition": "{% $millis() - $began >= $states.input.for * 1000 %}",
                    "Assign": {"began": "{% $millis() %}"},
                    "Next": after,
                }
            ],
            "Default": name,
        },
    }

DEFINITION = json.dumps({
    "QueryLanguage": "JSONata",
    "StartAt": "Begin",
    "States": {
        "Begin": {"Type": "Pass", "Assign": {"began": "{% $millis() %}"}, "Next": "Queued"},
        **loop("Queued", "Working"),
        **loop("Working", "End"),
        "End": {
            "Type": "Pass",
            "Output": {"id": "{% $uuid() %}", "at": "{% $now() %}"},
            "End": True,
        },
    },
})

def run(seed):
    with LocalAws(begins=datetime(2026, 3, 1, tzinfo=UTC), seed=seed) as aws:
        client = aws.client("stepfunctions")
        machine = client.create_state_machine(
            name="long", definition=DEFINITION, roleArn="arn:aws:iam::123456789012:role/any"
        )["stateMachineArn"]
        chance = random.Random(1)
        began = time.process_time()
        with aws.clock.busy():
            arns = [
                client.start_execution(
                    stateMachineArn=machine,
                    # Each at a pace of its own, and for two whole days.
                    input=json.dumps({"every": chance.choice([3600, 7200, 10800]), "for": HOURS * 3600}),
                )["executionArn"]
                for _ in range(COUNT)
            ]
        # The last second of the last one is over then.
        aws.clock.sleep(3 * 86400)
        seconds = time.process_time() - began
        digest, errors = hashlib.sha256(), set()
        for number, arn in enumerate(arns):
            told = client.describe_execution(executionArn=arn)
            digest.update(json.dumps([arn, told["output"]]).encode())
            errors.add((told["stopDate"] - told["startDate"]).total_seconds() - 2 * HOURS * 3600)
            # To read all would take longer than to run all.
            if number % 20 == 0:
                history = client.get_execution_history(executionArn=arn, maxResults=1000)
                digest.update(json.dumps(history["events"], default=str).encode())
        return {"digest": digest.hexdigest(), "errors": sorted(errors), "seconds": seconds}

print(json.dumps([run(0), run(0)]))
"""


@pytest.mark.emulates("asl:Wait", "asl:Choice")
def test_200_executions_of_48_hours_are_exact_and_the_same_every_time():
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    once, again = json.loads(ran.stdout)
    assert once["errors"] == again["errors"] == [0.0]
    assert once["digest"] == again["digest"]
