"""Lambda functions that really run: the deployed zip, in processes or threads.

The Python is the one that local AWS runs on, whatever the function's runtime. A
process's memory is watched ten times a second; ephemeral storage is the machine's own
and not limited. Time-outs are in real seconds, since virtual time stands still while a
function runs. What a function writes is logged if its role may do so, else it is lost,
as in AWS.
"""

import asyncio
import base64
import contextlib
import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from moto.awslambda.exceptions import (
    InvalidParameterValueException,
    UnknownFunctionException,
)
from moto.awslambda.models import lambda_backends
from moto.awslambda.responses import LambdaResponse
from moto.core.exceptions import JsonRESTError

from cdk_personalize_segments.local import enforcement
from cdk_personalize_segments.local.cloudwatch import embedded, services
from cdk_personalize_segments.local.errors import LocalAwsError
from cdk_personalize_segments.local.functions.runner import FunctionRunner, function_of
from cdk_personalize_segments.local.functions.runtime_api import Answer
from cdk_personalize_segments.local.outcomes import Origin
from cdk_personalize_segments.local.patching import patch
from cdk_personalize_segments.local.untyped import Moto

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws

# https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
_LONGEST_REQUEST: Final = 6_291_456
_LONGEST_EVENT: Final = 1_048_576
_NOT_HONOURED: Final = {
    "ClientContext": "X-Amz-Client-Context",
    "DurableExecutionName": "X-Amz-Durable-Execution-Name",
    "TenantId": "X-Amz-Tenant-Id",
}
_CHOICES: Final = (
    (
        "InvocationType",
        "X-Amz-Invocation-Type",
        ("RequestResponse", "Event", "DryRun"),
    ),
    ("LogType", "X-Amz-Log-Type", ("None", "Tail")),
)
# Before each attempt of an asynchronous invocation, in seconds:
# https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
_WAITS: Final = (0, 60, 120)

_aws: "LocalAws | None" = None
_runner: FunctionRunner | None = None


@dataclass(frozen=True)
class Invocation:
    """What came of an invocation.

    Attributes:
        payload: What the function returned, or the error, as JSON.
        error: `Unhandled` if it failed, else None.
        version: The version that ran.
        log_tail: The last 4 KB that were logged meanwhile.
    """

    payload: bytes
    error: str | None
    version: str
    log_tail: bytes


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
        logged=partial(embedded.extract, aws.metrics, aws.region),
        now=aws.clock.now,
        new_id=aws.new_id,
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
        name_or_arn: The function, with or without a version or alias.
        qualifier: The version or alias, if it is not there.
        payload: The event, as JSON.
        request_id: The id of the request, or None for a new one.
        give_up: Seconds after which the caller is no longer interested, or None. The
            function runs on then, as in AWS, and time stands still until it has ended.

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
    invoked = _invoked_arn(function.arn, name_or_arn, qualifier)
    clock, runner, metrics = _aws.clock, _runner, _aws.metrics

    def run(begun: Callable[[], None]) -> Answer:
        with clock.busy():
            answer = runner.run(function, invoked, payload, request_id, begun)
            services.function_invoked(
                metrics, invoked, failed=answer.failed, seconds=answer.seconds
            )
            return answer

    if give_up is None or give_up >= function.timeout:
        answer = run(_nothing)
    else:
        answer = _run_for(run, give_up)
    return Invocation(
        answer.payload,
        "Unhandled" if answer.failed else None,
        function.version,
        answer.log_tail,
    )


def _invoked_arn(arn: str, name_or_arn: str, qualifier: str | None) -> str:
    """Give the ARN that handlers are told: with a qualifier if the caller gave one."""
    parts = name_or_arn.split(":")
    place = 7 if parts[0] == "arn" else 1
    qualifier = parts[place] if len(parts) > place else qualifier
    return f"{arn}:{qualifier}" if qualifier else arn


def _nothing() -> None:
    pass


