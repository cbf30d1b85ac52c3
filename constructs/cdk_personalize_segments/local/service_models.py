"""Keeps the models of services in memory, for all SDK sessions of this process.

Each session reads and parses those that it needs again, and each function has one.
Clients of one session share them too, so nothing writes to them.
"""

from typing import Any

import botocore.session
from botocore.loaders import Loader

from cdk_personalize_segments.local import patching


def install() -> None:
    """Have the loaders of sessions share what they have read."""
    read: dict[str | None, dict[Any, Any]] = {}

    def create(search_path: str | None = None) -> Loader:
        # Not one loader for all: boto3 adds paths to that of its session.
        loader: Loader = original(search_path)
        loader._cache = read.setdefault(search_path, {})  # type: ignore[attr-defined]
        return loader

    original = patching.patch(botocore.session, "create_loader", create)
