"""Alarms and dashboards of CloudWatch."""

from typing import ClassVar, Final

from cdk_personalize_segments.local.cloudwatch.alarms import (
    COMPOSITE_ALARM,
    METRIC_ALARM,
)
from cdk_personalize_segments.local.resources.base import (
    Place,
    Properties,
    ResourceType,
    api_tags,
    changed,
    chosen,
)
from cdk_personalize_segments.local.untyped import Json

_LONGEST_NAME: Final = 255
_STRUCTURED: Final = frozenset({"Dimensions", "Metrics", "Tags"})
_METRIC: Final = "Metrics.MetricStat.Metric"


class _AnyAlarm(ResourceType):
    """What alarms have in common; a put replaces all but state and tags."""

    parameters: ClassVar[frozenset[str]]
    put: ClassVar[str]
    named_by = "AlarmName"
    replaced_on = frozenset({"AlarmName"})
    stack_tags = True

    def find(self, place: Place, new: Properties) -> Json:
        """Look for the alarm, of either kind: they share their names."""
        found = place.client("cloudwatch").describe_alarms(
            AlarmNames=[new["AlarmName"]], AlarmTypes=["CompositeAlarm", "MetricAlarm"]
        )
        return found["CompositeAlarms"] or found["MetricAlarms"]

    def create(self, place: Place, logical_id: str, new: Properties) -> str:
        """Put the alarm."""
        name = new.get("AlarmName") or place.new_name(logical_id, _LONGEST_NAME)
        self._put(place, name, new, api_tags(new))
        return str(name)

    def update(
        self, place: Place, physical_id: str, old: Properties, new: Properties
    ) -> None:
        """Put the alarm over the one before, then change its tags."""
        self._put(place, physical_id, new, [])
        if "Tags" in changed(old, new):
            client = place.client("cloudwatch")
            arn = self.attributes(place, physical_id, new)["Arn"]
            if api_tags(old):
                client.untag_resource(
                    ResourceARN=arn, TagKeys=[tag["Key"] for tag in api_tags(old)]
                )
            client.tag_resource(ResourceARN=arn, Tags=api_tags(new))

    def _put(
        self, place: Place, name: str, new: Properties, tags: list[dict[str, str]]
    ) -> None:
        given = chosen(new, *(self.parameters - {"AlarmName", "Tags"}))
        getattr(place.client("cloudwatch"), self.put)(
            AlarmName=name, Tags=tags, **given
        )

    def delete(self, place: Place, physical_id: str, old: Properties) -> None:
        """Delete the alarm."""
        place.client("cloudwatch").delete_alarms(AlarmNames=[physical_id])

    def attributes(
        self, place: Place, physical_id: str, properties: Properties
    ) -> dict[str, str]:
        """Give the ARN."""
        return {"Arn": place.arn("cloudwatch", f"alarm:{physical_id}")}


class Alarm(_AnyAlarm):
    """AWS::CloudWatch::Alarm, of a metric or of metric maths."""

    type = "AWS::CloudWatch::Alarm"
    parameters = METRIC_ALARM
    put = "put_metric_alarm"
    honoured = (METRIC_ALARM - _STRUCTURED) | {
        "Dimensions.Name",
        "Dimensions.Value",
        "Metrics.Expression",
        "Metrics.Id",
        "Metrics.Label",
        f"{_METRIC}.Dimensions.Name",
        f"{_METRIC}.Dimensions.Value",
        f"{_METRIC}.MetricName",
        f"{_METRIC}.Namespace",
        "Metrics.MetricStat.Period",
        "Metrics.MetricStat.Stat",
        "Metrics.MetricStat.Unit",
        "Metrics.Period",
        "Metrics.ReturnData",
        "Tags.Key",
        "Tags.Value",
    }


class CompositeAlarm(_AnyAlarm):
    """AWS::CloudWatch::CompositeAlarm."""

    type = "AWS::CloudWatch::CompositeAlarm"
    kept = (
        "its rule and suppressor: it is not evaluated; SetAlarmState runs its actions"
    )
    parameters = COMPOSITE_ALARM
    put = "put_composite_alarm"
    honoured = (COMPOSITE_ALARM - _STRUCTURED) | {"Tags.Key", "Tags.Value"}


class Dashboard(ResourceType):
    """AWS::CloudWatch::Dashboard."""

    type = "AWS::CloudWatch::Dashboard"
    kept = "its body, once it is checked, since nothing draws it"
    honoured = frozenset({"DashboardBody", "DashboardName"})
    named_by = "DashboardName"
    replaced_on = frozenset({"DashboardName"})

    def find(self, place: Place, new: Properties) -> Json:
        """Look for the dashboard."""
        return place.client("cloudwatch").get_dashboard(**chosen(new, "DashboardName"))

    def create(self, place: Place, logical_id: str, new: Properties) -> str:
        """Put the dashboard."""
        name = new.get("DashboardName") or place.new_name(logical_id, _LONGEST_NAME)
        self.update(place, name, {}, new)
        return str(name)

    def update(
        self, place: Place, physical_id: str, old: Properties, new: Properties
    ) -> None:
        """Put the dashboard over the one before."""
        place.client("cloudwatch").put_dashboard(
            DashboardName=physical_id, **chosen(new, "DashboardBody")
        )

    def delete(self, place: Place, physical_id: str, old: Properties) -> None:
        """Delete the dashboard."""
        place.client("cloudwatch").delete_dashboards(DashboardNames=[physical_id])
