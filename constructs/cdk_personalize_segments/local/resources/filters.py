"""Filters of Personalize."""

from typing import Final

from cdk_personalize_segments.local.resources.base import (
    Place,
    Properties,
    ResourceError,
    ResourceType,
    lower_first,
)

# How long to wait, in virtual seconds, before a look at whether a filter is ready.
_LOOK_SECONDS: Final = 15


class Filter(ResourceType):
    """AWS::Personalize::Filter.

    Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/
    aws-resource-personalize-filter.html. That `Ref` gives the ARN is not documented.
    """

    type = "AWS::Personalize::Filter"
    honoured = frozenset({"DatasetGroupArn", "FilterExpression", "Name"})
    replaced_on = honoured

    def create(self, place: Place, logical_id: str, new: Properties) -> str:
        """Create the filter and wait until it is ready, or has failed."""
        client = place.client("personalize")
        arn = str(client.create_filter(**lower_first(new))["filterArn"])
        with self.finishing(place, arn, new):
            while True:
                found = client.describe_filter(filterArn=arn)["filter"]
                if found["status"] == "ACTIVE":
                    return arn
                if found["status"] == "CREATE FAILED":
                    raise ResourceError(
                        f"The filter failed: {found.get('failureReason')}"
                    )
                place.aws.clock.sleep(_LOOK_SECONDS)

    def delete(self, place: Place, physical_id: str, old: Properties) -> None:
        """Delete the filter."""
        place.client("personalize").delete_filter(filterArn=physical_id)

    def attributes(
        self, place: Place, physical_id: str, properties: Properties
    ) -> dict[str, str]:
        """Give the ARN."""
        return {"FilterArn": physical_id}
