"""What S3 checks of a request before it acts, and moto does not.

That the bucket has the owner that is expected, and that a body is what its digests
say. Sources: the S3 user guide, "Verifying bucket ownership with bucket owner
condition" and "Checking object integrity", and the list of S3's error codes. Digests
after a body are left alone, and so are CRC32C and CRC64NVME, which are refused by name.
"""

import base64
import binascii
import hashlib
import io
import zlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from cdk_personalize_segments.local.calls import service_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from cdk_personalize_segments.local.aws import LocalAws

_OWNERS: Final = (
    "HTTP_X_AMZ_EXPECTED_BUCKET_OWNER",
    "HTTP_X_AMZ_SOURCE_EXPECTED_BUCKET_OWNER",
)
_MD5: Final = "HTTP_CONTENT_MD5"
_CHECKSUM: Final = "HTTP_X_AMZ_CHECKSUM_"
_DIGESTS: Final[dict[str, tuple[int, Callable[[bytes], bytes]]]] = {
    _MD5: (16, lambda body: hashlib.md5(body, usedforsecurity=False).digest()),
    f"{_CHECKSUM}CRC32": (4, lambda body: zlib.crc32(body).to_bytes(4, "big")),
    f"{_CHECKSUM}SHA1": (
        20,
        lambda body: hashlib.sha1(body, usedforsecurity=False).digest(),
    ),
    f"{_CHECKSUM}SHA256": (32, lambda body: hashlib.sha256(body).digest()),
}
_UNKNOWN: Final = (f"{_CHECKSUM}CRC32C", f"{_CHECKSUM}CRC64NVME")


class RefusedError(Exception):
    """A request is refused; its arguments are the status, the code and the text."""


def install(aws: "LocalAws") -> None:
    """Look at every request to S3 before moto does.

    Args:
        aws: The local AWS.
    """

    def checking(application: "WSGIApplication") -> "WSGIApplication":
        def answer(
            environ: "WSGIEnvironment", start_response: "StartResponse"
        ) -> Iterable[bytes]:
            if service_of(environ) == "s3":
                try:
                    _check_owner(environ, aws.account_id)
                    _check_digests(environ)
                except RefusedError as refused:
                    return _refuse(environ, start_response, *refused.args)
            return application(environ, start_response)

        return answer

    aws.add_middleware(checking)


def _check_owner(environ: "WSGIEnvironment", account_id: str) -> None:
    if any(environ.get(name, account_id) != account_id for name in _OWNERS):
        raise RefusedError("403 Forbidden", "AccessDenied", "Access Denied")


def _check_digests(environ: "WSGIEnvironment") -> None:
    for name in _UNKNOWN:
        if name in environ:
            raise NotImplementedError(
                f"the header {_header(name)} is not honoured; use SHA256"
            )
    # Of the object that an upload in parts becomes, not of this body.
    completes = environ["REQUEST_METHOD"] == "POST" and "uploadId=" in environ.get(
        "QUERY_STRING", ""
    )
    given = [name for name in _DIGESTS if name in environ]
    if not given or completes or "HTTP_X_AMZ_DECODED_CONTENT_LENGTH" in environ:
        return
    body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    for name in given:
        length, digest = _DIGESTS[name]
        if _decoded(name, environ[name], length) != digest(body):
            raise RefusedError("400 Bad Request", "BadDigest", _mismatch(name))


def _decoded(name: str, text: str, length: int) -> bytes:
    try:
        decoded = base64.b64decode(text, validate=True)
    except binascii.Error:
        decoded = b""
    if len(decoded) == length:
        return decoded
    if name == _MD5:
        code, message = "InvalidDigest", "The Content-MD5 you specified was invalid."
    else:
        code = "InvalidRequest"
        message = f"Value for {_header(name)} header is invalid."
    raise RefusedError("400 Bad Request", code, message)


def _mismatch(name: str) -> str:
    if name == _MD5:
        return "The Content-MD5 you specified did not match what we received."
    algorithm = name.removeprefix(_CHECKSUM)
    return f"The {algorithm} you specified did not match the calculated checksum."


def _header(name: str) -> str:
    return name.removeprefix("HTTP_").replace("_", "-").lower()


def _refuse(
    environ: "WSGIEnvironment",
    start_response: "StartResponse",
    status: str,
    code: str,
    message: str,
) -> Iterable[bytes]:
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
    headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
    start_response(status, headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
