"""The account's event bus, where the events of runs go."""

import json
from typing import TYPE_CHECKING, Any

from . import run_events

if TYPE_CHECKING:
    from .clients import EventsClient


class EventNotPutError(Exception):
    """The event bus took a request, but not the event in it."""


def put(client: "EventsClient", detail_type: str, detail: dict[str, Any]) -> None:
    """Put an event of a run on the default bus.

    Raises:
        EventNotPutError: The bus refused it.
    """
    answer = client.put_events(
        Entries=[
            {
                "Source": run_events.SOURCE,
                "DetailType": detail_type,
                "Resources": [detail["executionArn"]],
                "Detail": json.dumps(detail),
            }
        ]
    )
    if answer["FailedEntryCount"]:
        [entry] = answer["Entries"]
        raise EventNotPutError(f"{entry['ErrorCode']}: {entry['ErrorMessage']}")
