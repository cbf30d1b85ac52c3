"""The patterns that the values of Systems Manager's parameters have to match.

moto keeps them only. Source: https://docs.aws.amazon.com/systems-manager/latest/
APIReference/API_PutParameter.html. Whether a pattern without anchors has to match the
whole value is not documented; here it may match a part, as in its example the anchors
are written out.
"""

import re
from typing import TYPE_CHECKING

from moto.ssm.exceptions import SSMException
from moto.ssm.models import SimpleSystemManagerBackend

from cdk_personalize_segments.local import patching
from cdk_personalize_segments.local.untyped import Moto

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws


def install(aws: "LocalAws") -> None:
    """Refuse values that do not match.

    Args:
        aws: The local AWS.
    """

    def put(
        backend: Moto,
        name: str,
        description: Moto,
        value: str,
        kind: Moto,
        allowed_pattern: str | None,
        *rest: Moto,
        **more: Moto,
    ) -> Moto:
        pattern, before = allowed_pattern, backend._parameters.get(name)
        if pattern is None and before:
            # It stays as it was put before.
            pattern = before[-1].allowed_pattern
        if pattern:
            _check(pattern, value)
        return original(
            backend, name, description, value, kind, allowed_pattern, *rest, **more
        )

    original = patching.patch(SimpleSystemManagerBackend, "put_parameter", put)


def _check(pattern: str, value: str) -> None:
    try:
        matches = re.search(pattern, value)
    except re.error as error:
        raise SSMException(
            "InvalidAllowedPatternException",
            f"local AWS cannot read the pattern {pattern}: {error}",
        ) from None
    if not matches:
        raise SSMException(
            "ParameterPatternMismatchException",
            f"Parameter value, cannot be validated against allowedPattern: {pattern}",
        )
