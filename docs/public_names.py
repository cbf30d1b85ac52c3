"""The public names: what the reference must have, and an example must show."""

import enum
import inspect
from collections.abc import Iterator
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
