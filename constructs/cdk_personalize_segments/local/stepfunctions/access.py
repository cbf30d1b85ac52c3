"""What the role of a state machine may do, and the clients that act as it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from cdk_personalize_segments.local import enforcement
from cdk_personalize_segments.local.policies import UnsupportedPolicyError
from cdk_personalize_segments.local.stepfunctions.errors import RUNTIME, StateError
from cdk_personalize_segments.local.untyped import Client

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws


class Access:
    """What one role may do."""

    def __init__(self, aws: "LocalAws", role_arn: str, region: str) -> None:
        """Look at a role.

        Args:
            aws: The local AWS.
            role_arn: The role.
            region: The Region of its calls.
        """
        self._aws = aws
        self._role_arn = role_arn
        self._region = region
        self._clients: dict[str, Client] = {}

    def check(
        self, action: str, resource: str, refusal: Callable[[str], StateError]
    ) -> None:
        """Check that the role may do something.

        Args:
            action: Like `states:StartExecution`.
            resource: The ARN.
            refusal: Makes the error of the state from the text of the refusal.

        Raises:
            StateError: It may not.
        """
        try:
            enforcement.check(
                self._aws, role_arn=self._role_arn, action=action, resource=resource
            )
        except enforcement.AccessDenied as denied:
            raise refusal(str(denied)) from None
        except UnsupportedPolicyError as error:
            raise StateError(RUNTIME, f"local AWS: {error}") from None

    def may(self, action: str, resource: str) -> bool:
        """Tell whether the role may do something.

        Args:
            action: Like `states:StopExecution`.
            resource: The ARN.
        """
        try:
            self.check(action, resource, StateError)
        except StateError:
            return False
        return True

    def client(self, service: str) -> Client:
        """Give a client whose calls are held to the role's policies.

        Args:
            service: The service, as boto3 calls it.
        """
        if service not in self._clients:
            credentials = self._aws.sessions.issue(self._role_arn)
            self._clients[service] = self._aws.create_client(
                service, self._region, **credentials
            )
        return self._clients[service]
