"""What SQS measures of queues: how many messages are in them, and what is done.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/
sqs-available-cloudwatch-metrics.html. What is in a queue is measured at every whole
minute while it is active, which it is for six hours after it was used last, and as long
as it has messages. The last is not documented for queues that are left alone.
"""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from moto.sqs.models import Queue, SQSBackend

from cdk_personalize_segments.local.cloudwatch.metrics import Metric
from cdk_personalize_segments.local.cloudwatch.series import MINUTE
from cdk_personalize_segments.local.patching import patch
from cdk_personalize_segments.local.untyped import Moto

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws
    from cdk_personalize_segments.local.clock import Deadline
    from cdk_personalize_segments.local.messaging.queues import Queues

_ACTIVE: Final = timedelta(hours=6)
_VISIBLE: Final = "ApproximateNumberOfMessagesVisible"
_SOME: Final = {
    "ApproximateNumberOfMessagesDelayed": "delayed",
    "ApproximateNumberOfMessagesNotVisible": "not visible",
}
_AGE: Final = "ApproximateAgeOfOldestMessage"


class QueueMetrics:
    """Measures the queues of an account."""

    def __init__(self, aws: "LocalAws", queues: "Queues") -> None:
        """Measure from now on.

        Args:
            aws: The local AWS.
            queues: Tells of messages that come into queues.
        """
        self._aws = aws
        # When queues are looked at next.
        self._looks: dict[str, tuple[float, Deadline]] = {}
        self._active_until: dict[str, float] = {}
        self._patch_queues()
        queues.listen(self._used)
        queues.listen_to_sent(self._sent)

    def _patch_queues(self) -> None:
        receive, purge = SQSBackend.receive_message, SQSBackend.purge_queue
        delete = Queue.delete_message

        def receive_message(
            backend: Moto, queue_name: str, *args: Moto, **options: Moto
        ) -> Moto:
            found = receive(backend, queue_name, *args, **options)
            queue = backend.get_queue(queue_name)
            kind = "NumberOfMessagesReceived" if found else "NumberOfEmptyReceives"
            self._put(queue, kind, len(found) or 1)
            self._used(queue)
            return found

        def delete_message(queue: Moto, receipt_handle: str) -> None:
            delete(queue, receipt_handle)
            self._put(queue, "NumberOfMessagesDeleted", 1)
            self._used(queue)

        def purge_queue(backend: Moto, queue_name: str) -> None:
            purge(backend, queue_name)
            self._used(backend.get_queue(queue_name))

        patch(SQSBackend, "receive_message", receive_message)
        patch(SQSBackend, "purge_queue", purge_queue)
        patch(Queue, "delete_message", delete_message)

    def _sent(self, queue: Moto, message: Moto) -> None:
        self._put(queue, "NumberOfMessagesSent", 1)
        self._put(queue, "SentMessageSize", len(message.body.encode()), "Bytes")

    def _put(self, queue: Moto, name: str, value: float, unit: str = "Count") -> None:
        self._aws.metrics.put(_metric(queue, name), value, unit)

    def _used(self, queue: Moto) -> None:
        """Look at a queue that has been used, at the next whole minute."""
        now = self._aws.metrics.now()
        self._active_until[queue.queue_arn] = now + _ACTIVE.total_seconds()
        self._look_at(queue, math.floor(now / MINUTE) * MINUTE + MINUTE)

    def _look_at(self, queue: Moto, due: float) -> None:
        pending = self._looks.get(queue.queue_arn)
        if pending is not None:
            if pending[0] <= due:
                return
            pending[1].cancel()
        self._looks[queue.queue_arn] = (
            due,
            self._aws.clock.at(
                datetime.fromtimestamp(due, UTC), lambda: self._look(queue, due)
            ),
        )

    def _look(self, queue: Moto, now: float) -> None:
        """Measure a queue, and see when it changes by itself."""
        del self._looks[queue.queue_arn]
        counts = dict.fromkeys(("visible", *_SOME.values()), 0)
        oldest: float | None = None
        active_until = self._active_until[queue.queue_arn]
        changes = [active_until] if active_until > now else []
        for kind, sent, changing in _messages(queue, now):
            counts[kind] += 1
            oldest = sent if oldest is None else min(sent, oldest)
            changes.append(changing)
        is_active = oldest is not None or active_until > now

        def level(name: str, value: float | None, unit: str = "Count") -> None:
            metric = _metric(queue, name)
            grows = unit == "Seconds" and value is not None
            if self._aws.metrics.level(metric, unit).change(now, value, int(grows)):
                self._aws.metrics.tell(metric, now)

        level(_VISIBLE, counts["visible"] if is_active else None)
        for name, kind in _SOME.items():
            level(name, counts[kind] or None)
        level(_AGE, None if oldest is None else now - oldest, "Seconds")
        if changes:
            self._look_at(queue, math.ceil(min(changes) / MINUTE) * MINUTE)


def _metric(queue: Moto, name: str) -> Metric:
    return Metric.of(queue.region, "AWS/SQS", name, {"QueueName": queue.name})


def _messages(queue: Moto, seconds: float) -> Iterator[tuple[str, float, float]]:
    """Tell of each message what it is, when it was sent and when it changes."""
    now = round(seconds * 1000)
    retention = 1000 * queue.message_retention_period
    for message in list(queue._messages):
        ends = message.sent_timestamp + retention
        if now >= ends:
            continue
        kind, changes = "visible", ends
        for other, until in (
            ("delayed", message.delayed_until),
            ("not visible", message.visible_at),
        ):
            if now < round(until):
                kind, changes = other, min(round(until), ends)
                break
        yield kind, message.sent_timestamp / 1000, changes / 1000
