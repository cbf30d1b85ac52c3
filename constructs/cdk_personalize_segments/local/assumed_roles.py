"""AssumeRole with credentials that are held to the role.

moto's own are nobody's, so that requests with them would not be evaluated. Who may
assume a role is decided with all other permissions, in `enforcement`.
"""

from typing import TYPE_CHECKING

from moto.iam.models import iam_backends
from moto.sts.models import STSBackend

from cdk_personalize_segments.local import patching
from cdk_personalize_segments.local.untyped import Moto

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws


def install(aws: "LocalAws") -> None:
    """Issue the credentials of assumed roles, and know whose all others are.

    Args:
        aws: The local AWS.
    """

    def assume_role(backend: Moto, **request: Moto) -> Moto:
        assumed = original(backend, **request)
        issued = aws.sessions.issue(request["role_arn"], request["role_session_name"])
        assumed.access_key_id = issued["aws_access_key_id"]
        assumed.secret_access_key = issued["aws_secret_access_key"]
        assumed.session_token = issued["aws_session_token"]
        return assumed

    def get_caller_identity(backend: Moto, access_key_id: str, region: str) -> Moto:
        session = aws.sessions.of(access_key_id)
        if session is None:
            return identity_of(backend, access_key_id, region)
        role = iam_backends[aws.account_id][backend.partition].get_role_by_arn(
            session.role_arn
        )
        return f"{role.id}:{session.name}", session.arn, aws.account_id

    original = patching.patch(STSBackend, "assume_role", assume_role)
    identity_of = patching.patch(STSBackend, "get_caller_identity", get_caller_identity)
