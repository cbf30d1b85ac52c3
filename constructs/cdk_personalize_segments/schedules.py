"""Schedules: when runs start by themselves, and with what input."""

import enum
import zoneinfo
from collections.abc import Mapping
from typing import Any, Final

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_personalize_segments import _validation
from cdk_personalize_segments._runtime import arns, execution_input, failures, limits
from cdk_personalize_segments._service_limits import (
    MAX_FLEXIBLE_WINDOW_MINUTES,
    MIN_FLEXIBLE_WINDOW_MINUTES,
)
from cdk_personalize_segments.access import Access
from cdk_personalize_segments.dead_letters import define_dead_letters

# A run that could not be started for so long is left to the next one, and to the
# dead-letter queue. EventBridge Scheduler's own defaults are a day and 185 attempts.
_MAX_AGE: Final = cdk.Duration.hours(1)
_ATTEMPTS: Final = 185
# Stands for the pipeline's own, which is checked elsewhere.
_ANY_SOLUTION: Final = "arn:aws:personalize:us-east-1:111122223333:solution/any"
_NOT_SCHEDULED: Final = (execution_input.RESUME, execution_input.FILES)


class OnOverlap(enum.Enum):
    """What a schedule does when an older run of the pipeline is still going.

    The values are what `onOverlap` may say in the input of an execution.

    Examples:
        >>> OnOverlap.SKIP.value
        'skip'
    """

    RUN = execution_input.RUN
    """Run both; they share the account's job slots."""
    SKIP = execution_input.SKIP
    """Do nothing, and say so: of two that meet, the older one runs, or the first of
    those that start in the same second."""


