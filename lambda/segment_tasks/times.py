"""Points in time, as the state machine passes them: the functions read no clock."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol


def parse(instant: str) -> datetime:
    """Read a point in time as Step Functions writes it: ISO 8601, in UTC."""
    return datetime.fromisoformat(instant)


def seconds_since(since: str, now: str) -> float:
    """Return the seconds between two points in time; never less than 0."""
    return max(0.0, (parse(now) - parse(since)).total_seconds())


def text(instant: datetime | None) -> str | None:
    """Write a point in time as ISO 8601 in UTC, or None where there is none."""
    if instant is None:
        return None
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def stamp(instant: datetime) -> str:
    """Write a point in time as Step Functions does: in milliseconds, in UTC."""
    text = instant.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def taken(job: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Return how many seconds a job was queued and worked, as far as is known."""
    created = job.get("createdAt")
    return (
        _between(job.get("queuedSince"), created),
        _between(created, job.get("updatedAt")),
    )


def _between(since: str | None, until: str | None) -> float | None:
    if since is None or until is None:
        return None
    return seconds_since(since, until)


class Context(Protocol):
    """What Lambda tells a function of its call."""

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the call may still take."""


def is_short(context: Context, seconds: int) -> bool:
    """Tell whether a call has less time left than these seconds."""
    return context.get_remaining_time_in_millis() < seconds * 1000
