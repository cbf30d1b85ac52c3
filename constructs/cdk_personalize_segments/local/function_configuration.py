"""Settings of Lambda functions: what is honoured, and what moto forgets of it.

It also gives numbers of deleted versions to new ones, which Lambda never does.
"""

import copy
import json
from typing import TYPE_CHECKING, Any, Final

from moto.awslambda.exceptions import InvalidParameterValueException
from moto.awslambda.models import LambdaFunction, LambdaStorage

from cdk_personalize_segments.local import patching
from cdk_personalize_segments.local.untyped import Moto

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws

_HONOURED: Final = frozenset(
    {
        "Architectures",
        "Code",
        "Description",
        "Environment",
        "EphemeralStorage",
        "FunctionName",
        "Handler",
        "LoggingConfig",
        "MemorySize",
        "PackageType",
        "Publish",
        "Role",
        "Runtime",
        "Tags",
        "Timeout",
        "TracingConfig",
    }
)
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
_LONGEST_ENVIRONMENT: Final = 4096
_RANGES: Final = {"MemorySize": (128, 10_240), "Timeout": (1, 900)}
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
_RESERVED: Final = frozenset(
    {
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
    }
)
_UPDATED: Final = {
    "EphemeralStorage": "ephemeral_storage",
    "LoggingConfig": "logging_config",
    "TracingConfig": "tracing_config",
}


def install(aws: "LocalAws") -> None:
    """Make functions keep all of their configuration.

    Args:
        aws: The local AWS.
    """

    def initialise(
        function: Moto,
        account_id: str,
        spec: dict[str, Any],
        *args: Moto,
        **options: Moto,
    ) -> None:
        _check(spec)
        original_init(function, account_id, spec, *args, **options)
        function.logging_config = _logging(function, spec.get("LoggingConfig"))

    def configuration(function: Moto, *args: Moto, **options: Moto) -> dict[str, Any]:
        return {
            **original_configuration(function, *args, **options),
            "LoggingConfig": function.logging_config,
        }

    def update_configuration(function: Moto, changes: dict[str, Any]) -> dict[str, Any]:
        _check(changes)
        original_update(function, changes)
        for name, attribute in _UPDATED.items():
            if name in changes:
                value = changes[name]
                if name == "EphemeralStorage":
                    value = value["Size"]
                if name == "LoggingConfig":
                    value = _logging(function, value)
                setattr(function, attribute, value)
        return configuration(function)

    def update_code(function: Moto, changes: dict[str, Any]) -> dict[str, Any]:
        # Versions share it with the function.
        function.code = dict(function.code)
        original_update_code(function, changes)
        if "Architectures" in changes:
            function.architectures = changes["Architectures"]
        return configuration(function)

    original_init = patching.patch(LambdaFunction, "__init__", initialise)
    original_configuration = patching.patch(
        LambdaFunction, "get_configuration", configuration
    )
    original_update = patching.patch(
        LambdaFunction, "update_configuration", update_configuration
    )
    original_update_code = patching.patch(
        LambdaFunction, "update_function_code", update_code
    )
    patching.patch(LambdaStorage, "publish_version", _publish_version)


def _publish_version(storage: Moto, name_or_arn: str, description: str = "") -> Moto:
    """Publish what changed under a number that no version ever had."""
    function = storage.get_function_by_name_or_arn_forbid_qualifier(name_or_arn)
    entry = storage._functions[function.function_name]
    if entry["versions"] and not function.code_or_config_updated:
        return entry["versions"][-1]
    function.code_or_config_updated = False
    entry["published"] = entry.get("published", 0) + 1
    version = copy.copy(function)
    version.set_version(entry["published"])
    version.description = description or version.description
    entry["versions"].append(version)
    storage._arns[version.function_arn] = version
    return version


def _logging(function: Moto, given: dict[str, Any] | None) -> dict[str, Any]:
    given = given or {}
    levels = (
        {"ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO"}
        if given.get("LogFormat") == "JSON"
        else {}
    )
    return {
        "LogFormat": "Text",
        "LogGroup": f"/aws/lambda/{function.function_name}",
        **levels,
        **given,
    }


def _check(settings: dict[str, Any]) -> None:
    """Refuse what is not honoured here, or not allowed by Lambda, in its words.

    Raises:
        moto.awslambda.exceptions.InvalidParameterValueException: There is such.
    """
    others = sorted(
        name for name in settings if settings[name] and name not in _HONOURED
    )
    if others:
        raise InvalidParameterValueException(
            f"local AWS does not honour {', '.join(others)} of functions; it honours "
            f"{', '.join(sorted(_HONOURED))}"
        )
    for name, (least, most) in _RANGES.items():
        if name in settings and not least <= settings[name] <= most:
            raise InvalidParameterValueException(
                f"{name} is {settings[name]}; it can be {least} to {most}"
            )
    variables = (settings.get("Environment") or {}).get("Variables") or {}
    _check_variables(variables)


def _check_variables(variables: dict[str, str]) -> None:
    cannot = (
        "Lambda was unable to configure your environment variables because the "
        "environment variables you have provided"
    )
    reserved = sorted(_RESERVED & set(variables))
    if reserved:
        raise InvalidParameterValueException(
            f"{cannot} contains reserved keys that are currently not supported for "
            f"modification. Reserved keys used in this request: {', '.join(reserved)}"
        )
    written = json.dumps(variables, ensure_ascii=False, separators=(",", ":"))
    if len(written.encode()) > _LONGEST_ENVIRONMENT:
        raise InvalidParameterValueException(
            f"{cannot} exceeded the 4KB limit. String measured: {written}"
        )
