"""Topics: to whom a message goes, and what each gets.

moto keeps topics and subscriptions. Messages go to queues and functions; those for
e-mail, SMS and HTTP addresses go nowhere, but are kept for tests. Every subscription
counts as confirmed at once. Nothing is signed: signatures are made-up words.
https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from moto.sns.exceptions import SNSInvalidParameter
from moto.sns.models import SNSBackend, Topic
from moto.sns.responses import SNSResponse

from cdk_personalize_segments.local.clock import iso
from cdk_personalize_segments.local.events import patterns
from cdk_personalize_segments.local.events.delivery import (
    DeadLetters,
    Deliveries,
    Delivery,
    Loss,
    RetryPolicy,
)
from cdk_personalize_segments.local.events.targets import Sender, Target
from cdk_personalize_segments.local.patching import as_method, patch
from cdk_personalize_segments.local.untyped import Json, Moto

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws

SERVICE: Final = "sns.amazonaws.com"
DELIVERED: Final = ("lambda", "sqs")
"""The protocols of subscriptions that messages are delivered by."""
KEPT: Final = ("email", "email-json", "http", "https", "sms")
"""The protocols whose messages are kept, for tests to read."""
_TOPIC: Final = frozenset({"DisplayName", "KmsMasterKeyId", "Policy"})
_SUBSCRIPTION: Final = frozenset(
    {"FilterPolicy", "FilterPolicyScope", "RawMessageDelivery", "RedrivePolicy"}
)
# What an empty value takes away; documented is `{}` for a filter policy.
# https://docs.aws.amazon.com/sns/latest/dg/example_sns_SetSubscriptionAttributes_section.html
_REMOVABLE: Final = ("FilterPolicy", "RedrivePolicy")
_EMPTY: Final = ("", "{}")
_SIGNATURE: Final = "not-signed-by-local-aws"
_MOST_FILTERED: Final = 5
_SCOPES: Final = ("MessageAttributes", "MessageBody")
# https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html
_RETRIES: Final = RetryPolicy(100_015, timedelta(days=23))


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message to an address outside of AWS.

    Attributes:
        topic_arn: The topic that it was published to.
        protocol: Like `email`.
        endpoint: The address.
        subject: Its subject, or None.
        body: Its text.
        attributes: Its attributes, by name.
        at: When it was sent.
    """

    topic_arn: str
    protocol: str
    endpoint: str
    subject: str | None
    body: str
    attributes: Mapping[str, str]
    at: datetime


