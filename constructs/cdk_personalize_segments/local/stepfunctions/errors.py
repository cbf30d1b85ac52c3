"""How states fail, and who may catch what."""

from collections.abc import Iterable
from typing import Final

DATA_LIMIT_EXCEEDED: Final = "States.DataLimitExceeded"
HEARTBEAT_TIMEOUT: Final = "States.HeartbeatTimeout"
ITEM_READER_FAILED: Final = "States.ItemReaderFailed"
NO_CHOICE_MATCHED: Final = "States.NoChoiceMatched"
PERMISSIONS: Final = "States.Permissions"
QUERY_EVALUATION_ERROR: Final = "States.QueryEvaluationError"
RESULT_WRITER_FAILED: Final = "States.ResultWriterFailed"
RUNTIME: Final = "States.Runtime"
TASK_FAILED: Final = "States.TaskFailed"
TIMEOUT: Final = "States.Timeout"
TOO_MANY_FAILURES: Final = "States.ExceedToleratedFailureThreshold"
_ALL: Final = "States.ALL"
_NOT_TASK_FAILED: Final = frozenset({DATA_LIMIT_EXCEEDED, HEARTBEAT_TIMEOUT, TIMEOUT})

ERRORS: Final = frozenset(
    {
        DATA_LIMIT_EXCEEDED,
        HEARTBEAT_TIMEOUT,
        ITEM_READER_FAILED,
        NO_CHOICE_MATCHED,
        PERMISSIONS,
        QUERY_EVALUATION_ERROR,
        RESULT_WRITER_FAILED,
        RUNTIME,
        TASK_FAILED,
        TIMEOUT,
        TOO_MANY_FAILURES,
    }
)
"""The errors of Step Functions itself with which states fail here."""


class StateError(Exception):
    """A state failed with an error that its machine may retry or catch.

    Attributes:
        error: The error's name, empty for that of a Fail state that names none.
        cause: What the error says, or None.
    """

    def __init__(self, error: str, cause: str | None = None) -> None:
        """Describe the failure.

        Args:
            error: The error's name.
            cause: What the error says, if anything.
        """
        super().__init__(error, cause)
        self.error = error
        self.cause = cause

    @property
    def details(self) -> dict[str, str]:
        """The error as events tell it."""
        return {name.lower(): text for name, text in self.output.items()}

    @property
    def output(self) -> dict[str, str]:
        """The error as `$states.errorOutput` tells it."""
        told = {"Error": self.error or None, "Cause": self.cause}
        return {name: text for name, text in told.items() if text is not None}


def is_caught_by(error: str, names: Iterable[str]) -> bool:
    """Tell whether the names of a Retry or Catch rule cover an error.

    As in https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html:
    nothing covers States.Runtime, States.ALL not States.DataLimitExceeded,
    States.TaskFailed not States.Timeout, and States.Timeout also a heartbeat that did
    not come.

    Args:
        error: The error's name.
        names: What `ErrorEquals` lists.
    """
    if error == RUNTIME:
        return False
    return any(
        name == error
        or (name == _ALL and error != DATA_LIMIT_EXCEEDED)
        or (name == TIMEOUT and error == HEARTBEAT_TIMEOUT)
        or (name == TASK_FAILED and error not in _NOT_TASK_FAILED)
        for name in names
    )
