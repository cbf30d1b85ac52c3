"""EventBridge Scheduler: schedules, and what they start.

moto keeps schedules and their groups; when they are due, and what happens then, is
here. Schedules are due to the second, where AWS promises the minute.
https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from moto.scheduler.exceptions import ValidationException
from moto.scheduler.models import EventBridgeSchedulerBackend, Schedule
from moto.scheduler.responses import EventBridgeSchedulerResponse

from cdk_personalize_segments._service_limits import (
    MAX_FLEXIBLE_WINDOW_MINUTES,
    MIN_FLEXIBLE_WINDOW_MINUTES,
)
from cdk_personalize_segments.local import enforcement
from cdk_personalize_segments.local.events import delivery, expressions
from cdk_personalize_segments.local.events.delivery import (
    DeadLetters,
    Deliveries,
    Delivery,
    RetryPolicy,
)
from cdk_personalize_segments.local.events.recurrences import Recurrences
from cdk_personalize_segments.local.events.rules import written
from cdk_personalize_segments.local.events.targets import KINDS, Sender, Target
from cdk_personalize_segments.local.patching import patch
from cdk_personalize_segments.local.untyped import Moto

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws

SERVICE: Final = "scheduler.amazonaws.com"
_TARGET: Final = frozenset(
    {
        "Arn",
        "DeadLetterConfig",
        "EventBridgeParameters",
        "Input",
        "RetryPolicy",
        "RoleArn",
    }
)
_SETTINGS: Final = frozenset(
    {
        "ActionAfterCompletion",
        # boto3 makes one up.
        "ClientToken",
        "Description",
        "EndDate",
        "FlexibleTimeWindow",
        "GroupName",
        "ScheduleExpression",
        "ScheduleExpressionTimezone",
        "StartDate",
        "State",
        "Target",
    }
)
_NAME: Final = re.compile(r"[0-9a-zA-Z\-_.]{1,64}")


class Scheduler:
    """The schedules of an account."""

    def __init__(self, aws: "LocalAws", deliveries: Deliveries) -> None:
        """Let schedules be due.

        Args:
            aws: The local AWS.
            deliveries: Delivers to targets.
        """
        self._aws = aws
        self._deliveries = deliveries
        self._recurrences = Recurrences(aws.clock)
        self._patch_schedules()
        self._patch_requests()

    def _patch_schedules(self) -> None:
        backend = EventBridgeSchedulerBackend
        create, update = backend.create_schedule, backend.update_schedule
        delete, delete_group = backend.delete_schedule, backend.delete_schedule_group
        create_group = backend.create_schedule_group

        def create_schedule(backend: Moto, **settings: Moto) -> Moto:
            # Before anything else, so that a missing group is an error of AWS's own.
            backend.get_schedule_group(settings["group_name"])
            schedule = create(backend, **settings)
            self._reschedule(backend, schedule)
            return schedule

        def update_schedule(backend: Moto, **settings: Moto) -> Moto:
            schedule = update(backend, **settings)
            schedule.state = settings["state"] or "ENABLED"
            self._reschedule(backend, schedule)
            return schedule

        def delete_schedule(backend: Moto, group_name: str | None, name: str) -> None:
            schedule = backend.get_schedule(group_name, name)
            delete(backend, group_name, name)
            self._recurrences.stop(schedule.arn)

        def delete_schedule_group(backend: Moto, name: str | None) -> None:
            group = backend.get_schedule_group(name)
            if group.name == "default":
                raise ValidationException("The default group cannot be deleted.")
            delete_group(backend, name)
            for schedule in group.schedules.values():
                self._recurrences.stop(schedule.arn)

        def create_schedule_group(backend: Moto, name: str, tags: Moto) -> Moto:
            _check_name(name)
            if name in backend.schedule_groups:
                raise _conflict(f"Schedule group {name} already exists.")
            return create_group(backend, name, tags)

        for name, replacement in (
            ("create_schedule", create_schedule),
            ("update_schedule", update_schedule),
            ("delete_schedule", delete_schedule),
            ("delete_schedule_group", delete_schedule_group),
            ("create_schedule_group", create_schedule_group),
        ):
            patch(backend, name, replacement)

    def _patch_requests(self) -> None:
        create = EventBridgeSchedulerResponse.create_schedule
        update = EventBridgeSchedulerResponse.update_schedule

        def create_schedule(response: Moto) -> str:
            _check_name(response.uri.split("?")[0].split("/")[-1])
            self._check(response)
            return str(create(response))

        def update_schedule(response: Moto) -> str:
            settings = self._check(response)
            # moto's update leaves this out.
            schedule = response.scheduler_backend.get_schedule(
                settings.get("GroupName"), response.uri.split("?")[0].split("/")[-1]
            )
            schedule.action_after_completion = settings.get("ActionAfterCompletion")
            return str(update(response))

        patch(EventBridgeSchedulerResponse, "create_schedule", create_schedule)
        patch(EventBridgeSchedulerResponse, "update_schedule", update_schedule)

    def _check(self, response: Moto) -> dict[str, Any]:
        """Check what a request wants a schedule to be."""
        settings: dict[str, Any] = json.loads(response.body)
        unknown = sorted(set(settings) - _SETTINGS)
        if unknown:
            raise NotImplementedError(f"a schedule with {', '.join(unknown)}")
        _check_expression(settings, self._aws.clock.now())
        _check_window(settings["FlexibleTimeWindow"])
        _check_target(settings["Target"])
        group = settings.get("GroupName") or "default"
        try:
            enforcement.check_assumable(
                self._aws,
                role_arn=settings["Target"]["RoleArn"],
                service=SERVICE,
                context={
                    "aws:SourceArn": f"arn:aws:scheduler:{response.region}:"
                    f"{self._aws.account_id}:schedule-group/{group}",
                    "aws:SourceAccount": self._aws.account_id,
                },
            )
        except enforcement.AccessDenied:
            raise ValidationException(
                "The execution role you provide must allow AWS EventBridge Scheduler "
                "to assume the role."
            ) from None
        return settings

    def _reschedule(self, backend: Moto, schedule: Schedule) -> None:
        """Let a schedule be due, from now on."""
        self._recurrences.stop(schedule.arn)
        if schedule.state != "ENABLED":
            return
        now = self._aws.clock.now()
        expression = _expression(schedule)
        end = _instant(schedule.end_date) if expression.recurs else None
        start = _instant(schedule.start_date) if expression.recurs else None
        began = max(now, start or now)

        def after(instant: datetime) -> datetime | None:
            due = expression.after(instant, began)
            return None if due is None or (end is not None and due > end) else due

        def fire(due: datetime) -> None:
            self._fire(backend, schedule, due)
            if after(due) is None:
                self._complete(backend, schedule)

        # The beginning itself is a time at which a rate is due.
        self._recurrences.start(
            schedule.arn, after, fire, began - timedelta(microseconds=1)
        )

    def _complete(self, backend: Moto, schedule: Schedule) -> None:
        """Do what a schedule says is to be done after its last time."""
        if schedule.action_after_completion == "DELETE":
            backend.delete_schedule(schedule.group_name, schedule.name)

    def _fire(self, backend: Moto, schedule: Schedule, due: datetime) -> None:
        """Deliver, some time within the schedule's window."""
        window = schedule.flexible_time_window
        chance = self._aws.chance(f"windows of {schedule.arn}")
        seconds = 60 * window.get("MaximumWindowInMinutes", 0)
        at = due + timedelta(seconds=chance.randrange(seconds) if seconds else 0)
        execution_id = f"{chance.getrandbits(64):016x}"
        prepared = self._delivery(backend, schedule, due, execution_id)
        self._aws.clock.at(at, lambda: self._deliveries.start(prepared))

    def _delivery(
        self, backend: Moto, schedule: Schedule, due: datetime, execution_id: str
    ) -> Delivery:
        target = schedule.target
        parameters = target.get("EventBridgeParameters", {})
        group = schedule.arn.replace(":schedule/", ":schedule-group/")
        sender = Sender(
            service=SERVICE,
            source_arn=group.rpartition("/")[0],
            role_arn=target["RoleArn"],
        )
        template = target.get("Input") or self._notification(backend, schedule, due)
        known = {
            "aws.scheduler.execution-id": execution_id,
            "aws.scheduler.schedule-arn": schedule.arn,
            "aws.scheduler.scheduled-time": written(due),
        }

        def text(attempt: int) -> str:
            filled = template
            for name, value in {
                **known,
                "aws.scheduler.attempt-number": str(attempt),
            }.items():
                filled = filled.replace(f"<{name}>", value)
            return str(filled)

        return Delivery(
            sender=sender,
            target=Target(
                arn=target["Arn"],
                detail_type=parameters.get("DetailType", ""),
                source=parameters.get("Source", ""),
            ),
            text=text,
            retry=RetryPolicy.of(target),
            dead_letters=_dead_letters(schedule, sender, due, execution_id),
        )

    def _notification(self, backend: Moto, schedule: Schedule, due: datetime) -> str:
        """Write what a target is given that says nothing of its input."""
        return json.dumps(
            {
                "version": "0",
                "id": self._aws.new_id("scheduler"),
                "detail-type": "Scheduled Event",
                "source": "aws.scheduler",
                "account": self._aws.account_id,
                "time": written(due),
                "region": backend.region_name,
                "resources": [schedule.arn],
                "detail": "{}",
            }
        )


