"""Where the model comes from."""

import aws_cdk as cdk

from cdk_personalize_segments._runtime import arns
from cdk_personalize_segments._validation import check_arn, is_token


class SolutionVersion:
    """The trained solution version that jobs use.

    It must be of one of the two USER_SEGMENTATION recipes: Item-Affinity
    (`aws-item-affinity`) or Item-Attribute-Affinity (`aws-item-attribute-affinity`).
    Each run checks that, and that the version is ACTIVE, before it starts a job.

    Examples:
        >>> SolutionVersion.latest_of(
        ...     "arn:aws:personalize:us-east-1:111122223333:solution/films"
        ... ).is_latest
        True
    """

    def __init__(self, arn: str, *, is_latest: bool) -> None:
        """Use `from_arn` or `latest_of` instead."""
        self._arn = arn
        self._is_latest = is_latest

    @classmethod
    def from_arn(cls, solution_version_arn: str) -> "SolutionVersion":
        """Use just this solution version, until the next deployment.

        Args:
            solution_version_arn: Its ARN, as
                `arn:aws:personalize:REGION:ACCOUNT:solution/NAME/VERSION`, or a token.

        Raises:
            ValueError: It is the ARN of something else.
        """
        check_arn("solution_version_arn", solution_version_arn, arns.SOLUTION_VERSION)
        return cls(solution_version_arn, is_latest=False)

    @classmethod
    def latest_of(cls, solution_arn: str) -> "SolutionVersion":
        """Use the newest ACTIVE version of a solution, looked up at every run.

        Retraining then needs no deployment.

        Args:
            solution_arn: The solution's ARN, as
                `arn:aws:personalize:REGION:ACCOUNT:solution/NAME`, or a token.

        Raises:
            ValueError: It is the ARN of something else.
        """
        check_arn("solution_arn", solution_arn, arns.SOLUTION)
        return cls(solution_arn, is_latest=True)

    @property
    def is_latest(self) -> bool:
        """Whether the version is looked up at every run."""
        return self._is_latest

    @property
    def solution_version_arn(self) -> str | None:
        """The version's ARN, or None when it is looked up at every run."""
        return None if self._is_latest else self._arn

    @property
    def solution_arn(self) -> str:
        """The ARN of the solution that the version belongs to."""
        if self._is_latest:
            return self._arn
        if is_token(self._arn):
            return _solution_of_token(self._arn)
        return arns.solution_of(self._arn)


def _solution_of_token(solution_version_arn: str) -> str:
    parts = cdk.Fn.split("/", solution_version_arn, 3)
    return cdk.Fn.join("/", [parts[0], parts[1]])
