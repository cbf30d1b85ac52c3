"""Buckets and their policies."""

import contextlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from botocore.exceptions import ClientError

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
from cdk_personalize_segments.local.untyped import Client, Json

_Put: TypeAlias = Callable[[Client, str, Properties], None]
_Remove: TypeAlias = Callable[[Client, str], object]
# What CloudFormation calls a field, and what the API calls it.
_CORS: Final = {
    "AllowedHeaders": "AllowedHeaders",
    "AllowedMethods": "AllowedMethods",
    "AllowedOrigins": "AllowedOrigins",
    "ExposedHeaders": "ExposeHeaders",
    "Id": "ID",
    "MaxAge": "MaxAgeSeconds",
}
_EXPIRATION: Final = {
    "ExpirationDate": "Date",
    "ExpirationInDays": "Days",
    "ExpiredObjectDeleteMarker": "ExpiredObjectDeleteMarker",
}
_TRANSITION: Final = {
    "StorageClass": "StorageClass",
    "TransitionDate": "Date",
    "TransitionInDays": "Days",
}
_NONCURRENT_TRANSITION: Final = {
    "NewerNoncurrentVersions": "NewerNoncurrentVersions",
    "StorageClass": "StorageClass",
    "TransitionInDays": "NoncurrentDays",
}
_NAME: Final = re.compile(r"[a-z0-9](?!.*\.\.)[a-z0-9.-]{1,61}[a-z0-9]")
_RULE: Final = "LifecycleConfiguration.Rules"


class Bucket(ResourceType):
    """AWS::S3::Bucket."""

    type = "AWS::S3::Bucket"
    kept = "lifecycle rules, encryption, ACLs and public access blocks"
    honoured = frozenset(
        {
            "AccessControl",
            "BucketEncryption.ServerSideEncryptionConfiguration.BucketKeyEnabled",
            "BucketEncryption.ServerSideEncryptionConfiguration"
            ".ServerSideEncryptionByDefault.KMSMasterKeyID",
            "BucketEncryption.ServerSideEncryptionConfiguration"
            ".ServerSideEncryptionByDefault.SSEAlgorithm",
            "BucketName",
            *(f"CorsConfiguration.CorsRules.{each}" for each in _CORS),
            f"{_RULE}.AbortIncompleteMultipartUpload.DaysAfterInitiation",
            f"{_RULE}.ExpirationDate",
            f"{_RULE}.ExpirationInDays",
            f"{_RULE}.ExpiredObjectDeleteMarker",
            f"{_RULE}.Id",
            f"{_RULE}.NoncurrentVersionExpiration.NoncurrentDays",
            f"{_RULE}.NoncurrentVersionTransitions.NewerNoncurrentVersions",
            f"{_RULE}.NoncurrentVersionTransitions.StorageClass",
            f"{_RULE}.NoncurrentVersionTransitions.TransitionInDays",
            f"{_RULE}.Prefix",
            f"{_RULE}.Status",
            f"{_RULE}.TagFilters.Key",
            f"{_RULE}.TagFilters.Value",
            f"{_RULE}.Transitions.StorageClass",
            f"{_RULE}.Transitions.TransitionDate",
            f"{_RULE}.Transitions.TransitionInDays",
            "NotificationConfiguration.EventBridgeConfiguration.EventBridgeEnabled",
            "OwnershipControls.Rules.ObjectOwnership",
            "PublicAccessBlockConfiguration.BlockPublicAcls",
            "PublicAccessBlockConfiguration.BlockPublicPolicy",
            "PublicAccessBlockConfiguration.IgnorePublicAcls",
            "PublicAccessBlockConfiguration.RestrictPublicBuckets",
            "Tags.Key",
            "Tags.Value",
            "VersioningConfiguration.Status",
        }
    )
    replaced_on = frozenset({"BucketName"})
    stack_tags = True

    def create(self, place: Place, logical_id: str, new: Properties) -> str:
        """Create the bucket, then set what it has one by one."""
        name = new.get("BucketName") or place.new_name(logical_id, 63).lower()
        _check_name(name)
        client = place.client("s3")
        exists = _exists(client, name)
        if exists and not place.adopts:
            raise ResourceError(f"{name} already exists")
        location: dict[str, Any] = (
            {}
            if place.region == "us-east-1"
            else {"CreateBucketConfiguration": {"LocationConstraint": place.region}}
        )
        if not exists:
            client.create_bucket(Bucket=name, **location)
        # What was taken over stays if the rest fails.
        cleaned = (
            contextlib.nullcontext() if exists else self.finishing(place, name, new)
        )
        with cleaned:
            self.update(place, name, {}, new)
        return str(name)

    def update(
        self, place: Place, physical_id: str, old: Properties, new: Properties
    ) -> None:
        """Set what changed, and remove what is no longer there."""
        client = place.client("s3")
        for name in sorted(changed(old, new) & set(_SETTINGS)):
            put, remove = _SETTINGS[name]
            if new.get(name):
                put(client, physical_id, new)
            elif old.get(name):
                remove(client, physical_id)

    def delete(self, place: Place, physical_id: str, old: Properties) -> None:
        """Delete the bucket, which S3 refuses while anything is in it."""
        place.client("s3").delete_bucket(Bucket=physical_id)

    def attributes(
        self, place: Place, physical_id: str, properties: Properties
    ) -> dict[str, str]:
        """Give the ARN and the host names."""
        regional = f"{physical_id}.s3.{place.region}.amazonaws.com"
        return {
            "Arn": f"arn:aws:s3:::{physical_id}",
            "DomainName": f"{physical_id}.s3.amazonaws.com",
            "RegionalDomainName": regional,
            "DualStackDomainName": regional.replace(".s3.", ".s3.dualstack."),
        }


