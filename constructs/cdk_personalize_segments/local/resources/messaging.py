"""Topics and queues, their policies and subscriptions, and functions that they feed."""

import json
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from cdk_personalize_segments.local.resources.base import (
    Place,
    Properties,
    ResourceType,
    api_tags,
    changed,
    chosen,
    tag_map,
)
from cdk_personalize_segments.local.untyped import Json

# The attributes of a queue, and what each is when a template no longer has it.
_QUEUE: Final[Mapping[str, str]] = {
    "DelaySeconds": "0",
    "KmsDataKeyReusePeriodSeconds": "300",
    "KmsMasterKeyId": "",
    "MaximumMessageSize": "1048576",
    "MessageRetentionPeriod": "345600",
    "ReceiveMessageWaitTimeSeconds": "0",
    "RedrivePolicy": "",
    "SqsManagedSseEnabled": "true",
    "VisibilityTimeout": "30",
}
_TOPIC: Final = ("DisplayName", "KmsMasterKeyId")
_SUBSCRIPTION: Final = (
    # Before the policy, which is checked by it.
    "FilterPolicyScope",
    "FilterPolicy",
    "RawMessageDelivery",
    "RedrivePolicy",
)
_MAPPING: Final = (
    "BatchSize",
    "Enabled",
    "FunctionName",
    "FunctionResponseTypes",
    "MaximumBatchingWindowInSeconds",
    "ScalingConfig",
)
# What a setting of a mapping is when a template no longer has it.
_MAPPING_DEFAULTS: Final[Mapping[str, Any]] = {
    "BatchSize": 10,
    "Enabled": True,
    "FunctionResponseTypes": [],
    "MaximumBatchingWindowInSeconds": 0,
    "ScalingConfig": {},
}


class Queue(ResourceType):
    """AWS::SQS::Queue, a standard one."""

    type = "AWS::SQS::Queue"
    kept = "that messages are encrypted; the key's policy counts"
    honoured = frozenset(
        {
            "DelaySeconds",
            "KmsDataKeyReusePeriodSeconds",
            "KmsMasterKeyId",
            "MaximumMessageSize",
            "MessageRetentionPeriod",
            "QueueName",
            "ReceiveMessageWaitTimeSeconds",
            "RedrivePolicy.deadLetterTargetArn",
            "RedrivePolicy.maxReceiveCount",
            "SqsManagedSseEnabled",
            "Tags.Key",
            "Tags.Value",
            "VisibilityTimeout",
        }
    )
    named_by = "QueueName"
    replaced_on = frozenset({"QueueName"})
    stack_tags = True

    def find(self, place: Place, new: Properties) -> Json:
        """Look for the queue."""
        return place.client("sqs").get_queue_url(**chosen(new, "QueueName"))

    def create(self, place: Place, logical_id: str, new: Properties) -> str:
        """Create the queue, whose id is its URL."""
        created = place.client("sqs").create_queue(
            QueueName=new.get("QueueName") or place.new_name(logical_id, 80),
            Attributes={name: _text(new[name]) for name in _QUEUE if name in new},
            tags=tag_map(new),
        )
        return str(created["QueueUrl"])

    def update(
        self, place: Place, physical_id: str, old: Properties, new: Properties
    ) -> None:
        """Change attributes and tags."""
        client, differing = place.client("sqs"), changed(old, new)
        attributes = {
            name: _text(new[name]) if name in new else _QUEUE[name]
            for name in sorted(differing & set(_QUEUE))
        }
        if attributes:
            client.set_queue_attributes(QueueUrl=physical_id, Attributes=attributes)
        if "Tags" in differing:
            if tag_map(old):
                client.untag_queue(QueueUrl=physical_id, TagKeys=list(tag_map(old)))
            if tag_map(new):
                client.tag_queue(QueueUrl=physical_id, Tags=tag_map(new))

    def delete(self, place: Place, physical_id: str, old: Properties) -> None:
        """Delete the queue with its messages."""
        place.client("sqs").delete_queue(QueueUrl=physical_id)

    def attributes(
        self, place: Place, physical_id: str, properties: Properties
    ) -> dict[str, str]:
        """Give ARN, name and URL."""
        name = physical_id.rpartition("/")[2]
        return {
            "Arn": place.arn("sqs", name),
            "QueueName": name,
            "QueueUrl": physical_id,
        }


