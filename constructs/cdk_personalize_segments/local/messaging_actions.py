"""Which IAM actions requests to SNS, SQS, EventBridge and its Scheduler need.

Sources: the Service Authorization Reference of each, and for encrypted topics
https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

from cdk_personalize_segments.local.calls import Call, Needed, unmapped
from cdk_personalize_segments.local.resource_policies import key_of

_SNS: Final = frozenset(
    {
        "GetTopicAttributes",
        "ListSubscriptionsByTopic",
        "Publish",
        "PublishBatch",
        "SetTopicAttributes",
        "Subscribe",
    }
)
_AWS_MANAGED: Final = ":alias/aws/sns"
_ENCRYPTING: Final = ("GenerateDataKey", "Decrypt")
# A batch needs the action of one.
_SQS: Final = {
    "ChangeMessageVisibility": "ChangeMessageVisibility",
    "ChangeMessageVisibilityBatch": "ChangeMessageVisibility",
    "DeleteMessage": "DeleteMessage",
    "DeleteMessageBatch": "DeleteMessage",
    "GetQueueAttributes": "GetQueueAttributes",
    "GetQueueUrl": "GetQueueUrl",
    "PurgeQueue": "PurgeQueue",
    "ReceiveMessage": "ReceiveMessage",
    "SendMessage": "SendMessage",
    "SendMessageBatch": "SendMessage",
}
_RULES: Final = frozenset(
    {"DescribeRule", "DisableRule", "EnableRule", "ListTargetsByRule"}
)
_SCHEDULE: Final = re.compile(r"/schedules/(?P<name>[^/]+)")
_SCHEDULE_ACTIONS: Final[Mapping[str, str]] = {
    "DELETE": "DeleteSchedule",
    "GET": "GetSchedule",
    "POST": "CreateSchedule",
    "PUT": "UpdateSchedule",
}


def sns(call: Call, _: str) -> list[Needed]:
    """Name what a request to SNS needs."""
    operation = call.form.get("Action", "")
    if operation not in _SNS:
        raise unmapped(call, operation)
    topic = call.form.get("TopicArn") or call.form.get("TargetArn", "")
    # Publishing a batch is publishing.
    needed = [Needed(f"sns:{operation.removesuffix('Batch')}", topic)]
    key = key_of(topic) if operation.startswith("Publish") else ""
    # Whoever may publish may use the key that AWS manages.
    if key and not key.endswith(_AWS_MANAGED):
        through = {"kms:ViaService": f"sns.{call.region}.amazonaws.com"}
        needed += [Needed(f"kms:{each}", key, through) for each in _ENCRYPTING]
    return needed


def sqs(call: Call, account: str) -> list[Needed]:
    """Name what a request to SQS needs."""
    if call.operation not in _SQS:
        raise unmapped(call, call.operation)
    named = call.parameters.get("QueueName") or call.parameters.get("QueueUrl", "")
    name = str(named).rpartition("/")[2]
    arn = f"arn:{call.partition}:sqs:{call.region}:{account}:{name}"
    return [Needed(f"sqs:{_SQS[call.operation]}", arn)]


def events(call: Call, account: str) -> list[Needed]:
    """Name what a request to EventBridge needs."""
    prefix = f"arn:{call.partition}:events:{call.region}:{account}:"
    if call.operation == "PutEvents":
        return [
            Needed(
                "events:PutEvents",
                f"{prefix}event-bus/{_last(entry.get('EventBusName', 'default'))}",
                {
                    "events:detail-type": entry.get("DetailType", ""),
                    "events:source": entry.get("Source", ""),
                },
            )
            for entry in call.parameters.get("Entries", [])
        ]
    if call.operation in _RULES:
        name = call.parameters.get("Name") or call.parameters.get("Rule", "")
        bus = _last(call.parameters.get("EventBusName", "default"))
        place = name if bus == "default" else f"{bus}/{name}"
        return [Needed(f"events:{call.operation}", f"{prefix}rule/{place}")]
    raise unmapped(call, call.operation)


def scheduler(call: Call, account: str) -> list[Needed]:
    """Name what a request to Scheduler needs: to pass the role, as well."""
    match = _SCHEDULE.fullmatch(call.path)
    if match is None or call.method not in _SCHEDULE_ACTIONS:
        raise unmapped(call, f"{call.method} {call.path}")
    group = call.parameters.get("GroupName") or call.query.get("groupName", "default")
    arn = (
        f"arn:{call.partition}:scheduler:{call.region}:{account}:schedule/{group}/"
        f"{unquote(match['name'])}"
    )
    needed = [Needed(f"scheduler:{_SCHEDULE_ACTIONS[call.method]}", arn)]
    role = call.parameters.get("Target", {}).get("RoleArn")
    if role:
        passed = {"iam:PassedToService": "scheduler.amazonaws.com"}
        needed.append(Needed("iam:PassRole", role, passed))
    return needed


def _last(name_or_arn: str) -> str:
    return name_or_arn.rpartition("/")[2]
