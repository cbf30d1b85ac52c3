"""Cuts what a function writes into lines, and remembers the last ones."""

import io
import threading
from collections.abc import Callable
from typing import Final

_LONGEST_TAIL: Final = 4096
# A log event's text is 1 MB at most:
# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_InputLogEvent.html
_LONGEST_LINE: Final = 1_048_576


class Lines(io.RawIOBase):
    """A stream to write to, each line of which is told as soon as it is complete.

    A line that is too long for one log event is told in pieces. Where exactly Lambda
    cuts it is not documented.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        """Begin a line.

        Args:
            tell: Is told each line.
        """
        self._tell = tell
        self._rest = b""
        self._lock = threading.RLock()

    def writable(self) -> bool:
        """Say that it can be written to."""
        return True

    def write(self, written: bytes) -> int:  # type: ignore[override]
        """Take what was written, anywhere in a line."""
        with self._lock:
            if not self.closed:
                *lines, self._rest = (self._rest + bytes(written)).split(b"\n")
                for line in lines:
                    self._tell_line(line)
        return len(written)

    def end_line(self) -> None:
        """Tell what there is of a line, as an invocation ends."""
        with self._lock:
            line, self._rest = self._rest, b""
            self._tell_line(line)

    def close(self) -> None:
        """Tell the rest, and nothing after that."""
        with self._lock:
            if not self.closed:
                self.end_line()
                super().close()

    def _tell_line(self, line: bytes) -> None:
        while line:
            end = _LONGEST_LINE
            while end < len(line) and line[end] & 0xC0 == 0x80:
                # Not within a character.
                end -= 1
            # Runtimes keep a traceback in one event by carriage returns.
            self._tell(line[:end].decode(errors="replace").replace("\r", "\n"))
            line = line[end:]


class Tail:
    """Passes lines on, and remembers the last 4 KB of them."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        """Begin without lines.

        Args:
            tell: Is told each line.
        """
        self._tell = tell
        self._written = b""

    def write(self, line: str) -> None:
        """Take a line."""
        self._tell(line)
        self._written = (self._written + line.encode() + b"\n")[-_LONGEST_TAIL:]

    def clear(self) -> None:
        """Forget all lines."""
        self._written = b""

    def last(self) -> bytes:
        """Give what is remembered."""
        return self._written
