"""One process that runs one version of a function, and stays warm between events."""

import json
import os
import queue
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Final, cast

from cdk_personalize_segments.local.functions.output import Output
from cdk_personalize_segments.local.functions.runtime_api import (
    Answer,
    Event,
    RuntimeApi,
)

_LOOK_SECONDS: Final = 0.1
# Lambda allows 10, but no machine of its own is as loaded as a developer's.
_LONGEST_START: Final = 60.0
_MEGABYTE: Final = 1024 * 1024
_OFFLINE: Final = Path(__file__).with_name("offline.py")
_PLAIN_RUNTIME: Final = Path(__file__).with_name("plain_runtime.py")


class Container:
    """A function's process."""

    def __init__(
        self,
        *,
        code: Path,
        libraries: Path,
        environment: Mapping[str, str],
        memory_megabytes: int,
        plain: bool,
        log: Callable[[str], None],
    ) -> None:
        """Start the process.

        Args:
            code: The folder of the function's code.
            libraries: The folder of what a runtime has besides.
            environment: The function's variables.
            memory_megabytes: How much memory it may take.
            plain: Whether to use the plain runtime rather than AWS's.
            log: Is told each line that it writes.
        """
        self._memory = memory_megabytes * _MEGABYTE
        self._log = log
        self._api = RuntimeApi()
        # Nothing of this Python's own packages but what a runtime has.
        command = [sys.executable, "-S", "-P", str(_OFFLINE)]
        command += (
            [str(_PLAIN_RUNTIME)]
            if plain
            else ["awslambdaric", environment["_HANDLER"]]
        )
        self._process = subprocess.Popen(  # noqa: S603
            command,
            cwd=code,
            env={
                **environment,
                "AWS_LAMBDA_RUNTIME_API": self._api.address,
                "PYTHONPATH": os.pathsep.join((str(code), str(libraries))),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
        )
        self._output = Output(cast(IO[bytes], self._process.stdout), log)
        self._open = True

    def handle(self, event: Event) -> Answer:
        """Have an event handled.

        Args:
            event: The event.

        Returns:
            What the function answered, or the error that Lambda answers with when it
            is too slow, takes too much memory or ends.
        """
        self._api.give(event)
        answer = self._wait_for_answer(event)
        if self._api.taken_at is None:
            # It could not even load the handler.
            self.close()
        elif self._open:
            self._output.drain()
        return answer

    @property
    def is_ready(self) -> bool:
        """Whether it can take another event."""
        return self._open and self._process.poll() is None

    def close(self) -> None:
        """End the process."""
        if not self._open:
            return
        self._open = False
        self._process.kill()
        self._process.wait()
        self._api.close()
        self._output.close()

    def _wait_for_answer(self, event: Event) -> Answer:
        started = time.monotonic()
        while True:
            try:
                return self._api.answers.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                failure = self._failure(event, started)
                if failure is not None:
                    return failure

    def _failure(self, event: Event, started: float) -> Answer | None:
        """Find out why there is no answer yet, if that is final."""
        if self._process.poll() is not None:
            return self._exit_error(event, self._process.returncode)
        if _resident_bytes(self._process.pid) > self._memory:
            # As Lambda tells it: the kernel ends the process.
            return self._exit_error(event, -9)
        now, taken = time.monotonic(), self._api.taken_at
        if taken is None and now - started > _LONGEST_START:
            return self._timeout(event, _LONGEST_START)
        if taken is not None and now - taken > event.timeout:
            return self._timeout(event, event.timeout)
        return None

    def _exit_error(self, event: Event, code: int) -> Answer:
        # An answer may have come just before the end.
        try:
            return self._api.answers.get_nowait()
        except queue.Empty:
            pass
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


def _resident_bytes(pid: int) -> int:
    """Tell how much memory a process takes; 0 where that cannot be told."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        pass
    # macOS has no /proc.
    told = subprocess.run(  # noqa: S603
        ["ps", "-o", "rss=", "-p", str(pid)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    return int(told.stdout.strip() or 0) * 1024
