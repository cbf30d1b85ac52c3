"""Dead-letter queues: where what failed for good is kept, for people to look at."""

from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_sqs as sqs
from constructs import Construct

# The longest that SQS keeps a message.
KEPT: Final = cdk.Duration.days(14)


def define_dead_letters(scope: Construct, *, enforce_ssl: bool) -> sqs.Queue:
    """Define a dead-letter queue, `DeadLetters`.

    Args:
        scope: Where it is defined.
        enforce_ssl: Whether it gets a policy that denies what comes without TLS; False
            where it is in another policy.
    """
    queue = sqs.Queue(
        scope,
        "DeadLetters",
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=enforce_ssl,
        retention_period=KEPT,
    )
    cdk.Validations.of(queue).acknowledge(
        cdk.Acknowledgment(
            id="Serverless-SQSRedrivePolicy", reason="It is a dead-letter queue itself."
        )
    )
    return queue
