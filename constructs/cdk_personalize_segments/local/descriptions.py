"""Stacks, resources and change sets as the CloudFormation API describes them."""

from collections.abc import Mapping
from typing import Any

from cdk_personalize_segments.local.changes import ChangeSet, ForeseenChange
from cdk_personalize_segments.local.parameters import REFERRING
from cdk_personalize_segments.local.stacks import Resource, Stack
from cdk_personalize_segments.local.templates import Template


def describe_change(stack: Stack, foreseen: ForeseenChange) -> dict[str, Any]:
    """Describe a change that a change set foresees.

    Args:
        stack: The stack as it is.
        foreseen: The change.
    """
    logical_id = foreseen.declaration.logical_id
    change: dict[str, Any] = {
        "Action": foreseen.action,
        "LogicalResourceId": logical_id,
        "ResourceType": foreseen.declaration.type,
        "Scope": [],
        "Details": [],
    }
    if logical_id in stack.resources:
        change["PhysicalResourceId"] = stack.resources[logical_id].physical_id
    if foreseen.replacement is not None:
        change["Replacement"] = foreseen.replacement
        change["Details"] = [_detail(foreseen, name) for name in foreseen.properties]
        scope = {detail["Target"]["Attribute"] for detail in change["Details"]}
        change["Scope"] = sorted(scope)
    return {"Type": "Resource", "ResourceChange": change}


def _detail(foreseen: ForeseenChange, name: str) -> dict[str, Any]:
    if name == "Tags":
        return {"Target": {"Attribute": "Tags", "RequiresRecreation": "Never"}}
    recreated = "Always" if name in foreseen.recreated else "Never"
    target = {
        "Attribute": "Properties",
        "Name": name,
        "RequiresRecreation": recreated,
    }
    return {"Target": target}


def describe_change_set(change_set: ChangeSet) -> dict[str, Any]:
    """Describe a change set, without its changes.

    Args:
        change_set: The change set.
    """
    summary = {
        "ChangeSetId": change_set.id,
        "ChangeSetName": change_set.name,
        "StackId": change_set.stack.id,
        "StackName": change_set.stack.name,
        "Status": change_set.status,
        "ExecutionStatus": change_set.execution_status,
        "CreationTime": change_set.created,
    }
    if change_set.status_reason:
        summary["StatusReason"] = change_set.status_reason
    return summary


def describe_stack(stack: Stack) -> dict[str, Any]:
    """Describe a stack.

    Args:
        stack: The stack.
    """
    described = {
        "StackId": stack.id,
        "StackName": stack.name,
        "CreationTime": stack.created,
        "StackStatus": stack.status,
        "StackStatusReason": stack.status_reason,
        "DisableRollback": False,
        "EnableTerminationProtection": stack.protected,
        "NotificationARNs": [],
        "Capabilities": ["CAPABILITY_NAMED_IAM"],
        "Parameters": describe_parameters(stack.template, stack.inputs, stack.values),
        "Tags": describe_tags(stack.tags),
        "Outputs": stack.outputs,
        "LastUpdatedTime": stack.updated,
        "DeletionTime": stack.deleted,
        "RoleARN": stack.role_arn,
        "Description": stack.template.description if stack.template else None,
    }
    return {key: value for key, value in described.items() if value is not None}


def describe_resource(resource: Resource) -> dict[str, str]:
    """Describe a resource.

    Args:
        resource: The resource.
    """
    return {
        "LogicalResourceId": resource.declaration.logical_id,
        "PhysicalResourceId": resource.physical_id,
        "ResourceType": resource.declaration.type,
        "ResourceStatus": resource.status,
    }


def describe_parameters(
    template: Template | None,
    inputs: Mapping[str, str],
    values: Mapping[str, Any] | None = None,
) -> list[dict[str, str]]:
    """Describe parameters: no secrets, and for others' names what they stand for.

    Args:
        template: The template that declares them.
        inputs: What a deployment passed.
        values: What they came to, or None before a deployment.
    """
    shown = []
    for key, parameter in (template.parameters if template else {}).items():
        text = str(inputs.get(key, parameter.get("Default")))
        secret = str(parameter.get("NoEcho")).lower() == "true"
        entry = {"ParameterKey": key, "ParameterValue": "****" if secret else text}
        if parameter["Type"].startswith(REFERRING) and values and not secret:
            value = values[key]
            entry["ResolvedValue"] = (
                ",".join(map(str, value)) if isinstance(value, list) else str(value)
            )
        shown.append(entry)
    return shown


def describe_tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Describe tags.

    Args:
        tags: The tags.
    """
    return [{"Key": key, "Value": value} for key, value in tags.items()]
