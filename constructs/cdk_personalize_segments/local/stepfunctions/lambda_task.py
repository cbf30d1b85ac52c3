"""The task `lambda:invoke`, and the errors by which its failures are known."""

import json
from collections.abc import Mapping
from typing import Any, Final

from moto.awslambda.exceptions import UnknownFunctionException

from cdk_personalize_segments.local import functions
from cdk_personalize_segments.local.functions import Invocation
from cdk_personalize_segments.local.stepfunctions.access import Access
from cdk_personalize_segments.local.stepfunctions.errors import (
    RUNTIME,
    TIMEOUT,
    StateError,
)
from cdk_personalize_segments.local.stepfunctions.integrations import (
    INTEGRATIONS,
    LAMBDA_INVOKE,
)
from cdk_personalize_segments.local.stepfunctions.json_texts import read_json
from cdk_personalize_segments.local.stepfunctions.scopes import written

_ARGUMENTS: Final = INTEGRATIONS[LAMBDA_INVOKE].arguments


class LambdaInvoke:
    """Invokes functions for the executions of one role."""

    def __init__(self, access: Access, region: str, account_id: str) -> None:
        """Prepare to invoke.

        Args:
            access: What the state machine's role may do.
            region: The Region of the functions.
            account_id: The account of the functions.
        """
        self._access = access
        self._region = region
        self._account_id = account_id

    def __call__(
        self, arguments: Mapping[str, Any], timeout: float | None, request_id: str
    ) -> dict[str, Any]:
        """Invoke a function.

        Args:
            arguments: The evaluated arguments.
            timeout: Seconds to wait at most, or None.
            request_id: The id of the request.

        Raises:
            StateError: It failed, or was not ready in time.
        """
        name, qualifier = self._target(arguments)
        self._check_access(name, qualifier, request_id)
        payload = written(arguments.get("Payload", {})).encode()
        try:
            invocation = functions.invoke(
                name, qualifier, payload, request_id=request_id, give_up=timeout
            )
        except UnknownFunctionException as error:
            raise StateError(
                "Lambda.ResourceNotFoundException",
                _of_service(error.message, 404, request_id),
            ) from None
        except TimeoutError:
            raise StateError(TIMEOUT) from None
        if invocation.error:
            raise _function_error(invocation.payload)
        return _result(invocation, request_id)

    def _target(self, arguments: Mapping[str, Any]) -> tuple[str, str | None]:
        unknown = sorted(set(arguments) - _ARGUMENTS)
        if unknown or "FunctionName" not in arguments:
            raise StateError(
                RUNTIME,
                f"local AWS invokes functions by {', '.join(sorted(_ARGUMENTS))}, "
                f"not with {', '.join(unknown) or 'nothing'}",
            )
        name = str(arguments["FunctionName"])
        if not name.startswith("arn:"):
            place = f"{self._region}:{self._account_id}"
            name = f"arn:aws:lambda:{place}:function:{name}"
        return name, arguments.get("Qualifier")

    def _check_access(self, name: str, qualifier: str | None, request_id: str) -> None:
        self._access.check(
            "lambda:InvokeFunction",
            f"{name}:{qualifier}" if qualifier else name,
            lambda why: StateError(
                "Lambda.AWSLambdaException", _of_service(why, 403, request_id)
            ),
        )


def _of_service(message: str, status: int, request_id: str) -> str:
    return (
        f"{message} (Service: Lambda, Status Code: {status}, Request ID: {request_id})"
    )


def _function_error(payload: bytes) -> StateError:
    """Give the error of a function: its type, and all of it as the cause."""
    try:
        error_type = json.loads(payload)["errorType"]
    except (ValueError, TypeError, KeyError):
        error_type = None
    return StateError(error_type or "Lambda.Unknown", payload.decode())


def _result(invocation: Invocation, request_id: str) -> dict[str, Any]:
    """Give the result of a task.

    Of the HTTP headers that AWS adds to `SdkHttpMetadata`, local AWS has none.
    """
    try:
        payload = read_json(invocation.payload)
    except ValueError as error:
        # With which error AWS fails is not documented.
        raise StateError(RUNTIME, f"The function returned no JSON: {error}") from None
    return {
        "ExecutedVersion": invocation.version,
        "Payload": payload,
        "SdkHttpMetadata": {"HttpStatusCode": 200},
        "SdkResponseMetadata": {"RequestId": request_id},
        "StatusCode": 200,
    }
