"""Runs executions with functions side by side in two accounts, and tells of all.

A program, since there is only one local AWS at a time in a process.
"""

import io
import json
import random
import re
import time
import zipfile
from datetime import UTC, datetime

from cdk_personalize_segments.local import LocalAws

ROLE = "r"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": ["lambda.amazonaws.com", "states.amazonaws.com"]},
            "Action": "sts:AssumeRole",
        }
    ],
}
ALL = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}
# How long each takes is another thing in each account.
SOURCE = """
import boto3, random, time

def handler(event, context):
    time.sleep(random.random() / 50)
    if event.get("fails"):
        raise ValueError(context.aws_request_id)
    if event.get("stops"):
        boto3.client("stepfunctions").stop_execution(executionArn=event["stops"])
    return [event, context.aws_request_id]
"""


def task(payload, **fields):
    """Give a Task state that invokes the function."""
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": "f", "Payload": payload},
        **({} if "Next" in fields else {"End": True}),
        **fields,
    }


def branch(**states):
    """Give a branch of states."""
    return {"StartAt": next(iter(states)), "States": states}


STATES = branch(
    Map={
        "Type": "Map",
        "Items": list(range(4)),
        "ItemProcessor": branch(
            Item=task({"item": "{% $states.input %}"}, Next="Wait"),
            Wait={"Type": "Wait", "Seconds": "{% $random() > 0.5 ? 1 : 2 %}"}
            | {"Next": "Again"},
            Again=task({"again": "{% $uuid() %}"}),
        ),
        "Next": "Both",
    },
    # The failure ends the other branch, in the middle of a function.
    Both={
        "Type": "Parallel",
        "Branches": [
            branch(
                Fails=task(
                    {"fails": True},
                    Retry=[{"ErrorEquals": ["ValueError"], "MaxAttempts": 1}],
                )
            ),
            branch(
                Before={"Type": "Wait", "Seconds": 1, "Next": "Works"},
                Works=task({}, Next="After"),
                After=task({}),
            ),
        ],
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Long"}],
        "Next": "Long",
    },
    Long={
        "Type": "Wait",
        "Seconds": "{% $states.context.Execution.Name = 'e0' ? 1800 : 3600 %}",
        "Next": "Last",
    },
    # The first aborts the second, which still waits.
    Last=task(
        {
            "stops": "{% $states.context.Execution.Name = 'e0' ? "
            "$replace($states.context.Execution.Id, ':e0', ':e1') : '' %}"
        }
    ),
)


def run():
    """Run all in an account of their own, and tell what came of it."""
    begins = datetime(2026, 3, 1, tzinfo=UTC)
    with LocalAws(begins=begins, seed=5, in_process=True) as aws:
        iam, states = aws.client("iam"), aws.client("stepfunctions")
        role = iam.create_role(
            RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(TRUST)
        )["Role"]["Arn"]
        iam.put_role_policy(
            RoleName=ROLE, PolicyName="p", PolicyDocument=json.dumps(ALL)
        )
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("index.py", SOURCE)
        functions = aws.client("lambda")
        functions.create_function(
            FunctionName="f",
            Role=role,
            Runtime="python3.14",
            Handler="index.handler",
            Code={"ZipFile": buffer.getvalue()},
        )
        machine = states.create_state_machine(
            name="m",
            roleArn=role,
            definition=json.dumps({"QueryLanguage": "JSONata", **STATES}),
        )["stateMachineArn"]
        with aws.clock.busy():
            arns = []
            for number in range(3):
                arns.append(
                    states.start_execution(
                        stateMachineArn=machine, name=f"e{number}", input="{}"
                    )["executionArn"]
                )
                functions.invoke(
                    FunctionName="f",
                    InvocationType="Event",
                    Payload=json.dumps({"fails": number % 2 == 0}),
                )
                # The loop must not have begun, however long the start takes.
                time.sleep(random.random() / 50)  # noqa: S311
        aws.clock.sleep(7200)
        histories = {
            arn: states.get_execution_history(executionArn=arn, maxResults=1000)[
                "events"
            ]
            for arn in arns
        }
        streams = aws.client("logs").describe_log_streams(logGroupName="/aws/lambda/f")[
            "logStreams"
        ]
        # Where the code is unpacked differs.
        return re.sub(
            r"/[^ ]*?/index.py",
            "index.py",
            json.dumps(
                {
                    "histories": histories,
                    "streams": sorted(each["logStreamName"] for each in streams),
                },
                default=str,
            ),
        )


if __name__ == "__main__":
    print(json.dumps([run(), run()]))
