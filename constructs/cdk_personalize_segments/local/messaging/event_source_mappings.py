"""Functions that are invoked with the messages of queues.

A mapping takes messages as they come, up to its batch size, and waits for more as long
as its batching window lasts. Messages that failed come again when their visibility
time-out ends, until the queue's redrive policy has enough of them. Messages that wait
for a mapping make virtual time pass.
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
"""

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from moto.awslambda.exceptions import InvalidParameterValueException
from moto.awslambda.models import LambdaBackend
from moto.sqs.models import sqs_backends

from cdk_personalize_segments._service_limits import MAX_BATCH_WINDOW_SECONDS
from cdk_personalize_segments.local import enforcement
from cdk_personalize_segments.local.messaging.queues import Queues, next_available
from cdk_personalize_segments.local.patching import patch
from cdk_personalize_segments.local.untyped import Moto

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws

_log: Final = logging.getLogger(__name__)
_ACTIONS: Final = ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")
SOURCES: Final = ("sqs",)
"""The services that functions can be invoked by through a mapping."""
_SETTINGS: Final = frozenset(
    {
        "BatchSize",
        "Enabled",
        "EventSourceArn",
        "FunctionName",
        "FunctionResponseTypes",
        "MaximumBatchingWindowInSeconds",
        "ScalingConfig",
        "Tags",
    }
)
# What moto adds to them.
_ADDED: Final = frozenset({"AccountId", "FunctionArn", "RegionName"})
_MOST_WITHOUT_WINDOW: Final = 10
_LARGEST_BATCH: Final = 6 * 1024 * 1024
_CONCURRENCY: Final = (2, 1000)
_ATTRIBUTES: Final = {
    "ApproximateFirstReceiveTimestamp": "approximate_first_receive_timestamp",
    "ApproximateReceiveCount": "approximate_receive_count",
    "SenderId": "sender_id",
    "SentTimestamp": "sent_timestamp",
}


class EventSourceMappings:
    """The event source mappings of an account."""

    def __init__(self, aws: "LocalAws", queues: Queues) -> None:
        """Take the place of what moto does with mappings.

        Args:
            aws: The local AWS.
            queues: Tells of messages.
        """
        self._aws = aws
        self._pollers: dict[str, _Poller] = {}
        queues.listen(self._look)
        create = LambdaBackend.create_event_source_mapping
        update = LambdaBackend.update_event_source_mapping
        delete = LambdaBackend.delete_event_source_mapping

        def create_mapping(backend: Moto, settings: dict[str, Any]) -> Moto:
            self._check(backend, settings)
            mapping = create(backend, settings)
            self._start(mapping)
            return mapping

        def update_mapping(backend: Moto, uuid: str, settings: dict[str, Any]) -> Moto:
            # moto counts the id of the path among them.
            settings.pop("UUID", None)
            mapping = backend.get_event_source_mapping(uuid)
            if mapping is not None:
                known = mapping.get_configuration()
                merged = {
                    **{name: known[name] for name in _SETTINGS & set(known)},
                    "EventSourceArn": mapping.event_source_arn,
                    "FunctionName": mapping.function_arn,
                    **settings,
                }
                self._check(backend, merged)
                self._stop(uuid)
            updated = update(backend, uuid, settings)
            if updated is not None:
                self._start(updated)
            return updated

        def delete_mapping(backend: Moto, uuid: str) -> Moto:
            self._stop(uuid)
            return delete(backend, uuid)

        patch(LambdaBackend, "create_event_source_mapping", create_mapping)
        patch(LambdaBackend, "update_event_source_mapping", update_mapping)
        patch(LambdaBackend, "delete_event_source_mapping", delete_mapping)

    def _check(self, backend: Moto, settings: Mapping[str, Any]) -> None:
        unknown = sorted(set(settings) - _SETTINGS - _ADDED)
        if unknown:
            raise NotImplementedError(
                f"an event source mapping with {', '.join(unknown)}; there are "
                f"{', '.join(sorted(_SETTINGS))}"
            )
        source = settings.get("EventSourceArn", "")
        if source.split(":")[2:3] != [*SOURCES]:
            raise NotImplementedError(
                f"the event source {source}; queues are the only ones"
            )
        _check_sizes(settings)
        function = backend.get_function(settings["FunctionName"])
        queue = _queue(source)
        if queue is None:
            raise InvalidParameterValueException(
                f"The event source arn {source} does not exist."
            )
        if queue.visibility_timeout < function.timeout:
            raise InvalidParameterValueException(
                f"Queue visibility timeout: {queue.visibility_timeout} seconds is less "
                f"than Function timeout: {function.timeout} seconds"
            )
        for action in _ACTIONS:
            self._check_role(function.role, action, source)

    def _check_role(self, role_arn: str, action: str, queue_arn: str) -> None:
        try:
            enforcement.check(
                self._aws,
                role_arn=role_arn,
                action=f"sqs:{action}",
                resource=queue_arn,
            )
        except enforcement.AccessDenied:
            raise InvalidParameterValueException(
                "The provided execution role does not have permissions to call "
                f"{action} on SQS"
            ) from None

    def _start(self, mapping: Moto) -> None:
        if mapping.enabled:
            poller = self._pollers[mapping.uuid] = _Poller(self._aws, mapping)
            poller.look()

    def _stop(self, uuid: str) -> None:
        poller = self._pollers.pop(uuid, None)
        if poller is not None:
            poller.stop()

    def _look(self, queue: Moto) -> None:
        for poller in list(self._pollers.values()):
            if poller.queue_arn == queue.queue_arn:
                poller.look()


