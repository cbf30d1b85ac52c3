"""What functions use of AWS, counted where they use it: requests, bytes and time.

A function serves one call at a time, so what its process counts meanwhile is the
call's.
"""

from collections import Counter
from threading import Lock
from typing import Final

from .times import Context

# The memory of the functions that a state machine calls, in MB. At 1769 MB Lambda gives
# a function one CPU.
MEMORY: Final = {
    "prepare": 1769,
    "create_job": 256,
    "poll_job": 256,
    "collect": 1769,
    "finish": 512,
}

# S3 charges for these as it does for writing; other requests are cheaper or free.
_WRITING: Final = ("Put", "Post", "Copy", "Create", "Upload", "Complete", "List")
_FREE: Final = ("Delete", "Abort")

_KINDS: Final = ("reads", "writes", "bytes")
_counts: Final[Counter[str]] = Counter()
_lock: Final = Lock()


def count_request(operation_name: str, **_: object) -> None:
    """Count a request to S3, when the SDK is about to make it."""
    if not operation_name.startswith(_FREE):
        writes = operation_name.startswith(_WRITING)
        _add("writes" if writes else "reads", 1)


def count_stored(size: int) -> None:
    """Count bytes that are stored."""
    _add("bytes", size)


def _add(what: str, number: int) -> None:
    # Functions read and write in several threads.
    with _lock:
        _counts[what] += number


class Meter:
    """Tells what a call used since the meter was made."""

    def __init__(self, context: Context) -> None:
        """Begin to count."""
        self._context = context
        self._left = context.get_remaining_time_in_millis()
        self._before = Counter(_counts)

    def used(self, more_writes: int = 0) -> dict[str, int]:
        """Return what was used of S3: reads and writes as it charges, stored bytes.

        Args:
            more_writes: Those to come, of which is known now.
        """
        counts = {what: _counts[what] - self._before[what] for what in _KINDS}
        return {**counts, "writes": counts["writes"] + more_writes}

    def milliseconds(self) -> int:
        """Return how long the call has taken."""
        return max(0, self._left - self._context.get_remaining_time_in_millis())
