"""Conditional writes to S3, as S3 answers them.

moto checks the condition and writes in two steps, so that two writers can both win,
and never answers 409. S3 lets the first writer win, and answers 409 when the object
was deleted while a conditional write was under way. Source: the S3 user guide,
"How to prevent object overwrites with conditional writes".
"""

import io
import threading
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from cdk_personalize_segments.local.calls import service_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from cdk_personalize_segments.local.aws import LocalAws

_CONDITIONS: Final = ("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH")
_CONFLICT: Final = (
    b"<Error><Code>ConditionalRequestConflict</Code><Message>The conditional request "
    b"cannot succeed due to a conflicting operation against this resource."
    b"</Message></Error>"
)


def install(aws: "LocalAws") -> None:
    """Look at every write to S3 before moto does.

    Args:
        aws: The local AWS.
    """
    aws.add_middleware(ConditionalWrites)


class ConditionalWrites:
    """Wraps a server so that conditional writes of an object take turns."""

    def __init__(self, application: "WSGIApplication") -> None:
        """Wrap a server.

        Args:
            application: The server.
        """
        self._application = application
        self._turn = threading.Lock()
        self._deletions: Counter[str] = Counter()

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer a request."""
        if service_of(environ) != "s3":
            return self._application(environ, start_response)
        method, key = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if method == "DELETE":
            with self._turn:
                self._deletions[key] += 1
                return self._application(environ, start_response)
        if method in ("PUT", "POST") and any(name in environ for name in _CONDITIONS):
            return self._write(environ, start_response, key)
        return self._application(environ, start_response)

    def _write(
        self, environ: "WSGIEnvironment", start_response: "StartResponse", key: str
    ) -> Iterable[bytes]:
        deletions = self._deletions[key]
        # The upload ends here, which may take as long as the client likes.
        length = int(environ.get("CONTENT_LENGTH") or 0)
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(length))
        with self._turn:
            if self._deletions[key] != deletions:
                headers = [
                    ("Content-Type", "application/xml"),
                    ("Content-Length", str(len(_CONFLICT))),
                ]
                start_response("409 Conflict", headers)
                return [_CONFLICT]
            return self._application(environ, start_response)
