"""Addresses of the AWS console, for messages and dashboards."""

from typing import Final

_DOMAINS: Final = {
    "cn-": "amazonaws.cn",
    "us-gov-": "amazonaws-us-gov.com",
}


def address(region: str) -> str:
    """Return where the console of a Region is, or of a token for one."""
    for start, domain in _DOMAINS.items():
        if region.startswith(start):
            return f"https://{region}.console.{domain}"
    return f"https://{region}.console.aws.amazon.com"
