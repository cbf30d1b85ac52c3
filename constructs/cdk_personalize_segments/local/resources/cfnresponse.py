"""What CloudFormation puts next to inline code that imports it.

Its functions and their arguments are those of
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/
cfn-lambda-function-code-cfnresponsemodule.html. It runs inside of functions, so it
needs nothing but Python.
"""

import json
from typing import Any, Final
from urllib.request import Request, urlopen

SUCCESS: Final = "SUCCESS"
FAILED: Final = "FAILED"


def send(
    event: dict[str, Any],
    context: Any,  # noqa: ANN401
    responseStatus: str,  # noqa: N803
    responseData: dict[str, Any],  # noqa: N803
    physicalResourceId: str | None = None,  # noqa: N803
    noEcho: bool = False,  # noqa: N803
    reason: str | None = None,
) -> None:
    """Answer the request for a custom resource.

    Args:
        event: The request.
        context: The function's context.
        responseStatus: SUCCESS or FAILED.
        responseData: What `Fn::GetAtt` gives.
        physicalResourceId: The resource's id; by default the log stream's name.
        noEcho: Whether CloudFormation is to mask the data.
        reason: Why it failed.
    """
    answer = {
        "Status": responseStatus,
        "Reason": reason
        or f"See the details in CloudWatch Log Stream: {context.log_stream_name}",
        "PhysicalResourceId": physicalResourceId or context.log_stream_name,
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "NoEcho": noEcho,
        "Data": responseData,
    }
    body = json.dumps(answer).encode()
    request = Request(event["ResponseURL"], body, {"Content-Type": ""}, method="PUT")  # noqa: S310
    with urlopen(request):  # noqa: S310
        pass
