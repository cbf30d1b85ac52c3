"""What moto's queues do not do as SQS does, and who waits for their messages."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from moto.core.utils import unix_time_millis
from moto.sqs.exceptions import InvalidAttributeName, InvalidAttributeValue
from moto.sqs.models import Message, Queue, SQSBackend

from cdk_personalize_segments.local.patching import as_method, patch
from cdk_personalize_segments.local.untyped import Moto

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws

# What CreateQueue and SetQueueAttributes take, with the range of what is a number.
_ATTRIBUTES: Final[dict[str, range | None]] = {
    "DelaySeconds": range(901),
    "KmsDataKeyReusePeriodSeconds": range(60, 86_401),
    "KmsMasterKeyId": None,
    "MaximumMessageSize": range(1024, 1_048_577),
    "MessageRetentionPeriod": range(60, 1_209_601),
    "Policy": None,
    "ReceiveMessageWaitTimeSeconds": range(21),
    "RedrivePolicy": None,
    "SqsManagedSseEnabled": None,
    "VisibilityTimeout": range(43_201),
}
_MOST_RECEIVES: Final = 1000


class Queues:
    """Tells of messages that come into queues."""

    def __init__(self, aws: "LocalAws") -> None:
        """Take the place of what moto's queues do differently.

        Args:
            aws: The local AWS.
        """
        self._listeners: list[Callable[[Moto], None]] = []
        self._sent_listeners: list[Callable[[Moto, Moto], None]] = []
        create, set_attributes = (
            SQSBackend.create_queue,
            SQSBackend.set_queue_attributes,
        )
        change = SQSBackend.change_message_visibility

        def create_queue(
            backend: Moto, name: str, tags: Moto = None, **attributes: Moto
        ) -> Moto:
            _check(attributes)
            return create(backend, name, tags, **attributes)

        def set_queue_attributes(
            backend: Moto, queue_name: str, attributes: dict[str, Any]
        ) -> Moto:
            _check(attributes)
            queue = backend.get_queue(queue_name)
            # moto forgets the policy when anything else is set.
            return set_attributes(
                backend, queue_name, {"Policy": queue.policy, **attributes}
            )

        def change_visibility(
            backend: Moto, queue_name: str, *args: Moto, **options: Moto
        ) -> None:
            change(backend, queue_name, *args, **options)
            self.tell(backend.get_queue(queue_name))

        patch(SQSBackend, "create_queue", create_queue)
        patch(SQSBackend, "set_queue_attributes", set_queue_attributes)
        patch(SQSBackend, "change_message_visibility", change_visibility)
        patch(Queue, "add_message", as_method(self._add))
        mark_sent = Message.mark_sent

        def mark_in_milliseconds(message: Moto, *args: Moto, **options: Moto) -> None:
            mark_sent(message, *args, **options)
            # moto cuts off, and so may be a millisecond early.
            message.sent_timestamp = _now()

        patch(Message, "mark_sent", mark_in_milliseconds)
        # At the very moment at which its time-out ends, a message is there again.
        patch(Message, "visible", property(lambda it: _now() >= round(it.visible_at)))
        patch(Queue, "messages", property(_available))
        # Those that expired are gone; moto would count them all for each.
        patch(
            SQSBackend,
            "is_message_valid_based_on_retention_period",
            lambda *_: True,
        )

    def listen(self, listener: Callable[[Moto], None]) -> None:
        """Have something told of each queue in which there may be new messages.

        Args:
            listener: What is told, given moto's queue. It must not block.
        """
        self._listeners.append(listener)

    def listen_to_sent(self, listener: Callable[[Moto, Moto], None]) -> None:
        """Have something told of each message that is sent.

        Args:
            listener: What is told, given moto's queue and message. It must not block.
        """
        self._sent_listeners.append(listener)

    def tell(self, queue: Moto) -> None:
        """Tell that there may be new messages in a queue."""
        for listener in self._listeners:
            listener(queue)

    def _add(self, queue: Moto, message: Moto) -> None:
        """Take the place of `moto.sqs.models.Queue.add_message`."""
        with queue._messages_lock:
            queue._messages.append(message)
        # What comes back from another queue was sent before.
        if not message.approximate_receive_count:
            for listener in self._sent_listeners:
                listener(queue, message)
        self.tell(queue)


def _now() -> int:
    """Give the time in the whole milliseconds that SQS counts in."""
    return round(unix_time_millis())


def _available(queue: Moto) -> list[Moto]:
    """Take the place of `moto.sqs.models.Queue.messages`, which keeps what expired."""
    now = _now()
    oldest = now - 1000 * queue.message_retention_period
    if any(each.sent_timestamp <= oldest for each in queue._messages):
        queue._messages = [
            each for each in queue._messages if each.sent_timestamp > oldest
        ]
    return [
        each
        for each in queue._messages
        if now >= round(each.visible_at) and now >= round(each.delayed_until)
    ]


def next_available(queue: Moto) -> float | None:
    """Tell in how many seconds a message is there that is not now.

    Args:
        queue: moto's queue.

    Returns:
        The seconds, or None if there is no such message.
    """
    now = _now()
    there = [max(each.visible_at, each.delayed_until) for each in queue._messages]
    waits = [round(at) - now for at in there if round(at) > now]
    return min(waits) / 1000 if waits else None


def _check(attributes: dict[str, Any]) -> None:
    for name, value in attributes.items():
        if name in _FIFO:
            raise NotImplementedError(f"the attribute {name}: queues are standard ones")
        if name not in _ATTRIBUTES:
            raise InvalidAttributeName(name)
        numbers = _ATTRIBUTES[name]
        if numbers is not None and not _is_in(numbers, value):
            raise InvalidAttributeValue(name)
        if name == "RedrivePolicy" and value:
            _check_redrive(value)


_FIFO: Final = (
    "ContentBasedDeduplication",
    "DeduplicationScope",
    "FifoQueue",
    "FifoThroughputLimit",
    "RedriveAllowPolicy",
)


def _is_in(numbers: range, value: object) -> bool:
    return str(value).isdecimal() and int(str(value)) in numbers


def _check_redrive(value: str | dict[str, Any]) -> None:
    policy = json.loads(value) if isinstance(value, str) else value
    receives = policy.get("maxReceiveCount")
    if (
        set(policy) != {"deadLetterTargetArn", "maxReceiveCount"}
        or not str(receives).isdecimal()
        or not 1 <= int(str(receives)) <= _MOST_RECEIVES
    ):
        raise InvalidAttributeValue("RedrivePolicy")
