"""Step Functions state machines."""

import json
import re
from typing import Any, Final

from cdk_personalize_segments.local.resources.base import (
    Place,
    Properties,
    ResourceType,
    changed,
    lower_first,
)
from cdk_personalize_segments.local.untyped import Json

_LONGEST_NAME: Final = 80
_SUBSTITUTION: Final = re.compile(r"\$\{([A-Za-z0-9_]+)\}")


class StateMachine(ResourceType):
    """AWS::StepFunctions::StateMachine."""

    type = "AWS::StepFunctions::StateMachine"
    kept = "`TracingConfiguration`"
    honoured = frozenset(
        {
            "Definition.*",
            "DefinitionS3Location.Bucket",
            "DefinitionS3Location.Key",
            "DefinitionS3Location.Version",
            "DefinitionString",
            "DefinitionSubstitutions.*",
            "LoggingConfiguration.Destinations.CloudWatchLogsLogGroup.LogGroupArn",
            "LoggingConfiguration.IncludeExecutionData",
            "LoggingConfiguration.Level",
            "RoleArn",
            "StateMachineName",
            "StateMachineType",
            "Tags.Key",
            "Tags.Value",
            "TracingConfiguration.Enabled",
        }
    )
    replaced_on = frozenset({"StateMachineName", "StateMachineType"})
    named_by = "StateMachineName"
    stack_tags = True

    def find(self, place: Place, new: Properties) -> Json:
        """Look for the state machine, which its API gives back if it is the same."""
        name = new["StateMachineName"]
        return place.client("stepfunctions").describe_state_machine(
            stateMachineArn=place.arn("states", f"stateMachine:{name}")
        )

    def create(self, place: Place, logical_id: str, new: Properties) -> str:
        """Create the state machine."""
        name = new.get("StateMachineName") or _new_name(place, logical_id)
        created = place.client("stepfunctions").create_state_machine(
            name=name,
            type=new.get("StateMachineType", "STANDARD"),
            tags=lower_first(list(new.get("Tags", []))),
            **_settings(place, new),
        )
        return str(created["stateMachineArn"])

    def update(
        self, place: Place, physical_id: str, old: Properties, new: Properties
    ) -> None:
        """Change the definition, the role, logging, tracing and tags."""
        client = place.client("stepfunctions")
        differing = changed(old, new)
        if differing - {"Tags"}:
            client.update_state_machine(
                stateMachineArn=physical_id, **_settings(place, new)
            )
        if "Tags" in differing:
            before = [tag["Key"] for tag in old.get("Tags", [])]
            if before:
                client.untag_resource(resourceArn=physical_id, tagKeys=before)
            if new.get("Tags"):
                client.tag_resource(
                    resourceArn=physical_id, tags=lower_first(new["Tags"])
                )

    def delete(self, place: Place, physical_id: str, old: Properties) -> None:
        """Delete the state machine."""
        place.client("stepfunctions").delete_state_machine(stateMachineArn=physical_id)

    def attributes(
        self, place: Place, physical_id: str, properties: Properties
    ) -> dict[str, str]:
        """Give the ARN and the name."""
        return {"Arn": physical_id, "Name": physical_id.rpartition(":")[2]}


def _settings(place: Place, new: Properties) -> dict[str, Any]:
    return {
        "definition": _definition(place, new),
        "roleArn": new["RoleArn"],
        # Off is what the service has where a template says nothing.
        "loggingConfiguration": lower_first(
            new.get("LoggingConfiguration", {"Level": "OFF"})
        ),
        "tracingConfiguration": lower_first(
            new.get("TracingConfiguration", {"Enabled": False})
        ),
    }


def _definition(place: Place, new: Properties) -> str:
    if "DefinitionS3Location" in new:
        location = dict(new["DefinitionS3Location"])
        if "Version" in location:
            location["VersionId"] = location.pop("Version")
        text = place.client("s3").get_object(**location)["Body"].read().decode()
    elif "Definition" in new:
        text = json.dumps(new["Definition"])
    else:
        text = str(new["DefinitionString"])
    substitutions = new.get("DefinitionSubstitutions", {})
    return _SUBSTITUTION.sub(
        lambda match: str(substitutions.get(match[1], match[0])), text
    )


def _new_name(place: Place, logical_id: str) -> str:
    # Unlike most names, these leave the stack out.
    return place.new_name(logical_id, _LONGEST_NAME).removeprefix(
        f"{place.stack_name}-"
    )
