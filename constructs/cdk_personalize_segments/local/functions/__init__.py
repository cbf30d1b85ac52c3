"""Lambda functions that really run: the deployed zip, in processes or threads.

The Python is the one that local AWS runs on, whatever the function's runtime. A
function's memory is watched ten times a second; its ephemeral storage is the machine's
own and not limited. Time-outs are in real seconds, since virtual time stands still
while a function runs. What a function writes is logged if its role may do so, else it
is lost, as in AWS. An asynchronous invocation is not tried again when it fails.
"""

import contextlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from moto.awslambda.exceptions import InvalidParameterValueException
from moto.awslambda.models import lambda_backends
from moto.awslambda.responses import LambdaResponse

from cdk_personalize_segments.local import enforcement
from cdk_personalize_segments.local.errors import LocalAwsError
from cdk_personalize_segments.local.functions.runner import FunctionRunner, function_of
from cdk_personalize_segments.local.patching import patch
from cdk_personalize_segments.local.untyped import Moto

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws

_aws: "LocalAws | None" = None
_runner: FunctionRunner | None = None


@dataclass(frozen=True)
class Invocation:
    """What came of an invocation.

    Attributes:
        payload: What the function returned, or the error, as JSON.
        error: `Unhandled` if it failed, else None.
        version: The version that ran.
    """

    payload: bytes
    error: str | None
    version: str


def install(aws: "LocalAws") -> None:
    """Run functions in processes or threads rather than in Docker.

    Args:
        aws: The local AWS.
    """
    global _aws, _runner
    patch(LambdaResponse, "invoke", _respond)
    _aws = aws
    _runner = FunctionRunner(
        region=aws.region,
        account_id=aws.account_id,
        endpoint_url=lambda: aws.endpoint_url,
        credentials=aws.sessions.issue,
        may=lambda role, action, resource: _may(aws, role, action, resource),
        now=aws.clock.now,
        in_process=lambda: aws.in_process,
    )
    aws.clock.on_stop(_runner.close)


def invoke(
    name_or_arn: str,
    qualifier: str | None,
    payload: bytes,
    *,
    request_id: str | None = None,
    give_up: float | None = None,
) -> Invocation:
    """Invoke a function and wait for what comes of it; time stands still meanwhile.

    Args:
        name_or_arn: The function, with or without version.
        qualifier: The version, if it is not there.
        payload: The event, as JSON.
        request_id: The id of the request, or None for a new one.
        give_up: Seconds after which the caller is no longer interested, or None.

    Raises:
        moto.awslambda.exceptions.UnknownFunctionException: There is none.
        moto.awslambda.exceptions.InvalidParameterValueException: It is of a kind that
            local AWS does not run.
        TimeoutError: The caller gave up.
    """
    if _aws is None or _runner is None:
        raise LocalAwsError("functions run in a started local AWS only")
    backend = lambda_backends[_aws.account_id][_region_of(name_or_arn, _aws.region)]
    stored = backend.get_function(name_or_arn, qualifier)
    _check_runnable(stored)
    function = function_of(stored)
    with _aws.clock.busy():
        answer = _runner.run(function, payload, request_id, give_up)
    return Invocation(
        answer.payload, "Unhandled" if answer.failed else None, function.version
    )


def _may(aws: "LocalAws", role_arn: str, action: str, resource: str) -> bool:
    try:
        enforcement.check(aws, role_arn=role_arn, action=action, resource=resource)
    except enforcement.AccessDenied:
        return False
    return True


def _check_runnable(stored: Moto) -> None:
    if stored.package_type != "Zip" or not stored.run_time.startswith("python"):
        kind = f"{stored.package_type} with runtime {stored.run_time}"
    elif stored.layers:
        kind = "Zip with layers"
    else:
        return
    raise InvalidParameterValueException(
        f"local AWS runs Python functions from zips without layers only, and "
        f"{stored.function_name} is a {kind}"
    )


def _run_later(arn: str, payload: bytes) -> None:
    # The local AWS may stop first.
    with contextlib.suppress(LocalAwsError):
        invoke(arn, None, payload)


def _region_of(name_or_arn: str, default: str) -> str:
    return name_or_arn.split(":")[3] if name_or_arn.startswith("arn:") else default


def _respond(request: Moto) -> tuple[int, dict[str, str], bytes]:
    """Take the place of moto's answer to Invoke."""
    backend = request.backend
    # moto reads no version from the request.
    stored = backend.get_function(
        unquote(request.path.rsplit("/", 2)[-2]), request._get_param("Qualifier")
    )
    if request.headers.get("X-Amz-Log-Type", "None") != "None":
        raise InvalidParameterValueException(
            "local AWS gives no LogResult; read the function's log group instead"
        )
    arn, version = stored.function_arn, str(stored.version)
    body = request.body
    payload = (body.encode() if isinstance(body, str) else body) or b"{}"
    headers = {
        "Content-Type": "application/json",
        "X-Amz-Executed-Version": version,
    }
    kind = request.headers.get("X-Amz-Invocation-Type", "RequestResponse")
    if kind == "DryRun":
        return 204, {**headers, "status": "204"}, b""
    if kind == "Event":
        # It is answered at once, and runs on.
        threading.Thread(target=_run_later, args=(arn, payload), daemon=True).start()
        return 202, {**headers, "status": "202"}, b""
    invocation = invoke(arn, None, payload)
    if invocation.error:
        headers["X-Amz-Function-Error"] = invocation.error
    return 200, headers, invocation.payload
