"""Log groups, parameters, repositories and keys: the plain ones."""

import json
from typing import Final

from cdk_personalize_segments.local.resources.base import (
    Place,
    Properties,
    ResourceType,
    changed,
    chosen,
    tag_map,
)

_LONGEST_LOG_GROUP_NAME: Final = 512
_LONGEST_PARAMETER_NAME: Final = 1011
_LONGEST_REPOSITORY_NAME: Final = 256


class Metadata(ResourceType):
    """AWS::CDK::Metadata, which stands for nothing."""

    type = "AWS::CDK::Metadata"
    honoured = frozenset({"Analytics"})

    def create(self, place: Place, logical_id: str, new: Properties) -> str:
        """Make up an id."""
        return place.new_id(logical_id)

    def update(
        self, place: Place, physical_id: str, old: Properties, new: Properties
    ) -> None:
        """Change nothing."""

    def delete(self, place: Place, physical_id: str, old: Properties) -> None:
        """Delete nothing."""


class LogGroup(ResourceType):
    """AWS::Logs::LogGroup."""

    type = "AWS::Logs::LogGroup"
    honoured = frozenset({"LogGroupName", "RetentionInDays", "Tags.Key", "Tags.Value"})
    replaced_on = frozenset({"LogGroupName"})
    stack_tags = True

    def create(self, place: Place, logical_id: str, new: Properties) -> str:
        """Create the log group."""
        name = new.get("LogGroupName") or place.new_name(
            logical_id, _LONGEST_LOG_GROUP_NAME
        )
        client = place.client("logs")
        client.create_log_group(logGroupName=name, tags=tag_map(new))
        with self.finishing(place, name, new):
            self._set_retention(place, name, new)
        return str(name)

    def _set_retention(self, place: Place, name: str, new: Properties) -> None:
        client = place.client("logs")
        if "RetentionInDays" in new:
            client.put_retention_policy(
                logGroupName=name, retentionInDays=new["RetentionInDays"]
            )
        else:
            client.delete_retention_policy(logGroupName=name)

    def update(
        self, place: Place, physical_id: str, old: Properties, new: Properties
    ) -> None:
        """Change retention and tags."""
        client = place.client("logs")
        differing = changed(old, new)
        if "RetentionInDays" in differing:
            self._set_retention(place, physical_id, new)
        if "Tags" in differing:
            arn = place.arn("logs", f"log-group:{physical_id}")
            if tag_map(old):
                client.untag_resource(resourceArn=arn, tagKeys=list(tag_map(old)))
            if tag_map(new):
                client.tag_resource(resourceArn=arn, tags=tag_map(new))

    def delete(self, place: Place, physical_id: str, old: Properties) -> None:
        """Delete the log group with what is in it."""
        place.client("logs").delete_log_group(logGroupName=physical_id)

    def attributes(
        self, place: Place, physical_id: str, properties: Properties
    ) -> dict[str, str]:
        """Give the ARN, which ends in `:*`."""
        return {"Arn": place.arn("logs", f"log-group:{physical_id}:*")}


class Parameter(ResourceType):
    """AWS::SSM::Parameter."""

    type = "AWS::SSM::Parameter"
    honoured = frozenset({"Description", "Name", "Type", "Value"})
    replaced_on = frozenset({"Name"})

    def create(self, place: Place, logical_id: str, new: Properties) -> str:
        """Put the parameter."""
        name = new.get("Name") or place.new_name(logical_id, _LONGEST_PARAMETER_NAME)
        place.client("ssm").put_parameter(
            Name=name, **chosen(new, "Description", "Type", "Value")
        )
        return str(name)

    def update(
        self, place: Place, physical_id: str, old: Properties, new: Properties
    ) -> None:
        """Put the parameter over the one before."""
        place.client("ssm").put_parameter(
            Name=physical_id,
            Overwrite=True,
            **chosen(new, "Description", "Type", "Value"),
        )

    def delete(self, place: Place, physical_id: str, old: Properties) -> None:
        """Delete the parameter."""
        place.client("ssm").delete_parameter(Name=physical_id)

    def attributes(
        self, place: Place, physical_id: str, properties: Properties
    ) -> dict[str, str]:
        """Give type and value."""
        return chosen(properties, "Type", "Value")