class _Poller:
    """Takes messages from a queue for a function."""

    def __init__(self, aws: "LocalAws", mapping: Moto) -> None:
        self.queue_arn: str = mapping.event_source_arn
        self._aws = aws
        self._mapping = mapping
        self._arrived = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()
        self._polling = aws.clock.start(self._poll())

    def look(self) -> None:
        """Look at the queue: there may be messages; from any thread."""
        self._aws.clock.start(self._set_arrived())

    def stop(self) -> None:
        """Take no more messages; those that are taken come back in time."""
        self._polling.cancel()

    async def _set_arrived(self) -> None:
        self._arrived.set()

    async def _poll(self) -> None:
        most = (self._mapping.scaling_config or {}).get("MaximumConcurrency")
        while True:
            while most and len(self._under_way) >= most:
                await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
            batch = await self._collect()
            # The next batch does not wait for this one.
            task = asyncio.ensure_future(self._process(batch))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _collect(self) -> list[Moto]:
        """Wait for messages, and take a batch of them."""
        batch: list[Moto] = []
        loop = asyncio.get_running_loop()
        ends: float | None = None
        while True:
            self._arrived.clear()
            # What is sent at one instant comes in one batch. Nothing works then: so
            # there is one batch at a time, and no bound of concurrency is exceeded.
            await self._aws.clock.lull()
            if self._fill(batch):
                return batch
            if batch and ends is None:
                ends = loop.time() + (self._mapping.max_batch_window or 0)
            if ends is not None and loop.time() >= ends:
                return batch
            await self._wait(None if ends is None else ends - loop.time())

    async def _wait(self, seconds: float | None) -> None:
        """Wait for a message to come or to be visible again."""
        queue = _queue(self.queue_arn)
        visible = next_available(queue) if queue is not None else None
        soonest = min(
            (each for each in (seconds, visible) if each is not None), default=None
        )
        try:
            async with asyncio.timeout(soonest):
                await self._arrived.wait()
        except TimeoutError:
            pass

    def _fill(self, batch: list[Moto]) -> bool:
        """Add messages to a batch, and tell whether it is full."""
        queue = _queue(self.queue_arn)
        while not self._is_full(batch):
            found = queue is not None and sqs_backends[queue.account_id][
                queue.region
            ].receive_message(
                queue.name,
                # SQS gives out ten at most at a time.
                min(self._mapping.batch_size - len(batch), 10),
                0,
                queue.visibility_timeout,
                ["All"],
            )
            if not found:
                return False
            batch += found
        return True

    def _is_full(self, batch: list[Moto]) -> bool:
        size = sum(len(message.body.encode()) for message in batch)
        # Ten more may be as large as what is left.
        return len(batch) >= self._mapping.batch_size or size > _LARGEST_BATCH // 2

    async def _process(self, batch: list[Moto]) -> None:
        answer = await self._aws.clock.in_thread(self._invoke, batch)
        failed = _failed(answer, batch, self._mapping.function_response_types or [])
        queue = _queue(self.queue_arn)
        if queue is None:
            return
        for message in batch:
            if message.id not in failed:
                queue.delete_message(message.receipt_handle)
        # What is gone is no longer waited for.
        self._arrived.set()

    def _invoke(self, batch: list[Moto]) -> Mapping[str, Any]:
        records = [_record(message, self.queue_arn) for message in batch]
        try:
            return self._aws.client(  # type: ignore[no-any-return]
                "lambda", self.queue_arn.split(":")[3]
            ).invoke(
                FunctionName=self._mapping.function_arn,
                Payload=json.dumps({"Records": records}).encode(),
            )
        except Exception as error:
            _log.warning("%s was not invoked: %s", self._mapping.function_arn, error)
            return {"FunctionError": "Unhandled"}


