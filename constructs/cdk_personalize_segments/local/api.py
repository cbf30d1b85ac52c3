"""Which API operations local AWS honours; all others are refused by name.

moto answers many more, but leaves out parameters and effects without a word. An
operation is added here when a test has shown that it does what AWS does. Of those that
are left to moto, `moto_operations` lists the members of the input that count.
"""

import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from moto.core.parse import PROTOCOL_PARSERS, RequestParserError
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from werkzeug.datastructures import Headers
from werkzeug.exceptions import NotFound

from cdk_personalize_segments.local import moto_operations
from cdk_personalize_segments.local.calls import service_of
from cdk_personalize_segments.local.personalize.operations import OPERATIONS
from cdk_personalize_segments.local.untyped import Moto

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from cdk_personalize_segments.local.aws import LocalAws


@dataclass(frozen=True)
class Service:
    """The operations of a service that are honoured.

    Attributes:
        ours: Those that local AWS answers itself.
        moto: Those that moto answers, as they were found right, with the members of
            their input that count.
        kept: What is only kept and read back, though AWS acts on it.
    """

    ours: frozenset[str] = frozenset()
    moto: moto_operations.Operations = field(default_factory=dict)
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
        ours=_names(
            "DeleteAlarms DescribeAlarmHistory DescribeAlarms GetMetricData "
            "GetMetricStatistics ListMetrics PutCompositeAlarm PutMetricAlarm "
            "PutMetricData SetAlarmState"
        ),
        moto=moto_operations.CLOUDWATCH,
        kept="the rules of composite alarms, and dashboards, whose bodies are checked",
    ),
    "ecr": Service(
        moto=moto_operations.ECR,
        kept="repositories, since there are no images",
    ),
    "events": Service(
        ours=_names("PutEvents"),
        moto=moto_operations.EVENTS,
    ),
    "glue": Service(
        moto=moto_operations.GLUE,
        kept="databases, tables and partitions, since nothing queries them here",
    ),
    "iam": Service(moto=moto_operations.IAM),
    "kms": Service(
        ours=_names("EnableKeyRotation GetKeyRotationStatus"),
        moto=moto_operations.KMS,
        kept="all but the policies of keys, since nothing is encrypted",
    ),
    "lambda": Service(
        ours=_names("Invoke"),
        moto=moto_operations.LAMBDA,
    ),
    "logs": Service(
        ours=_names(
            "AssociateKmsKey CreateLogGroup DeleteLogGroup DeleteQueryDefinition "
            "DescribeLogGroups DescribeQueryDefinitions DisassociateKmsKey "
            "GetQueryResults PutLogGroupDeletionProtection PutQueryDefinition "
            "StartQuery"
        ),
        moto=moto_operations.LOGS,
        kept="retention, keys and metric filters",
    ),
    "personalize": Service(ours=frozenset(OPERATIONS)),
    "s3": Service(
        moto=moto_operations.S3,
        kept="lifecycle rules, encryption, ACLs and public access blocks",
    ),
    "scheduler": Service(moto=moto_operations.SCHEDULER),
    "sns": Service(
        ours=_names("Publish PublishBatch"),
        moto=moto_operations.SNS,
    ),
    "sqs": Service(moto=moto_operations.SQS),
    "ssm": Service(moto=moto_operations.SSM),
    "stepfunctions": Service(
        ours=_names(
            "CreateStateMachine DeleteStateMachineVersion DescribeExecution "
            "DescribeMapRun "
            "DescribeStateMachine DescribeStateMachineForExecution "
            "GetExecutionHistory ListExecutions ListMapRuns "
            "ListStateMachineVersions PublishStateMachineVersion RedriveExecution "
            "SendTaskFailure SendTaskHeartbeat SendTaskSuccess StartExecution "
            "StopExecution UpdateMapRun UpdateStateMachine "
            "ValidateStateMachineDefinition"
        ),
        moto=moto_operations.STEPFUNCTIONS,
    ),
    "sts": Service(
        moto=moto_operations.STS, kept="how long credentials last, since they go on"
    ),
}
"""The services, as boto3 calls them."""

