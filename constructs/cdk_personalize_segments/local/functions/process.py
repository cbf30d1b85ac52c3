"""A process that runs a function."""

import os
import subprocess
import sys
from pathlib import Path
from typing import IO, Final, cast

from cdk_personalize_segments.local.functions.host import Setup
from cdk_personalize_segments.local.functions.output import Output
from cdk_personalize_segments.local.functions.runtime_api import HttpRuntimeApi

_OFFLINE: Final = Path(__file__).with_name("offline.py")
_PLAIN_RUNTIME: Final = Path(__file__).with_name("plain_runtime.py")


class FunctionProcess:
    """A runtime with a function in a process of its own.

    Attributes:
        api: Where it takes its events from.
    """

    def __init__(self, setup: Setup, *, plain: bool) -> None:
        """Start the process.

        Args:
            setup: What the function has around it.
            plain: Whether to use the plain runtime rather than AWS's.
        """
        self.api = HttpRuntimeApi()
        # Nothing of this Python's own packages but what a runtime has.
        command = [sys.executable, "-S", "-P", "-u", str(_OFFLINE)]
        command += (
            [str(_PLAIN_RUNTIME)]
            if plain
            else ["awslambdaric", setup.environment["_HANDLER"]]
        )
        self._process = subprocess.Popen(  # noqa: S603
            command,
            cwd=setup.code,
            env={
                **setup.environment,
                "AWS_LAMBDA_RUNTIME_API": self.api.address,
                "PYTHONPATH": os.pathsep.join(setup.path),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
        )
        self._output = Output(cast(IO[bytes], self._process.stdout), setup.log)

    def exit_status(self) -> int | None:
        """Tell how it ended: below 0 by a signal; None if it runs."""
        return self._process.poll()

    def most_bytes(self) -> int:
        """Tell how much memory it has taken at most."""
        return _most_bytes(self._process.pid)

    def drain(self) -> None:
        """Wait until what it has written is logged."""
        self._output.drain()

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self.api.close()
        self._output.close()


def _most_bytes(pid: int) -> int:
    """Tell how much memory a process has taken at most; 0 where that cannot be told."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024
    except (OSError, IndexError):
        pass
    # macOS has no /proc, and only tells how much it takes now.
    told = subprocess.run(  # noqa: S603
        ["ps", "-o", "rss=", "-p", str(pid)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    return int(told.stdout.strip() or 0) * 1024
