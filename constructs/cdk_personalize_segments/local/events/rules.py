"""Rules on event buses: which events go to which targets.

moto keeps buses, rules and targets; what they do is here.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from moto.events.exceptions import (
    InvalidEventPatternException,
    ResourceNotFoundException,
    ValidationException,
)
from moto.events.models import EventsBackend, events_backends

from cdk_personalize_segments.local.events import (
    delivery,
    expressions,
    patterns,
    transformers,
)
from cdk_personalize_segments.local.events.delivery import (
    DeadLetters,
    Deliveries,
    Delivery,
    RetryPolicy,
)
from cdk_personalize_segments.local.events.recurrences import Recurrences
from cdk_personalize_segments.local.events.targets import Sender, Target
from cdk_personalize_segments.local.patching import as_method, patch
from cdk_personalize_segments.local.untyped import Json, Moto

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws

SERVICE: Final = "events.amazonaws.com"
TARGETS: Final = ("lambda", "sns", "sqs", "states")
"""The services that rules can have as targets."""
_FIELDS: Final = frozenset(
    {
        "Arn",
        "DeadLetterConfig",
        "Id",
        "Input",
        "InputPath",
        "InputTransformer",
        "RetryPolicy",
        "RoleArn",
    }
)
_MOST_TARGETS: Final = 5
_MOST_ENTRIES: Final = 10
# In all, they must be below 1 MB; whether that is 2**20 or a million is not said.
# https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
_TOO_LARGE: Final = 1024 * 1024
_TIME_SIZE: Final = 14
_STATES: Final = ("ENABLED", "DISABLED")
_ENTRY: Final = frozenset(
    {"Detail", "DetailType", "EventBusName", "Resources", "Source", "Time"}
)
_NAME: Final = re.compile(r"[.\-_A-Za-z0-9]{1,64}")


class Rules:
    """The rules of an account, and the events that go through them."""

    def __init__(self, aws: "LocalAws", deliveries: Deliveries) -> None:
        """Take the place of what moto does with events.

        Args:
            aws: The local AWS.
            deliveries: Delivers to targets.
        """
        self._aws = aws
        self._deliveries = deliveries
        self._recurrences = Recurrences(aws.clock)
        self._patch_rules()
        patch(EventsBackend, "put_targets", self._checked(EventsBackend.put_targets))
        patch(EventsBackend, "put_events", as_method(self._put_events))

    def emit(
        self,
        source: str,
        detail_type: str,
        detail: Json,
        *,
        region: str,
        resources: list[str],
        at: datetime | None = None,
        bus: str = "default",
    ) -> str:
        """Put an event on a bus, from where it goes to the targets of matching rules.

        Args:
            source: Who says so.
            detail_type: What kind of thing happened.
            detail: What happened.
            region: Where.
            resources: The ARNs of what it happened to.
            at: When it happened, if not now.
            bus: The bus.

        Returns:
            The event's id.
        """
        event = {
            "version": "0",
            "id": self._aws.new_id("events"),
            "detail-type": detail_type,
            "source": source,
            "account": self._aws.account_id,
            "time": written(at or self._aws.clock.now()),
            "region": region,
            "resources": resources,
            "detail": detail,
        }
        backend = events_backends[self._aws.account_id][region]
        for rule in list(backend._get_event_bus(bus).rules.values()):
            pattern = rule.event_pattern.dump()
            if rule.state == "ENABLED" and pattern and patterns.parse(pattern)(event):
                self._send(rule, event)
        return str(event["id"])

    def _send(self, rule: Moto, event: Mapping[str, Any]) -> None:
        named = {"arn": rule.arn, "name": rule.name}
        for target in list(rule.targets):
            text = transformers.text_for(target, event, named)
            sender = Sender(
                service=SERVICE, source_arn=rule.arn, role_arn=target.get("RoleArn")
            )
            self._deliveries.start(
                Delivery(
                    sender=sender,
                    target=Target(arn=target["Arn"]),
                    text=lambda _, text=text: text,  # type: ignore[misc]
                    retry=RetryPolicy.of(target),
                    dead_letters=_dead_letters(rule, target),
                )
            )

    def _patch_rules(self) -> None:
        put = EventsBackend.put_rule
        delete = EventsBackend.delete_rule
        enable = EventsBackend.enable_rule
        disable = EventsBackend.disable_rule

        def put_rule(backend: Moto, name: str, **settings: Moto) -> Moto:
            if _NAME.fullmatch(name) is None:
                raise ValidationException(
                    f"1 validation error detected: Value '{name}' at 'name' failed to "
                    f"satisfy constraint: {_NAME.pattern}"
                )
            _check_rule(settings)
            rule = put(backend, name, **settings)
            self._reschedule(rule)
            return rule

        def delete_rule(backend: Moto, name: str, event_bus_arn: str | None) -> None:
            rule = _rule(backend, name, event_bus_arn)
            delete(backend, name, event_bus_arn)
            if rule is not None:
                self._recurrences.stop(rule.arn)

        def switching(switch: Moto) -> Moto:
            def switched(backend: Moto, name: str, event_bus_arn: str | None) -> bool:
                known = bool(switch(backend, name, event_bus_arn))
                if known:
                    self._reschedule(_rule(backend, name, event_bus_arn))
                return known

            return switched

        patch(EventsBackend, "put_rule", put_rule)
        patch(EventsBackend, "delete_rule", delete_rule)
        patch(EventsBackend, "enable_rule", switching(enable))
        patch(EventsBackend, "disable_rule", switching(disable))

    def _reschedule(self, rule: Moto) -> None:
        """Let a scheduled rule be due, from now on.

        A rate counts from now; AWS does not say when exactly it begins.
        """
        self._recurrences.stop(rule.arn)
        if rule.state != "ENABLED" or not rule.scheduled_expression:
            return
        expression = expressions.parse(rule.scheduled_expression)
        now = self._aws.clock.now()
        began = now
        if isinstance(expression, expressions.Rate):
            began = now + expression.every
        self._recurrences.start(
            rule.arn,
            lambda after: expression.after(after, began),
            lambda due: self._send(rule, self._scheduled_event(rule, due)),
            now,
        )

    def _scheduled_event(self, rule: Moto, due: datetime) -> dict[str, Any]:
        return {
            "version": "0",
            "id": self._aws.new_id("events"),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": self._aws.account_id,
            "time": written(due),
            "region": rule.region_name,
            "resources": [rule.arn],
            "detail": {},
        }

    def _checked(self, put: Moto) -> Moto:
        """Check targets before they are put."""

        def put_targets(
            backend: Moto,
            name: str,
            event_bus_arn: str | None,
            targets: list[dict[str, Any]],
        ) -> None:
            for target in targets:
                _check_target(self._aws, backend.region_name, target)
            rule = _rule(backend, name, event_bus_arn)
            known = {each["Id"] for each in rule.targets} if rule is not None else set()
            if len(known | {each["Id"] for each in targets}) > _MOST_TARGETS:
                raise ValidationException(
                    "The requested resource exceeds the maximum number allowed: "
                    f"{_MOST_TARGETS} targets of a rule"
                )
            put(backend, name, event_bus_arn, targets)

        return put_targets

    def _put_events(
        self, backend: Moto, entries: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """Take the place of `EventsBackend.put_events`."""
        if not 1 <= len(entries) <= _MOST_ENTRIES:
            raise ValidationException(
                "1 validation error detected: Value at 'entries' failed to satisfy "
                "constraint: Member must have length less than or equal to "
                f"{_MOST_ENTRIES}"
            )
        if sum(_size(entry) for entry in entries) >= _TOO_LARGE:
            raise ValidationException(
                "Total size of the entries in the request is over the limit."
            )
        return [self._put_event(backend, entry) for entry in entries]

    def _put_event(self, backend: Moto, entry: Mapping[str, Any]) -> dict[str, Any]:
        unknown = sorted(set(entry) - _ENTRY)
        if unknown:
            raise NotImplementedError(f"PutEvents with {', '.join(unknown)}")
        for name in ("Source", "DetailType", "Detail"):
            if not entry.get(name):
                return _rejected(
                    "InvalidArgument",
                    f"Parameter {name} is not valid. Reason: {name} is a required "
                    "argument.",
                )
        if entry["Source"].startswith("aws."):
            return _rejected(
                "NotAuthorizedForSourceException", "Not authorized for the source."
            )
        try:
            detail = json.loads(entry["Detail"])
        except ValueError:
            detail = None
        if not isinstance(detail, dict):
            return _rejected("MalformedDetail", "Detail is malformed.")
        given = entry.get("Time")
        event_id = self.emit(
            entry["Source"],
            entry["DetailType"],
            detail,
            region=backend.region_name,
            resources=entry.get("Resources", []),
            at=None if given is None else datetime.fromtimestamp(given, UTC),
            bus=backend._normalize_event_bus_arn(entry.get("EventBusName")),
        )
        return {"EventId": event_id}


def written(instant: datetime) -> str:
    """Write an instant as events do, in whole seconds."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _size(entry: Mapping[str, Any]) -> int:
    """Give the size of an entry as EventBridge counts it.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html
    """
    texts = [entry.get(name) or "" for name in ("Source", "DetailType", "Detail")]
    texts += entry.get("Resources") or []
    time = _TIME_SIZE if entry.get("Time") is not None else 0
    return time + sum(len(text.encode()) for text in texts)


