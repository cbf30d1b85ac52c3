"""Names for what has no types: JSON values, and moto's objects."""

from typing import Any, TypeAlias

Json: TypeAlias = Any
"""Anything that JSON can say: None, bool, int, float, str, list or dict."""

Moto: TypeAlias = Any
"""An object or function of moto, which is not typed."""

Client: TypeAlias = Any
"""A boto3 client, whose type depends on its service."""
