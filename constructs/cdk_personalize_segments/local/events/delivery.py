"""Delivers until it succeeds or a retry policy gives up, and keeps what was lost.

Deliveries take turns in the order in which they became due, so that every run goes the
same way. Waits between tries double from a second to a quarter of an hour: AWS says
that it backs off exponentially, but not how.
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from moto.events.exceptions import ValidationException

from cdk_personalize_segments.local.cloudwatch import services
from cdk_personalize_segments.local.events import targets
from cdk_personalize_segments.local.events.targets import (
    DeliveryError,
    Sender,
    Target,
)

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws

_log: Final = logging.getLogger(__name__)
_LONGEST_WAIT: Final = timedelta(minutes=15)


@dataclass(frozen=True)
class RetryPolicy:
    """How often, and for how long, to try again.

    Attributes:
        attempts: How many times at most.
        age: For how long at most.
    """

    attempts: int = 185
    age: timedelta = timedelta(days=1)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "RetryPolicy":
        """Read what a target says.

        Args:
            given: The target of a rule or schedule.
        """
        policy = given.get("RetryPolicy", {})
        return cls(
            policy.get("MaximumRetryAttempts", cls.attempts),
            timedelta(
                seconds=policy.get("MaximumEventAgeInSeconds", cls.age.total_seconds())
            ),
        )


@dataclass(frozen=True, kw_only=True)
class Loss:
    """What was not delivered, and why.

    Attributes:
        target_arn: Where it should have gone.
        error: What happened at the last try.
        retries: How often it was tried again.
        exhausted: What of the retry policy ended the tries, or None.
    """

    target_arn: str
    error: DeliveryError
    retries: int
    exhausted: str | None

    def attributes(self, code: str) -> dict[str, str]:
        """Write what EventBridge and its Scheduler tell of it.

        Args:
            code: The error's code, which they choose differently.
        """
        ended = self.exhausted and {"EXHAUSTED_RETRY_CONDITION": self.exhausted}
        return {
            "TARGET_ARN": self.target_arn,
            "ERROR_CODE": code,
            "ERROR_MESSAGE": str(self.error),
            "RETRY_ATTEMPTS": str(self.retries),
            **(ended or {}),
        }


@dataclass(frozen=True, kw_only=True)
class DeadLetters:
    """Where what cannot be delivered goes.

    Attributes:
        queue_arn: The queue.
        sender: Who sends there.
        attributes_of: Writes the attributes of the message.
    """

    queue_arn: str
    sender: Sender
    attributes_of: Callable[[Loss], Mapping[str, str]]


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """Something to deliver.

    Attributes:
        sender: Who delivers.
        target: Where to.
        text: Writes what, given the number of the attempt.
        retry: How often to try again.
        dead_letters: Where it goes if it cannot be delivered, or None.
        ended: Is told when it has been delivered, or of the last error, or None.
    """

    sender: Sender
    target: Target
    text: Callable[[int], str]
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    dead_letters: DeadLetters | None = None
    ended: Callable[[DeliveryError | None], None] | None = None


def check_dead_letter_queue(target: Mapping[str, Any]) -> None:
    """Check that dead letters go to a standard queue.

    Args:
        target: The target of a rule or schedule.

    Raises:
        ValidationException: They go elsewhere.
    """
    arn = target.get("DeadLetterConfig", {}).get("Arn")
    if arn is not None and (arn.split(":")[2:3] != ["sqs"] or arn.endswith(".fifo")):
        raise ValidationException(
            f"the dead-letter queue {arn} must be a standard SQS queue"
        )


class Deliveries:
    """All deliveries of an account."""

    def __init__(self, aws: "LocalAws") -> None:
        """Begin without any.

        Args:
            aws: The local AWS.
        """
        self._aws = aws
        self._turn = asyncio.Lock()
        self._throttled: Counter[str] = Counter()

    def throttle(self, target_arn: str, times: int) -> None:
        """Let the next tries to deliver to a target be throttled.

        Args:
            target_arn: The target.
            times: How many.
        """
        self._throttled[target_arn] += times

    def start(self, delivery: Delivery) -> None:
        """Deliver, now and as often as it takes.

        Args:
            delivery: What to deliver.
        """
        self._aws.clock.start(self._deliver(delivery))

    async def _deliver(self, delivery: Delivery) -> None:
        began, retries = self._aws.clock.now(), 0
        while True:
            text = delivery.text(retries + 1)
            error = await self._send(delivery.sender, delivery.target, text)
            self._count(delivery.sender, "tried")
            if error is None:
                self._count(delivery.sender, "delivered")
                if delivery.ended is not None:
                    delivery.ended(None)
                return
            is_throttled = error.kind == targets.THROTTLING
            self._count(delivery.sender, "throttled" if is_throttled else "failed")
            wait = min(timedelta(seconds=2**retries), _LONGEST_WAIT)
            exhausted = None
            if is_throttled:
                if retries >= delivery.retry.attempts:
                    exhausted = "MaximumRetryAttempts"
                elif self._aws.clock.now() + wait - began > delivery.retry.age:
                    exhausted = "MaximumEventAgeInSeconds"
                else:
                    retries += 1
                    await asyncio.sleep(wait.total_seconds())
                    continue
            loss = Loss(
                target_arn=delivery.target.arn,
                error=error,
                retries=retries,
                exhausted=exhausted,
            )
            await self._lose(delivery, text, loss)
            return

    def _count(self, sender: Sender, what: str) -> None:
        services.delivery_went(
            self._aws.metrics, sender.service, sender.source_arn, what
        )

    async def _send(
        self, sender: Sender, target: Target, text: str
    ) -> DeliveryError | None:
        async with self._turn:
            if self._throttled[target.arn]:
                self._throttled[target.arn] -= 1
                return DeliveryError(
                    targets.THROTTLING, "ThrottlingException", "Rate exceeded"
                )
            try:
                await self._aws.clock.in_thread(
                    targets.send, self._aws, sender, target, text
                )
            except DeliveryError as error:
                return error
            except Exception as error:
                _log.exception("a delivery to %s broke local AWS", target.arn)
                return DeliveryError("UNKNOWN", "InternalFailure", repr(error))
            return None

    async def _lose(self, delivery: Delivery, text: str, loss: Loss) -> None:
        """Tell of what could not be delivered, and keep it if there is a queue."""
        _log.warning(
            "%s could not deliver to %s on behalf of %s: %s",
            delivery.sender.service,
            delivery.target.arn,
            delivery.sender.source_arn,
            loss.error,
        )
        self._count(delivery.sender, "lost")
        if delivery.ended is not None:
            delivery.ended(loss.error)
        letters = delivery.dead_letters
        if letters is None:
            return
        queue = Target(
            arn=letters.queue_arn,
            attributes={
                name: {"DataType": "String", "StringValue": value}
                for name, value in letters.attributes_of(loss).items()
            },
        )
        lost = await self._send(letters.sender, queue, text)
        self._count(delivery.sender, "kept" if lost is None else "not kept")
        if lost is not None:
            _log.warning(
                "the dead-letter queue %s got nothing of it: %s",
                letters.queue_arn,
                lost,
            )
