"""Which API operations local AWS honours; all others are refused by name.

moto answers many more, but leaves out parameters and effects without a word. An
operation is added here when a test has shown that it does what AWS does.
"""

import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from moto.core.request import Request
from moto.core.routing import get_service_router
from werkzeug.exceptions import NotFound

from cdk_personalize_segments.local.personalize.operations import OPERATIONS

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from cdk_personalize_segments.local.aws import LocalAws


@dataclass(frozen=True)
class Service:
    """The operations of a service that are honoured.

    Attributes:
        ours: Those that local AWS answers itself.
        moto: Those that moto answers, as they were found right.
        kept: What is only kept and read back, though AWS acts on it.
    """

    ours: frozenset[str] = frozenset()
    moto: frozenset[str] = frozenset()
    kept: str | None = None


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


SERVICES: Final[Mapping[str, Service]] = {
    "cloudformation": Service(
        ours=_names(
            "ContinueUpdateRollback CreateChangeSet CreateStack DeleteChangeSet "
            "DeleteStack DescribeChangeSet "
            "DescribeStackEvents DescribeStackResource DescribeStackResources "
            "DescribeStacks ExecuteChangeSet GetTemplate GetTemplateSummary "
            "ListChangeSets ListExports ListImports ListStackResources ListStacks "
            "RollbackStack UpdateStack UpdateTerminationProtection"
        )
    ),
    "cloudwatch": Service(
        ours=_names("DeleteAlarms DescribeAlarms PutCompositeAlarm PutMetricAlarm"),
        moto=_names(
            "DeleteDashboards GetDashboard ListDashboards ListTagsForResource "
            "PutDashboard SetAlarmState TagResource UntagResource"
        ),
        kept="what alarms watch, and dashboards, since there are no metrics",
    ),
    "ecr": Service(
        moto=_names(
            "CreateRepository DeleteLifecyclePolicy DeleteRepository "
            "DeleteRepositoryPolicy DescribeRepositories GetLifecyclePolicy "
            "GetRepositoryPolicy PutImageTagMutability PutLifecyclePolicy "
            "SetRepositoryPolicy"
        ),
        kept="repositories, since there are no images",
    ),
    "events": Service(
        ours=_names("PutEvents"),
        moto=_names(
            "CreateEventBus DeleteEventBus DeleteRule DescribeEventBus DescribeRule "
            "DisableRule EnableRule ListEventBuses ListRules ListTagsForResource "
            "ListTargetsByRule PutRule PutTargets RemoveTargets TagResource "
            "UntagResource"
        ),
    ),
    "glue": Service(
        moto=_names(
            "BatchCreatePartition BatchGetPartition CreateDatabase CreatePartition "
            "CreateTable DeleteDatabase DeletePartition DeleteTable GetDatabase "
            "GetDatabases GetPartition GetPartitions GetTable GetTables "
            "UpdateDatabase UpdatePartition UpdateTable"
        ),
        kept="databases, tables and partitions, since nothing queries them here",
    ),
    "iam": Service(
        moto=_names(
            "AttachRolePolicy CreatePolicy CreatePolicyVersion CreateRole DeletePolicy "
            "DeletePolicyVersion DeleteRole DeleteRolePermissionsBoundary "
            "DeleteRolePolicy DetachRolePolicy GetPolicy GetPolicyVersion GetRole "
            "GetRolePolicy ListAttachedRolePolicies ListEntitiesForPolicy "
            "ListPolicies ListPolicyVersions ListRolePolicies ListRoleTags ListRoles "
            "PutRolePermissionsBoundary PutRolePolicy TagRole UntagRole "
            "UpdateAssumeRolePolicy UpdateRole UpdateRoleDescription"
        )
    ),
    "kms": Service(
        ours=_names("EnableKeyRotation GetKeyRotationStatus"),
        moto=_names(
            "CreateAlias CreateKey DeleteAlias DescribeKey DisableKey "
            "DisableKeyRotation EnableKey GetKeyPolicy ListAliases ListKeys "
            "ListResourceTags PutKeyPolicy ScheduleKeyDeletion TagResource "
            "UntagResource UpdateAlias UpdateKeyDescription"
        ),
        kept="all but the policies of keys, since nothing is encrypted",
    ),
    "lambda": Service(
        ours=_names("Invoke"),
        moto=_names(
            "AddPermission CreateAlias CreateEventSourceMapping CreateFunction "
            "DeleteAlias DeleteEventSourceMapping DeleteFunction GetAlias "
            "GetEventSourceMapping GetFunction GetFunctionConfiguration GetPolicy "
            "ListAliases ListEventSourceMappings ListFunctions ListTags "
            "ListVersionsByFunction PublishVersion RemovePermission TagResource "
            "UntagResource UpdateAlias UpdateEventSourceMapping UpdateFunctionCode "
            "UpdateFunctionConfiguration"
        ),
    ),
    "logs": Service(
        ours=_names(
            "AssociateKmsKey CreateLogGroup DeleteLogGroup DeleteQueryDefinition "
            "DescribeLogGroups DescribeQueryDefinitions DisassociateKmsKey "
            "PutLogGroupDeletionProtection PutQueryDefinition"
        ),
        moto=_names(
            "CreateLogStream DeleteMetricFilter DeleteRetentionPolicy "
            "DescribeLogStreams DescribeMetricFilters FilterLogEvents GetLogEvents "
            "ListTagsForResource PutLogEvents PutMetricFilter PutRetentionPolicy "
            "TagResource UntagResource"
        ),
        kept="retention, keys, metric filters and saved queries",
    ),
    "personalize": Service(ours=frozenset(OPERATIONS)),
    "s3": Service(
        moto=_names(
            "AbortMultipartUpload CompleteMultipartUpload CopyObject CreateBucket "
            "CreateMultipartUpload DeleteBucket DeleteBucketCors "
            "DeleteBucketEncryption "
            "DeleteBucketLifecycle DeleteBucketOwnershipControls DeleteBucketPolicy "
            "DeleteBucketTagging DeleteObject DeleteObjectTagging DeleteObjects "
            "DeletePublicAccessBlock GetBucketAcl GetBucketCors GetBucketEncryption "
            "GetBucketLifecycleConfiguration GetBucketLocation "
            "GetBucketNotificationConfiguration GetBucketOwnershipControls "
            "GetBucketPolicy GetBucketTagging GetBucketVersioning GetObject "
            "GetObjectTagging GetPublicAccessBlock HeadBucket HeadObject ListBuckets "
            "ListMultipartUploads ListObjectVersions ListObjects ListObjectsV2 "
            "ListParts PutBucketAcl PutBucketCors PutBucketEncryption "
            "PutBucketLifecycleConfiguration PutBucketNotificationConfiguration "
            "PutBucketOwnershipControls "
            "PutBucketPolicy PutBucketTagging PutBucketVersioning PutObject "
            "PutObjectTagging PutPublicAccessBlock UploadPart"
        ),
        kept="lifecycle rules, encryption, ACLs and public access blocks",
    ),
    "scheduler": Service(
        moto=_names(
            "CreateSchedule CreateScheduleGroup DeleteSchedule DeleteScheduleGroup "
            "GetSchedule GetScheduleGroup ListScheduleGroups ListSchedules "
            "ListTagsForResource TagResource UntagResource UpdateSchedule"
        )
    ),
    "sns": Service(
        ours=_names("Publish PublishBatch"),
        moto=_names(
            "CreateTopic DeleteTopic GetSubscriptionAttributes GetTopicAttributes "
            "ListSubscriptions ListSubscriptionsByTopic ListTagsForResource ListTopics "
            "SetSubscriptionAttributes SetTopicAttributes Subscribe TagResource "
            "Unsubscribe UntagResource"
        ),
    ),
    "sqs": Service(
        moto=_names(
            "ChangeMessageVisibility ChangeMessageVisibilityBatch CreateQueue "
            "DeleteMessage DeleteMessageBatch DeleteQueue GetQueueAttributes "
            "GetQueueUrl ListDeadLetterSourceQueues ListQueueTags ListQueues "
            "PurgeQueue ReceiveMessage SendMessage SendMessageBatch SetQueueAttributes "
            "TagQueue UntagQueue"
        )
    ),
    "ssm": Service(
        moto=_names(
            "AddTagsToResource DeleteParameter DescribeParameters GetParameter "
            "ListTagsForResource PutParameter RemoveTagsFromResource"
        )
    ),
    "stepfunctions": Service(
        ours=_names(
            "DeleteStateMachineVersion DescribeExecution DescribeMapRun "
            "DescribeStateMachine DescribeStateMachineForExecution "
            "GetExecutionHistory ListExecutions ListMapRuns "
            "ListStateMachineVersions PublishStateMachineVersion RedriveExecution "
            "SendTaskFailure SendTaskHeartbeat SendTaskSuccess StartExecution "
            "StopExecution UpdateMapRun ValidateStateMachineDefinition"
        ),
        moto=_names(
            "CreateStateMachine DeleteStateMachine "
            "ListStateMachines ListTagsForResource TagResource UntagResource "
            "UpdateStateMachine"
        ),
    ),
    "sts": Service(moto=_names("AssumeRole GetCallerIdentity")),
}
"""The services, as boto3 calls them."""

