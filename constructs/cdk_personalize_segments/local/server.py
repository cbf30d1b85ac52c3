"""Serves moto on localhost, from a thread of this process."""

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

from cdk_personalize_segments.local.errors import LocalAwsError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_log = logging.getLogger(__name__)


class Server:
    """An HTTP server with moto behind it."""

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
        application: WSGIApplication = DomainDispatcherApplication(create_backend_app)
        for wrap in middlewares:
            application = wrap(application)
        try:
            self._server = make_server(
                "127.0.0.1",
                port,
                application,
                threaded=True,
                request_handler=_QuietHandler,
            )
        except (OSError, SystemExit):
            raise LocalAwsError(
                f"local AWS cannot listen on port {port}: it is taken or not allowed; "
                "choose another one, or 0 for any that is free"
            ) from None
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="local-aws", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._server.server_port

    def stop(self) -> None:
        """Stop listening; requests under way end by themselves."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _QuietHandler(MotoRequestHandler):  # type: ignore[misc]
    """Logs errors only: a line for every request would drown them."""

    def log(self, type: str, message: str, *args: Any) -> None:
        if type == "error":
            _log.error(message, *args)