class Topics:
    """The topics of an account."""

    def __init__(self, aws: "LocalAws", deliveries: Deliveries) -> None:
        """Take the place of what moto does with messages.

        Args:
            aws: The local AWS.
            deliveries: Delivers to queues and functions.
        """
        self.messages: list[Message] = []
        self._aws = aws
        self._deliveries = deliveries
        create, subscribe = SNSBackend.create_topic, SNSBackend.subscribe
        set_attribute = SNSBackend.set_subscription_attributes
        set_topic = SNSBackend.set_topic_attribute

        def create_topic(
            backend: Moto,
            name: str,
            attributes: dict[str, str] | None = None,
            tags: Moto = None,
        ) -> Moto:
            for each in attributes or {}:
                _check_topic_attribute(each)
            return create(backend, name, attributes, tags)

        def set_topic_attribute(
            backend: Moto, topic_arn: str, name: str, value: str
        ) -> None:
            _check_topic_attribute(name)
            set_topic(backend, topic_arn, name, value)

        def subscribe_checked(
            backend: Moto, topic_arn: str, endpoint: str, protocol: str
        ) -> Moto:
            if protocol not in (*DELIVERED, *KEPT):
                raise NotImplementedError(
                    f"a subscription by {protocol}; there are "
                    f"{', '.join((*DELIVERED, *KEPT))}"
                )
            return subscribe(backend, topic_arn, endpoint, protocol)

        request = SNSResponse.subscribe

        def subscribe_with_attributes(response: Moto) -> Moto:
            # All at once, since moto sets them one by one on what is there already.
            for name, value in response._get_param("Attributes", {}).items():
                _check_subscription(name, value)
            return request(response)

        set_request = SNSResponse.set_subscription_attributes

        def set_checked_attributes(response: Moto) -> Moto:
            # Before moto makes a boolean of whatever RawMessageDelivery is.
            _check_subscription(
                response._get_param("AttributeName"),
                response._get_param("AttributeValue", ""),
            )
            return set_request(response)

        def set_subscription_attributes(
            backend: Moto, arn: str, name: str, value: str
        ) -> None:
            _check_subscription(name, value)
            if name in _REMOVABLE and value in _EMPTY:
                set_attribute(backend, arn, name, "")
                # moto would show it, empty.
                del backend.subscriptions[arn].attributes[name]
                return
            set_attribute(backend, arn, name, value)

        publish = SNSBackend.publish

        def publish_checked(backend: Moto, *args: Moto, **options: Moto) -> Moto:
            if options.get("phone_number"):
                raise NotImplementedError("a message to a phone number")
            return publish(backend, *args, **options)

        patch(SNSBackend, "publish", publish_checked)
        patch(SNSBackend, "create_topic", create_topic)
        patch(SNSBackend, "set_topic_attribute", set_topic_attribute)
        patch(SNSBackend, "subscribe", subscribe_checked)
        patch(SNSResponse, "subscribe", subscribe_with_attributes)
        patch(SNSResponse, "set_subscription_attributes", set_checked_attributes)
        patch(SNSBackend, "set_subscription_attributes", set_subscription_attributes)
        patch(Topic, "publish", as_method(self._publish))

    def _publish(
        self,
        topic: Moto,
        message: str,
        subject: str | None = None,
        message_attributes: dict[str, Any] | None = None,
        group_id: str | None = None,
        deduplication_id: str | None = None,
        message_structure: str | None = None,
    ) -> str:
        """Take the place of `moto.sns.models.Topic.publish`."""
        message_id = self._aws.new_id("SNS messages")
        attributes = message_attributes or {}
        for subscription in topic.sns_backend._get_topic_subscriptions(topic):
            if not _passes(subscription.attributes, attributes, message):
                continue
            body = _for_protocol(message, message_structure, subscription.protocol)
            self._send(subscription, message_id, subject, body, attributes)
        return message_id

    def _send(
        self,
        subscription: Moto,
        message_id: str,
        subject: str | None,
        body: str,
        attributes: Mapping[str, Any],
    ) -> None:
        now = self._aws.clock.now()
        topic_arn = subscription.topic_arn
        if subscription.protocol in KEPT:
            self.messages.append(
                Message(
                    topic_arn=topic_arn,
                    protocol=subscription.protocol,
                    endpoint=subscription.endpoint,
                    subject=subject,
                    body=body,
                    attributes={
                        name: _value(each) for name, each in attributes.items()
                    },
                    at=now,
                )
            )
            return
        notification = {
            "Type": "Notification",
            "MessageId": message_id,
            "TopicArn": topic_arn,
            **({"Subject": subject} if subject else {}),
            "Message": body,
            "Timestamp": iso(now),
            "SignatureVersion": "1",
            "Signature": _SIGNATURE,
            **(
                _to_lambda(subscription, subject, attributes)
                if subscription.protocol == "lambda"
                else _to_queue(subscription, attributes)
            ),
        }
        self._deliver(subscription, notification, attributes)

    def _deliver(
        self,
        subscription: Moto,
        notification: Mapping[str, Any],
        attributes: Mapping[str, Any],
    ) -> None:
        sender = Sender(service=SERVICE, source_arn=subscription.topic_arn)
        text = json.dumps(notification)
        carried: Mapping[str, Any] = {}
        if subscription.protocol == "lambda":
            text = json.dumps(
                {
                    "Records": [
                        {
                            "EventSource": "aws:sns",
                            "EventVersion": "1.0",
                            "EventSubscriptionArn": subscription.arn,
                            "Sns": notification,
                        }
                    ]
                }
            )
        elif _is_true(subscription.attributes.get("RawMessageDelivery")):
            text = notification["Message"]
            carried = {
                name: {"DataType": each["Type"], "StringValue": _value(each)}
                for name, each in attributes.items()
            }
        self._deliveries.start(
            Delivery(
                sender=sender,
                target=Target(arn=subscription.endpoint, attributes=carried),
                text=lambda _: text,
                retry=_RETRIES,
                dead_letters=self._dead_letters(subscription, sender),
            )
        )

    def _dead_letters(self, subscription: Moto, sender: Sender) -> DeadLetters | None:
        """Read where dead letters go, and what is told with them.

        What becomes of the attributes that raw delivery carries is not documented;
        here a dead letter has only those that tell of the error.
        https://repost.aws/knowledge-center/sns-sqs-subscriptions-notifications
        """
        policy = subscription.attributes.get("RedrivePolicy")
        if not policy:
            return None

        def attributes(loss: Loss) -> dict[str, str]:
            return {
                "RequestID": self._aws.new_id("SNS requests"),
                "ErrorCode": loss.error.code,
                "ErrorMessage": str(loss.error),
            }

        return DeadLetters(
            queue_arn=json.loads(policy)["deadLetterTargetArn"],
            sender=sender,
            attributes_of=attributes,
        )


