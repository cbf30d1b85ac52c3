"""Rules, event buses and schedules."""

import json
from typing import Any, Final

from cdk_personalize_segments.local.resources.base import (
    Place,
    Properties,
    ResourceError,
    ResourceType,
    api_tags,
    changed,
    chosen,
)
from cdk_personalize_segments.local.untyped import Json

_LONGEST_NAME: Final = 64
_RULE: Final = ("Description", "ScheduleExpression", "State")
_SCHEDULE: Final = (
    "Description",
    "EndDate",
    "FlexibleTimeWindow",
    "GroupName",
    "ScheduleExpression",
    "ScheduleExpressionTimezone",
    "StartDate",
    "State",
)


class Rule(ResourceType):
    """AWS::Events::Rule."""

    type = "AWS::Events::Rule"
    honoured = frozenset(
        {
            "Description",
            "EventBusName",
            "EventPattern.*",
            "Name",
            "ScheduleExpression",
            "State",
            "Targets.Arn",
            "Targets.DeadLetterConfig.Arn",
            "Targets.Id",
            "Targets.Input",
            "Targets.InputPath",
            "Targets.InputTransformer.InputPathsMap.*",
            "Targets.InputTransformer.InputTemplate",
            "Targets.RetryPolicy.MaximumEventAgeInSeconds",
            "Targets.RetryPolicy.MaximumRetryAttempts",
            "Targets.RoleArn",
        }
    )
    named_by = "Name"
    replaced_on = frozenset({"EventBusName", "Name"})

    def find(self, place: Place, new: Properties) -> Json:
        """Look for the rule on its bus."""
        return place.client("events").describe_rule(
            **chosen(new, "EventBusName", "Name")
        )

    def create(self, place: Place, logical_id: str, new: Properties) -> str:
        """Put the rule and its targets; on another bus, its id has that as well."""
        name = new.get("Name") or place.new_name(logical_id, _LONGEST_NAME)
        bus = new.get("EventBusName", "default").rpartition("/")[2]
        physical_id = str(name) if bus == "default" else f"{bus}|{name}"
        self._put_rule(place, physical_id, new)
        with self.finishing(place, physical_id, new):
            self._put_targets(place, physical_id, {}, new)
        return physical_id

    def update(
        self, place: Place, physical_id: str, old: Properties, new: Properties
    ) -> None:
        """Put the rule and targets in place of those before."""
        self._put_rule(place, physical_id, new)
        self._put_targets(place, physical_id, old, new)

    def _put_rule(self, place: Place, physical_id: str, new: Properties) -> None:
        place_of = _place_of(physical_id)
        pattern = (
            {"EventPattern": json.dumps(new["EventPattern"])}
            if "EventPattern" in new
            else {}
        )
        place.client("events").put_rule(
            Name=place_of["Rule"],
            EventBusName=place_of["EventBusName"],
            **pattern,
            **chosen(new, *_RULE),
        )

    def _put_targets(
        self, place: Place, physical_id: str, old: Properties, new: Properties
    ) -> None:
        client, place_of = place.client("events"), _place_of(physical_id)
        kept = {target["Id"] for target in new.get("Targets", [])}
        gone = [
            target["Id"]
            for target in old.get("Targets", [])
            if target["Id"] not in kept
        ]
        if gone:
            client.remove_targets(**place_of, Ids=gone)
        if new.get("Targets"):
            client.put_targets(**place_of, Targets=new["Targets"])

    def delete(self, place: Place, physical_id: str, old: Properties) -> None:
        """Remove the targets, then the rule."""
        client, place_of = place.client("events"), _place_of(physical_id)
        targets = client.list_targets_by_rule(**place_of)["Targets"]
        if targets:
            client.remove_targets(**place_of, Ids=[each["Id"] for each in targets])
        client.delete_rule(Name=place_of["Rule"], EventBusName=place_of["EventBusName"])

    def attributes(
        self, place: Place, physical_id: str, properties: Properties
    ) -> dict[str, str]:
        """Give the ARN."""
        return {"Arn": place.arn("events", f"rule/{physical_id.replace('|', '/')}")}


class EventBus(ResourceType):
    """AWS::Events::EventBus."""

    type = "AWS::Events::EventBus"
    honoured = frozenset({"Name"})
    replaced_on = honoured

    def create(self, place: Place, logical_id: str, new: Properties) -> str:
        """Create the bus."""
        place.client("events").create_event_bus(Name=new["Name"])
        return str(new["Name"])

    def delete(self, place: Place, physical_id: str, old: Properties) -> None:
        """Delete the bus."""
        place.client("events").delete_event_bus(Name=physical_id)

    def attributes(
        self, place: Place, physical_id: str, properties: Properties
    ) -> dict[str, str]:
        """Give ARN and name."""
        return {
            "Arn": place.arn("events", f"event-bus/{physical_id}"),
            "Name": physical_id,
        }


