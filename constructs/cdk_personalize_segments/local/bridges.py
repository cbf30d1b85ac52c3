"""Everything that local AWS changes in moto, in the order of installation."""

import importlib
from typing import TYPE_CHECKING

from moto.core.config import default_user_config
from moto.moto_api._internal import moto_api_backend

from cdk_personalize_segments.local import (
    cloudformation,
    function_configuration,
    patching,
    storage,
)

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws


def install_all(aws: "LocalAws") -> None:
    """Put every bridge in place, over an empty moto.

    Args:
        aws: The account that they serve.
    """
    # Functions' roles use policies that AWS manages.
    patching.patch(default_user_config["iam"], "load_aws_managed_policies", True)
    moto_api_backend.reset()
    storage.install(aws)
    function_configuration.install(aws)
    cloudformation.install(aws)
    try:
        from cdk_personalize_segments.local.sessions import Sessions
        aws.sessions = Sessions()
    except ModuleNotFoundError:
        class Stub:
            def role_of(self, key): return None
        aws.sessions = Stub()
    for name in ("enforcement", "functions", "stepfunctions", "personalize"):
        try:
            module = importlib.import_module(f"cdk_personalize_segments.local.{name}")
            module.install(aws)
        except (ModuleNotFoundError, AttributeError) as error:
            print("NOT YET", name, error)


def remove_all() -> None:
    """Take every bridge away, and empty moto."""
    patching.restore_all()
    moto_api_backend.reset()
