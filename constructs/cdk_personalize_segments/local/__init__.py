"""Local AWS: deploys and runs pipelines on this machine, without an account.

It needs the extra `local`.
"""

from cdk_personalize_segments.local.aws import LocalAws
from cdk_personalize_segments.local.errors import LocalAwsError
from cdk_personalize_segments.local.executions import Execution

__all__ = ["Execution", "LocalAws", "LocalAwsError"]
