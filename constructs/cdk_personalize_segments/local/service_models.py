"""Keeps the models of services in memory, for all SDK sessions of this process.

Each session reads and parses those that it needs again, and each function has one.
Clients of one session share them too, so nothing writes to them.
"""

from functools import cache

import botocore.loaders

from cdk_personalize_segments.local import patching


def install() -> None:
    """Have sessions share the loader of models."""
    patching.patch(
        botocore.loaders, "create_loader", cache(botocore.loaders.create_loader)
    )
