"""Serves moto on localhost, from a thread of this process."""

import json
import logging
import re
import socket
import threading
from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

from cdk_personalize_segments.local.calls import service_of
from cdk_personalize_segments.local.errors import LocalAwsError
from cdk_personalize_segments.local.untyped import Moto

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# How often the server looks whether it is to stop.
_STOP_SECONDS: Final = 0.05
# Besides S3, the services whose SDKs read XML and send nothing that says so.
_XML: Final = re.compile(r"/(cloudfront|route53)/aws4_request")

_log = logging.getLogger(__name__)


class Server:
    """An HTTP server with moto behind it.

    Attributes:
        application: What answers its requests.
        listener: What takes them from connections.
        port: The port that it listens on.
    """

    def __init__(
        self,
        port: int,
        middlewares: "list[Callable[[WSGIApplication], WSGIApplication]]",
    ) -> None:
        """Bind the port.

        Args:
            port: The port, or 0 for any free one.
            middlewares: Each wraps the application of those before it.

        Raises:
            LocalAwsError: The port is taken.
        """
        self.answer_with(middlewares)
        with _listening(port) as bound:
            self.port: int = bound.getsockname()[1]
            self.listener = make_server(
                "127.0.0.1",
                self.port,
                lambda *request: self.application(*request),
                threaded=True,
                request_handler=_QuietHandler,
                fd=bound.fileno(),
            )
        self._thread = threading.Thread(
            target=self.listener.serve_forever,
            args=(_STOP_SECONDS,),
            name="local-aws",
            daemon=True,
        )
        self._thread.start()

    def answer_with(
        self, middlewares: "list[Callable[[WSGIApplication], WSGIApplication]]"
    ) -> None:
        """Answer requests from now on with moto as it is now.

        Args:
            middlewares: Each wraps the application of those before it.
        """
        application: WSGIApplication = _Dispatcher(create_backend_app)
        for wrap in middlewares:
            application = wrap(application)
        self.application = _with_named_errors(application)

    def stop(self) -> None:
        """Stop listening; requests under way end by themselves."""
        self.listener.shutdown()
        self._thread.join()
        self.listener.server_close()


class _Dispatcher(DomainDispatcherApplication):
    """Remembers which part of moto answers for which host, which takes long to find."""

    def __init__(self, create_app: Moto) -> None:
        super().__init__(create_app)
        self._find = cache(super().get_backend_for_host)

    def get_backend_for_host(self, host: str | None) -> Moto:
        return self._find(host)


def _listening(port: int) -> socket.socket:
    """Listen on a port; left to the server, a taken one ends the process."""
    listener = socket.socket()
    try:
        # Else a port that was just in use is taken for a while.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
    except (OSError, OverflowError):
        listener.close()
        raise LocalAwsError(
            f"local AWS cannot listen on port {port}: it is taken or not allowed; "
            "choose another one, or 0 for any that is free"
        ) from None
    return listener


def _with_named_errors(application: "WSGIApplication") -> "WSGIApplication":
    """Answer what moto does not implement, or fails at, in words that SDKs show."""

    def named(
        environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        try:
            return application(environ, start_response)
        except NotImplementedError as error:
            status, code = "501 Not Implemented", "NotImplemented"
            message = f"local AWS does not honour this request: {error}"
        except Exception as error:
            _log.exception("A request failed inside local AWS")
            status, code = "500 Internal Server Error", "InternalFailure"
            message = f"local AWS failed: {error!r}"
        body, content_type = _error_body(environ, code, message)
        headers = [
            ("Content-Type", content_type),
            ("Content-Length", str(len(body))),
            ("x-amzn-ErrorType", code),
        ]
        start_response(status, headers)
        return [body]

    return named


def _error_body(
    environ: "WSGIEnvironment", code: str, message: str
) -> tuple[bytes, str]:
    error = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    if service_of(environ) == "s3":
        return error.encode(), "application/xml"
    is_query = "x-www-form-urlencoded" in environ.get("CONTENT_TYPE", "")
    if is_query or _XML.search(environ.get("HTTP_AUTHORIZATION", "")):
        return f"<ErrorResponse>{error}</ErrorResponse>".encode(), "application/xml"
    answer = {"__type": code, "message": message}
    return json.dumps(answer).encode(), "application/x-amz-json-1.1"


class _QuietHandler(MotoRequestHandler):
    """Logs errors only: a line for every request would drown them."""

    def log(self, type: str, message: str, *args: object) -> None:
        if type == "error":
            _log.error(message, *args)
