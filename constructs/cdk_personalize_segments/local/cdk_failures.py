"""What a failure of the CDK CLI means where it deploys into a local AWS."""

import re
from typing import Final

# Whatever it says of itself is why something does not work there.
_REFUSED: Final = "local AWS "
# The CLI names the environment, or the role there that it could not assume.
_OTHER_ENVIRONMENT: Final = re.compile(
    r"(?:not found in aws://|role/cdk-[\w-]+?-role-)(\w+)[/-]([\w-]+\d)"
)
_LOOK_UP: Final = re.compile(
    r"honour this request: (?:\w+ of )?(\w+)[^\n]*\(Construct Annotations\)"
)
_NO_DOCKER: Final = re.compile(
    r"docker exited with status|spawnSync docker|spawn docker|docker: not found"
    r"|[Cc]annot connect to the Docker daemon"
)


def explain(output: str, account_id: str, region: str) -> list[str]:
    """Say what went wrong, before the CLI's own words.

    Args:
        output: What the CLI printed.
        account_id: The account of the local AWS.
        region: Its Region.

    Returns:
        Sentences on what an account, the network or Docker would have been needed for,
        and the lines that say what local AWS refuses.
    """
    told = []
    for account, other_region in _OTHER_ENVIRONMENT.findall(output):
        if account != account_id:
            told.append(
                f"A stack is for account {account}, and local AWS is {account_id}: "
                "leave the stack's `env` out, or take its account from "
                "CDK_DEFAULT_ACCOUNT, which the CDK CLI sets."
            )
        elif other_region != region:
            told.append(
                f"A stack is for Region {other_region}, and local AWS is {region}: "
                f"start it with the Region {other_region}, or take the stack's Region "
                "from CDK_DEFAULT_REGION, which the CDK CLI sets."
            )
    told += [
        f"A context look-up needs {service}, which local AWS does not have: where you "
        "deploy into it, name the attributes instead, as Vpc.from_vpc_attributes and "
        "HostedZone.from_hosted_zone_attributes take them."
        for service in _LOOK_UP.findall(output)
    ]
    if "of ecr is not emulated" in output:
        told.append(
            "Local AWS does not run container images: where you deploy into it, make "
            "the function of a zip, as Code.from_asset does."
        )
    if _NO_DOCKER.search(output):
        told.append(
            "Docker is needed to bundle an asset, and failed: start it, or have the "
            "asset bundled without it (`local` of BundlingOptions)."
        )
    refusals = [line.strip() for line in output.splitlines() if _REFUSED in line]
    return list(dict.fromkeys([*told, *refusals]))
