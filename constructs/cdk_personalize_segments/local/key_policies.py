"""Policies of KMS keys that are none are refused, where moto keeps any text.

Source: the KMS API reference, CreateKey and PutKeyPolicy.
"""

import json
from typing import TYPE_CHECKING

from moto.core.exceptions import JsonRESTError
from moto.kms.models import KmsBackend

from cdk_personalize_segments.local import patching
from cdk_personalize_segments.local.untyped import Moto

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws


def install(_: "LocalAws") -> None:
    """Look at the policies of keys."""

    def create_key(backend: Moto, policy: str | None, *others: Moto) -> Moto:
        _check(policy)
        return create(backend, policy, *others)

    def put_key_policy(backend: Moto, key_id: str, policy: str) -> Moto:
        _check(policy)
        return put(backend, key_id, policy)

    create = patching.patch(KmsBackend, "create_key", create_key)
    put = patching.patch(KmsBackend, "put_key_policy", put_key_policy)


def _check(policy: str | None) -> None:
    if policy is None:
        return
    try:
        document = json.loads(policy)
    except ValueError:
        document = None
    if not isinstance(document, dict) or not document.get("Statement"):
        raise JsonRESTError(
            "MalformedPolicyDocumentException",
            "The new key policy is not a JSON document with statements.",
        )