class _PolicyOfMany(ResourceType):
    """A policy that is put on several things at once.

    Attributes:
        holders: The property that names the things.
    """

    holders: ClassVar[str]

    @abstractmethod
    def put(self, place: Place, holder: str, policy: Mapping[str, Any] | None) -> None:
        """Put the policy on one, or take it off."""

    def create(self, place: Place, logical_id: str, new: Properties) -> str:
        """Put the policy on each."""
        self.update(place, "", {}, new)
        return place.new_name(logical_id, 256)

    def update(
        self, place: Place, physical_id: str, old: Properties, new: Properties
    ) -> None:
        """Put the policy in place of the one before."""
        for holder in sorted({*old.get(self.holders, [])} - {*new[self.holders]}):
            self.put(place, holder, None)
        for holder in new[self.holders]:
            self.put(place, holder, new["PolicyDocument"])

    def delete(self, place: Place, physical_id: str, old: Properties) -> None:
        """Take the policy off each."""
        for holder in old[self.holders]:
            self.put(place, holder, None)


class QueuePolicy(_PolicyOfMany):
    """AWS::SQS::QueuePolicy."""

    type = "AWS::SQS::QueuePolicy"
    honoured = frozenset({"PolicyDocument.*", "Queues"})
    holders = "Queues"

    def put(self, place: Place, holder: str, policy: Mapping[str, Any] | None) -> None:
        """Put the policy on a queue, or leave it without."""
        place.client("sqs").set_queue_attributes(
            QueueUrl=holder, Attributes={"Policy": json.dumps(policy) if policy else ""}
        )


class Topic(ResourceType):
    """AWS::SNS::Topic, a standard one."""

    type = "AWS::SNS::Topic"
    kept = (
        "that messages are encrypted; the key's policy counts, and whether a "
        "publisher may use the key"
    )
    honoured = frozenset(
        {
            "DisplayName",
            "KmsMasterKeyId",
            "Subscription.Endpoint",
            "Subscription.Protocol",
            "Tags.Key",
            "Tags.Value",
            "TopicName",
        }
    )
    named_by = "TopicName"
    replaced_on = frozenset({"TopicName"})
    stack_tags = True

    def find(self, place: Place, new: Properties) -> Json:
        """Look for the topic."""
        arn = place.arn("sns", new["TopicName"])
        return place.client("sns").get_topic_attributes(TopicArn=arn)

    def create(self, place: Place, logical_id: str, new: Properties) -> str:
        """Create the topic, whose id is its ARN."""
        created = place.client("sns").create_topic(
            Name=new.get("TopicName") or place.new_name(logical_id, 256),
            Attributes=chosen(new, *_TOPIC),
            Tags=api_tags(new),
        )
        arn = str(created["TopicArn"])
        with self.finishing(place, arn, new):
            self._subscribe(place, arn, new)
        return arn

    def _subscribe(self, place: Place, arn: str, new: Properties) -> None:
        for each in new.get("Subscription", []):
            place.client("sns").subscribe(TopicArn=arn, **each)

    def update(
        self, place: Place, physical_id: str, old: Properties, new: Properties
    ) -> None:
        """Change attributes, subscriptions and tags."""
        client, differing = place.client("sns"), changed(old, new)
        for name in sorted(differing & set(_TOPIC)):
            client.set_topic_attributes(
                TopicArn=physical_id,
                AttributeName=name,
                AttributeValue=new.get(name, ""),
            )
        if "Subscription" in differing:
            self._unsubscribe(place, physical_id, old, new)
            self._subscribe(place, physical_id, new)
        if "Tags" in differing:
            if tag_map(old):
                client.untag_resource(
                    ResourceArn=physical_id, TagKeys=list(tag_map(old))
                )
            if tag_map(new):
                client.tag_resource(ResourceArn=physical_id, Tags=api_tags(new))

    def _unsubscribe(
        self, place: Place, arn: str, old: Properties, new: Properties
    ) -> None:
        gone = [
            (each["Protocol"], each["Endpoint"])
            for each in old.get("Subscription", [])
            if each not in new.get("Subscription", [])
        ]
        pages = place.client("sns").get_paginator("list_subscriptions_by_topic")
        for page in pages.paginate(TopicArn=arn):
            for each in page["Subscriptions"]:
                if (each["Protocol"], each["Endpoint"]) in gone:
                    place.client("sns").unsubscribe(
                        SubscriptionArn=each["SubscriptionArn"]
                    )

    def delete(self, place: Place, physical_id: str, old: Properties) -> None:
        """Delete the topic with its subscriptions."""
        place.client("sns").delete_topic(TopicArn=physical_id)

    def attributes(
        self, place: Place, physical_id: str, properties: Properties
    ) -> dict[str, str]:
        """Give ARN and name."""
        return {
            "TopicArn": physical_id,
            "TopicName": physical_id.rpartition(":")[2],
        }


