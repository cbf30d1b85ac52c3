"""What runs one version of a function, and stays warm between events.

https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
"""

import json
import queue
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from cdk_personalize_segments.local.functions.host import Host
from cdk_personalize_segments.local.functions.lines import Tail
from cdk_personalize_segments.local.functions.platform_log import (
    SUCCESS,
    PlatformLog,
    Report,
)
from cdk_personalize_segments.local.functions.runtime_api import Answer, Event

_LOOK_SECONDS: Final = 0.1
INIT_SECONDS: Final = 10.0
_MEGABYTE: Final = 1024 * 1024
_READY: Final = Answer(b"")


class Container:
    """A function's runtime, started and watched.

    A start that fails or takes longer than Lambda allows is done once more, as a part
    of the invocation that it is for, as Lambda does it. Memory counts as it was at
    most.

    Attributes:
        access_key: Which credentials the function has.
    """

    def __init__(
        self,
        start: Callable[[], Host],
        *,
        access_key: str,
        memory_megabytes: int,
        log: PlatformLog,
        tail: Tail,
        init_seconds: float,
    ) -> None:
        """Set up a container that starts with its first event.

        Args:
            start: Starts a runtime.
            access_key: Which credentials the function has.
            memory_megabytes: How much memory it may take.
            log: Where Lambda tells what happens.
            tail: Has what is logged meanwhile.
            init_seconds: How long a start may take.
        """
        self.access_key = access_key
        self._start = start
        self._memory = memory_megabytes * _MEGABYTE
        self._log = log
        self._tail = tail
        self._init_seconds = init_seconds
        self._host: Host | None = None
        self._most_bytes = 0
        self._closed = False

    def handle(self, event: Event, begun: Callable[[], None]) -> Answer:
        """Have an event handled.

        Args:
            event: The event.
            begun: Is told when the runtime gets it.

        Returns:
            What the function answered, or the error that Lambda answers with when it
            is too slow, takes too much memory or ends.
        """
        self._tail.clear()
        init_seconds = self._initialise(event) if self._host is None else None
        self._log.start(event.request_id)
        began = time.monotonic()
        begun()
        answer = self._invoke(event)
        seconds = time.monotonic() - began
        self._log.end(
            event.request_id,
            _report(answer, seconds, self._most_bytes, init_seconds),
        )
        return replace(answer, log_tail=self._tail.last(), seconds=seconds)

    @property
    def is_ready(self) -> bool:
        """Whether it can take another event."""
        host = self._host
        return not self._closed and host is not None and host.exit_status() is None

    def close(self) -> None:
        """End it."""
        self._closed = True
        self._end()

    def _end(self) -> None:
        host, self._host = self._host, None
        if host is not None:
            host.close()

    def _initialise(self, event: Event) -> float | None:
        """Start the runtime; tell how long it took, or None if that failed."""
        began = time.monotonic()
        self._host = host = self._start()
        failure = self._wait(host, event, self._init_seconds, until_ready=True)
        seconds = time.monotonic() - began
        if failure is _READY:
            host.drain()
            return seconds
        self._end()
        self._log.init_failed(_report(failure, seconds, self._most_bytes, None))
        return None

    def _invoke(self, event: Event) -> Answer:
        host = self._host = self._host or self._start()
        host.api.give(event)
        answer = self._wait(host, event, event.timeout)
        # One that is not ready could not even load the handler.
        if answer.ends_runtime or not (host.api.ready.is_set() and self.is_ready):
            self._end()
        else:
            host.drain()
        return answer

    def _wait(
        self, host: Host, event: Event, seconds: float, *, until_ready: bool = False
    ) -> Answer:
        """Wait for an answer, or until the runtime is ready, which gives `_READY`."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            answer = _answer_within(host, min(left, _LOOK_SECONDS))
            if answer is None and until_ready and host.api.ready.is_set():
                answer = _READY
            if host.exit_status() is None and self._look_at_memory(host) > self._memory:
                # As Lambda tells it: the kernel ends the process.
                return _exit_error(event, -9)
            answer = answer or _ended(host, event)
            if answer is not None:
                return answer
        message = f"Task timed out after {seconds:.2f} seconds"
        return _error(event, "Sandbox.Timedout", message, timed_out=True)

    def _look_at_memory(self, host: Host) -> int:
        taken = host.most_bytes()
        self._most_bytes = max(self._most_bytes, taken)
        return taken


def _ended(host: Host, event: Event) -> Answer | None:
    """Give the answer of a runtime that has ended, or None if it runs."""
    status = host.exit_status()
    if status is None:
        return None
    # It may have come just before the end.
    return _answer_within(host, 0) or _exit_error(event, status)


def _answer_within(host: Host, seconds: float) -> Answer | None:
    try:
        return host.api.answers.get(timeout=seconds)
    except queue.Empty:
        return None


def _exit_error(event: Event, status: int) -> Answer:
    if status == 0:
        message = "Runtime exited without providing a reason"
    elif status > 0:
        message = f"Runtime exited with error: exit status {status}"
    else:
        name = {9: "killed", 11: "segmentation fault"}.get(-status, str(-status))
        message = f"Runtime exited with error: signal: {name}"
    return _error(event, "Runtime.ExitError", message)


def _error(
    event: Event, error_type: str, message: str, *, timed_out: bool = False
) -> Answer:
    text = f"RequestId: {event.request_id} Error: {message}"
    error = {"errorType": error_type, "errorMessage": text}
    return Answer(
        json.dumps(error).encode(), failed=True, timed_out=timed_out, ends_runtime=True
    )


def _report(
    answer: Answer, seconds: float, memory_bytes: int, init_seconds: float | None
) -> Report:
    status, error_type = SUCCESS, None
    if answer.timed_out:
        status = "timeout"
    elif answer.failed:
        status, error_type = "error", json.loads(answer.payload).get("errorType")
    return Report(
        status=status,
        error_type=error_type,
        seconds=seconds,
        init_seconds=init_seconds,
        memory_bytes=memory_bytes,
    )
