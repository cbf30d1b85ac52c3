"""Hands a text to a function, state machine, topic, queue or bus, if it may be.

A service that has a role assumes it, and the role must allow the call; else the
target's own policy must allow the service. Encrypted topics and queues need the key's
policy to allow the service as well:
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-encryption-at-rest-key-policy.html
https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError
from moto.awslambda.models import lambda_backends
from moto.core.exceptions import JsonRESTError, ServiceException
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from cdk_personalize_segments.local import enforcement
from cdk_personalize_segments.local.policies import UnsupportedPolicyError
from cdk_personalize_segments.local.resource_policies import key_of

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws

NO_PERMISSIONS: Final = "NO_PERMISSIONS"
NO_RESOURCE: Final = "NO_RESOURCE"
THROTTLING: Final = "THROTTLING"
_ABSENT: Final = ("NotFound", "DoesNotExist", "NonExistent")
_TRANSIENT: Final = ("Throttl", "TooManyRequests", "Unavailable", "InternalFailure")


class DeliveryError(Exception):
    """Something was not delivered.

    Attributes:
        kind: NO_PERMISSIONS, NO_RESOURCE, THROTTLING or SDK_CLIENT_ERROR, as
            EventBridge tells it.
        code: The error's code, as the target's service tells it.
    """

    def __init__(self, kind: str, code: str, message: str) -> None:
        """Describe what happened.

        Args:
            kind: EventBridge's name for it.
            code: The service's name for it.
            message: A sentence.
        """
        super().__init__(message)
        self.kind = kind
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Sender:
    """Who delivers.

    Attributes:
        service: The service principal.
        source_arn: On whose behalf, as the service says in `aws:SourceArn`.
        role_arn: The role that it assumes, or None to rely on the target's policy.
        context: Condition keys that it sends besides those of the source.
    """

    service: str
    source_arn: str
    role_arn: str | None = None
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where to deliver.

    Attributes:
        arn: What is delivered to.
        attributes: The attributes of a message to a queue, as SQS takes them.
        detail_type: Of an event for a bus.
        source: Of an event for a bus.
        subject: Of a message for a topic.
    """

    arn: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    detail_type: str = ""
    source: str = ""
    subject: str | None = None

    @property
    def service(self) -> str:
        """The service in the ARN."""
        return self.arn.split(":")[2]

    @property
    def region(self) -> str:
        """The Region in the ARN."""
        return self.arn.split(":")[3]

    @property
    def account(self) -> str:
        """The account in the ARN."""
        return self.arn.split(":")[4]

    @property
    def name(self) -> str:
        """The last part of the ARN."""
        return self.arn.split(":")[-1]


def send(aws: "LocalAws", sender: Sender, target: Target, text: str) -> None:
    """Deliver a text, once.

    Args:
        aws: The local AWS.
        sender: Who delivers.
        target: Where to.
        text: What.

    Raises:
        DeliveryError: It is not allowed, the target is gone, or refuses.
    """
    kind = KINDS[target.service]
    try:
        _check_access(aws, sender, target, kind.action)
        kind.send(aws, target, text)
    except (enforcement.AccessDenied, UnsupportedPolicyError) as error:
        raise DeliveryError(
            NO_PERMISSIONS, "AccessDeniedException", str(error)
        ) from None
    except ClientError as error:
        told = error.response["Error"]
        raise _refused(str(told["Code"]), str(told["Message"])) from None
    except ServiceException as error:
        raise _refused(str(error.code), str(error.message)) from None
    except JsonRESTError as error:
        raise _refused(str(error.error_type), str(error.message)) from None


def _refused(code: str, message: str) -> DeliveryError:
    if any(word in code for word in _ABSENT):
        return DeliveryError(NO_RESOURCE, code, message)
    if any(word in code for word in _TRANSIENT):
        return DeliveryError(THROTTLING, code, message)
    return DeliveryError("SDK_CLIENT_ERROR", code, message)


def _check_access(aws: "LocalAws", sender: Sender, target: Target, action: str) -> None:
    source = {
        "aws:SourceArn": sender.source_arn,
        "aws:SourceAccount": aws.account_id,
        **sender.context,
    }
    if sender.role_arn is not None:
        enforcement.check_assumable(
            aws, role_arn=sender.role_arn, service=sender.service, context=source
        )
        enforcement.check(
            aws, role_arn=sender.role_arn, action=action, resource=target.arn
        )
        return
    # Without the target there is no policy of it, which is not a refusal.
    _find(target)
    enforcement.check_service(
        aws,
        service=sender.service,
        action=action,
        resource=target.arn,
        context=source,
    )
    key = key_of(target.arn)
    for each in ("kms:GenerateDataKey", "kms:Decrypt") if key else ():
        enforcement.check_service(
            aws, service=sender.service, action=each, resource=key, context=source
        )


def _find(target: Target) -> None:
    """Find a target that has a policy, or raise what its service says of none."""
    if target.service == "sns":
        sns_backends[target.account][target.region].get_topic(target.arn)
    elif target.service == "sqs":
        sqs_backends[target.account][target.region].get_queue(target.name)
    elif target.service == "lambda":
        lambda_backends[target.account][target.region].get_function(target.arn)


def _start_execution(aws: "LocalAws", target: Target, text: str) -> None:
    aws.client("stepfunctions", target.region).start_execution(
        stateMachineArn=target.arn, input=text
    )


def _invoke(aws: "LocalAws", target: Target, text: str) -> None:
    aws.client("lambda", target.region).invoke(
        FunctionName=target.arn, InvocationType="Event", Payload=text.encode()
    )


def _publish(_: "LocalAws", target: Target, text: str) -> None:
    sns_backends[target.account][target.region].publish(
        message=text, arn=target.arn, subject=target.subject
    )


def _send_message(_: "LocalAws", target: Target, text: str) -> None:
    sqs_backends[target.account][target.region].send_message(
        target.name, text, message_attributes=dict(target.attributes)
    )


def _put_event(aws: "LocalAws", target: Target, text: str) -> None:
    entry = {
        "Source": target.source,
        "DetailType": target.detail_type,
        "Detail": text,
        "EventBusName": target.arn,
    }
    [answer] = aws.client("events", target.region).put_events(Entries=[entry])[
        "Entries"
    ]
    if "ErrorCode" in answer:
        raise _refused(answer["ErrorCode"], answer["ErrorMessage"])


@dataclass(frozen=True)
class Kind:
    """A kind of target.

    Attributes:
        action: What must be allowed.
        send: Delivers.
    """

    action: str
    send: Callable[["LocalAws", Target, str], Any]


KINDS: Final[Mapping[str, Kind]] = {
    "events": Kind("events:PutEvents", _put_event),
    "lambda": Kind("lambda:InvokeFunction", _invoke),
    "sns": Kind("sns:Publish", _publish),
    "sqs": Kind("sqs:SendMessage", _send_message),
    "states": Kind("states:StartExecution", _start_execution),
}
"""The kinds of targets, by the service in their ARNs."""
