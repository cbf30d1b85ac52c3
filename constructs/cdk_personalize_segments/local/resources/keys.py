"""Keys of KMS and their aliases."""

import json
from typing import Final

from cdk_personalize_segments.local.resources.base import (
    Place,
    Properties,
    ResourceError,
    ResourceType,
    api_tags,
    changed,
    chosen,
    flag,
)

_PENDING_DAYS: Final = 30
_ALLOWED_DAYS: Final = [str(days) for days in range(7, 31)]
_FIXED: Final = frozenset({"KeySpec", "KeyUsage"})


class Key(ResourceType):
    """AWS::KMS::Key."""

    type = "AWS::KMS::Key"
    kept = "all but its policy, since nothing is encrypted"
    honoured = frozenset(
        {
            "Description",
            "EnableKeyRotation",
            "Enabled",
            "KeyPolicy.*",
            "KeySpec",
            "KeyUsage",
            "PendingWindowInDays",
            "RotationPeriodInDays",
            "Tags.Key",
            "Tags.Value",
        }
    )
    stack_tags = True

    def create(self, place: Place, logical_id: str, new: Properties) -> str:
        """Create the key, then set what it has one by one."""
        _check_pending_days(new)
        policy = {"Policy": json.dumps(new["KeyPolicy"])} if "KeyPolicy" in new else {}
        created = place.client("kms").create_key(
            Tags=_tags(new),
            **policy,
            **chosen(new, "Description", "KeySpec", "KeyUsage"),
        )
        key_id = str(created["KeyMetadata"]["KeyId"])
        with self.finishing(place, key_id, new):
            self._set_rotation(place, key_id, new)
            self._set_state(place, key_id, new)
        return key_id

    def update(
        self, place: Place, physical_id: str, old: Properties, new: Properties
    ) -> None:
        """Change all but what a key is.

        Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/
        aws-resource-kms-key.html ("the update request fails").
        """
        _check_pending_days(new)
        client = place.client("kms")
        differing = changed(old, new)
        for name in sorted(differing & _FIXED):
            raise ResourceError(f"{name} of an existing KMS key cannot be updated")
        # A disabled key may be changed only in part, so it is enabled meanwhile.
        client.enable_key(KeyId=physical_id)
        if "KeyPolicy" in differing:
            client.put_key_policy(
                KeyId=physical_id,
                PolicyName="default",
                Policy=json.dumps(new["KeyPolicy"]),
            )
        if "Description" in differing:
            client.update_key_description(
                KeyId=physical_id, Description=new.get("Description", "")
            )
        if differing & {"EnableKeyRotation", "RotationPeriodInDays"}:
            self._set_rotation(place, physical_id, new)
        if "Tags" in differing:
            client.untag_resource(
                KeyId=physical_id, TagKeys=[tag["Key"] for tag in api_tags(old)]
            )
            client.tag_resource(KeyId=physical_id, Tags=_tags(new))
        self._set_state(place, physical_id, new)

    def _set_rotation(self, place: Place, key_id: str, new: Properties) -> None:
        client = place.client("kms")
        if flag(new, "EnableKeyRotation", default=False):
            client.enable_key_rotation(
                KeyId=key_id, **chosen(new, "RotationPeriodInDays")
            )
        else:
            client.disable_key_rotation(KeyId=key_id)

    def _set_state(self, place: Place, key_id: str, new: Properties) -> None:
        if not flag(new, "Enabled", default=True):
            place.client("kms").disable_key(KeyId=key_id)

    def delete(self, place: Place, physical_id: str, old: Properties) -> None:
        """Have the key deleted when its waiting period is over."""
        place.client("kms").schedule_key_deletion(
            KeyId=physical_id,
            PendingWindowInDays=old.get("PendingWindowInDays", _PENDING_DAYS),
        )

    def attributes(
        self, place: Place, physical_id: str, properties: Properties
    ) -> dict[str, str]:
        """Give ARN and id."""
        return {"Arn": place.arn("kms", f"key/{physical_id}"), "KeyId": physical_id}


class Alias(ResourceType):
    """AWS::KMS::Alias."""

    type = "AWS::KMS::Alias"
    honoured = frozenset({"AliasName", "TargetKeyId"})
    replaced_on = frozenset({"AliasName"})

    def create(self, place: Place, logical_id: str, new: Properties) -> str:
        """Name the key."""
        place.client("kms").create_alias(**new)
        return str(new["AliasName"])

    def update(
        self, place: Place, physical_id: str, old: Properties, new: Properties
    ) -> None:
        """Let the name stand for another key."""
        place.client("kms").update_alias(**new)

    def delete(self, place: Place, physical_id: str, old: Properties) -> None:
        """Take the name away."""
        place.client("kms").delete_alias(AliasName=physical_id)


def _check_pending_days(new: Properties) -> None:
    """Check what is used only when the key is deleted."""
    days = new.get("PendingWindowInDays", _PENDING_DAYS)
    if str(days) not in _ALLOWED_DAYS:
        raise ResourceError(f"PendingWindowInDays must be between 7 and 30, got {days}")


def _tags(properties: Properties) -> list[dict[str, str]]:
    return [
        {"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in api_tags(properties)
    ]
