"""What runs one version of a function, and stays warm between events."""

import json
import queue
import time
from collections.abc import Callable
from typing import Final, Protocol

from cdk_personalize_segments.local.functions.runtime_api import (
    Answer,
    Event,
    RuntimeApi,
)

_LOOK_SECONDS: Final = 0.1
# Lambda allows 10, but no machine of its own is as loaded as a developer's.
_LONGEST_START: Final = 60.0
_MEGABYTE: Final = 1024 * 1024


class Host(Protocol):
    """What a container's runtime runs in."""

    @property
    def api(self) -> RuntimeApi:
        """Where it takes its events from."""

    def exit_status(self) -> int | None:
        """Tell how it ended: below 0 by a signal; None if it runs."""

    def resident_bytes(self) -> int:
        """Tell how much memory it takes; 0 where that cannot be told."""

    def drain(self) -> None:
        """Wait until what it has written is logged."""

    def close(self) -> None:
        """End it."""


class Container:
    """A function's runtime, watched."""

    def __init__(
        self, host: Host, *, memory_megabytes: int, log: Callable[[str], None]
    ) -> None:
        """Watch a runtime.

        Args:
            host: What it runs in.
            memory_megabytes: How much memory it may take.
            log: Is told what Lambda says of it.
        """
        self._host = host
        self._memory = memory_megabytes * _MEGABYTE
        self._log = log
        self._open = True

    def handle(self, event: Event) -> Answer:
        """Have an event handled.

        Args:
            event: The event.

        Returns:
            What the function answered, or the error that Lambda answers with when it
            is too slow, takes too much memory or ends.
        """
        self._host.api.give(event)
        answer = self._wait_for_answer(event)
        if self._host.api.taken_at is None:
            # It could not even load the handler.
            self.close()
        elif self._open:
            self._host.drain()
        return answer

    @property
    def is_ready(self) -> bool:
        """Whether it can take another event."""
        return self._open and self._host.exit_status() is None

    def close(self) -> None:
        """End it."""
        if self._open:
            self._open = False
            self._host.close()

    def _wait_for_answer(self, event: Event) -> Answer:
        started = time.monotonic()
        while True:
            answer = self._answer_within(_LOOK_SECONDS) or self._failure(event, started)
            if answer is not None:
                return answer

    def _answer_within(self, seconds: float) -> Answer | None:
        try:
            return self._host.api.answers.get(timeout=seconds)
        except queue.Empty:
            return None

    def _failure(self, event: Event, started: float) -> Answer | None:
        """Find out why there is no answer yet, if that is final."""
        status = self._host.exit_status()
        if status is not None:
            # An answer may have come just before the end.
            return self._answer_within(0) or self._exit_error(event, status)
        if self._host.resident_bytes() > self._memory:
            # As Lambda tells it: the kernel ends the process.
            return self._exit_error(event, -9)
        now, taken = time.monotonic(), self._host.api.taken_at
        if taken is None and now - started > _LONGEST_START:
            return self._timeout(event, _LONGEST_START)
        if taken is not None and now - taken > event.timeout:
            return self._timeout(event, event.timeout)
        return None

    def _exit_error(self, event: Event, code: int) -> Answer:
        reason = f"exit status {code}" if code >= 0 else _signal(-code)
        return self._error(
            event, "Runtime.ExitError", f"Runtime exited with error: {reason}"
        )

    def _timeout(self, event: Event, seconds: float) -> Answer:
        return self._error(
            event,
            "Sandbox.Timedout",
            f"Task timed out after {seconds:.2f} seconds",
            timed_out=True,
        )

    def _error(
        self, event: Event, error_type: str, message: str, *, timed_out: bool = False
    ) -> Answer:
        self.close()
        text = f"RequestId: {event.request_id} Error: {message}"
        self._log(text)
        error = {"errorType": error_type, "errorMessage": text}
        return Answer(json.dumps(error).encode(), failed=True, timed_out=timed_out)


def _signal(number: int) -> str:
    return {9: "signal: killed", 11: "signal: segmentation fault"}.get(
        number, f"signal: {number}"
    )