def _failed(
    answer: Mapping[str, Any], batch: list[Moto], response_types: list[str]
) -> set[str]:
    """Tell which messages failed: all, or those that the function names.

    An answer that is malformed, or names a message that is not there, means all.
    """
    everything = {message.id for message in batch}
    if "FunctionError" in answer:
        return everything
    if "ReportBatchItemFailures" not in response_types:
        return set()
    try:
        told = json.loads(answer["Payload"].read() or b"null")
        named = [
            each["itemIdentifier"] for each in (told or {})["batchItemFailures"] or []
        ]
    except KeyError:
        return set() if not told or "batchItemFailures" not in told else everything
    except (ValueError, TypeError):
        return everything
    return everything if set(named) - everything else set(named)


def _record(message: Moto, queue_arn: str) -> dict[str, Any]:
    return {
        "messageId": message.id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": {
            name: str(getattr(message, attribute))
            for name, attribute in _ATTRIBUTES.items()
        },
        "messageAttributes": {
            name: {
                "stringValue": each["StringValue"],
                "stringListValues": [],
                "binaryListValues": [],
                "dataType": each["DataType"],
            }
            for name, each in message.message_attributes.items()
        },
        "md5OfBody": message.body_md5,
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": queue_arn.split(":")[3],
    }


def _queue(arn: str) -> Moto:
    region, account, name = arn.split(":")[3:6]
    return sqs_backends[account][region].queues.get(name)


def _check_sizes(settings: Mapping[str, Any]) -> None:
    window = settings.get("MaximumBatchingWindowInSeconds") or 0
    if not 0 <= window <= MAX_BATCH_WINDOW_SECONDS:
        raise InvalidParameterValueException(
            "MaximumBatchingWindowInSeconds must be from 0 to "
            f"{MAX_BATCH_WINDOW_SECONDS}"
        )
    if (settings.get("BatchSize") or 0) > _MOST_WITHOUT_WINDOW and not window:
        raise InvalidParameterValueException(
            "Maximum batch window in seconds must be greater than 0 if maximum batch "
            f"size is greater than {_MOST_WITHOUT_WINDOW}"
        )
    _check_scaling(settings.get("ScalingConfig") or {})
    types = set(settings.get("FunctionResponseTypes") or [])
    if types - {"ReportBatchItemFailures"}:
        raise InvalidParameterValueException(
            f"FunctionResponseTypes may be ReportBatchItemFailures, not {types}"
        )


def _check_scaling(scaling: Mapping[str, Any]) -> None:
    unknown = sorted(set(scaling) - {"MaximumConcurrency"})
    if unknown:
        raise NotImplementedError(f"a ScalingConfig with {', '.join(unknown)}")
    least, most = _CONCURRENCY
    concurrency = scaling.get("MaximumConcurrency")
    if concurrency is not None and not least <= concurrency <= most:
        raise InvalidParameterValueException(
            f"MaximumConcurrency must be from {least} to {most}"
        )