class Schedule(ResourceType):
    """AWS::Scheduler::Schedule."""

    type = "AWS::Scheduler::Schedule"
    honoured = frozenset(
        {
            "Description",
            "EndDate",
            "FlexibleTimeWindow.MaximumWindowInMinutes",
            "FlexibleTimeWindow.Mode",
            "GroupName",
            "Name",
            "ScheduleExpression",
            "ScheduleExpressionTimezone",
            "StartDate",
            "State",
            "Target.Arn",
            "Target.DeadLetterConfig.Arn",
            "Target.EventBridgeParameters.DetailType",
            "Target.EventBridgeParameters.Source",
            "Target.Input",
            "Target.RetryPolicy.MaximumEventAgeInSeconds",
            "Target.RetryPolicy.MaximumRetryAttempts",
            "Target.RoleArn",
        }
    )
    named_by = "Name"
    replaced_on = frozenset({"Name"})

    def find(self, place: Place, new: Properties) -> Json:
        """Look for the schedule in its group."""
        return place.client("scheduler").get_schedule(
            **chosen(new, "GroupName", "Name")
        )

    def create(self, place: Place, logical_id: str, new: Properties) -> str:
        """Create the schedule."""
        name = new.get("Name") or place.new_name(logical_id, _LONGEST_NAME)
        place.client("scheduler").create_schedule(Name=name, **_schedule(new))
        return str(name)

    def update(
        self, place: Place, physical_id: str, old: Properties, new: Properties
    ) -> None:
        """Put all settings in place of those before.

        Raises:
            ResourceError: It is to be in another group, where AWS looks for it in vain.
                https://github.com/aws/aws-cdk/issues/34216
        """
        client = place.client("scheduler")
        try:
            client.update_schedule(Name=physical_id, **_schedule(new))
        except client.exceptions.ResourceNotFoundException:
            if "GroupName" not in changed(old, new):
                raise
            raise ResourceError(
                f"Resource of type '{self.type}' with identifier '{physical_id}' was "
                "not found. A schedule cannot be moved to another group; give it "
                "another Name as well, and it is replaced"
            ) from None

    def delete(self, place: Place, physical_id: str, old: Properties) -> None:
        """Delete the schedule."""
        place.client("scheduler").delete_schedule(
            Name=physical_id, **chosen(old, "GroupName")
        )

    def attributes(
        self, place: Place, physical_id: str, properties: Properties
    ) -> dict[str, str]:
        """Give the ARN."""
        group = properties.get("GroupName", "default")
        return {"Arn": place.arn("scheduler", f"schedule/{group}/{physical_id}")}


class ScheduleGroup(ResourceType):
    """AWS::Scheduler::ScheduleGroup."""

    type = "AWS::Scheduler::ScheduleGroup"
    honoured = frozenset({"Name", "Tags.Key", "Tags.Value"})
    replaced_on = frozenset({"Name"})
    stack_tags = True

    def create(self, place: Place, logical_id: str, new: Properties) -> str:
        """Create the group."""
        name = new.get("Name") or place.new_name(logical_id, _LONGEST_NAME)
        place.client("scheduler").create_schedule_group(Name=name, Tags=api_tags(new))
        return str(name)

    def update(
        self, place: Place, physical_id: str, old: Properties, new: Properties
    ) -> None:
        """Change the tags."""
        client, arn = place.client("scheduler"), self._arn(place, physical_id)
        if "Tags" in changed(old, new):
            before = [tag["Key"] for tag in api_tags(old)]
            if before:
                client.untag_resource(ResourceArn=arn, TagKeys=before)
            if api_tags(new):
                client.tag_resource(ResourceArn=arn, Tags=api_tags(new))

    def delete(self, place: Place, physical_id: str, old: Properties) -> None:
        """Delete the group with its schedules."""
        place.client("scheduler").delete_schedule_group(Name=physical_id)

    def attributes(
        self, place: Place, physical_id: str, properties: Properties
    ) -> dict[str, str]:
        """Give ARN and state."""
        return {"Arn": self._arn(place, physical_id), "State": "ACTIVE"}

    def _arn(self, place: Place, name: str) -> str:
        return place.arn("scheduler", f"schedule-group/{name}")


def _place_of(physical_id: str) -> dict[str, str]:
    """Tell rule and bus as the API for targets takes them."""
    bus, _, name = physical_id.rpartition("|")
    return {"Rule": name, "EventBusName": bus or "default"}


def _schedule(new: Properties) -> dict[str, Any]:
    return {"Target": new["Target"], **chosen(new, *_SCHEDULE)}
