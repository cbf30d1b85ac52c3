"""Points in time, as the state machine passes them: the functions read no clock."""

from datetime import UTC, datetime


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
