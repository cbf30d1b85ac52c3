"""Puts the emulated Personalize behind moto's HTTP server."""

import json
import logging
import re
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from moto.personalize import urls

from cdk_personalize_segments.local import patching
from cdk_personalize_segments.local.personalize import errors
from cdk_personalize_segments.local.personalize.emulator import EmulatedPersonalize

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from cdk_personalize_segments.local.aws import LocalAws

_log = logging.getLogger(__name__)
_SCOPE: Final = re.compile(r"Credential=[^/]+/\d+/([^/]+)/personalize/")
_CONTENT_TYPE: Final = "application/x-amz-json-1.1"


def install(aws: "LocalAws") -> None:
    """Give a local AWS its Personalize, in the place of moto's.

    Args:
        aws: The local AWS; its attribute `personalize` is set.
    """
    aws.personalize = EmulatedPersonalize(aws)

    def respond(request: Any, *_: object) -> tuple[int, dict[str, str], str]:  # noqa: ANN401
        return _answer(aws, request)

    patching.patch(urls, "url_paths", {"{0}/$": respond})
    aws.add_middleware(lambda application: _settling(aws, application))


def _settling(aws: "LocalAws", application: "WSGIApplication") -> "WSGIApplication":
    """Let jobs catch up before any request, so that S3 shows their output in time."""

    def settled(
        environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        aws.personalize.settle()
        return application(environ, start_response)

    return settled


def _answer(
    aws: "LocalAws",
    request: Any,  # noqa: ANN401
) -> tuple[int, dict[str, str], str]:
    operation = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
    try:
        _check_region(aws, request.headers.get("Authorization", ""))
        parameters = json.loads(request.data or b"{}")
        body = aws.personalize.call(operation, parameters)
        status = 200
    except errors.PersonalizeError as error:
        status = error.status
        body = {"__type": error.code, "message": error.message}
    except Exception as bug:
        # Not the service's error: say what it is, instead of a bare 500.
        _log.exception("The emulated Personalize failed in %s", operation)
        status = 500
        body = {"__type": "InternalFailure", "message": f"Local AWS failed: {bug!r}"}
    text = json.dumps(body, default=_epoch)
    return status, {"Content-Type": _CONTENT_TYPE}, text


def _check_region(aws: "LocalAws", authorization: str) -> None:
    scope = _SCOPE.search(authorization)
    if scope is not None and scope[1] != aws.region:
        raise errors.invalid_input(
            f"local AWS emulates Personalize in {aws.region} only, the request is for "
            f"{scope[1]}"
        )


def _epoch(value: object) -> float:
    if isinstance(value, datetime):
        return round(value.timestamp(), 3)
    raise TypeError(f"{value!r} is not JSON")
