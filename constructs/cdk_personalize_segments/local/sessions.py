"""The credentials that functions are given, and whose they are."""

import random
import string
import threading
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Final

_ALPHABET: Final = string.ascii_uppercase + string.digits
# What temporary access keys begin with:
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
_PREFIX: Final = "ASIA"
_SECRET_BYTES: Final = 30
_TOKEN_BYTES: Final = 60


class Sessions:
    """Sessions of roles."""

    def __init__(self, chance: Callable[[str], random.Random]) -> None:
        """Begin without sessions.

        Args:
            chance: Gives the source of chance for a role's credentials.
        """
        self._chance = chance
        self._roles: dict[str, str] = {}
        self._lock = threading.Lock()

    def issue(self, role_arn: str) -> dict[str, str]:
        """Make credentials with which requests are those of a role.

        Args:
            role_arn: The role.

        Returns:
            What boto3 takes: `aws_access_key_id`, `aws_secret_access_key` and
            `aws_session_token`.
        """
        with self._lock:
            chance = self._chance(f"sessions of {role_arn}")
            key = _PREFIX + "".join(chance.choices(_ALPHABET, k=16))
            self._roles[key] = role_arn
            secret, token = (
                urlsafe_b64encode(chance.randbytes(count)).decode()
                for count in (_SECRET_BYTES, _TOKEN_BYTES)
            )
        return {
            "aws_access_key_id": key,
            "aws_secret_access_key": secret,
            "aws_session_token": token,
        }

    def role_of(self, access_key_id: str) -> str | None:
        """Tell whose credentials an access key belongs to.

        Args:
            access_key_id: The access key.

        Returns:
            The role's ARN, or None if no session has that key.
        """
        with self._lock:
            return self._roles.get(access_key_id)
