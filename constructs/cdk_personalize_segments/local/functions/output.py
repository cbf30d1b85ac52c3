"""Reads what a process writes, line by line, and knows when it has read all."""

import select
import threading
import time
from collections.abc import Callable
from typing import IO, Final

from cdk_personalize_segments.local.functions.lines import Lines

_LONGEST_DRAIN: Final = 0.2


class Output:
    """What a process has written and will write."""

    def __init__(self, pipe: IO[bytes], tell: Callable[[str], None]) -> None:
        """Start to read.

        Args:
            pipe: The process's output, unbuffered.
            tell: Is told each line.
        """
        self._pipe = pipe
        self._lines = Lines(tell)
        self._reading = threading.Lock()
        self._thread = threading.Thread(
            target=self._read, name="function-output", daemon=True
        )
        self._thread.start()

    def drain(self) -> None:
        """Wait until everything written so far has been told, if that is soon."""
        give_up = time.monotonic() + _LONGEST_DRAIN
        while time.monotonic() < give_up:
            with self._reading:
                if not self._thread.is_alive():
                    return
                if not self._is_waiting():
                    self._lines.end_line()
                    return
            time.sleep(0)

    def close(self) -> None:
        """Tell the rest, once the process has ended."""
        self._thread.join(timeout=_LONGEST_DRAIN)
        self._pipe.close()

    def _is_waiting(self) -> bool:
        return bool(select.select([self._pipe], [], [], 0)[0])

    def _read(self) -> None:
        try:
            while True:
                select.select([self._pipe], [], [])
                with self._reading:
                    written = self._pipe.read(65_536)
                    if not written:
                        self._lines.close()
                        return
                    self._lines.write(written)
        except (OSError, ValueError):
            # Closed: what wrote to it has ended.
            return
