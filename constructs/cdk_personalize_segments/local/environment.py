"""The variables that point AWS tools and SDKs at a local AWS, and nowhere else."""

import os
from collections.abc import Mapping
from typing import Final

_LOOPBACK: Final = "localhost,127.0.0.1"


def aws_environment(endpoint_url: str, region: str) -> dict[str, str]:
    """Give the variables of a local AWS.

    The credentials are made up, the owner's configuration files are out of reach, the
    instance metadata service is off, and the CDK CLI reports to nobody.

    Args:
        endpoint_url: Where it serves.
        region: The Region that it is.
    """
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "CDK_DISABLE_VERSION_CHECK": "true",
        "NO_PROXY": _LOOPBACK,
        "no_proxy": _LOOPBACK,
    }


def process_environment(endpoint_url: str, region: str) -> dict[str, str]:
    """Give the environment of this process, with its AWS settings replaced.

    Args:
        endpoint_url: Where the local AWS serves.
        region: The Region that it is.
    """
    return {
        **_without_aws(os.environ),
        **aws_environment(endpoint_url, region),
    }


def _without_aws(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith("AWS_")
    }
