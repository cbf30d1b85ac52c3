"""Change sets, and what they foresee of each resource."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cdk_personalize_segments.local.resources import find_kind
from cdk_personalize_segments.local.resources.base import changed
from cdk_personalize_segments.local.stacks import Region, Stack, with_stack_tags
from cdk_personalize_segments.local.templates import (
    Declaration,
    Scope,
    Template,
    TemplateError,
)
from cdk_personalize_segments.local.untyped import Json

# What stands for a value that is known only when the deployment has come so far.
_UNKNOWN: Final = "(known after deployment)"


@dataclass(frozen=True)
class ForeseenChange:
    """What will happen to a resource.

    Attributes:
        action: Add, Modify or Remove.
        declaration: The resource.
        replacement: True, False or Conditional, of a change; else None.
        properties: The top-level properties that change.
        recreated: Those of them that need a new resource.
    """

    action: str
    declaration: Declaration
    replacement: str | None = None
    properties: tuple[str, ...] = ()
    recreated: frozenset[str] = frozenset()


@dataclass
class ChangeSet:
    """A change set."""

    id: str
    name: str
    stack: Stack
    template: Template
    inputs: dict[str, str]
    tags: dict[str, str]
    changes: list[dict[str, Any]]
    created: datetime
    status: str
    execution_status: str
    adopts: bool
    status_reason: str | None = None


class _Foreseen:
    """What references mean before a deployment."""

    def __init__(self, region: Region, stack: Stack) -> None:
        self._region = region
        self._stack = stack
        self.replaced: set[str] = set()

    def ref(self, logical_id: str) -> str:
        """Give the physical id, unless it will be another."""
        resource = self._known(logical_id)
        return resource.physical_id if resource else _UNKNOWN

    def attribute(self, logical_id: str, name: str) -> str:
        """Give the attribute, unless it will be another."""
        resource = self._known(logical_id)
        return resource.attributes.get(name, _UNKNOWN) if resource else _UNKNOWN

    def imported(self, export: str) -> str:
        """Give the value of an export."""
        return self._region.export(export)

    def stack_output(self, stack: str, output: str, region: str) -> str:
        """Give the value of another stack's output."""
        return self._region.stack_output(stack, output, region)

    def parameter(self, name: str) -> str:
        """Give the value of a parameter of Systems Manager."""
        return self._region.parameter(name)

    def _known(self, logical_id: str) -> Json:
        if logical_id in self.replaced:
            return None
        return self._stack.resources.get(logical_id)


def foresee(
    region: Region, stack: Stack, scope: Scope, tags: Mapping[str, str]
) -> list[ForeseenChange]:
    """Foresee what a deployment does to each resource.

    Args:
        region: The Region of the stack.
        stack: The stack as it is.
        scope: What it is to become.
        tags: The tags it is to have.
    """
    current = _Foreseen(region, stack)
    changes = []
    for declaration in scope.order():
        if declaration.logical_id not in stack.resources:
            changes.append(ForeseenChange("Add", declaration))
            continue
        change = _modification(stack, scope, declaration, tags, current)
        if change is not None:
            changes.append(change)
            if change.replacement != "False":
                current.replaced.add(declaration.logical_id)
    active = {each.logical_id for each in scope.active()}
    removed = [
        ForeseenChange("Remove", existing.declaration)
        for logical_id, existing in stack.resources.items()
        if logical_id not in active
    ]
    return [*changes, *removed]


def _modification(
    stack: Stack,
    scope: Scope,
    declaration: Declaration,
    tags: Mapping[str, str],
    current: _Foreseen,
) -> ForeseenChange | None:
    kind = find_kind(declaration)
    existing = stack.resources[declaration.logical_id]
    try:
        properties = scope.resolve(declaration.properties, current)
    except TemplateError:
        # It will fail, and the deployment tells why.
        return ForeseenChange("Modify", declaration, "Conditional")
    if kind is None:
        return ForeseenChange("Modify", declaration, "Conditional")
    if kind.stack_tags:
        properties = with_stack_tags(properties, tags)
    names = changed(existing.properties, properties)
    if not names:
        return None
    recreated = names & kind.replaced_on
    if not recreated:
        replacement = "False"
    elif all(_is_unknown(properties.get(name)) for name in recreated):
        replacement = "Conditional"
    else:
        replacement = "True"
    return ForeseenChange(
        "Modify", declaration, replacement, tuple(sorted(names)), frozenset(recreated)
    )


def _is_unknown(value: Any) -> bool:  # noqa: ANN401
    return _UNKNOWN in str(value)
