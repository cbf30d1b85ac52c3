"""Parameters, repositories and what stands for nothing: the plain ones."""

import json
from typing import Final

from cdk_personalize_segments.local.resources.base import (
    Place,
    Properties,
    ResourceType,
    changed,
    chosen,
)

_LONGEST_PARAMETER_NAME: Final = 1011
_LONGEST_REPOSITORY_NAME: Final = 256
_PARAMETER: Final = (
    "AllowedPattern",
    "DataType",
    "Description",
    "Tier",
    "Type",
    "Value",
)
_EMPTIED: Final = ("AllowedPattern", "Description")


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


class WaitConditionHandle(Metadata):
    """AWS::CloudFormation::WaitConditionHandle, which templates use to hold nothing.

    Nothing can be signalled to it, since AWS::CloudFormation::WaitCondition is not
    made.
    """

    type = "AWS::CloudFormation::WaitConditionHandle"
    honoured = frozenset()


class Parameter(ResourceType):
    """AWS::SSM::Parameter."""

    type = "AWS::SSM::Parameter"
    honoured = frozenset(
        {
            "AllowedPattern",
            "DataType",
            "Description",
            "Name",
            "Tags.*",
            "Tier",
            "Type",
            "Value",
        }
    )
    replaced_on = frozenset({"Name"})

    def create(self, place: Place, logical_id: str, new: Properties) -> str:
        """Put the parameter."""
        name = new.get("Name") or place.new_name(logical_id, _LONGEST_PARAMETER_NAME)
        place.client("ssm").put_parameter(
            Name=name, Tags=_parameter_tags(new), **chosen(new, *_PARAMETER)
        )
        return str(name)

    def update(
        self, place: Place, physical_id: str, old: Properties, new: Properties
    ) -> None:
        """Put the parameter over the one before."""
        client = place.client("ssm")
        # What is left out stays as it was, so it is emptied instead.
        emptied = {name: "" for name in _EMPTIED if name in old and name not in new}
        client.put_parameter(
            Name=physical_id, Overwrite=True, **emptied, **chosen(new, *_PARAMETER)
        )
        if "Tags" in changed(old, new):
            resource = {"ResourceType": "Parameter", "ResourceId": physical_id}
            client.remove_tags_from_resource(**resource, TagKeys=[*old.get("Tags", {})])
            client.add_tags_to_resource(**resource, Tags=_parameter_tags(new))

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
    kept = "all of it, since there are no images"
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
        client = place.client("ecr")
        if "LifecyclePolicy" in old and "LifecyclePolicy" not in new:
            client.delete_lifecycle_policy(repositoryName=physical_id)
        if "RepositoryPolicyText" in old and "RepositoryPolicyText" not in new:
            client.delete_repository_policy(repositoryName=physical_id)
        client.put_image_tag_mutability(
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


def _parameter_tags(properties: Properties) -> list[dict[str, str]]:
    """Give the tags, which parameters alone have as a map."""
    return [
        {"Key": key, "Value": value}
        for key, value in properties.get("Tags", {}).items()
    ]
