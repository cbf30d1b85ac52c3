"""What a request says of itself: HTTP in, the caller and the operation out."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from moto.utilities.utils import get_partition

from cdk_personalize_segments.local.policies import Context

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_CREDENTIAL: Final = re.compile(
    r"(?P<key>[^/=\s]+)/\d{8}/(?P<region>[^/]*)/(?P<service>[^/]+)/aws4_request"
)


class UnmappedRequestError(ValueError):
    """A request whose actions are not known here."""


@dataclass(frozen=True)
class Call:
    """What a request says of itself.

    Attributes:
        access_key: Whose credentials sign it; empty if nobody's.
        service: The service's name in the signature.
        region: The Region in the signature.
        method: The HTTP method.
        path: The path, decoded.
        query: The query string's parameters.
        headers: The headers, with names in lower case.
        body: The body, for the services whose actions depend on it.
    """

    access_key: str
    service: str
    region: str
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def partition(self) -> str:
        """The partition of the Region; that of most Regions if there is none."""
        return str(get_partition(self.region))

    @property
    def operation(self) -> str:
        """The operation of a service that is told it in a header."""
        return self.headers.get("x-amz-target", "").rpartition(".")[2]

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The parameters of a service that takes them as JSON."""
        try:
            parsed = json.loads(self.body or b"{}")
        except ValueError:
            return {}
        return parsed if isinstance(parsed, dict) else {}

    @property
    def form(self) -> Mapping[str, str]:
        """The parameters of a service that takes them as a form."""
        return dict(parse_qsl(self.body.decode()))

    @property
    def assumes(self) -> bool:
        """Whether it is to assume a role."""
        return self.service == "sts" and self.form.get("Action") == "AssumeRole"

    @property
    def bucket(self) -> str:
        """The bucket of an S3 request, by host or by path."""
        return self._place[0]

    @property
    def key(self) -> str:
        """The key of an S3 request; empty for a request on the bucket."""
        return self._place[1]

    @property
    def _place(self) -> tuple[str, str]:
        host = self.headers.get("host", "").partition(":")[0]
        if host.endswith(".localhost"):
            return host.removesuffix(".localhost"), self.path.removeprefix("/")
        bucket, _, key = self.path.removeprefix("/").partition("/")
        return bucket, key


@dataclass(frozen=True)
class Needed:
    """A permission that a request needs."""

    action: str
    resource: str
    context: Context = field(default_factory=dict)


def read_call(environ: "WSGIEnvironment") -> Call:
    """Read a request; its body stays readable.

    Args:
        environ: The request, as WSGI passes it.
    """
    query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
    access_key, region, service = _signer(environ, query)
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    # WSGI gives the path's bytes as Latin-1.
    path = environ.get("PATH_INFO", "").encode("latin-1").decode(errors="replace")
    return Call(
        access_key=access_key,
        service=service,
        region=region,
        method=environ["REQUEST_METHOD"],
        path=path,
        query=query,
        headers=headers,
        body=_body(environ, service, query),
    )


def access_key_of(environ: "WSGIEnvironment") -> str:
    """Give the access key that a request is signed with, or an empty text.

    Args:
        environ: The request, as WSGI passes it.
    """
    return _signer(environ, _query(environ))[0]


def service_of(environ: "WSGIEnvironment") -> str:
    """Tell which service a request is for, by its signature.

    Those without one are for S3: other services take none.

    Args:
        environ: The request, as WSGI passes it.
    """
    return _signer(environ, _query(environ))[2]


def _query(environ: "WSGIEnvironment") -> dict[str, str]:
    return dict(parse_qsl(environ.get("QUERY_STRING", "")))


def _signer(
    environ: "WSGIEnvironment", query: Mapping[str, str]
) -> tuple[str, str, str]:
    """Tell the access key, Region and service of a signature, or empty texts."""
    signed = environ.get("HTTP_AUTHORIZATION") or query.get("X-Amz-Credential", "")
    credential = _CREDENTIAL.search(signed)
    if credential is not None:
        return credential["key"], credential["region"], credential["service"]
    # The older signature, which boto3 still gives to S3 URLs.
    return query.get("AWSAccessKeyId", ""), "", "s3"


def _body(environ: "WSGIEnvironment", service: str, query: Mapping[str, str]) -> bytes:
    """Read the body where actions depend on it; objects of S3 stay where they are."""
    if service == "s3" and "delete" not in query:
        return b""
    if not environ.get("CONTENT_LENGTH"):
        return b""
    body: bytes = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    environ["wsgi.input"] = BytesIO(body)
    return body


def unmapped(call: Call, what: str) -> UnmappedRequestError:
    """Make the error of a request whose actions are not known.

    Args:
        call: The request.
        what: What of it is not known.
    """
    return UnmappedRequestError(
        f"local AWS does not know which permissions {what} of {call.service} needs, "
        "so functions cannot call it"
    )
