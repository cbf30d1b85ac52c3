"""What went wrong, in one sentence: of the commands, of AWS and of the SDK."""

from typing import Final

from botocore import exceptions as sdk


class CliError(Exception):
    """Something foreseen; its text is the sentence that the user reads."""

    exit_code = 1


class UsageError(CliError):
    """Options or arguments that cannot be."""

    exit_code = 2


# The permissions behind the operations that the commands call, where the names of
# operation and action, or the service, cannot be told from the error.
_ACTIONS: Final = {
    "DeleteObject": "s3:DeleteObject",
    "DescribeExecution": "states:DescribeExecution",
    "DescribeStacks": "cloudformation:DescribeStacks",
    "DescribeStateMachine": "states:DescribeStateMachine",
    "GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "GetBucketLocation": "s3:GetBucketLocation",
    "GetBucketPolicy": "s3:GetBucketPolicy",
    "GetCallerIdentity": "sts:GetCallerIdentity",
    "GetExecutionHistory": "states:GetExecutionHistory",
    "GetFunctionConfiguration": "lambda:GetFunctionConfiguration",
    "GetObject": "s3:GetObject",
    "GetPolicy": "iam:GetPolicy",
    "GetPolicyVersion": "iam:GetPolicyVersion",
    "GetRole": "iam:GetRole",
    "GetRolePolicy": "iam:GetRolePolicy",
    "HeadObject": "s3:GetObject",
    "ListAttachedRolePolicies": "iam:ListAttachedRolePolicies",
    "ListExecutions": "states:ListExecutions",
    "ListObjectsV2": "s3:ListBucket",
    "ListRolePolicies": "iam:ListRolePolicies",
    "PutObject": "s3:PutObject",
    "StartExecution": "states:StartExecution",
}
_DENIED: Final = frozenset(
    {"403", "AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}
)
_EXPIRED: Final = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
)
_INVALID_CREDENTIALS: Final = frozenset(
    {
        "AuthFailure",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_NOT_FOUND: Final = frozenset(
    {
        "404",
        "ExecutionDoesNotExist",
        "NoSuchBucket",
        "NoSuchEntity",
        "NoSuchKey",
        "ResourceNotFoundException",
        "StateMachineDoesNotExist",
    }
)

SDK_ERRORS: Final = (sdk.ClientError, sdk.BotoCoreError)


def code(error: Exception) -> str:
    """Return the service's code of an error, empty where it has none."""
    if isinstance(error, sdk.ClientError):
        return str(error.response.get("Error", {}).get("Code", ""))
    return ""


def is_denied(error: Exception) -> bool:
    """Tell whether an error is a missing permission."""
    return code(error) in _DENIED


def is_not_found(error: Exception) -> bool:
    """Tell whether an error says that the thing does not exist."""
    return code(error) in _NOT_FOUND


def action(error: sdk.ClientError) -> str:
    """Name the permission that an operation needs."""
    operation = str(error.operation_name)
    return _ACTIONS.get(operation, f"personalize:{operation}")


def sentence(error: Exception) -> str:
    """Say in one sentence what an error of the SDK or of AWS means.

    Args:
        error: One of `SDK_ERRORS`.
    """
    match error:
        case sdk.ClientError():
            return _of_service(error)
        case sdk.NoCredentialsError() | sdk.PartialCredentialsError():
            return (
                "No AWS credentials were found; set AWS_PROFILE or give --profile, or "
                "sign in with the AWS CLI."
            )
        case sdk.NoRegionError():
            return "No Region is set; give --region, or set AWS_REGION."
        case sdk.ProfileNotFound():
            return f"{error}; give --profile one that ~/.aws/config has."
        case sdk.HTTPClientError() | sdk.ConnectionError():
            return f"AWS cannot be reached: {error}"
    return f"The AWS SDK could not go on: {error}"


def _of_service(error: sdk.ClientError) -> str:
    words = str(error.response.get("Error", {}).get("Message", "")).rstrip(".")
    if is_denied(error):
        return (
            f"AWS refused {action(error)} ({words or code(error)}); ask for the "
            f"permission {action(error)}."
        )
    if code(error) in _EXPIRED:
        return f"The AWS credentials have expired ({words}); sign in again."
    if code(error) in _INVALID_CREDENTIALS:
        return (
            f"AWS does not accept the credentials ({words}); check the profile and "
            "the keys."
        )
    return (
        f"{error.operation_name} failed ({code(error)}): {words or 'no reason given'}."
    )
