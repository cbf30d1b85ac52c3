"""The same seed, the same events: in accounts of their own, each in a process."""

import json
import subprocess
import sys

import pytest

RUN = """
import json, sys
from datetime import UTC, datetime, timedelta

from cdk_personalize_segments.local import LocalAws

ARN = "arn:aws:sqs:us-east-1:123456789012:q"
POLICY = {"Statement": [{"Effect": "Allow", "Action": "sqs:SendMessage",
    "Principal": {"Service": "events.amazonaws.com"}, "Resource": ARN}]}

with LocalAws(begins=datetime(2026, 3, 1, tzinfo=UTC), seed=int(sys.argv[1])) as aws:
    sqs, s3, events = (aws.client(name) for name in ("sqs", "s3", "events"))
    url = sqs.create_queue(QueueName="q", Attributes={"Policy": json.dumps(POLICY)})[
        "QueueUrl"]
    s3.create_bucket(Bucket="uploads")
    s3.put_bucket_notification_configuration(
        Bucket="uploads", NotificationConfiguration={"EventBridgeConfiguration": {}})
    events.put_rule(Name="r", EventPattern='{"source": ["aws.s3"]}')
    events.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": ARN}])
    aws.events.disturb_s3(duplicated=0.5, latest=timedelta(hours=1))
    with aws.clock.busy():
        for number in range(500):
            s3.put_object(Bucket="uploads", Key=f"{number:03}", Body=b"x")
    aws.clock.advance(timedelta(hours=2))
    got = []
    while found := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10,
            VisibilityTimeout=3600, AttributeNames=["All"]).get("Messages"):
        got += [(each["Attributes"]["SentTimestamp"], each["MessageId"], each["Body"])
                for each in found]
    print(json.dumps(got))
"""


def deliveries(seed):
    run = subprocess.run(
        [sys.executable, "-c", RUN, str(seed)], capture_output=True, check=True
    )
    return json.loads(run.stdout)


@pytest.mark.slow
def test_a_thousand_disturbed_deliveries_are_the_same_on_every_run():
    first, again, other = deliveries(1), deliveries(1), deliveries(2)
    assert len(first) > 900
    assert again == first
    assert [at for at, _, _ in other] != [at for at, _, _ in first]