class BucketPolicy(ResourceType):
    """AWS::S3::BucketPolicy."""

    type = "AWS::S3::BucketPolicy"
    honoured = frozenset({"Bucket", "PolicyDocument.*"})
    named_by = "Bucket"
    replaced_on = frozenset({"Bucket"})

    def find(self, place: Place, new: Properties) -> Json:
        """Look for a policy on the bucket."""
        return place.client("s3").get_bucket_policy(**chosen(new, "Bucket"))

    def create(self, place: Place, logical_id: str, new: Properties) -> str:
        """Put the policy on the bucket."""
        bucket = str(new["Bucket"])
        self.update(place, bucket, {}, new)
        return bucket

    def update(
        self, place: Place, physical_id: str, old: Properties, new: Properties
    ) -> None:
        """Put the policy in place of the one before."""
        place.client("s3").put_bucket_policy(
            Bucket=physical_id, Policy=json.dumps(new["PolicyDocument"])
        )

    def delete(self, place: Place, physical_id: str, old: Properties) -> None:
        """Take the policy off the bucket."""
        place.client("s3").delete_bucket_policy(Bucket=physical_id)


def _check_name(name: str) -> None:
    """Check the characters of a name.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/
    bucketnamingrules.html.
    """
    if not _NAME.fullmatch(name):
        raise ResourceError(
            f"InvalidBucketName: the specified bucket is not valid: {name}; names have "
            "3 to 63 characters: lowercase letters, numbers, dots and hyphens, with a "
            "letter or number at both ends"
        )


def _exists(client: Client, bucket: str) -> bool:
    try:
        client.head_bucket(Bucket=bucket)
    except ClientError:
        return False
    return True