# Where a signature names a service by another name than boto3 does.
_CALLED: Final = {"monitoring": "cloudwatch", "states": "stepfunctions"}
_CBOR: Final = re.compile(r"/service/[^/]+/operation/\w+")


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
    signed = service_of(environ)
    name = _CALLED.get(signed, signed)
    if name not in SERVICES:
        raise NotImplementedError(
            f"{name} is not emulated; there are {', '.join(sorted(SERVICES))}"
        )
    if _CBOR.fullmatch(environ["PATH_INFO"]):
        raise NotImplementedError(f"{name} is not emulated in CBOR; send JSON instead")
    # moto would take from these which service is asked.
    asks_another = "HTTP_X_AMZ_TARGET" in environ or _is_form(environ)
    if "HTTP_AUTHORIZATION" not in environ and (asks_another or name != "s3"):
        raise NotImplementedError("only S3 takes requests without a signature header")
    operation, placed = _operation(name, environ)
    service = SERVICES[name]
    if operation.name in service.ours:
        return
    if operation.name not in service.moto:
        raise _not_emulated(name, str(operation.name))
    others = _members(operation, placed, environ) - service.moto[operation.name]
    if others:
        raise NotImplementedError(
            f"{', '.join(sorted(others))} of {operation.name} of {name} is not "
            "honoured; docs/local-aws.md lists what is"
        )


def _not_emulated(service: str, operation: str) -> NotImplementedError:
    return NotImplementedError(
        f"{operation} of {service} is not emulated; docs/local-aws.md lists what is"
    )


def _is_form(environ: "WSGIEnvironment") -> bool:
    return environ[
        "REQUEST_METHOD"
    ] == "POST" and "x-www-form-urlencoded" in environ.get("CONTENT_TYPE", "")


def _operation(service: str, environ: "WSGIEnvironment") -> tuple[Moto, Moto]:
    """Tell which operation a request is for, and what its path says."""
    try:
        return get_service_router(service).match(_request(environ))
    except NotFound:
        target = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        asked = target or f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
        raise _not_emulated(service, asked) from None


def _members(
    operation: Moto, placed: Moto, environ: "WSGIEnvironment"
) -> frozenset[str]:
    """Name the members of an operation's input that a request has."""
    request = _request(environ)
    shape = operation.input_shape
    payload = shape.serialization.get("payload") if shape else None
    is_stream = payload and shape.members[payload].type_name == "blob"
    protocol = determine_request_protocol(operation.service_model, request.content_type)
    parser = PROTOCOL_PARSERS[protocol](operation, _as_it_is, _as_it_is)
    try:
        parsed = parser.parse(
            {
                "method": request.method,
                "values": request.values,
                "headers": _headers(request),
                # Objects stay where they are, whatever their size.
                "body": b"" if is_stream else _body(environ),
                "url_path": request.path,
                "url_params": placed,
            }
        )
    except (RequestParserError, ValueError, AttributeError):
        # It is malformed, as moto will tell.
        return frozenset()
    return frozenset(name for name, value in parsed.items() if value not in _ABSENT)


def _headers(request: Request) -> Headers:
    """Give the headers, with those that a presigned URL has as parameters."""
    headers = Headers(request.headers)
    for name, value in request.args.items():
        if name.lower().startswith("x-amz-"):
            headers.setdefault(name, value)
    return headers


_ABSENT: Final[tuple[Moto, ...]] = (None, {}, [])


def _as_it_is(value: str) -> str:
    return value


def _request(environ: "WSGIEnvironment") -> Request:
    """Give the request as moto has it, with a form as its body but nothing else."""
    body = _body(environ) if _is_form(environ) else b""
    without = {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    return Request({**environ, **without})


def _body(environ: "WSGIEnvironment") -> bytes:
    """Read a request's body, which stays readable."""
    body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return body
