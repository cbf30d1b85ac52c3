"""What of an event a target is given: all, a part, a constant, or a template filled in.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from cdk_personalize_segments.local.untyped import Json

_PATH: Final = re.compile(r"\$(?:\.[A-Za-z0-9_/-]+|\[(?:\d+|\*)\]|\.\*)*")
_STEP: Final = re.compile(r"\.([A-Za-z0-9_/-]+|\*)|\[(\d+|\*)\]")
_VARIABLE: Final = re.compile(r"<([A-Za-z0-9_.-]+)>")
_MOST_VARIABLES: Final = 100
_PREDEFINED: Final = frozenset(
    {
        "aws.events.event",
        "aws.events.event.ingestion-time",
        "aws.events.event.json",
        "aws.events.rule-arn",
        "aws.events.rule-name",
    }
)


class InvalidInputError(ValueError):
    """A target's input is not described as EventBridge takes it."""


def check(target: Mapping[str, Any]) -> None:
    """Check how a target describes its input.

    Args:
        target: The target of a rule.

    Raises:
        InvalidInputError: In two ways at once, or malformed.
    """
    given = [
        name for name in ("Input", "InputPath", "InputTransformer") if name in target
    ]
    if len(given) > 1:
        raise InvalidInputError(
            f"only one of Input, InputPath and InputTransformer can be provided, not "
            f"{' and '.join(given)}"
        )
    if "Input" in target:
        _check_json(target["Input"])
    if "InputPath" in target:
        _check_path(target["InputPath"])
    if "InputTransformer" in target:
        _check_transformer(target["InputTransformer"])


def text_for(target: Mapping[str, Any], event: Json, rule: Mapping[str, str]) -> str:
    """Write what a target is given.

    Args:
        target: The target, as `check` passed it.
        event: The event.
        rule: The rule's `arn` and `name`.

    Returns:
        The text; JSON, but for a template that is not.
    """
    if "Input" in target:
        return str(target["Input"])
    if "InputPath" in target:
        return _written(_found(event, target["InputPath"]))
    if "InputTransformer" in target:
        return _filled(target["InputTransformer"], event, rule)
    return _written(event)


def _check_json(text: str) -> None:
    try:
        json.loads(text)
    except ValueError:
        raise InvalidInputError(f"the Input {text!r} must be JSON") from None


def _check_path(path: str) -> None:
    if _PATH.fullmatch(path) is None:
        raise InvalidInputError(
            f"the path {path!r} must be made of names, indices and * in dot notation"
        )


def _check_transformer(transformer: Mapping[str, Any]) -> None:
    paths: Mapping[str, str] = transformer.get("InputPathsMap", {})
    if len(paths) > _MOST_VARIABLES:
        raise InvalidInputError(f"at most {_MOST_VARIABLES} variables are allowed")
    for name, path in paths.items():
        if name.lower().startswith("aws"):
            raise InvalidInputError(f"the variable {name!r} must not begin with AWS")
        _check_path(path)
    template = transformer["InputTemplate"]
    unknown = set(_VARIABLE.findall(template)) - set(paths) - _PREDEFINED
    if unknown:
        raise InvalidInputError(
            f"the template names {', '.join(sorted(unknown))}, which InputPathsMap has "
            "not"
        )
    if template.strip().startswith("{") and template.strip().endswith("}"):
        _check_object(template)


def _check_object(template: str) -> None:
    """Check a template that is an object: JSON, whose names are not placeholders.

    https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_InputTransformer.html
    """

    def check_names(pairs: list[tuple[str, Json]]) -> None:
        for name, _ in pairs:
            if _VARIABLE.search(name):
                raise InvalidInputError(f"a placeholder, as in {name!r}, is no key")

    filled = _replaced(template, lambda name, quoted: f"<{name}>" if quoted else "null")
    try:
        json.loads(filled, object_pairs_hook=check_names)
    except json.JSONDecodeError as error:
        raise InvalidInputError(f"the InputTemplate is not JSON: {error}") from None


def _filled(
    transformer: Mapping[str, Any], event: Json, rule: Mapping[str, str]
) -> str:
    paths = transformer.get("InputPathsMap", {})
    values = {name: _found(event, path) for name, path in paths.items()}
    values |= {
        "aws.events.event": {
            name: value for name, value in event.items() if name != "detail"
        },
        "aws.events.event.ingestion-time": event["time"],
        "aws.events.event.json": event,
        "aws.events.rule-arn": rule["arn"],
        "aws.events.rule-name": rule["name"],
    }
    template = transformer["InputTemplate"]
    return _replaced(template, lambda name, quoted: _value(values[name], quoted))


def _replaced(template: str, write: Callable[[str, bool], str]) -> str:
    """Put something in place of each variable, given whether it is within quotes."""
    parts, end, quoted = [], 0, False
    for variable in _VARIABLE.finditer(template):
        between = template[end : variable.start()]
        parts.append(between)
        quoted ^= len(re.findall(r'(?<!\\)"', between)) % 2 == 1
        parts.append(write(variable[1], quoted))
        end = variable.end()
    return "".join([*parts, template[end:]])


def _value(value: Json, quoted: bool) -> str:
    """Write a value; within the quotes of a string without its own.

    One that is not there is left out of a string. What stands elsewhere is not
    documented; here it is null, so that JSON stays JSON.
    """
    if not quoted:
        return _written(value)
    if value is None:
        return ""
    text = value if isinstance(value, str) else _written(value)
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _found(event: Json, path: str) -> Json:
    """Give what a path names: a list for a wildcard, None if there is nothing."""
    steps = [name or index for name, index in _STEP.findall(path)]
    found = [event]
    for step in steps:
        found = [value for each in found for value in _step(each, step)]
    if "*" in steps:
        return found
    return found[0] if found else None


def _step(value: Json, step: str) -> list[Json]:
    if step == "*":
        values = value.values() if isinstance(value, dict) else value
        return list(values) if isinstance(value, dict | list) else []
    if isinstance(value, dict):
        return [value[step]] if step in value else []
    if isinstance(value, list) and step.isdigit() and int(step) < len(value):
        return [value[int(step)]]
    return []


def _written(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