def _rejected(code: str, message: str) -> dict[str, str]:
    return {"ErrorCode": code, "ErrorMessage": message}


def _rule(backend: Moto, name: str, event_bus_arn: str | None) -> Moto:
    try:
        return backend.describe_rule(name, event_bus_arn)
    except ResourceNotFoundException:
        return None


def _dead_letters(rule: Moto, target: Mapping[str, Any]) -> DeadLetters | None:
    """Read where a target's dead letters go: EventBridge sends them as itself."""
    queue_arn = target.get("DeadLetterConfig", {}).get("Arn")
    if queue_arn is None:
        return None
    return DeadLetters(
        queue_arn=queue_arn,
        sender=Sender(service=SERVICE, source_arn=rule.arn),
        attributes_of=lambda loss: {
            "RULE_ARN": rule.arn,
            **loss.attributes(loss.error.kind),
        },
    )


def _check_rule(settings: Mapping[str, Any]) -> None:
    state = settings.get("state") or "ENABLED"
    if state == "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS":
        raise NotImplementedError(
            f"a rule in the state {state}, since there is no CloudTrail; use ENABLED"
        )
    if state not in _STATES:
        raise ValidationException(
            f"1 validation error detected: Value '{state}' at 'state' failed to "
            f"satisfy constraint: Member must satisfy enum value set: {list(_STATES)}"
        )
    pattern = settings.get("event_pattern")
    if pattern:
        try:
            patterns.parse(pattern)
        except patterns.InvalidPatternError as error:
            raise InvalidEventPatternException(str(error)) from None
    schedule = settings.get("scheduled_expression")
    if schedule:
        try:
            expression = expressions.parse(schedule)
        except expressions.InvalidExpressionError as error:
            raise ValidationException(
                f"Parameter ScheduleExpression is not valid. Reason: {error}."
            ) from None
        if not expression.recurs:
            raise ValidationException("Parameter ScheduleExpression is not valid.")


def _check_target(aws: "LocalAws", region: str, target: Mapping[str, Any]) -> None:
    unknown = sorted(set(target) - _FIELDS)
    if unknown:
        raise NotImplementedError(
            f"a target with {', '.join(unknown)}; there are "
            f"{', '.join(sorted(_FIELDS))}"
        )
    place = target["Arn"].split(":")[2:5]
    if len(place) < 3 or place[0] not in TARGETS:
        raise NotImplementedError(
            f"the target {target['Arn']}; there are targets of {', '.join(TARGETS)}"
        )
    if place[1:] != [region, aws.account_id]:
        raise NotImplementedError(
            f"the target {target['Arn']} in another Region or account"
        )
    if place[0] == "states" and "RoleArn" not in target:
        raise ValidationException(f"RoleArn is required for target {target['Arn']}.")
    if place[0] != "states" and "RoleArn" in target:
        raise NotImplementedError(
            f"a RoleArn for the target {target['Arn']}: local AWS delivers there by "
            "the target's own policy"
        )
    try:
        transformers.check(target)
    except transformers.InvalidInputError as error:
        raise ValidationException(
            f"Parameter(s) of target {target['Id']} not valid. Reason: {error}."
        ) from None
    delivery.check_dead_letter_queue(target)