def _put_encryption(client: Client, bucket: str, new: Properties) -> None:
    rules = [
        {
            "ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"],
            "BucketKeyEnabled": rule.get("BucketKeyEnabled", False),
        }
        for rule in new["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    ]
    client.put_bucket_encryption(
        Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": rules}
    )


def _put_lifecycle(client: Client, bucket: str, new: Properties) -> None:
    rules = [_lifecycle_rule(rule) for rule in new["LifecycleConfiguration"]["Rules"]]
    client.put_bucket_lifecycle_configuration(
        Bucket=bucket, LifecycleConfiguration={"Rules": rules}
    )


def _lifecycle_rule(rule: Properties) -> dict[str, Any]:
    api: dict[str, Any] = {
        "Status": rule["Status"],
        "Filter": _lifecycle_filter(rule),
    }
    if "Id" in rule:
        api["ID"] = rule["Id"]
    expiration = _renamed(rule, _EXPIRATION)
    if expiration:
        api["Expiration"] = expiration
    for name, names in (
        ("NoncurrentVersionTransitions", _NONCURRENT_TRANSITION),
        ("Transitions", _TRANSITION),
    ):
        if name in rule:
            api[name] = [_renamed(each, names) for each in rule[name]]
    for name in ("NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload"):
        if name in rule:
            api[name] = dict(rule[name])
    return api


def _lifecycle_filter(rule: Properties) -> dict[str, Any]:
    tags = list(rule.get("TagFilters", []))
    if not tags:
        return {"Prefix": rule.get("Prefix", "")}
    if len(tags) == 1 and "Prefix" not in rule:
        return {"Tag": tags[0]}
    return {"And": {**chosen(rule, "Prefix"), "Tags": tags}}


def _renamed(declared: Properties, names: Mapping[str, str]) -> dict[str, Any]:
    """Give what is set under the API's names."""
    return {api: declared[name] for name, api in names.items() if name in declared}


def _put_cors(client: Client, bucket: str, new: Properties) -> None:
    rules = [_renamed(rule, _CORS) for rule in new["CorsConfiguration"]["CorsRules"]]
    client.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": rules})


def _put_notification(client: Client, bucket: str, new: Properties) -> None:
    bridge = new["NotificationConfiguration"].get("EventBridgeConfiguration")
    # Without the flag, its default is true.
    enabled = bridge is not None and flag(bridge, "EventBridgeEnabled", default=True)
    client.put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration=({"EventBridgeConfiguration": {}} if enabled else {}),
    )


def _remove_notification(client: Client, bucket: str) -> None:
    client.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={}
    )


def _put_ownership(client: Client, bucket: str, new: Properties) -> None:
    client.put_bucket_ownership_controls(
        Bucket=bucket, OwnershipControls=new["OwnershipControls"]
    )


def _put_public_access_block(client: Client, bucket: str, new: Properties) -> None:
    client.put_public_access_block(
        Bucket=bucket,
        PublicAccessBlockConfiguration=new["PublicAccessBlockConfiguration"],
    )


def _put_versioning(client: Client, bucket: str, new: Properties) -> None:
    client.put_bucket_versioning(
        Bucket=bucket, VersioningConfiguration=new["VersioningConfiguration"]
    )


def _suspend_versioning(client: Client, bucket: str) -> None:
    client.put_bucket_versioning(
        Bucket=bucket, VersioningConfiguration={"Status": "Suspended"}
    )


def _put_tags(client: Client, bucket: str, new: Properties) -> None:
    client.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": api_tags(new)})


def _put_acl(client: Client, bucket: str, new: Properties) -> None:
    # CloudFormation spells PublicRead what the API spells public-read.
    spelled = "".join(
        f"-{c.lower()}" if c.isupper() else c for c in new["AccessControl"]
    )
    client.put_bucket_acl(Bucket=bucket, ACL=spelled.lstrip("-"))


_SETTINGS: Final[
    dict[
        str,
        tuple[Callable[[Client, str, Properties], None], Callable[[Client, str], Any]],
    ]
] = {
    "AccessControl": (
        _put_acl,
        lambda client, bucket: client.put_bucket_acl(Bucket=bucket, ACL="private"),
    ),
    "BucketEncryption": (
        _put_encryption,
        lambda client, bucket: client.delete_bucket_encryption(Bucket=bucket),
    ),
    "CorsConfiguration": (
        _put_cors,
        lambda client, bucket: client.delete_bucket_cors(Bucket=bucket),
    ),
    "LifecycleConfiguration": (
        _put_lifecycle,
        lambda client, bucket: client.delete_bucket_lifecycle(Bucket=bucket),
    ),
    "NotificationConfiguration": (_put_notification, _remove_notification),
    "OwnershipControls": (
        _put_ownership,
        lambda client, bucket: client.delete_bucket_ownership_controls(Bucket=bucket),
    ),
    "PublicAccessBlockConfiguration": (
        _put_public_access_block,
        lambda client, bucket: client.delete_public_access_block(Bucket=bucket),
    ),
    "Tags": (
        _put_tags,
        lambda client, bucket: client.delete_bucket_tagging(Bucket=bucket),
    ),
    "VersioningConfiguration": (_put_versioning, _suspend_versioning),
}
