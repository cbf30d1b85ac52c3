"""IAM roles and policies."""

import contextlib
import json
from typing import Any, Final

from cdk_personalize_segments.local.resources.base import (
    Place,
    Properties,
    ResourceType,
    api_tags,
    changed,
    chosen,
)
from cdk_personalize_segments.local.untyped import Client

_LONGEST_ROLE_NAME: Final = 64
_LONGEST_POLICY_NAME: Final = 128


class Role(ResourceType):
    """AWS::IAM::Role."""

    type = "AWS::IAM::Role"
    honoured = frozenset(
        {
            "AssumeRolePolicyDocument.*",
            "Description",
            "ManagedPolicyArns",
            "MaxSessionDuration",
            "Path",
            "PermissionsBoundary",
            "Policies.PolicyDocument.*",
            "Policies.PolicyName",
            "RoleName",
            "Tags.Key",
            "Tags.Value",
        }
    )
    replaced_on = frozenset({"Path", "RoleName"})
    stack_tags = True

    def create(self, place: Place, logical_id: str, new: Properties) -> str:
        """Create the role with its policies."""
        name = new.get("RoleName") or place.new_name(logical_id, _LONGEST_ROLE_NAME)
        place.client("iam").create_role(
            RoleName=name,
            AssumeRolePolicyDocument=json.dumps(new["AssumeRolePolicyDocument"]),
            Tags=api_tags(new),
            **chosen(
                new, "Description", "MaxSessionDuration", "Path", "PermissionsBoundary"
            ),
        )
        with self.finishing(place, name, new):
            self._set_policies(place, name, {}, new)
        return str(name)

    def update(
        self, place: Place, physical_id: str, old: Properties, new: Properties
    ) -> None:
        """Change trust, settings, tags and policies."""
        client = place.client("iam")
        differing = changed(old, new)
        if "AssumeRolePolicyDocument" in differing:
            client.update_assume_role_policy(
                RoleName=physical_id,
                PolicyDocument=json.dumps(new["AssumeRolePolicyDocument"]),
            )
        if differing & {"Description", "MaxSessionDuration"}:
            client.update_role(
                RoleName=physical_id,
                Description=new.get("Description", ""),
                MaxSessionDuration=new.get("MaxSessionDuration", 3600),
            )
        if "PermissionsBoundary" in differing:
            if "PermissionsBoundary" in new:
                client.put_role_permissions_boundary(
                    RoleName=physical_id, PermissionsBoundary=new["PermissionsBoundary"]
                )
            else:
                client.delete_role_permissions_boundary(RoleName=physical_id)
        if "Tags" in differing:
            client.untag_role(
                RoleName=physical_id, TagKeys=[tag["Key"] for tag in api_tags(old)]
            )
            client.tag_role(RoleName=physical_id, Tags=api_tags(new))
        self._set_policies(place, physical_id, old, new)

    def _set_policies(
        self, place: Place, name: str, old: Properties, new: Properties
    ) -> None:
        client = place.client("iam")
        before, after = _inline(old), _inline(new)
        for policy in sorted(before.keys() - after.keys()):
            with _gone_already(client):
                client.delete_role_policy(RoleName=name, PolicyName=policy)
        for policy, document in after.items():
            if before.get(policy) != document:
                client.put_role_policy(
                    RoleName=name,
                    PolicyName=policy,
                    PolicyDocument=json.dumps(document),
                )
        detached, attached = _managed(old), _managed(new)
        for arn in sorted(detached - attached):
            with _gone_already(client):
                client.detach_role_policy(RoleName=name, PolicyArn=arn)
        for arn in sorted(attached - detached):
            client.attach_role_policy(RoleName=name, PolicyArn=arn)

    def delete(self, place: Place, physical_id: str, old: Properties) -> None:
        """Delete the role and the policies that came with it."""
        self._set_policies(place, physical_id, old, {})
        place.client("iam").delete_role(RoleName=physical_id)

    def attributes(
        self, place: Place, physical_id: str, properties: Properties
    ) -> dict[str, str]:
        """Give the ARN and the id."""
        role = place.client("iam").get_role(RoleName=physical_id)["Role"]
        return {"Arn": role["Arn"], "RoleId": role["RoleId"]}


