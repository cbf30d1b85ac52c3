"""The credentials that functions are given, and whose they are."""

import secrets
import string
import threading
from typing import Final

_ALPHABET: Final = string.ascii_uppercase + string.digits
# What temporary access keys begin with:
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
_PREFIX: Final = "ASIA"


class Sessions:
    """Sessions of roles."""

    def __init__(self) -> None:
        """Begin without sessions."""
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
        key = _PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(16))
        with self._lock:
            self._roles[key] = role_arn
        return {
            "aws_access_key_id": key,
            "aws_secret_access_key": secrets.token_urlsafe(30),
            "aws_session_token": secrets.token_urlsafe(60),
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
