"""Settings of Lambda functions that moto forgets, and version numbers it reuses."""

import copy
from typing import TYPE_CHECKING, Any, Final

from moto.awslambda.models import LambdaFunction, LambdaStorage

from cdk_personalize_segments.local import patching
from cdk_personalize_segments.local.untyped import Moto

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws

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
        original_init(function, account_id, spec, *args, **options)
        function.logging_config = _logging(function, spec.get("LoggingConfig"))

    def configuration(function: Moto, *args: Moto, **options: Moto) -> dict[str, Any]:
        return {
            **original_configuration(function, *args, **options),
            "LoggingConfig": function.logging_config,
        }

    def update_configuration(function: Moto, changes: dict[str, Any]) -> dict[str, Any]:
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
