"""A thread of this process that runs a function."""

import contextlib
import ctypes
import sys
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cdk_personalize_segments.local.functions import isolation
from cdk_personalize_segments.local.functions.host import Setup
from cdk_personalize_segments.local.functions.runtime_api import RuntimeApi
from cdk_personalize_segments.local.functions.sandbox import Sandbox

_RUNTIME: Final = Path(__file__).with_name("plain_runtime.py")
_LONGEST_END: Final = 0.1


class FunctionThread:
    """A runtime with a function in a thread, with modules of its own.

    A thread cannot be killed: one that is closed while it works ends at its next step
    in Python, and what it writes from then on is lost.

    Attributes:
        api: Where it takes its events from.
    """

    def __init__(self, setup: Setup) -> None:
        """Start the thread.

        Args:
            setup: What the function has around it.
        """
        self.api = RuntimeApi()
        self._sandbox = Sandbox(setup)
        self._status: int | None = None
        self._thread = threading.Thread(target=self._run, name="function", daemon=True)
        self._thread.start()

    def exit_status(self) -> int | None:
        """Tell how it ended; None if it runs."""
        return self._status

    def most_bytes(self) -> int:
        """Say 0: its memory cannot be told from that of its process."""
        return 0

    def drain(self) -> None:
        """End the line that it has begun: the others are logged already."""
        self._sandbox.end_line()

    def close(self) -> None:
        """Have it end."""
        self._sandbox.close()
        self.api.close()
        # If it waits for an event, it ends by itself.
        self._thread.join(_LONGEST_END)
        if self._thread.is_alive() and self._thread.ident is not None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(self._thread.ident), ctypes.py_object(SystemExit)
            )

    def _run(self) -> None:
        # It may be told to end at any step.
        with contextlib.suppress(SystemExit):
            self._work()

    def _work(self) -> None:
        with isolation.inside(self._sandbox):
            try:
                self._sandbox.load(_RUNTIME).main(_Direct(self.api, self._sandbox))
            except SystemExit as end:
                status = self._status_of(end)
            except BaseException:
                self._sandbox.write(traceback.format_exc())
                status = 1
        self._status = status
        # Whoever waits need not look again and again.
        self.api.answers.put(None)

    def _status_of(self, end: SystemExit) -> int:
        """Tell the exit status that a process would have."""
        if end.code is None or isinstance(end.code, int):
            return (end.code or 0) & 0xFF
        self._sandbox.write(f"{end.code}\n")
        return 1


class _Direct:
    """The runtime API, by calls."""

    def __init__(self, api: RuntimeApi, sandbox: Sandbox) -> None:
        self._api = api
        self._sandbox = sandbox

    def next(self) -> tuple[bytes, Mapping[str, str]]:
        """Wait for the next event; give its body and headers."""
        event = self._api.take()
        if event is None:
            sys.exit()
        return event.body, event.headers()

    def post(self, place: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Post a response or an error."""
        # A response may be any bytes.
        text = self._sandbox.plain(body.decode(errors="surrogateescape"))
        self._api.receive(place, text.encode(errors="surrogateescape"))
