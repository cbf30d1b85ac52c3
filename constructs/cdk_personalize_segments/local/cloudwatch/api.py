"""The API of CloudWatch, of one account."""

from typing import TYPE_CHECKING

from moto.cloudwatch import urls

from cdk_personalize_segments.local import patching
from cdk_personalize_segments.local.cloudwatch.alarms import AlarmsApi
from cdk_personalize_segments.local.cloudwatch.metrics_api import MetricsApi

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws


def install(aws: "LocalAws") -> None:
    """Answer requests.

    Args:
        aws: The local AWS.
    """

    class Api(AlarmsApi, MetricsApi):
        """The API of this account."""

        local_aws = aws

    patching.patch(urls, "url_paths", {"{0}/$": Api.dispatch})