# Where a signature names a service by another name than boto3 does.
_CALLED: Final = {"monitoring": "cloudwatch", "states": "stepfunctions"}
_SIGNED: Final = re.compile(r"/([^/\s]+)/aws4_request")
_CBOR: Final = re.compile(r"/service/[^/]+/operation/(\w+)")


def install(aws: "LocalAws") -> None:
    """Refuse what is not honoured before moto sees it.

    Args:
        aws: The local AWS.
    """
    aws.add_middleware(_refusing)


def _refusing(application: "WSGIApplication") -> "WSGIApplication":
    def answer(
        environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        # A raised NotImplementedError becomes an answer in the service's protocol.
        _check(environ)
        return application(environ, start_response)

    return answer


def _check(environ: "WSGIEnvironment") -> None:
    """Check a request that is signed; those that are not are presigned S3 URLs."""
    signed = _SIGNED.search(environ.get("HTTP_AUTHORIZATION", ""))
    if signed is None:
        return
    name = _CALLED.get(signed[1], signed[1])
    if name not in SERVICES:
        raise NotImplementedError(
            f"{name} is not emulated; there are {', '.join(sorted(SERVICES))}"
        )
    operation = _operation(name, environ)
    service = SERVICES[name]
    if operation not in service.ours | service.moto:
        raise NotImplementedError(
            f"{operation} of {name} is not emulated; docs/local-aws.md lists what is"
        )


def _operation(service: str, environ: "WSGIEnvironment") -> str:
    """Tell which operation a request is for."""
    target = environ.get("HTTP_X_AMZ_TARGET")
    if target:
        return str(target.rpartition(".")[2])
    cbor = _CBOR.fullmatch(environ["PATH_INFO"])
    if cbor:
        return cbor[1]
    if "x-www-form-urlencoded" in environ.get("CONTENT_TYPE", ""):
        return parse_qs(_body(environ).decode()).get("Action", [""])[0]
    try:
        return str(get_service_router(service).match(Request(environ))[0].name)
    except NotFound:
        return f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"


def _body(environ: "WSGIEnvironment") -> bytes:
    """Read a request's body, which stays readable."""
    body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return body
