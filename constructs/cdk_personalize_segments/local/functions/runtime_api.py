"""The runtime API that a function's process asks for its events.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import json
import queue
import socketserver
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Final

_PREFIX: Final = "/2018-06-01/runtime/"
LONGEST_RESPONSE: Final = 6_291_556


@dataclass(frozen=True)
class Event:
    """What a function is to handle.

    Attributes:
        request_id: The id of the request.
        function_arn: The ARN that was invoked.
        body: The payload.
        timeout: Seconds that it may take.
    """

    request_id: str
    function_arn: str
    body: bytes
    timeout: float

    def headers(self) -> dict[str, str]:
        """Give what a runtime is told besides the body, as it takes it now."""
        deadline = int((time.time() + self.timeout) * 1000)
        return {
            "Lambda-Runtime-Aws-Request-Id": self.request_id,
            "Lambda-Runtime-Deadline-Ms": str(deadline),
            "Lambda-Runtime-Invoked-Function-Arn": self.function_arn,
        }


@dataclass(frozen=True)
class Answer:
    """What came of an invocation.

    Attributes:
        payload: What the function returned, or the error, as JSON.
        failed: Whether it is an error.
        timed_out: Whether that is because it took too long.
        ends_runtime: Whether it is an error that leaves no runtime for other events.
        log_tail: The last 4 KB that were logged meanwhile.
        seconds: How long it took.
    """

    payload: bytes
    failed: bool = False
    timed_out: bool = False
    ends_runtime: bool = False
    log_tail: bytes = b""
    seconds: float = 0


class RuntimeApi:
    """Hands events to one runtime, and takes its answers.

    Attributes:
        answers: What it answered; None if there is something else to look at.
        ready: Whether it has started, and asked for an event.
    """

    def __init__(self) -> None:
        """Begin without events."""
        self.answers: queue.SimpleQueue[Answer | None] = queue.SimpleQueue()
        self.ready = threading.Event()
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()

    def give(self, event: Event) -> None:
        """Give the runtime its next event."""
        self._events.put(event)

    def take(self) -> Event | None:
        """Wait for the next event, or for the end."""
        if not self.ready.is_set():
            self.ready.set()
            self.answers.put(None)
        return self._events.get()

    def receive(self, path: str, body: bytes) -> bool:
        """Take what a runtime posts; tell whether there is such a path."""
        if path.endswith("/response"):
            self.answers.put(_sized(body))
        elif path.endswith("/error"):
            ends = path.endswith("/init/error")
            self.answers.put(Answer(body, failed=True, ends_runtime=ends))
        else:
            return False
        return True

    def close(self) -> None:
        """Let the runtime end."""
        self._events.put(None)


class HttpRuntimeApi(RuntimeApi):
    """Serves one process, on a port of its own."""

    def __init__(self) -> None:
        """Start to serve."""
        super().__init__()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.api = self
        threading.Thread(
            # Often, for a quick end.
            target=self._server.serve_forever,
            args=(0.05,),
            name="runtime-api",
            daemon=True,
        ).start()

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop serving."""
        super().close()
        self._server.shutdown()
        self._server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    api: RuntimeApi

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a process that was ended drops its connection."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One packet for an answer, at once.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        if self.path != f"{_PREFIX}invocation/next":
            self._reply(404, b"{}")
            return
        event = self.server.api.take()
        if event is None:
            self.close_connection = True
            return
        self._reply(200, event.body, event.headers())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.api.receive(self.path, body):
            self._reply(202, b'{"status":"OK"}')
        else:
            self._reply(404, b"{}")

    def _reply(
        self, status: int, body: bytes, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        pass


def _sized(body: bytes) -> Answer:
    if len(body) <= LONGEST_RESPONSE:
        return Answer(body)
    error = {
        "errorMessage": "Response payload size exceeded maximum allowed payload size "
        f"({LONGEST_RESPONSE} bytes).",
        "errorType": "Function.ResponseSizeTooLarge",
    }
    return Answer(json.dumps(error).encode(), failed=True)