def _dead_letters(
    schedule: Schedule, sender: Sender, due: datetime, execution_id: str
) -> DeadLetters | None:
    """Read where dead letters go: Scheduler sends them with the schedule's role."""
    queue_arn = schedule.target.get("DeadLetterConfig", {}).get("Arn")
    if queue_arn is None:
        return None
    return DeadLetters(
        queue_arn=queue_arn,
        sender=sender,
        attributes_of=lambda loss: {
            "EXECUTION_ID": execution_id,
            "IS_PAYLOAD_TRUNCATED": "false",
            "SCHEDULED_TIME": written(due),
            "SCHEDULE_ARN": schedule.arn,
            **loss.attributes(loss.error.code),
        },
    )


def _expression(schedule: Schedule) -> expressions.Expression:
    return expressions.parse(
        schedule.schedule_expression, schedule.schedule_expression_timezone
    )


def _instant(seconds: float | str | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(float(seconds), UTC)


def _conflict(message: str) -> ValidationException:
    error = ValidationException(message)
    error.error_type = "ConflictException"
    return error


def _check_name(name: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise ValidationException(
            f"1 validation error detected: Value '{name}' at 'name' failed to satisfy "
            f"constraint: Member must satisfy regular expression pattern: "
            f"{_NAME.pattern}"
        )


def _check_expression(settings: Mapping[str, Any], now: datetime) -> None:
    try:
        expression = expressions.parse(
            settings["ScheduleExpression"],
            settings.get("ScheduleExpressionTimezone") or "UTC",
        )
    except expressions.InvalidExpressionError as error:
        raise ValidationException(f"Invalid Schedule Expression: {error}.") from None
    if not expression.recurs and expression.after(now, now) is None:
        raise NotImplementedError(
            f"{settings['ScheduleExpression']} is past, at {written(now)}: local AWS "
            "does not know what AWS does then"
        )
    start, end = (_instant(settings.get(name)) for name in ("StartDate", "EndDate"))
    if start is not None and start < now - timedelta(minutes=5) and expression.recurs:
        raise ValidationException(
            "The StartDate you specify cannot be earlier than 5 minutes ago."
        )
    if end is not None and end <= (start or now) and expression.recurs:
        raise ValidationException(
            "The EndDate you specify must come after the StartDate and must be in the "
            "future."
        )


def _check_window(window: Mapping[str, Any]) -> None:
    minutes = window.get("MaximumWindowInMinutes")
    if window["Mode"] == "OFF" and minutes is not None:
        raise ValidationException(
            "MaximumWindowInMinutes must not be set when the FlexibleTimeWindow is OFF."
        )
    least, most = MIN_FLEXIBLE_WINDOW_MINUTES, MAX_FLEXIBLE_WINDOW_MINUTES
    if window["Mode"] == "FLEXIBLE" and not least <= (minutes or 0) <= most:
        raise ValidationException(
            "A FLEXIBLE time window must have MaximumWindowInMinutes from "
            f"{least} to {most}."
        )


def _check_target(target: Mapping[str, Any]) -> None:
    unknown = sorted(set(target) - _TARGET)
    if unknown:
        raise NotImplementedError(f"a schedule's target with {', '.join(unknown)}")
    arn = target["Arn"]
    service = (arn.split(":") + [""] * 3)[2]
    if service not in KINDS:
        raise NotImplementedError(
            f"the target {arn}; there are the templated targets of "
            f"{', '.join(KINDS)}, and no universal ones"
        )
    if (service == "events") is not ("EventBridgeParameters" in target):
        raise ValidationException(
            "EventBridgeParameters must be set for a target that is an event bus, and "
            "for no other."
        )
    if service in ("events", "states") and "Input" in target:
        try:
            json.loads(target["Input"])
        except ValueError:
            raise ValidationException("The Input must be valid JSON.") from None
    if service == "events" and "Input" not in target:
        raise ValidationException("A target that is an event bus must have an Input.")
    delivery.check_dead_letter_queue(target)
