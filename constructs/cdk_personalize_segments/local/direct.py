"""Hands requests of this process's own SDK clients to the server without a socket.

They go through the same application, so that all is checked and refused as for others,
but need no connection and no thread, which take longer than most answers.
"""

import io
from collections.abc import Iterator
from email.utils import formatdate
from http.client import HTTPMessage
from typing import Any, Final
from urllib.parse import urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.httpsession import URLLib3Session
from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.test import run_wsgi_app

from cdk_personalize_segments.local import patching
from cdk_personalize_segments.local.functions import isolation
from cdk_personalize_segments.local.server import Server

_PIECE: Final = 65_536


def install(server: Server) -> None:
    """Lead requests for a server to it, from any client in this process.

    Args:
        server: The server, which listens.
    """

    def send(session: URLLib3Session, request: AWSPreparedRequest) -> Any:  # noqa: ANN401
        if not _is_for(request.url, server.port):
            return original(session, request)
        # It may be a function's; the server works as itself.
        with isolation.inside(None):
            return _answer(request, server)

    original = patching.patch(URLLib3Session, "send", send)


def _is_for(url: str, port: int) -> bool:
    parts = urlsplit(url)
    name = parts.hostname or ""
    return parts.port == port and (
        name in {"localhost", "127.0.0.1"} or name.endswith(".localhost")
    )


def _answer(request: AWSPreparedRequest, server: Server) -> AWSResponse:
    environ = _Handler(request, server).make_environ()
    pieces, status, headers = run_wsgi_app(server.application, environ, buffered=True)
    content = b"" if request.method == "HEAD" else b"".join(pieces)
    answer = AWSResponse(
        request.url, int(status.split()[0]), HTTPHeaders(), _Raw(content)
    )
    answer.headers.update({"Date": formatdate(usegmt=True), **dict(headers)})
    return answer


class _Handler(MotoRequestHandler):
    """Makes of a request what it makes of one that came over a connection."""

    def __init__(self, request: AWSPreparedRequest, server: Server) -> None:
        parts = urlsplit(request.url)
        body = _body(request.body)
        self.server = server.listener
        self.client_address = ("127.0.0.1", 0)
        self.connection = None
        self.command = request.method
        self.path = parts.path or "/"
        if parts.query:
            self.path += f"?{parts.query}"
        self.request_version = "HTTP/1.1"
        self.rfile = io.BytesIO(body)
        self.headers = HTTPMessage()
        for name, value in request.headers.items():
            if name.lower() not in {"content-length", "host", "transfer-encoding"}:
                self.headers[name] = _text(value)
        self.headers["Host"] = parts.netloc
        self.headers["Content-Length"] = str(len(body))


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _body(body: Any) -> bytes:  # noqa: ANN401
    if body is None:
        return b""
    if hasattr(body, "read"):
        body = body.read()
    return body.encode() if isinstance(body, str) else bytes(body)


class _Raw(io.BytesIO):
    """A body that is read as urllib3 has it."""

    def stream(self, amount: int = _PIECE, **_: object) -> Iterator[bytes]:
        """Read it piece by piece."""
        while piece := self.read(amount):
            yield piece
