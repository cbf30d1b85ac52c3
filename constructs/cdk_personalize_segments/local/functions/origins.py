"""Tells what functions start while they work from what others start.

A function may wait for it, so that it is not held until the function has ended.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from cdk_personalize_segments.local import functions
from cdk_personalize_segments.local.calls import access_key_of
from cdk_personalize_segments.local.outcomes import coming_from

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from cdk_personalize_segments.local.aws import LocalAws


def install(aws: "LocalAws") -> None:
    """Look whose requests they are.

    Args:
        aws: The local AWS.
    """
    aws.add_middleware(_telling)


def _telling(application: "WSGIApplication") -> "WSGIApplication":
    def answer(
        environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        origin = functions.origin_of(access_key_of(environ))
        if origin is None:
            return application(environ, start_response)
        with coming_from(origin):
            return application(environ, start_response)

    return answer
