"""The account that the commands talk to: in AWS, or a local one."""

from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import NoRegionError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.client import CloudFormationClient
    from mypy_boto3_lambda.client import LambdaClient
    from mypy_boto3_personalize.client import PersonalizeClient
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_stepfunctions.client import SFNClient


class Account:
    """An AWS account in one Region, with the user's ordinary credentials."""

    def __init__(self, profile: str | None = None, region: str | None = None) -> None:
        """Find the credentials and the Region as every AWS tool does.

        Args:
            profile: The profile, or None for the environment's.
            region: The Region, or None for the profile's or the environment's.

        Raises:
            ProfileNotFound: There is no such profile.
            NoRegionError: No Region is set anywhere.
        """
        self._profile = profile
        self._session = boto3.session.Session(profile_name=profile, region_name=region)
        self._clients: dict[str, Any] = {}
        if self._session.region_name is None:
            raise NoRegionError
        self.region = self._session.region_name

    def in_region(self, region: str) -> "Account":
        """Return the same account in another Region."""
        return self if region == self.region else Account(self._profile, region)

    @property
    def cloudformation(self) -> "CloudFormationClient":
        """A client of CloudFormation."""
        client: CloudFormationClient = self._client("cloudformation")
        return client

    @property
    def functions(self) -> "LambdaClient":
        """A client of Lambda."""
        client: LambdaClient = self._client("lambda")
        return client

    @property
    def personalize(self) -> "PersonalizeClient":
        """A client of Personalize."""
        client: PersonalizeClient = self._client("personalize")
        return client

    @property
    def s3(self) -> "S3Client":
        """A client of S3."""
        client: S3Client = self._client("s3")
        return client

    @property
    def step_functions(self) -> "SFNClient":
        """A client of Step Functions."""
        client: SFNClient = self._client("stepfunctions")
        return client

    @property
    def iam(self) -> Any:  # noqa: ANN401
        """A client of IAM."""
        return self._client("iam")

    @property
    def sts(self) -> Any:  # noqa: ANN401
        """A client of STS."""
        return self._client("sts")

    def _client(self, service: str) -> Any:  # noqa: ANN401
        if service not in self._clients:
            self._clients[service] = self._session.client(
                service,  # type: ignore[call-overload]
                config=Config(
                    connect_timeout=10,
                    retries={"mode": "standard", "total_max_attempts": 5},
                ),
            )
        return self._clients[service]
