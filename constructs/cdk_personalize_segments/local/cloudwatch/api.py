"""The API of CloudWatch, of one account."""

from typing import TYPE_CHECKING

from moto.cloudwatch import urls

from cdk_personalize_segments.local import patching
from cdk_personalize_segments.local.cloudwatch.alarms import AlarmsApi
from cdk_personalize_segments.local.cloudwatch.dashboards import DashboardsApi
from cdk_personalize_segments.local.cloudwatch.metrics_api import MetricsApi
from cdk_personalize_segments.local.cloudwatch.watches import Watches

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws


def install(aws: "LocalAws") -> None:
    """Answer requests, and evaluate alarms.

    Args:
        aws: The local AWS; it measures already.
    """
    account_watches = Watches(aws)

    class Api(AlarmsApi, DashboardsApi, MetricsApi):
        """The API of this account."""

        local_aws = aws
        watches = account_watches

    patching.patch(urls, "url_paths", {"{0}/$": Api.dispatch})
