"""Custom resources, which a Lambda function of the user makes.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html.
"""

import json
from typing import Any, Final

from cdk_personalize_segments.local import custom_responses
from cdk_personalize_segments.local.resources.base import (
    Place,
    Properties,
    ResourceError,
    ResourceType,
)
from cdk_personalize_segments.local.untyped import Json

TYPE: Final = "AWS::CloudFormation::CustomResource"
PREFIX: Final = "Custom::"
_TIMEOUT_SECONDS: Final = 3600
_LOOK_SECONDS: Final = 5
_FUNCTION: Final = ":lambda:"


class CustomResource(ResourceType):
    """AWS::CloudFormation::CustomResource, by that name or one of its own.

    All properties are the function's. It must answer over HTTP, as the address in its
    request says, and may do so after it has ended; the time-out is virtual.
    """

    honoured = frozenset({"ServiceTimeout", "ServiceToken"})

    def __init__(self, type_name: str, logical_id: str = "") -> None:
        """Describe one custom resource.

        Args:
            type_name: Its type.
            logical_id: Its logical id.
        """
        self._type_name = type_name
        self._logical_id = logical_id

    type = TYPE

    def unhonoured(self, properties: Json) -> list[str]:
        """Honour every property, since the function decides on them."""
        return []

    def create(self, place: Place, logical_id: str, new: Properties) -> str:
        """Have the function create it."""
        answer = self._ask(place, "Create", new)
        physical_id = answer.get("PhysicalResourceId")
        if answer["Status"] == "FAILED" and physical_id:
            with self.finishing(place, physical_id, new):
                self._check(answer)
        self._check(answer)
        return self._accept(place, answer)

    def update(
        self, place: Place, physical_id: str, old: Properties, new: Properties
    ) -> str | None:
        """Have the function update it, which may make another one instead."""
        answer = self._ask(
            place,
            "Update",
            new,
            PhysicalResourceId=physical_id,
            OldResourceProperties=_as_text(old),
        )
        self._check(answer)
        updated = self._accept(place, answer)
        return None if updated == physical_id else updated

    def delete(self, place: Place, physical_id: str, old: Properties) -> None:
        """Have the function delete it."""
        self._check(self._ask(place, "Delete", old, PhysicalResourceId=physical_id))

    def attributes(
        self, place: Place, physical_id: str, properties: Properties
    ) -> dict[str, str]:
        """Give the data of the last answer."""
        data = place.answers.get(physical_id) or {}
        return {name: _as_text(value) for name, value in data.items()}

    def _ask(
        self, place: Place, request_type: str, properties: Properties, **more: Json
    ) -> dict[str, Any]:
        """Invoke the function, and wait for its answer in virtual time."""
        token = str(properties.get("ServiceToken", ""))
        if _FUNCTION not in token:
            raise ResourceError(
                "local AWS honours custom resources of Lambda functions only, not the "
                f"ServiceToken {token!r}"
            )
        request_id = place.new_id(self._logical_id)
        address = custom_responses.address(place.aws, request_id)
        request = {
            "RequestType": request_type,
            "ServiceToken": token,
            "ResponseURL": address,
            "StackId": place.stack_id,
            "RequestId": request_id,
            "ResourceType": self._type_name,
            "LogicalResourceId": self._logical_id,
            "ResourceProperties": _as_text(properties),
            **more,
        }
        place.client("lambda").invoke(
            FunctionName=token, Payload=json.dumps(request).encode()
        )
        left = int(properties.get("ServiceTimeout", _TIMEOUT_SECONDS))
        while (answer := custom_responses.take(request_id)) is None:
            if left <= 0:
                raise ResourceError(
                    "CloudFormation did not receive a response from your Custom "
                    f"Resource. Please check your logs for requestId [{request_id}]."
                )
            place.aws.clock.sleep(_LOOK_SECONDS)
            left -= _LOOK_SECONDS
        return answer

    def _check(self, answer: dict[str, Any]) -> None:
        if answer["Status"] != "SUCCESS":
            raise ResourceError(
                f"Received response status [{answer['Status']}] from custom resource. "
                f"Message returned: {answer.get('Reason')}"
            )

    def _accept(self, place: Place, answer: dict[str, Any]) -> str:
        physical_id = answer.get("PhysicalResourceId")
        if not physical_id:
            raise ResourceError("Invalid PhysicalResourceId")
        place.answers[physical_id] = answer.get("Data")
        return str(physical_id)


def _as_text(value: Json) -> Json:
    """Spell numbers and truth values as text, as functions get and give them."""
    if isinstance(value, dict):
        return {key: _as_text(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_as_text(each) for each in value]
    if isinstance(value, bool):
        return str(value).lower()
    return value if value is None else str(value)