class TopicPolicy(_PolicyOfMany):
    """AWS::SNS::TopicPolicy."""

    type = "AWS::SNS::TopicPolicy"
    honoured = frozenset({"PolicyDocument.*", "Topics"})
    holders = "Topics"

    def put(self, place: Place, holder: str, policy: Mapping[str, Any] | None) -> None:
        """Put the policy on a topic, or leave it to its owner."""
        place.client("sns").set_topic_attributes(
            TopicArn=holder,
            AttributeName="Policy",
            AttributeValue=json.dumps(policy or _owners_policy(place, holder)),
        )


class Subscription(ResourceType):
    """AWS::SNS::Subscription."""

    type = "AWS::SNS::Subscription"
    honoured = frozenset(
        {
            "Endpoint",
            "FilterPolicy.*",
            "FilterPolicyScope",
            "Protocol",
            "RawMessageDelivery",
            "RedrivePolicy.deadLetterTargetArn",
            "TopicArn",
        }
    )
    replaced_on = frozenset({"Endpoint", "Protocol", "TopicArn"})

    def create(self, place: Place, logical_id: str, new: Properties) -> str:
        """Subscribe."""
        subscribed = place.client("sns").subscribe(
            TopicArn=new["TopicArn"],
            Protocol=new["Protocol"],
            Endpoint=new["Endpoint"],
            Attributes={
                name: _text(new[name]) for name in _SUBSCRIPTION if name in new
            },
            ReturnSubscriptionArn=True,
        )
        return str(subscribed["SubscriptionArn"])

    def update(
        self, place: Place, physical_id: str, old: Properties, new: Properties
    ) -> None:
        """Change the attributes."""
        defaults = {
            "FilterPolicyScope": "MessageAttributes",
            "RawMessageDelivery": "false",
        }
        differing = changed(old, new)
        for name in _SUBSCRIPTION:
            if name in differing:
                value = _text(new[name]) if name in new else defaults.get(name, "")
                place.client("sns").set_subscription_attributes(
                    SubscriptionArn=physical_id,
                    AttributeName=name,
                    AttributeValue=value,
                )

    def delete(self, place: Place, physical_id: str, old: Properties) -> None:
        """Unsubscribe."""
        place.client("sns").unsubscribe(SubscriptionArn=physical_id)

    def attributes(
        self, place: Place, physical_id: str, properties: Properties
    ) -> dict[str, str]:
        """Give the ARN."""
        return {"Arn": physical_id}


class EventSourceMapping(ResourceType):
    """AWS::Lambda::EventSourceMapping, of a queue."""

    type = "AWS::Lambda::EventSourceMapping"
    honoured = frozenset(
        {
            "EventSourceArn",
            *(name for name in _MAPPING if name != "ScalingConfig"),
            "ScalingConfig.MaximumConcurrency",
        }
    )
    replaced_on = frozenset({"EventSourceArn"})

    def create(self, place: Place, logical_id: str, new: Properties) -> str:
        """Create the mapping."""
        created = place.client("lambda").create_event_source_mapping(
            **chosen(new, "EventSourceArn", *_MAPPING)
        )
        return str(created["UUID"])

    def update(
        self, place: Place, physical_id: str, old: Properties, new: Properties
    ) -> None:
        """Change the settings."""
        place.client("lambda").update_event_source_mapping(
            UUID=physical_id,
            **{
                name: new.get(name, _MAPPING_DEFAULTS.get(name))
                for name in sorted(changed(old, new) & set(_MAPPING))
            },
        )

    def delete(self, place: Place, physical_id: str, old: Properties) -> None:
        """Delete the mapping."""
        place.client("lambda").delete_event_source_mapping(UUID=physical_id)

    def attributes(
        self, place: Place, physical_id: str, properties: Properties
    ) -> dict[str, str]:
        """Give id and ARN."""
        return {
            "EventSourceMappingArn": place.arn(
                "lambda", f"event-source-mapping:{physical_id}"
            ),
            "Id": physical_id,
        }


def _text(value: object) -> str:
    """Write a value as attributes have it."""
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def _owners_policy(place: Place, arn: str) -> dict[str, Any]:
    """Give the policy that CreateTopic gives a topic.

    It lets the topic's owner do everything; whether CloudFormation puts it back is not
    documented.
    """
    return {
        "Version": "2008-10-17",
        "Id": "__default_policy_ID",
        "Statement": [
            {
                "Sid": "__default_statement_ID",
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": [
                    "SNS:GetTopicAttributes",
                    "SNS:SetTopicAttributes",
                    "SNS:AddPermission",
                    "SNS:RemovePermission",
                    "SNS:DeleteTopic",
                    "SNS:Subscribe",
                    "SNS:ListSubscriptionsByTopic",
                    "SNS:Publish",
                ],
                "Resource": arn,
                "Condition": {
                    "StringEquals": {"AWS:SourceOwner": place.aws.account_id}
                },
            }
        ],
    }
