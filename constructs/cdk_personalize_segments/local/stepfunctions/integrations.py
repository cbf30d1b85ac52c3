"""What tasks can call, and with which arguments.

https://docs.aws.amazon.com/step-functions/latest/dg/integrate-optimized.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

LAMBDA_INVOKE: Final = "arn:aws:states:::lambda:invoke"
START_EXECUTION: Final = "arn:aws:states:::states:startExecution"
SYNC: Final = ".sync"
SYNC_2: Final = ".sync:2"
WAIT_FOR_TOKEN: Final = ".waitForTaskToken"  # noqa: S105


@dataclass(frozen=True)
class Integration:
    """One resource of tasks.

    Attributes:
        arguments: The arguments that are honoured.
        needed: Those without which it cannot be called.
    """

    arguments: frozenset[str]
    needed: frozenset[str]


_LAMBDA: Final = Integration(
    frozenset({"FunctionName", "Payload", "Qualifier"}), frozenset({"FunctionName"})
)
_STATES: Final = Integration(
    frozenset({"Input", "Name", "StateMachineArn"}), frozenset({"StateMachineArn"})
)
INTEGRATIONS: Final[Mapping[str, Integration]] = {
    LAMBDA_INVOKE: _LAMBDA,
    LAMBDA_INVOKE + WAIT_FOR_TOKEN: _LAMBDA,
    START_EXECUTION: _STATES,
    START_EXECUTION + SYNC: _STATES,
    START_EXECUTION + SYNC_2: _STATES,
    START_EXECUTION + WAIT_FOR_TOKEN: _STATES,
}
"""The resources of tasks that are honoured; all others are refused."""
