"""Where functions of custom resources answer: an address as S3 would sign one.

The address is served by local AWS itself, since the buckets that AWS has for these
answers are none of the account's own.
"""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from cdk_personalize_segments.local.aws import LocalAws

_BUCKET: Final = "cloudformation-custom-resource-response"
_LONGEST_BYTES: Final = 4096

_answers: dict[str, dict[str, Any]] = {}


def install(aws: "LocalAws") -> None:
    """Take answers.

    Args:
        aws: The local AWS.
    """
    _answers.clear()
    aws.add_middleware(_taking)


def address(aws: "LocalAws", request_id: str) -> str:
    """Give the address to which the answer to a request is put.

    Args:
        aws: The local AWS.
        request_id: The request.
    """
    return f"{aws.endpoint_url}/{_BUCKET}/{request_id}"


def take(request_id: str) -> dict[str, Any] | None:
    """Give the answer to a request, once, or None if there is none yet.

    Args:
        request_id: The request.
    """
    return _answers.pop(request_id, None)


def _taking(application: "WSGIApplication") -> "WSGIApplication":
    def answer(
        environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        _, bucket, *key = environ["PATH_INFO"].split("/", 2)
        if environ["REQUEST_METHOD"] != "PUT" or bucket != _BUCKET or not key:
            return application(environ, start_response)
        length = int(environ.get("CONTENT_LENGTH") or 0)
        _answers[key[0]] = _parse(environ["wsgi.input"].read(length))
        start_response("200 OK", [("Content-Length", "0")])
        return [b""]

    return answer


def _parse(body: bytes) -> dict[str, Any]:
    if len(body) > _LONGEST_BYTES:
        return {"Status": "FAILED", "Reason": "Response object is too long."}
    try:
        parsed = json.loads(body)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict) or parsed.get("Status") not in (
        "SUCCESS",
        "FAILED",
    ):
        return {"Status": "FAILED", "Reason": "Invalid response object"}
    return parsed
