"""Log groups, metric filters and saved queries of CloudWatch Logs."""

from typing import Any, Final

from cdk_personalize_segments.local.resources.base import (
    Place,
    Properties,
    ResourceError,
    ResourceType,
    changed,
    chosen,
    lower_first,
    tag_map,
)
from cdk_personalize_segments.local.untyped import Json

_LONGEST_LOG_GROUP_NAME: Final = 512
_LONGEST_FILTER_NAME: Final = 512
_TRANSFORMATION: Final = "MetricTransformations"


class LogGroup(ResourceType):
    """AWS::Logs::LogGroup."""

    type = "AWS::Logs::LogGroup"
    kept = "`KmsKeyId`, `LogGroupClass` and `RetentionInDays`"
    honoured = frozenset(
        {
            "DeletionProtectionEnabled",
            "KmsKeyId",
            "LogGroupClass",
            "LogGroupName",
            "RetentionInDays",
            "Tags.Key",
            "Tags.Value",
        }
    )
    replaced_on = frozenset({"LogGroupName"})
    stack_tags = True

    def create(self, place: Place, logical_id: str, new: Properties) -> str:
        """Create the log group."""
        name = new.get("LogGroupName") or place.new_name(
            logical_id, _LONGEST_LOG_GROUP_NAME
        )
        place.client("logs").create_log_group(
            logGroupName=name,
            tags=tag_map(new),
            **lower_first(
                chosen(new, "DeletionProtectionEnabled", "KmsKeyId", "LogGroupClass")
            ),
        )
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
        """Change all but the class.

        Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/
        aws-resource-logs-loggroup.html ("Updates are not supported").
        """
        client = place.client("logs")
        differing = changed(old, new)
        if "LogGroupClass" in differing:
            raise ResourceError("The class of a log group cannot be updated")
        if "DeletionProtectionEnabled" in differing:
            client.put_log_group_deletion_protection(
                logGroupIdentifier=physical_id,
                deletionProtectionEnabled=new.get("DeletionProtectionEnabled", False),
            )
        if "KmsKeyId" in new and "KmsKeyId" in differing:
            client.associate_kms_key(logGroupName=physical_id, kmsKeyId=new["KmsKeyId"])
        elif "KmsKeyId" in differing:
            client.disassociate_kms_key(logGroupName=physical_id)
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


class MetricFilter(ResourceType):
    """AWS::Logs::MetricFilter, which is kept; no metrics are made of log lines."""

    type = "AWS::Logs::MetricFilter"
    kept = "all of it: it makes no metrics of log lines"
    honoured = frozenset(
        {
            "FilterName",
            "FilterPattern",
            "LogGroupName",
            f"{_TRANSFORMATION}.DefaultValue",
            f"{_TRANSFORMATION}.Dimensions.Key",
            f"{_TRANSFORMATION}.Dimensions.Value",
            f"{_TRANSFORMATION}.MetricName",
            f"{_TRANSFORMATION}.MetricNamespace",
            f"{_TRANSFORMATION}.MetricValue",
            f"{_TRANSFORMATION}.Unit",
        }
    )
    named_by = "FilterName"
    replaced_on = frozenset({"FilterName", "LogGroupName"})

    def find(self, place: Place, new: Properties) -> Json:
        """Look for the filter on its log group."""
        found = place.client("logs").describe_metric_filters(
            logGroupName=new["LogGroupName"], filterNamePrefix=new["FilterName"]
        )["metricFilters"]
        return any(each["filterName"] == new["FilterName"] for each in found)

    def create(self, place: Place, logical_id: str, new: Properties) -> str:
        """Put the filter on its log group."""
        name = new.get("FilterName") or place.new_name(logical_id, _LONGEST_FILTER_NAME)
        self.update(place, name, {}, new)
        return str(name)

    def update(
        self, place: Place, physical_id: str, old: Properties, new: Properties
    ) -> None:
        """Put the filter in place of the one before."""
        place.client("logs").put_metric_filter(
            logGroupName=new["LogGroupName"],
            filterName=physical_id,
            filterPattern=new["FilterPattern"],
            metricTransformations=[
                _transformation(each) for each in new[_TRANSFORMATION]
            ],
        )

    def delete(self, place: Place, physical_id: str, old: Properties) -> None:
        """Take the filter off its log group."""
        place.client("logs").delete_metric_filter(
            logGroupName=old["LogGroupName"], filterName=physical_id
        )


class QueryDefinition(ResourceType):
    """AWS::Logs::QueryDefinition, a saved query.

    Its id is made up, so others may have the same name: whether AWS refuses that is not
    documented.
    """

    type = "AWS::Logs::QueryDefinition"
    honoured = frozenset(
        {
            "LogGroupNames",
            "Name",
            "Parameters.DefaultValue",
            "Parameters.Description",
            "Parameters.Name",
            "QueryLanguage",
            "QueryString",
        }
    )

    def create(self, place: Place, logical_id: str, new: Properties) -> str:
        """Save the query."""
        saved = place.client("logs").put_query_definition(**lower_first(new))
        return str(saved["queryDefinitionId"])

    def update(
        self, place: Place, physical_id: str, old: Properties, new: Properties
    ) -> None:
        """Save the query over the one before."""
        place.client("logs").put_query_definition(
            queryDefinitionId=physical_id, **lower_first(new)
        )

    def delete(self, place: Place, physical_id: str, old: Properties) -> None:
        """Delete the query."""
        place.client("logs").delete_query_definition(queryDefinitionId=physical_id)

    def attributes(
        self, place: Place, physical_id: str, properties: Properties
    ) -> dict[str, str]:
        """Give the id."""
        return {"QueryDefinitionId": physical_id}


def _transformation(declared: Properties) -> dict[str, Any]:
    """Give a transformation as the API takes it, with dimensions as a map."""
    api: dict[str, Any] = lower_first(declared)
    if "dimensions" in api:
        api["dimensions"] = {
            each["Key"]: each["Value"] for each in declared["Dimensions"]
        }
    return api