class Schedules(Construct):
    """What the schedules of a pipeline have in common, made with the first one.

    Attributes:
        dead_letter_queue: The queue of starts that failed for good.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        access: Access,
        prepare: lambda_.Function,
        state_machine: sfn.IStateMachine,
        run_prefix: str,
        job_tags: Mapping[str, str],
        solution_arn: str | None,
    ) -> None:
        """Define group, role and dead-letter queue.

        Args:
            scope: The pipeline.
            construct_id: The construct id.
            access: Its roles and policies.
            prepare: The function that sees which runs are still going.
            state_machine: What is started.
            run_prefix: What the names of its runs start with.
            job_tags: The tags of each job, which count with those of an input.
            solution_arn: The solution whose versions an input may name; None for any.
        """
        super().__init__(scope, construct_id)
        self._access = access
        self._prepare = prepare
        self._state_machine = state_machine
        self._run_prefix = run_prefix
        self._job_tags = job_tags
        self._solution_arn = solution_arn
        self._skipping: iam.Policy | None = None
        self._group = scheduler.CfnScheduleGroup(self, "Group")
        self.dead_letter_queue = define_dead_letters(self, enforce_ssl=True)
        self._role = access.scheduler_role(
            self,
            "Role",
            group_arn=self._group.attr_arn,
            queue_arn=self.dead_letter_queue.queue_arn,
            state_machine_arn=state_machine.state_machine_arn,
        )
        # Beneath it every construct id is free.
        self._schedules = Construct(self, "Schedules")

    def add(
        self,
        construct_id: str,
        expression: scheduler.ScheduleExpression,
        *,
        time_zone: cdk.TimeZone | None,
        given: Mapping[str, Any] | None,
        flexible_window: cdk.Duration | None,
        enabled: bool,
        on_overlap: OnOverlap,
    ) -> scheduler.CfnSchedule:
        """Define a schedule; its arguments are those of `add_schedule`."""
        _check(expression, time_zone, flexible_window, enabled, on_overlap)
        given = {} if given is None else given
        _validation.check_type(
            "input", given, Mapping, 'a mapping, like {"queries": "nightly"}'
        )
        started = dict(given)
        if on_overlap is OnOverlap.SKIP:
            started[execution_input.ON_OVERLAP] = execution_input.SKIP
        self._check_input(given, started)
        schedule = scheduler.CfnSchedule(
            self._schedules,
            construct_id,
            description=f"Starts a run of {self._run_prefix}",
            group_name=self._group.ref,
            schedule_expression=expression.expression_string,
            schedule_expression_timezone=_zone(expression, time_zone),
            flexible_time_window=_window(flexible_window),
            state="ENABLED" if enabled else "DISABLED",
            target=scheduler.CfnSchedule.TargetProperty(
                arn=self._state_machine.state_machine_arn,
                role_arn=self._role.role_arn,
                # Without one, the input would be an event of EventBridge Scheduler.
                input=cdk.Stack.of(self).to_json_string(started),
                dead_letter_config=scheduler.CfnSchedule.DeadLetterConfigProperty(
                    arn=self.dead_letter_queue.queue_arn
                ),
                retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                    maximum_event_age_in_seconds=_MAX_AGE.to_seconds(),
                    maximum_retry_attempts=_ATTEMPTS,
                ),
            ),
        )
        if started.get(execution_input.ON_OVERLAP) == execution_input.SKIP:
            schedule.node.add_dependency(self._let_skip())
        return schedule

    def _let_skip(self) -> iam.Policy:
        if self._skipping is None:
            self._skipping = self._access.let_list_executions(
                self, "Skipping", self._prepare, self._state_machine.state_machine_arn
            )
        return self._skipping

    def _check_input(self, given: Mapping[str, Any], started: dict[str, Any]) -> None:
        """Check an execution input as a run does, but for what is a token."""
        for key in _NOT_SCHEDULED:
            if key in given:
                raise ValueError(
                    f"input of a schedule cannot have {key!r}, which names what one "
                    "run is about; every run of a schedule gets the same input"
                )
        if execution_input.ON_OVERLAP in given:
            raise ValueError(
                f"input of a schedule cannot have {execution_input.ON_OVERLAP!r}; "
                "pass on_overlap=OnOverlap.SKIP instead"
            )
        known = {key: value for key, value in started.items() if not _has_token(value)}
        defaults = {
            "numResults": limits.DEFAULT_NUM_RESULTS,
            "filterArn": None,
            "solutionVersionArn": None,
            "solutionArn": _ANY_SOLUTION,
            "tags": {} if _has_token(self._job_tags) else dict(self._job_tags),
        }
        try:
            execution_input.read(known, defaults, self._run_prefix)
        except failures.InvalidInput as problem:
            raise ValueError(f"input of a schedule: {problem}") from None
        self._check_arns(known)

    def _check_arns(self, known: Mapping[str, Any]) -> None:
        """Check that what an input names is where the pipeline can use it."""
        stack = cdk.Stack.of(self)
        for key in ("solutionVersionArn", "filterArn"):
            if known.get(key):
                name = f"input of a schedule: {key}"
                _validation.check_arn_place(name, known[key], stack)
        version, own = known.get("solutionVersionArn"), self._solution_arn
        if not version or own is None or _validation.is_token(own):
            return
        if arns.solution_of(version) != own:
            raise ValueError(
                f"input of a schedule: solutionVersionArn {version} is not a version "
                f"of the pipeline's solution {own}; name one of that, or set "
                "allow_any_solution on the pipeline"
            )


def _check(
    expression: Any,  # noqa: ANN401
    time_zone: Any,  # noqa: ANN401
    flexible_window: Any,  # noqa: ANN401
    enabled: Any,  # noqa: ANN401
    on_overlap: Any,  # noqa: ANN401
) -> None:
    if not hasattr(expression, "expression_string"):
        raise TypeError(
            "expression must be a ScheduleExpression of aws_cdk.aws_scheduler, like "
            'ScheduleExpression.cron(hour="3", minute="0"), got '
            f"{expression!r}"
        )
    if time_zone is not None:
        if not hasattr(time_zone, "timezone_name"):
            raise TypeError(
                "time_zone must be an aws_cdk.TimeZone, like "
                f'TimeZone.of("Europe/Berlin"), got {time_zone!r}'
            )
        _check_zone(time_zone.timezone_name)
    _validation.check_type("enabled", enabled, bool, "True or False")
    _validation.check_type(
        "on_overlap", on_overlap, OnOverlap, "OnOverlap.RUN or OnOverlap.SKIP"
    )
    if flexible_window is None:
        return
    minutes, rest = divmod(
        _validation.known_seconds("flexible_window", flexible_window), 60
    )
    least, most = MIN_FLEXIBLE_WINDOW_MINUTES, MAX_FLEXIBLE_WINDOW_MINUTES
    if rest or not least <= minutes <= most:
        raise ValueError(
            "flexible_window must be 1 minute to 24 hours, in whole minutes, got "
            f"{flexible_window.to_human_string()}"
        )


def _check_zone(name: str) -> None:
    """Check a time zone's name, where this machine knows time zones at all."""
    known = zoneinfo.available_timezones()
    if known and not _validation.is_token(name) and name not in known:
        raise ValueError(
            "time_zone must be a name of the IANA time zone database, like "
            f"Europe/Berlin, got {name!r}"
        )


def _zone(
    expression: scheduler.ScheduleExpression, time_zone: cdk.TimeZone | None
) -> str | None:
    own = expression.time_zone
    if time_zone is None:
        if own is not None:
            _check_zone(own.timezone_name)
        return own.timezone_name if own is not None else None
    # UTC is what expressions have that were not given a time zone.
    utc = cdk.TimeZone.ETC_UTC.timezone_name
    if own is not None and own.timezone_name not in (utc, time_zone.timezone_name):
        raise ValueError(
            f"time_zone is {time_zone.timezone_name}, and the expression has the time "
            f"zone {own.timezone_name}; give one of them"
        )
    return time_zone.timezone_name


def _window(
    window: cdk.Duration | None,
) -> scheduler.CfnSchedule.FlexibleTimeWindowProperty:
    if window is None:
        return scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF")
    return scheduler.CfnSchedule.FlexibleTimeWindowProperty(
        mode="FLEXIBLE", maximum_window_in_minutes=window.to_minutes()
    )


def _has_token(value: Any) -> bool:  # noqa: ANN401
    if isinstance(value, Mapping):
        return any(map(_has_token, [*value.keys(), *value.values()]))
    if isinstance(value, list | tuple):
        return any(map(_has_token, value))
    return _validation.is_token(value)
