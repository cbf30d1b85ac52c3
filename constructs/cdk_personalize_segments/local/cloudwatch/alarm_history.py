"""What happened to alarms: other settings, other states, actions.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_AlarmHistoryItem.html
"""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from cdk_personalize_segments.local.untyped import Json, Moto

ITEM_TYPES: Final = ("Action", "ConfigurationUpdate", "StateUpdate")
"""The kinds of items."""


class History:
    """The history of all alarms of an account, also of those that are gone."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        """Begin without any.

        Args:
            now: Tells the time.
        """
        self._now = now
        self._items: list[tuple[str, dict[str, Any]]] = []

    def of(self, region: str) -> list[dict[str, Any]]:
        """Give the items of a Region, oldest first."""
        return [item for place, item in list(self._items) if place == region]

    def configured(self, alarm: Moto, how: str) -> None:
        """Keep that an alarm was `created`, `updated` or `deleted`."""
        data = {"version": "1.0", "type": how.removesuffix("d").capitalize()}
        summary = f'Alarm "{alarm.name}" {how}'
        self._add(alarm, "ConfigurationUpdate", summary, data)

    def state_changed(self, alarm: Moto, before: dict[str, Json]) -> None:
        """Keep that an alarm has another state.

        Args:
            alarm: moto's alarm, with the state.
            before: The state that it had, as events tell it.
        """
        old = {"stateValue": before["value"], "stateReason": before["reason"]}
        new: dict[str, Any] = {
            "stateValue": alarm.state_value,
            "stateReason": alarm.state_reason,
        }
        if alarm.state_reason_data:
            new["stateReasonData"] = json.loads(alarm.state_reason_data)
        summary = f"Alarm updated from {before['value']} to {alarm.state_value}"
        data = {"version": "1.0", "oldState": old, "newState": new}
        self._add(alarm, "StateUpdate", summary, data)

    def acted(self, alarm: Moto, action: str, error: Exception | None) -> None:
        """Keep that an action was run, or failed.

        Args:
            alarm: moto's alarm.
            action: The action's ARN.
            error: What went wrong, or None.
        """
        well = error is None
        data = {
            "actionState": "Succeeded" if well else "Failed",
            "notificationResource": action,
            "publishedMessage": None,
            "error": None if well else str(error),
        }
        done = "Successfully executed" if well else "Failed to execute"
        self._add(alarm, "Action", f"{done} action {action}", data)

    def _add(self, alarm: Moto, kind: str, summary: str, data: dict[str, Any]) -> None:
        item = {
            "AlarmName": alarm.name,
            "AlarmType": "MetricAlarm" if alarm.rule is None else "CompositeAlarm",
            "Timestamp": self._now(),
            "HistoryItemType": kind,
            "HistorySummary": summary,
            "HistoryData": json.dumps(data),
        }
        self._items.append((alarm.region_name, item))
