"""Which IAM actions a request needs: HTTP in, actions on resources out.

Knows the services that pipelines use. Sources: the Service Authorization Reference,
and the S3 user guide's "Required permissions for Amazon S3 API operations".
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import unquote
from xml.etree import ElementTree

from cdk_personalize_segments.local import messaging_actions
from cdk_personalize_segments.local.calls import (
    Call,
    Needed,
    UnmappedRequestError,
    unmapped,
)
from cdk_personalize_segments.local.policies import Context
from cdk_personalize_segments.local.task_tokens import state_machine_of


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
    ("DELETE", "tagging"): "DeleteObjectTagging",
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
        raise unmapped(call, f"{call.method} /")
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
        raise unmapped(call, f"{call.method} on a {kind} with {about or 'nothing'}")
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
                raise unmapped(call, f"the header {header}")
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
    "CreateSolutionVersion": "solutionArn",
    "DeleteDatasetGroup": "datasetGroupArn",
    "DeleteFilter": "filterArn",
    "DeleteSolution": "solutionArn",
    "DescribeBatchSegmentJob": "batchSegmentJobArn",
    "DescribeDatasetGroup": "datasetGroupArn",
    "DescribeFilter": "filterArn",
    "DescribeRecipe": "recipeArn",
    "DescribeSolution": "solutionArn",
    "DescribeSolutionVersion": "solutionVersionArn",
    "ListTagsForResource": "resourceArn",
    "StopSolutionVersionCreation": "solutionVersionArn",
    "TagResource": "resourceArn",
    "UntagResource": "resourceArn",
    "UpdateSolution": "solutionArn",
}
# What is created by name: the parameter with it, and the kind in the ARN.
_PERSONALIZE_NAMED: Final = {
    "CreateBatchSegmentJob": ("jobName", "batch-segment-job"),
    "CreateDatasetGroup": ("name", "dataset-group"),
    "CreateFilter": ("name", "filter"),
    "CreateSolution": ("name", "solution"),
}
# The Service Authorization Reference has no resource types for these.
_PERSONALIZE_LISTS: Final = frozenset(
    {
        "ListBatchSegmentJobs",
        "ListDatasetGroups",
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
    elif call.operation in _PERSONALIZE_NAMED:
        parameter, kind = _PERSONALIZE_NAMED[call.operation]
        name = _text(parameters.get(parameter))
        arn = f"arn:{call.partition}:personalize:{call.region}:{account}:{kind}/{name}"
    else:
        raise unmapped(call, call.operation)
    context = _tag_context(parameters)
    needed = [Needed(action, arn, context)]
    if parameters.get("tags") and call.operation != "TagResource":
        needed.append(Needed("personalize:TagResource", arn, context))
    if "roleArn" in parameters:
        passed = {
            "iam:PassedToService": "personalize.amazonaws.com",
            "iam:AssociatedResourceArn": arn,
        }
        needed.append(Needed("iam:PassRole", _text(parameters["roleArn"]), passed))
    return needed


def _tag_context(parameters: Mapping[str, Any]) -> Context:
    tags = {tag["tagKey"]: tag["tagValue"] for tag in parameters.get("tags") or []}
    keys = [*tags, *(parameters.get("tagKeys") or [])]
    context: dict[str, str | list[str]] = {
        f"aws:RequestTag/{key}": value for key, value in tags.items()
    }
    return {**context, "aws:TagKeys": keys} if keys else context


# --- The others ---

_STATES_RESOURCES: Final = {
    "StartExecution": "stateMachineArn",
    "DescribeStateMachine": "stateMachineArn",
    "ListExecutions": "stateMachineArn",
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
        raise unmapped(call, call.operation)
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


def _lambda(call: Call, account: str) -> list[Needed]:
    match = _INVOCATIONS.fullmatch(call.path)
    if match is None or call.method != "POST":
        raise unmapped(call, f"{call.method} {call.path}")
    name = unquote(match["name"])
    if not name.startswith("arn:"):
        name = f"arn:{call.partition}:lambda:{call.region}:{account}:function:{name}"
    qualifier = call.query.get("Qualifier")
    return [
        Needed("lambda:InvokeFunction", f"{name}:{qualifier}" if qualifier else name)
    ]


def _sts(call: Call, _: str) -> list[Needed]:
    operation = call.form.get("Action", "")
    if operation != "GetCallerIdentity":
        raise unmapped(call, operation)
    # Needs no permission.
    return []


def _states(call: Call, _: str) -> list[Needed]:
    if call.operation in _TOKEN_OPERATIONS:
        machine = state_machine_of(_text(call.parameters.get("taskToken")))
        return [Needed(f"states:{call.operation}", machine)]
    if call.operation not in _STATES_RESOURCES:
        raise unmapped(call, call.operation)
    resource = _text(call.parameters.get(_STATES_RESOURCES[call.operation]))
    return [Needed(f"states:{call.operation}", resource)]


def _text(value: object) -> str:
    """Return an ARN or name, or what no policy names if the request has none."""
    return value if isinstance(value, str) else ""


_SERVICES: Final[Mapping[str, Callable[[Call, str], list[Needed]]]] = {
    "events": messaging_actions.events,
    "glue": _glue,
    "lambda": _lambda,
    "logs": _logs,
    "personalize": _personalize,
    "s3": _s3,
    "scheduler": messaging_actions.scheduler,
    "sns": messaging_actions.sns,
    "sqs": messaging_actions.sqs,
    "states": _states,
    "sts": _sts,
}
