"""Puts lines into log groups, at virtual times that PutLogEvents would refuse."""

from collections.abc import Iterable
from datetime import datetime

from moto.logs.models import logs_backends


def exists(account_id: str, region: str, group: str) -> bool:
    """Tell whether there is such a log group."""
    return group in logs_backends[account_id][region].groups


def create(account_id: str, region: str, group: str) -> None:
    """Make a log group."""
    logs_backends[account_id][region].ensure_log_group(group)


def put(
    account_id: str,
    region: str,
    group: str,
    stream: str,
    at: datetime,
    lines: Iterable[str],
) -> None:
    """Add lines to a stream, which is made if it is new.

    As in AWS, lines for a group that is no longer there are lost.

    Args:
        account_id: The account.
        region: The Region.
        group: The log group's name.
        stream: The log stream's name.
        at: Their time.
        lines: The lines.
    """
    backend = logs_backends[account_id][region]
    if group not in backend.groups:
        return
    timestamp = round(at.timestamp() * 1000)
    backend.ensure_log_stream(group, stream)
    backend.groups[group].put_log_events(
        stream, [{"timestamp": timestamp, "message": line} for line in lines]
    )
