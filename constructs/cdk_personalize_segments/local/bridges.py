"""Everything that local AWS changes in moto, in the order of installation."""

from typing import TYPE_CHECKING

from moto.core.models import MockAWS
from moto.iam import models as iam_models
from moto.moto_api._internal.models import moto_api_backend

from cdk_personalize_segments.local import (
    api,
    assumed_roles,
    cloudformation,
    cloudwatch,
    control,
    custom_responses,
    enforcement,
    events,
    function_configuration,
    functions,
    key_policies,
    key_rotation,
    log_settings,
    messaging,
    parameter_patterns,
    patching,
    personalize,
    s3_answers,
    s3_requests,
    stepfunctions,
    storage,
    times,
)
from cdk_personalize_segments.local.errors import LocalAwsError
from cdk_personalize_segments.local.functions import origins
from cdk_personalize_segments.local.sessions import Sessions

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws


def install_all(aws: "LocalAws") -> None:
    """Put every bridge in place, over an empty moto.

    Args:
        aws: The account that they serve; its clock runs already.
    """
    # Functions' roles use policies that AWS manages.
    patching.patch(iam_models, "load_iam_aws_managed_policies", lambda: True)
    moto_api_backend.reset()
    patching.patch(MockAWS, "reset", _refuse_reset)
    aws.sessions = Sessions(aws.chance)
    for bridge in (
        times,
        cloudwatch,
        storage,
        s3_answers,
        s3_requests,
        assumed_roles,
        key_policies,
        key_rotation,
        log_settings,
        parameter_patterns,
        function_configuration,
        functions,
        events,
        messaging,
        stepfunctions,
        personalize,
        cloudformation,
        enforcement,
        origins,
        # Last, so that they look at a request before all others do.
        api,
        # Its requests are signed by nobody.
        custom_responses,
        control,
    ):
        bridge.install(aws)


def remove_all() -> None:
    """Take every bridge away, and empty moto."""
    patching.restore_all()
    moto_api_backend.reset()


def _refuse_reset(_: MockAWS) -> None:
    raise LocalAwsError(
        "mock_aws would erase the local AWS that runs in this process, since moto's "
        "state belongs to the process; use the local AWS's own clients, or "
        "mock_aws().start(reset=False) and .stop(remove_data=False)"
    )
