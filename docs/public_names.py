"""The public names: what the reference must have, and an example must show."""

import enum
import inspect
from collections.abc import Iterator
from types import CodeType
from typing import Any, Final

import cdk_personalize_segments
from cdk_personalize_segments.local import pytest_plugin

PACKAGE: Final = "cdk_personalize_segments"


def exported() -> list[str]:
    """Give the names that the package exports, in alphabetical order."""
    return sorted(cdk_personalize_segments.__all__)


def fixtures() -> list[str]:
    """Give the names of the pytest fixtures."""
    return sorted(
        name
        for name, value in vars(pytest_plugin).items()
        if type(value).__name__ == "FixtureFunctionDefinition"
    )


def members(name: str) -> Iterator[str]:
    """Give the public methods, properties and values of an exported class.

    Those that it has from the CDK are not ours.

    Args:
        name: The exported name.
    """
    exported_class = getattr(cdk_personalize_segments, name)
    if not inspect.isclass(exported_class):
        return
    if issubclass(exported_class, enum.Enum):
        yield from exported_class.__members__
    seen = set()
    for owner in inspect.getmro(exported_class):
        if owner.__module__.partition(".")[0] != PACKAGE:
            continue
        for member, value in vars(owner).items():
            if member.startswith("_") or member in seen or not _is_api(value):
                continue
            seen.add(member)
            yield member


def _is_api(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, property | classmethod | staticmethod) or (
        inspect.isfunction(value)
    )


def all_names() -> list[str]:
    """Give each exported name, and each member as `Class.member`."""
    return [
        each
        for name in exported()
        for each in (name, *(f"{name}.{member}" for member in members(name)))
    ]


def codes() -> dict[CodeType, set[str]]:
    """Give the names that running some code is an example of, by that code.

    Names without code, such as values of an enumeration, are not in it.
    """
    found: dict[CodeType, set[str]] = {}
    for name in exported():
        value = getattr(cdk_personalize_segments, name)
        if not inspect.isclass(value):
            found.setdefault(value.__code__, set()).add(name)
            continue
        for member in ("__init__", *members(name)):
            code = _code(inspect.getattr_static(value, member))
            if code is not None:
                full = name if member == "__init__" else f"{name}.{member}"
                found.setdefault(code, set()).add(full)
    return found


def _code(member: Any) -> CodeType | None:  # noqa: ANN401
    if isinstance(member, property):
        member = member.fget
    function = inspect.unwrap(getattr(member, "__func__", member))
    return getattr(function, "__code__", None)
