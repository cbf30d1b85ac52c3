"""Checks and their verdicts."""

from collections.abc import Callable, Iterator
from enum import Enum
from typing import NamedTuple

from botocore.exceptions import ClientError

from cdk_personalize_segments.cli.errors import (
    SDK_ERRORS,
    CliError,
    action,
    is_denied,
    sentence,
)


class Verdict(Enum):
    """What came of a check."""

    OK = "ok"
    WARNING = "warn"
    FAILED = "FAIL"
    NOT_CHECKED = "not checked"


class Check(NamedTuple):
    """One line of the doctor's report.

    Attributes:
        verdict: What came of it.
        what: What was looked at.
        detail: What was found, and what to do about it.
    """

    verdict: Verdict
    what: str
    detail: str


def guarded(what: str, check: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """Run a check; what the user may not look at is not checked, never fine.

    Args:
        what: What is looked at.
        check: Looks at it.
    """
    try:
        yield from check()
    except CliError as error:
        yield Check(Verdict.FAILED, what, str(error))
    except SDK_ERRORS as error:
        if isinstance(error, ClientError) and is_denied(error):
            detail = f"you lack the permission {action(error)}"
            yield Check(Verdict.NOT_CHECKED, what, detail)
        else:
            yield Check(Verdict.FAILED, what, sentence(error))