def _to_queue(subscription: Moto, attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "SigningCertURL": _certificate(subscription),
        "UnsubscribeURL": _unsubscribe(subscription),
        **({"MessageAttributes": _typed(attributes)} if attributes else {}),
    }


def _to_lambda(
    subscription: Moto, subject: str | None, attributes: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "Subject": subject,
        "SigningCertUrl": _certificate(subscription),
        "UnsubscribeUrl": _unsubscribe(subscription),
        "MessageAttributes": _typed(attributes),
    }


def _certificate(subscription: Moto) -> str:
    region = subscription.topic_arn.split(":")[3]
    return f"https://sns.{region}.amazonaws.com/{_SIGNATURE}.pem"


def _unsubscribe(subscription: Moto) -> str:
    region = subscription.topic_arn.split(":")[3]
    return (
        f"https://sns.{region}.amazonaws.com/?Action=Unsubscribe&SubscriptionArn="
        f"{subscription.arn}"
    )


def _typed(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: {"Type": each["Type"], "Value": _value(each)}
        for name, each in attributes.items()
    }


def _value(attribute: Mapping[str, Any]) -> str:
    value = attribute["Value"]
    return value.decode() if isinstance(value, bytes) else str(value)


def _is_true(value: object) -> bool:
    return str(value).lower() == "true"


def _for_protocol(message: str, structure: str | None, protocol: str) -> str:
    if structure != "json":
        return message
    bodies: dict[str, str] = json.loads(message)
    if "default" not in bodies:
        raise SNSInvalidParameter(
            "Invalid parameter: Message Structure - No default entry in JSON message "
            "body"
        )
    return str(bodies.get(protocol, bodies["default"]))


def _passes(
    subscription: Mapping[str, Any], attributes: Mapping[str, Any], message: str
) -> bool:
    """Tell whether a message passes a subscription's filter policy."""
    policy = subscription.get("FilterPolicy")
    if not policy:
        return True
    matches = patterns.parse(policy)
    if subscription.get("FilterPolicyScope") != "MessageBody":
        return matches({name: _filtered(each) for name, each in attributes.items()})
    try:
        return matches(json.loads(message))
    except ValueError:
        return False


def _filtered(attribute: Mapping[str, Any]) -> Json:
    """Give what a filter policy compares: texts, numbers, or what an array has."""
    value = _value(attribute)
    if attribute["Type"] == "String.Array" or attribute["Type"].startswith("Number"):
        return json.loads(value)
    return value


def _check_subscription(name: str, value: str | bool) -> None:
    if name not in _SUBSCRIPTION:
        raise NotImplementedError(f"the attribute {name} of a subscription")
    if name == "FilterPolicyScope" and value not in _SCOPES:
        raise SNSInvalidParameter(
            f"Invalid parameter: FilterPolicyScope: Invalid value [{value}]. Please "
            "use either MessageBody or MessageAttributes"
        )
    if name == "RawMessageDelivery" and str(value).lower() not in ("true", "false"):
        raise SNSInvalidParameter(
            f"Invalid parameter: Attributes Reason: RawMessageDelivery: Invalid value "
            f"[{value}]. Must be true or false."
        )
    if name in _REMOVABLE and value in _EMPTY:
        return
    if name == "FilterPolicy":
        _check_filter(str(value))
    if name == "RedrivePolicy":
        _check_redrive(str(value))


def _check_redrive(policy: str) -> None:
    try:
        queue = json.loads(policy)["deadLetterTargetArn"].split(":")
    except (AttributeError, KeyError, TypeError, ValueError):
        queue = []
    if queue[2:3] != ["sqs"] or queue[-1].endswith(".fifo"):
        raise SNSInvalidParameter(
            "Invalid parameter: RedrivePolicy: deadLetterTargetArn must be the ARN of "
            "a standard SQS queue"
        )


def _check_filter(policy: str) -> None:
    try:
        patterns.parse(policy)
    except patterns.InvalidPatternError as error:
        raise SNSInvalidParameter(f"Invalid parameter: FilterPolicy: {error}") from None
    if len(json.loads(policy)) > _MOST_FILTERED:
        raise SNSInvalidParameter(
            "Invalid parameter: FilterPolicy: Filter policy can not have more than "
            f"{_MOST_FILTERED} keys"
        )


def _check_topic_attribute(name: str) -> None:
    # moto passes it as its topics have it.
    name = "".join(part[0].upper() + part[1:] for part in name.split("_"))
    if name not in _TOPIC:
        raise NotImplementedError(
            f"the attribute {name} of a topic; there are {', '.join(sorted(_TOPIC))}"
        )
