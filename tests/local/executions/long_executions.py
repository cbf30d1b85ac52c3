"""Runs 200 executions of 48 hours in two accounts, one after the other, and tells.

A program, since there is only one local AWS at a time in a process.
"""

import hashlib
import json
import random
import time
from datetime import UTC, datetime

from cdk_personalize_segments.local import LocalAws

COUNT = 200
DAY = 24 * 3600


def loop(name, after):
    """Give states that wait and look, until a day has passed."""
    is_over = f"{{% $millis() - $began >= {DAY} * 1000 %}}"
    return {
        name: {
            "Type": "Wait",
            "Seconds": "{% $states.input.every %}",
            "Next": f"{name}?",
        },
        f"{name}?": {
            "Type": "Choice",
            "Choices": [
                {
                    "Condition": is_over,
                    "Assign": {"began": "{% $millis() %}"},
                    "Next": after,
                }
            ],
            "Default": name,
        },
    }


STATES = {
    "Begin": {"Type": "Pass", "Assign": {"began": "{% $millis() %}"}, "Next": "Queued"},
    **loop("Queued", "Working"),
    **loop("Working", "End"),
    "End": {
        "Type": "Pass",
        "Output": {"id": "{% $uuid() %}", "at": "{% $now() %}"},
        "End": True,
    },
}


def run():
    """Run all in an account of their own, and tell what came of it."""
    with LocalAws(begins=datetime(2026, 3, 1, tzinfo=UTC)) as aws:
        client = aws.client("stepfunctions")
        definition = {"QueryLanguage": "JSONata", "StartAt": "Begin", "States": STATES}
        machine = client.create_state_machine(
            name="long",
            definition=json.dumps(definition),
            roleArn="arn:aws:iam::123456789012:role/any",
        )["stateMachineArn"]
        chance = random.Random(1)  # noqa: S311
        began = time.process_time()
        with aws.clock.busy():
            # Each at a pace of its own.
            arns = [
                client.start_execution(
                    stateMachineArn=machine,
                    input=json.dumps({"every": chance.choice([7200, 10800, 14400])}),
                )["executionArn"]
                for _ in range(COUNT)
            ]
        # All of them are over by then.
        aws.clock.sleep(3 * DAY)
        seconds = time.process_time() - began
        digest, errors = hashlib.sha256(), set()
        for number, arn in enumerate(arns):
            told = client.describe_execution(executionArn=arn)
            took = told["stopDate"] - told["startDate"]
            errors.add(took.total_seconds() - 2 * DAY)
            digest.update(json.dumps([arn, told["output"]]).encode())
            # To read all would take longer than to run all.
            if number % 20 == 0:
                history = client.get_execution_history(
                    executionArn=arn, maxResults=1000
                )
                digest.update(json.dumps(history["events"], default=str).encode())
        return {
            "digest": digest.hexdigest(),
            "errors": sorted(errors),
            "seconds": seconds,
        }


if __name__ == "__main__":
    print(json.dumps([run(), run()]))
