"""The credentials of role sessions, and whose they are."""

import random
import string
import threading
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_ALPHABET: Final = string.ascii_uppercase + string.digits
# What temporary access keys begin with:
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
_PREFIX: Final = "ASIA"
_SECRET_BYTES: Final = 30
_TOKEN_BYTES: Final = 60
_NAME: Final = "local"


@dataclass(frozen=True)
class Session:
    """A role that somebody has assumed.

    Attributes:
        role_arn: The role.
        name: The session's name.
    """

    role_arn: str
    name: str = _NAME

    @property
    def arn(self) -> str:
        """Who makes the session's requests."""
        head, _, name = self.role_arn.partition(":role/")
        role = name.rpartition("/")[2]
        return f"{head.replace(':iam:', ':sts:', 1)}:assumed-role/{role}/{self.name}"


class Sessions:
    """Sessions of roles: of functions, and of those who called AssumeRole."""

    def __init__(self, chance: Callable[[str], random.Random]) -> None:
        """Begin without sessions.

        Args:
            chance: Gives the source of chance for a role's credentials.
        """
        self._chance = chance
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def issue(self, role_arn: str, name: str = _NAME) -> dict[str, str]:
        """Make credentials with which requests are those of a role.

        They do not expire.

        Args:
            role_arn: The role.
            name: The session's name.

        Returns:
            What boto3 takes: `aws_access_key_id`, `aws_secret_access_key` and
            `aws_session_token`.
        """
        with self._lock:
            chance = self._chance(f"sessions of {role_arn}")
            key = _PREFIX + "".join(chance.choices(_ALPHABET, k=16))
            self._sessions[key] = Session(role_arn, name)
            secret, token = (
                urlsafe_b64encode(chance.randbytes(count)).decode()
                for count in (_SECRET_BYTES, _TOKEN_BYTES)
            )
        return {
            "aws_access_key_id": key,
            "aws_secret_access_key": secret,
            "aws_session_token": token,
        }

    def of(self, access_key_id: str) -> Session | None:
        """Tell whose credentials an access key belongs to.

        Args:
            access_key_id: The access key.

        Returns:
            The session, or None if none has that key.
        """
        with self._lock:
            return self._sessions.get(access_key_id)
