"""The values of a template's parameters."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from cdk_personalize_segments.local.templates import TemplateError
from cdk_personalize_segments.local.untyped import Client, Json

REFERRING: Final = "AWS::SSM::Parameter::Value<"
"""What the types of parameters begin with that stand for others."""
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_SSM_NAME: Final = "AWS::SSM::Parameter::Name"


def parameter_values(
    declared: Mapping[str, Mapping[str, Any]], inputs: Mapping[str, str], ssm: Client
) -> dict[str, Any]:
    """Give the value of each parameter.

    Args:
        declared: The parameters as a template declares them.
        inputs: What a deployment passes.
        ssm: A Systems Manager client, for parameters that stand for others.

    Raises:
        TemplateError: A parameter is missing, not declared, not allowed, or of a
            type that is not honoured.
    """
    unknown = sorted(inputs.keys() - declared.keys())
    if unknown:
        raise TemplateError(
            f"Parameters: [{', '.join(unknown)}] do not exist in the template"
        )
    missing = sorted(
        name
        for name, parameter in declared.items()
        if name not in inputs and "Default" not in parameter
    )
    if missing:
        raise TemplateError(f"Parameters: [{', '.join(missing)}] must have values")
    return {
        name: _value(
            name, parameter, str(inputs.get(name, parameter.get("Default"))), ssm
        )
        for name, parameter in declared.items()
    }


def _value(name: str, parameter: Mapping[str, Any], text: str, ssm: Client) -> Json:
    kind = parameter["Type"]
    numbers = {"List<Number>": _items(text), "Number": [text]}
    for number in numbers.get(kind, []):
        _check_number(name, number)
    _check(name, parameter, text)
    if kind not in TYPES:
        raise TemplateError(
            f"local AWS does not honour the type {kind} of parameter {name}"
        )
    if kind.startswith(REFERRING):
        text = _look_up(name, text, ssm)
    elif kind == _SSM_NAME:
        _look_up(name, text, ssm)
    return TYPES[kind](text)


def _look_up(name: str, parameter_name: str, ssm: Client) -> str:
    try:
        found = ssm.get_parameter(Name=parameter_name)
    except ClientError:
        raise TemplateError(
            f"Unable to fetch parameters [{parameter_name}] from parameter store for "
            f"this account, which parameter {name} stands for."
        ) from None
    if found["Parameter"]["Type"] == "SecureString":
        raise TemplateError(
            f"Parameters [{parameter_name}] referenced by template have types not "
            "supported by CloudFormation."
        )
    return str(found["Parameter"]["Value"])


def _check_number(name: str, text: str) -> None:
    """Check a number, which stays as it was written.

    Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/
    parameters-section-structure.html ("the parameter value becomes a literal string").
    """
    if not _NUMBER.fullmatch(text):
        raise TemplateError(f"Parameter '{name}' must be a number, got {text!r}")


def _check(name: str, parameter: Mapping[str, Any], text: str) -> None:
    allowed = [str(value) for value in parameter.get("AllowedValues", [text])]
    wrong = text not in allowed
    if "AllowedPattern" in parameter:
        wrong |= not re.fullmatch(parameter["AllowedPattern"], text)
    wrong |= len(text) < int(parameter.get("MinLength", 0))
    wrong |= len(text) > int(parameter.get("MaxLength", len(text)))
    if "MinValue" in parameter:
        wrong |= float(text) < float(parameter["MinValue"])
    if "MaxValue" in parameter:
        wrong |= float(text) > float(parameter["MaxValue"])
    if wrong:
        constraint = parameter.get("ConstraintDescription", "is not an allowed value")
        raise TemplateError(f"Parameter '{name}' {constraint}: {text!r}")


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",")]


TYPES: Final[Mapping[str, Callable[[str], Json]]] = {
    "CommaDelimitedList": _items,
    "List<Number>": _items,
    "Number": str,
    "String": str,
    _SSM_NAME: str,
    f"{REFERRING}CommaDelimitedList>": _items,
    f"{REFERRING}List<String>>": _items,
    f"{REFERRING}String>": str,
}
"""The types of parameters that are honoured, and how their values are read."""
