"""What recurs on the virtual clock, without ever making time pass."""

import threading
from collections.abc import Callable
from datetime import datetime

from cdk_personalize_segments.local.clock import Clock, Deadline


class Recurrences:
    """Things that recur, each by a name."""

    def __init__(self, clock: Clock) -> None:
        """Begin without any.

        Args:
            clock: What they are due on.
        """
        self._clock = clock
        self._next: dict[str, Deadline] = {}
        self._lock = threading.RLock()

    def start(
        self,
        name: str,
        after: Callable[[datetime], datetime | None],
        fire: Callable[[datetime], None],
        since: datetime,
    ) -> None:
        """Let something recur.

        Args:
            name: What `stop` knows it by.
            after: Gives the next time after an instant; None ends it.
            fire: What to do, given when it was due. It must not block.
            since: The instant that the first time is after.
        """
        due = after(since)
        if due is None:
            self.stop(name)
            return

        def happen() -> None:
            with self._lock:
                if self._next.get(name) is not deadline:
                    # Stopped in the meantime.
                    return
                # First, since what fires may stop it.
                self.start(name, after, fire, due)
            fire(due)

        with self._lock:
            self._next[name] = deadline = self._clock.at(due, happen)

    def stop(self, name: str) -> None:
        """Let it recur no more; it need not recur."""
        with self._lock:
            deadline = self._next.pop(name, None)
        if deadline is not None:
            deadline.cancel()
