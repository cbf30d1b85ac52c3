"""The events of one execution, with the names and numbers of Step Functions."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from cdk_personalize_segments.local.untyped import Json

LONGEST: Final = 25_000
_DATA: Final = frozenset(
    {"assignedVariables", "input", "inputDetails", "output", "outputDetails"}
)
_WHOLE: Final = {"truncated": False}


class HistoryFullError(Exception):
    """An execution has reached the most events that it may have."""


class Branch:
    """A chain of events in which each knows the one before."""

    def __init__(self, previous: int = 0) -> None:
        """Begin a chain.

        Args:
            previous: The event that it goes on from, or 0.
        """
        self.previous = previous


class History:
    """The events so far."""

    def __init__(
        self,
        now: Callable[[], datetime],
        deliver: Callable[[Mapping[str, Any]], None],
    ) -> None:
        """Begin without events.

        Args:
            now: Tells the time of an event.
            deliver: Is told of each event.
        """
        self._now = now
        self._deliver = deliver
        self.events: list[dict[str, Any]] = []
        self._closed = False

    @property
    def length(self) -> int:
        """How many events there are."""
        return len(self.events)

    def close(self) -> None:
        """Take no more events: the execution has ended."""
        self._closed = True

    def reopen(self) -> None:
        """Take events again: the execution is redriven."""
        self._closed = False

    def add(
        self,
        branch: Branch,
        kind: str,
        details: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> int:
        """Add an event.

        Args:
            branch: The chain that it belongs to.
            kind: Its type, like `TaskScheduled`.
            details: What it says, if anything.
            key: The name of its details, where that does not follow from its type.

        Returns:
            Its id.

        Raises:
            HistoryFullError: There is room for the execution's end only.
        """
        if self._closed:
            return branch.previous
        if len(self.events) >= LONGEST - 1 and not kind.startswith("Execution"):
            raise HistoryFullError
        event: dict[str, Any] = {
            "timestamp": self._now(),
            "type": kind,
            "id": len(self.events) + 1,
            "previousEventId": branch.previous,
        }
        if details is not None:
            event[f"{key or kind[0].lower() + kind[1:]}EventDetails"] = dict(details)
        self.events.append(event)
        branch.previous = event["id"]
        self._deliver(event)
        return int(event["id"])


def with_input(text: str, **others: Json) -> dict[str, Any]:
    """Give details that tell an input, as JSON text."""
    return {"input": text, "inputDetails": _WHOLE, **others}


def with_output(text: str, **others: Json) -> dict[str, Any]:
    """Give details that tell an output, as JSON text."""
    return {"output": text, "outputDetails": _WHOLE, **others}


def without_data(event: Mapping[str, Any]) -> dict[str, Any]:
    """Give an event without inputs and outputs."""
    return {
        name: {key: each for key, each in value.items() if key not in _DATA}
        if name.endswith("EventDetails")
        else value
        for name, value in event.items()
    }
