"""The rotation period of KMS keys, which moto forgets.

Sources: the KMS API reference, EnableKeyRotation and GetKeyRotationStatus. Keys are
not really rotated.
"""

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from moto.kms.exceptions import ValidationException
from moto.kms.responses import KmsResponse

from cdk_personalize_segments.local import patching
from cdk_personalize_segments.local.untyped import Moto

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws

_DAYS: Final = 365
_SHORTEST_DAYS: Final = 90
_LONGEST_DAYS: Final = 2560


def install(aws: "LocalAws") -> None:
    """Keep the period that a rotation was enabled with.

    Args:
        aws: The local AWS.
    """

    def enable(response: Moto) -> Moto:
        days = response._get_param("RotationPeriodInDays")
        if days is not None and not _SHORTEST_DAYS <= days <= _LONGEST_DAYS:
            raise ValidationException(
                f"1 validation error detected: Value '{days}' at "
                "'rotationPeriodInDays' failed to satisfy constraint: Member must be "
                f"between {_SHORTEST_DAYS} and {_LONGEST_DAYS}, inclusive"
            )
        answer = original_enable(response)
        key = _key(response)
        key.rotation_days = days or _DAYS
        key.rotation_since = aws.clock.now()
        return answer

    def status(response: Moto) -> str:
        told = json.loads(original_status(response))
        key = _key(response)
        told["KeyId"] = key.id
        if told["KeyRotationEnabled"]:
            due = key.rotation_since + timedelta(days=key.rotation_days)
            told["RotationPeriodInDays"] = key.rotation_days
            told["NextRotationDate"] = due.timestamp()
        return json.dumps(told)

    original_enable = patching.patch(KmsResponse, "enable_key_rotation", enable)
    original_status = patching.patch(KmsResponse, "get_key_rotation_status", status)


def _key(response: Moto) -> Moto:
    backend = response.kms_backend
    return backend.keys[backend.any_id_to_key_id(response._get_param("KeyId"))]