class Policy(ResourceType):
    """AWS::IAM::Policy, an inline policy of roles."""

    type = "AWS::IAM::Policy"
    honoured = frozenset({"PolicyDocument.*", "PolicyName", "Roles"})
    replaced_on = frozenset({"PolicyName"})

    def create(self, place: Place, logical_id: str, new: Properties) -> str:
        """Put the policy into its roles."""
        self.update(place, "", {}, new)
        return place.new_name(logical_id, _LONGEST_POLICY_NAME)

    def update(
        self, place: Place, physical_id: str, old: Properties, new: Properties
    ) -> None:
        """Put the policy into its roles, and take it out of others."""
        client = place.client("iam")
        for role in sorted({*old.get("Roles", [])} - {*new.get("Roles", [])}):
            with _gone_already(client):
                client.delete_role_policy(RoleName=role, PolicyName=old["PolicyName"])
        for role in new.get("Roles", []):
            client.put_role_policy(
                RoleName=role,
                PolicyName=new["PolicyName"],
                PolicyDocument=json.dumps(new["PolicyDocument"]),
            )

    def delete(self, place: Place, physical_id: str, old: Properties) -> None:
        """Take the policy out of its roles."""
        self.update(place, physical_id, old, {})


class ManagedPolicy(ResourceType):
    """AWS::IAM::ManagedPolicy, attached to roles."""

    type = "AWS::IAM::ManagedPolicy"
    honoured = frozenset(
        {"Description", "ManagedPolicyName", "Path", "PolicyDocument.*", "Roles"}
    )
    replaced_on = frozenset({"Description", "ManagedPolicyName", "Path"})

    def create(self, place: Place, logical_id: str, new: Properties) -> str:
        """Create the policy and attach it."""
        name = new.get("ManagedPolicyName") or place.new_name(
            logical_id, _LONGEST_POLICY_NAME
        )
        policy: dict[str, Any] = place.client("iam").create_policy(
            PolicyName=name,
            PolicyDocument=json.dumps(new["PolicyDocument"]),
            **chosen(new, "Description", "Path"),
        )["Policy"]
        with self.finishing(place, policy["Arn"], new):
            self._attach(place, policy["Arn"], {}, new)
        return str(policy["Arn"])

    def update(
        self, place: Place, physical_id: str, old: Properties, new: Properties
    ) -> None:
        """Make the new document the only version."""
        client = place.client("iam")
        if old["PolicyDocument"] != new["PolicyDocument"]:
            client.create_policy_version(
                PolicyArn=physical_id,
                PolicyDocument=json.dumps(new["PolicyDocument"]),
                SetAsDefault=True,
            )
            _delete_other_versions(client, physical_id)
        self._attach(place, physical_id, old, new)

    def _attach(self, place: Place, arn: str, old: Properties, new: Properties) -> None:
        client = place.client("iam")
        before, after = set(old.get("Roles", [])), set(new.get("Roles", []))
        for role in sorted(before - after):
            with _gone_already(client):
                client.detach_role_policy(RoleName=role, PolicyArn=arn)
        for role in sorted(after - before):
            client.attach_role_policy(RoleName=role, PolicyArn=arn)

    def delete(self, place: Place, physical_id: str, old: Properties) -> None:
        """Detach and delete the policy."""
        client = place.client("iam")
        self._attach(place, physical_id, old, {})
        _delete_other_versions(client, physical_id)
        client.delete_policy(PolicyArn=physical_id)

    def attributes(
        self, place: Place, physical_id: str, properties: Properties
    ) -> dict[str, str]:
        """Give the ARN."""
        return {"PolicyArn": physical_id}


def _gone_already(client: Client) -> contextlib.AbstractContextManager[None]:
    return contextlib.suppress(client.exceptions.NoSuchEntityException)


def _delete_other_versions(client: Client, arn: str) -> None:
    for version in client.list_policy_versions(PolicyArn=arn)["Versions"]:
        if not version["IsDefaultVersion"]:
            client.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])


def _inline(properties: Properties) -> dict[str, Any]:
    return {
        policy["PolicyName"]: policy["PolicyDocument"]
        for policy in properties.get("Policies", [])
    }


def _managed(properties: Properties) -> set[str]:
    return set(properties.get("ManagedPolicyArns", []))
