"""Which IAM actions a request needs: HTTP in, actions on resources out.

Knows the services that pipelines use. Sources: the Service Authorization Reference,
and the S3 user guide's "Required permissions for Amazon S3 API operations".
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote
from xml.etree import ElementTree

from moto.utilities.utils import get_partition

from cdk_personalize_segments.local.policies import Context
from cdk_personalize_segments.local.task_tokens import state_machine_of

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


def needed_by(call: Call, account: str) -> list[Needed]:
    """Tell which permissions a request needs.

    Args:
        call: The request.
        account: The account's id.

    Raises:
        UnmappedRequestError: The service or operation is not known here.
    """
    if call.service not in _SERVICES:
        raise UnmappedRequestError(
            f"local AWS does not know which permissions requests to {call.service} "
            "need, so functions cannot make them; it knows "
            f"{', '.join(sorted(_SERVICES))}"
        )
    return _SERVICES[call.service](call, account)


def _body(environ: "WSGIEnvironment", service: str, query: Mapping[str, str]) -> bytes:
    """Read the body where actions depend on it; objects of S3 stay where they are."""
    if service == "s3" and "delete" not in query:
        return b""
    if not environ.get("CONTENT_LENGTH"):
        return b""
    body: bytes = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    environ["wsgi.input"] = BytesIO(body)
    return body


def _unmapped(call: Call, what: str) -> UnmappedRequestError:
    return UnmappedRequestError(
        f"local AWS does not know which permissions {what} of {call.service} needs, "
        "so functions cannot call it"
    )


# --- S3 ---

# What a request on a bucket or object is about is said by a parameter's name.
_BUCKET_ACTIONS: Final = {
    ("GET", ""): "ListBucket",
    ("HEAD", ""): "ListBucket",
    ("GET", "versions"): "ListBucketVersions",
    ("GET", "uploads"): "ListBucketMultipartUploads",
    ("GET", "location"): "GetBucketLocation",
    ("GET", "tagging"): "GetBucketTagging",
    ("GET", "versioning"): "GetBucketVersioning",
    ("GET", "policy"): "GetBucketPolicy",
    ("GET", "encryption"): "GetEncryptionConfiguration",
    ("GET", "lifecycle"): "GetLifecycleConfiguration",
    ("GET", "publicAccessBlock"): "GetBucketPublicAccessBlock",
}
_OBJECT_ACTIONS: Final = {
    ("GET", ""): "GetObject",
    ("HEAD", ""): "GetObject",
    ("PUT", ""): "PutObject",
    ("DELETE", ""): "DeleteObject",
    ("GET", "versionId"): "GetObjectVersion",
    ("HEAD", "versionId"): "GetObjectVersion",
    ("DELETE", "versionId"): "DeleteObjectVersion",
    ("GET", "tagging"): "GetObjectTagging",
    ("PUT", "tagging"): "PutObjectTagging",
    ("POST", "uploads"): "PutObject",
    ("PUT", "uploadId"): "PutObject",
    ("POST", "uploadId"): "PutObject",
    ("GET", "uploadId"): "ListMultipartUploadParts",
    ("DELETE", "uploadId"): "AbortMultipartUpload",
}
_PLAIN_PARAMETERS: Final = frozenset(
    {
        "continuation-token",
        "delimiter",
        "encoding-type",
        "fetch-owner",
        "key-marker",
        "list-type",
        "marker",
        "max-keys",
        "max-parts",
        "max-uploads",
        "part-number-marker",
        "partNumber",
        "prefix",
        "start-after",
        "upload-id-marker",
        "version-id-marker",
        "x-id",
    }
)
_OLD_SIGNATURE: Final = frozenset({"AWSAccessKeyId", "Expires", "Signature"})
_LIST_KEYS: Final = ("prefix", "delimiter", "max-keys")


def _s3(call: Call, _: str) -> list[Needed]:
    if not call.bucket:
        if call.method == "GET":
            return [Needed("s3:ListAllMyBuckets", "*")]
        raise _unmapped(call, f"{call.method} /")
    if call.method == "POST" and not call.key and "delete" in call.query:
        return _s3_delete_many(call)
    about = ",".join(
        name
        for name in call.query
        if name not in _PLAIN_PARAMETERS
        and not name.lower().startswith(("x-amz-", "response-"))
        and name not in _OLD_SIGNATURE
    )
    actions = _OBJECT_ACTIONS if call.key else _BUCKET_ACTIONS
    action = actions.get((call.method, about))
    if action is None:
        kind = "object" if call.key else "bucket"
        raise _unmapped(call, f"{call.method} on a {kind} with {about or 'nothing'}")
    context = {
        f"s3:{name}": call.query[name] for name in _LIST_KEYS if name in call.query
    }
    needed = [Needed(f"s3:{action}", _object_arn(call, call.bucket, call.key), context)]
    if call.method == "PUT":
        needed += _s3_copy(call)
        if "x-amz-tagging" in call.headers:
            arn = _object_arn(call, call.bucket, call.key)
            needed.append(Needed("s3:PutObjectTagging", arn))
        for header in call.headers:
            if header == "x-amz-acl" or header.startswith("x-amz-grant-"):
                raise _unmapped(call, f"the header {header}")
    return needed


def _s3_copy(call: Call) -> list[Needed]:
    """Name what a copy reads."""
    source = unquote(call.headers.get("x-amz-copy-source", ""))
    if not source:
        return []
    place, _, version = source.partition("?versionId=")
    bucket, _, key = place.removeprefix("/").partition("/")
    action = "s3:GetObjectVersion" if version else "s3:GetObject"
    return [Needed(action, _object_arn(call, bucket, key))]


def _s3_delete_many(call: Call) -> list[Needed]:
    """Name every object of a DeleteObjects request.

    S3 answers for each object; here one that may not be deleted fails the request.
    """
    # The body comes from a function of the developer's own.
    root = ElementTree.fromstring(call.body)  # noqa: S314
    namespace = root.tag.rpartition("}")[0]
    prefix = f"{namespace}}}" if namespace else ""
    return [
        Needed(
            "s3:DeleteObject"
            if each.find(f"{prefix}VersionId") is None
            else "s3:DeleteObjectVersion",
            _object_arn(call, call.bucket, each.findtext(f"{prefix}Key", "")),
        )
        for each in root.iter(f"{prefix}Object")
    ]


def _object_arn(call: Call, bucket: str, key: str) -> str:
    arn = f"arn:{call.partition}:s3:::{bucket}"
    return f"{arn}/{key}" if key else arn


# --- Personalize ---

_PERSONALIZE_RESOURCES: Final = {
    "DescribeBatchSegmentJob": "batchSegmentJobArn",
    "DescribeDatasetGroup": "datasetGroupArn",
    "DescribeFilter": "filterArn",
    "DescribeRecipe": "recipeArn",
    "DescribeSolution": "solutionArn",
    "DescribeSolutionVersion": "solutionVersionArn",
    "ListTagsForResource": "resourceArn",
    "TagResource": "resourceArn",
    "UntagResource": "resourceArn",
}
# The Service Authorization Reference has no resource types for these.
_PERSONALIZE_LISTS: Final = frozenset(
    {
        "ListBatchSegmentJobs",
        "ListFilters",
        "ListRecipes",
        "ListSolutionVersions",
        "ListSolutions",
    }
)


def _personalize(call: Call, account: str) -> list[Needed]:
    parameters = call.parameters
    action = f"personalize:{call.operation}"
    if call.operation in _PERSONALIZE_LISTS:
        return [Needed(action, "*")]
    if call.operation in _PERSONALIZE_RESOURCES:
        arn = _text(parameters.get(_PERSONALIZE_RESOURCES[call.operation]))
        return [Needed(action, arn, _tag_context(parameters))]
    if call.operation == "CreateBatchSegmentJob":
        return _create_batch_segment_job(call, account)
    raise _unmapped(call, call.operation)


def _create_batch_segment_job(call: Call, account: str) -> list[Needed]:
    parameters = call.parameters
    name = _text(parameters.get("jobName"))
    arn = (
        f"arn:{call.partition}:personalize:{call.region}:{account}"
        f":batch-segment-job/{name}"
    )
    context = _tag_context(parameters)
    needed = [Needed(f"personalize:{call.operation}", arn, context)]
    if parameters.get("tags"):
        needed.append(Needed("personalize:TagResource", arn, context))
    service_role = _text(parameters.get("roleArn"))
    passed = {
        "iam:PassedToService": "personalize.amazonaws.com",
        "iam:AssociatedResourceArn": arn,
    }
    return [*needed, Needed("iam:PassRole", service_role, passed)]


def _tag_context(parameters: Mapping[str, Any]) -> Context:
    tags = {tag["tagKey"]: tag["tagValue"] for tag in parameters.get("tags") or []}
    keys = [*tags, *(parameters.get("tagKeys") or [])]
    context: dict[str, str | list[str]] = {
        f"aws:RequestTag/{key}": value for key, value in tags.items()
    }
    return {**context, "aws:TagKeys": keys} if keys else context


# --- The others ---

_XRAY_ACTIONS: Final = {
    "/TraceSegments": "PutTraceSegments",
    "/TelemetryRecords": "PutTelemetryRecords",
    "/GetSamplingRules": "GetSamplingRules",
    "/SamplingTargets": "GetSamplingTargets",
}
_STATES_RESOURCES: Final = {
    "StartExecution": "stateMachineArn",
    "DescribeStateMachine": "stateMachineArn",
    "DescribeExecution": "executionArn",
    "GetExecutionHistory": "executionArn",
    "RedriveExecution": "executionArn",
    "StopExecution": "executionArn",
}
_TOKEN_OPERATIONS: Final = frozenset(
    {"SendTaskFailure", "SendTaskHeartbeat", "SendTaskSuccess"}
)
# The parameters that name what is concerned, a database and perhaps a table of it.
_GLUE_RESOURCES: Final = {
    "BatchCreatePartition": ("DatabaseName", "TableName"),
    "BatchGetPartition": ("DatabaseName", "TableName"),
    "CreatePartition": ("DatabaseName", "TableName"),
    "DeletePartition": ("DatabaseName", "TableName"),
    "DeleteTable": ("DatabaseName", "Name"),
    "GetDatabase": ("Name",),
    "GetPartition": ("DatabaseName", "TableName"),
    "GetPartitions": ("DatabaseName", "TableName"),
    "GetTable": ("DatabaseName", "Name"),
    "UpdatePartition": ("DatabaseName", "TableName"),
}
_INVOCATIONS: Final = re.compile(r"/2015-03-31/functions/(?P<name>[^/]+)/invocations")


def _glue(call: Call, account: str) -> list[Needed]:
    """Name a table or database and all above it: Glue asks for each."""
    if call.operation not in _GLUE_RESOURCES:
        raise _unmapped(call, call.operation)
    names = [_text(call.parameters.get(key)) for key in _GLUE_RESOURCES[call.operation]]
    resources = ["catalog", f"database/{names[0]}"]
    if len(names) > 1:
        resources.append(f"table/{'/'.join(names)}")
    catalog = call.parameters.get("CatalogId", account)
    prefix = f"arn:{call.partition}:glue:{call.region}:{catalog}:"
    return [Needed(f"glue:{call.operation}", prefix + each) for each in resources]


def _logs(call: Call, account: str) -> list[Needed]:
    group = call.parameters.get("logGroupName")
    if call.operation in {"DescribeLogGroups", ""} or not isinstance(group, str):
        resource = "*"
    else:
        stream = call.parameters.get("logStreamName", "")
        resource = (
            f"arn:{call.partition}:logs:{call.region}:{account}:log-group:{group}"
            f":log-stream:{stream}"
        )
    return [Needed(f"logs:{call.operation}", resource)]


def _xray(call: Call, _: str) -> list[Needed]:
    if call.path not in _XRAY_ACTIONS:
        raise _unmapped(call, call.path)
    return [Needed(f"xray:{_XRAY_ACTIONS[call.path]}", "*")]


def _lambda(call: Call, account: str) -> list[Needed]:
    match = _INVOCATIONS.fullmatch(call.path)
    if match is None or call.method != "POST":
        raise _unmapped(call, f"{call.method} {call.path}")
    name = unquote(match["name"])
    if not name.startswith("arn:"):
        name = f"arn:{call.partition}:lambda:{call.region}:{account}:function:{name}"
    qualifier = call.query.get("Qualifier")
    return [
        Needed("lambda:InvokeFunction", f"{name}:{qualifier}" if qualifier else name)
    ]


def _sts(call: Call, _: str) -> list[Needed]:
    operation = dict(parse_qsl(call.body.decode())).get("Action", "")
    if operation != "GetCallerIdentity":
        raise _unmapped(call, operation)
    # Needs no permission.
    return []


def _states(call: Call, _: str) -> list[Needed]:
    if call.operation in _TOKEN_OPERATIONS:
        machine = state_machine_of(_text(call.parameters.get("taskToken")))
        return [Needed(f"states:{call.operation}", machine)]
    if call.operation not in _STATES_RESOURCES:
        raise _unmapped(call, call.operation)
    resource = _text(call.parameters.get(_STATES_RESOURCES[call.operation]))
    return [Needed(f"states:{call.operation}", resource)]


def _text(value: object) -> str:
    """Return an ARN or name, or what no policy names if the request has none."""
    return value if isinstance(value, str) else ""


_SERVICES: Final[Mapping[str, Callable[[Call, str], list[Needed]]]] = {
    "glue": _glue,
    "lambda": _lambda,
    "logs": _logs,
    "personalize": _personalize,
    "s3": _s3,
    "states": _states,
    "sts": _sts,
    "xray": _xray,
}
