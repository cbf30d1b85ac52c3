"""Checks of requests and answers against the AWS SDK's model of Personalize."""

import functools
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import botocore.session
from botocore.model import OperationModel, ServiceModel, Shape
from botocore.validate import ParamValidator

from cdk_personalize_segments.local.personalize import errors

_FAILS_NOT: Final = "what is emulated does not fail"
_NOT_SET: Final = "requests that set it are refused"
_UNKNOWN: Final = "the service's values are not known"
LEFT_OUT: Final[Mapping[str, str]] = {
    "DatasetGroup.failureReason": _FAILS_NOT,
    "DatasetGroup.kmsKeyArn": _NOT_SET,
    "DatasetGroup.roleArn": _NOT_SET,
    "DatasetGroupSummary.failureReason": _FAILS_NOT,
    "Recipe.algorithmArn": _UNKNOWN,
    "Recipe.creationDateTime": _UNKNOWN,
    "Recipe.description": _UNKNOWN,
    "Recipe.featureTransformationArn": _UNKNOWN,
    "Recipe.lastUpdatedDateTime": _UNKNOWN,
    "RecipeSummary.creationDateTime": _UNKNOWN,
    "RecipeSummary.domain": "recipes of domain use cases are not emulated",
    "RecipeSummary.lastUpdatedDateTime": _UNKNOWN,
    "S3DataConfig.kmsKeyArn": _NOT_SET,
    "Solution.autoMLResult": _NOT_SET,
    "Solution.eventType": _NOT_SET,
    "SolutionConfig.algorithmHyperParameters": _NOT_SET,
    "SolutionConfig.autoMLConfig": _NOT_SET,
    "SolutionConfig.eventValueThreshold": _NOT_SET,
    "SolutionConfig.eventsConfig": _NOT_SET,
    "SolutionConfig.featureTransformationParameters": _NOT_SET,
    "SolutionConfig.hpoConfig": _NOT_SET,
    "SolutionConfig.optimizationObjective": _NOT_SET,
    "SolutionConfig.trainingDataConfig": _NOT_SET,
    "SolutionUpdateConfig.eventsConfig": _NOT_SET,
    "SolutionUpdateSummary.failureReason": _FAILS_NOT,
    "SolutionVersion.eventType": _NOT_SET,
    "SolutionVersion.tunedHPOParams": _NOT_SET,
}
"""Members of answers that are never given, and why."""
# Java's character classes, as Python's `re` has them.
_CLASSES: Final = {
    r"\p{ASCII}": r"[\x00-\x7f]",
    r"\p{L}": r"\w",
    r"\p{N}": r"\d",
    r"\p{Z}": r"\s",
}
_TYPES: Final[Mapping[str, Any]] = {
    "boolean": (bool,),
    "double": (int, float),
    "float": (int, float),
    "integer": (int,),
    "list": (list,),
    "long": (int,),
    "map": (Mapping,),
    "string": (str,),
    "structure": (Mapping,),
    "timestamp": (datetime,),
}


@functools.cache
def _service_model() -> ServiceModel:
    session = botocore.session.Session()
    return session.get_service_model("personalize")


def _operation(name: str) -> OperationModel:
    return _service_model().operation_model(name)


def check_request(operation: str, parameters: Mapping[str, Any]) -> None:
    """Check a request: what the SDK checks, and the rules that it leaves out.

    The SDK looks at names, types and minimum lengths only. The service also
    enforces the maximum lengths, ranges, patterns and enumerations of the model.

    Raises:
        PersonalizeError: InvalidInputException naming the field, the value (unless
            the model calls it sensitive) and the rule.
    """
    # Every operation of the model has an input shape, be it an empty one.
    shape: Any = _operation(operation).input_shape
    report = ParamValidator().validate(parameters, shape)
    if report.has_errors():
        raise errors.invalid_input(report.generate_report())
    problems = list(_broken_constraints(shape, parameters, ""))
    if problems:
        plural = "s" if len(problems) > 1 else ""
        raise errors.invalid_input(
            f"{len(problems)} validation error{plural} detected: {'; '.join(problems)}"
        )


def check_answer(operation: str, answer: Mapping[str, Any]) -> None:
    """Check an answer: members, types and constraints as the model has them.

    Raises:
        TypeError: It is not of the operation's output shape.
        ValueError: It breaks a constraint.
    """
    shape = _operation(operation).output_shape
    _check_value(shape, answer, operation)
    problems = list(_broken_constraints(shape, answer, "")) if shape else []
    if problems:
        raise ValueError(f"the answer of {operation} is wrong: {'; '.join(problems)}")


def _broken_constraints(shape: Any, value: Any, path: str) -> Iterator[str]:  # noqa: ANN401
    rule = _broken_rule(shape, value)
    if rule:
        shown = "***" if shape.metadata.get("sensitive") else repr(value)
        yield f"Value {shown} at '{path}' failed to satisfy constraint: {rule}"
    if shape.type_name == "structure":
        for name, member in value.items():
            inner = f"{path}.{name}" if path else name
            yield from _broken_constraints(shape.members[name], member, inner)
    elif shape.type_name == "list":
        for number, member in enumerate(value, start=1):
            yield from _broken_constraints(
                shape.member, member, f"{path}.{number}.member"
            )
    elif shape.type_name == "map":
        for key, member in value.items():
            yield from _broken_constraints(shape.key, key, f"{path}.key")
            yield from _broken_constraints(shape.value, member, f"{path}.{key}")


def _broken_rule(shape: Shape, value: Any) -> str | None:  # noqa: ANN401
    rules = shape.metadata
    if shape.type_name in {"structure", "timestamp", "boolean"}:
        return None
    sized = shape.type_name in {"string", "list", "map"}
    size = len(value) if sized else value
    what = "have length" if sized else "have value"
    if "min" in rules and size < rules["min"]:
        return f"Member must {what} greater than or equal to {rules['min']}"
    if "max" in rules and size > rules["max"]:
        return f"Member must {what} less than or equal to {rules['max']}"
    if "pattern" in rules and not _pattern(rules["pattern"]).fullmatch(value):
        return f"Member must satisfy regular expression pattern: {rules['pattern']}"
    if rules.get("enum") and value not in rules["enum"]:
        return f"Member must satisfy enum value set: {rules['enum']}"
    return None


@functools.cache
def _pattern(pattern: str) -> re.Pattern[str]:
    for theirs, ours in _CLASSES.items():
        pattern = pattern.replace(theirs, ours)
    return re.compile(pattern)


def _check_value(shape: Any, value: Any, path: str) -> None:  # noqa: ANN401
    kind = shape.type_name if shape is not None else "structure"
    fits = isinstance(value, _TYPES[kind])
    if not fits:
        raise TypeError(f"{path} must be {kind} in the SDK's model, got {value!r}")
    if kind == "structure":
        members = shape.members if shape is not None else {}
        for name, member in value.items():
            if name not in members:
                raise TypeError(f"{path} has no member {name!r} in the SDK's model")
            _check_value(members[name], member, f"{path}.{name}")
        for name in shape.required_members if shape is not None else ():
            if name not in value:
                raise TypeError(f"{path} must have the member {name!r}")
    elif kind == "list":
        for member in value:
            _check_value(shape.member, member, f"{path}[]")
    elif kind == "map":
        for key, member in value.items():
            _check_value(shape.key, key, f"{path}.key")
            _check_value(shape.value, member, f"{path}.{key}")
