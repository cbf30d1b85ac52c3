"""Puts lines into log groups, at virtual times that PutLogEvents would refuse."""

import threading
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from moto.logs.models import LogStream, logs_backends

_adding: Final = threading.Lock()


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
    found = logs_backends[account_id][region].groups.get(group)
    if found is None:
        return
    timestamp = round(at.timestamp() * 1000)
    with _adding:
        if stream not in found.streams:
            # A new dictionary, since others may be going through the old one.
            new = LogStream(log_group=found, name=stream)
            found.streams = {**found.streams, stream: new}
    found.put_log_events(
        stream, [{"timestamp": timestamp, "message": line} for line in lines]
    )