class Repository(ResourceType):
    """AWS::ECR::Repository, of which only `cdk bootstrap` makes one."""

    type = "AWS::ECR::Repository"
    honoured = frozenset(
        {
            "ImageTagMutability",
            "LifecyclePolicy.LifecyclePolicyText",
            "RepositoryName",
            "RepositoryPolicyText.*",
        }
    )
    replaced_on = frozenset({"RepositoryName"})

    def create(self, place: Place, logical_id: str, new: Properties) -> str:
        """Create the repository."""
        name = (
            new.get("RepositoryName")
            or place.new_name(logical_id, _LONGEST_REPOSITORY_NAME).lower()
        )
        place.client("ecr").create_repository(
            repositoryName=name,
            imageTagMutability=new.get("ImageTagMutability", "MUTABLE"),
        )
        with self.finishing(place, name, new):
            self._set_policies(place, name, new)
        return str(name)

    def _set_policies(self, place: Place, name: str, new: Properties) -> None:
        client = place.client("ecr")
        if "LifecyclePolicy" in new:
            client.put_lifecycle_policy(
                repositoryName=name,
                lifecyclePolicyText=new["LifecyclePolicy"]["LifecyclePolicyText"],
            )
        if "RepositoryPolicyText" in new:
            client.set_repository_policy(
                repositoryName=name, policyText=json.dumps(new["RepositoryPolicyText"])
            )

    def update(
        self, place: Place, physical_id: str, old: Properties, new: Properties
    ) -> None:
        """Change mutability and policies."""
        place.client("ecr").put_image_tag_mutability(
            repositoryName=physical_id,
            imageTagMutability=new.get("ImageTagMutability", "MUTABLE"),
        )
        self._set_policies(place, physical_id, new)

    def delete(self, place: Place, physical_id: str, old: Properties) -> None:
        """Delete the repository."""
        place.client("ecr").delete_repository(repositoryName=physical_id)

    def attributes(
        self, place: Place, physical_id: str, properties: Properties
    ) -> dict[str, str]:
        """Give ARN and URI."""
        return {
            "Arn": place.arn("ecr", f"repository/{physical_id}"),
            "RepositoryUri": (
                f"{place.aws.account_id}.dkr.ecr.{place.region}.amazonaws.com/"
                f"{physical_id}"
            ),
        }


class Key(ResourceType):
    """AWS::KMS::Key."""

    type = "AWS::KMS::Key"
    honoured = frozenset({"Description", "KeyPolicy.*"})

    def create(self, place: Place, logical_id: str, new: Properties) -> str:
        """Create the key."""
        created = place.client("kms").create_key(
            Description=new.get("Description", ""),
            Policy=json.dumps(new["KeyPolicy"]),
        )
        return str(created["KeyMetadata"]["KeyId"])

    def update(
        self, place: Place, physical_id: str, old: Properties, new: Properties
    ) -> None:
        """Change the policy and the description."""
        client = place.client("kms")
        client.put_key_policy(
            KeyId=physical_id, PolicyName="default", Policy=json.dumps(new["KeyPolicy"])
        )
        client.update_key_description(
            KeyId=physical_id, Description=new.get("Description", "")
        )

    def delete(self, place: Place, physical_id: str, old: Properties) -> None:
        """Have the key deleted in 30 days, as CloudFormation does."""
        place.client("kms").schedule_key_deletion(
            KeyId=physical_id, PendingWindowInDays=30
        )

    def attributes(
        self, place: Place, physical_id: str, properties: Properties
    ) -> dict[str, str]:
        """Give ARN and id."""
        return {"Arn": place.arn("kms", f"key/{physical_id}"), "KeyId": physical_id}