def _run_for(run: Callable[[Callable[[], None]], Answer], seconds: float) -> Answer:
    """Run a function, but wait only so many seconds from when it gets its event."""
    begun = threading.Event()
    answer: Future[Answer] = Future()

    def work() -> None:
        try:
            answer.set_result(run(begun.set))
        except BaseException as error:
            answer.set_exception(error)
        finally:
            begun.set()

    threading.Thread(
        target=copy_context().run, args=(work,), name="invocation", daemon=True
    ).start()
    begun.wait()
    return answer.result(seconds)


def origin_of(access_key: str) -> Origin | None:
    """Give the invocation that has credentials while it works, if any does."""
    return None if _runner is None else _runner.origin_of(access_key)


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


async def _run_later(
    aws: "LocalAws", arn: str, payload: bytes, request_id: str
) -> None:
    """Run an asynchronous invocation, and again when it fails."""
    await aws.clock.set_up()

    def attempt() -> bool:
        # The function may have been deleted since, or the local AWS stop first.
        with contextlib.suppress(UnknownFunctionException, LocalAwsError):
            return bool(invoke(arn, None, payload, request_id=request_id).error)
        return False

    for wait in _WAITS:
        await asyncio.sleep(wait)
        if not await aws.clock.in_thread(attempt):
            return
    services.event_dropped(aws.metrics, arn)


def _region_of(name_or_arn: str, default: str) -> str:
    return name_or_arn.split(":")[3] if name_or_arn.startswith("arn:") else default


def _respond(request: Moto) -> tuple[int, dict[str, str], bytes]:
    """Take the place of moto's answer to Invoke."""
    if _aws is None:
        raise LocalAwsError("functions run in a started local AWS only")
    _check_honoured(request.headers)
    # moto reads no version from the request.
    name = unquote(request.path.rsplit("/", 2)[-2])
    qualifier = request._get_param("Qualifier")
    stored = request.backend.get_function(name, qualifier)
    _check_runnable(stored)
    version = str(stored.version)
    arn = _invoked_arn(function_of(stored).arn, name, qualifier)
    kind = request.headers.get("X-Amz-Invocation-Type", "RequestResponse")
    payload = _payload(request.body, kind)
    headers = {
        "Content-Type": "application/json",
        "X-Amz-Executed-Version": version,
    }
    if kind == "DryRun":
        return 204, {**headers, "status": "204"}, b""
    if kind == "Event":
        # It is answered at once, and runs on.
        request_id = _aws.new_id(f"asynchronous invocations of {arn}")
        _aws.clock.start(_run_later(_aws, arn, payload, request_id))
        return 202, {**headers, "status": "202"}, b""
    invocation = invoke(arn, None, payload)
    if invocation.error:
        headers["X-Amz-Function-Error"] = invocation.error
    if request.headers.get("X-Amz-Log-Type") == "Tail":
        headers["X-Amz-Log-Result"] = base64.b64encode(invocation.log_tail).decode()
    return 200, headers, invocation.payload


def _check_honoured(headers: Mapping[str, str]) -> None:
    for name, header in _NOT_HONOURED.items():
        if header in headers:
            raise InvalidParameterValueException(
                f"local AWS does not honour {name} of Invoke"
            )
    for name, header, values in _CHOICES:
        if headers.get(header, values[0]) not in values:
            raise InvalidParameterValueException(
                f"{name} is {headers[header]}; it can be {', '.join(values)}"
            )


def _payload(body: str | bytes, kind: str) -> bytes:
    """Check the event, in AWS's words where it does not fit."""
    payload = (body.encode() if isinstance(body, str) else body) or b"{}"
    longest = _LONGEST_EVENT if kind == "Event" else _LONGEST_REQUEST
    if len(payload) > longest:
        error = JsonRESTError(
            "RequestTooLargeException",
            f"Request must be smaller than {longest} bytes for the InvokeFunction "
            "operation",
        )
        error.code = 413
        raise error
    try:
        json.loads(payload)
    except ValueError as error:
        raise JsonRESTError(
            "InvalidRequestContentException",
            f"Could not parse request body into json: {error}",
        ) from None
    return payload
