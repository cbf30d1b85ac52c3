"""Writes resolved values as text, with a form for what deployment will tell."""

import json
import re
from collections.abc import Mapping
from typing import Any


def _flatten(value: Any, reference: str, attribute: str) -> str:  # noqa: ANN401
    """Write a resolved string as text, with a form for what is not known yet."""
    match value:
        case {"Ref": name}:
            return reference.format(name)
        case {"Fn::GetAtt": [name, what]}:
            return attribute.format(name, what)
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(
                _flatten(part, reference, attribute) for part in parts
            )
        case str():
            return value
    return json.dumps(value)


def nag_text(value: Any) -> str:  # noqa: ANN401
    """Write a resolved ARN as cdk-nag does in the id of a finding."""
    return _flatten(value, "<{}>", "<{}.{}>")


def readable(value: Any, known: Mapping[str, str]) -> Any:  # noqa: ANN401
    """Write a resolved policy for a person, with `${…}` for what is not known."""
    match value:
        case list():
            return [readable(each, known) for each in value]
        case {"Ref": _} | {"Fn::GetAtt": _} | {"Fn::Join": _} | str():
            text = _flatten(value, "${{{}}}", "${{{}.{}}}")
            return re.sub(r"\$\{([\w:]+)\}", lambda m: known.get(m[1], m[0]), text)
        case dict():
            return {key: readable(each, known) for key, each in value.items()}
    return value
