"""What commands ask of a running local AWS itself, rather than of a service in it.

Requests go to `/_local`, in JSON both ways; `cli/running.py` sends them. A page in the
owner's browser cannot, since browsers ask before they send JSON to another site.

| Request | Asks | Answer |
|---|---|---|
| GET `/_local` | what it is | `server`, `endpointUrl`, `region`, `accountId`, `time` |
| POST `/_local/seed` | `folder`, `recipe`, `name` | `solutionVersionArn`, `retrained` |
| POST `/_local/clock` | `advance` by seconds, or `to` a time | `time` |
| POST `/_local/reset` | nothing | `time` |

`name` may be null. What cannot be is answered with 400 and a `message`.
"""

import json
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from cdk_personalize_segments.local.clock import iso
from cdk_personalize_segments.local.untyped import Json

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from cdk_personalize_segments.local.aws import LocalAws

PATH: Final = "/_local"
SERVER: Final = "local AWS of cdk-personalize-segments"
_STATUS: Final = {200: "200 OK", 400: "400 Bad Request"}


def install(aws: "LocalAws") -> None:
    """Answer the requests that are for the local AWS itself.

    Args:
        aws: The local AWS.
    """
    aws.add_middleware(lambda application: _answering(application, aws))


def _answering(application: "WSGIApplication", aws: "LocalAws") -> "WSGIApplication":
    def answer(
        environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        # A bucket's name cannot begin so.
        if path != PATH and not path.startswith(f"{PATH}/"):
            return application(environ, start_response)
        status, content = _handle(aws, environ)
        body = json.dumps(content).encode()
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
        ]
        start_response(_STATUS[status], headers)
        return [body]

    return answer


def _handle(aws: "LocalAws", environ: "WSGIEnvironment") -> tuple[int, Json]:
    request = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    if request == ("GET", PATH):
        return 200, {
            "server": SERVER,
            "endpointUrl": aws.endpoint_url,
            "region": aws.region,
            "accountId": aws.account_id,
            "time": iso(aws.clock.now()),
        }
    action = _ACTIONS.get(request[1]) if request[0] == "POST" else None
    if action is None:
        return 400, {"message": f"{SERVER} does not know {' '.join(request)}"}
    if environ.get("CONTENT_TYPE") != "application/json":
        return 400, {"message": "the request's content type must be application/json"}
    length = int(environ.get("CONTENT_LENGTH") or 0)
    try:
        return 200, action(aws, json.loads(environ["wsgi.input"].read(length)))
    except (FileNotFoundError, KeyError, TypeError, ValueError) as error:
        return 400, {"message": str(error)}


def _seed(aws: "LocalAws", asked: Json) -> Json:
    arn = aws.seed(asked["folder"], recipe=asked["recipe"], name=asked["name"])
    solution = aws.personalize.versions[arn].solution
    return {
        "solutionVersionArn": arn,
        "retrained": len(solution.versions) > 1,
    }


def _clock(aws: "LocalAws", asked: Json) -> Json:
    now = aws.clock.now()
    if "to" in asked:
        seconds = (datetime.fromisoformat(asked["to"]) - now).total_seconds()
    else:
        seconds = float(asked["advance"])
    if seconds < 0:
        raise ValueError(f"the clock is at {iso(now)} and never goes back")
    aws.clock.advance(timedelta(seconds=seconds))
    return {"time": iso(aws.clock.now())}


def _reset(aws: "LocalAws", _: Json) -> Json:
    aws.reset()
    return {"time": iso(aws.clock.now())}


_ACTIONS: Final[dict[str, Callable[["LocalAws", Json], Json]]] = {
    f"{PATH}/seed": _seed,
    f"{PATH}/clock": _clock,
    f"{PATH}/reset": _reset,
}
