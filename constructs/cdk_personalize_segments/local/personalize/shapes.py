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

# Java's character classes, as Python's `re` has them.
_CLASSES: Final = {
    r"\p{ASCII}": r"[\x00-\x7f]",
    r"\p{L}": r"\w",
    r"\p{N}": r"\d",
    r"\p{Z}": r"\s",
}
_SCALARS: Final[Mapping[str, tuple[type, ...]]] = {
    "boolean": (bool,),
    "double": (int, float),
    "float": (int, float),
    "integer": (int,),
    "long": (int,),
    "string": (str,),
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
    """Check an answer: only members and types that the model has.

    Raises:
        TypeError: It is not of the operation's output shape.
    """
    _check_value(_operation(operation).output_shape, answer, operation)


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


def _broken_rule(shape: Shape, value: Any) -> str | None:  # noqa: ANN401
    rules = shape.metadata
    sized = shape.type_name in {"string", "list"}
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
    if kind == "structure":
        members = shape.members if shape is not None else {}
        for name, member in value.items():
            if name not in members:
                raise TypeError(f"{path} has no member {name!r} in the SDK's model")
            _check_value(members[name], member, f"{path}.{name}")
    elif kind == "list":
        for member in value:
            _check_value(shape.member, member, f"{path}[]")
    elif not isinstance(value, _SCALARS[kind]):
        raise TypeError(f"{path} must be {kind} in the SDK's model, got {value!r}")
