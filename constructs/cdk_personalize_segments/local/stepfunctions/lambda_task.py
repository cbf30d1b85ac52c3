"""The task `lambda:invoke`, and the errors by which its failures are known."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from moto.awslambda.exceptions import UnknownFunctionException

from cdk_personalize_segments.local import enforcement, functions
from cdk_personalize_segments.local.functions import Invocation
from cdk_personalize_segments.local.stepfunctions.errors import TIMEOUT, StateError
from cdk_personalize_segments.local.stepfunctions.scopes import written

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws

_ARGUMENTS: Final = frozenset({"FunctionName", "Payload", "Qualifier"})


class LambdaInvoke:
    """Invokes functions for the executions of one role."""

    def __init__(self, aws: "LocalAws", region: str, role_arn: str) -> None:
        """Prepare to invoke.

        Args:
            aws: The local AWS.
            region: The Region of the functions.
            role_arn: The state machine's role.
        """
        self._aws = aws
        self._region = region
        self._role_arn = role_arn

    def __call__(
        self, arguments: Mapping[str, Any], timeout: float | None, request_id: str
    ) -> dict[str, Any]:
        """Invoke a function, as `interpreter.LambdaTask` has it."""
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
                "States.Runtime",
                f"local AWS invokes functions by {', '.join(sorted(_ARGUMENTS))}, "
                f"not with {', '.join(unknown) or 'nothing'}",
            )
        name = str(arguments["FunctionName"])
        if not name.startswith("arn:"):
            account = self._aws.account_id
            name = f"arn:aws:lambda:{self._region}:{account}:function:{name}"
        return name, arguments.get("Qualifier")

    def _check_access(self, name: str, qualifier: str | None, request_id: str) -> None:
        try:
            enforcement.check(
                self._aws,
                role_arn=self._role_arn,
                action="lambda:InvokeFunction",
                resource=f"{name}:{qualifier}" if qualifier else name,
            )
        except enforcement.AccessDenied as denied:
            raise StateError(
                "Lambda.AWSLambdaException", _of_service(str(denied), 403, request_id)
            ) from None


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
    return {
        "ExecutedVersion": invocation.version,
        "Payload": json.loads(invocation.payload),
        "SdkHttpMetadata": {"HttpStatusCode": 200},
        "SdkResponseMetadata": {"RequestId": request_id},
        "StatusCode": 200,
    }
