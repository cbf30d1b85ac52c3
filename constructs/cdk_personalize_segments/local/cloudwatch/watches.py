"""Evaluates alarms as virtual time passes.

An alarm is evaluated at every minute at which its data points may differ from those of
the last time, which gives the same as every minute. It never makes time pass.
"""

import json
import logging
import math
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from cdk_personalize_segments.local.cloudwatch import alarm_actions
from cdk_personalize_segments.local.cloudwatch.alarm_history import History
from cdk_personalize_segments.local.cloudwatch.definitions import (
    Definition,
    samples_of,
)
from cdk_personalize_segments.local.cloudwatch.errors import QueryError
from cdk_personalize_segments.local.cloudwatch.metrics import Metric
from cdk_personalize_segments.local.cloudwatch.verdicts import judge
from cdk_personalize_segments.local.untyped import Json, Moto

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws
    from cdk_personalize_segments.local.clock import Deadline

_log: Final = logging.getLogger(__name__)


class Watches:
    """All alarms of an account that are evaluated.

    Attributes:
        history: What happened to them.
    """

    def __init__(self, aws: "LocalAws") -> None:
        """Watch nothing yet.

        Args:
            aws: The local AWS.
        """
        self._aws = aws
        self._watches: dict[str, Watch] = {}
        self._of_metric: dict[Metric, set[Watch]] = {}
        self._lock = threading.Lock()
        self.history = History(aws.clock.now)
        aws.metrics.listen(self._put)

    def start(
        self, alarm: Moto, definition: Definition, given: Mapping[str, Any]
    ) -> None:
        """Watch for an alarm, from the next minute on.

        Args:
            alarm: moto's alarm.
            definition: What it watches.
            given: The parameters of PutMetricAlarm.
        """
        self.stop(alarm.alarm_arn)
        watch = Watch(self._aws, self, alarm, definition, given)
        with self._lock:
            self._watches[alarm.alarm_arn] = watch
            for metric in definition.queries.metrics:
                self._of_metric.setdefault(metric, set()).add(watch)
        watch.look_after(self._aws.metrics.now())

    def stop(self, alarm_arn: str) -> None:
        """Watch no more for an alarm, if it was watched for."""
        with self._lock:
            watch = self._watches.pop(alarm_arn, None)
            if watch is None:
                return
            for metric in watch.definition.queries.metrics:
                self._of_metric[metric].discard(watch)
        watch.stop()

    def look_again(self, alarm_arn: str) -> None:
        """Evaluate an alarm in the next minute, whatever state it is in."""
        watch = self._watches.get(alarm_arn)
        if watch is not None:
            watch.look_after(self._aws.metrics.now())

    def change(self, alarm: Moto, state: str, reason: str, data: str) -> None:
        """Give an alarm another state, and do what follows.

        Args:
            alarm: moto's alarm.
            state: The state.
            reason: Why.
            data: The same as JSON.
        """
        before = alarm_actions.state_of(alarm)
        alarm.update_state(reason, data, state)
        self.changed(alarm, before)

    def changed(self, alarm: Moto, before: dict[str, Json]) -> None:
        """Do what follows when an alarm has another state.

        Args:
            alarm: moto's alarm, with the state.
            before: What `alarm_actions.state_of` told of it before.
        """
        self.history.state_changed(alarm, before)
        alarm_actions.run(
            self._aws,
            alarm,
            before,
            lambda action, error: self.history.acted(alarm, action, error),
        )

    def _put(self, metric: Metric, time: float) -> None:
        with self._lock:
            concerned = list(self._of_metric.get(metric, ()))
        for watch in concerned:
            watch.look_after(max(time, self._aws.metrics.now()))


class Watch:
    """One alarm that is evaluated.

    Attributes:
        definition: What it watches.
    """

    def __init__(
        self,
        aws: "LocalAws",
        watches: Watches,
        alarm: Moto,
        definition: Definition,
        given: Mapping[str, Any],
    ) -> None:
        """Set up.

        Args:
            aws: The local AWS.
            watches: All of them.
            alarm: moto's alarm.
            definition: What it watches.
            given: The parameters of PutMetricAlarm.
        """
        self.definition = definition
        self._aws = aws
        self._watches = watches
        self._alarm = alarm
        self._given = given
        self._due: tuple[float, Deadline] | None = None
        self._stopped = False
        self._lock = threading.Lock()

    def stop(self) -> None:
        """Evaluate no more."""
        with self._lock:
            self._stopped = True
            if self._due is not None:
                self._due[1].cancel()

    def look_after(self, time: float) -> None:
        """Evaluate at the next time for it after another, if not sooner anyway."""
        every = self.definition.every
        at = math.floor(time / every) * every + every
        with self._lock:
            if self._stopped:
                return
            if self._due is not None:
                if self._due[0] <= at:
                    return
                self._due[1].cancel()
            deadline = self._aws.clock.at(
                datetime.fromtimestamp(at, UTC), lambda: self._look(at)
            )
            self._due = at, deadline

    def _look(self, now: float) -> None:
        with self._lock:
            if self._stopped:
                return
            self._due = None
        try:
            self._evaluate(now)
        except QueryError as error:
            _log.warning(
                "the alarm %s cannot be evaluated: %s", self._alarm.name, error
            )
        start = self.definition.window(now).start
        changes = [
            self._aws.metrics.series(metric).changes_after(
                now, start, self.definition.period
            )
            for metric in self.definition.queries.metrics
        ]
        sooner = [each for each in changes if each is not None]
        if sooner:
            self.look_after(max(min(sooner), now))

    def _evaluate(self, now: float) -> None:
        rule, window = self.definition.rule, self.definition.window(now)
        if self._has_too_few(now):
            return
        values = self.definition.line(now).values
        points = [(_written(at), values.get(at)) for at in window.times]
        verdict = judge(rule, points, self._alarm.state_value)
        if verdict is None or verdict.state == self._alarm.state_value:
            return
        data = self._data(now, [value for _, value in points])
        self._watches.change(self._alarm, verdict.state, verdict.reason, data)

    def _has_too_few(self, now: float) -> bool:
        least = self.definition.least_samples
        if not least:
            return False
        start = now - self.definition.period * self.definition.rule.periods
        region = self._alarm.region_name
        found = samples_of(self._aws.metrics, region, self._given, start, now)
        return 0 < found < least

    def _data(self, now: float, values: list[float | None]) -> str:
        """Write what AWS tells of an evaluation besides the reason."""
        rule, window = self.definition.rule, self.definition.window(now)
        times = window.times[-rule.periods :]
        recent = values[-rule.periods :]
        return json.dumps(
            {
                "version": "1.0",
                "queryDate": _iso(now),
                "startDate": _iso(times[0]),
                "period": int(self.definition.period),
                "recentDatapoints": [each for each in recent if each is not None],
                "threshold": rule.threshold,
                "evaluatedDatapoints": [
                    {"timestamp": _iso(at), **({} if v is None else {"value": v})}
                    for at, v in zip(reversed(times), reversed(recent), strict=True)
                ],
            }
        )


def _iso(seconds: float) -> str:
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "+0000")


def _written(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%d/%m/%y %H:%M:%S}"
