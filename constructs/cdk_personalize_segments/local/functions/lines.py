"""Cuts what a function writes into lines."""

import io
import threading
from collections.abc import Callable


class Lines(io.RawIOBase):
    """A stream to write to, each line of which is told as soon as it is complete."""

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
        if line:
            # Runtimes keep a traceback in one event by carriage returns.
            self._tell(line.decode(errors="replace").replace("\r", "\n"))
